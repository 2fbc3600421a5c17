import Foundation

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// A parsed XML element; namespaces are dropped, the suites use one vocabulary per file.
final class XMLTree: NSObject, XMLParserDelegate {
    final class Element {
        let name: String
        let attributes: [String: String]
        var text = ""
        var children: [Element] = []

        init(name: String, attributes: [String: String]) {
            self.name = name
            self.attributes = attributes
        }

        func first(_ name: String) -> Element? { children.first { $0.name == name } }
        func all(_ name: String) -> [Element] { children.filter { $0.name == name } }
        func attribute(_ name: String) -> String? {
            attributes[name] ?? attributes.first { $0.key.hasSuffix(":" + name) }?.value
        }
        var trimmed: String { text.trimmingCharacters(in: .whitespacesAndNewlines) }
    }

    private var stack: [Element] = []
    private var root: Element?

    static func parse(_ url: URL) -> Element? {
        guard let data = try? Data(contentsOf: url) else { return nil }
        let tree = XMLTree()
        let parser = XMLParser(data: data)
        parser.delegate = tree
        return parser.parse() ? tree.root : nil
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        let local = name.split(separator: ":").last.map(String.init) ?? name
        let element = Element(name: local, attributes: attributes)
        stack.last?.children.append(element)
        if root == nil { root = element }
        stack.append(element)
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        stack.removeLast()
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { stack.last?.text += string }

    func parser(_ parser: XMLParser, foundCDATA block: Data) {
        stack.last?.text += String(decoding: block, as: UTF8.self)
    }
}
