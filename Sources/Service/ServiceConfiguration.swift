/// Everything that the operator may choose. `decisiond` fills it from one YAML file and `DECISIOND_*`; the meaning and
/// default of every field stand in the README's table.
public struct ServiceConfiguration: Sendable {
    /// How much is logged.
    public enum LogLevel: String, Sendable, CaseIterable {
        /// One line per request, too.
        case debug
        /// Starts, stops, state changes.
        case info
        /// Degraded service.
        case warning
        /// What needs a person.
        case error
    }

    /// host:port, unix:/path or systemd.
    public var listen = "127.0.0.1:8080"
    /// Where the journal, artifacts and the first key live.
    public var dataDirectory = "/var/lib/decisiond"
    /// libpq connection string; nil for none.
    public var databaseURL: String?
    /// Definitions added at start.
    public var definitionsDirectory: String?
    /// The first key; nil: kept in the data directory.
    public var bootstrapKey: String?
    /// What is logged.
    public var logLevel: LogLevel = .info
    /// Event loops; 0: one a core, at least two.
    public var httpThreads = 0
    /// Threads for large bodies.
    public var bulkThreads = 1
    /// Threads that ask PostgreSQL.
    public var queryThreads = 2
    /// Jobs that run at once.
    public var jobThreads = 1
    /// Connections served at once.
    public var connectionsMax = 4096
    /// Milliseconds for the headers.
    public var headerTimeoutMilliseconds = 10_000
    /// Milliseconds for the body.
    public var bodyTimeoutMilliseconds = 60_000
    /// Milliseconds without a request.
    public var idleTimeoutMilliseconds = 75_000
    /// Milliseconds that a stop waits.
    public var drainTimeoutMilliseconds = 10_000
    /// Largest body of events, inflated.
    public var eventsBodyBytesMax = 128 << 20
    /// Largest upload of rows, inflated.
    public var historicalBodyBytesMax = 1 << 30
    /// Bytes of training sets and what is made of them.
    public var trainingBytesMax = 10 << 30
    /// Largest artifact.
    public var artifactBytesMax = 256 << 20
    /// Largest body of rows to score, inflated.
    public var scoreBodyBytesMax = 256 << 20
    /// Largest body otherwise.
    public var bodyBytesMax = 1 << 20
    /// Quarantine entries in memory.
    public var quarantineEntriesMax = 100_000
    /// Bytes of features in memory, past which entities are spilled.
    public var featuresMemoryBytesMax = 4 << 30
    /// Bytes of a journal segment.
    public var journalSegmentBytes: Int64 = 64 << 20
    /// Bytes of the journal.
    public var journalBytesMax: Int64 = 64 << 30
    /// Microseconds a group waits for company.
    public var journalLingerMicroseconds: UInt64 = 0
    /// Seconds between two snapshots of memory; 0: never by time.
    public var snapshotIntervalSeconds = 300
    /// Frames between two snapshots of memory; 0: never by number.
    public var snapshotFrames = 1_000_000
    /// Hours that a segment is kept after its frames are in PostgreSQL.
    public var journalRetentionHours = 24
    /// Days of the dedupe horizon.
    public var dedupeHorizonDays = 30
    /// Milliseconds before a batch is shipped.
    public var shipIntervalMilliseconds = 200
    /// Frames in one shipped transaction.
    public var shipBatchFramesMax = 20_000
    /// Lag [seconds] up to which shipping gives way to a burst of decisions; 0: never.
    public var shipGiveWaySeconds = 60
    /// Served vectors of each kind computed again in a minute.
    public var paritySamplePerMinute = 6
    /// IANA time zones.
    public var zoneinfoDirectory = "/usr/share/zoneinfo"

    /// The defaults.
    public init() {}
}

