/// Where the events of a view are, as SQL needs it.
public struct FeatureSource: Hashable, Sendable {
    /// CloudEvents types that count; empty for all of the contract's.
    public var eventTypes: [String]
    /// The path of each part of the entity's key in an event.
    public var keyPaths: [[String]]
    /// The path of each column in an event, in the order of the view's columns.
    public var columnPaths: [[String]]

    /// Makes a source.
    public init(eventTypes: [String], keyPaths: [[String]], columnPaths: [[String]]) {
        self.eventTypes = eventTypes
        self.keyPaths = keyPaths
        self.columnPaths = columnPaths
    }
}

/// The features of a view for one entity and time as one SQL statement over `decisiond.event`, with nothing but
/// PostgreSQL's own functions and aggregates: what the engine serves must be these values, bit for bit, or within the
/// bound that PostgreSQL computes beside them.
///
/// Parameters: $1 journal (uuid), $2 as_of, $3 latest ingest time or NULL, $4 highest journal position (bigint, times in
/// microseconds since the Unix epoch), $5... the parts of the entity's key (text).
///
/// Each event's values are taken out of its JSON once (MATERIALIZED), not once for each aggregate. Sums are exact, since
/// they are of `numeric`; a binary64 is made a `numeric` from its bits. Where the engine divides, it rounds an exact
/// quotient of integers once to binary64; `numeric` division rounds, too, so the dividend is given 300 digits after the
/// point: quotients of the integers that the engine admits (below 2^127, scales up to 10^36) that are not halfway between
/// two doubles differ from every halfway point by more than 10^-150, and those that are have fewer than 300 digits. The
/// cast then rounds as the engine does.
public struct FeatureSQL: Hashable, Sendable {
    /// How near to the engine's value PostgreSQL's is.
    public enum Precision: Hashable, Sendable {
        /// The same bits.
        case exact
        /// Within a bound that stands in a column of its own; what it is, for people.
        case within(String)
    }

    /// One feature and where the result has it.
    public struct Feature: Hashable, Sendable {
        /// Index of the feature in the view.
        public let index: Int
        /// Result column of its value.
        public let column: Int
        /// Result column of the largest difference that is allowed (binary64); nil where there is none.
        public let boundColumn: Int?
        /// How near the value is.
        public let precision: Precision
    }

    /// A feature that the statement does not compute.
    public struct Omission: Hashable, Sendable {
        /// Index of the feature in the view.
        public let index: Int
        /// Why not, for people.
        public let reason: String
    }

    /// The statement.
    public let text: String
    /// The features that it computes, in the order of the view.
    public let features: [Feature]
    /// The features that it does not compute.
    public let omitted: [Omission]
    /// Result column that says whether the view's time to live is over; nil where values do not expire.
    public let expiredColumn: Int?

    /// Writes the statement of a view.
    public init(_ spec: FeatureViewSpec, _ source: FeatureSource) {
        precondition(source.columnPaths.count == spec.columns.count, "one path per column of the view")
        var features: [Feature] = []
        var omitted: [Omission] = []
        var results: [String] = []
        for (index, feature) in spec.features.enumerated() {
            if let reason = EventValueSQL.obstacle(feature, spec, source) {
                omitted.append(Omission(index: index, reason: reason))
                continue
            }
            let made = FeatureExpression(feature, spec)
            let name = feature.name
            results.append("    \(made.value) AS \(EventSQL.identifier(name))")
            var boundColumn: Int?
            if let bound = made.bound {
                boundColumn = results.count
                results.append("    \(bound) AS \(EventSQL.identifier("± " + name))")
            }
            features.append(
                Feature(
                    index: index, column: boundColumn.map { $0 - 1 } ?? results.count - 1, boundColumn: boundColumn,
                    precision: made.precision))
        }
        if let ttl = spec.ttlMicros {
            expiredColumn = results.count
            results.append("    max(event_us) < $2 - \(ttl) AS \(EventSQL.identifier("expired"))")
        } else {
            expiredColumn = nil
        }
        self.features = features
        self.omitted = omitted
        text = """
            WITH event AS MATERIALIZED (
                SELECT e.event_us, e.source, e.id\(EventValueSQL.columns(spec, source))
                FROM decisiond.event e
                WHERE e.journal_id = $1 AND e.contract = \(EventSQL.literal(spec.contract))\(Self.conditions(source))
                    AND e.event_us <= $2 AND ($3::bigint IS NULL OR e.ingest_us <= $3) AND e.seq <= $4
                    AND e.retracts IS NOT TRUE AND NOT EXISTS (
                        SELECT FROM decisiond.event c WHERE c.journal_id = $1 AND c.corrects_seq = e.seq
                            AND c.seq <= $4 AND ($3::bigint IS NULL OR c.ingest_us <= $3))
            )
            SELECT
            \(results.isEmpty ? "    count(*)" : results.joined(separator: ",\n"))
            FROM event
            """
    }

    private static func conditions(_ source: FeatureSource) -> String {
        var text = ""
        if !source.eventTypes.isEmpty {
            text += " AND e.type IN (\(source.eventTypes.map(EventSQL.literal).joined(separator: ", ")))"
        }
        for (index, path) in source.keyPaths.enumerated() {
            text += "\n        AND \(EventSQL.text(at: path)) = $\(index + 5)"
        }
        return text
    }
}
