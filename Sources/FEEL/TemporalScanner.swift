/// Reads ISO 8601 dates, times and durations as FEEL spells them (DMN 1.5, 10.3.4.1); every method gives nil for
/// malformed text.
struct TemporalScanner {
    private let bytes: [UInt8]
    private var index = 0
    private let zones: ZoneOffsets

    init(_ text: String, zones: ZoneOffsets) {
        bytes = Array(text.utf8)
        self.zones = zones
    }

    private var atEnd: Bool { index == bytes.count }
    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func take(_ character: Character) -> Bool {
        guard let byte = current, byte == character.asciiValue else { return false }
        index += 1
        return true
    }

    private mutating func digits(min: Int, max: Int) -> (value: Int, count: Int)? {
        var value = 0
        let start = index
        while let byte = current, byte >= 48, byte <= 57, index - start < max {
            value = value * 10 + Int(byte - 48)
            index += 1
        }
        let count = index - start
        return count >= min ? (value, count) : nil
    }

    mutating func wholeDate() -> Date? {
        guard let date = date(), atEnd else { return nil }
        return date
    }

    mutating func wholeTime() -> Time? {
        guard let clock = clock(), let zone = zone(localSeconds: clock / 1_000_000_000), atEnd else { return nil }
        return Time(nanosecondOfDay: clock, zone: zone)
    }

    mutating func wholeDateTime() -> DateTime? {
        guard let date = date() else { return nil }
        if atEnd { return DateTime(date: date, time: Time(nanosecondOfDay: 0, zone: .local)) }
        guard take("T"), let clock = clock() else { return nil }
        let local = date.daysSinceEpoch * 86_400 + clock / 1_000_000_000
        guard let zone = zone(localSeconds: local), atEnd else { return nil }
        // 24:00:00 is the next day's midnight, so the seconds are added rather than set.
        let dateTime = DateTime(localSeconds: local, nanosecond: Int32(clock % 1_000_000_000), zone: zone)
        guard let resolved = dateTime.resolved(zones), resolved.date.isInRange else { return nil }
        return resolved
    }

    private mutating func date() -> Date? {
        let isNegative = take("-")
        let start = index
        guard let year = digits(min: 4, max: 9), year.count == 4 || bytes[start] != 48, take("-"),
            let month = digits(min: 2, max: 2), take("-"), let day = digits(min: 2, max: 2)
        else { return nil }
        return Date(year: isNegative ? -year.value : year.value, month: month.value, day: day.value)
    }

    /// Nanoseconds since midnight.
    private mutating func clock() -> Int64? {
        guard let hour = digits(min: 2, max: 2), take(":"), let minute = digits(min: 2, max: 2), take(":"),
            let second = digits(min: 2, max: 2), minute.value < 60, second.value < 60,
            hour.value < 24 || (hour.value == 24 && minute.value == 0 && second.value == 0)
        else { return nil }
        var nanosecond = 0
        if take(".") {
            guard let fraction = fraction() else { return nil }
            nanosecond = fraction
            if hour.value == 24 && fraction > 0 { return nil }
        }
        return Int64(hour.value * 3600 + minute.value * 60 + second.value) * 1_000_000_000 + Int64(nanosecond)
    }

    /// Digits after the point as nanoseconds; digits past the ninth are cut off.
    private mutating func fraction() -> Int? {
        guard let head = digits(min: 1, max: 9) else { return nil }
        var value = head.value
        for _ in head.count..<9 { value *= 10 }
        while let byte = current, byte >= 48, byte <= 57 { index += 1 }
        return value
    }

    private mutating func zone(localSeconds: Int64) -> Zone? {
        if atEnd { return .local }
        if take("Z") || take("z") { return .offset(0) }
        if take("@") {
            let name = String(decoding: bytes[index...], as: UTF8.self)
            index = bytes.count
            guard let offset = zones.offsetSeconds(name, localSeconds) else { return nil }
            return .named(name, offset)
        }
        let isNegative = current == UInt8(ascii: "-")
        guard take("+") || take("-"), let hour = digits(min: 2, max: 2), take(":"),
            let minute = digits(min: 2, max: 2), minute.value < 60
        else { return nil }
        var total = hour.value * 3600 + minute.value * 60
        if take(":") {
            guard let second = digits(min: 2, max: 2), second.value < 60 else { return nil }
            total += second.value
        }
        guard total <= 18 * 3600 else { return nil }
        return .offset(Int32(isNegative ? -total : total))
    }

