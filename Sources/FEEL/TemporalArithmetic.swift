/// Arithmetic that involves text, dates, times and durations (DMN 1.5, table 57 and following); null where there is
/// none.
enum TemporalArithmetic {
    static func apply(_ operation: ArithmeticOperator, _ a: Value, _ b: Value, _ zones: ZoneOffsets) -> Value {
        switch operation {
        case .add: add(a, b, zones)
        case .subtract: subtract(a, b, zones)
        case .multiply: multiply(a, b)
        case .divide: divide(a, b)
        case .power: .null
        }
    }

    private static func add(_ a: Value, _ b: Value, _ zones: ZoneOffsets) -> Value {
        switch (a, b) {
        case (.string(let a), .string(let b)):
            return a.utf8.count + b.utf8.count <= FEELLimits.stringBytes ? .string(a + b) : .null
        case (.yearsMonthsDuration(let a), .yearsMonthsDuration(let b)):
            let (months, overflow) = a.months.addingReportingOverflow(b.months)
            return overflow ? .null : .yearsMonthsDuration(YearsMonthsDuration(months: months))
        case (.daysTimeDuration(let a), .daysTimeDuration(let b)): return duration(a.nanoseconds + b.nanoseconds)
        case (_, .yearsMonthsDuration(let duration)): return shift(a, months: duration.months, zones)
        case (.yearsMonthsDuration(let duration), _): return shift(b, months: duration.months, zones)
        case (_, .daysTimeDuration(let duration)): return shift(a, nanoseconds: duration.nanoseconds, zones)
        case (.daysTimeDuration(let duration), _): return shift(b, nanoseconds: duration.nanoseconds, zones)
        default: return .null
        }
    }

    private static func subtract(_ a: Value, _ b: Value, _ zones: ZoneOffsets) -> Value {
        switch (a, b) {
        case (.yearsMonthsDuration(let a), .yearsMonthsDuration(let b)):
            let (months, overflow) = a.months.subtractingReportingOverflow(b.months)
            return overflow ? .null : .yearsMonthsDuration(YearsMonthsDuration(months: months))
        case (.daysTimeDuration(let a), .daysTimeDuration(let b)): return duration(a.nanoseconds - b.nanoseconds)
        case (_, .yearsMonthsDuration(let duration)):
            return duration.months == .min ? .null : shift(a, months: -duration.months, zones)
        case (_, .daysTimeDuration(let duration)): return shift(a, nanoseconds: -duration.nanoseconds, zones)
        case (.time(let a), .time(let b)):
            guard (a.zone == .local) == (b.zone == .local) else { return .null }
            return duration(Int128(a.comparable - b.comparable))
        default:
            guard let x = instant(a), let y = instant(b), x.isLocal == y.isLocal else { return .null }
            return duration(x.nanoseconds - y.nanoseconds)
        }
    }

    private struct Instant {
        let nanoseconds: Int128
        let isLocal: Bool
    }

    /// A date counts as its midnight in UTC, so it has no distance to a local time.
    private static func instant(_ value: Value) -> Instant? {
        switch value {
        case .date(let date):
            return Instant(nanoseconds: Int128(date.daysSinceEpoch) * 86_400 * 1_000_000_000, isLocal: false)
        case .dateTime(let dateTime):
            return Instant(
                nanoseconds: Int128(dateTime.utcSeconds) * 1_000_000_000 + Int128(dateTime.nanosecond),
                isLocal: dateTime.zone == .local)
        default: return nil
        }
    }

    private static func multiply(_ a: Value, _ b: Value) -> Value {
        switch (a, b) {
        case (.yearsMonthsDuration(let duration), .number(let factor)),
            (.number(let factor), .yearsMonthsDuration(let duration)):
            return months(Decimal(duration.months) * factor)
        case (.daysTimeDuration(let duration), .number(let factor)),
            (.number(let factor), .daysTimeDuration(let duration)):
            return nanoseconds(decimal(duration).flatMap { $0 * factor })
        default: return .null
        }
    }

