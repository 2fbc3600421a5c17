extension SQLWriter {
    mutating func arithmetic(
        _ operation: ArithmeticOperator, _ a: Term, _ b: Term, _ term: Term
    ) throws(SQLError) -> SQLOperand {
        let (x, y) = (try operand(a), try operand(b))
        if x.isNull || y.isNull { return SQLOperand("NULL", .null) }
        let result: SQLOperand?
        switch (x.kind, y.kind) {
        case (.number, .number): result = numeric(operation, x, y)
        case (.text, .text) where operation == .add:
            result = SQLOperand("(\(x.text) || \(y.text))", .text, isNullable: x.isNullable || y.isNullable)
        case (.daysTime, _), (.yearsMonths, _): result = try duration(operation, x, y, term)
        case (.number, .daysTime) where operation == .multiply, (.number, .yearsMonths) where operation == .multiply:
            result = try duration(operation, y, x, term)
        default: result = try temporal(operation, x, y, term)
        }
        guard let result else {
            throw refuse(
                .unsupported, "no \(term.construct) of a \(x.kind.type.name) and a \(y.kind.type.name)", term)
        }
        return try checked(result, term)
    }

    // MARK: Numbers

    /// Sums and products are exact in PostgreSQL; FEEL rounds them half to even to 34 digits.
    private mutating func numeric(_ operation: ArithmeticOperator, _ x: SQLOperand, _ y: SQLOperand) -> SQLOperand? {
        let isNullable = x.isNullable || y.isNullable
        var digits: SQLOperand.Digits?
        if let a = x.digits, let b = y.digits {
            digits =
                operation == .multiply
                ? SQLOperand.Digits(whole: a.whole + b.whole, scale: a.scale + b.scale)
                : SQLOperand.Digits(whole: max(a.whole, b.whole) + 1, scale: max(a.scale, b.scale))
        }
        switch operation {
        case .add, .subtract, .multiply:
            let exact = "(\(x.text) \(operation.symbol) \(y.text))"
            if let digits, digits.fits { return SQLOperand(exact, .number, isNullable: isNullable, digits: digits) }
            return SQLOperand(rounded(exact), .number)
        case .divide: return SQLOperand(quotient(x, y), .number)
        case .power: return nil
        }
    }

    /// The number of significant digits of a `numeric` without trailing zeros after the point.
    private static func length(_ name: String) -> String { "length(ltrim(translate(\(name)::text, '-.', ''), '0'))" }

    /// Rounds an exact number as decimal128 does: to 34 digits, half to even, NULL from 10^6145 on. PostgreSQL's own
    /// `round` takes ties away from zero and scales within ±2000.
    mutating func rounded(_ exact: String) -> String {
        once(["trim_scale(\(exact))"]) { writer, exact in
            let r = exact[0]
            let scale = "scale(\(r)) - GREATEST(\(SQLWriter.length(r)) - \(Decimal.maxDigits), 0)"
            return writer.once([r, scale]) { writer, names in
                let (r, s) = (names[0], names[1])
                let ulp = "('1e' || (- \(s)))::numeric"
                let isTie = "abs(\(r) - trunc(\(r), \(s))) * 2 = \(ulp)"
                let isEven = "mod(trunc(\(r), \(s)), 2 * \(ulp)) = 0"
                let result =
                    "CASE WHEN \(s) = scale(\(r)) THEN \(r) WHEN \(s) NOT BETWEEN -2000 AND 2000 THEN NULL "
                    + "WHEN \(isTie) AND \(isEven) THEN trunc(\(r), \(s)) ELSE round(\(r), \(s)) END"
                return writer.once([result]) { _, names in "CASE WHEN abs(\(names[0])) < 1e6145 THEN \(names[0]) END" }
            }
        }
    }

    /// A quotient rounded to 34 digits. PostgreSQL's `/` rounds to a scale of its own choice, so: by a divisor with a
    /// finite reciprocal, a product; else at least 36 digits by whole-number division, and one more digit that tells
    /// whether something follows, so that rounding sees no false tie.
    mutating func quotient(_ x: SQLOperand, _ y: SQLOperand) -> String {
        if case .number(let divisor)? = y.constant {
            if divisor.isZero { return "NULL::numeric" }
            if let reciprocal = divisor.exactReciprocal {
                return rounded("(\(x.text) * \(parameter(reciprocal, "numeric")))")
            }
        }
        return once(["trim_scale(\(x.text))", "trim_scale(\(y.text))"]) { writer, names in
            let (a, b) = (names[0], names[1])
            let places = "37 - (\(SQLWriter.length(a)) - scale(\(a))) + (\(SQLWriter.length(b)) - scale(\(b)))"
            let quotient = writer.once([a, b, places]) { writer, names in
                let shifted = "\(names[0]) * ('1e' || \(names[2]))::numeric"
                return writer.once([shifted, names[1], names[2]]) { writer, names in
                    let (n, b, k) = (names[0], names[1], names[2])
                    let more = "CASE WHEN mod(\(n), \(b)) <> 0 THEN sign(\(n)) * sign(\(b)) * 0.1 ELSE 0 END"
                    return writer.rounded("((div(\(n), \(b)) + \(more)) * ('1e' || (- \(k)))::numeric)")
                }
            }
            return "CASE WHEN \(b) = 0 OR \(b) IS NULL THEN NULL WHEN \(a) = 0 THEN 0 ELSE \(quotient) END"
        }
    }

    // MARK: Durations

    private mutating func duration(
        _ operation: ArithmeticOperator, _ x: SQLOperand, _ y: SQLOperand, _ term: Term
    ) throws(SQLError) -> SQLOperand? {
        let limit = x.kind == .daysTime ? "9223372036854775808000000000" : "9223372036854775808"
        let exact: String
        switch (operation, y.kind) {
        case (.add, x.kind), (.subtract, x.kind): exact = "\(x.text) \(operation.symbol) \(y.text)"
        case (.divide, x.kind): return SQLOperand(quotient(x, y), .number)
        case (.multiply, .number): exact = "trunc(\(rounded("(\(x.text) * \(y.text))")))"
        case (.divide, .number): exact = "trunc(\(quotient(x, y)))"
        case (.add, _): return try temporal(operation, y, x, term)
        default: return nil
        }
        let text = once([exact]) { _, names in
            "CASE WHEN \(names[0]) >= -\(limit) AND \(names[0]) < \(limit) THEN \(names[0]) END"
        }
        return SQLOperand(text, x.kind)
    }

    // MARK: Dates and times

    private mutating func temporal(
        _ operation: ArithmeticOperator, _ x: SQLOperand, _ y: SQLOperand, _ term: Term
    ) throws(SQLError) -> SQLOperand? {
        switch (operation, x.kind, y.kind) {
        case (.subtract, .date, .date):
            return SQLOperand(
                "((\(x.text) - \(y.text)) * 86400000000000::numeric)", .daysTime,
                isNullable: x.isNullable || y.isNullable)
        case (.subtract, .instant, .instant), (.subtract, .localDateTime, .localDateTime),
            (.subtract, .localTime, .localTime):
            return SQLOperand(
                "((extract(epoch FROM \(x.text)) - extract(epoch FROM \(y.text))) * 1000000000)", .daysTime,
                isNullable: x.isNullable || y.isNullable)
        case (.add, _, .daysTime), (.subtract, _, .daysTime), (.add, _, .yearsMonths), (.subtract, _, .yearsMonths):
            guard let constant = y.constant else {
                throw refuse(.unsupported, "only a constant duration can be added to a date or time", term)
            }
            return try shifted(x, by: constant, isNegative: operation == .subtract, term)
        default: return nil
        }
    }

    private mutating func shifted(
        _ x: SQLOperand, by duration: Value, isNegative: Bool, _ term: Term
    ) throws(SQLError) -> SQLOperand? {
        switch (x.kind, duration) {
        case (.date, .daysTimeDuration(let duration)):
            let span = isNegative ? -duration.nanoseconds : duration.nanoseconds
            let days = span.flooringDivision(by: 86_400_000_000_000)
            return shiftedDate(x, "\(days)", by: Double(days), unit: "\(days)", term)
        case (.date, .yearsMonthsDuration(let duration)):
            let months = isNegative ? -Int128(duration.months) : Int128(duration.months)
            return shiftedDate(x, "interval '\(months) months'", by: Double(months) * 31, unit: nil, term)
        case (.localDateTime, .daysTimeDuration(let duration)), (.instant, .daysTimeDuration(let duration)):
            let span = isNegative ? -duration.nanoseconds : duration.nanoseconds
            guard span % 1000 == 0 else { throw refuse(.outOfRange, "PostgreSQL counts whole microseconds", term) }
            let days = span.flooringDivision(by: 86_400_000_000_000)
            return shiftedTime(x, "interval '\(span / 1000) microseconds'", by: Double(days), term)
        case (.localDateTime, .yearsMonthsDuration(let duration)), (.instant, .yearsMonthsDuration(let duration)):
            let months = isNegative ? -Int128(duration.months) : Int128(duration.months)
            return shiftedTime(x, "interval '\(months) months'", by: Double(months) * 31, term)
        default: return nil
        }
    }

    /// PostgreSQL's date is a count of days in 32 bits, its timestamp of microseconds in 64; past their ends they raise
    /// errors, so a row is first checked to stay well inside.
    private static let dateDays = -2_440_000.0...2_100_000_000.0
    private static let timestampDays = -2_440_000.0...106_000_000.0

    /// The days since 1970 from which a shift stays within the range; nil when there are none.
    private static func guardDays(_ range: ClosedRange<Double>, _ shift: Double) -> (low: Int, high: Int)? {
        let low = max(range.lowerBound, range.lowerBound - shift)
        let high = min(range.upperBound, range.upperBound - shift)
        return low <= high ? (Int(low.rounded(.up)), Int(high.rounded(.down))) : nil
    }

    private mutating func shiftedDate(
        _ x: SQLOperand, _ amount: String, by shift: Double, unit days: String?, _ term: Term
    ) -> SQLOperand {
        let range = days == nil ? SQLWriter.timestampDays : SQLWriter.dateDays
        guard let bounds = SQLWriter.guardDays(range, shift) else { return SQLOperand("NULL::date", .date) }
        let text = once([x.text]) { _, names in
            "CASE WHEN \(names[0]) - DATE '1970-01-01' BETWEEN \(bounds.low) AND \(bounds.high) "
                + "THEN (\(names[0]) + \(amount))::date END"
        }
        return SQLOperand(text, .date)
    }

    private mutating func shiftedTime(_ x: SQLOperand, _ amount: String, by shift: Double, _ term: Term) -> SQLOperand {
        guard let bounds = SQLWriter.guardDays(SQLWriter.timestampDays, shift) else {
            return SQLOperand("NULL::\(x.kind.sqlType)", x.kind)
        }
        // In UTC, so that the session's zone, and its summer time, has no say.
        let isInstant = x.kind == .instant
        let local = isInstant ? "(\(x.text) AT TIME ZONE 'UTC')" : x.text
        let text = once([local]) { _, names in
            let moved = "\(names[0]) + \(amount)"
            return "CASE WHEN \(names[0])::date - DATE '1970-01-01' BETWEEN \(bounds.low) AND \(bounds.high) "
                + "THEN \(isInstant ? "(\(moved)) AT TIME ZONE 'UTC'" : moved) END"
        }
        return SQLOperand(text, x.kind)
    }
}
