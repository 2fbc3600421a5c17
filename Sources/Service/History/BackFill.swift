import Features
import JSON
import Journal
import Postgres
import Synchronization
import Telemetry

/// How far the back-fill of one view is.
struct FillProgress: Sendable {
    /// Events added to the view.
    var events = 0
    /// Every stored event up to this journal position was looked at.
    var position: Int64 = 0
    /// Position up to which stored events are read; later ones arrive live.
    var through: Int64 = 0
    /// Its job; nil before it is known.
    var job: RecordID?
    /// Whether somebody cancelled the job: nothing goes on until it is retried.
    var isHeld = false
}

/// Fills new and changed feature views from stored events while live events are applied to them: from PostgreSQL, and from
/// the journal what is not there yet. One thread; views one after the other. It gives way to decisions: small batches,
/// short locks, and a pause as long as each batch took.
///
/// Every view that is filled has a job. Who cancels it stops the filling: the view goes on taking live events and stays
/// unready, until the job is retried, which goes on where it stopped, or until a restart, which fills anew.
final class BackFill: Sendable {
    /// One view on its way.
    struct Fill: Sendable {
        var progress: FillProgress
        let context: JobContext
    }

    let state: ServiceState
    let jobs: JobTable
    let journal: ServiceJournal
    private let clock: WallClock
    private let url: String?
    private let observe: @Sendable (Observation) -> Void
    private let stopping = Atomic<Bool>(false)
    /// By view and version.
    let fills = Mutex<[String: Fill]>([:])
    /// Position of the snapshot that memory was restored from: a view that was not in it has only what came later.
    let restoredThrough: Int64
    /// Views whose rows a recovery did not bring back, with the position after which their new tables take live events.
    let rebuilt = Mutex<[String: Int64]>([:])

    /// Milliseconds between two looks for work, also after PostgreSQL did not answer.
    private static let intervalMilliseconds: UInt64 = 20
    private static let retryMilliseconds: UInt64 = 500

    /// - Parameters:
    ///   - restoredThrough: position of the snapshot that memory was restored from; 0 without one.
    ///   - url: libpq connection string; nil for no database.
    init(
        state: ServiceState, journal: ServiceJournal, jobs: JobTable, clock: WallClock, restoredThrough: UInt64,
        url: String?, observe: @escaping @Sendable (Observation) -> Void
    ) {
        self.state = state
        self.journal = journal
        self.jobs = jobs
        self.clock = clock
        self.restoredThrough = Int64(restoredThrough)
        self.url = url
        self.observe = observe
    }

    /// How far a view is; nil when its back-fill has not begun.
    func progress(of view: ViewEntry) -> FillProgress? {
        fills.withLock { $0[view.versionedName]?.progress }
    }

    /// Starts the thread.
    func start() {
        Threads.start("back-fill") { self.run() }
    }

    /// Ends the thread after its batch.
    func stop() {
        stopping.store(true, ordering: .relaxed)
    }

    private func run() {
        var configuration = PostgresConfiguration(connectionString: url ?? "", applicationName: "decisiond back-fill")
        configuration.statementTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(3)
        let connection = PostgresConnection(configuration)
        while !stopping.load(ordering: .relaxed) {
            let building = state.snapshot.building.values.sorted { $0.index < $1.index }
            updateJobs(building)
            guard let view = building.first(where: { progress(of: $0)?.isHeld == false }) else {
                connection.close()
                Threads.sleep(microseconds: Self.intervalMilliseconds * 1000)
                continue
            }
            do {
                if try fill(view, connection) { finish(view) }
            } catch {
                observe(.failure(component: "back_fill", code: Self.code(of: error)))
                connection.close()
                Threads.sleep(microseconds: Self.retryMilliseconds * 1000)
            }
        }
        connection.close()
    }

    private static func code(of error: any Error) -> String {
        switch error {
        case let error as PostgresError: error.sqlState?.description ?? error.code
        case let error as JournalError: error.code.rawValue
        default: "unreadable"
        }
    }

    /// Whether a view still waits to be filled.
    private func isWanted(_ view: ViewEntry) -> Bool {
        if stopping.load(ordering: .relaxed) || state.snapshot.building[view.definition.spec.name] !== view {
            return false
        }
        return fills.withLock { $0[view.versionedName].map { !$0.context.isCancelled } ?? false }
    }

    /// Adds every stored event that the view's table does not get live, from where it stopped; false when the view is not
    /// wanted any more. Throws when PostgreSQL or the journal cannot be read, to be tried again.
    private func fill(_ view: ViewEntry, _ connection: PostgresConnection) throws -> Bool {
        guard let fill = fills.withLock({ $0[view.versionedName] }) else { return false }
        jobs.started(fill.context)
        var known = fill.progress
        if url != nil, !connection.isConnected { try connection.connect(until: .after(.seconds(3))) }
        var stored = EventHistory(
            journal: UInt128(journal.journalID.high) << 64 | UInt128(journal.journalID.low))
        var tail = TailReader(journal)
        while known.position < known.through {
            guard isWanted(view) else { return false }
            let started = Threads.monotonicNanoseconds()
            let shipped = url == nil ? 0 : try stored.shippedThrough(connection)
            let page: (changes: [ViewChange], through: Int64)
            if shipped > known.position {
                page = try stored.page(
                    view.definition, after: known.position,
                    through: min(known.through, shipped, known.position + Int64(ServiceLimits.fillFramesMax)),
                    limit: ServiceLimits.fillEventsMax, connection)
            } else {
                page = try tail.page(view.definition, after: known.position, through: known.through)
            }
            add(page.changes, to: view)
            known.events += page.changes.count
            let positions = page.through - known.position
            known.position = page.through
            fills.withLock { [known] fills in
                fills[view.versionedName]?.progress.events = known.events
                fills[view.versionedName]?.progress.position = known.position
                fills[view.versionedName]?.context.advance(by: positions)
            }
            // Half of the time at most: decisions come first.
            Threads.sleep(microseconds: (Threads.monotonicNanoseconds() - started) / 1000)
        }
        return isWanted(view)
    }

    /// Adds a page, a few events at a time with a pause between.
    private func add(_ changes: [ViewChange], to view: ViewEntry) {
        for (index, change) in changes.enumerated() {
            state.features.apply(view: view.index, change)
            if index % ServiceLimits.fillBatchEvents == ServiceLimits.fillBatchEvents - 1 {
                Threads.sleep(microseconds: 100)
            }
        }
    }

    /// Journals that the view is complete: at that position it becomes servable. Waits until it has.
    private func finish(_ view: ViewEntry) {
        let spec = view.definition.spec
        var frame = ByteWriter()
        let events = progress(of: view)?.events ?? 0
        ViewReadyFrame(
            name: spec.name, version: UInt32(spec.version), atMicros: clock.now(), events: UInt64(events)
        ).encode(into: &frame)
        let batch = FrameBatch(capacity: frame.bytes.count + 64)
        batch.add(type: FrameType.viewReady.rawValue, payload: frame.bytes)
        do throws(Problem) {
            _ = try BlockingAck().append(batch, to: journal)
            state.features.filled(view: view.index)
            endJob(view)
        } catch {
            // The journal takes no writes now; the view stays as it is and is tried again.
            Threads.sleep(microseconds: Self.retryMilliseconds * 1000)
        }
    }
}
