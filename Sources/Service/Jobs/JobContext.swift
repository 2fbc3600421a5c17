import Postgres
import Synchronization

/// What the work of a job may use. It belongs to the job's thread; progress and cancellation are read and set by others.
final class JobContext: Sendable {
    /// The job's id, also for files that it makes.
    let id: RecordID
    private let databaseURL: String?
    private let doneCount = Atomic<Int64>(0)
    private let totalCount: Atomic<Int64>
    private let cancelled = Atomic<Bool>(false)
    private let interrupted = Atomic<Bool>(false)

    /// - Parameters:
    ///   - id: the job's id.
    ///   - total: how much there is to do; nil when the work will say.
    ///   - databaseURL: libpq connection string; nil for no database.
    init(id: RecordID, total: Int64?, databaseURL: String?) {
        self.id = id
        self.databaseURL = databaseURL
        totalCount = Atomic(total ?? -1)
    }

    /// How much is done.
    var done: Int64 { doneCount.load(ordering: .relaxed) }

    /// How much there is to do, once known.
    var total: Int64? {
        let total = totalCount.load(ordering: .relaxed)
        return total < 0 ? nil : total
    }

    /// The work now knows how much there is to do.
    func expect(_ total: Int64) {
        totalCount.store(total, ordering: .relaxed)
    }

    /// So much more is done.
    func advance(by count: Int64 = 1) {
        doneCount.wrappingAdd(count, ordering: .relaxed)
    }

    /// Whether the work should stop: somebody cancelled the job, or the daemon stops.
    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    /// Whether it was the daemon's end that stopped it.
    var isInterrupted: Bool { interrupted.load(ordering: .relaxed) }

    /// Asks the work to stop.
    func cancel(interrupting: Bool = false) {
        if interrupting { interrupted.store(true, ordering: .relaxed) }
        cancelled.store(true, ordering: .releasing)
    }

    /// Throws when the work should stop: to be called about once a thousand steps.
    func check() throws(Problem) {
        if isCancelled { throw Problem(409, "cancelled", "The job was cancelled.") }
    }

    /// Sleeps in short pieces; throws when the work should stop.
    func sleep(milliseconds: Int) throws(Problem) {
        var left = milliseconds
        while left > 0 {
            try check()
            Threads.sleep(microseconds: UInt64(min(left, 50)) * 1_000)
            left -= 50
        }
        try check()
    }

    /// A connection of the job's own, with a time limit for statements that fits long work. Whoever takes it closes it.
    func connect() throws(Problem) -> PostgresConnection {
        guard let databaseURL else { throw Problem.needsPostgres }
        var configuration = PostgresConfiguration(connectionString: databaseURL, applicationName: "decisiond job")
        configuration.connectTimeout = QueryPool.connectTimeout
        configuration.statementTimeout = .seconds(ServiceLimits.jobStatementSeconds)
        let connection = PostgresConnection(configuration)
        do throws(PostgresError) {
            try connection.connect(until: .after(QueryPool.connectTimeout))
        } catch {
            throw Problem.needsPostgres
        }
        return connection
    }
}
