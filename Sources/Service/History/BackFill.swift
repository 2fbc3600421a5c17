import Features
import JSON
import Journal
import Postgres
import Synchronization

/// How far the back-fill of one view is.
struct FillProgress: Sendable {
    /// Events added to the view.
    var events = 0
    /// Every stored event up to this journal position was looked at.
    var position: Int64 = 0
    /// Position of the view's activation, up to which stored events are read; later ones arrive live.
    var through: Int64 = 0
}

/// Fills new and changed feature views from stored events while live events are applied to them: from PostgreSQL, and from
/// the journal what is not there yet. One thread; views one after the other. It gives way to decisions: small batches,
/// short locks, and a pause as long as each batch took.
final class BackFill: Sendable {
    private let state: ServiceState
    private let journal: ServiceJournal
    private let clock: WallClock
    private let url: String?
    private let stopping = Atomic<Bool>(false)
    private let progress = Mutex<[Int: FillProgress]>([:])

    /// Milliseconds between two looks for work, also after PostgreSQL did not answer.
    private static let intervalMilliseconds: UInt64 = 20
    private static let retryMilliseconds: UInt64 = 500

    init(state: ServiceState, journal: ServiceJournal, clock: WallClock, url: String?) {
        self.state = state
        self.journal = journal
        self.clock = clock
        self.url = url
    }

    /// How far a view is; nil when its back-fill has not begun.
    func progress(of view: ViewEntry) -> FillProgress? {
        progress.withLock { $0[view.index] }
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
            guard let view = state.snapshot.building.values.min(by: { $0.index < $1.index }) else {
                connection.close()
                Threads.sleep(microseconds: Self.intervalMilliseconds * 1000)
                continue
            }
            do {
                if try fill(view, connection) { finish(view) }
            } catch {
                connection.close()
                Threads.sleep(microseconds: Self.retryMilliseconds * 1000)
            }
        }
        connection.close()
    }

    /// Whether a view still waits to be filled.
    private func isWanted(_ view: ViewEntry) -> Bool {
        !stopping.load(ordering: .relaxed) && state.snapshot.building[view.definition.spec.name] === view
    }

    /// Adds every stored event up to the view's activation, from where it stopped; false when the view is not wanted any
    /// more. Throws when PostgreSQL or the journal cannot be read, to be tried again.
    private func fill(_ view: ViewEntry, _ connection: PostgresConnection) throws -> Bool {
        let spec = view.definition.spec
        let key = DefinitionKey(kind: .featureView, name: spec.name)
        guard let entry = state.history.entry(key, version: spec.version) else { return false }
        let through = Int64(entry.fromSeq)
        var known = progress.withLock { $0[view.index] } ?? FillProgress(through: through)
        progress.withLock { $0[view.index] = known }
        if url != nil, !connection.isConnected { try connection.connect(until: .after(.seconds(3))) }
        var stored = EventHistory(
            journal: UInt128(journal.journalID.high) << 64 | UInt128(journal.journalID.low))
        var tail = TailReader(journal)
        while known.position < through {
            guard isWanted(view) else { return false }
            let started = Threads.monotonicNanoseconds()
            let shipped = url == nil ? 0 : try stored.shippedThrough(connection)
            let page: (changes: [ViewChange], through: Int64)
            if shipped > known.position {
                page = try stored.page(
                    view.definition, after: known.position,
                    through: min(through, shipped, known.position + Int64(ServiceLimits.fillFramesMax)),
                    limit: ServiceLimits.fillEventsMax, connection)
            } else {
                page = try tail.page(view.definition, after: known.position, through: through)
            }
            add(page.changes, to: view)
            known.events += page.changes.count
            known.position = page.through
            progress.withLock { [known] in $0[view.index] = known }
            // Half of the time at most: decisions come first.
            Threads.sleep(microseconds: (Threads.monotonicNanoseconds() - started) / 1000)
        }
        return true
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
        let events = progress.withLock { $0[view.index]?.events ?? 0 }
        ViewReadyFrame(
            name: spec.name, version: UInt32(spec.version), atMicros: clock.now(), events: UInt64(events)
        ).encode(into: &frame)
        let batch = FrameBatch(capacity: frame.bytes.count + 64)
        batch.add(type: FrameType.viewReady.rawValue, payload: frame.bytes)
        do throws(Problem) {
            _ = try BlockingAck().append(batch, to: journal)
            state.features.filled(view: view.index)
            progress.withLock { $0[view.index] = nil }
        } catch {
            // The journal takes no writes now; the view stays as it is and is tried again.
            Threads.sleep(microseconds: Self.retryMilliseconds * 1000)
        }
    }

    // MARK: Recovery

    /// After a replay: fills again what had been filled before the restart, from the journal, before anything is served.
    /// Where the journal does not reach back that far, the view is back-filled from PostgreSQL as if it were new.
    ///
    /// - Parameter views: names of the views whose `view ready` frame was replayed.
    func recover(_ views: Set<String>) {
        for name in views.sorted() {
            guard let view = state.snapshot.views[name] else { continue }
            let spec = view.definition.spec
            let key = DefinitionKey(kind: .featureView, name: name)
            guard let entry = state.history.entry(key, version: spec.version), case .filled = entry.readiness else {
                continue
            }
            if journal.firstSeq == 1, (try? replay(view, through: Int64(entry.fromSeq))) != nil {
                state.features.filled(view: view.index)
                continue
            }
            state.history.set(.building, view: name, version: spec.version)
            state.install(state.snapshot.demoting(name))
        }
    }

    private func replay(_ view: ViewEntry, through: Int64) throws {
        var tail = TailReader(journal)
        var position: Int64 = 0
        while position < through {
            let page = try tail.page(view.definition, after: position, through: through)
            for change in page.changes { state.features.apply(view: view.index, change) }
            position = page.through
        }
    }
}
