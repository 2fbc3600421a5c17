import CExpat

/// Reads a document into a tree: expat's events in, limits checked before anything is kept. The only user of `CExpat`.
final class XMLReader {
    private struct Open {
        var element: XMLElement
        let start: Int64
        let bindings: Int
        var text = ""
    }

    private let bytes: [UInt8]
    /// Whether elements outside the given namespaces keep their bytes.
    private let keepsSource: (String) -> Bool
    private var stack: [Open] = []
    private var root: XMLElement?
    private var failure: XMLError?
    private var elements = 0
    /// Prefixes in scope, innermost last.
    private var bindings: [(prefix: String, namespace: String)] = [
        ("", ""), ("xml", "http://www.w3.org/XML/1998/namespace"),
    ]

    /// Whether positions in the bytes are positions in the text: no byte order mark of UTF-16, no other encoding named.
    private let isUTF8: Bool

    private init(_ bytes: [UInt8], _ keepsSource: @escaping (String) -> Bool) {
        self.bytes = bytes
        self.keepsSource = keepsSource
        let declaration = String(decoding: bytes.prefix(128).prefix { $0 != UInt8(ascii: ">") }, as: UTF8.self)
        isUTF8 =
            !bytes.prefix(2).contains { $0 >= 0xFE }
            && (!declaration.contains("encoding") || declaration.lowercased().contains("utf-8"))
    }

    /// Parses a whole document.
    /// - Parameter keepsSource: for which local names the element's bytes are kept.
    static func parse(
        _ bytes: [UInt8], keepsSource: @escaping (String) -> Bool = { _ in false }
    ) throws(XMLError) -> XMLElement {
        let start = SourceLocation(line: 1, column: 1)
        guard bytes.count <= DMNLimits.documentBytes else {
            throw XMLError(
                code: .tooComplex, message: "more than \(DMNLimits.documentBytes) bytes", location: start)
        }
        let reader = XMLReader(bytes, keepsSource)
        let result = withExtendedLifetime(reader) {
            let handlers = cexpat_handlers(
                context: Unmanaged.passUnretained(reader).toOpaque(),
                start: { context, name, attributes, offset, line, column in
                    guard let reader = XMLReader.from(context), let name, let attributes else { return 0 }
                    let location = SourceLocation(line: Int(line), column: Int(column))
                    return reader.open(String(cString: name), attributes, offset, location) ? 1 : 0
                },
                end: { context, offset in XMLReader.from(context)?.close(offset) == true ? 1 : 0 },
                text: { context, bytes, length in
                    guard let reader = XMLReader.from(context), let bytes else { return 0 }
                    return reader.append(bytes, length) ? 1 : 0
                })
            return bytes.withUnsafeBufferPointer { cexpat_parse($0.baseAddress, $0.count, handlers) }
        }
        if let failure = reader.failure { throw failure }
        let location = SourceLocation(line: Int(result.line), column: Int(result.column))
        switch Int(result.status) {
        case CEXPAT_OK:
            guard let root = reader.root else {
                throw XMLError(code: .malformed, message: "no element", location: start)
            }
            return root
        case CEXPAT_DOCTYPE:
            throw XMLError(
                code: .doctype, message: "a document type declaration is refused; write the text out",
                location: location)
        case CEXPAT_MEMORY: throw XMLError(code: .tooComplex, message: "out of memory", location: location)
        default:
            throw XMLError(
                code: .malformed, message: result.message.map { String(cString: $0) } ?? "not well-formed",
                location: location)
        }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> XMLReader? {
        context.map { Unmanaged<XMLReader>.fromOpaque($0).takeUnretainedValue() }
    }

    private func fail(_ code: XMLError.Code, _ message: String, _ location: SourceLocation) -> Bool {
        failure = XMLError(code: code, message: message, location: location)
        return false
    }

    private func open(
        _ name: String, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>, _ offset: Int64,
        _ location: SourceLocation
    ) -> Bool {
        elements += 1
        guard stack.count < DMNLimits.documentDepth else {
            return fail(.tooComplex, "elements are nested deeper than \(DMNLimits.documentDepth)", location)
        }
        guard elements <= DMNLimits.documentElements else {
            return fail(.tooComplex, "more than \(DMNLimits.documentElements) elements", location)
        }
        var element = XMLElement(name)
        element.location = location
        let mark = bindings.count
        var index = 0
        while let key = attributes[index], let value = attributes[index + 1] {
            index += 2
            guard index / 2 <= DMNLimits.elementAttributes else {
                return fail(.tooComplex, "more than \(DMNLimits.elementAttributes) attributes", location)
            }
            let attribute = XMLElement.Attribute(String(cString: key), String(cString: value))
            if attribute.name == "xmlns" {
                bindings.append(("", attribute.value))
            } else if attribute.name.hasPrefix("xmlns:") {
                bindings.append((String(attribute.localName), attribute.value))
            }
            element.attributes.append(attribute)
        }
        guard resolve(&element, location) else { return false }
        flushText()
        stack.append(Open(element: element, start: offset, bindings: mark))
        return true
    }

    private func resolve(_ element: inout XMLElement, _ location: SourceLocation) -> Bool {
        let prefix = XMLReader.prefix(element.name)
        guard let namespace = namespace(prefix) else {
            return fail(.unboundPrefix, "the prefix '\(prefix)' is not declared", location)
        }
        element.namespace = namespace
        for index in element.attributes.indices where !element.attributes[index].isDeclaration {
            let prefix = XMLReader.prefix(element.attributes[index].name)
            if prefix.isEmpty { continue }
            guard let namespace = self.namespace(prefix) else {
                return fail(.unboundPrefix, "the prefix '\(prefix)' is not declared", location)
            }
            element.attributes[index].namespace = namespace
        }
        return true
    }

    private func namespace(_ prefix: String) -> String? { bindings.last { $0.prefix == prefix }?.namespace }

    private static func prefix(_ name: String) -> String {
        name.utf8.firstIndex(of: UInt8(ascii: ":")).map { String(name[..<$0]) } ?? ""
    }

    private func flushText() {
        guard let last = stack.indices.last, !stack[last].text.isEmpty else { return }
        stack[last].element.nodes.append(.text(stack[last].text))
        stack[last].text = ""
    }

    private func append(_ bytes: UnsafePointer<CChar>, _ length: Int) -> Bool {
        guard let last = stack.indices.last else { return true }
        bytes.withMemoryRebound(to: UInt8.self, capacity: length) { bytes in
            stack[last].text += String(decoding: UnsafeBufferPointer(start: bytes, count: length), as: UTF8.self)
        }
        return true
    }

    private func close(_ offset: Int64) -> Bool {
        flushText()
        guard var open = stack.popLast() else { return false }
        bindings.removeLast(bindings.count - open.bindings)
        if keepsSource(open.element.localName), open.start >= 0, open.start < offset, offset <= bytes.count {
            // Bytes of another encoding than UTF-8 would not be the text that was read.
            open.element.source = isUTF8 ? String(validating: bytes[Int(open.start)..<Int(offset)], as: UTF8.self) : nil
        }
        if let parent = stack.indices.last {
            stack[parent].element.nodes.append(.element(open.element))
        } else {
            root = open.element
        }
        return true
    }
}
