extension SQLWriter {
    // MARK: Functions that give true, false or null

    mutating func predicate(
        _ function: BuiltIn, _ arguments: [Term], _ term: Term, _ need: Need
    ) throws(SQLError) -> String {
        switch function {
        case .not:
            return "(NOT \(try condition(arguments[0], need.negated)))"
        case .isDefined:
            let value = try operand(arguments[0])
            return value.isNull ? "FALSE" : "(\(value.text) IS NOT NULL)"
        case .listContains: return try listContains(arguments, term, need)
        case .contains, .startsWith, .endsWith, .matches: return try textPredicate(function, arguments, term)
        case .odd, .even:
            guard let value = try operands(arguments, [.number], term)?[0] else { return "NULL::boolean" }
            return once([value.text]) { _, names in
                "CASE WHEN \(names[0]) = trunc(\(names[0])) THEN mod(\(names[0]), 2) \(function == .odd ? "<>" : "=") 0 END"
            }
        default: throw unsupported(term)
        }
    }

    private mutating func textPredicate(
        _ function: BuiltIn, _ arguments: [Term], _ term: Term
    ) throws(SQLError) -> String {
        if function == .matches { return try matches(arguments, term) }
        guard let values = try operands(arguments, [.text, .text], term) else { return "NULL::boolean" }
        let (text, other) = (values[0].text, values[1].text)
        switch function {
        case .contains: return "(strpos(\(text), \(other)) > 0)"
        case .startsWith: return "(\(text) ^@ \(other))"
        default: return "(right(\(text), char_length(\(other))) = \(other))"
        }
    }

    private mutating func matches(_ arguments: [Term], _ term: Term) throws(SQLError) -> String {
        var flags = ""
        if arguments.count > 2 {
            guard case .constant(let value) = arguments[2].kind else { throw unsupported(term) }
            flags = value.string ?? ""
            if !value.isNull && value.string == nil { throw unsupported(term) }
        }
        guard case .constant(.string(let source)) = arguments[1].kind else {
            throw refuse(.unsupported, "only a constant pattern can be checked for PostgreSQL", arguments[1])
        }
        guard let pattern = SQLPattern.translated(source, flags: flags) else {
            throw refuse(
                .unsupported, "the pattern means something else, or nothing, in PostgreSQL", arguments[1])
        }
        guard let value = try operands([arguments[0]], [.text], term)?[0] else { return "NULL::boolean" }
        return "(\(value.ordered) ~ \(parameter(pattern, "text")))"
    }

    /// The operands of these kinds; nil when one is null, which makes the function null.
    private mutating func operands(
        _ arguments: [Term], _ kinds: [SQLOperand.Kind], _ term: Term
    ) throws(SQLError) -> [SQLOperand]? {
        guard arguments.count == kinds.count else { throw unsupported(term) }
        var values: [SQLOperand] = []
        for (argument, kind) in zip(arguments, kinds) {
            let value = try operand(argument)
            if value.isNull { return nil }
            guard value.kind == kind else {
                throw refuse(
                    .typeMismatch, "\(term.construct) of a \(value.kind.type.name)", argument)
            }
            values.append(value)
        }
        return values
    }

    // MARK: Functions that give values

    mutating func call(_ function: BuiltIn, _ arguments: [Term], _ term: Term) throws(SQLError) -> SQLOperand {
        switch function {
        case .now, .today: throw refuse(.noClock, "the time was not supplied", term)
        case .getOrElse: return try orElse(arguments, term)
        case .stringLength, .substring, .substringBefore, .substringAfter:
            return try checked(try text(function, arguments, term), term)
        case .abs:
            var value = try operand(arguments[0])
            guard [.number, .daysTime, .yearsMonths, .null].contains(value.kind) else { throw unsupported(term) }
            if !value.isNull { value.text = "abs(\(value.text))" }
            value.integer = nil
            return value
        case .floor, .ceiling, .roundDown, .roundHalfUp, .roundUp, .decimal:
            return try checked(try rounding(function, arguments, term), term)
        case .date where arguments.count == 1:
            let value = try operand(arguments[0])
            switch value.kind {
            case .null, .date: return value
            case .localDateTime: return SQLOperand("(\(value.text)::date)", .date, isNullable: value.isNullable)
            case .instant:
                return SQLOperand("((\(value.text) AT TIME ZONE 'UTC')::date)", .date, isNullable: value.isNullable)
            default: throw unsupported(term)
            }
        case .dayOfWeek, .monthOfYear, .dayOfYear, .weekOfYear: return try calendar(function, arguments, term)
        default: throw unsupported(term)
        }
    }

