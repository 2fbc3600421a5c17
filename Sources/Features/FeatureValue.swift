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
    /// The entity's latest event is older than the view's time to live.
    case expired = "expired"
    /// An on-demand expression gave null.
    case expressionNull = "expression_null"
}

/// A value with how often it occurs, as `topK` lists them.
public struct ValueCount: Hashable, Sendable {
    /// The value, text or integer.
    public let value: FeatureValue
    /// Its occurrences in the window.
    public let count: Int64

    /// Makes an entry.
    public init(value: FeatureValue, count: Int64) {
        self.value = value
        self.count = count
    }
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
    /// true or false.
    case boolean(Bool)
    /// Days since 1970-01-01.
    case date(Int64)
    /// Values by frequency.
    case frequencies([ValueCount])

    /// The value as a model's input: correctly rounded once; NaN for null, text and lists; microseconds for a timestamp,
    /// days for a date, 1 and 0 for true and false.
    public var double: Double {
        switch self {
        case .null, .string, .frequencies: .nan
        case .boolean(let flag): flag ? 1 : 0
        case .date(let days): Double(days)
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
