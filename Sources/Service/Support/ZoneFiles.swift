import FEEL
import Synchronization

/// IANA time zones from the system's files, read once each.
final class ZoneFiles: Sendable {
    private let directory: String
    /// Grows to the number of files there are, no further: a name without a file is not kept.
    private let cache = Mutex<[String: TimeZoneRules]>([:])
    /// Bytes read to find the version of the tz database.
    private static let versionBytesMax = 64

    /// Version of the tz database that the files were made from, such as `2025b`; nil when the directory does not tell.
    let version: String?

    /// Those of this machine, for commands that read no configuration.
    static let system = ZoneFiles(directory: "/usr/share/zoneinfo")

    /// - Parameter directory: usually /usr/share/zoneinfo.
    init(directory: String) {
        self.directory = directory
        version = Self.version(of: directory)
    }

    /// The rules of a zone; nil when there is no such zone here.
    func rules(_ zone: String) -> TimeZoneRules? {
        if zone == "UTC" { return .utc }
        if let known = cache.withLock({ $0[zone] }) { return known }
        guard TimeZoneRules.isName(zone), let bytes = try? Files.read("\(directory)/\(zone)"),
            let rules = try? TimeZoneRules(name: zone, tzif: bytes)
        else { return nil }
        cache.withLock { $0[zone] = rules }
        return rules
    }

    /// What expressions see of the zones.
    var offsets: ZoneOffsets { ZoneOffsets(version: version) { [self] in rules($0) } }

    /// The first line of `tzdata.zi` is `# version 2025b`; `+VERSION` holds the bare version.
    private static func version(of directory: String) -> String? {
        let prefix = "# version "
        for (name, prefix) in [("tzdata.zi", prefix), ("+VERSION", "")] {
            guard let bytes = try? Files.read("\(directory)/\(name)") else { continue }
            let start = bytes.prefix(versionBytesMax)
            let line = String(decoding: start.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            guard line.hasPrefix(prefix) else { continue }
            let version = line.dropFirst(prefix.count)
            if !version.isEmpty, version.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) {
                return String(version)
            }
        }
        return nil
    }
}
