import FEEL

/// SplitMix64: a seed is a test.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &self)]
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// Writes random, well-typed FEEL expressions over the names of `Sample`. With `isStrict`, a name that may be null
/// stands in order and arithmetic only where a guard is written around it.
struct ExpressionGenerator {
    enum Kind: CaseIterable {
        case boolean, number, text, date, instant, localDateTime, daysTime, yearsMonths
    }

    var random: SeededGenerator
    let isStrict: Bool
    private var guarded: Set<String> = []

    init(seed: UInt64, isStrict: Bool) {
        random = SeededGenerator(seed: seed)
        self.isStrict = isStrict
    }

    mutating func expression(_ kind: Kind, depth: Int) -> String {
        // Strict text may use a nullable name anywhere only in equality; a guard opens the rest.
        if depth <= 0 || random.chance(15) { return leaf(kind) }
        if random.chance(8) {
            let test = expression(.boolean, depth: depth - 1)
            return "(if \(test) then \(expression(kind, depth: depth - 1)) else \(expression(kind, depth: depth - 1)))"
        }
        switch kind {
        case .boolean: return condition(depth - 1)
        case .number: return number(depth - 1)
        case .text: return text(depth - 1)
        case .date: return date(depth - 1)
        case .instant, .localDateTime: return dateTime(kind, depth - 1)
        case .daysTime, .yearsMonths: return duration(kind, depth - 1)
        }
    }

    // MARK: Leaves

    private func names(_ kind: Kind) -> [String] {
        Sample.columns.filter { $0.kind == kind && (!isStrict || !$0.isNullable || guarded.contains($0.name)) }
            .map(\.name)
    }

    mutating func leaf(_ kind: Kind) -> String {
        let names = names(kind)
        if !names.isEmpty && random.chance(70) { return random.pick(names) }
        return constant(kind)
    }

    mutating func constant(_ kind: Kind) -> String {
        if !isStrict && random.chance(6) { return "null" }
        return random.pick(Sample.constants[kind] ?? ["null"])
    }

    // MARK: Conditions

    private mutating func condition(_ depth: Int) -> String {
        switch Int.random(in: 0..<14, using: &random) {
        case 0, 1: return "(\(expression(.boolean, depth: depth)) and \(expression(.boolean, depth: depth)))"
        case 2: return "(\(expression(.boolean, depth: depth)) or \(expression(.boolean, depth: depth)))"
        case 3: return "not(\(expression(.boolean, depth: depth)))"
        case 4, 5:
            let kind = random.pick(Kind.allCases)
            return "(\(equalOperand(kind, depth)) \(random.pick(["=", "!="])) \(equalOperand(kind, depth)))"
        case 6, 7:
            let kind = random.pick(Kind.allCases.filter { $0 != .boolean })
            let operation = random.pick(["<", "<=", ">", ">="])
            return "(\(expression(kind, depth: depth)) \(operation) \(expression(kind, depth: depth)))"
        case 8: return nullTest()
        case 9: return guardedCondition(depth)
        case 10: return range(depth)
        case 11: return membership(depth)
        case 12: return textCondition(depth)
        default: return otherCondition(depth)
        }
    }

    /// Equality takes names that may be null without a guard.
    private mutating func equalOperand(_ kind: Kind, _ depth: Int) -> String {
        let names = Sample.columns.filter { $0.kind == kind }.map(\.name)
        return random.chance(60) && !names.isEmpty ? random.pick(names) : expression(kind, depth: depth)
    }

    private mutating func nullTest() -> String {
        let name = random.pick(Sample.columns.map(\.name))
        return random.chance(50) ? "(\(name) \(random.pick(["=", "!="])) null)" : "is defined(\(name))"
    }

    private mutating func guardedCondition(_ depth: Int) -> String {
        let name = random.pick(Sample.columns.filter(\.isNullable).map(\.name))
        let outer = guarded
        guarded.insert(name)
        defer { guarded = outer }
        let inner = expression(.boolean, depth: depth)
        return random.chance(70) ? "(\(name) != null and \(inner))" : "(\(name) = null or \(inner))"
    }

    private mutating func range(_ depth: Int) -> String {
        let kind = random.pick(Kind.allCases.filter { $0 != .boolean })
        let subject = random.chance(60) ? leaf(kind) : expression(kind, depth: depth)
        let isConstant = random.chance(60)
        let low = isConstant ? constant(kind) : expression(kind, depth: depth)
        let high = isConstant ? constant(kind) : expression(kind, depth: depth)
        if random.chance(50) { return "(\(subject) between \(low) and \(high))" }
        if random.chance(20) { return "(\(subject) in (\(random.pick(["<", "<=", ">", ">="])) \(low)))" }
        return "(\(subject) in \(random.pick(["[", "("]))\(low)..\(high)\(random.pick(["]", ")"])))"
    }

