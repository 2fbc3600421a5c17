/// Regular expressions that mean the same to FEEL (XPath) and to PostgreSQL (its advanced regular expressions, under
/// COLLATE "C").
///
/// The common part: characters, `.`, groups, `|`, `^` and `$` outside repeats, the greedy repeats, and classes of
/// characters and ranges. What reads the Unicode tables (`\d`, `\w`, `\p{L}`, flag i) is left out, since PostgreSQL
/// reads those of the collation, and so are subtraction, back references and what one of the two does not know.
struct SQLPattern {
    private let source: [Unicode.Scalar]
    private let dotMatchesAll: Bool
    private var index = 0
    private var output = ""

    /// The pattern in PostgreSQL's syntax; nil when it is outside the common part or malformed.
    static func translated(_ source: String, flags: String) -> String? {
        guard flags.allSatisfy({ $0 == "s" }), Pattern(source, flags: flags) != nil else { return nil }
        var pattern = SQLPattern(source: Array(source.unicodeScalars), dotMatchesAll: flags.contains("s"))
        guard pattern.run() else { return nil }
        return pattern.output
    }

    private init(source: [Unicode.Scalar], dotMatchesAll: Bool) {
        self.source = source
        self.dotMatchesAll = dotMatchesAll
    }

    private mutating func run() -> Bool {
        // `***` at the start would be a directive of PostgreSQL; a repeat never starts a FEEL pattern.
        while index < source.count { if !piece() { return false } }
        return true
    }

    private mutating func piece() -> Bool {
        let scalar = source[index]
        index += 1
        switch scalar {
        case "|":
            output += "|"
            return true
        case ")": output += ")"
        case "(":
            // `(?` would start one of PostgreSQL's own constructs.
            if index < source.count, source[index] == "?" { return false }
            output += "("
            return true
        case "^", "$":
            output.unicodeScalars.append(scalar)
            return index >= source.count || !"*+?{".unicodeScalars.contains(source[index])
        case ".": output += dotMatchesAll ? "." : "[^\\n\\r]"
        case "[": if !characterClass() { return false }
        case "\\": if !escape() { return false }
        case "*", "+", "?", "{": return false
        case "]", "}": return false
        default: literal(scalar)
        }
        return `repeat`()
    }

    private mutating func literal(_ scalar: Unicode.Scalar) {
        if scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar), scalar.value > 32 {
            output += "\\"
        }
        output.unicodeScalars.append(scalar)
    }

    private mutating func escape() -> Bool {
        guard index < source.count else { return false }
        let scalar = source[index]
        index += 1
        switch scalar {
        case "n", "r", "t": output += "\\\(scalar)"
        case ".", "\\", "?", "*", "+", "{", "}", "(", ")", "[", "]", "|", "^", "$", "-": output += "\\\(scalar)"
        default: return false
        }
        return true
    }

    /// `*`, `+`, `?` or `{n,m}` after an atom; a second one (`*?`, `*+`) is not in the common part.
    private mutating func `repeat`() -> Bool {
        guard index < source.count else { return true }
        switch source[index] {
        case "*", "+", "?":
            output.unicodeScalars.append(source[index])
            index += 1
        case "{":
            guard let end = source[index...].firstIndex(of: "}") else { return false }
            let text = source[index...end]
            // PostgreSQL's repeats go to 255.
            let counts = String(String.UnicodeScalarView(text.dropFirst().dropLast())).split(separator: ",")
            guard !counts.isEmpty, counts.allSatisfy({ (Int($0) ?? 256) <= 255 }) else { return false }
            output.unicodeScalars.append(contentsOf: text)
            index = end + 1
        default: return true
        }
        return index >= source.count || !"*+?{".unicodeScalars.contains(source[index])
    }

    /// `[...]` of characters and ranges.
    private mutating func characterClass() -> Bool {
        output += "["
        if index < source.count, source[index] == "^" {
            output += "^"
            index += 1
        }
        var isEmpty = true
        while index < source.count, source[index] != "]" {
            guard let low = classCharacter() else { return false }
            isEmpty = false
            guard index + 1 < source.count, source[index] == "-", source[index + 1] != "]" else { continue }
            index += 1
            output += "-"
            guard let high = classCharacter(), low <= high else { return false }
        }
        guard index < source.count, !isEmpty else { return false }
        index += 1
        output += "]"
        return true
    }

    private mutating func classCharacter() -> Unicode.Scalar? {
        var scalar = source[index]
        index += 1
        switch scalar {
        case "[", "^", "-": return nil
        case "\\":
            guard index < source.count else { return nil }
            scalar = source[index]
            guard escape() else { return nil }
            switch scalar {
            case "n": return "\n"
            case "r": return "\r"
            case "t": return "\t"
            default: return scalar
            }
        default:
            literal(scalar)
            return scalar
        }
    }
}
