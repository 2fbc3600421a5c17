/// Offsets of IANA time zones, supplied by the caller because this module reads no files.
///
/// A wall-clock reading that a zone shows twice (clocks go back) means the first of the two instants; one that it skips
/// (clocks go forward) moves forward by the length of the gap: 2024-03-31T02:30:00@Europe/Paris is 03:30:00. Days and
/// time are added to the instant, years and months to the wall clock.
public struct ZoneOffsets: Sendable {
    /// Seconds east of UTC of a zone at a local time (seconds since 1970-01-01T00:00:00 on that zone's clock); nil for
    /// an unknown zone.
    public let offsetSeconds: @Sendable (_ zone: String, _ localSeconds: Int64) -> Int32?
    /// Seconds east of UTC of a zone at an instant (seconds since 1970-01-01T00:00:00Z); nil for an unknown zone.
    public let offsetAtInstant: @Sendable (_ zone: String, _ utcSeconds: Int64) -> Int32?
    /// The version of the tz database that the offsets come from, such as `2025b`; nil when it is not known. Records
    /// of what was computed name it, because another version may give other results.
    public let version: String?

    /// Makes offsets from a lookup by local time alone.
    public init(_ offsetSeconds: @escaping @Sendable (_ zone: String, _ localSeconds: Int64) -> Int32?) {
        self.offsetSeconds = offsetSeconds
        offsetAtInstant = { zone, utc in
            guard let first = offsetSeconds(zone, utc) else { return nil }
            return offsetSeconds(zone, utc + Int64(first))
        }
        version = nil
    }

    /// Makes offsets from the rules of zones.
    /// - Parameters:
    ///   - version: of the tz database, nil when unknown.
    ///   - rules: looks a zone up; nil for an unknown one. Names come from expressions and data: whoever reads files
    ///     must refuse those that are no zone's name (`TimeZoneRules.isName`) and bound what it keeps.
    public init(version: String?, rules: @escaping @Sendable (_ zone: String) -> TimeZoneRules?) {
        offsetSeconds = { zone, local in rules(zone).map { Int32($0.offset(atLocal: local)) } }
        offsetAtInstant = { zone, utc in rules(zone).map { Int32($0.offset(atSecond: utc)) } }
        self.version = version
    }

    /// Knows the names of UTC only.
    public static let utcOnly = ZoneOffsets { zone, _ in
        ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Z"].contains(zone) ? 0 : nil
    }
}

extension TimeZoneRules {
    /// Whether a text is spelled like the name of an IANA zone: letters, digits, `_`, `+` and `-` in parts separated
    /// by `/`, at most `FEELLimits.zoneNameBytes` long. Nothing that could leave a directory passes.
    public static func isName(_ text: String) -> Bool {
        guard text.utf8.count <= FEELLimits.zoneNameBytes else { return false }
        return text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            guard let first = part.utf8.first, first | 0x20 >= 97, first | 0x20 <= 122 else { return false }
            return part.utf8.allSatisfy { byte in
                (byte | 0x20 >= 97 && byte | 0x20 <= 122) || (byte >= 48 && byte <= 57) || "_+-".utf8.contains(byte)
            }
        }
    }
}

extension DateTime {
    /// The instant that the same wall-clock reading means under the rules of its named zone; nil when they are not
    /// known. Anything without a named zone stays as it is.
    func resolved(_ zones: ZoneOffsets) -> DateTime? {
        guard case .named(let name, _) = zone else { return self }
        guard let offset = zones.offsetSeconds(name, localSeconds) else { return nil }
        return DateTime(utcSeconds: localSeconds - Int64(offset), nanosecond: nanosecond, zone: name, zones)
    }

    /// An instant on the clock of a named zone; nil when its rules are not known.
    init?(utcSeconds: Int64, nanosecond: Int32, zone name: String, _ zones: ZoneOffsets) {
        guard let offset = zones.offsetAtInstant(name, utcSeconds) else { return nil }
        self.init(localSeconds: utcSeconds + Int64(offset), nanosecond: nanosecond, zone: .named(name, offset))
    }
}