    private mutating func membership(_ depth: Int) -> String {
        let kind = random.pick(Kind.allCases)
        let names = Sample.columns.filter { $0.kind == kind }.map(\.name)
        let subject = random.chance(70) && !names.isEmpty ? random.pick(names) : expression(kind, depth: depth)
        let values = (0..<Int.random(in: 1...11, using: &random)).map { _ in constant(kind) }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return "(\(subject) in [\(values.joined(separator: ", "))])"
        case 1: return "list contains([\(values.joined(separator: ", "))], \(isStrict ? leaf(kind) : subject))"
        case 2:
            let variable = random.pick(["some", "every"])
            let body = kind == .boolean ? "=" : random.pick(["=", "!="])
            return "(\(variable) v in [\(values.joined(separator: ", "))] satisfies v \(body) \(subject))"
        default: return "(\(subject) in (\(values.joined(separator: ", "))))"
        }
    }

    private mutating func textCondition(_ depth: Int) -> String {
        let text = expression(.text, depth: depth)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return "contains(\(text), \(expression(.text, depth: depth)))"
        case 1: return "starts with(\(text), \(leaf(.text)))"
        case 2: return "ends with(\(text), \(leaf(.text)))"
        default:
            let flags = random.chance(30) ? ", \"s\"" : ""
            return "matches(\(text), \"\(random.pick(Sample.patterns))\"\(flags))"
        }
    }

    private mutating func otherCondition(_ depth: Int) -> String {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return "\(random.pick(["odd", "even"]))(\(leaf(.number)))"
        case 1:
            let kind = random.pick(Kind.allCases)
            return
                "(\(expression(kind, depth: depth)) instance of \(random.pick(["number", "string", "date", "boolean"])))"
        default: return leaf(.boolean)
        }
    }

    // MARK: Values

    private mutating func number(_ depth: Int) -> String {
        switch Int.random(in: 0..<12, using: &random) {
        case 0, 1, 2:
            return
                "(\(expression(.number, depth: depth)) \(random.pick(["+", "-", "*"])) \(expression(.number, depth: depth)))"
        case 3, 4: return "(\(expression(.number, depth: depth)) / \(expression(.number, depth: depth)))"
        case 5: return "(- \(expression(.number, depth: depth)))"
        case 6: return "string length(\(expression(.text, depth: depth)))"
        case 7: return "abs(\(expression(.number, depth: depth)))"
        case 8:
            let function = random.pick(["floor", "ceiling", "decimal", "round up", "round down", "round half up"])
            return "\(function)(\(expression(.number, depth: depth)), \(random.pick(["0", "1", "2", "-1"])))"
        case 9:
            let kind = random.pick([Kind.date, .instant, .localDateTime])
            let names =
                kind == .date ? ["year", "month", "day", "weekday"] : ["year", "hour", "minute", "second", "day"]
            return "\(name(kind)).\(random.pick(names))"
        case 10:
            let isDays = random.chance(60)
            let names = isDays ? ["days", "hours", "minutes", "seconds"] : ["years", "months"]
            return "\(name(isDays ? .daysTime : .yearsMonths)).\(random.pick(names))"
        default:
            let kind = random.pick([Kind.daysTime, .yearsMonths])
            return "(\(expression(kind, depth: depth)) / \(expression(kind, depth: depth)))"
        }
    }

    private mutating func name(_ kind: Kind) -> String {
        let names = names(kind)
        return names.isEmpty ? "(\(constant(kind)))" : random.pick(names)
    }

    private mutating func text(_ depth: Int) -> String {
        let text = expression(.text, depth: depth)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return "(\(text) + \(expression(.text, depth: depth)))"
        case 1: return "substring(\(text), \(random.pick(["1", "2", "-1", "-2", "5"])))"
        case 2: return "substring(\(text), \(random.pick(["1", "2", "-2"])), \(random.pick(["1", "2"])))"
        case 3: return "substring before(\(text), \(leaf(.text)))"
        case 4: return "substring after(\(text), \(leaf(.text)))"
        default:
            return "\(random.pick(["day of week", "month of year"]))(\(leaf(random.pick([.date, .instant]))))"
        }
    }

    private mutating func date(_ depth: Int) -> String {
        if random.chance(30) { return "date(\(expression(random.pick([.instant, .localDateTime]), depth: depth)))" }
        let duration = constant(random.pick([.daysTime, .yearsMonths]))
        return "(\(expression(.date, depth: depth)) \(random.pick(["+", "-"])) \(duration))"
    }

    private mutating func dateTime(_ kind: Kind, _ depth: Int) -> String {
        let duration = constant(random.pick([.daysTime, .yearsMonths]))
        return "(\(expression(kind, depth: depth)) \(random.pick(["+", "-"])) \(duration))"
    }

    private mutating func duration(_ kind: Kind, _ depth: Int) -> String {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return "(\(expression(kind, depth: depth)) * \(expression(.number, depth: depth)))"
        case 1: return "(\(expression(kind, depth: depth)) / \(expression(.number, depth: depth)))"
        case 2 where kind == .daysTime:
            let point = random.pick([Kind.date, .instant, .localDateTime])
            return "(\(expression(point, depth: depth)) - \(expression(point, depth: depth)))"
        default:
            return "(\(expression(kind, depth: depth)) \(random.pick(["+", "-"])) \(expression(kind, depth: depth)))"
        }
    }
}
