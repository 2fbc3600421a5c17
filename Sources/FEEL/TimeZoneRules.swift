/// Why a time zone file was refused.
public struct TimeZoneError: Error, Equatable, Sendable {
    /// Stable snake_case code.
    public enum Code: String, Sendable {
        /// No TZif header.
        case notTZif = "not_tzif"
        /// Counts, indexes or the order of transitions make no sense, or bytes are missing.
        case corrupt = "corrupt"
        /// The footer is not a valid POSIX TZ string.
        case badFooter = "bad_footer"
        /// The file counts leap seconds ("right/..."), which no other clock here does.
        case leapSeconds = "leap_seconds"
        /// The file or its table of transitions passes a limit of `FEELLimits`.
        case tooBig = "too_big"
    }

    /// What is wrong.
    public let code: Code

    init(_ code: Code) { self.code = code }
}

/// The rules of one IANA time zone, from the bytes of its TZif file (RFC 8536, versions 1 to 4). The caller reads the
/// file.
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

    /// Parses a TZif file: the 64-bit data and the footer of versions 2 to 4, the 32-bit data of version 1.
    public init(name: String, tzif bytes: [UInt8]) throws(TimeZoneError) {
        guard bytes.count <= FEELLimits.zoneFileBytes else { throw TimeZoneError(.tooBig) }
        var reader = TZifReader(bytes: bytes)
        var header = try reader.header()
        let isLong = header.version >= UInt8(ascii: "2")
        if isLong {
            try reader.skip(header.dataBytes(timeBytes: 4))
            header = try reader.header()
        }
        let table = try reader.table(header, timeBytes: isLong ? 8 : 4)
        let text = isLong ? try reader.footer() : []
        let rule = text.isEmpty ? nil : PosixZone(text)
        if rule == nil, !text.isEmpty { throw TimeZoneError(.badFooter) }
        self.init(
            name: name, transitions: table.times, offsets: table.offsets, firstOffset: table.firstOffset, footer: rule)
    }

    /// Offset from UTC at an instant [microseconds since 1970 in, s out, east positive].
    public func offsetSeconds(at timeMicros: Int64) -> Int {
        offset(atSecond: timeMicros.flooringDivision(by: 1_000_000))
    }

    /// Offset from UTC at an instant [s since 1970 in, s out, east positive].
    public func offset(atSecond utc: Int64) -> Int {
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

    /// The offset that a wall clock's reading is meant with [s since 1970 on that clock in, s out]. A reading that
    /// happens twice is the first of the two; one that is skipped is taken with the offset before the gap, so that it
    /// falls as far behind the gap as it lay inside.
    public func offset(atLocal local: Int64) -> Int {
        // No offset passes 26 hours, so these two are the offsets before and after any change near the reading.
        let before = offset(atSecond: local - Self.offsetMax)
        let after = offset(atSecond: local + Self.offsetMax)
        if offset(atSecond: local - Int64(before)) == before { return before }
        return offset(atSecond: local - Int64(after)) == after ? after : before
    }

    /// Largest offset that a file may hold [s] (RFC 8536, 3.2).
    static let offsetMax: Int64 = 93_600

    /// The first instant whose local wall clock shows `local` or, when it never does, later [s].
    public func utc(local: Int64) -> Int64 {
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

    struct Table {
        var times: [Int64] = []
        /// Offset from each time on [s].
        var offsets: [Int] = []
        var firstOffset = 0
    }

    /// The data block after a header.
    mutating func table(_ header: Header, timeBytes: Int) throws(TimeZoneError) -> Table {
        guard header.leapCount == 0 else { throw TimeZoneError(.leapSeconds) }
        guard header.timeCount <= FEELLimits.zoneTransitions else { throw TimeZoneError(.tooBig) }
        guard header.typeCount >= 1, header.typeCount <= 256 else { throw TimeZoneError(.corrupt) }
        var table = Table()
        for _ in 0..<header.timeCount {
            let raw = try bigEndian(timeBytes)
            table.times.append(
                timeBytes == 8 ? Int64(bitPattern: raw) : Int64(Int32(bitPattern: UInt32(truncatingIfNeeded: raw))))
        }
        for index in table.times.indices.dropFirst() where table.times[index] <= table.times[index - 1] {
            throw TimeZoneError(.corrupt)
        }
        var kinds: [Int] = []
        for _ in 0..<header.timeCount { kinds.append(Int(try bigEndian(1))) }
        var offsets: [Int] = []
        for _ in 0..<header.typeCount {
            offsets.append(Int(Int32(truncatingIfNeeded: try bigEndian(4))))
            try skip(2)
        }
        guard kinds.allSatisfy({ $0 < offsets.count }),
            offsets.allSatisfy({ $0.magnitude < TimeZoneRules.offsetMax.magnitude })
        else { throw TimeZoneError(.corrupt) }
        try skip(header.trailingBytes(timeBytes: timeBytes))
        table.offsets = kinds.map { offsets[$0] }
        table.firstOffset = offsets[0]
        return table
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
