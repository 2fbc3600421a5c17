extension Value {
    /// The text that FEEL's `string()` gives: a string as it is, null as `null`, lists and contexts in FEEL's own
    /// notation. Cut short with `...` past `FEELLimits.stringBytes` and below `FEELLimits.textDepth`.
    public var text: String {
        if case .string(let text) = self { return text }
        var writer = ValueWriter()
        writer.write(self, depth: 0)
        return writer.output
    }

    /// The same; nil where it would have been cut short.
    var wholeText: String? {
        if case .string(let text) = self { return text }
        var writer = ValueWriter()
        writer.write(self, depth: 0)
        return writer.isCut ? nil : writer.output
    }

    static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value.magnitude)
        return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// `.5` for 500,000,000 nanoseconds, nothing for 0.
    static func fraction(_ nanosecond: Int) -> String {
        if nanosecond == 0 { return "" }
        var digits = Substring(padded(nanosecond, 9))
        while digits.hasSuffix("0") { digits.removeLast() }
        return "." + digits
    }
}

extension Date: CustomStringConvertible {
    /// `YYYY-MM-DD`.
    public var description: String {
        let (year, month, day) = fields
        return "\(Value.padded(year, 4))-\(Value.padded(month, 2))-\(Value.padded(day, 2))"
    }
}

extension Zone: CustomStringConvertible {
    /// Nothing, `Z`, `+hh:mm` or `@Zone/Name`.
    public var description: String {
        switch self {
        case .local: return ""
        case .offset(0): return "Z"
        case .named(let name, _): return "@" + name
        case .offset(let seconds):
            let magnitude = Int(seconds.magnitude)
            let rest = magnitude % 60 == 0 ? "" : ":" + Value.padded(magnitude % 60, 2)
            return (seconds < 0 ? "-" : "+") + Value.padded(magnitude / 3600, 2) + ":"
                + Value.padded(magnitude / 60 % 60, 2) + rest
        }
    }
}

extension Time: CustomStringConvertible {
    /// `hh:mm:ss`, a fraction when there is one, the zone.
    public var description: String {
        let (hour, minute, second, nanosecond) = fields
        return "\(Value.padded(hour, 2)):\(Value.padded(minute, 2)):\(Value.padded(second, 2))"
            + Value.fraction(nanosecond) + zone.description
    }
}

extension DateTime: CustomStringConvertible {
    /// Date, `T`, time.
    public var description: String { "\(date)T\(time)" }
}

extension YearsMonthsDuration: CustomStringConvertible {
    /// `P1Y2M`; zero is `P0M`.
    public var description: String {
        let magnitude = months.magnitude
        let years = magnitude / 12
        let rest = magnitude % 12
        if magnitude == 0 { return "P0M" }
        return (months < 0 ? "-P" : "P") + (years > 0 ? "\(years)Y" : "") + (rest > 0 ? "\(rest)M" : "")
    }
}

extension DaysTimeDuration: CustomStringConvertible {
    /// `P1DT2H3M4.5S`; zero is `PT0S`.
    public var description: String {
        let total = nanoseconds.magnitude
        if total == 0 { return "PT0S" }
        let nanosecond = Int(total % 1_000_000_000)
        let seconds = total / 1_000_000_000
        let days = seconds / 86_400
        let hours = seconds / 3600 % 24
        let minutes = seconds / 60 % 60
        let rest = seconds % 60
        var text = nanoseconds < 0 ? "-P" : "P"
        if days > 0 { text += "\(days)D" }
        if hours + minutes + rest > 0 || nanosecond > 0 { text += "T" }
        if hours > 0 { text += "\(hours)H" }
        if minutes > 0 { text += "\(minutes)M" }
        if rest > 0 || nanosecond > 0 { text += "\(rest)\(Value.fraction(nanosecond))S" }
        return text
    }
}

/// Writes values in FEEL's notation, up to a limit.
private struct ValueWriter {
    var output = ""
    private(set) var isCut = false

    mutating func write(_ value: Value, depth: Int) {
        guard !isCut, depth < FEELLimits.textDepth, output.utf8.count <= FEELLimits.stringBytes else {
            if !isCut { output += "..." }
            isCut = true
            return
        }
        switch value {
        case .null: output += "null"
        case .boolean(let value): output += value ? "true" : "false"
        case .number(let value): output += value.description
        case .string(let value): quote(value)
        case .date(let value): output += value.description
        case .time(let value): output += value.description
        case .dateTime(let value): output += value.description
        case .yearsMonthsDuration(let value): output += value.description
        case .daysTimeDuration(let value): output += value.description
        case .function: output += "function"
        case .list(let elements): write(elements, depth)
        case .context(let context): write(context, depth)
        case .range(let interval): write(interval, depth)
        }
    }

    private mutating func write(_ elements: [Value], _ depth: Int) {
        output += "["
        for (index, element) in elements.enumerated() {
            if isCut { return }
            if index > 0 { output += ", " }
            write(element, depth: depth + 1)
        }
        output += "]"
    }

    private mutating func write(_ context: Context, _ depth: Int) {
        output += "{"
        for (index, entry) in context.entries.enumerated() {
            if isCut { return }
            if index > 0 { output += ", " }
            output += entry.key + ": "
            write(entry.value, depth: depth + 1)
        }
        output += "}"
    }

    /// A range as FEEL spells it: `[1..5)`, `(< 5)`, `(= 5)`.
    private mutating func write(_ interval: Interval, _ depth: Int) {
        let sign: String? =
            switch interval.kind {
            case .equal: "= "
            case .notEqual: "!= "
            case .between where interval.low.isNull: interval.includesHigh ? "<= " : "< "
            case .between where interval.high.isNull: interval.includesLow ? ">= " : "> "
            case .between: nil
            }
        if let sign {
            output += "(" + sign
            write(interval.low.isNull ? interval.high : interval.low, depth: depth + 1)
            output += ")"
            return
        }
        output += interval.includesLow ? "[" : "("
        write(interval.low, depth: depth + 1)
        output += ".."
        write(interval.high, depth: depth + 1)
        output += interval.includesHigh ? "]" : ")"
    }

    private mutating func quote(_ text: String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}
