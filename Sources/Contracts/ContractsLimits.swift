/// Bounds of contracts and of checking events against them.
public enum ContractsLimits {
    /// How far an event's time may lie after the ingest time, for clocks that disagree: five minutes.
    public static let futureMicrosMax: Int64 = 300_000_000
    /// Properties of one contract, at all levels.
    public static let propertiesMax = 2_000
    /// Levels of nested properties.
    public static let depthMax = 32
    /// Event types of one contract.
    public static let eventTypesMax = 256
    /// Values in one list of valid or missing values.
    public static let listedValuesMax = 100_000
    /// Bytes of a pattern.
    public static let patternBytesMax = 4_096
    /// Steps of one pattern match; past it the value counts as not matching, with its own code.
    public static let patternSteps: UInt32 = 100_000
    /// Nesting of one pattern match.
    public static let patternDepth: UInt32 = 1_000
    /// Memory of one pattern match in KiB.
    public static let patternHeapKiB: UInt32 = 1_024
    /// Issues listed for one refused contract.
    public static let issuesMax = 100
    /// Digits after the point that a `multipleOf` may ask for.
    public static let scaleMax = 18
}
