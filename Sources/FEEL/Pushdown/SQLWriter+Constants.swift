extension SQLWriter {
    /// A constant as a typed parameter.
    mutating func constant(_ value: Value, _ term: Term) throws(SQLError) -> SQLOperand {
        var operand: SQLOperand
        switch value {
        case .null: return SQLOperand("NULL", .null)
        case .boolean(let value): operand = SQLOperand(value ? "TRUE" : "FALSE", .boolean)
        case .number(let number):
            operand = SQLOperand(parameter(number.description, "numeric"), .number)
            operand.digits = number.digits
        case .yearsMonthsDuration(let duration):
            operand = SQLOperand(parameter(String(duration.months), "numeric"), .yearsMonths)
        case .daysTimeDuration(let duration):
            operand = SQLOperand(parameter(String(duration.nanoseconds), "numeric"), .daysTime)
        default:
            let (text, kind) = try literal(value, term)
            operand = SQLOperand(parameter(text, kind.sqlType), kind)
        }
        operand.isNullable = false
        operand.constant = value
        return operand
    }

    /// A value in PostgreSQL's text format.
    func literal(_ value: Value, _ term: Term) throws(SQLError) -> (text: String, kind: SQLOperand.Kind) {
        switch value {
        case .number(let number): return (number.description, .number)
        case .string(let text):
            if text.utf8.contains(0) { throw refuse(.outOfRange, "PostgreSQL's text holds no NUL", term) }
            return (text, .text)
        case .date(let date):
            guard (1...9999).contains(date.fields.year) else { throw years(term) }
            return (date.description, .date)
        case .time(let time):
            guard time.zone == .local else { throw refuse(.unsupported, "a time with a zone", term) }
            try requireMicroseconds(time.nanosecondOfDay, term)
            return (time.description, .localTime)
        case .dateTime(let dateTime):
            try requireMicroseconds(Int64(dateTime.nanosecond), term)
            if dateTime.zone == .local {
                guard (1...9999).contains(dateTime.date.fields.year) else { throw years(term) }
                return (dateTime.description, .localDateTime)
            }
            guard dateTime.zone.offsetSeconds != nil else { throw refuse(.unsupported, "an unknown zone", term) }
            let utc = DateTime(localSeconds: dateTime.utcSeconds, nanosecond: dateTime.nanosecond, zone: .offset(0))
            guard (1...9999).contains(utc.date.fields.year) else { throw years(term) }
            return (utc.description, .instant)
        default: throw unsupported(term)
        }
    }

    private func years(_ term: Term) -> SQLError {
        refuse(.outOfRange, "only years from 1 to 9999 are spelled alike in PostgreSQL", term)
    }

    private func requireMicroseconds(_ nanoseconds: Int64, _ term: Term) throws(SQLError) {
        if nanoseconds % 1000 != 0 { throw refuse(.outOfRange, "PostgreSQL counts whole microseconds", term) }
    }

    /// An array parameter; the elements are of one kind.
    mutating func array(_ values: [Value], _ kind: SQLOperand.Kind, _ term: Term) throws(SQLError) -> String {
        var items: [String] = []
        for value in values {
            let (text, _) = try literal(value, term)
            items.append("\"" + text.replacingEach { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) } + "\"")
        }
        return parameter("{" + items.joined(separator: ",") + "}", kind.sqlType + "[]")
    }
}

extension String {
    fileprivate func replacingEach(_ replacement: (Unicode.Scalar) -> String) -> String {
        var result = ""
        for scalar in unicodeScalars { result += replacement(scalar) }
        return result
    }
}

extension Decimal {
    /// Digits before and after the point.
    var digits: SQLOperand.Digits {
        let value = stripped
        let count = value.coefficient == 0 ? 0 : String(value.coefficient).utf8.count
        return SQLOperand.Digits(whole: max(0, count + value.exponent), scale: max(0, -value.exponent))
    }

    /// The exact reciprocal in plain digits, when it is a finite decimal of moderate length: of 2, 4, 5, 10, 25, 100...
    var exactReciprocal: String? {
        let value = stripped
        var rest = value.coefficient
        var (twos, fives) = (0, 0)
        while rest != 0, rest % 2 == 0 { (rest, twos) = (rest / 2, twos + 1) }
        while rest != 0, rest % 5 == 0 { (rest, fives) = (rest / 5, fives + 1) }
        guard rest == 1, twos <= 40, fives <= 40 else { return nil }
        // 1 / (2^t 5^f) = 5^t 2^f / 10^(t + f), and at most one of t and f is not zero, since trailing zeros are gone.
        var digits: UInt128 = 1
        for _ in 0..<twos { digits *= 5 }
        for _ in 0..<fives { digits *= 2 }
        return "\(value.isNegative ? "-" : "")\(digits)E\(-(twos + fives) - value.exponent)"
    }
}
