/// A character class.
struct PatternSet: Sendable {
    enum Item: Sendable {
        case range(UInt32, UInt32)
        case digit, word, space, nameStart, nameCharacter
        case category(String)
        indirect case not(Item)
    }

    var items: [Item] = []
    var isNegated = false
    var subtracted: [PatternSet] = []

    static func folded(_ value: UInt32) -> UInt32 {
        guard let scalar = Unicode.Scalar(value) else { return value }
        let mapping = scalar.properties.lowercaseMapping.unicodeScalars
        return mapping.count == 1 ? mapping.first?.value ?? value : value
    }

    private static func raised(_ value: UInt32) -> UInt32 {
        guard let scalar = Unicode.Scalar(value) else { return value }
        let mapping = scalar.properties.uppercaseMapping.unicodeScalars
        return mapping.count == 1 ? mapping.first?.value ?? value : value
    }

    func contains(_ scalar: UInt32, ignoresCase: Bool) -> Bool {
        var isIn = items.contains { PatternSet.holds($0, scalar) }
        if !isIn && ignoresCase {
            let variants = [PatternSet.folded(scalar), PatternSet.raised(scalar)]
            isIn = items.contains { item in variants.contains { PatternSet.holds(item, $0) } }
        }
        if isIn == isNegated { return false }
        return !subtracted.contains { $0.contains(scalar, ignoresCase: ignoresCase) }
    }

    private static func holds(_ item: Item, _ value: UInt32) -> Bool {
        switch item {
        case .range(let low, let high): return value >= low && value <= high
        case .not(let item): return !holds(item, value)
        case .space: return value == 32 || value == 9 || value == 10 || value == 13
        case .digit: return category(value) == "Nd"
        case .word: return !["P", "Z", "C"].contains(category(value).prefix(1))
        case .nameStart: return value == 58 || value == 95 || category(value).hasPrefix("L")
        case .nameCharacter:
            return value == 58 || value == 95 || value == 45 || value == 46 || value == 0xB7
                || ["L", "N", "M"].contains(category(value).prefix(1))
        case .category(let name):
            if name == "IsBasicLatin" { return value < 0x80 }
            return category(value).hasPrefix(name)
        }
    }

    static let categories: Set<String> = [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe",
        "Pi", "Pf", "Po", "Z", "Zs", "Zl", "Zp", "S", "Sm", "Sc", "Sk", "So", "C", "Cc", "Cf", "Co", "Cn",
        "IsBasicLatin",
    ]

    private static func category(_ value: UInt32) -> String {
        guard let scalar = Unicode.Scalar(value) else { return "Cn" }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter: return "Lu"
        case .lowercaseLetter: return "Ll"
        case .titlecaseLetter: return "Lt"
        case .modifierLetter: return "Lm"
        case .otherLetter: return "Lo"
        case .nonspacingMark: return "Mn"
        case .spacingMark: return "Mc"
        case .enclosingMark: return "Me"
        case .decimalNumber: return "Nd"
        case .letterNumber: return "Nl"
        case .otherNumber: return "No"
        case .connectorPunctuation: return "Pc"
        case .dashPunctuation: return "Pd"
        case .openPunctuation: return "Ps"
        case .closePunctuation: return "Pe"
        case .initialPunctuation: return "Pi"
        case .finalPunctuation: return "Pf"
        case .otherPunctuation: return "Po"
        case .spaceSeparator: return "Zs"
        case .lineSeparator: return "Zl"
        case .paragraphSeparator: return "Zp"
        case .mathSymbol: return "Sm"
        case .currencySymbol: return "Sc"
        case .modifierSymbol: return "Sk"
        case .otherSymbol: return "So"
        case .control: return "Cc"
        case .format: return "Cf"
        case .privateUse: return "Co"
        default: return "Cn"
        }
    }
}

/// Parses a pattern straight into instructions; nil when it is malformed or too big.
struct PatternCompiler {
    private let source: [UInt32]
    private var index = 0
    private var depth = 0
    private var closed: Set<Int> = []
    private(set) var groups = 0
    private(set) var loops = 0

