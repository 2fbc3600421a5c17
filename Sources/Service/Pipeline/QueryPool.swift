import Postgres
import Synchronization

/// Threads that ask PostgreSQL, one connection each. Jobs wait in a bounded queue.
final class QueryPool: Sendable {
    /// What a worker runs: with its connection, or nil when there is no database or it does not answer.
    typealias Job = @Sendable (PostgresConnection?) -> Void

    private struct Queue: Sendable {
        var jobs: [Job] = []
        var isStopped = false
    }

    private let queue = Mutex(Queue())
    private let wake = Semaphore()
    private let isUp = Atomic<Bool>(false)
    private let url: String?

    /// How long a worker tries to connect before a job goes on without a database.
    static let connectTimeout: Duration = .seconds(2)
    /// How long a statement may take.
    static let statementTimeout: Duration = .seconds(30)

    /// - Parameters:
    ///   - url: libpq connection string; nil for no database.
    ///   - threads: workers.
    ///   - name: of the threads.
    init(url: String?, threads: Int, name: String = "query") {
        self.url = url
        for number in 0..<threads { Threads.start("\(name)-\(number)") { self.run() } }
    }

    /// Queues a job; false when too many wait.
    func submit(_ job: @escaping Job) -> Bool {
        let isTaken = queue.withLock { queue in
            guard !queue.isStopped, queue.jobs.count < ServiceLimits.queuedJobsMax else { return false }
            queue.jobs.append(job)
            return true
        }
        if isTaken { wake.post() }
        return isTaken
    }

    /// Takes no more jobs.
    func stop() {
        queue.withLock { $0.isStopped = true }
    }

    private func run() {
        var connection: PostgresConnection?
        if let url {
            var configuration = PostgresConfiguration(connectionString: url, applicationName: "decisiond query")
            configuration.connectTimeout = Self.connectTimeout
            configuration.statementTimeout = Self.statementTimeout
            connection = PostgresConnection(configuration)
        }
        while true {
            wake.wait()
            guard let job = queue.withLock({ $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }) else { continue }
            job(connection.flatMap { Self.ready($0) ? $0 : nil })
        }
    }

    private static func ready(_ connection: PostgresConnection) -> Bool {
        if connection.isConnected { return true }
        do throws(PostgresError) {
            try connection.connect(until: .after(connectTimeout))
            return true
        } catch {
            return false
        }
    }
}

/// Statements that query workers prepare.
enum ServiceStatements {
    /// One record by id: seq, record, decision, version, decided_us, entity.
    static let record = PostgresStatement(
        "record",
        """
        SELECT seq, convert_to(record, 'UTF8'), decision, version::bigint, decided_us, entity
        FROM decisiond.decision_record WHERE id = $1 ORDER BY seq LIMIT 1
        """, [.uuid])
    /// The frame of a record whose row was refused: seq, frame.
    static let unshippableRecord = PostgresStatement(
        "unshippable_record",
        """
        SELECT seq, raw FROM decisiond.quarantine
        WHERE class = 'unshippable' AND source = 'decisiond' AND id = $1 LIMIT 1
        """, [.inferred])
    /// The outcomes of a decision, oldest first.
    static let outcomes = PostgresStatement(
        "outcomes", "SELECT value::text FROM decisiond.outcome WHERE decision_id = $1 ORDER BY seq LIMIT 1000", [.uuid])
    /// A page of records, newest first.
    static let records = PostgresStatement(
        "records",
        """
        SELECT id::text, decision, entity, version::bigint, decided_us, seq FROM decisiond.decision_record
        WHERE seq < $1 AND ($2::text IS NULL OR decision = $2) AND ($3::text IS NULL OR entity = $3)
        ORDER BY seq DESC LIMIT $4
        """, [.int64, .inferred, .inferred, .int64])
}
