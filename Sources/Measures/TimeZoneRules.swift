/// Why a time zone file was refused.
public struct TimeZoneError: Error, Equatable, Sendable {
    /// Stable snake_case code.
    public enum Code: String, Sendable {
        /// No TZif header of version 2 or later.
        case notTZif = "not_tzif"
        /// Counts, indexes or the order of transitions make no sense, or bytes are missing.
        case corrupt = "corrupt"
        /// The footer is not a valid POSIX TZ string.
        case badFooter = "bad_footer"
    }

    /// What is wrong.
    public let code: Code

    init(_ code: Code) { self.code = code }
}

/// Span that a time dimension is grouped by.
public enum TimeGrain: String, Hashable, Sendable, CaseIterable {
    /// The base bucket.
    case quarterHour = "15m"
    /// Wall-clock hours; a repeated hour counts twice.
    case hour
    /// Local days: 23, 24 or 25 hours.
    case day
    /// Local weeks from Monday (ISO 8601).
    case week
    /// Local months.
    case month
    /// Local quarters.
    case quarter
    /// Local years.
    case year
}

/// The rules of one IANA time zone, from the bytes of its TZif file (RFC 8536). The caller reads the file.
public struct TimeZoneRules: Hashable, Sendable {
    /// IANA name, as the caller gave it.
    public let name: String
    private let transitions: [Int64]
    /// Offset from each transition on [s].
    private let offsets: [Int]
    private let firstOffset: Int
    private let footer: PosixZone?

    /// UTC itself: no file needed.
    public static let utc = TimeZoneRules(name: "UTC", transitions: [], offsets: [], firstOffset: 0, footer: nil)

    private init(name: String, transitions: [Int64], offsets: [Int], firstOffset: Int, footer: PosixZone?) {
        self.name = name
        self.transitions = transitions
        self.offsets = offsets
        self.firstOffset = firstOffset
        self.footer = footer
    }

    /// Parses the version 2+ part of a TZif file.
    public init(name: String, tzif bytes: [UInt8]) throws(TimeZoneError) {
        var reader = TZifReader(bytes: bytes)
        let first = try reader.header()
        guard first.version >= UInt8(ascii: "2") else { throw TimeZoneError(.notTZif) }
        try reader.skip(first.dataBytes(timeBytes: 4))
        let header = try reader.header()
        guard header.timeCount <= MeasureLimits.zoneTransitionsMax, header.typeCount >= 1, header.typeCount <= 256
        else {
            throw TimeZoneError(.corrupt)
        }
        var times: [Int64] = []
        for _ in 0..<header.timeCount { times.append(Int64(bitPattern: try reader.bigEndian(8))) }
        for index in times.indices.dropFirst() where times[index] <= times[index - 1] { throw TimeZoneError(.corrupt) }
        var kinds: [Int] = []
        for _ in 0..<header.timeCount { kinds.append(Int(try reader.bigEndian(1))) }
        var typeOffsets: [Int] = []
        for _ in 0..<header.typeCount {
            typeOffsets.append(Int(Int32(truncatingIfNeeded: try reader.bigEndian(4))))
            try reader.skip(2)
        }
        guard kinds.allSatisfy({ $0 < typeOffsets.count }), typeOffsets.allSatisfy({ abs($0) < 93_600 }) else {
            throw TimeZoneError(.corrupt)
        }
        try reader.skip(header.trailingBytes(timeBytes: 8))
        let text = try reader.footer()
        let rule = text.isEmpty ? nil : PosixZone(text)
        if rule == nil, !text.isEmpty { throw TimeZoneError(.badFooter) }
        self.init(
            name: name, transitions: times, offsets: kinds.map { typeOffsets[$0] }, firstOffset: typeOffsets[0],
            footer: rule)
    }

    /// Offset from UTC at an instant [s, east positive].
    public func offsetSeconds(at timeMicros: Int64) -> Int {
        offset(atSecond: floorDivide(timeMicros, by: 1_000_000))
    }

    private func offset(atSecond utc: Int64) -> Int {
        guard let last = transitions.last, utc < last || footer == nil else {
            return footer?.offset(at: utc) ?? firstOffset
        }
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= utc { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? firstOffset : offsets[low - 1]
    }

    /// The first instant whose local wall clock shows `local` or, when it never does, later [s].
    func utc(local: Int64) -> Int64 {
        // Offsets in force a day before and after bound the answer; with equal offsets there is nothing to choose.
        let before = offset(atSecond: local - 86_400 - 50_400)
        let after = offset(atSecond: local + 86_400 + 50_400)
        let candidate = local - Int64(before)
        if before == after, offset(atSecond: candidate) == before { return candidate }
        let (low, high) = (local - 93_600, local + 93_600)
        // Local time is not monotonic across a fall back, so bisect only between changes of offset.
        var changes: [Int64] = [low]
        var probe = low
        while probe < high {
            let next = min(probe + 900, high)
            if offset(atSecond: next) != offset(atSecond: probe) { changes.append(changePoint(probe, next)) }
            probe = next
        }
        changes.append(high)
        for (start, end) in zip(changes, changes.dropFirst()) {
            let instant = max(start, local - Int64(offset(atSecond: start)))
            if instant < end { return instant }
        }
        return candidate
    }

    /// First second in (low, high] with the offset of `high`.
    private func changePoint(_ low: Int64, _ high: Int64) -> Int64 {
        var (low, high) = (low, high)
        let offset = offset(atSecond: high)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if self.offset(atSecond: middle) == offset { high = middle } else { low = middle }
        }
        return high
    }
}

/// Big-endian reading with bounds.
private struct TZifReader {
    struct Header {
        var version: UInt8
        var isUTCount: Int
        var isStandardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var characterCount: Int

        func dataBytes(timeBytes: Int) -> Int {
            timeCount * (timeBytes + 1) + typeCount * 6 + trailingBytes(timeBytes: timeBytes)
        }

        func trailingBytes(timeBytes: Int) -> Int {
            characterCount + leapCount * (timeBytes + 4) + isStandardCount + isUTCount
        }
    }

    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func skip(_ count: Int) throws(TimeZoneError) {
        guard count >= 0, count <= bytes.count - position else { throw TimeZoneError(.corrupt) }
        position += count
    }

    mutating func bigEndian(_ count: Int) throws(TimeZoneError) -> UInt64 {
        guard count <= bytes.count - position else { throw TimeZoneError(.corrupt) }
        var value: UInt64 = 0
        for _ in 0..<count {
            value = value << 8 | UInt64(bytes[position])
            position += 1
        }
        return value
    }

    mutating func header() throws(TimeZoneError) -> Header {
        guard bytes.count - position >= 44, bytes[position..<(position + 4)].elementsEqual("TZif".utf8) else {
            throw TimeZoneError(.notTZif)
        }
        let version = bytes[position + 4]
        position += 20
        var counts: [Int] = []
        for _ in 0..<6 { counts.append(Int(try bigEndian(4))) }
        return Header(
            version: version, isUTCount: counts[0], isStandardCount: counts[1], leapCount: counts[2],
            timeCount: counts[3], typeCount: counts[4], characterCount: counts[5])
    }

    mutating func footer() throws(TimeZoneError) -> [UInt8] {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\n"),
            let end = bytes[(position + 1)...].firstIndex(of: UInt8(ascii: "\n"))
        else { throw TimeZoneError(.badFooter) }
        return Array(bytes[(position + 1)..<end])
    }
}
