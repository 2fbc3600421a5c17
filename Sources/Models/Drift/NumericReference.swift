/// The reference distribution of a number.
///
/// Two statistics share one row of counters. PSI needs bins between `edges`. The two-sample distance of Kolmogorov and
/// Smirnov needs the values themselves: between two neighbouring reference values the reference's distribution function
/// is flat and the other only rises, so the other sample's values need only be counted in the 2m + 1 cells that m
/// distinct reference values make, and the distance is still exact. The edges, which are interpolated, are made points
/// too, so that every bin is a run of cells.
public struct NumericReference: Hashable, Sendable {
    /// Edges of the PSI bins, ascending: (-inf, e1], (e1, e2], ..., (ek, inf), then one bin for missing values.
    public let edges: [Double]
    /// Distinct values, ascending, every edge among them: all reference values where they are few enough.
    public let points: [Double]
    /// Reference rows: below the first point, equal to it, between it and the second, ..., above the last.
    public let cells: [Int64]
    /// Reference rows without a value.
    public let missing: Int64
    /// See `ReferenceDistribution.fingerprint`.
    public let fingerprint: UInt64
    /// Reference rows with a value.
    public let values: Int64

    /// Every reference value is a point, so that the Kolmogorov-Smirnov distance of a window is exact.
    public var isExact: Bool { stride(from: 0, to: cells.count, by: 2).allSatisfy { cells[$0] == 0 } }

    /// Takes a stored distribution, checked: finite, strictly ascending, every edge a point, one count per cell.
    public init(edges: [Double], points: [Double], cells: [Int64], missing: Int64) throws(DriftError) {
        guard edges.count <= DriftLimits.edgesMax else {
            throw DriftError(.limitExceeded, "more than \(DriftLimits.edgesMax) edges")
        }
        guard points.count <= DriftLimits.pointsMax + DriftLimits.edgesMax else {
            throw DriftError(
                .limitExceeded, "more than \(DriftLimits.pointsMax) + \(DriftLimits.edgesMax) points")
        }
        try Self.check(ascending: edges, "edges")
        try Self.check(ascending: points, "points")
        guard cells.count == 2 * points.count + 1 else {
            throw DriftError(.countMismatch, "\(cells.count) cells, but \(points.count) points make 2m + 1")
        }
        try ReferenceDistribution.check(counts: cells + [missing])
        self.init(edges: edges, points: points, cells: cells, rowsMissing: missing)
        for edge in edges where cell(of: edge) % 2 == 0 {
            throw DriftError(.countMismatch, "edge \(edge) is not one of the points")
        }
    }

    /// Counts a sample; NaN is missing. The edges are its deciles, each once (numpy.quantile, linear interpolation).
    public init(samples: [Double]) throws(DriftError) {
        try self.init(samples: samples, pointsMax: DriftLimits.pointsMax)
    }

    /// The same with another number of points; at least 2.
    init(samples: [Double], pointsMax: Int) throws(DriftError) {
        let sorted = samples.filter { !$0.isNaN }.sorted()
        guard !samples.isEmpty else { throw DriftError(.noRows, "a reference has at least one row") }
        guard sorted.allSatisfy(\.isFinite) else { throw DriftError(.notFinite, "a reference value is infinite") }
        let edges = Self.deciles(sorted)
        let points = Self.distinct((Self.chosen(Self.distinct(sorted), of: sorted, pointsMax) + edges).sorted())
        self.init(
            edges: edges, points: points, cells: [Int64](repeating: 0, count: 2 * points.count + 1),
            rowsMissing: Int64(samples.count - sorted.count))
        var cells = self.cells
        for value in sorted { cells[cell(of: value)] += 1 }
        self.init(edges: edges, points: points, cells: cells, rowsMissing: missing)
    }

    private init(edges: [Double], points: [Double], cells: [Int64], rowsMissing: Int64) {
        self.edges = edges
        self.points = points
        self.cells = cells
        missing = rowsMissing
        values = cells.reduce(0, +)
        var fingerprint = Fingerprint()
        fingerprint.add(UInt8(ascii: "n"))
        fingerprint.add(edges)
        fingerprint.add(points)
        fingerprint.add(cells + [rowsMissing])
        self.fingerprint = fingerprint.value
    }

    /// Where a number counts, by binary search: an odd cell is a point, an even one lies before, between or after
    /// points. Numbers compare as numbers: -0 is 0. Infinities fall into the outer cells; NaN has no cell.
    func cell(of value: Double) -> Int {
        var low = 0
        var high = points.count
        while low < high {
            let middle = (low + high) / 2
            if points[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low < points.count && points[low] == value ? 2 * low + 1 : 2 * low
    }

    /// Sums of `cells`, or of a window's counters, over the PSI bins, the missing bin left out.
    func bins(_ counters: [Int64]) -> [Int64] {
        var bins: [Int64] = []
        var next = 0
        for edge in edges {
            let last = cell(of: edge)
            bins.append(counters[next...last].reduce(0, +))
            next = last + 1
        }
        bins.append(counters[next...].reduce(0, +))
        return bins
    }

    /// `numpy.quantile(sorted, [0.1, ..., 0.9])` without repetitions, with the operations of numpy 2.4, which
    /// interpolates from the nearer neighbour.
    private static func deciles(_ sorted: [Double]) -> [Double] {
        guard !sorted.isEmpty else { return [] }
        let quantiles = (1...9).map { tenth in
            let position = Double(sorted.count - 1) * (Double(tenth) / 10)
            let before = Int(position)
            let low = sorted[before]
            let high = sorted[min(before + 1, sorted.count - 1)]
            let fraction = position - Double(before)
            return fraction >= 0.5 ? high - (high - low) * (1 - fraction) : low + (high - low) * fraction
        }
        // Interpolation between huge values of either sign can overflow, and rounding can swap neighbours.
        return distinct(quantiles.filter(\.isFinite).sorted())
    }

    /// All distinct values when there are at most `pointsMax`, else evenly spaced order statistics: fewer than
    /// 1 / (`pointsMax` - 1) of the values then lie between two neighbours.
    private static func chosen(_ distinct: [Double], of sorted: [Double], _ pointsMax: Int) -> [Double] {
        guard distinct.count > pointsMax else { return distinct }
        return (0..<pointsMax).map { sorted[$0 * (sorted.count - 1) / (pointsMax - 1)] }
    }

    private static func distinct(_ ascending: [Double]) -> [Double] {
        var distinct: [Double] = []
        for value in ascending where value != distinct.last { distinct.append(value == 0 ? 0 : value) }
        return distinct
    }

    private static func check(ascending numbers: [Double], _ name: String) throws(DriftError) {
        guard numbers.allSatisfy(\.isFinite) else { throw DriftError(.notFinite, "\(name) must be finite") }
        guard zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw DriftError(.notAscending, "\(name) must ascend strictly")
        }
    }
}
