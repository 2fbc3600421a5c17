import FEEL

/// How a filter compares. Text comparisons are case-sensitive. Null members: kept by the negative operators unless
/// null is listed, dropped by the others, as Cube does.
public enum FilterOperator: String, Hashable, Sendable, CaseIterable {
    case equals, notEquals, contains, notContains, startsWith, notStartsWith, endsWith, notEndsWith
    case gt, gte, lt, lte
    case set, notSet
    case inDateRange, notInDateRange, beforeDate, afterDate

    /// Operators that take the time member only.
    var isTemporal: Bool {
        switch self {
        case .inDateRange, .notInDateRange, .beforeDate, .afterDate: true
        default: false
        }
    }
}

/// A condition over dimensions, time or measures.
public indirect enum MeasureFilter: Hashable, Sendable {
    /// member operator values; nil among the values is null. Dates are local `YYYY-MM-DD`.
    case member(String, FilterOperator, [String?])
    /// Every one holds.
    case and([MeasureFilter])
    /// One holds.
    case or([MeasureFilter])
}

/// Half-open span of event time [microseconds since the Unix epoch].
public struct TimeRange: Hashable, Sendable {
    /// Included.
    public var start: Int64
    /// Excluded.
    public var end: Int64

    /// Makes a range.
    public init(start: Int64, end: Int64) {
        self.start = start
        self.end = end
    }

    /// Both local dates included; nil when one is no date or they are in the wrong order.
    public init?(from: some StringProtocol, through: some StringProtocol, in zone: TimeZoneRules) {
        guard let start = zone.start(ofDate: from), let end = zone.end(ofDate: through), start < end else { return nil }
        self.init(start: start, end: end)
    }
}

/// A query over rollups, shaped as Cube's: dimension filters are its WHERE, measure filters its HAVING.
public struct MeasureQuery: Hashable, Sendable {
    /// Name of the one time dimension: when the item happened.
    public static let timeMember = "time"

    /// What to sort by.
    public struct Order: Hashable, Sendable {
        /// A measure or dimension of the query, or `time`.
        public var member: String
        /// Largest first. Nulls sort last either way.
        public var isDescending: Bool

        /// Makes it.
        public init(_ member: String, isDescending: Bool = false) {
            self.member = member
            self.isDescending = isDescending
        }
    }

    /// Names of measures, in the order of the values.
    public var measures: [String]
    /// Names of dimensions to group by; every measure must have them.
    public var dimensions: [String]
    /// All must hold. A filter or group is either over dimensions and time, or over measures of the query.
    public var filters: [MeasureFilter]
    /// Group by time; nil: one row over all of it.
    public var grain: TimeGrain?
    /// Which items; nil: all. Cut at base buckets: both ends must be multiples of 15 minutes.
    public var range: TimeRange?
    /// Sort keys; empty: time ascending, else the first measure descending, else the first dimension.
    public var order: [Order]
    /// Rows returned.
    public var limit: Int
    /// Rows skipped.
    public var offset: Int
    /// Add a row for each bucket of the range without data, per combination of dimensions that has any.
    public var fillsEmptyBuckets: Bool

    /// Makes a query.
    public init(
        measures: [String], dimensions: [String] = [], filters: [MeasureFilter] = [], grain: TimeGrain? = nil,
        range: TimeRange? = nil, order: [Order] = [], limit: Int = MeasureLimits.queryLimitDefault, offset: Int = 0,
        fillsEmptyBuckets: Bool = false
    ) {
        self.measures = measures
        self.dimensions = dimensions
        self.filters = filters
        self.grain = grain
        self.range = range
        self.order = order
        self.limit = limit
        self.offset = offset
        self.fillsEmptyBuckets = fillsEmptyBuckets
    }
}

/// One row of an answer.
public struct MeasureResultRow: Hashable, Sendable {
    /// Start of the time bucket [microseconds]; nil without a grain.
    public var time: Int64?
    /// Values of the query's dimensions.
    public var dimensions: [String?]
    /// Values of the query's measures.
    public var values: [MeasureValue]
}

/// The answer to a query.
public struct MeasureResult: Hashable, Sendable {
    /// Rows after order, offset and limit.
    public var rows: [MeasureResultRow]
    /// Rows before offset and limit.
    public var total: Int
    /// A row of `__other__` went in: past a cardinality limit, so a breakdown or filter by dimension is not complete.
    public var isOtherIncluded: Bool
}
