/// YAML in the making: lines with their indentation.
struct YAMLLines {
    /// What was written, with a line feed after every line.
    private(set) var text = ""

    /// Adds a line.
    mutating func add(_ indentation: Int, _ line: String) {
        text += String(repeating: " ", count: indentation)
        text += line
        text += "\n"
    }

    /// A YAML double-quoted scalar of any text. What it escapes is the union of what JSON and YAML 1.1 and 1.2 want
    /// escaped, so that every reader takes it for the same text.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            default:
                switch scalar.value {
                case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF:
                    let digits = String(scalar.value, radix: 16, uppercase: true)
                    quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                default: quoted.unicodeScalars.append(scalar)
                }
            }
        }
        return quoted + "\""
    }

    /// A flow sequence of quoted texts.
    static func list(_ texts: [String]) -> String {
        "[" + texts.map(quoted).joined(separator: ", ") + "]"
    }

    /// The texts, each once, in their order.
    static func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }

    /// A reference to a component, as a flow mapping.
    static func reference(_ section: String, _ name: String) -> String {
        "{$ref: \"#/components/\(section)/\(name)\"}"
    }

    /// A reference to a schema.
    static func schema(_ name: String) -> String { reference("schemas", name) }
}
