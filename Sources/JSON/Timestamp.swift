/// RFC 3339 date-times as JSON carries them, to and from microseconds since the Unix epoch, UTC.
///
/// Leap seconds: `23:59:60` UTC on the last day of a month is accepted and means the second after it, as in
/// PostgreSQL; `:60` anywhere else is refused. Digits past the sixth of a fraction are dropped (towards the past).
public enum Timestamp {
    /// 0001-01-01T00:00:00Z, the first instant that is accepted.
    public static let earliestMicros: Int64 = -62_135_596_800_000_000
    /// 9999-12-31T23:59:59.999999Z, the last instant that is accepted.
    public static let latestMicros: Int64 = 253_402_300_799_999_999
    /// Microseconds in a day without a leap second.
    public static let microsPerDay: Int64 = 86_400_000_000

    /// The instant that `text` names; nil when it is not an RFC 3339 date-time with a zone, or no real date.
    public static func parse(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { parse($0) }
    }

    /// The instant that the bytes name; nil when they are no RFC 3339 date-time with a zone, or no real date.
    public static func parse(_ utf8: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard utf8.count >= 20, let bytes = utf8.baseAddress else { return nil }
        guard bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"), bytes[10] | 0x20 == UInt8(ascii: "t"),
            bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
            let century = twoDigits(bytes), let yearInCentury = twoDigits(bytes + 2), let month = twoDigits(bytes + 5),
            let day = twoDigits(bytes + 8), let hour = twoDigits(bytes + 11), let minute = twoDigits(bytes + 14),
            let second = twoDigits(bytes + 17)
        else { return nil }
        let year = century * 100 + yearInCentury
        guard month >= 1, month <= 12, day >= 1, day <= daysInMonth(month, year: year), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var index = 19
        guard let fraction = fractionMicros(utf8, &index), let offset = zoneMinutes(utf8, &index), index == utf8.count
        else { return nil }
        let minutes = dayNumber(year: year, month: month, day: day) * 1440 + Int64(hour * 60 + minute - offset)
        if second == 60, !endsMonth(minutes) { return nil }
        let micros = (minutes * 60 + Int64(second)) * 1_000_000 + fraction
        return micros >= earliestMicros && micros <= latestMicros ? micros : nil
    }

    /// Days since 1970-01-01 of a calendar date `YYYY-MM-DD`; nil when it is not one, or no real date.
    public static func parseDate(_ utf8: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard utf8.count == 10, let bytes = utf8.baseAddress, bytes[4] == UInt8(ascii: "-"),
            bytes[7] == UInt8(ascii: "-"), let century = twoDigits(bytes), let yearInCentury = twoDigits(bytes + 2),
            let month = twoDigits(bytes + 5), let day = twoDigits(bytes + 8)
        else { return nil }
        let year = century * 100 + yearInCentury
        guard year >= 1, month >= 1, month <= 12, day >= 1, day <= daysInMonth(month, year: year) else { return nil }
        return dayNumber(year: year, month: month, day: day)
    }

    /// Microseconds since midnight of a time of day `hh:mm:ss` with an optional fraction and no zone; nil when
    /// it is not one.
    public static func parseTimeOfDay(_ utf8: UnsafeBufferPointer<UInt8>) -> Int64? {
        guard utf8.count >= 8, let bytes = utf8.baseAddress, bytes[2] == UInt8(ascii: ":"),
            bytes[5] == UInt8(ascii: ":"), let hour = twoDigits(bytes), let minute = twoDigits(bytes + 3),
            let second = twoDigits(bytes + 6), hour < 24, minute < 60, second < 60
        else { return nil }
        var index = 8
        var fraction: Int64 = 0
        if utf8.count > 8 {
            guard bytes[8] == UInt8(ascii: "."), let micros = fractionMicros(utf8, &index) else { return nil }
            fraction = micros
        }
        guard index == utf8.count else { return nil }
        return Int64(hour * 3600 + minute * 60 + second) * 1_000_000 + fraction
    }

    @inline(__always)
    private static func twoDigits(_ bytes: UnsafePointer<UInt8>) -> Int? {
        let tens = bytes[0] &- UInt8(ascii: "0")
        let ones = bytes[1] &- UInt8(ascii: "0")
        return tens <= 9 && ones <= 9 ? Int(tens) * 10 + Int(ones) : nil
    }

    private static func fractionMicros(_ utf8: UnsafeBufferPointer<UInt8>, _ index: inout Int) -> Int64? {
        guard utf8[index] == UInt8(ascii: ".") else { return 0 }
        index += 1
        var micros: Int64 = 0
        var digits = 0
        while index < utf8.count {
            let digit = utf8[index] &- UInt8(ascii: "0")
            if digit > 9 { break }
            if digits < 6 { micros = micros * 10 + Int64(digit) }
            digits += 1
            index += 1
        }
        guard digits > 0 else { return nil }
        for _ in min(digits, 6)..<6 { micros *= 10 }
        return micros
    }

