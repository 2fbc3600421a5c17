/// One column value of one event, in the kind its column declares.
public enum EventValue: Hashable, Sendable {
    /// Absent or JSON null.
    case null
    /// The Int64 that stands for the value in its column's kind: a `decimal` (value times 10^scale), an `integer`, a
    /// `boolean` (1 or 0), a `timestamp` (microseconds since the Unix epoch) or a `date` (days since 1970-01-01).
    case scaled(Int64)
    /// A finite binary64.
    case double(Double)
    /// Text.
    case string(String)
}

/// One accepted event as a view sees it. Identity (source, id) was made unique by the caller before it gets here.
public struct FeatureEvent: Sendable {
    /// Key of the entity, UTF-8.
    public var entity: String
    /// CloudEvents `source`.
    public var source: String
    /// CloudEvents `id`.
    public var id: String
    /// Event time [microseconds since the Unix epoch].
    public var time: Int64
    /// Time of ingestion [microseconds since the Unix epoch].
    public var ingestTime: Int64
    /// Position in the journal.
    public var seq: Int64
    /// One value per column of the view, in its order.
    public var values: [EventValue]
    /// What replaced it or took it back; nil while it stands. For histories that are read as a whole: a store is told
    /// by `FeatureStore.correct`.
    public var superseded: Supersession?

    /// Makes an event.
    public init(
        entity: String, source: String, id: String, time: Int64, ingestTime: Int64, seq: Int64, values: [EventValue],
        superseded: Supersession? = nil
    ) {
        self.entity = entity
        self.source = source
        self.id = id
        self.time = time
        self.ingestTime = ingestTime
        self.seq = seq
        self.values = values
        self.superseded = superseded
    }
}

/// The correction that ended an event: reads that know the correction do not see the event any more.
public struct Supersession: Hashable, Sendable {
    /// Position of the correction in the journal, after the event's.
    public var seq: Int64
    /// Time of its ingestion [microseconds since the Unix epoch].
    public var ingestTime: Int64

    /// Makes it.
    public init(seq: Int64, ingestTime: Int64) {
        self.seq = seq
        self.ingestTime = ingestTime
    }
}

/// An event in memory, by its place.
public struct SupersededEvent: Hashable, Sendable {
    /// Key of its entity.
    public var entity: String
    /// Its event time [microseconds since the Unix epoch].
    public var time: Int64
    /// Its position in the journal.
    public var seq: Int64

    /// Makes it.
    public init(entity: String, time: Int64, seq: Int64) {
        self.entity = entity
        self.time = time
        self.seq = seq
    }
}

/// What became of an event that was given to a view.
public enum ApplyOutcome: Hashable, Sendable {
    /// It is part of memory, or was the oldest of a full entity and made the entity's windows `window_truncated`.
    case applied
    /// Older than what memory covers for its entity: reads that reach it already say so; PostgreSQL has it.
    case belowMemory
    /// It cannot be kept: the code says why.
    case refused(Refusal)

    /// Why an event cannot be kept.
    public enum Refusal: String, Hashable, Sendable {
        /// Event time outside `FeatureLimits.eventTimeMicros`.
        case timeOutOfRange = "time_out_of_range"
        /// Entity key, source, id or a text value longer than its limit.
        case textTooLong = "text_too_long"
        /// A double that is not finite.
        case notFinite = "not_finite"
        /// The view was removed.
        case unknownView = "unknown_view"
    }
}

/// What counts as known when features are read: leave out what was ingested later.
public enum KnownAt: Hashable, Sendable {
    /// Everything in memory.
    case latest
    /// Events whose ingest time is at most this [microseconds since the Unix epoch].
    case ingestTime(Int64)
    /// Events whose journal position is at most this.
    case seq(Int64)
}
