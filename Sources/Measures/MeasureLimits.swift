/// Every bound of the measure engine, in one place.
public enum MeasureLimits {
    /// Dimensions of one measure.
    public static let dimensionsMax = 16
    /// Default number of different dimension combinations of one measure; past it new ones count under `__other__`.
    public static let combinationsDefault = 10_000
    /// Hard bound of that number.
    public static let combinationsMax = 1_000_000
    /// Longest dimension value [bytes of UTF-8]; a longer one counts under `__other__`.
    public static let dimensionBytesMax = 256
    /// Different members an exact `distinct` keeps per row; past it the row's value is null with `too_many_distinct`.
    public static let distinctMax = 10_000
    /// Different operands that a row of a `min` or `max` keeps, so that corrections can take them back; when all are taken
    /// back while others were only counted, the row's value is null with `correction_unresolved`.
    public static let extremesKept = 64
    /// Longest member of a `distinct` [bytes of UTF-8].
    public static let memberBytesMax = 256
    /// Base bucket: 15 minutes UTC [microseconds]. Every zone offset in use since 1972 is a multiple of it.
    public static let bucketMicros: Int64 = 900_000_000
    /// Largest scale of a decimal: 10^38 is the largest power of ten below 2^127.
    public static let scaleMax = 38
    /// Rows that one query returns when it names no limit, and the most it may name.
    public static let queryLimitDefault = 10_000
    /// See `queryLimitDefault`.
    public static let queryLimitMax = 50_000
    /// Filters of one query, counted with their groups.
    public static let queryFiltersMax = 64
    /// Empty buckets that one query may fill in.
    public static let filledBucketsMax = 50_000
    /// Different quarantine codes, rules and properties counted per contract and hour; past it `__other__`.
    public static let qualityKeysMax = 512
    /// The value that new combinations take past a limit.
    public static let other = "__other__"
}