    /// Minutes east of UTC. `-00:00` (offset unknown) counts as UTC, as RFC 3339 section 4.3 allows.
    private static func zoneMinutes(_ utf8: UnsafeBufferPointer<UInt8>, _ index: inout Int) -> Int? {
        guard index < utf8.count else { return nil }
        let mark = utf8[index]
        index += 1
        if mark | 0x20 == UInt8(ascii: "z") { return 0 }
        guard mark == UInt8(ascii: "+") || mark == UInt8(ascii: "-"), index + 5 <= utf8.count,
            let base = utf8.baseAddress, let hours = twoDigits(base + index), base[index + 2] == UInt8(ascii: ":"),
            let minutes = twoDigits(base + index + 3), hours < 24, minutes < 60
        else { return nil }
        index += 5
        return mark == UInt8(ascii: "-") ? -(hours * 60 + minutes) : hours * 60 + minutes
    }

    /// Whether the minute is 23:59 UTC on the last day of a month, the only place for a leap second.
    private static func endsMonth(_ minutes: Int64) -> Bool {
        let (next, remainder) = (minutes + 1).quotientAndRemainder(dividingBy: 1440)
        return remainder == 0 && civil(dayNumber: next).day == 1
    }

    /// Days of a month of the Gregorian calendar.
    public static func daysInMonth(_ month: Int, year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    /// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; `year` is not negative.
    public static func dayNumber(year: Int, month: Int, day: Int) -> Int64 {
        // Counting years from March puts the leap day last, so month lengths follow one linear formula.
        let shifted = month > 2 ? year : year - 1
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        let era = shifted >= 0 ? shifted / 400 : -1
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468)
    }

    /// The date of the proleptic Gregorian calendar that is `dayNumber` days after 1970-01-01.
    public static func civil(dayNumber: Int64) -> (year: Int, month: Int, day: Int) {
        let fromMarchZero = Int(dayNumber) + 719_468
        let era = (fromMarchZero >= 0 ? fromMarchZero : fromMarchZero - 146_096) / 146_097
        let dayOfEra = fromMarchZero - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// `micros` as `YYYY-MM-DDThh:mm:ss.mmmZ`, with six digits when milliseconds do not say it all. Instants
    /// outside ``earliestMicros``...``latestMicros`` are written as the nearest of the two.
    public static func text(_ micros: Int64) -> String {
        var bytes: [UInt8] = []
        append(micros, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends ``text(_:)``.
    public static func append(_ micros: Int64, to bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: textBytesMax) { room in
            let count = write(micros, at: room.baseAddress.unsafelyUnwrapped)
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: room[..<count]))
        }
    }

    /// The length of the longest ``text(_:)``.
    static let textBytesMax = "2026-01-01T00:00:00.000000Z".utf8.count

    /// Writes ``text(_:)`` through a pointer with room for ``textBytesMax``; returns the bytes used.
    static func write(_ micros: Int64, at room: UnsafeMutablePointer<UInt8>) -> Int {
        let clamped = min(max(micros, earliestMicros), latestMicros)
        var day = clamped / microsPerDay
        var rest = clamped % microsPerDay
        if rest < 0 {
            rest += microsPerDay
            day -= 1
        }
        let date = civil(dayNumber: day)
        let seconds = Int(rest / 1_000_000)
        let fraction = Int(rest % 1_000_000)
        writePadded(date.year, 4, UInt8(ascii: "-"), room)
        writePadded(date.month, 2, UInt8(ascii: "-"), room + 5)
        writePadded(date.day, 2, UInt8(ascii: "T"), room + 8)
        writePadded(seconds / 3600, 2, UInt8(ascii: ":"), room + 11)
        writePadded(seconds / 60 % 60, 2, UInt8(ascii: ":"), room + 14)
        writePadded(seconds % 60, 2, UInt8(ascii: "."), room + 17)
        let isWhole = fraction % 1000 == 0
        writePadded(isWhole ? fraction / 1000 : fraction, isWhole ? 3 : 6, UInt8(ascii: "Z"), room + 20)
        return isWhole ? 24 : 27
    }

    @inline(__always)
    private static func writePadded(_ value: Int, _ width: Int, _ mark: UInt8, _ room: UnsafeMutablePointer<UInt8>) {
        var rest = value
        for place in stride(from: width - 1, through: 0, by: -1) {
            room[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        room[width] = mark
    }
}

extension JSONWriter {
    /// A string with ``Timestamp/text(_:)`` of `micros`.
    public mutating func timestamp(_ micros: Int64) {
        quoted(room: Timestamp.textBytesMax) { Timestamp.write(micros, at: $0) }
    }
}
