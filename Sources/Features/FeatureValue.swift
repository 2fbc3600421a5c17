/// Why a feature is null.
public enum FeatureNullReason: String, Hashable, Sendable, CaseIterable {
    /// No (non-null) value in the window.
    case emptyWindow = "empty_window"
    /// The entity has no event up to as_of.
    case noEvent = "no_event"
    /// The window reaches events that were dropped past `entityEventsMax`.
    case windowTruncated = "window_truncated"
    /// The exact result has no binary64 or 128-bit value.
    case overflow = "overflow"
    /// Variance of fewer than two values.
    case tooFewValues = "too_few_values"
    /// A ratio whose denominator is zero.
    case divisionByZero = "division_by_zero"
    /// Memory cannot answer (history unavailable, or the view is gone).
    case featureUnavailable = "feature_unavailable"
}

/// A served feature value: exact where the definition is exact.
public enum FeatureValue: Hashable, Sendable {
    /// No value, and why.
    case null(FeatureNullReason)
    /// A count, or a value of an integer column.
    case integer(Int64)
    /// significand / 10^scale, exact.
    case decimal(significand: Int128, scale: Int)
    /// Binary64.
    case double(Double)
    /// Text.
    case string(String)
    /// Microseconds since the Unix epoch.
    case timestamp(Int64)

    /// The value as a model's input: correctly rounded once; NaN for null and text; microseconds for a timestamp.
    public var double: Double {
        switch self {
        case .null, .string: .nan
        case .integer(let value): Double(value)
        case .decimal(let significand, let scale): Rounding.decimal(significand, scale: scale)
        case .double(let value): value
        case .timestamp(let micros): Double(micros)
        }
    }

    /// The reason if this is null.
    public var nullReason: FeatureNullReason? {
        if case .null(let reason) = self { reason } else { nil }
    }
}
