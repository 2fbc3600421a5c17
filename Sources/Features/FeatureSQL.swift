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
/// PostgreSQL's own functions and aggregates: what the engine serves must be these values, bit for bit.
///
/// Parameters: $1 journal (uuid), $2 as_of, $3 latest ingest time or NULL, $4 highest journal position (bigint, times in
/// microseconds since the Unix epoch), $5... the parts of the entity's key (text).
///
/// Each event's values are taken out of its JSON once (MATERIALIZED), not once for each aggregate. Sums are exact, since
/// they are of `numeric`. Where the engine divides, it rounds an exact quotient of integers once to
/// binary64; `numeric` division rounds, too, so the dividend is given 300 digits after the point: quotients of the integers
/// that the engine admits (below 2^127, scales up to 10^36) that are not halfway between two doubles differ from every
/// halfway point by more than 10^-150, and those that are have fewer than 300 digits. The cast then rounds as the engine
/// does. Binary64 columns have no exact sum here (`numeric` cannot be made from all their bits), see `omitted`.
public struct FeatureSQL: Hashable, Sendable {
    /// The statement.
    public let text: String
    /// Indexes of the features that it computes, in the order of its result columns.
    public let features: [Int]
    /// Indexes of the features that PostgreSQL's aggregates cannot give bit for bit.
    public let omitted: [Int]

    private static let quotientDigits = 300

    /// Writes the statement of a view.
    public init(_ spec: FeatureViewSpec, _ source: FeatureSource) {
        precondition(source.columnPaths.count == spec.columns.count, "one path per column of the view")
        var features: [Int] = []
        var omitted: [Int] = []
        var expressions: [String] = []
        for (index, feature) in spec.features.enumerated() {
            if let expression = Self.expression(feature, spec) {
                features.append(index)
                expressions.append("    \(expression) AS \(EventSQL.identifier(feature.name))")
            } else {
                omitted.append(index)
            }
        }
        self.features = features
        self.omitted = omitted
        text = """
            WITH event AS MATERIALIZED (
                SELECT e.event_us, e.source, e.id\(Self.columns(spec, source))
                FROM decisiond.event e
                WHERE e.journal_id = $1 AND e.contract = \(EventSQL.literal(spec.contract))\(Self.conditions(source))
                    AND e.event_us <= $2 AND ($3::bigint IS NULL OR e.ingest_us <= $3) AND e.seq <= $4
                    AND e.retracts IS NOT TRUE AND NOT EXISTS (
                        SELECT FROM decisiond.event c WHERE c.journal_id = $1 AND c.corrects_seq = e.seq
                            AND c.seq <= $4 AND ($3::bigint IS NULL OR c.ingest_us <= $3))
            )
            SELECT
            \(expressions.isEmpty ? "    count(*)" : expressions.joined(separator: ",\n"))
            FROM event
            """
    }

    // MARK: Events

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

    private static func columns(_ spec: FeatureViewSpec, _ source: FeatureSource) -> String {
        zip(spec.columns, source.columnPaths).map { column, path in
            ",\n        \(value(column.kind, path)) AS \(EventSQL.identifier(column.name))"
        }.joined()
    }

    /// A column's value, NULL where the engine has null.
    private static func value(_ kind: ColumnKind, _ path: [String]) -> String {
        switch kind {
        case .string: return EventSQL.text(at: path, ofType: "string")
        case .double: return double(EventSQL.text(at: path, ofType: "number"))
        case .decimal(let scale): return scaled(EventSQL.text(at: path, ofType: "number"), scale)
        case .integer: return scaled(EventSQL.text(at: path, ofType: "number"), 0)
        // Counted only: their values have no order and no sum here.
        case .boolean: return EventSQL.text(at: path, ofType: "boolean")
        case .timestamp, .date: return EventSQL.text(at: path, ofType: "string")
        }
    }

    /// A number of at most `scale` digits after the point that fits an Int64 of these units.
    private static func scaled(_ text: String, _ scale: Int) -> String {
        """
        (SELECT n FROM (SELECT (\(text))::numeric AS n) s
                WHERE n = trunc(n, \(scale)) AND n * 1e\(scale)::numeric BETWEEN -9223372036854775808 AND 9223372036854775807)
        """
    }

