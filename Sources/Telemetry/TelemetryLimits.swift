/// Bounds of what telemetry keeps and writes.
public enum TelemetryLimits {
    /// Label combinations of one metric family; further ones are counted under ``otherLabel``.
    public static let seriesPerFamilyMax = 512
    /// Bytes of a label value; longer ones are cut.
    public static let labelBytesMax = 128
    /// Bytes of a text field of a log line; longer ones are cut.
    public static let logFieldBytesMax = 1024
    /// The label value that stands for everything past ``seriesPerFamilyMax``.
    public static let otherLabel = "__other__"
}
