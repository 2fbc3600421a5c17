/// The rule at the end of a TZif file: a POSIX TZ string (RFC 8536 section 3.3.1 with its extensions), which holds for
/// every instant after the last transition.
struct PosixZone: Hashable, Sendable {
    /// The day a change happens on.
    enum Day: Hashable, Sendable {
        /// Jn: day 1...365, 29 February never counted.
        case julian(Int)
        /// n: day 0...365, 29 February counted.
        case zeroBased(Int)
        /// Mm.w.d: weekday d (0 is Sunday) of week w (5 is the last) of month m.
        case weekday(month: Int, week: Int, day: Int)
    }

    struct Change: Hashable, Sendable {
        var day: Day
        /// Local wall-clock seconds after midnight, -167...167 hours.
        var seconds: Int
    }

    /// Seconds east of UTC.
    var standardOffset: Int
    var daylightOffset: Int?
    var start: Change?
    var end: Change?

    /// nil when the text is not a valid rule.
    init?(_ text: some Sequence<UInt8>) {
        var parser = PosixZoneParser(bytes: Array(text))
        guard parser.name(), let west = parser.offset(hoursMax: 24) else { return nil }
        standardOffset = -west
        if parser.isAtEnd { return }
        guard parser.name() else { return nil }
        var daylight = standardOffset + 3_600
        if parser.peek != UInt8(ascii: ",") {
            guard let west = parser.offset(hoursMax: 24) else { return nil }
            daylight = -west
        }
        daylightOffset = daylight
        guard parser.take(","), let first = parser.change(), parser.take(","), let second = parser.change(),
            parser.isAtEnd
        else { return nil }
        start = first
        end = second
    }

    /// Seconds of 400 years, after which the calendar and its weekdays repeat.
    private static let cycle: Int64 = 146_097 * 86_400

    /// Offset from UTC at an instant [s], however far away.
    func offset(at utc: Int64) -> Int {
        guard let daylightOffset, let start, let end else { return standardOffset }
        // The same instant of the cycle that begins in 1970: no date below can leave the calendar.
        let utc = utc - utc.flooringDivision(by: Self.cycle) * Self.cycle
        let year = Date(daysSinceEpoch: (utc + Int64(standardOffset)).flooringDivision(by: 86_400)).fields.year
        // Each change is given in the local time that holds before it. A year's change can fall into a neighbour in
        // UTC.
        var latest: (utc: Int64, offset: Int)?
        for candidate in (year - 1)...(year + 1) {
            let on = Self.local(start, candidate) - Int64(standardOffset)
            let off = Self.local(end, candidate) - Int64(daylightOffset)
            for change in [(on, daylightOffset), (off, standardOffset)] where change.0 <= utc {
                if change.0 >= latest?.utc ?? .min { latest = change }
            }
        }
        return latest?.offset ?? standardOffset
    }

    /// Local seconds since 1970-01-01T00:00 of a change in a year.
    private static func local(_ change: Change, _ year: Int) -> Int64 {
        let newYear = firstDay(year, 1)
        let days: Int64
        switch change.day {
        case .julian(let number):
            days = newYear + Int64(number - 1 + (Date.isLeap(year) && number >= 60 ? 1 : 0))
        case .zeroBased(let number):
            days = newYear + Int64(number)
        case .weekday(let month, let week, let day):
            let first = firstDay(year, month)
            // FEEL's weekdays run from 1 (Monday) to 7, the rule's from 0 (Sunday).
            let weekday = Date(daysSinceEpoch: first).weekday % 7
            var date = (day - weekday + 7) % 7 + (week - 1) * 7
            while date >= Date.days(inMonth: month, year: year) { date -= 7 }
            days = first + Int64(date)
        }
        return days * 86_400 + Int64(change.seconds)
    }

    private static func firstDay(_ year: Int, _ month: Int) -> Int64 {
        guard let date = Date(year: year, month: month, day: 1) else {
            preconditionFailure("a year of the cycle is in the calendar")
        }
        return date.daysSinceEpoch
    }
}

private struct PosixZoneParser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }
    var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// Three or more letters, or anything in angle brackets.
    mutating func name() -> Bool {
        let start = position
        if take("<") {
            while let byte = peek, byte != UInt8(ascii: ">") { position += 1 }
            return take(">")
        }
        while let byte = peek, (UInt8(ascii: "A")...UInt8(ascii: "z")).contains(byte) { position += 1 }
        return position - start >= 3
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int? {
        let start = position
        var value = 0
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), position - start < 3 {
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
            position += 1
        }
        return position > start && range.contains(value) ? value : nil
    }

    /// [+-]hh[:mm[:ss]] in seconds.
    mutating func offset(hoursMax: Int) -> Int? {
        let isNegative = take("-")
        if !isNegative { _ = take("+") }
        guard let hours = number(0...hoursMax) else { return nil }
        var seconds = hours * 3_600
        if take(":") {
            guard let minutes = number(0...59) else { return nil }
            seconds += minutes * 60
            if take(":") {
                guard let rest = number(0...59) else { return nil }
                seconds += rest
            }
        }
        return isNegative ? -seconds : seconds
    }

    mutating func change() -> PosixZone.Change? {
        let day: PosixZone.Day
        if take("M") {
            guard let month = number(1...12), take("."), let week = number(1...5), take("."),
                let weekday = number(0...6)
            else { return nil }
            day = .weekday(month: month, week: week, day: weekday)
        } else if take("J") {
            guard let number = number(1...365) else { return nil }
            day = .julian(number)
        } else {
            guard let number = number(0...365) else { return nil }
            day = .zeroBased(number)
        }
        var seconds = 7_200
        if take("/") {
            guard let time = offset(hoursMax: 167) else { return nil }
            seconds = time
        }
        return PosixZone.Change(day: day, seconds: seconds)
    }
}