    init(_ source: [UInt32]) { self.source = source }

    private var current: Unicode.Scalar? {
        index < source.count ? Unicode.Scalar(source[index]) : nil
    }

    mutating func compile() -> [Pattern.Instruction]? {
        guard let code = alternatives(), index == source.count else { return nil }
        return code + [.match]
    }

    /// Code is position-independent until it is placed: targets inside a fragment are relative to its start and shifted
    /// when it moves.
    private static func shifted(_ code: [Pattern.Instruction], by offset: Int) -> [Pattern.Instruction] {
        code.map { instruction in
            switch instruction {
            case .split(let a, let b): .split(a + offset, b + offset)
            case .jump(let target): .jump(target + offset)
            default: instruction
            }
        }
    }

    private mutating func alternatives() -> [Pattern.Instruction]? {
        depth += 1
        defer { depth -= 1 }
        guard depth <= FEELLimits.parserDepth, var code = sequence() else { return nil }
        while current == "|" {
            index += 1
            guard let other = sequence(), code.count + other.count < FEELLimits.patternInstructions else { return nil }
            let second = code.count + 2
            code =
                [.split(1, second)] + PatternCompiler.shifted(code, by: 1) + [.jump(second + other.count)]
                + PatternCompiler.shifted(other, by: second)
        }
        return code
    }

