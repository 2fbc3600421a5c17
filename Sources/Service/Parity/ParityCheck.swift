import Decisions
import Features
import JSON
import Postgres

/// A served value that is not what was computed again.
struct ParityMismatch: Sendable, Equatable {
    var feature: String
    /// JSON as served.
    var served: String
    /// As PostgreSQL, or the history's computation, has it.
    var expected: String
}

/// What comparing one point came to.
struct ParityOutcome: Sendable, Equatable {
    /// Values that were compared.
    var compared = 0
    /// Values that memory refused by a limit (`window_truncated`, `overflow`, `feature_unavailable`, `expired`), which SQL
    /// knows not.
    var limited = 0
    var mismatches: [ParityMismatch] = []
}

/// Computes served features again from PostgreSQL and compares them bit for bit. For one thread.
struct ParityCheck {
    let definition: FeatureViewDefinition
    let sql: FeatureSQL
    private let journal: UInt128
    private let statement: PostgresStatement

    /// - Parameter journal: id of the journal whose events the daemon serves from.
    init(_ definition: FeatureViewDefinition, journal: UInt128) {
        self.definition = definition
        self.journal = journal
        sql = FeatureSQL(definition.spec, definition.source)
        statement = PostgresStatement(
            "parity_\(definition.spec.name)_\(definition.spec.version)", sql.text,
            [.uuid, .int64, .int64, .int64] + definition.keyPointers.map { _ in .inferred })
    }

    /// Compares one point.
    ///
    /// - Parameters:
    ///   - served: the served values, one per feature of the view.
    ///   - seq: journal position at which they were served; PostgreSQL has everything up to it.
    func compare(
        _ point: ParityPoint, served: [ServedValue], seq: Int64, _ connection: PostgresConnection
    ) throws(PostgresError) -> ParityOutcome {
        var parameters: [PostgresParameter] = [
            .uuid(journal), .int64(point.asOfMicros), .int64(point.knownMicros), .int64(seq),
        ]
        parameters += point.parts.map { .text($0) }
        let rows = try connection.query(statement, parameters, format: .text)
        guard rows.rowCount == 1 else { throw PostgresError.unexpectedResult(message: "an aggregate without a row") }
        var outcome = ParityOutcome()
        for (column, feature) in sql.features.enumerated() where column < rows.columnCount {
            let spec = definition.spec.features[feature]
            let expected = try rows.string(0, column)
            switch Comparison(spec, definition.spec).verdict(served[feature], expected) {
            case .equal: outcome.compared += 1
            case .limited: outcome.limited += 1
            case .different:
                outcome.compared += 1
                outcome.mismatches.append(
                    ParityMismatch(feature: spec.name, served: served[feature].text, expected: expected ?? "NULL"))
            }
        }
        return outcome
    }
}

/// A value as it is served: its JSON, and why it is null.
struct ServedValue: Sendable, Equatable {
    var json: JSONTree
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
}

/// How a feature's served value and PostgreSQL's text of it are held against each other.
private struct Comparison {
    enum Verdict { case equal, different, limited }

    /// Served as the digits of an exact decimal, as a binary64, as text, as a time.
    private enum Form { case decimal, double, text, time }
    private let form: Form

    init(_ feature: FeatureSpec, _ view: FeatureViewSpec) {
        let kind = view.columns.first { $0.name == feature.column }?.kind
        switch feature.aggregate {
        case .mean, .variance, .stddev, .ratio, .timeSince: form = .double
        case .firstTime, .lastTime: form = .time
        case .count, .distinct: form = .decimal
        default: form = kind == .string ? .text : kind == .double ? .double : .decimal
        }
    }

    private static let limits: Set<String> = ["window_truncated", "overflow", "feature_unavailable", "expired"]

    func verdict(_ served: ServedValue, _ expected: String?) -> Verdict {
        if let reason = served.nullReason, Self.limits.contains(reason) { return .limited }
        guard let expected else { return served.json.isNull ? .equal : .different }
        let isEqual =
            switch form {
            case .decimal: served.json.number != nil && served.json.number == JSONNumber(parsing: expected)
            case .double: served.json.double.map { $0.bitPattern == Double(expected)?.bitPattern } ?? false
            case .text: served.json.string.map { Array($0.utf8) == Array(expected.utf8) } ?? false
            case .time: served.json.string.flatMap(Timestamp.parse) == Int64(expected)
            }
        return isEqual ? .equal : .different
    }
}

extension FeatureViewDefinition {
    /// Where the view's events are.
    var source: FeatureSource {
        FeatureSource(
            eventTypes: eventTypes, keyPaths: keyPointers.map(\.tokens), columnPaths: columnPointers.map(\.tokens))
    }
}