    /// The nearest binary64; a cast of what is out of its range would be an error.
    private static func double(_ text: String) -> String {
        """
        (SELECT CASE WHEN abs(n) < 2.4e-324::numeric THEN 0 WHEN abs(n) < 1.797693134862315807e308::numeric THEN n::float8 END
                FROM (SELECT (\(text))::numeric AS n) s)
        """
    }

    // MARK: Features

    /// The aggregate of one feature; nil when PostgreSQL cannot give the same bits.
    private static func expression(_ feature: FeatureSpec, _ spec: FeatureViewSpec) -> String? {
        let window = filter(feature.window, spec.aggregationInterval)
        let column = spec.columns.first { $0.name == feature.column }
        let value = column.map { EventSQL.identifier($0.name) } ?? "*"
        let isDouble = column?.kind == .double
        switch column?.kind {
        case .boolean, .timestamp, .date: if feature.aggregate != .count { return nil }
        default: break
        }
        switch feature.aggregate {
        case .count: return "count(\(value))\(window.filter)"
        case .sum: return isDouble ? nil : "coalesce(\(call("sum", value, window)), 0)"
        case .mean:
            if isDouble { return nil }
            return "\(call("sum", value, window))::float8 / \(call("count", value, window))::float8"
        case .min: return call("min", value, window)
        case .max: return call("max", value, window)
        case .first: return end(value, window, "ASC")
        case .last: return end(value, window, "DESC")
        case .distinct: return "count(DISTINCT \(value))\(window.filter)"
        case .variance: return isDouble ? nil : variance(value, window)
        case .stddev: return isDouble ? nil : "sqrt(\(variance(value, window)))"
        case .ratio(let denominator):
            let bottom = EventSQL.identifier(denominator)
            return quotient(call("sum", value, window), "nullif(\(call("sum", bottom, window)), 0)")
        case .firstTime: return time("min", value, window)
        case .lastTime: return time("max", value, window)
        case .timeSince(let unit):
            return quotient("($2 - \(call("max", "event_us", window)))::numeric", String(unit.rawValue))
        case .attribute: return end(value, ("", ""), "DESC")
        // Lists, sketches and binary logarithms are not PostgreSQL's.
        case .topK, .quantile, .decayedSum, .decayedMean: return nil
        }
    }

    /// The rows of a window: as a FILTER clause, and as a condition to be continued.
    private static func filter(
        _ window: FeatureWindow, _ interval: AggregationInterval
    ) -> (filter: String, condition: String) {
        guard case .micros(let micros) = window else { return ("", "") }
        let start: String
        switch interval {
        case .exact: start = "$2 - \(micros)"
        case .tiles(let seconds):
            let tile = seconds * 1_000_000
            start = "floor(($2 - \(micros))::numeric / \(tile)) * \(tile)"
        }
        return (" FILTER (WHERE event_us > \(start))", "event_us > \(start) AND ")
    }

    private static func call(
        _ function: String, _ value: String, _ window: (filter: String, condition: String)
    ) -> String {
        "\(function)(\(value))\(window.filter)"
    }

    /// The earliest or latest event time; of a column, of the events with a value.
    private static func time(
        _ function: String, _ value: String, _ window: (filter: String, condition: String)
    ) -> String {
        if value == "*" { return call(function, "event_us", window) }
        return "\(function)(event_us) FILTER (WHERE \(window.condition)\(value) IS NOT NULL)"
    }

    /// The first or last value by (event time, source, id), bytes compared.
    private static func end(
        _ value: String, _ window: (filter: String, condition: String), _ order: String
    ) -> String {
        """
        (array_agg(\(value) ORDER BY event_us \(order), source COLLATE "C" \(order), id COLLATE "C" \(order)) \
        FILTER (WHERE \(window.condition)\(value) IS NOT NULL))[1]
        """
    }

    private static func variance(_ value: String, _ window: (filter: String, condition: String)) -> String {
        let count = call("count", value, window)
        let (sum, squares) = (call("sum", value, window), call("sum", "\(value) * \(value)", window))
        return quotient(
            "\(count) * \(squares) - \(sum) * \(sum)", "nullif(\(count)::numeric * (\(count) - 1), 0)")
    }

    private static func quotient(_ dividend: String, _ divisor: String) -> String {
        "(round(\(dividend), \(quotientDigits)) / \(divisor))::float8"
    }
}
