/// Where something stands in a source file; lines and columns count from 1, columns in UTF-8 bytes.
public struct SourceLocation: Hashable, Sendable {
    /// The line.
    public let line: Int
    /// The column, in bytes.
    public let column: Int

    /// Makes a location.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// An element of an XML document, with everything that is needed to write it again.
public struct XMLElement: Sendable {
    /// An attribute as written.
    public struct Attribute: Hashable, Sendable {
        /// The qualified name, prefix included.
        public var name: String
        /// The namespace of a prefixed name; empty for an attribute without prefix.
        public var namespace: String
        /// The value, references resolved.
        public var value: String

        /// Makes an attribute without namespace.
        public init(_ name: String, _ value: String, namespace: String = "") {
            self.name = name
            self.value = value
            self.namespace = namespace
        }

        /// The name without prefix.
        public var localName: Substring { XMLElement.local(name) }
        /// Whether this declares a namespace.
        public var isDeclaration: Bool { name == "xmlns" || name.hasPrefix("xmlns:") }
    }

    /// What an element holds.
    public enum Node: Sendable {
        case element(XMLElement)
        /// Character data, references resolved; adjacent pieces are joined.
        case text(String)
    }

    /// The qualified name.
    public var name: String
    /// The namespace of the name; empty when there is none.
    public var namespace: String
    /// Attributes in order, declarations of namespaces included.
    public var attributes: [Attribute]
    /// Elements and text in order.
    public var nodes: [Node]
    /// Where it starts in the document that it was read from; nil when it was made.
    public var location: SourceLocation?
    /// The element's bytes as they stood in the document; nil when it was made. Written again as they are.
    public var source: String?

    /// Makes an element.
    public init(_ name: String, namespace: String = "", attributes: [Attribute] = [], nodes: [Node] = []) {
        self.name = name
        self.namespace = namespace
        self.attributes = attributes
        self.nodes = nodes
    }

    /// The name without prefix.
    public var localName: String { String(XMLElement.local(name)) }
    /// The child elements in order.
    public var children: [XMLElement] {
        nodes.compactMap { if case .element(let element) = $0 { element } else { nil } }
    }
    /// The text of this element alone, joined.
    public var text: String {
        var text = ""
        for case .text(let piece) in nodes { text += piece }
        return text
    }

    /// The value of an attribute without prefix.
    public func attribute(_ name: String) -> String? { attributes.first { $0.name == name }?.value }

    /// The first child element of this local name in the same namespace.
    public func first(_ name: String) -> XMLElement? {
        for case .element(let element) in nodes where element.namespace == namespace && element.localName == name {
            return element
        }
        return nil
    }

    /// All child elements of this local name in the same namespace.
    public func all(_ name: String) -> [XMLElement] {
        children.filter { $0.namespace == namespace && $0.localName == name }
    }

    static func local(_ name: String) -> Substring {
        name.utf8.firstIndex(of: UInt8(ascii: ":")).map { name[name.index(after: $0)...] } ?? name[...]
    }
}

/// Why a document was refused.
public struct XMLError: Error, Hashable, Sendable {
    /// Stable codes.
    public enum Code: String, Sendable {
        /// Not well-formed XML.
        case malformed = "malformed_xml"
        /// A document type declaration; entities are never declared here.
        case doctype = "doctype_refused"
        /// A prefix that no declaration explains.
        case unboundPrefix = "unbound_prefix"
        /// A limit of `DMNLimits`.
        case tooComplex = "too_complex"
    }

    /// What kind of error.
    public let code: Code
    /// What is wrong, in words.
    public let message: String
    /// Where.
    public let location: SourceLocation

    /// Makes an error.
    public init(code: Code, message: String, location: SourceLocation) {
        self.code = code
        self.message = message
        self.location = location
    }
}
