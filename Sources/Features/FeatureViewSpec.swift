/// What a column of a view holds.
public enum ColumnKind: Hashable, Sendable {
    /// Fixed-point number: the stored Int64 is the value times 10^scale, scale 0...18, from the contract's
    /// `multipleOf`.
    case decimal(scale: Int)
    /// Whole number; the same as a decimal of scale 0, served as an integer.
    case integer
    /// Binary64 without a contract scale. Sums are exact and rounded once.
    case double
    /// UTF-8 text, compared byte by byte.
    case string
    /// true or false; the stored Int64 is 1 or 0.
    case boolean
    /// An instant; the stored Int64 is microseconds since the Unix epoch.
    case timestamp
    /// A calendar day; the stored Int64 is days since 1970-01-01.
    case date
}

/// One value taken from each event of the view's contract.
public struct ColumnSpec: Hashable, Sendable {
    /// Name that features use.
    public var name: String
    /// What it holds.
    public var kind: ColumnKind
    /// Where the caller finds it in an event (a JSON pointer, or what the caller likes); the engine does not read it.
    public var path: String

    /// Makes a column.
    public init(name: String, kind: ColumnKind, path: String) {
        self.name = name
        self.kind = kind
        self.path = path
    }
}

/// Unit of `timeSince`.
public enum TimeUnit: Int64, Hashable, Sendable, CaseIterable {
    /// 1 s; raw value in microseconds.
    case seconds = 1_000_000
    /// 86,400 s.
    case days = 86_400_000_000
}

/// How a feature folds the events of its window. Null column values are skipped by every aggregate that has a column,
/// as SQL does.
public enum Aggregate: Hashable, Sendable {
    /// Events; with a column: its values that are not null.
    case count
    /// Sum; 0 for an empty window.
    case sum
    /// Sum divided by count, each correctly rounded to binary64 first, one division.
    case mean
    /// Smallest value.
    case min
    /// Largest value.
    case max
    /// Value of the earliest event by (event time, source, id).
    case first
    /// Value of the latest event by (event time, source, id).
    case last
    /// Number of different values, exact.
    case distinct
    /// Sample variance (divisor n - 1, SQL `var_samp`) of exact integer moments; decimals and integers only.
    case variance
    /// Square root of `variance`.
    case stddev
    /// Sum of the column divided by the sum of the other column; decimals and integers only.
    case ratio(denominator: String)
    /// Event time of the earliest event; with a column: of the earliest with a value that is not null.
    case firstTime
    /// Event time of the latest event; with a column: of the latest with a value that is not null.
    case lastTime
    /// as_of minus the latest event's time, in `unit`. Takes no column.
    case timeSince(TimeUnit)
    /// The most frequent values of a text or integer column with their exact counts, at most this many (1 to
    /// `FeatureLimits.topKMax`): by count descending, then by value ascending (text byte by byte). Null when the window
    /// has no value.
    case topK(Int)
    /// The value at rank `ceil(q * n)`, at least 1, of the n values in ascending order (SQL `percentile_disc`), 0 < q < 1.
    /// Exact up to `FeatureLimits.quantileExactMax` values; above that a binary64 within
    /// `FeatureLimits.quantileRelativeError` of that value.
    case quantile(Double)
    /// Σ value 2^(-age / half-life) with age = as_of minus the event's time, in microseconds; 0 for an empty window. A
    /// binary64 within 1e-14 Σ |value| 2^(-age / half-life) of the exact result; the same bits in whatever order events
    /// came.
    case decayedSum(halfLifeMicros: Int64)
    /// `decayedSum` divided by the sum of the same weights.
    case decayedMean(halfLifeMicros: Int64)
    /// The last known value: that of the latest event by (event time, source, id) whose value is not null, however old
    /// it is. Its window is all history, and retention keeps what it needs.
    case attribute
}

