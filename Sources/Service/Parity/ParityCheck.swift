import Decisions
import Features
import JSON
import Postgres

/// What a served value is held against.
enum ParityReference: String, Sendable, CaseIterable {
    /// The engine's own computation over the stored events, as training sets have it.
    case historical
    /// PostgreSQL's own aggregates over the stored events.
    case sql
}

/// A served value that is not what was computed again.
struct ParityMismatch: Sendable, Equatable {
    var feature: String
    var against: ParityReference
    /// JSON as served, or as the history has it where memory could not answer.
    var served: String
    /// As PostgreSQL, or the history's computation, has it.
    var expected: String
}

/// What comparing values came to.
struct ParityTally: Sendable, Equatable {
    /// The same bits.
    var equal = 0
    /// Within the documented error of a sketch or a decaying sum.
    var within = 0
    var different = 0
    /// A limit of memory, or a mask, stood in the way.
    var limited = 0
    /// PostgreSQL does not compute the feature.
    var absent = 0

    var compared: Int { equal + within + different }

    mutating func add(_ verdict: ParityVerdict) {
        switch verdict {
        case .equal: equal += 1
        case .within: within += 1
        case .different: different += 1
        case .limited: limited += 1
        case .absent: absent += 1
        }
    }

    mutating func add(_ other: ParityTally) {
        equal += other.equal
        within += other.within
        different += other.different
        limited += other.limited
        absent += other.absent
    }
}

/// What comparing points came to.
struct ParityOutcome: Sendable, Equatable {
    var historical = ParityTally()
    var sql = ParityTally()
    var mismatches: [ParityMismatch] = []

    mutating func add(_ other: ParityOutcome) {
        historical.add(other.historical)
        sql.add(other.sql)
        mismatches += other.mismatches
    }
}

/// Computes served features again, by the engine from stored events and by PostgreSQL's own aggregates, and compares all
/// three. For one thread.
struct ParityCheck {
    let definition: FeatureViewDefinition
    let sql: FeatureSQL
    private let view: FeatureView
    private let journal: UInt128
    private let statement: PostgresStatement
    private var history: EventHistory
    private let comparisons: [SQLComparison]

    /// - Parameter journal: id of the journal whose events the daemon serves from.
    init(_ definition: FeatureViewDefinition, _ view: FeatureView, journal: UInt128) {
        self.definition = definition
        self.view = view
        self.journal = journal
        sql = FeatureSQL(definition.spec, definition.source)
        statement = PostgresStatement(
            "parity_\(definition.spec.name)_\(definition.spec.version)", sql.text,
            [.uuid, .int64, .int64, .int64] + definition.keyPointers.map { _ in .inferred })
        history = EventHistory(journal: journal)
        comparisons = definition.spec.features.map { SQLComparison($0, definition.spec) }
    }

    /// Compares one point.
    ///
    /// - Parameters:
    ///   - served: the served values, one per feature of the view in serving order, on-demand ones too.
    ///   - seq: journal position at which they were served; PostgreSQL has everything up to it.
    mutating func compare(
        _ point: ParityPoint, served: [ServedValue], seq: Int64, _ connection: PostgresConnection
    ) throws(PostgresError) -> ParityOutcome {
        precondition(served.count == definition.servedNames.count, "one value per served feature")
        let computed = try computed(point, seq: seq, connection).map(ServedValue.init)
        let expected = try expected(point, seq: seq, connection)
        var outcome = ParityOutcome()
        var limited = Array(repeating: false, count: served.count)
        for (index, name) in definition.servedNames.enumerated() {
            limited[index] = served[index].isLimited || isMadeFromLimited(index, limited)
            // A limit of memory says nothing of the events: the history has them all.
            let value = limited[index] ? computed[index] : served[index]
            let historical: ParityVerdict =
                limited[index] || computed[index].isLimited
                ? .limited : served[index].agrees(with: computed[index]) ? .equal : .different
            outcome.historical.add(historical)
            if historical == .different {
                outcome.mismatches.append(
                    ParityMismatch(
                        feature: name, against: .historical, served: served[index].text,
                        expected: computed[index].text))
            }
            let verdict = verdict(index, value, expected)
            outcome.sql.add(verdict)
            if verdict == .different {
                outcome.mismatches.append(
                    ParityMismatch(
                        feature: name, against: .sql, served: value.text,
                        expected: expected.values[index].flatMap { $0.value } ?? "NULL"))
            }
        }
        return outcome
    }

