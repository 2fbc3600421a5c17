import JSON
import Journal
import Measures
import Postgres
import Synchronization

/// Carries durable frames to PostgreSQL, each exactly once: one transaction moves the journal's stored position and stores
/// the rows, so the two can never disagree.
final class Shipper: Sendable {
    let state: ServiceState
    let journal: ServiceJournal
    let configuration: ServiceConfiguration
    let clock: WallClock
    let observe: @Sendable (ShipObservation) -> Void
    /// Compiles the measure versions that count from a position on; set once before the start.
    let spans: @Sendable (_ from: UInt64) -> [MeasureFold]
    /// Callers that wait for PostgreSQL.
    let waits: ShipWaits
    private let shipped = Atomic<UInt64>(0)
    private let connected = Atomic<Bool>(false)
    private let settled = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let ahead = Atomic<Bool>(false)
    private let refused = Atomic<Int>(0)
    private let coveredMicros = Atomic<Int64>(0)
    private let stuck = Mutex<ShipTrouble?>(nil)
    private let stopped = Semaphore()

    /// What the shipper tells.
    enum ShipObservation: Sendable {
        /// Rows reached PostgreSQL.
        case shipped(frames: Int, nanoseconds: Int64)
        /// Events reached PostgreSQL at this time [microseconds].
        case events(runs: [IngestRun], nowMicros: Int64)
        /// A batch did not; the SQLSTATE or a stable code.
        case failed(code: String)
        /// PostgreSQL refused a row for good; it is in quarantine.
        case unshippable(table: String, code: String)
        /// Outcomes that had been accepted belong to no decision; they are in quarantine.
        case unknownDecisions(outcomes: Int)
        /// A failover took back this many frames that had been shipped; they are shipped again.
        case rewound(frames: Int)
        /// The connection came up or went down.
        case database(isUp: Bool)
        /// The connection is up for the first time since it was down: definitions may be read and written again.
        case ready
    }

    init(
        state: ServiceState, journal: ServiceJournal, configuration: ServiceConfiguration, clock: WallClock,
        waits: ShipWaits, spans: @escaping @Sendable (_ from: UInt64) -> [MeasureFold],
        observe: @escaping @Sendable (ShipObservation) -> Void
    ) {
        self.state = state
        self.journal = journal
        self.configuration = configuration
        self.clock = clock
        self.spans = spans
        self.observe = observe
        self.waits = waits
        coveredMicros.store(clock.now(), ordering: .relaxed)
    }

    /// Position up to which PostgreSQL has everything.
    var shippedSeq: UInt64 { shipped.load(ordering: .acquiring) }
    /// Whether this process has read PostgreSQL's position.
    var knowsPosition: Bool { settled.load(ordering: .relaxed) }
    /// Whether PostgreSQL answers the shipper.
    var isConnected: Bool { connected.load(ordering: .relaxed) }
    /// Whether the database holds another past of this journal than this machine's disk: an old data directory was put
    /// back.
    var isDatabaseAhead: Bool { ahead.load(ordering: .relaxed) }
    /// Why shipping stands still; nil while it goes on, or is only waiting for PostgreSQL.
    var trouble: ShipTrouble? { stuck.withLock { $0 } }
    /// Open quarantine entries of rows that PostgreSQL refused.
    var unshippableCount: Int { refused.load(ordering: .relaxed) }

    /// What of shipping is not as it should be, for `/readyz`.
    var degradations: [Degradation] {
        var found: [Degradation] = []
        if isDatabaseAhead {
            found.append(
                Degradation(
                    component: "journal", code: "older_than_database",
                    detail: "PostgreSQL has another past of this journal: an old data directory; nothing is shipped"))
        }
        if let trouble {
            found.append(
                Degradation(
                    component: "postgres", code: "shipping_stopped",
                    detail: "\(trouble.detail); decisions and ingest go on, and shipping is tried again every "
                        + "\(ShipBackoff.stoppedMilliseconds / 1000) s"))
        }
        let count = unshippableCount
        if count > 0 {
            found.append(
                Degradation(
                    component: "postgres", code: "unshippable_rows",
                    detail: "PostgreSQL refused \(count) rows; they are in quarantine, class unshippable"))
        }
        return found
    }

    /// An upper bound of the age of the oldest frame that is not in PostgreSQL [microseconds]; 0 when all are.
    func lagMicros(at nowMicros: Int64) -> Int64 {
        shippedSeq >= journal.durableSeq ? 0 : max(0, nowMicros - coveredMicros.load(ordering: .relaxed))
    }

    /// Starts the thread; without a database it does nothing.
    func start() {
        guard let url = configuration.databaseURL else { return }
        Threads.start("shipper") {
            let session = ShipSession(self, url: url)
            session.run()
            self.stopped.post()
        }
    }

    /// Ships what is durable and ends, at most within the deadline.
    func stop(milliseconds: Int) {
        guard configuration.databaseURL != nil else { return }
        stopping.store(true, ordering: .relaxed)
        waits.wake.post()
        _ = stopped.wait(milliseconds: milliseconds)
    }

    // MARK: For the session

    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    /// Waits for work, at most this long.
    func idle(milliseconds: Int) {
        _ = waits.wake.wait(milliseconds: milliseconds)
        waits.taken()
    }

    /// Waits out a pause; only a stop ends it early.
    func pause(milliseconds: Int) {
        let end = Threads.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        while !isStopping {
            let now = Threads.monotonicNanoseconds()
            if now >= end { return }
            _ = waits.wake.wait(milliseconds: Int((end - now) / 1_000_000) + 1)
            waits.taken()
        }
    }

    func isUp(_ isUp: Bool) {
        guard connected.exchange(isUp, ordering: .relaxed) != isUp else { return }
        observe(.database(isUp: isUp))
        if isUp { observe(.ready) }
    }

    func tell(_ trouble: ShipTrouble?) {
        stuck.withLock { $0 = trouble }
    }

    func databaseIsAhead(_ isAhead: Bool) { ahead.store(isAhead, ordering: .relaxed) }

    func unshippable(_ count: Int) { refused.store(count, ordering: .relaxed) }

    /// Every frame before this time is in PostgreSQL.
    func covered(untilMicros micros: Int64) { coveredMicros.store(micros, ordering: .relaxed) }

    /// PostgreSQL has everything through `seq`.
    func finished(through seq: UInt64) {
        shipped.store(seq, ordering: .releasing)
        settled.store(true, ordering: .relaxed)
        state.records.shipped(through: seq)
        waits.shipped(through: seq)
    }
}
