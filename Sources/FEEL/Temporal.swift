/// A day of the proleptic Gregorian calendar.
public struct Date: Hashable, Comparable, Sendable {
    /// Days since 1970-01-01.
    public let daysSinceEpoch: Int64

    /// From days since 1970-01-01.
    public init(daysSinceEpoch: Int64) { self.daysSinceEpoch = daysSinceEpoch }

    /// From calendar fields; nil when there is no such day or the year passes `FEELLimits.year`.
    public init?(year: Int, month: Int, day: Int) {
        guard year.magnitude <= UInt(FEELLimits.year), (1...12).contains(month), day >= 1,
            day <= Date.days(inMonth: month, year: year)
        else { return nil }
        // Years start in March, so that the leap day is the last one and months have a linear formula.
        let shifted = Int64(month <= 2 ? year - 1 : year)
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = Int64((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        daysSinceEpoch = era * 146_097 + dayOfEra - 719_468
    }

    /// Year, month 1-12 and day 1-31.
    public var fields: (year: Int, month: Int, day: Int) {
        let days = daysSinceEpoch + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (Int(year), Int(month), Int(day))
    }

    /// 1 (Monday) to 7 (Sunday), as ISO 8601.
    public var weekday: Int { Int(((daysSinceEpoch + 3) % 7 + 7) % 7) + 1 }

    /// Chronological order.
    public static func < (a: Date, b: Date) -> Bool { a.daysSinceEpoch < b.daysSinceEpoch }

    /// Days of a month.
    public static func days(inMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    /// The date moved by months; a day past the end of the month becomes its last day. nil past the year limit.
    public func adding(months: Int64) -> Date? {
        let (year, month, day) = fields
        let (total, overflow) = (Int64(year) * 12 + Int64(month) - 1).addingReportingOverflow(months)
        if overflow { return nil }
        let newYear = Int(total >= 0 ? total / 12 : (total - 11) / 12)
        let newMonth = Int(total - Int64(newYear) * 12) + 1
        guard newYear.magnitude <= UInt(FEELLimits.year) else { return nil }
        return Date(year: newYear, month: newMonth, day: min(day, Date.days(inMonth: newMonth, year: newYear)))
    }

    var isInRange: Bool { fields.year.magnitude <= UInt(FEELLimits.year) }
}

/// What is known of a time's zone.
public enum Zone: Hashable, Sendable {
    /// No zone: a local time.
    case local
    /// A fixed offset in seconds east of UTC.
    case offset(Int32)
    /// An IANA zone and its offset at that time; nil when the zone's rules were not available.
    case named(String, Int32?)

    /// Seconds east of UTC; nil for a local time or unknown rules.
    public var offsetSeconds: Int32? {
        switch self {
        case .local: nil
        case .offset(let seconds): seconds
        case .named(_, let seconds): seconds
        }
    }
}

/// A time of day.
public struct Time: Hashable, Sendable {
    /// Nanoseconds since midnight, below 86,400,000,000,000.
    public let nanosecondOfDay: Int64
    /// The zone.
    public let zone: Zone

    /// From nanoseconds since midnight; taken modulo one day.
    public init(nanosecondOfDay: Int64, zone: Zone) {
        let day: Int64 = 86_400_000_000_000
        self.nanosecondOfDay = (nanosecondOfDay % day + day) % day
        self.zone = zone
    }

    /// Hour, minute, second and nanosecond.
    public var fields: (hour: Int, minute: Int, second: Int, nanosecond: Int) {
        let seconds = Int(nanosecondOfDay / 1_000_000_000)
        return (seconds / 3600, seconds / 60 % 60, seconds % 60, Int(nanosecondOfDay % 1_000_000_000))
    }

    /// The second of the day in UTC, for equality.
    var comparableSecond: Int64 { nanosecondOfDay / 1_000_000_000 - Int64(zone.offsetSeconds ?? 0) }

    /// Nanoseconds since midnight UTC, for order; local times count as they stand.
    var comparable: Int64 { nanosecondOfDay - Int64(zone.offsetSeconds ?? 0) * 1_000_000_000 }
}

/// A day and a time of day.
public struct DateTime: Hashable, Sendable {
    /// Seconds since 1970-01-01T00:00:00 on the clock of its own zone.
    public let localSeconds: Int64
    /// 0 to 999,999,999.
    public let nanosecond: Int32
    /// The zone.
    public let zone: Zone

    /// From local seconds.
    public init(localSeconds: Int64, nanosecond: Int32, zone: Zone) {
        self.localSeconds = localSeconds
        self.nanosecond = nanosecond
        self.zone = zone
    }

    /// From a day and a time; the zone is the time's.
    public init(date: Date, time: Time) {
        localSeconds = date.daysSinceEpoch * 86_400 + time.nanosecondOfDay / 1_000_000_000
        nanosecond = Int32(time.nanosecondOfDay % 1_000_000_000)
        zone = time.zone
    }

    /// From microseconds since the Unix epoch, in UTC.
    public init(unixMicroseconds: Int64) {
        let seconds = unixMicroseconds.flooringDivision(by: 1_000_000)
        localSeconds = seconds
        nanosecond = Int32((unixMicroseconds - seconds * 1_000_000) * 1000)
        zone = .offset(0)
    }

    /// The calendar day.
    public var date: Date { Date(daysSinceEpoch: localSeconds.flooringDivision(by: 86_400)) }
    /// The time of day.
    public var time: Time {
        let second = localSeconds - date.daysSinceEpoch * 86_400
        return Time(nanosecondOfDay: second * 1_000_000_000 + Int64(nanosecond), zone: zone)
    }

    /// Seconds since the Unix epoch; a local time counts as UTC.
    public var utcSeconds: Int64 { localSeconds - Int64(zone.offsetSeconds ?? 0) }
}

/// A whole number of months.
public struct YearsMonthsDuration: Hashable, Comparable, Sendable {
    /// Total months; negative durations are negative.
    public let months: Int64

    /// From a total of months.
    public init(months: Int64) { self.months = months }

    /// Order by length.
    public static func < (a: YearsMonthsDuration, b: YearsMonthsDuration) -> Bool { a.months < b.months }
}

/// An exact span of time.
public struct DaysTimeDuration: Hashable, Comparable, Sendable {
    /// Whole seconds, rounded down.
    public let seconds: Int64
    /// 0 to 999,999,999, added to the seconds.
    public let nanosecond: Int32

    /// From seconds and a fraction.
    public init(seconds: Int64, nanosecond: Int32 = 0) {
        self.seconds = seconds
        self.nanosecond = nanosecond
    }

    /// From nanoseconds; nil when the seconds pass 64 bits.
    public init?(nanoseconds: Int128) {
        let quotient = nanoseconds.flooringDivision(by: 1_000_000_000)
        guard let seconds = Int64(exactly: quotient) else { return nil }
        self.seconds = seconds
        nanosecond = Int32(nanoseconds - quotient * 1_000_000_000)
    }

    /// The whole length in nanoseconds.
    public var nanoseconds: Int128 { Int128(seconds) * 1_000_000_000 + Int128(nanosecond) }

    /// Order by length.
    public static func < (a: DaysTimeDuration, b: DaysTimeDuration) -> Bool {
        (a.seconds, a.nanosecond) < (b.seconds, b.nanosecond)
    }
}

extension FixedWidthInteger {
    /// Division that rounds toward negative infinity; the divisor is positive.
    func flooringDivision(by divisor: Self) -> Self {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
