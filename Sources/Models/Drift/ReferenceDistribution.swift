/// What a model's card keeps of the data that the model was made from, for one feature or for the score: enough to tell
/// later how far the data served has moved from it.
public enum ReferenceDistribution: Hashable, Sendable {
    /// A number per row.
    case numeric(NumericReference)
    /// A text per row.
    case categorical(CategoricalReference)

    /// Rows counted, the missing ones included.
    public var rows: Int64 {
        switch self {
        case .numeric(let reference): reference.values + reference.missing
        case .categorical(let reference): reference.counts.reduce(reference.missing + reference.other, +)
        }
    }

    /// Rows without a value.
    public var missing: Int64 {
        switch self {
        case .numeric(let reference): reference.missing
        case .categorical(let reference): reference.missing
        }
    }

    /// Identifies the content: windows of one fingerprint can be added up. Not a defence against forgery.
    public var fingerprint: UInt64 {
        switch self {
        case .numeric(let reference): reference.fingerprint
        case .categorical(let reference): reference.fingerprint
        }
    }

    /// Rows of values that the reference does not name.
    var other: Int64 {
        switch self {
        case .numeric: 0
        case .categorical(let reference): reference.other
        }
    }

    /// Counters that a window needs: one per cell or per category.
    var counterCount: Int {
        switch self {
        case .numeric(let reference): reference.cells.count
        case .categorical(let reference): reference.categories.count
        }
    }

    /// Counts of rows are not negative, and their sum is within the limit.
    static func check(counts: [Int64]) throws(DriftError) {
        var rows: Int64 = 0
        for count in counts {
            guard count >= 0, count <= DriftLimits.rowsMax else {
                throw DriftError(.invalidCount, "\(count) rows are not 0...\(DriftLimits.rowsMax)")
            }
            rows += count
            guard rows <= DriftLimits.rowsMax else {
                throw DriftError(.invalidCount, "more than \(DriftLimits.rowsMax) rows in all")
            }
        }
        guard rows > 0 else { throw DriftError(.noRows, "a reference has at least one row") }
    }
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): the same in every process, unlike `Hasher`.
struct Fingerprint {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x100_0000_01B3
    }

    mutating func add(_ word: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { add(UInt8(truncatingIfNeeded: word >> shift)) }
    }

    mutating func add(_ counts: [Int64]) {
        add(UInt64(counts.count))
        for count in counts { add(UInt64(bitPattern: count)) }
    }

    mutating func add(_ numbers: [Double]) {
        add(UInt64(numbers.count))
        // One spelling of zero, as for the comparison of numbers.
        for number in numbers { add(number == 0 ? 0 : number.bitPattern) }
    }

    mutating func add(_ text: String) {
        add(UInt64(text.utf8.count))
        for byte in text.utf8 { add(byte) }
    }
}