/// The span of event time a feature covers, ending at `as_of`.
public enum FeatureWindow: Hashable, Sendable {
    /// (as_of - micros, as_of]: start excluded, end included [microseconds]. With tiles the start is moved back to a
    /// multiple of the tile, see `AggregationInterval`.
    case micros(Int64)
    /// Everything up to and including as_of.
    case allHistory
}

/// One feature of a view.
public struct FeatureSpec: Hashable, Sendable {
    /// Name, unique in the view.
    public var name: String
    /// How it folds.
    public var aggregate: Aggregate
    /// Column folded; nil only for `count`, `firstTime`, `lastTime`, `timeSince`.
    public var column: String?
    /// Span of event time.
    public var window: FeatureWindow

    /// Makes a feature.
    public init(name: String, aggregate: Aggregate, column: String? = nil, window: FeatureWindow) {
        self.name = name
        self.aggregate = aggregate
        self.column = column
        self.window = window
    }
}

/// How finely windows slide.
public enum AggregationInterval: Hashable, Sendable {
    /// Raw values are kept; windows slide exactly.
    case exact
    /// Windows start at a multiple of this many seconds since the Unix epoch (UTC): a window w covers
    /// `(floor(as_of - w), as_of]`, floor also for times before 1970. In SQL, with microseconds, the excluded start is
    /// `floor((as_of - w)::numeric / tile) * tile`.
    case tiles(seconds: Int64)

    /// Microseconds of a tile; 1 for exact windows, which moves no start.
    var micros: Int64 {
        switch self {
        case .exact: 1
        case .tiles(let seconds): Swift.min(Swift.max(seconds, 1), FeatureLimits.tileSecondsMax) * 1_000_000
        }
    }
}

/// One part of an entity's key.
public struct EntityPart: Hashable, Sendable {
    /// Name of the part: the query parameter that holds it, such as `customer`.
    public var name: String
    /// Where the caller finds it in an event (a JSON pointer); the engine does not read it.
    public var path: String

    /// Makes a part.
    public init(name: String, path: String) {
        self.name = name
        self.path = path
    }
}

/// A feature view as defined, before checking. Plain values; the caller decodes it from the definition.
public struct FeatureViewSpec: Hashable, Sendable {
    /// Name of the view.
    public var name: String
    /// Version the server assigned.
    public var version: Int
    /// Name of the contract whose events feed it.
    public var contract: String
    /// What its entity is, such as `customer`. Views of one entity type share one table of keys.
    public var entity: String
    /// Parts of the entity's key, in the order in which `EntityKey` joins them; one part is the key as it is.
    public var entityParts: [EntityPart]
    /// Values kept per event.
    public var columns: [ColumnSpec]
    /// How finely windows slide.
    public var aggregationInterval: AggregationInterval
    /// Features, in serving order.
    public var features: [FeatureSpec]
    /// Events kept per entity; past it the oldest go and features that reach them are null with `window_truncated`.
    public var entityEventsMax: Int
    /// How far behind the watermark events are kept [microseconds]; nil: as long as `entityEventsMax` allows.
    public var retentionMicros: Int64?
    /// Time to live [microseconds]: when the latest known event up to as_of is older than as_of minus this, every
    /// feature is null with `expired`. nil: values never expire. An entity without events has nothing that expires.
    public var ttlMicros: Int64?

    /// Makes a spec.
    public init(
        name: String, version: Int, contract: String, entity: String, entityParts: [EntityPart] = [],
        columns: [ColumnSpec], aggregationInterval: AggregationInterval = .exact, features: [FeatureSpec],
        entityEventsMax: Int = FeatureLimits.entityEventsDefault, retentionMicros: Int64? = nil,
        ttlMicros: Int64? = nil
    ) {
        self.name = name
        self.version = version
        self.contract = contract
        self.entity = entity
        self.entityParts = entityParts.isEmpty ? [EntityPart(name: entity, path: "")] : entityParts
        self.columns = columns
        self.aggregationInterval = aggregationInterval
        self.features = features
        self.entityEventsMax = entityEventsMax
        self.retentionMicros = retentionMicros
        self.ttlMicros = ttlMicros
    }
}
