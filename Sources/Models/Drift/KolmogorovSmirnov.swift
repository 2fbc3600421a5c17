/// The two-sample statistic of Kolmogorov and Smirnov over the values that are not missing.
public struct KolmogorovSmirnov: Hashable, Sendable {
    /// The largest distance of the two empirical distribution functions at the points of the reference, or just before
    /// one: the distance itself where `NumericReference.isExact`, else no more than it.
    public let statistic: Double
    /// The distance itself is no more than this. Equal to `statistic` where that is exact; else above it by no more than
    /// the largest part of the reference between two points: less than 1 / (`DriftLimits.pointsMax` - 1) where the
    /// reference was made from samples.
    public let statisticMax: Double
    /// Reference rows with a value.
    public let referenceValues: Int64
    /// Current rows with a value.
    public let currentValues: Int64

    /// From rows counted in the cells of the reference's points; nil where one of the samples has no values.
    init?(reference: NumericReference, counters: [Int64]) {
        referenceValues = reference.values
        currentValues = counters.reduce(0, +)
        guard referenceValues > 0, currentValues > 0 else { return nil }
        var before = (reference: 0.0, current: 0.0)
        var (referenceBelow, currentBelow): (Int64, Int64) = (0, 0)
        var (least, most) = (0.0, 0.0)
        for (cell, count) in counters.enumerated() {
            referenceBelow += reference.cells[cell]
            currentBelow += count
            let after = (
                reference: Double(referenceBelow) / Double(referenceValues),
                current: Double(currentBelow) / Double(currentValues)
            )
            least = max(least, abs(after.reference - after.current))
            // Between two points, where both samples have values, either may have all of its own first.
            if cell % 2 == 0, reference.cells[cell] > 0, count > 0 {
                most = max(most, after.reference - before.current, after.current - before.reference)
            }
            before = after
        }
        statistic = least
        statisticMax = max(least, most)
    }

    /// Probability of so large a `statistic` if both samples come from one continuous distribution: the law of a single
    /// sample of nm / (n + m) values, rounded half to even (scipy.stats.ks_2samp with `method='asymp'`, 1.17).
    ///
    /// At worst (samples of a million) this takes some tenths of a second, so it is not for the hot path.
    public func pValue() -> Double {
        KolmogorovDistribution.tail(count: Int(effectiveCount.rounded(.toNearestOrEven)), distance: statistic)
    }

    /// The same in the limit of large samples: Q(sqrt(nm / (n + m)) D), at no cost.
    public func pValueOfLimit() -> Double {
        KolmogorovDistribution.tailOfLimit(effectiveCount.squareRoot() * statistic)
    }

    private var effectiveCount: Double {
        let larger = Double(max(referenceValues, currentValues))
        let smaller = Double(min(referenceValues, currentValues))
        return larger * smaller / (larger + smaller)
    }
}
