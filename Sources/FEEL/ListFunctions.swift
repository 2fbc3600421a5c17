/// Aggregates over values for other targets, with the same rules as the built-in functions of the same names.
public enum ListFunctions {
    /// The sum of numbers or of durations of one kind; null for an empty list or mixed types.
    public static func sum(_ values: [Value]) -> Value { BuiltIns.aggregate(.sum, [.list(values)]) }
    /// The least of comparable values; null for an empty list or mixed types.
    public static func min(_ values: [Value]) -> Value { BuiltIns.aggregate(.min, [.list(values)]) }
    /// The greatest of comparable values; null for an empty list or mixed types.
    public static func max(_ values: [Value]) -> Value { BuiltIns.aggregate(.max, [.list(values)]) }
}
