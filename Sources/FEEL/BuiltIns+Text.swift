extension BuiltIns {
    static func text(
        _ function: BuiltIn, _ arguments: [Value], _ compiled: Pattern?, _ steps: inout Int
    ) -> Value {
        if function == .stringJoin { return join(arguments) }
        guard case .string(let text) = singleton(arguments[0]) else { return .null }
        switch function {
        case .stringLength: return .number(text.unicodeScalars.count)
        case .upperCase: return .string(text.uppercased())
        case .lowerCase: return .string(text.lowercased())
        case .substring: return substring(text, Array(arguments.dropFirst()))
        default: break
        }
        guard case .string(let other) = singleton(arguments[1]) else { return .null }
        switch function {
        case .contains: return .boolean(find(other, in: text) != nil)
        case .startsWith: return .boolean(text.utf8.starts(with: other.utf8))
        case .endsWith: return .boolean(text.utf8.reversed().starts(with: other.utf8.reversed()))
        case .substringBefore:
            return find(other, in: text).map { .string(String(text.utf8.prefix($0)) ?? "") } ?? .string("")
        case .substringAfter:
            return find(other, in: text).map { .string(String(text.utf8.dropFirst($0 + other.utf8.count)) ?? "") }
                ?? .string("")
        default: return pattern(function, text, other, Array(arguments.dropFirst(2)), compiled, &steps)
        }
    }

    private static func pattern(
        _ function: BuiltIn, _ text: String, _ source: String, _ rest: [Value], _ compiled: Pattern?,
        _ steps: inout Int
    ) -> Value {
        var pattern = compiled
        if pattern == nil {
            guard let flags = flags(function, rest) else { return .null }
            pattern = Pattern(source, flags: flags)
            steps += (pattern?.size ?? 0) / FEELLimits.nodesPerStep
        }
        guard let pattern else { return .null }
        var run = PatternBudget()
        defer { steps += run.steps / FEELLimits.nodesPerStep }
        switch function {
        case .matches: return pattern.matches(text, &run).map { .boolean($0) } ?? .null
        case .split: return pattern.split(text, &run).map { .list($0.map { .string($0) }) } ?? .null
        case .replace:
            guard let first = rest.first, case .string(let replacement) = singleton(first) else { return .null }
            return pattern.replace(text, with: replacement, &run).map { .string($0) } ?? .null
        default: return .null
        }
    }

    /// The flags among the arguments after the pattern: none when left out or null, nil when they are no text.
    private static func flags(_ function: BuiltIn, _ rest: [Value]) -> String? {
        let position = function == .replace ? 1 : 0
        guard rest.count > position else { return "" }
        switch singleton(rest[position]) {
        case .string(let given): return given
        case .null: return ""
        default: return nil
        }
    }

    /// Needles from this length on are searched for without ever going back in the text.
    private static let longNeedle = 32

    /// Byte offset of the first occurrence.
    private static func find(_ needle: String, in text: String) -> Int? {
        let haystack = Array(text.utf8)
        let needle = Array(needle.utf8)
        if needle.isEmpty { return 0 }
        guard haystack.count >= needle.count else { return nil }
        if needle.count >= longNeedle { return findLong(needle, in: haystack) }
        for start in 0...(haystack.count - needle.count) where haystack[start] == needle[0] {
            if haystack[start..<(start + needle.count)].elementsEqual(needle) { return start }
        }
        return nil
    }

    /// Knuth, Morris and Pratt's search: linear whatever the texts.
    private static func findLong(_ needle: [UInt8], in haystack: [UInt8]) -> Int? {
        var borders = Array(repeating: 0, count: needle.count)
        var length = 0
        for index in 1..<needle.count {
            while length > 0 && needle[index] != needle[length] { length = borders[length - 1] }
            if needle[index] == needle[length] { length += 1 }
            borders[index] = length
        }
        length = 0
        for (index, byte) in haystack.enumerated() {
            while length > 0 && byte != needle[length] { length = borders[length - 1] }
            if byte == needle[length] { length += 1 }
            if length == needle.count { return index + 1 - length }
        }
        return nil
    }

    private static func substring(_ text: String, _ arguments: [Value]) -> Value {
        guard case .number(let position) = singleton(arguments[0]),
            let start = position.rounded(scale: 0, .down)?.integer,
            start != 0
        else { return .null }
        let scalars = Array(text.unicodeScalars)
        let first = start > 0 ? start - 1 : scalars.count + start
        guard first >= 0 else { return .null }
        var end = scalars.count
        if arguments.count > 1, !arguments[1].isNull {
            guard case .number(let given) = singleton(arguments[1]),
                let length = given.rounded(scale: 0, .down)?.integer, length > 0
            else { return .null }
            end = length < scalars.count ? min(scalars.count, first + length) : scalars.count
        }
        guard first < scalars.count else { return start > 0 ? .string("") : .null }
        var result = String.UnicodeScalarView()
        result.append(contentsOf: scalars[first..<max(first, end)])
        return .string(String(result))
    }

    private static func join(_ arguments: [Value]) -> Value {
        guard let elements = asList(arguments[0]) else { return .null }
        var delimiter = ""
        if arguments.count > 1 {
            switch arguments[1] {
            case .string(let given): delimiter = given
            case .null: break
            default: return .null
            }
        }
        var result = ""
        var isFirst = true
        for element in elements {
            switch element {
            case .null: continue
            case .string(let text):
                if !isFirst { result += delimiter }
                result += text
                isFirst = false
            default: return .null
            }
            if result.utf8.count > FEELLimits.stringBytes { return .null }
        }
        return .string(result)
    }
}
