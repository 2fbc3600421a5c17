extension BuiltIns {
    static func temporal(_ function: BuiltIn, _ arguments: [Value], _ zones: ZoneOffsets, _ now: Int64?) -> Value {
        switch function {
        case .now: return now.map { .dateTime(DateTime(unixMicroseconds: $0)) } ?? .null
        case .today: return now.map { .date(DateTime(unixMicroseconds: $0).date) } ?? .null
        case .date: return date(arguments)
        case .time: return time(arguments, zones)
        case .dateAndTime: return dateTime(arguments, zones)
        case .duration:
            guard case .string(let text) = arguments[0] else { return .null }
            return Value(duration: text) ?? .null
        case .yearsAndMonthsDuration: return monthsBetween(arguments[0], arguments[1])
        default: return calendar(function, singleton(arguments[0]))
        }
    }

    private static func whole(_ value: Value) -> Int? {
        value.number.flatMap { $0.isInteger ? $0.integer : nil }
    }

    private static func date(_ arguments: [Value]) -> Value {
        if arguments.count == 3 {
            guard let year = whole(arguments[0]), let month = whole(arguments[1]), let day = whole(arguments[2]) else {
                return .null
            }
            return Date(year: year, month: month, day: day).map { .date($0) } ?? .null
        }
        switch singleton(arguments[0]) {
        case .string(let text): return Date(text).map { .date($0) } ?? .null
        case .date(let date): return .date(date)
        case .dateTime(let dateTime): return .date(dateTime.date)
        default: return .null
        }
    }

    private static func time(_ arguments: [Value], _ zones: ZoneOffsets) -> Value {
        if arguments.count >= 3 {
            // A zone's offset depends on the day, which a time does not have.
            if arguments.count > 3, case .string = arguments[3] { return .null }
            return clock(arguments[...]).map { .time($0) } ?? .null
        }
        switch singleton(arguments[0]) {
        case .string(let text): return Time(text, zones: zones).map { .time($0) } ?? .null
        case .time(let time): return .time(time)
        case .dateTime(let dateTime): return .time(dateTime.time)
        case .date: return .time(Time(nanosecondOfDay: 0, zone: .offset(0)))
        default: return .null
        }
    }

    /// hour, minute, second (with a fraction) and an optional offset, or the name of a zone.
    private static func clock(_ arguments: ArraySlice<Value>) -> Time? {
        let parts = Array(arguments)
        guard let hour = whole(parts[0]), let minute = whole(parts[1]), case .number(let second) = parts[2],
            (0...23).contains(hour), (0...59).contains(minute), !second.isNegative || second.isZero,
            second < Decimal(60), let scaled = second * Decimal(1_000_000_000),
            let nanoseconds = scaled.rounded(scale: 0, .down)?.integer
        else { return nil }
        var zone = Zone.local
        if parts.count > 3 {
            switch parts[3] {
            case .null: break
            case .daysTimeDuration(let offset):
                guard offset.nanosecond == 0, offset.seconds.magnitude <= 18 * 3600 else { return nil }
                zone = .offset(Int32(offset.seconds))
            case .string(let name): zone = .named(name, nil)
            default: return nil
            }
        }
        return Time(nanosecondOfDay: Int64((hour * 3600 + minute * 60) * 1_000_000_000 + nanoseconds), zone: zone)
    }

    private static func dateTime(_ arguments: [Value], _ zones: ZoneOffsets) -> Value {
        if arguments.count == 2 {
            let day: Date
            switch arguments[0] {
            case .date(let date): day = date
            case .dateTime(let dateTime): day = dateTime.date
            default: return .null
            }
            guard case .time(let time) = arguments[1] else { return .null }
            return DateTime(date: day, time: time).resolved(zones).map { .dateTime($0) } ?? .null
        }
        if arguments.count >= 6 {
            guard case .date(let day) = date(Array(arguments[0..<3])), let time = clock(arguments[3...]) else {
                return .null
            }
            return DateTime(date: day, time: time).resolved(zones).map { .dateTime($0) } ?? .null
        }
        switch singleton(arguments[0]) {
        case .string(let text): return DateTime(text, zones: zones).map { .dateTime($0) } ?? .null
        case .dateTime(let dateTime): return .dateTime(dateTime)
        case .date(let day): return .dateTime(DateTime(date: day, time: Time(nanosecondOfDay: 0, zone: .offset(0))))
        default: return .null
        }
    }

    /// Whole months from one day to another, toward zero; times of day do not count.
    private static func monthsBetween(_ from: Value, _ to: Value) -> Value {
        guard let a = local(from), let b = local(to) else { return .null }
        let (start, end) = (a.date.fields, b.date.fields)
        var months = Int64(end.year - start.year) * 12 + Int64(end.month - start.month)
        if months > 0 && end.day < start.day { months -= 1 }
        if months < 0 && end.day > start.day { months += 1 }
        return .yearsMonthsDuration(YearsMonthsDuration(months: months))
    }

    private static func local(_ value: Value) -> DateTime? {
        switch value {
        case .date(let date): DateTime(date: date, time: Time(nanosecondOfDay: 0, zone: .local))
        case .dateTime(let dateTime): dateTime
        default: nil
        }
    }

    // MARK: Calendar

    private static let weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]

    private static func calendar(_ function: BuiltIn, _ value: Value) -> Value {
        guard let date = local(value)?.date else { return .null }
        switch function {
        case .dayOfYear: return .number(dayOfYear(date))
        case .dayOfWeek: return .string(weekdays[date.weekday - 1])
        case .monthOfYear: return .string(months[date.fields.month - 1])
        case .weekOfYear: return .number(weekOfYear(date))
        default: return .null
        }
    }

    private static func dayOfYear(_ date: Date) -> Int {
        let start = Date(year: date.fields.year, month: 1, day: 1)
        return Int(date.daysSinceEpoch - (start ?? date).daysSinceEpoch) + 1
    }

    /// ISO 8601 week: the week of the year that holds this week's Thursday.
    private static func weekOfYear(_ date: Date) -> Int {
        let thursday = Date(daysSinceEpoch: date.daysSinceEpoch + Int64(4 - date.weekday))
        return (dayOfYear(thursday) - 1) / 7 + 1
    }
}
