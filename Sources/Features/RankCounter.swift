/// Values of a window for quantiles: all of them while they are few, then counts in buckets of 1/64 octave.
///
/// The buckets are those of DDSketch (Masson, Rim, Lee, VLDB 2019) with the linear interpolation of the logarithm: the
/// exponent and the first six bits of the mantissa. Counts are whole numbers, so that neither order nor merging matters.
struct RankCounter {
    /// What a rank stands for.
    enum Ranked {
        /// The exact value, as the column's field holds it.
        case raw(Int64)
        /// The middle of the value's bucket.
        case approximate(Double)
    }

    /// Values that order as the column does.
    private var keys: [Int64] = []
    private var buckets: [Int32: Int64] = [:]
    private var count: Int64 = 0
    private var isSketch = false

    mutating func reset() {
        keys.removeAll(keepingCapacity: true)
        buckets.removeAll(keepingCapacity: true)
        count = 0
        isSketch = false
    }

    /// Adds a raw field value of a numeric column.
    mutating func add(_ raw: Int64, _ kind: ColumnKind) {
        count += 1
        if isSketch {
            buckets[Self.bucket(Self.number(raw, kind)), default: 0] += 1
            return
        }
        keys.append(Self.key(raw, kind))
        guard keys.count > FeatureLimits.quantileExactMax else { return }
        isSketch = true
        for key in keys { buckets[Self.bucket(Self.number(Self.raw(key, kind), kind)), default: 0] += 1 }
        keys.removeAll(keepingCapacity: true)
    }

    /// Puts the values in order; call before `value(at:)`.
    mutating func sort() {
        keys.sort()
    }

    /// The value at rank ceil(quantile * n) of the n values, at least 1; nil when there is none.
    func value(at quantile: Double, _ kind: ColumnKind) -> Ranked? {
        if count == 0 { return nil }
        let rank = min(count, max(1, Int64((quantile * Double(count)).rounded(.up))))
        if !isSketch { return .raw(Self.raw(keys[Int(rank) - 1], kind)) }
        var seen: Int64 = 0
        for (bucket, members) in buckets.sorted(by: { $0.key < $1.key }) {
            seen += members
            if seen >= rank { return .approximate(Self.middle(bucket)) }
        }
        preconditionFailure("the buckets hold every value")
    }

    private static func number(_ raw: Int64, _ kind: ColumnKind) -> Double {
        guard let scale = kind.scale else { return Double(bitPattern: UInt64(bitPattern: raw)) }
        return Rounding.decimal(Int128(raw), scale: scale)
    }

    /// Bits of negative doubles order backwards; their own inverse.
    private static func key(_ raw: Int64, _ kind: ColumnKind) -> Int64 {
        kind == .double && raw < 0 ? raw ^ .max : raw
    }

    private static func raw(_ key: Int64, _ kind: ColumnKind) -> Int64 {
        kind == .double && key < 0 ? key ^ .max : key
    }

    /// 0 for zero, above it for positive numbers, below it for negative ones; ascending with the number.
    private static func bucket(_ number: Double) -> Int32 {
        if number == 0 { return 0 }
        let place = Int32(number.magnitude.bitPattern >> 46) + 1
        return number < 0 ? -place : place
    }

    private static func middle(_ bucket: Int32) -> Double {
        if bucket == 0 { return 0 }
        let magnitude = Double(bitPattern: UInt64(bucket.magnitude - 1) << 46 | 1 << 45)
        return bucket < 0 ? -magnitude : magnitude
    }
}
