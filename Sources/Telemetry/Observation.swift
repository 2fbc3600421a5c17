/// Everything that the daemon lets people observe. One value feeds the metrics and the log, so that the two
/// cannot disagree. Durations are in nanoseconds unless the name says otherwise.
public enum Observation: Sendable {
    /// An HTTP request was answered. `route` is the template, never the path with its values.
    case request(
        method: String, route: String, status: Int, bytesIn: Int, bytesOut: Int, nanoseconds: Int64,
        trace: TraceContext?)
    /// `count` events ended with one disposition; `code` says why when they were not accepted.
    case events(contract: String, disposition: Disposition, code: String, count: Int)
    /// A decision was answered. `step` is 0 for the first choice; `cause` says why a later one answered.
    case decision(name: String, step: Int, cause: String, nanoseconds: Int64)
    /// A decision was refused by name.
    case decisionRefused(name: String, code: String)
    /// The journal was made durable: frames and bytes of the group, and how long the sync took.
    case journalFlush(frames: Int, bytes: Int, nanoseconds: Int64)
    /// The journal could not be written; the daemon stops acknowledging.
    case journalFailed(errno: Int32)
    /// Memory came back: from a snapshot (0: none), and by how many frames of the journal.
    case recovered(snapshotSeq: UInt64, frames: UInt64, nanoseconds: Int64)
    /// A snapshot of memory is durable.
    case snapshotTaken(seq: UInt64, bytes: Int64, nanoseconds: Int64)
    /// A snapshot could not be used at the start.
    case snapshotPassedOver(seq: UInt64, problem: String)
    /// Segments of the journal were removed; the first frame that is still there.
    case segmentsRecycled(count: Int, firstSeq: UInt64)
    /// Rows reached PostgreSQL.
    case shipped(rows: Int, nanoseconds: Int64)
    /// A batch did not reach PostgreSQL; `code` is the SQLSTATE or `connection`.
    case shipFailed(code: String)
    /// PostgreSQL refused a row for good, and it went to quarantine.
    case unshippable(table: String, code: String)
    /// A failover took back frames that had been shipped.
    case shipRewound(frames: Int)
    /// `count` events reached a stage this long after they came in.
    case eventStage(Stage, count: Int, nanoseconds: Int64)
    /// How many events of a source ended one way so far: accepted, late, too_late, future.
    case sourceEvents(source: String, kind: String, total: Int)
    /// How far a source's watermark lies behind now, and its events' ingest behind their time.
    case sourceLag(source: String, watermarkAgeMilliseconds: Int64, p50Milliseconds: Int64, p99Milliseconds: Int64)
    /// The values of one served vector were computed again from PostgreSQL.
    case parity(view: String, checked: Int, mismatches: Int)
    /// A served value was computed otherwise; `against` says by what.
    case parityMismatch(view: String, feature: String, against: String)
    /// A served vector that was due could not be computed again.
    case paritySkipped(reason: String)
    /// The connection to PostgreSQL came up or went down.
    case database(isUp: Bool)
    /// The circuit breaker of a remote model changed.
    case breaker(endpoint: String, state: BreakerState)
    /// A named limit refused work.
    case limitHit(name: String)
    /// Access was denied.
    case denied(code: String)
    /// Definitions were activated; the position of the frame that did it.
    case activated(kind: String, name: String, version: Int)
    /// Something failed that no other case names. `code` is stable; nothing from the input is in it.
    case failure(component: String, code: String)
    /// What a feature view has served since the start or its activation, and the median age of what it served lately.
    case features(view: String, served: Int64, medianAgeSeconds: Int64?)
    /// A gauge has a new value.
    case level(Level, Int64)
    /// The process starts, is ready, drains or stops.
    case lifecycle(Phase)

    /// How an event ended.
    public enum Disposition: String, Sendable, CaseIterable {
        /// New, within its contract.
        case accepted
        /// Seen before.
        case duplicate
        /// Kept aside with a code.
        case quarantined
        /// A blank line.
        case skipped
    }

    /// How far an event is.
    public enum Stage: String, Sendable, CaseIterable {
        /// Its frame is durable.
        case durable
        /// Features and measures show it.
        case applied
        /// PostgreSQL has committed it.
        case postgres
    }

    /// A circuit breaker's state.
    public enum BreakerState: String, Sendable, CaseIterable {
        /// Calls pass.
        case closed
        /// Calls are refused.
        case open
        /// One call probes.
        case halfOpen = "half_open"
    }

    /// What the process does as a whole.
    public enum Phase: String, Sendable, CaseIterable {
        /// Reading its state.
        case starting
        /// Serving.
        case ready
        /// Finishing what it accepted.
        case draining
        /// Done.
        case stopped
    }

    /// Quantities that go up and down.
    public enum Level: Int, Sendable, CaseIterable {
        /// Open HTTP connections.
        case connections
        /// Requests suspended for the group commit, a remote model or a query.
        case suspendedRequests
        /// Journal frames not yet in PostgreSQL.
        case shipBacklogFrames
        /// Seconds since the oldest frame that is not yet in PostgreSQL was written.
        case shipLagSeconds
        /// Free bytes where the journal is.
        case journalFreeBytes
        /// Bytes of the journal's segments.
        case journalSegmentBytes
        /// Segments of the journal.
        case journalSegments
        /// Position of the newest snapshot; 0 for none.
        case snapshotSeq
        /// Seconds since the newest snapshot was taken.
        case snapshotAgeSeconds
        /// Entities with features in memory.
        case entities
        /// Resident memory.
        case residentBytes
        /// Jobs that run or wait.
        case jobs
    }
}

/// Takes observations; must be fast, must not block and must not fail.
public protocol ObservationSink: Sendable {
    /// Records `observation`, which happened `micros` microseconds after the Unix epoch.
    func observe(_ observation: Observation, at micros: Int64)
}

/// Sends each observation to the metrics and to the log.
public final class Telemetry: ObservationSink {
    /// The counters behind `/metrics`.
    public let metrics: Metrics
    /// The structured log.
    public let log: LineLog

    /// Telemetry into `metrics` and `log`.
    public init(metrics: Metrics, log: LineLog) {
        self.metrics = metrics
        self.log = log
    }

    /// Records `observation` in both.
    public func observe(_ observation: Observation, at micros: Int64) {
        metrics.observe(observation, at: micros)
        log.observe(observation, at: micros)
    }
}