    private mutating func orElse(_ arguments: [Term], _ term: Term) throws(SQLError) -> SQLOperand {
        let (value, rest) = (try operand(arguments[0]), try operand(arguments[1]))
        if value.isNull { return rest }
        if rest.isNull { return value }
        guard value.kind == rest.kind else { throw refuse(.typeMismatch, "the default is of another type", term) }
        return SQLOperand("COALESCE(\(value.text), \(rest.text))", value.kind, isNullable: rest.isNullable)
    }

    private mutating func text(_ function: BuiltIn, _ arguments: [Term], _ term: Term) throws(SQLError) -> SQLOperand {
        switch function {
        case .stringLength:
            guard let value = try operands(arguments, [.text], term)?[0] else { return SQLOperand("NULL", .null) }
            return SQLOperand(
                "(char_length(\(value.text))::numeric)", .number, isNullable: value.isNullable,
                digits: SQLOperand.Digits(whole: 10, scale: 0))
        case .substring: return try substring(arguments, term)
        default:
            guard let values = try operands(arguments, [.text, .text], term) else { return SQLOperand("NULL", .null) }
            let isBefore = function == .substringBefore
            let result = once(values.map(\.text)) { _, names in
                let (text, match) = (names[0], names[1])
                let found =
                    isBefore
                    ? "left(\(text), strpos(\(text), \(match)) - 1)"
                    : "substr(\(text), strpos(\(text), \(match)) + char_length(\(match)))"
                return "CASE WHEN strpos(\(text), \(match)) = 0 THEN '' ELSE \(found) END"
            }
            return SQLOperand(result, .text, isNullable: values.contains(where: \.isNullable))
        }
    }

    private mutating func substring(_ arguments: [Term], _ term: Term) throws(SQLError) -> SQLOperand {
        var numbers: [Int] = []
        for argument in arguments.dropFirst() {
            guard case .constant(.number(let number)) = argument.kind,
                let whole = number.rounded(scale: 0, .down)?.integer, whole.magnitude < 1 << 30
            else { throw refuse(.unsupported, "only constant positions", argument) }
            numbers.append(whole)
        }
        guard let value = try operands([arguments[0]], [.text], term)?[0] else { return SQLOperand("NULL", .null) }
        let length = numbers.count > 1 ? numbers[1] : nil
        if numbers[0] == 0 || (length ?? 1) <= 0 { return SQLOperand("NULL::text", .text) }
        let rest = length.map { ", \($0)" } ?? ""
        if numbers[0] > 0 {
            return SQLOperand("substr(\(value.text), \(numbers[0])\(rest))", .text, isNullable: value.isNullable)
        }
        let text = once([value.text]) { _, names in
            "CASE WHEN char_length(\(names[0])) >= \(-numbers[0]) "
                + "THEN substr(\(names[0]), char_length(\(names[0])) + 1 - \(-numbers[0])\(rest)) END"
        }
        return SQLOperand(text, .text)
    }

    private mutating func rounding(
        _ function: BuiltIn, _ arguments: [Term], _ term: Term
    ) throws(SQLError) -> SQLOperand {
        var scale = 0
        if arguments.count > 1 {
            guard case .constant(.number(let number)) = arguments[1].kind,
                let whole = number.rounded(scale: 0, .down)?.integer, whole.magnitude <= 1000
            else { throw refuse(.unsupported, "only a constant scale", arguments[1]) }
            scale = whole
        }
        guard let value = try operands([arguments[0]], [.number], term)?[0] else { return SQLOperand("NULL", .null) }
        let (up, down) = (parameter("1E\(scale)", "numeric"), parameter("1E\(-scale)", "numeric"))
        let text: String
        switch function {
        case .floor: text = "(floor(\(value.text) * \(up)) * \(down))"
        case .ceiling: text = "(ceil(\(value.text) * \(up)) * \(down))"
        case .roundDown: text = "trunc(\(value.text), \(scale))"
        case .roundHalfUp: text = "round(\(value.text), \(scale))"
        case .roundUp:
            text = once([value.text]) { _, names in
                "sign(\(names[0])) * ceil(abs(\(names[0])) * \(up)) * \(down)"
            }
        default:
            // Half to even: PostgreSQL takes a tie away from zero, to the wrong side when the digit before is even.
            text = once([value.text, "trunc(\(value.text), \(scale))"]) { _, names in
                "CASE WHEN abs(\(names[0]) - \(names[1])) * 2 = \(down) AND mod(\(names[1]), 2 * \(down)) = 0 "
                    + "THEN \(names[1]) ELSE round(\(names[0]), \(scale)) END"
            }
        }
        return SQLOperand(text, .number, isNullable: value.isNullable)
    }