    /// An on-demand feature of a value that was not answered may be anything.
    private func isMadeFromLimited(_ index: Int, _ limited: [Bool]) -> Bool {
        let stored = definition.spec.features.count
        guard index >= stored else { return false }
        return definition.onDemand.features[index - stored].sources.contains { limited[$0] }
    }

    // MARK: The engine over stored events

    private mutating func computed(
        _ point: ParityPoint, seq: Int64, _ connection: PostgresConnection
    ) throws(PostgresError) -> [FeatureValue] {
        var span = EventSpan(
            after: view.historyStart(asOf: point.asOfMicros), through: point.asOfMicros, seqThrough: seq,
            ingestThrough: point.knownMicros ?? .max, limit: ServiceLimits.historyEventsMax + 1,
            correctionsThrough: seq)
        var vector = FeatureVector()
        repeat {
            var computation = FeatureComputation(view, entityEventsMax: ServiceLimits.historyEventsMax)
            for event in try history.events(of: definition.key(of: point.parts), definition, span, connection) {
                computation.add(event)
            }
            computation.read(
                asOf: point.asOfMicros, knownAt: point.knownMicros.map(KnownAt.ingestTime) ?? .latest,
                featuresSeq: seq, into: &vector)
            // Without an event in the longest window the one before it still counts: its age is served.
            if vector.lastEventTimes[0] != nil || span.after == .min { break }
            span.after = .min
        } while true
        var values = vector.values
        definition.onDemand.append(to: &values, asOf: point.asOfMicros)
        return values
    }

    // MARK: PostgreSQL

    /// PostgreSQL's values by served feature; nil for those that it does not compute.
    private struct Expected {
        var values: [(value: String?, bound: String?)?]
        var isExpired = false
    }

    private func expected(
        _ point: ParityPoint, seq: Int64, _ connection: PostgresConnection
    ) throws(PostgresError) -> Expected {
        var parameters: [PostgresParameter] = [
            .uuid(journal), .int64(point.asOfMicros), .int64(point.knownMicros), .int64(seq),
        ]
        parameters += point.parts.map { .text($0) }
        let rows = try connection.query(statement, parameters, format: .text)
        guard rows.rowCount == 1 else { throw PostgresError.unexpectedResult(message: "an aggregate without a row") }
        var found = Expected(values: Array(repeating: nil, count: definition.servedNames.count))
        for feature in sql.features {
            var bound: String?
            if let column = feature.boundColumn { bound = try rows.string(0, column) }
            found.values[feature.index] = (try rows.string(0, feature.column), bound)
        }
        if let column = sql.expiredColumn { found.isExpired = try rows.string(0, column) == "t" }
        return found
    }

    private func verdict(_ index: Int, _ value: ServedValue, _ expected: Expected) -> ParityVerdict {
        guard let found = expected.values[index] else { return .absent }
        return comparisons[index].verdict(value, found.value, bound: found.bound, isExpired: expected.isExpired)
    }
}

extension FeatureViewDefinition {
    /// Where the view's events are.
    var source: FeatureSource {
        FeatureSource(
            eventTypes: eventTypes, keyPaths: keyPointers.map(\.tokens), columnPaths: columnPointers.map(\.tokens))
    }

    /// Names of all features that are served, in serving order: those that the view keeps, then the on-demand ones.
    var servedNames: [String] { spec.features.map(\.name) + onDemand.features.map(\.name) }

    /// How near PostgreSQL comes to each served feature, in serving order; nil with the reason where it does not compute
    /// it.
    func precisions(_ sql: FeatureSQL) -> [(name: String, precision: FeatureSQL.Precision?, reason: String?)] {
        servedNames.enumerated().map { index, name in
            if let feature = sql.features.first(where: { $0.index == index }) { return (name, feature.precision, nil) }
            let omission = sql.omitted.first { $0.index == index }
            return (name, nil, omission?.reason ?? "a FEEL expression; compared with the history")
        }
    }
}