    private mutating func sequence() -> [Pattern.Instruction]? {
        var code: [Pattern.Instruction] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            guard let atom = atom(), let piece = quantified(atom),
                code.count + piece.count < FEELLimits.patternInstructions
            else { return nil }
            code += PatternCompiler.shifted(piece, by: code.count)
        }
        return code
    }

    private mutating func atom() -> [Pattern.Instruction]? {
        guard let scalar = current else { return nil }
        index += 1
        switch scalar {
        case ".": return [.any]
        case "^": return [.lineStart]
        case "$": return [.lineEnd]
        case "(": return group()
        case "[": return set().map { [.set($0)] }
        case "\\": return escape()
        case "*", "+", "?", "{", "}", "]": return nil
        default: return [.scalar(scalar.value)]
        }
    }

    private mutating func group() -> [Pattern.Instruction]? {
        var number: Int?
        if current == "?" {
            index += 1
            guard current == ":" else { return nil }
            index += 1
        } else {
            groups += 1
            number = groups
        }
        guard let inner = alternatives(), current == ")" else { return nil }
        index += 1
        guard let number else { return inner }
        closed.insert(number)
        return [.save(number * 2)] + PatternCompiler.shifted(inner, by: 1) + [.save(number * 2 + 1)]
    }

    private mutating func escape() -> [Pattern.Instruction]? {
        guard let scalar = current else { return nil }
        if let digit = scalar.properties.numericType != nil && scalar.isASCII ? Int(scalar.value) - 48 : nil {
            index += 1
            var number = digit
            while let next = current, next.value >= 48, next.value <= 57, number * 10 + Int(next.value) - 48 <= groups {
                number = number * 10 + Int(next.value) - 48
                index += 1
            }
            return closed.contains(number) ? [.backReference(number)] : nil
        }
        guard let item = classEscape() else { return nil }
        if case .range(let low, _) = item { return [.scalar(low)] }
        return [.set(PatternSet(items: [item]))]
    }

    /// The escape after a backslash: a class, or a single character as a range of one.
    private mutating func classEscape() -> PatternSet.Item? {
        guard let scalar = current else { return nil }
        index += 1
        switch scalar {
        case "n": return .range(10, 10)
        case "r": return .range(13, 13)
        case "t": return .range(9, 9)
        case "d": return .digit
        case "D": return .not(.digit)
        case "w": return .word
        case "W": return .not(.word)
        case "s": return .space
        case "S": return .not(.space)
        case "i": return .nameStart
        case "I": return .not(.nameStart)
        case "c": return .nameCharacter
        case "C": return .not(.nameCharacter)
        case "p", "P":
            guard current == "{" else { return nil }
            var name = ""
            index += 1
            while let next = current, next != "}" {
                name.unicodeScalars.append(next)
                index += 1
            }
            guard current == "}", PatternSet.categories.contains(name) else { return nil }
            index += 1
            return scalar == "p" ? .category(name) : .not(.category(name))
        default:
            return "\\|.-^?*+{}()[]$".unicodeScalars.contains(scalar) ? .range(scalar.value, scalar.value) : nil
        }
    }

    private mutating func set() -> PatternSet? {
        depth += 1
        defer { depth -= 1 }
        guard depth <= FEELLimits.parserDepth else { return nil }
        var set = PatternSet()
        if current == "^" {
            set.isNegated = true
            index += 1
        }
        while let scalar = current, scalar != "]" {
            index += 1
            if scalar == "-" && current == "[" {
                index += 1
                guard let inner = self.set(), current == "]", !set.items.isEmpty else { return nil }
                set.subtracted.append(inner)
                break
            }
            guard scalar != "[", let item = scalar == "\\" ? classEscape() : .range(scalar.value, scalar.value) else {
                return nil
            }
            guard case .range(let low, _) = item, current == "-", index + 1 < source.count,
                source[index + 1] != 0x5D, source[index + 1] != 0x5B
            else {
                set.items.append(item)
                continue
            }
            index += 1
            guard let last = current else { return nil }
            index += 1
            guard let end = last == "\\" ? classEscape() : .range(last.value, last.value),
                case .range(let high, _) = end
            else { return nil }
            guard low <= high else { return nil }
            set.items.append(.range(low, high))
        }
        guard current == "]", !set.items.isEmpty else { return nil }
        index += 1
        return set
    }

    // MARK: Quantifiers

    private mutating func quantified(_ atom: [Pattern.Instruction]) -> [Pattern.Instruction]? {
        guard let (least, most) = counts() else { return nil }
        if least == 1 && most == 1 { return atom }
        let isLazy = current == "?"
        if isLazy { index += 1 }
        let copies = max(least, most ?? least) + 1
        guard copies <= FEELLimits.patternRepeats, atom.count * copies < FEELLimits.patternInstructions else {
            return nil
        }
        var code: [Pattern.Instruction] = []
        for _ in 0..<least { code += PatternCompiler.shifted(atom, by: code.count) }
        if let most {
            let optional = (least..<most).map { _ in atom.count + 1 }
            let end = code.count + optional.reduce(0, +)
            for _ in optional {
                let body = code.count + 1
                code.append(isLazy ? .split(end, body) : .split(body, end))
                code += PatternCompiler.shifted(atom, by: body)
            }
            return code
        }
        let loop = loops
        loops += 1
        let start = code.count
        let body = start + 2
        let end = body + atom.count + 2
        code.append(isLazy ? .split(end, start + 1) : .split(start + 1, end))
        code.append(.enterLoop(loop))
        code += PatternCompiler.shifted(atom, by: body)
        code.append(.checkLoop(loop))
        code.append(.jump(start))
        return code
    }

    /// How often the last atom repeats: once without a quantifier; no upper bound is nil. nil altogether when
    /// malformed.
    private mutating func counts() -> (Int, Int?)? {
        guard let scalar = current else { return (1, 1) }
        switch scalar {
        case "*":
            index += 1
            return (0, nil)
        case "+":
            index += 1
            return (1, nil)
        case "?":
            index += 1
            return (0, 1)
        case "{":
            index += 1
            guard let least = count() else { return nil }
            var most: Int? = least
            if current == "," {
                index += 1
                most = current == "}" ? nil : count()
                if most == nil && current != "}" { return nil }
            }
            guard current == "}", most.map({ $0 >= least }) ?? true else { return nil }
            index += 1
            return (least, most)
        default: return (1, 1)
        }
    }

    private mutating func count() -> Int? {
        var value: Int?
        while let scalar = current, scalar.value >= 48, scalar.value <= 57 {
            value = min((value ?? 0) * 10 + Int(scalar.value) - 48, 100_000)
            index += 1
        }
        return value
    }
}
