import FEEL

/// Which rules one column lets pass, per value: bit sets over the rules. A class, so that a look-up counts one reference
/// and not one for each array.
final class ColumnIndex: Sendable {
    /// The type of the keys; `.null` when nothing can be looked up.
    private enum Kind: Sendable {
        case none, numbers, texts, booleans
    }

    private let kind: Kind
    /// Sorted; segment 2i lies below bound i, segment 2i + 1 is the bound itself.
    private let bounds: [Decimal]
    /// Sorted; segment i is text i.
    private let texts: TextKeys
    /// Bit sets of all segments, one after the other; the last one is for values that match no key.
    private let bits: [UInt64]
    private let opaque: [UInt64]
    private let words: Int
    private let otherSegment: Int
    private let hasOpaque: Bool

    init(cells: [UnaryTests]) {
        let words = max(1, (cells.count + 63) / 64)
        var builder = ColumnIndexBuilder(cells: cells, words: words)
        builder.build()
        self.words = words
        switch builder.kind {
        case .number: kind = .numbers
        case .string: kind = .texts
        case .boolean: kind = .booleans
        default: kind = .none
        }
        bounds = builder.bounds
        texts = builder.texts
        bits = builder.bits
        opaque = builder.opaque
        otherSegment = builder.segmentCount - 1
        hasOpaque = builder.opaque.contains { $0 != 0 }
    }

    /// Takes out the rules, one bit each, whose cells do not let the value pass; those that must be evaluated stay.
    func narrow(_ candidates: UnsafeMutableBufferPointer<UInt64>, by value: Value) {
        let start = segment(value) * words
        bits.withUnsafeBufferPointer { bits in
            for word in candidates.indices { candidates[word] &= bits[start + word] }
        }
    }

    /// Whether a rule's cell must be evaluated.
    @inline(__always)
    func isOpaque(_ rule: Int) -> Bool {
        hasOpaque && opaque[rule >> 6] & (1 << UInt64(rule & 63)) != 0
    }

    private func segment(_ value: Value) -> Int {
        switch (kind, value) {
        case (.numbers, .number(let number)):
            var low = 0
            var high = bounds.count
            while low < high {
                let middle = (low + high) / 2
                let order = Decimal.compare(bounds[middle], number)
                if order == 0 { return middle * 2 + 1 }
                if order < 0 { low = middle + 1 } else { high = middle }
            }
            return low * 2
        case (.texts, .string(let text)): return texts.index(of: text) ?? otherSegment
        case (.booleans, .boolean(let value)): return value ? 1 : 0
        default: return otherSegment
        }
    }
}

/// Collects keys and fills the bit sets of one column.
private struct ColumnIndexBuilder {
    let cells: [UnaryTests]
    let words: Int
    var kind: FEELType = .null
    var bounds: [Decimal] = []
    var texts = TextKeys([])
    var bits: [UInt64] = []
    var opaque: [UInt64]
    var segmentCount = 1

    init(cells: [UnaryTests], words: Int) {
        self.cells = cells
        self.words = words
        opaque = Array(repeating: 0, count: words)
    }

    mutating func build() {
        for cell in cells where kind == .null { kind = type(of: cell.shape) }
        collectKeys()
        if segmentCount * words > DMNLimits.indexWords {
            kind = .null
            segmentCount = 1
        }
        bits = Array(repeating: 0, count: segmentCount * words)
        for (rule, cell) in cells.enumerated() {
            if case .any = cell.shape {
                setAll(rule)
            } else if kind != .null && type(of: cell.shape) == kind {
                fill(rule, cell.shape)
            } else {
                setAll(rule)
                opaque[rule >> 6] |= 1 << UInt64(rule & 63)
            }
        }
    }

    /// The one type whose constants a cell tests; null when it cannot be indexed.
    private func type(of shape: UnaryTestShape) -> FEELType {
        let types: Set<FEELType>
        switch shape {
        case .values(let values): types = Set(values.map(\.type))
        case .ranges(let ranges):
            types = Set(ranges.flatMap { [$0.low, $0.high] }.filter { !$0.isNull }.map(\.type))
            if types != [.number] { return .null }
        case .any, .opaque: return .null
        }
        guard types.count == 1, let type = types.first, [.number, .string, .boolean].contains(type) else {
            return .null
        }
        return type
    }

    private mutating func collectKeys() {
        switch kind {
        case .number:
            var seen: Set<Decimal> = []
            for cell in cells {
                switch cell.shape {
                case .values(let values): seen.formUnion(values.compactMap(\.number))
                case .ranges(let ranges): seen.formUnion(ranges.flatMap { [$0.low, $0.high] }.compactMap(\.number))
                case .any, .opaque: break
                }
            }
            bounds = seen.sorted()
            segmentCount = bounds.count * 2 + 2
        case .string:
            var all: [String] = []
            for cell in cells {
                guard case .values(let values) = cell.shape else { continue }
                all += values.compactMap(\.string)
            }
            texts = TextKeys(all)
            segmentCount = texts.count + 1
        case .boolean: segmentCount = 3
        default: segmentCount = 1
        }
    }

    private mutating func set(_ rule: Int, _ segment: Int) {
        bits[segment * words + rule >> 6] |= 1 << UInt64(rule & 63)
    }

    private mutating func setAll(_ rule: Int) {
        for segment in 0..<segmentCount { set(rule, segment) }
    }

    private mutating func fill(_ rule: Int, _ shape: UnaryTestShape) {
        switch shape {
        case .values(let values):
            for value in values {
                switch value {
                case .number(let number): set(rule, position(number) * 2 + 1)
                case .string(let text): if let segment = texts.index(of: text) { set(rule, segment) }
                case .boolean(let value): set(rule, value ? 1 : 0)
                default: break
                }
            }
        case .ranges(let ranges):
            for range in ranges {
                var first = 0
                var last = bounds.count * 2
                if let low = range.low.number { first = position(low) * 2 + (range.includesLow ? 1 : 2) }
                if let high = range.high.number { last = position(high) * 2 + (range.includesHigh ? 1 : 0) }
                if first <= last { for segment in first...last { set(rule, segment) } }
            }
        case .any, .opaque: break
        }
    }

    private func position(_ number: Decimal) -> Int {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
