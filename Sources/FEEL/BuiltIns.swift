/// The built-in functions: one switch, each group in a file of its own. A null result means the arguments have no
/// answer.
enum BuiltIns {
    /// - Parameter pattern: the regular expression among the arguments, when it is compiled already.
    static func apply(
        _ function: BuiltIn, _ arguments: [Value], _ pattern: Pattern?, _ machine: inout Machine, _ index: Int32
    ) -> Value {
        switch function {
        case .substring, .stringLength, .upperCase, .lowerCase, .substringBefore, .substringAfter, .replace, .contains,
            .startsWith, .endsWith, .matches, .split, .stringJoin:
            return text(function, arguments, pattern, &machine.steps)
        case .decimal, .floor, .ceiling, .roundUp, .roundDown, .roundHalfUp, .roundHalfDown, .abs, .modulo, .sqrt,
            .log, .exp, .odd, .even:
            return numeric(function, arguments)
        case .count, .min, .max, .sum, .mean, .all, .any, .product, .median, .stddev, .mode:
            return aggregate(function, arguments)
        case .listContains, .sublist, .append, .concatenate, .insertBefore, .remove, .reverse, .indexOf, .union,
            .distinctValues, .flatten:
            return list(function, arguments, &machine.steps)
        case .listReplace: return listReplace(arguments, &machine, index)
        case .sort: return sort(arguments, &machine, index)
        case .before, .after, .meets, .metBy, .overlaps, .overlapsBefore, .overlapsAfter, .finishes, .finishedBy,
            .includes, .during, .starts, .startedBy, .coincides:
            return RangeRelations.apply(function, arguments[0], arguments[1])
        case .date, .time, .dateAndTime, .duration, .yearsAndMonthsDuration, .dayOfYear, .dayOfWeek, .monthOfYear,
            .weekOfYear, .now, .today:
            return temporal(function, arguments, machine.program.zones, machine.now)
        case .number, .string, .range, .not, .isSame, .isDefined, .getOrElse:
            return conversion(function, arguments, machine.program.zones)
        case .context, .getValue, .getEntries, .contextPut, .contextMerge:
            return contexts(function, arguments)
        }
    }

    /// The scalars that an aggregate runs over: its one list argument, or its arguments.
    static func operands(_ arguments: [Value]) -> [Value]? {
        if arguments.count == 1 {
            switch arguments[0] {
            case .list(let elements): return elements
            case .null: return nil
            default: return arguments
            }
        }
        return arguments
    }

    static func boolean(_ truth: Truth) -> Value { truth.value }

    /// A list argument; a single value counts as a list of one, null does not.
    static func asList(_ value: Value) -> [Value]? {
        switch value {
        case .list(let elements): elements
        case .null: nil
        default: [value]
        }
    }

    static func singleton(_ value: Value) -> Value {
        if case .list(let elements) = value, elements.count == 1 { return elements[0] }
        return value
    }

    // MARK: Conversion

    private static func conversion(_ function: BuiltIn, _ arguments: [Value], _ zones: ZoneOffsets) -> Value {
        switch function {
        case .number: return number(arguments)
        case .string: return arguments[0].isNull ? .null : arguments[0].wholeText.map { .string($0) } ?? .null
        case .range: return range(arguments[0], zones)
        case .not:
            if case .boolean(let value) = arguments[0] { return .boolean(!value) }
            return .null
        case .isSame: return same(arguments[0], arguments[1])
        case .isDefined: return .boolean(!arguments[0].isNull)
        case .getOrElse: return arguments[0].isNull ? arguments[1] : arguments[0]
        default: return .null
        }
    }

    private static func number(_ arguments: [Value]) -> Value {
        if arguments.count == 1, case .number = arguments[0] { return arguments[0] }
        guard case .string(var text) = arguments[0] else { return .null }
        if arguments.count == 3 {
            var separators: [String] = []
            for (index, allowed) in [[" ", ",", "."], [",", "."]].enumerated() {
                switch arguments[index + 1] {
                case .null: separators.append("")
                case .string(let separator) where allowed.contains(separator): separators.append(separator)
                default: return .null
                }
            }
            if separators[0] == separators[1] && !separators[0].isEmpty { return .null }
            if !separators[0].isEmpty { text = text.filter { String($0) != separators[0] } }
            if !separators[1].isEmpty && separators[1] != "." {
                if text.contains(".") { return .null }
                text = String(text.map { String($0) == separators[1] ? "." : $0 })
            }
        }
        return text.hasSuffix(".") ? .null : Decimal(text).map { .number($0) } ?? .null
    }

    /// `is`: the same type and the same representation, zones included.
    private static func same(_ a: Value, _ b: Value) -> Value {
        switch (a, b) {
        case (.time(let a), .time(let b)):
            return .boolean(a.nanosecondOfDay == b.nanosecondOfDay && a.zone == b.zone)
        case (.dateTime(let a), .dateTime(let b)):
            return .boolean(a.localSeconds == b.localSeconds && a.nanosecond == b.nanosecond && a.zone == b.zone)
        default: return .boolean(Comparison.equal(a, b) == .yes)
        }
    }

    /// `range("[1..5]")`: only a range of literals is read.
    private static func range(_ source: Value, _ zones: ZoneOffsets) -> Value {
        guard case .string(let text) = source,
            var parser = try? Parser(text, Environment([], zones: zones), inputType: nil),
            let term = try? parser.wholeExpression(), case .interval(let low, let high, _, _) = term.kind,
            isLiteral(low), isLiteral(high), let expression = try? Expression(text, in: Environment([], zones: zones)),
            case .range(let interval)? = expression.constant
        else { return .null }
        return .range(interval)
    }

    /// A literal, or a temporal function of a string literal.
    private static func isLiteral(_ term: Term) -> Bool {
        switch term.kind {
        case .constant: return true
        case .call(let function, let arguments, _):
            guard [.date, .time, .dateAndTime, .duration].contains(function), arguments.count == 1,
                case .constant(.string) = arguments[0].kind
            else { return false }
            return true
        default: return false
        }
    }
}
