/// Every bound of the feature engine, in one place. Past a bound the engine refuses by name; it never truncates
/// silently.
public enum FeatureLimits {
    /// Columns that one view may keep per event. Null flags of one event fit one 32-bit mask.
    public static let columnsMax = 32
    /// Features in one view.
    public static let featuresMax = 512
    /// Distinct windows in one view; each is one stage of the backward pass.
    public static let windowsMax = 64
    /// Largest decimal scale of a column: 10^18 is the largest power of ten in an Int64.
    public static let scaleMax = 18
    /// Default of `entityEventsMax` [events per entity and view].
    public static let entityEventsDefault = 10_000
    /// Hard bound of `entityEventsMax` [events per entity and view].
    public static let entityEventsMax = 1_000_000
    /// Longest event id kept for tie-breaking [bytes of UTF-8]; a longer one is refused by `apply`.
    public static let identityBytesMax = 1_024
    /// Longest entity key, source or string column value [bytes of UTF-8].
    public static let stringBytesMax = 65_535
    /// Largest k of `topK`.
    public static let topKMax = 100
    /// Values of a window up to which `quantile` is exact.
    public static let quantileExactMax = 4_096
    /// Largest relative error of `quantile` above that; for magnitudes of at least 2.3e-308, the smallest normal
    /// binary64. Buckets are 64 to an octave and answer their middle: half a bucket is 1/128 of its lower end.
    public static let quantileRelativeError = 1.0 / 128
    /// Parts of an entity's key.
    public static let entityPartsMax = 8
    /// Longest tile [seconds]: 366 days.
    public static let tileSecondsMax: Int64 = 366 * 86_400
    /// Longest window and retention: 100 years of 365 days [microseconds].
    public static let windowMicrosMax: Int64 = 100 * 365 * 86_400_000_000
    /// Event times accepted: years 1 to 9999 [microseconds since the Unix epoch].
    public static let eventTimeMicros: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999
    /// Views that one store may hold at a time.
    public static let viewsMax = 4_096
    /// Shards of a store; a power of two.
    public static let shardsMax = 1_024
    /// Entities visited under one acquisition of a shard's lock by `retire`.
    static let retireSlice = 2_048
    /// Slots of one entity type visited under one acquisition of a shard's lock by `spill`.
    static let spillSlice = 32
    /// Chunks of one table that one slice of spilling empties.
    static let compactedChunksMax = 4
    /// Row layouts of one table kept exact; past it new layouts use full-width fields, so that their number stays
    /// small.
    static let layoutsMax = 16_384
    /// Row layouts of one table that may be kept though no entity has them; more are kept only while others are in use.
    static let layoutsUnusedMax = 64
    /// Bytes of one arena chunk. Small, since one chunk is evacuated under a shard's lock.
    static let arenaChunkBytes = 65_536
    /// Bytes of an arena's first chunk.
    static let arenaChunkBytesMin = 4_096
    /// Blocks above this size live outside chunks [bytes].
    static let arenaBlockBytesMax = 16_384
}
