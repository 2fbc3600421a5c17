/// Span that a time dimension is grouped by.
public enum TimeGrain: String, Hashable, Sendable, CaseIterable {
    /// The base bucket.
    case quarterHour = "15m"
    /// Wall-clock hours; a repeated hour counts twice.
    case hour
    /// Local days: 23, 24 or 25 hours.
    case day
    /// Local weeks from Monday (ISO 8601).
    case week
    /// Local months.
    case month
    /// Local quarters.
    case quarter
    /// Local years.
    case year
}
