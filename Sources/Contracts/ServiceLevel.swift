import JSON

/// One service level agreement of a contract (`slaProperties`).
public struct ServiceLevel: Sendable {
    /// What is promised.
    public enum Property: Hashable, Sendable {
        /// How old the newest data may be.
        case freshness
        /// How long data may take from its origin to here.
        case latency
        /// How long data is kept.
        case retention
        /// How often data comes.
        case frequency
        /// Any other word of the standard or the contract's own.
        case other(String)
    }

    /// What is promised.
    public let property: Property
    /// The promise in seconds, for ``Property/freshness``, latency, retention and frequency; nil otherwise.
    public let seconds: Int64?
    /// The value as written.
    public let value: JSONTree
    /// The unit as written.
    public let unit: String?
    /// `table.column` that it is about; nil for the whole contract.
    public let element: String?
    /// For people.
    public let description: String?
    /// Where it is in the contract.
    public let pointer: JSONPointer
}

extension ServiceLevel {
    /// Seconds in the units of the standard. A bare `m` could be minutes or months and is refused.
    private static let unitSeconds: [String: Int64] = [
        "s": 1, "sec": 1, "second": 1, "seconds": 1, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600,
        "hour": 3600, "hours": 3600, "d": 86_400, "day": 86_400, "days": 86_400, "w": 604_800, "week": 604_800,
        "weeks": 604_800, "month": 2_592_000, "months": 2_592_000, "y": 31_536_000, "yr": 31_536_000,
        "year": 31_536_000, "years": 31_536_000,
    ]

    private static let names: [String: Property] = [
        "freshness": .freshness, "fr": .freshness, "latency": .latency, "ly": .latency, "retention": .retention,
        "re": .retention, "frequency": .frequency, "fy": .frequency,
    ]

    /// Reads an agreement whose shape was checked. A month counts 30 days and a year 365.
    static func read(_ tree: JSONTree, at pointer: JSONPointer, _ issues: inout IssueList) -> ServiceLevel? {
        guard let name = tree["property"]?.string, let value = tree["value"] else { return nil }
        let property = names[name.lowercased()] ?? .other(name)
        let unit = tree["unit"]?.string
        var seconds: Int64?
        if property != .other(name) {
            guard let number = value.number, !number.isNegative else {
                issues.add(.invalidValue, pointer.appending("value"), "must be a number, not below zero")
                return nil
            }
            guard let unit, let factor = unitSeconds[unit.lowercased()] else {
                let known = unitSeconds.keys.sorted().joined(separator: ", ")
                issues.add(.invalidValue, pointer.appending("unit"), "must be one of: " + known)
                return nil
            }
            let exact = number.double * Double(factor)
            guard exact < 9e15 else {
                issues.add(.invalidValue, pointer.appending("value"), "is too long a time")
                return nil
            }
            seconds = Int64(exact.rounded())
        }
        return ServiceLevel(
            property: property, seconds: seconds, value: value, unit: unit, element: tree["element"]?.string,
            description: tree["description"]?.string, pointer: pointer)
    }
}
