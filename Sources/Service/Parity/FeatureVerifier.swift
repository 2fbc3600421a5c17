import Features
import JSON
import Postgres

/// Why a verification from the command line cannot go on.
public struct FeatureVerifierError: Error, Sendable, CustomStringConvertible {
    /// What happened and what to do.
    public let description: String
}

/// The offline half of `decisiond features verify`: picks points, and computes in PostgreSQL what a daemon has served.
public final class FeatureVerifier {
    /// One entity and time.
    public struct Point: Sendable {
        let point: ParityPoint
        /// The query of `GET /v1/features/{view}` for it.
        public let parameters: [(name: String, value: String)]
    }

    /// What comparing values came to.
    public struct Tally: Sendable {
        /// Values compared.
        public let compared: Int
        /// Those among them that differ by no more than the documented error.
        public let within: Int
        /// Values that a limit of memory or a mask stood for.
        public let limited: Int

        init(_ tally: ParityTally) {
            (compared, within, limited) = (tally.compared, tally.within, tally.limited)
        }
    }

    /// What comparing one answer came to.
    public struct Outcome: Sendable {
        /// Against PostgreSQL's own aggregates.
        public let sql: Tally
        /// Against the engine over the stored events.
        public let historical: Tally
        /// One line for each value that differs.
        public let mismatches: [String]
    }

    private let definition: FeatureViewDefinition
    private let connection: PostgresConnection
    private let journal: UInt128
    private var check: ParityCheck
    /// The statement that computes the view's features.
    public var sql: String { check.sql.text }
    /// One line for each feature of which PostgreSQL does not give the same bits: how near it comes, or why it does not.
    public var remarks: [String] {
        definition.precisions(check.sql).compactMap { feature in
            switch feature.precision {
            case .exact?: nil
            case .within(let bound)?: "within: \(feature.name) (\(bound))"
            case nil: "not in SQL: \(feature.name) (\(feature.reason ?? ""))"
            }
        }
    }

    /// Connects, and takes the journal that was shipped to last.
    ///
    /// - Parameters:
    ///   - view: the view's definition as the daemon gives it, JSON.
    ///   - contract: its contract's, JSON.
    public init(databaseURL: String, view: [UInt8], contract: [UInt8]) throws {
        guard let viewTree = try JSONTree(parsing: view)["document"],
            let contractTree = try JSONTree(parsing: contract)["document"]
        else { throw FeatureVerifierError(description: "the daemon's definitions do not read") }
        let problems = ProblemList()
        let version = try JSONTree(parsing: view)["version"]?.int64 ?? 0
        guard let envelope = Definition(viewTree, at: "", problems, version: Int(version)),
            let definition = FeatureViewDefinition.parse(
                envelope, at: "", problems, zones: ZoneFiles.system.offsets,
                contracts: { _ in StreamSchema(contract: contractTree) })
        else {
            throw FeatureVerifierError(
                description: "the view does not compile here: \(problems.problems.first?.code ?? "unknown")")
        }
        self.definition = definition
        var configuration = PostgresConfiguration(
            connectionString: databaseURL, applicationName: "decisiond features verify")
        configuration.statementTimeout = .seconds(ServiceLimits.jobStatementSeconds)
        connection = PostgresConnection(configuration)
        let rows = try connection.query(
            "SELECT journal_id FROM decisiond.ship_state ORDER BY updated_at DESC LIMIT 1", [])
        guard rows.rowCount == 1, let journal = try rows.uuid(0, 0) else {
            throw FeatureVerifierError(description: "no journal has been shipped to this database")
        }
        self.journal = journal
        check = ParityCheck(definition, try FeatureView.compile(definition.spec), journal: journal)
    }

    /// Points at random, the same for the same seed and the same stored events.
    public func points(_ count: Int, seed: UInt64) throws -> [Point] {
        let sample = ParitySample(
            definition: definition, journal: journal, seed: seed, nowMicros: WallClock().now())
        return try sample.points(count, connection).map { point in
            var parameters = zip(definition.keyNames, point.parts).map { (name: $0, value: $1) }
            parameters.append((name: "as_of", value: Timestamp.text(point.asOfMicros)))
            parameters.append((name: "known_at", value: point.knownMicros.map(Timestamp.text) ?? "latest"))
            return Point(point: point, parameters: parameters)
        }
    }

    /// Position up to which PostgreSQL has everything of the journal.
    public func shippedSeq() throws -> Int64 {
        let rows = try connection.query("SELECT decisiond.ship_position($1)", [.uuid(journal)])
        return (try rows.int64(0, 0) ?? 1) - 1
    }

    /// Journal position at which an answer was given.
    public static func position(of answer: [UInt8]) throws -> Int64 {
        guard let seq = try JSONTree(parsing: answer)["features_seq"]?.int64 else {
            throw FeatureVerifierError(description: "an answer without features_seq")
        }
        return seq
    }

    /// Compares one answer of `GET /v1/features/{view}`; PostgreSQL must have everything up to its position.
    public func compare(_ point: Point, with answer: [UInt8]) throws -> Outcome {
        let tree = try JSONTree(parsing: answer)
        guard tree["version"]?.int64 == Int64(definition.spec.version) else {
            throw FeatureVerifierError(description: "the view has another version now; start again")
        }
        let served = definition.servedNames.map { name in
            ServedValue(json: tree["values"]?[name] ?? .null, nullReason: tree["null_reasons"]?[name]?.string)
        }
        let outcome = try check.compare(
            point.point, served: served, seq: try Self.position(of: answer), connection)
        let place = point.parameters.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        return Outcome(
            sql: Tally(outcome.sql), historical: Tally(outcome.historical),
            mismatches: outcome.mismatches.map {
                "\(place) \($0.feature): served \($0.served), \($0.against == .sql ? "PostgreSQL" : "history") \($0.expected)"
            })
    }
}