    /// `P1Y2M` or `P1DT2H3M4.5S`, optionally negative.
    mutating func wholeDuration() -> Value? {
        let isNegative = take("-")
        guard take("P"), !atEnd else { return nil }
        var amounts = DurationAmounts()
        var inTime = false
        while !atEnd {
            if !inTime && take("T") {
                inTime = true
                if atEnd { return nil }
                continue
            }
            guard let amount = digits(min: 1, max: 18) else { return nil }
            var nanosecond = 0
            let hasFraction = take(".")
            if hasFraction {
                // XML Schema's own readers take "0.S", a point without digits.
                guard inTime else { return nil }
                nanosecond = fraction() ?? 0
            }
            guard let unit = current, amounts.add(Int64(amount.value), nanosecond, hasFraction, unit, inTime) else {
                return nil
            }
            index += 1
        }
        return amounts.value(isNegative: isNegative)
    }
}

/// The parts of a duration as they are read; units must descend.
private struct DurationAmounts {
    private var months: Int64 = 0
    private var nanoseconds: Int128 = 0
    private var rank = 0
    private var hasMonths = false
    private var hasTime = false

    mutating func add(_ amount: Int64, _ nanosecond: Int, _ hasFraction: Bool, _ unit: UInt8, _ inTime: Bool) -> Bool {
        let newRank: Int
        var unitSeconds: Int128 = 0
        switch (unit, inTime) {
        case (UInt8(ascii: "Y"), false): newRank = 1
        case (UInt8(ascii: "M"), false): newRank = 2
        case (UInt8(ascii: "D"), false): (newRank, unitSeconds) = (3, 86_400)
        case (UInt8(ascii: "H"), true): (newRank, unitSeconds) = (4, 3600)
        case (UInt8(ascii: "M"), true): (newRank, unitSeconds) = (5, 60)
        case (UInt8(ascii: "S"), true): (newRank, unitSeconds) = (6, 1)
        default: return false
        }
        guard newRank > rank, !hasFraction || newRank == 6 else { return false }
        rank = newRank
        if newRank <= 2 {
            let (product, overflow) = amount.multipliedReportingOverflow(by: newRank == 1 ? 12 : 1)
            let (sum, carried) = months.addingReportingOverflow(product)
            if overflow || carried { return false }
            months = sum
            hasMonths = true
        } else {
            nanoseconds += Int128(amount) * unitSeconds * 1_000_000_000 + Int128(nanosecond)
            hasTime = true
        }
        return true
    }

    func value(isNegative: Bool) -> Value? {
        if hasMonths == hasTime { return nil }
        if hasMonths { return .yearsMonthsDuration(YearsMonthsDuration(months: isNegative ? -months : months)) }
        return DaysTimeDuration(nanoseconds: isNegative ? -nanoseconds : nanoseconds).map { .daysTimeDuration($0) }
    }
}

extension Date {
    /// Parses `YYYY-MM-DD`; years of 4 to 9 digits, optionally negative.
    public init?(_ text: String) {
        var scanner = TemporalScanner(text, zones: .utcOnly)
        guard let date = scanner.wholeDate() else { return nil }
        self = date
    }
}

extension Time {
    /// Parses `hh:mm:ss[.fraction]` with nothing, `Z`, `+hh:mm` or `@Zone/Name` after it.
    public init?(_ text: String, zones: ZoneOffsets = .utcOnly) {
        var scanner = TemporalScanner(text, zones: zones)
        guard let time = scanner.wholeTime() else { return nil }
        self = time
    }
}

extension DateTime {
    /// Parses `YYYY-MM-DDThh:mm:ss[.fraction]` with nothing, `Z`, `+hh:mm` or `@Zone/Name` after it; a bare date is its
    /// midnight.
    public init?(_ text: String, zones: ZoneOffsets = .utcOnly) {
        var scanner = TemporalScanner(text, zones: zones)
        guard let dateTime = scanner.wholeDateTime() else { return nil }
        self = dateTime
    }
}

extension Value {
    /// Parses an ISO 8601 duration of either kind; nil for malformed or mixed ones.
    public init?(duration text: String) {
        var scanner = TemporalScanner(text, zones: .utcOnly)
        guard let value = scanner.wholeDuration() else { return nil }
        self = value
    }

    /// Parses what `@"..."` may hold: a date, a date and time, a time, or a duration.
    public init?(temporal text: String, zones: ZoneOffsets = .utcOnly) {
        if let date = Date(text) {
            self = .date(date)
        } else if let time = Time(text, zones: zones) {
            self = .time(time)
        } else if let dateTime = DateTime(text, zones: zones) {
            self = .dateTime(dateTime)
        } else if let duration = Value(duration: text) {
            self = duration
        } else {
            return nil
        }
    }
}