    // MARK: Dates and times

    /// A date or local timestamp to take fields from; nil for null.
    private func fields(_ value: SQLOperand) -> String? {
        switch value.kind {
        case .date, .localDateTime: value.text
        case .instant: "(\(value.text) AT TIME ZONE 'UTC')"
        default: nil
        }
    }

    private mutating func calendar(
        _ function: BuiltIn, _ arguments: [Term], _ term: Term
    ) throws(SQLError) -> SQLOperand {
        let value = try operand(arguments[0])
        if value.isNull { return value }
        guard let source = fields(value) else { throw unsupported(term) }
        let days = "'{Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday}'"
        let months =
            "'{January,February,March,April,May,June,July,August,September,October,November,December}'"
        let digits = SQLOperand.Digits(whole: 3, scale: 0)
        switch function {
        case .dayOfWeek:
            return SQLOperand(
                "((\(days)::text[])[extract(isodow FROM \(source))::integer])", .text, isNullable: value.isNullable)
        case .monthOfYear:
            return SQLOperand(
                "((\(months)::text[])[extract(month FROM \(source))::integer])", .text, isNullable: value.isNullable)
        case .dayOfYear:
            return SQLOperand("extract(doy FROM \(source))", .number, isNullable: value.isNullable, digits: digits)
        default:
            return SQLOperand("extract(week FROM \(source))", .number, isNullable: value.isNullable, digits: digits)
        }
    }

    mutating func property(_ name: String, _ value: SQLOperand, _ term: Term) throws(SQLError) -> SQLOperand {
        if value.isNull { return value }
        let text: String
        switch (value.kind, name) {
        case (.daysTime, "days"): text = "div(div(\(value.text), 1000000000), 86400)"
        case (.daysTime, "hours"): text = "mod(div(div(\(value.text), 1000000000), 3600), 24)"
        case (.daysTime, "minutes"): text = "mod(div(div(\(value.text), 1000000000), 60), 60)"
        case (.daysTime, "seconds"): text = "(mod(\(value.text), 60000000000) * 0.000000001)"
        case (.yearsMonths, "years"): text = "div(\(value.text), 12)"
        case (.yearsMonths, "months"): text = "mod(\(value.text), 12)"
        case (.localTime, "hour"), (.localTime, "minute"): text = "extract(\(name) FROM \(value.text))"
        case (.localTime, "second"): text = "floor(extract(second FROM \(value.text)))"
        default:
            guard let source = fields(value), let field = dateField(name, source, value.kind) else {
                throw unsupported(term)
            }
            text = field
        }
        return SQLOperand(text, .number, isNullable: value.isNullable, digits: SQLOperand.Digits(whole: 19, scale: 9))
    }

    private mutating func dateField(_ name: String, _ source: String, _ kind: SQLOperand.Kind) -> String? {
        switch name {
        case "year":
            // PostgreSQL has no year 0: its year before 1 is -1.
            return once(["extract(year FROM \(source))"]) { _, names in
                "CASE WHEN \(names[0]) < 0 THEN \(names[0]) + 1 ELSE \(names[0]) END"
            }
        case "month", "day": return "extract(\(name) FROM \(source))"
        case "weekday": return "extract(isodow FROM \(source))"
        case "hour" where kind != .date, "minute" where kind != .date: return "extract(\(name) FROM \(source))"
        case "second" where kind != .date: return "floor(extract(second FROM \(source)))"
        default: return nil
        }
    }
}