/// Bounds of the service that are not for the operator to choose. Each is told when it is passed.
enum ServiceLimits {
    /// Bytes of a quarantined line that are kept; the rest is cut, its size stays.
    static let quarantineRawBytesMax = 65_536
    /// Lines or elements in one request of events.
    static let eventsPerRequestMax = 1_000_000
    /// Bytes of one event.
    static let eventBytesMax = 1 << 20
    /// Views in one features query.
    static let featuresQueryViewsMax = 16
    /// Entities in one features query.
    static let featuresQueryEntitiesMax = 1_000
    /// Bodies of features queries up to this size are answered on the event loop; larger ones on the bulk pool.
    static let featuresQueryInlineBytesMax = 2_048
    /// On-demand features of one view.
    static let onDemandFeaturesMax = 128
    /// Events handled in one slice: one journal append, one turn of the ingest gate.
    static let eventsPerSlice = 512
    /// Bodies up to this size are handled on the event loop; larger ones on the bulk pool.
    static let inlineBodyBytesMax = 32 << 10
    /// Bodies of rows to score up to this size are read on the event loop, and this many rows are scored there; larger
    /// requests go to the bulk pool.
    static let scoreInlineBodyBytesMax = 16 << 10
    static let scoreInlineRowsMax = 16
    /// Rows, and cells, of one request to score in a protocol whose cells are all held.
    static let scoreRowsMax = 100_000
    static let scoreCellsMax = 4_000_000
    /// Rows that the bulk pool scores in one turn, and between two looks at whether anybody still waits.
    static let scoreRowsPerSlice = 256
    /// Bytes of a name in a request to score that a refusal repeats.
    static let scoreNameBytesToldMax = 128
    /// Requests waiting for the bulk pool or a query worker.
    static let queuedJobsMax = 1_024
    /// Sources with a label of their own in `/metrics`; the others are counted together.
    static let sourcesInMetricsMax = 100
    /// Largest `deadline_ms` of a write [milliseconds].
    static let deadlineMillisecondsMax = 60_000
    /// Memory of outcomes that were accepted while PostgreSQL could not say whether their decision exists.
    static let unresolvedOutcomeBytesMax = 64 << 20
    /// Bytes of a DecisionRecord.
    static let recordBytesMax = 1 << 20
    /// Entries of one page, at most and by default.
    static let pageMax = 1_000
    static let pageDefault = 100
    /// Dimension combinations of one measure held in memory.
    static let measureCardinalityMax = 10_000
    /// Definitions in one apply.
    static let definitionsPerApplyMax = 1_000
    /// Live API keys.
    static let keysMax = 10_000
    /// Characters of an Idempotency-Key.
    static let idempotencyKeyBytesMax = 256
    /// Bytes of an event's source, id, type and subject, and of a decision's entity: PostgreSQL indexes them, and an index
    /// row holds at most 2,704 bytes.
    static let identityBytesMax = 512
    /// Dimensions of one measure: their values together are a key of the rollup table.
    static let measureDimensionsMax = 6
    /// How far as_of may lie ahead of the clock [microseconds]: five minutes.
    static let futureMicrosMax: Int64 = 300_000_000
    /// Percent of `features_memory_bytes_max` past which events are refused.
    static let featuresMemoryHardPercent = 125
    /// Events of one entity that one read of history takes, the latest; windows that reach further are `window_truncated`.
    static let historyEventsMax = 200_000
    /// Frames not yet shipped that one read of history looks through.
    static let historyTailFramesMax: Int64 = 1_000_000
    /// Bytes of frames read from the journal in one go, for history and back-fill.
    static let historyReadBytes = 4 << 20
    /// How long a read of features may wait for PostgreSQL [milliseconds].
    static let historyMillisecondsMax = 5_000
    /// Events, and positions of the journal, in one page of a back-fill, and events between two of its pauses.
    static let fillEventsMax = 1_000
    static let fillFramesMax = 50_000
    static let fillBatchEvents = 64
    /// Shards of the feature store; saved state is of this number. One is copied at a time while a snapshot is taken.
    static let featureShards = 128
    /// Frames since the last snapshot below which none is taken by time or at a stop: replaying them is as quick.
    static let snapshotFramesMin: UInt64 = 1_000
    /// Snapshots that failed in a row before `/readyz` says so.
    static let snapshotFailuresMax = 3
    /// Marks of when positions were reached, for the age of segments.
    static let positionMarksMax = 4_096
    /// Rows in one request of our own to score, and those of them that may be explained.
    static let scoredRowsMax = 1_000_000
    static let explainedRowsMax = 10_000
    /// Rows explained in one turn on the bulk pool.
    static let explainedRowsPerSlice = 16
    /// Access-log entries that memory can show before they are shipped.
    static let accessEntriesMax = 10_000
}
