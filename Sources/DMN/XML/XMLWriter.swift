/// Writes a tree as text, two spaces a level. An element that kept its bytes is written as it stood.
struct XMLWriter {
    private(set) var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

    mutating func write(_ element: XMLElement, indent: Int = 0) {
        let margin = String(repeating: " ", count: indent * 2)
        text += margin
        if let source = element.source {
            text += source + "\n"
            return
        }
        text += "<" + element.name
        for attribute in element.attributes {
            text += " \(attribute.name)=\"\(XMLWriter.escaped(attribute.value, isAttribute: true))\""
        }
        if element.nodes.isEmpty {
            text += "/>\n"
            return
        }
        text += ">"
        let holdsText = element.nodes.contains { if case .text(let text) = $0 { !text.isBlank } else { false } }
        if holdsText {
            for node in element.nodes { inline(node) }
            text += "</\(element.name)>\n"
            return
        }
        text += "\n"
        for child in element.children { write(child, indent: indent + 1) }
        text += margin + "</\(element.name)>\n"
    }

    /// Mixed content is written without a space more than it has.
    private mutating func inline(_ node: XMLElement.Node) {
        switch node {
        case .text(let content): text += XMLWriter.escaped(content, isAttribute: false)
        case .element(let element):
            text += "<" + element.name
            for attribute in element.attributes {
                text += " \(attribute.name)=\"\(XMLWriter.escaped(attribute.value, isAttribute: true))\""
            }
            if element.nodes.isEmpty {
                text += "/>"
                return
            }
            text += ">"
            for node in element.nodes { inline(node) }
            text += "</\(element.name)>"
        }
    }

    /// Text without the control characters that XML cannot hold.
    static func printable(_ text: String) -> String {
        String(
            text.unicodeScalars.map { $0.value < 0x20 && !"\n\t\r".unicodeScalars.contains($0) ? "?" : Character($0) })
    }

    /// Characters that would be read as markup, or be changed by normalisation, as references.
    private static func escaped(_ text: String, isAttribute: Bool) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"" where isAttribute: escaped += "&quot;"
            case "\n" where isAttribute: escaped += "&#10;"
            case "\t" where isAttribute: escaped += "&#9;"
            case "\r": escaped += "&#13;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension String {
    /// Whether there is nothing but white space.
    var isBlank: Bool { allSatisfy(\.isWhitespace) }
}
