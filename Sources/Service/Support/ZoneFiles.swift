import Measures
import Synchronization

/// IANA time zones from the system's files, read once each.
final class ZoneFiles: Sendable {
    private let directory: String
    private let cache = Mutex<[String: TimeZoneRules]>([:])

    /// - Parameter directory: usually /usr/share/zoneinfo.
    init(directory: String) {
        self.directory = directory
    }

    /// The rules of a zone; nil when there is no such zone here.
    func rules(_ zone: String) -> TimeZoneRules? {
        if zone == "UTC" { return .utc }
        if let known = cache.withLock({ $0[zone] }) { return known }
        let isName = zone.utf8.count <= 64 && !zone.contains("..") && !zone.hasPrefix("/")
        guard isName, let bytes = try? Files.read("\(directory)/\(zone)"),
            let rules = try? TimeZoneRules(name: zone, tzif: bytes)
        else { return nil }
        cache.withLock { $0[zone] = rules }
        return rules
    }
}
