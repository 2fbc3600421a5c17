import Glibc

/// How large a shift is, by its PSI.
public enum DriftBand: String, Sendable, Hashable, CaseIterable {
    /// PSI below `DriftLimits.psiModerate`.
    case stable
    /// From there, and below `DriftLimits.psiMajor`.
    case moderate
    /// From there.
    case major

    /// The band of a PSI.
    public init(psi: Double) {
        self = psi >= DriftLimits.psiMajor ? .major : psi >= DriftLimits.psiModerate ? .moderate : .stable
    }
}

/// How far the values of a window have moved from the reference.
public struct DriftReport: Hashable, Sendable {
    /// What a bin holds.
    public enum BinContent: Hashable, Sendable {
        /// Numbers above `above` and up to `upTo`; nil is unbounded.
        case range(above: Double?, upTo: Double?)
        /// One category.
        case category(String)
        /// Values that have no bin of their own.
        case other
        /// Rows without a value.
        case missing
    }

    /// One bin: rows counted, and proportions over all rows, those without a value included.
    public struct Bin: Hashable, Sendable {
        /// What the bin holds.
        public let content: BinContent
        /// Reference rows.
        public let referenceCount: Int64
        /// Current rows.
        public let currentCount: Int64
        /// Part of the reference rows.
        public let reference: Double
        /// Part of the current rows.
        public let current: Double

        /// What the bin adds to the PSI: (q - p) ln(q / p), each proportion at least `DriftLimits.epsilon`.
        public var psi: Double {
            let p = max(reference, DriftLimits.epsilon)
            let q = max(current, DriftLimits.epsilon)
            return (q - p) * log(q / p)
        }
    }

    /// Ranges in order, or the union of both samples' categories in byte order; then, where there are any, other
    /// values; missing values last.
    ///
    /// Where the reference itself has categories that it does not name, a category new to it may be one of those: new
    /// categories then count as other, as the reference's do.
    public let bins: [Bin]
    /// Population stability index: the sum over the bins. Proportions are not normalised again after `epsilon`.
    public let psi: Double
    /// How large the shift is.
    public let band: DriftBand
    /// Numbers only, and only where both samples have values.
    public let kolmogorovSmirnov: KolmogorovSmirnov?
    /// Rows of the reference.
    public let referenceRows: Int64
    /// Rows of the window.
    public let currentRows: Int64
    /// Part of the reference rows without a value.
    public let referenceNullRate: Double
    /// Part of the current rows without a value.
    public let currentNullRate: Double
    /// Part of the reference rows with a value that the reference does not name.
    public let referenceUnknownRate: Double
    /// Part of the current rows with a value that the reference does not name.
    public let currentUnknownRate: Double

    /// Compares a window with its reference; refuses an empty window.
    public init(_ window: DriftWindow) throws(DriftError) {
        guard window.rows > 0 else { throw DriftError(.noRows, "nothing was observed") }
        let reference = window.reference
        referenceRows = reference.rows
        currentRows = window.rows
        bins = Self.counts(window).map { [rows = (reference.rows, window.rows)] content, reference, current in
            Bin(
                content: content, referenceCount: reference, currentCount: current,
                reference: Double(reference) / Double(rows.0), current: Double(current) / Double(rows.1))
        }
        psi = bins.reduce(0) { $0 + $1.psi }
        band = DriftBand(psi: psi)
        if case .numeric(let numeric) = reference {
            kolmogorovSmirnov = KolmogorovSmirnov(reference: numeric, counters: window.counters)
        } else {
            kolmogorovSmirnov = nil
        }
        referenceNullRate = Double(reference.missing) / Double(reference.rows)
        currentNullRate = Double(window.missing) / Double(window.rows)
        referenceUnknownRate = Double(reference.other) / Double(reference.rows)
        currentUnknownRate = Double(window.unknown) / Double(window.rows)
    }

    /// Compares two samples of numbers at once; NaN is missing. The distance is exact for any number of values.
    public static func compare(reference: [Double], current: [Double]) throws(DriftError) -> DriftReport {
        let numeric = try NumericReference(samples: reference, pointsMax: max(reference.count, 2))
        var window = DriftWindow(reference: .numeric(numeric))
        for value in current { window.observe(value) }
        return try DriftReport(window)
    }

    /// Compares two samples of texts at once; nil is missing.
    public static func compare(reference: [String?], current: [String?]) throws(DriftError) -> DriftReport {
        var window = DriftWindow(reference: .categorical(try CategoricalReference(samples: reference)))
        for value in current {
            if let value { window.observe(category: value) } else { window.observeMissing() }
        }
        return try DriftReport(window)
    }

    private typealias Count = (content: BinContent, reference: Int64, current: Int64)

    private static func counts(_ window: DriftWindow) -> [Count] {
        var counts: [Count] = []
        var otherReference: Int64 = 0
        var otherCurrent = window.other
        switch window.reference {
        case .numeric(let numeric):
            let bounds: [Double?] = [nil] + numeric.edges + [nil]
            let rows = zip(numeric.bins(numeric.cells), numeric.bins(window.counters))
            for (index, (reference, current)) in rows.enumerated() {
                counts.append((.range(above: bounds[index], upTo: bounds[index + 1]), reference, current))
            }
        case .categorical(let categorical):
            var named: [(name: String, reference: Int64, current: Int64)] = []
            for (index, name) in categorical.categories.enumerated() {
                named.append((name, categorical.counts[index], window.counters[index]))
            }
            if categorical.other == 0 {
                named += window.newCategories.map { ($0.name, 0, $0.count) }
                named.sort { $0.name.precedesInBytes($1.name) }
            } else {
                otherReference = categorical.other
                otherCurrent = window.unknown
            }
            counts = named.map { (.category($0.name), $0.reference, $0.current) }
        }
        if otherReference > 0 || otherCurrent > 0 { counts.append((.other, otherReference, otherCurrent)) }
        return counts + [(.missing, window.reference.missing, window.missing)]
    }
}
