/// Entries of contexts and the named properties of dates, times, durations and ranges (DMN 1.5, table 65).
enum Properties {
    /// nil when there is no such entry or property.
    static func value(of name: String, in target: Value) -> Value? {
        switch target {
        case .context(let context): return context[name]
        case .list(let elements): return .list(elements.map { value(of: name, in: $0) ?? .null })
        case .date(let date): return dateProperty(name, date)
        case .time(let time): return timeProperty(name, time)
        case .dateTime(let dateTime): return dateProperty(name, dateTime.date) ?? timeProperty(name, dateTime.time)
        case .yearsMonthsDuration(let duration):
            switch name {
            case "years": return .number(Decimal(duration.months / 12))
            case "months": return .number(Decimal(duration.months % 12))
            default: return nil
            }
        case .daysTimeDuration(let duration): return durationProperty(name, duration)
        case .range(let interval):
            switch name {
            case "start": return interval.kind == .notEqual ? .null : interval.low
            case "end": return interval.kind == .notEqual ? .null : interval.high
            case "start included": return .boolean(interval.includesLow)
            case "end included": return .boolean(interval.includesHigh)
            default: return nil
            }
        default: return nil
        }
    }

    private static func dateProperty(_ name: String, _ date: Date) -> Value? {
        switch name {
        case "year": .number(date.fields.year)
        case "month": .number(date.fields.month)
        case "day": .number(date.fields.day)
        case "weekday": .number(date.weekday)
        default: nil
        }
    }

    private static func timeProperty(_ name: String, _ time: Time) -> Value? {
        let fields = time.fields
        switch name {
        case "hour": return .number(fields.hour)
        case "minute": return .number(fields.minute)
        case "second": return .number(fields.second)
        case "time offset":
            guard let seconds = time.zone.offsetSeconds else { return .null }
            return .daysTimeDuration(DaysTimeDuration(seconds: Int64(seconds)))
        case "timezone":
            if case .named(let name, _) = time.zone { return .string(name) }
            return .null
        default: return nil
        }
    }

    private static func durationProperty(_ name: String, _ duration: DaysTimeDuration) -> Value? {
        let total = duration.nanoseconds / 1_000_000_000
        func part(_ value: Int128) -> Value { .number(Decimal(Int64(truncatingIfNeeded: value))) }
        switch name {
        case "days": return part(total / 86_400)
        case "hours": return part(total / 3600 % 24)
        case "minutes": return part(total / 60 % 60)
        case "seconds":
            let rest = duration.nanoseconds % 60_000_000_000
            return Decimal(significand: UInt128(rest.magnitude), exponent: -9, isNegative: rest < 0)
                .map { .number($0.rounded(scale: 9, .halfEven)?.stripped ?? $0) }
        default: return nil
        }
    }
}