    private static func divide(_ a: Value, _ b: Value) -> Value {
        switch (a, b) {
        case (.yearsMonthsDuration(let duration), .number(let divisor)):
            return months(Decimal(duration.months) / divisor)
        case (.daysTimeDuration(let duration), .number(let divisor)):
            return nanoseconds(decimal(duration).flatMap { $0 / divisor })
        case (.yearsMonthsDuration(let a), .yearsMonthsDuration(let b)):
            return (Decimal(a.months) / Decimal(b.months)).map { .number($0) } ?? .null
        case (.daysTimeDuration(let a), .daysTimeDuration(let b)):
            guard let x = decimal(a), let y = decimal(b) else { return .null }
            return (x / y).map { .number($0) } ?? .null
        default: return .null
        }
    }

    private static func decimal(_ duration: DaysTimeDuration) -> Decimal? {
        let nanoseconds = duration.nanoseconds
        return Decimal(significand: UInt128(nanoseconds.magnitude), exponent: 0, isNegative: nanoseconds < 0)
    }

    private static func months(_ value: Decimal?) -> Value {
        guard let whole = value?.rounded(scale: 0, .down)?.integer else { return .null }
        return .yearsMonthsDuration(YearsMonthsDuration(months: Int64(whole)))
    }

    private static func nanoseconds(_ value: Decimal?) -> Value {
        guard let whole = value?.rounded(scale: 0, .down) else { return .null }
        if whole.isZero { return duration(0) }
        guard whole.exponent <= 0, let magnitude = Int128(exactly: whole.coefficient)
        else { return .null }
        return duration(whole.isNegative ? -magnitude : magnitude)
    }

    static func duration(_ nanoseconds: Int128) -> Value {
        DaysTimeDuration(nanoseconds: nanoseconds).map { .daysTimeDuration($0) } ?? .null
    }

    private static func shift(_ value: Value, months: Int64, _ zones: ZoneOffsets) -> Value {
        switch value {
        case .date(let date): return date.adding(months: months).map { .date($0) } ?? .null
        case .dateTime(let dateTime):
            guard let date = dateTime.date.adding(months: months) else { return .null }
            let moved = DateTime(date: date, time: dateTime.time)
            return moved.resolved(zones).map { .dateTime($0) } ?? .null
        default: return .null
        }
    }

    private static func shift(_ value: Value, nanoseconds: Int128, _ zones: ZoneOffsets) -> Value {
        switch value {
        case .date(let date):
            let total = Int128(date.daysSinceEpoch) * 86_400_000_000_000 + nanoseconds
            guard let days = Int64(exactly: total.flooringDivision(by: 86_400_000_000_000)) else { return .null }
            let moved = Date(daysSinceEpoch: days)
            return days.magnitude < 400_000_000_000 && moved.isInRange ? .date(moved) : .null
        case .time(let time):
            let day: Int128 = 86_400_000_000_000
            let total = (Int128(time.nanosecondOfDay) + nanoseconds % day + day) % day
            return .time(Time(nanosecondOfDay: Int64(total), zone: time.zone))
        case .dateTime(let dateTime): return shift(dateTime, nanoseconds: nanoseconds, zones)
        default: return .null
        }
    }

    /// Exact time is added to the instant, so that an hour over a change of clocks is an hour.
    private static func shift(_ dateTime: DateTime, nanoseconds: Int128, _ zones: ZoneOffsets) -> Value {
        var base = dateTime.localSeconds
        if case .named(_, .some) = dateTime.zone { base = dateTime.utcSeconds }
        let total = Int128(base) * 1_000_000_000 + Int128(dateTime.nanosecond) + nanoseconds
        let whole = total.flooringDivision(by: 1_000_000_000)
        guard let seconds = Int64(exactly: whole), seconds.magnitude < 40_000_000_000_000_000 else { return .null }
        let nanosecond = Int32(total - whole * 1_000_000_000)
        let moved: DateTime?
        if case .named(let name, .some) = dateTime.zone {
            moved = DateTime(utcSeconds: seconds, nanosecond: nanosecond, zone: name, zones)
        } else {
            moved = DateTime(localSeconds: seconds, nanosecond: nanosecond, zone: dateTime.zone)
        }
        guard let moved, moved.date.isInRange else { return .null }
        return .dateTime(moved)
    }
}
