/// Every bound and constant of the drift statistics, in one place.
public enum DriftLimits {
    /// Most reference values that are points for Kolmogorov-Smirnov. With at most so many distinct reference values the
    /// distance is exact; with more it is known to less than 1 / (`pointsMax` - 1).
    public static let pointsMax = 1_000
    /// Most edges of PSI bins: deciles have 9, a card made elsewhere may have more.
    public static let edgesMax = 99
    /// Most categories that a reference names; the rarest of more count as other.
    public static let categoriesMax = 1_000
    /// Most categories that a window names beyond those of its reference; more count as other.
    public static let newCategoriesMax = 64
    /// Longest category that is named [bytes of UTF-8]; a longer one counts as other.
    public static let categoryBytesMax = 256
    /// Most rows of a reference or of a stored window. Thousands of the largest windows still add up within Int64, and
    /// within what a Double counts exactly.
    public static let rowsMax: Int64 = 1 << 40
    /// Stands in PSI for a smaller proportion: the logarithm of an empty bin is not finite.
    public static let epsilon = 1e-4
    /// PSI from which a shift is `moderate` (Siddiqi, Credit Risk Scorecards, 2006).
    public static let psiModerate = 0.1
    /// PSI from which a shift is `major`.
    public static let psiMajor = 0.25
}
