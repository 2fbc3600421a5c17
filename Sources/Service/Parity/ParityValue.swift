import Decisions
import Features
import JSON

/// A value as it is served: its JSON, and why it is null.
struct ServedValue: Sendable, Equatable {
    var json: JSONTree
    /// nil when it is not null, or nobody says why it is.
    var nullReason: String?

    /// For people.
    var text: String {
        nullReason.map { "null (\($0))" } ?? String(decoding: json.bytes, as: UTF8.self)
    }

    init(json: JSONTree, nullReason: String?) {
        self.json = json
        self.nullReason = nullReason
    }

    /// The value as the API would show it.
    init(_ value: FeatureValue) {
        var writer = JSONWriter(capacity: 32)
        DecisionEncoding.write(value, to: &writer)
        json = (try? JSONTree(parsing: writer.bytes)) ?? .null
        nullReason = value.nullReason?.rawValue
    }

    /// Reasons that speak of what may be answered here, not of the events: memory's bounds, and masks.
    private static let limits: Set<String> = [
        FeatureNullReason.windowTruncated.rawValue, FeatureNullReason.featureUnavailable.rawValue, "masked",
    ]

    /// Whether a limit stood in the place of the value.
    var isLimited: Bool { nullReason.map(Self.limits.contains) ?? false }

    /// Whether both say the same, with the same reason where both give one.
    func agrees(with other: ServedValue) -> Bool {
        guard json == other.json else { return false }
        guard let nullReason, let otherReason = other.nullReason else { return true }
        return nullReason == otherReason
    }
}

/// What comparing one value came to.
enum ParityVerdict: Sendable, Equatable {
    /// The same bits.
    case equal
    /// Not the same bits, but within the documented error.
    case within
    case different
    /// A limit stood in the way.
    case limited
    /// PostgreSQL does not compute the feature.
    case absent
}

/// How a feature's value and PostgreSQL's text of it are held against each other.
struct SQLComparison: Sendable {
    /// Served as the digits of an exact decimal, as a binary64, as text, as a time, as a day, as a truth value, as JSON.
    private enum Form { case decimal, double, text, time, date, boolean, json }
    private let form: Form

    init(_ feature: FeatureSpec, _ view: FeatureViewSpec) {
        switch feature.aggregate {
        case .mean, .variance, .stddev, .ratio, .timeSince, .decayedSum, .decayedMean: form = .double
        case .firstTime, .lastTime: form = .time
        case .count, .distinct: form = .decimal
        case .topK: form = .json
        case .sum, .min, .max, .first, .last, .quantile, .attribute:
            switch view.columns.first(where: { $0.name == feature.column })?.kind {
            case .string: form = .text
            case .double: form = .double
            case .boolean: form = .boolean
            case .timestamp: form = .time
            case .date: form = .date
            case .decimal, .integer, nil: form = .decimal
            }
        }
    }

    /// - Parameters:
    ///   - expected: PostgreSQL's value as text; nil for NULL.
    ///   - bound: the largest difference that is allowed, as text; nil for none.
    ///   - isExpired: whether PostgreSQL says that the view's time to live is over.
    func verdict(_ served: ServedValue, _ expected: String?, bound: String?, isExpired: Bool) -> ParityVerdict {
        let reason = served.nullReason
        // Sums beyond 128 bits: `numeric` has no such end.
        if reason == FeatureNullReason.overflow.rawValue || served.isLimited { return .limited }
        if isExpired {
            return served.json.isNull && (reason ?? Self.expired) == Self.expired ? .equal : .different
        }
        if reason == Self.expired { return .different }
        guard let expected else { return served.json.isNull ? .equal : .different }
        if isEqual(served.json, expected) { return .equal }
        guard let bound = bound.flatMap(Double.init), let value = served.json.double, let expected = Double(expected)
        else { return .different }
        return abs(value - expected) <= bound ? .within : .different
    }

    private static let expired = FeatureNullReason.expired.rawValue

    private func isEqual(_ served: JSONTree, _ expected: String) -> Bool {
        switch form {
        case .decimal: served.number != nil && served.number == JSONNumber(parsing: expected)
        case .double: served.double.map { $0.bitPattern == Double(expected)?.bitPattern } ?? false
        case .text: served.string.map { Array($0.utf8) == Array(expected.utf8) } ?? false
        case .time: served.string.flatMap(Timestamp.parse) == Int64(expected)
        case .date: served.string.flatMap(Self.day) == Int64(expected)
        case .boolean: served.bool.map { ($0 ? "t" : "f") == expected } ?? false
        case .json: (try? JSONTree(parsing: expected)) == served
        }
    }

    private static func day(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { Timestamp.parseDate($0) }
    }
}
