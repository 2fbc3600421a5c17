import FEEL

/// Which rules one column lets pass, per value: bit sets over the rules.
///
/// The column's constants cut the values of every type into segments (null, false, true, then each `ColumnLine`). Cells
/// that only compare with constants answer alike within a segment, so each is asked once per segment that it can tell
/// apart; what the index says is what the cells themselves said. A class, so that a look-up counts one reference and not
/// one for each array.
final class ColumnIndex: Sendable {
    /// The lines by `ColumnLine.Kind`.
    let lines: [ColumnLine]
    /// Keys and segments again without their wrapping, for the common lookups: a line copied out costs counts.
    private let numbers: [Decimal]
    private let numberBase: Int
    private let texts: TextKeys
    /// By position in `texts`.
    private let textSegments: [Int]
    private let otherText: Int
    private let ordersText: Bool
    /// Bit sets of all segments, one after the other; the last one is for values that no line holds.
    private let bits: [UInt64]
    /// Rules whose cells are never known, and those whose cells must be asked in a segment that is not known.
    private let opaque: [UInt64]
    private let notAny: [UInt64]
    private let words: Int
    private let hasOpaque: Bool
    /// Starts of the segments in which nothing is known.
    private let unknownStart: Int

    static let nullSegment = 0
    static let falseSegment = 1
    static let trueSegment = 2
    static let firstLine = 3

    /// - Parameter extra: constants of the column that are no cell's, such as those of its allowed values.
    init(cells: [UnaryTests], extra: [Value] = [], ordersExtra: Bool = false) {
        words = max(1, (cells.count + 63) / 64)
        var builder = ColumnIndexBuilder(cells: cells, words: words)
        builder.build(extra: extra, ordersExtra: ordersExtra)
        lines = builder.lines
        bits = builder.bits
        opaque = builder.opaque
        notAny = builder.notAny
        hasOpaque = builder.opaque.contains { $0 != 0 }
        unknownStart = (builder.segmentCount - 1) * words
        numbers = lines[ColumnLine.Kind.number.rawValue].keys.compactMap(\.number)
        numberBase = lines[ColumnLine.Kind.number.rawValue].base
        let line = lines[ColumnLine.Kind.string.rawValue]
        let strings = line.keys.compactMap(\.string)
        texts = TextKeys(strings)
        var segments = Array(repeating: line.base, count: strings.count)
        for (key, text) in strings.enumerated() {
            if let position = texts.index(of: text) { segments[position] = line.segment(.key(key)) }
        }
        textSegments = segments
        otherText = line.base
        ordersText = line.isOrdered
    }

    /// Takes out the rules, one bit each, whose cells do not let the value pass; those that must be evaluated stay.
    /// - Returns: false when nothing is known about the value, so that every cell but `-` must be evaluated.
    func narrow(_ candidates: UnsafeMutableBufferPointer<UInt64>, by value: Value) -> Bool {
        let start = segment(value) * words
        if start == unknownStart { return false }
        bits.withUnsafeBufferPointer { bits in
            for word in candidates.indices { candidates[word] &= bits[start + word] }
        }
        return true
    }

    /// Whether a rule's cell must be evaluated for every value.
    @inline(__always)
    func isOpaque(_ rule: Int) -> Bool {
        hasOpaque && opaque[rule >> 6] & (1 << UInt64(rule & 63)) != 0
    }

    /// Whether a rule's cell is anything but `-`.
    func isTest(_ rule: Int) -> Bool { notAny[rule >> 6] & (1 << UInt64(rule & 63)) != 0 }

    /// The segment of values that no line holds.
    var unknownSegment: Int { unknownStart / words }

    /// Whether the rule's cell passes in a segment.
    func passes(_ rule: Int, segment: Int) -> Bool {
        bits[segment * words + rule >> 6] & (1 << UInt64(rule & 63)) != 0
    }

    @inline(__always)
    private func segment(_ value: Value) -> Int {
        switch value {
        case .number(let number): return segment(number)
        case .string(let text): return segment(text)
        case .boolean(let flag): return flag ? ColumnIndex.trueSegment : ColumnIndex.falseSegment
        case .null: return ColumnIndex.nullSegment
        default: return segment(onLine: value)
        }
    }

    @inline(never)
    private func segment(onLine value: Value) -> Int {
        let unknown = unknownSegment
        guard let kind = ColumnLine.kind(of: value) else { return unknown }
        let line = lines[kind.rawValue]
        if case .dateTime(let moment) = value, moment.zone.offsetSeconds == nil { return unknown }
        let part = line.part(value)
        if line.hasOpaqueKeys, case .key = part { return unknown }
        return line.segment(part)
    }

    @inline(__always)
    private func segment(_ number: Decimal) -> Int {
        var low = 0
        var high = numbers.count
        while low < high {
            let middle = (low + high) / 2
            let order = Decimal.compare(numbers[middle], number)
            if order == 0 { return numberBase + middle * 2 + 1 }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return numberBase + low * 2
    }

    @inline(__always)
    private func segment(_ text: String) -> Int {
        if let position = texts.index(of: text) { return textSegments[position] }
        return ordersText ? segment(onLine: .string(text)) : otherText
    }
}

/// Collects keys and fills the bit sets of one column.
private struct ColumnIndexBuilder {
    let cells: [UnaryTests]
    let words: Int
    var lines: [ColumnLine] = []
    var bits: [UInt64] = []
    var opaque: [UInt64]
    var notAny: [UInt64]
    var segmentCount = 1

    init(cells: [UnaryTests], words: Int) {
        self.cells = cells
        self.words = words
        opaque = Array(repeating: 0, count: words)
        notAny = opaque
    }

    mutating func build(extra: [Value], ordersExtra: Bool) {
        collectKeys(extra: extra, ordersExtra: ordersExtra)
        // Past the limit no cell is known, which is slow and right.
        let isIndexed = segmentCount * words <= DMNLimits.indexWords
        if !isIndexed { makeLines([], ordersText: false) }
        bits = Array(repeating: 0, count: segmentCount * words)
        for (rule, cell) in cells.enumerated() {
            switch cell.shape {
            case .any:
                setAll(rule)
                continue
            case .constants(let constants, _) where isIndexed: fill(rule, cell, constants)
            default:
                setAll(rule)
                opaque[rule >> 6] |= 1 << UInt64(rule & 63)
            }
            notAny[rule >> 6] |= 1 << UInt64(rule & 63)
            set(rule, segmentCount - 1)
        }
    }

    private mutating func collectKeys(extra: [Value], ordersExtra: Bool) {
        var constants = extra
        var ordersText = ordersExtra
        for cell in cells {
            guard case .constants(let values, let orders) = cell.shape else { continue }
            constants += values
            ordersText = ordersText || orders
        }
        makeLines(constants, ordersText: ordersText)
    }

    private mutating func makeLines(_ constants: [Value], ordersText: Bool) {
        var byKind: [[Value]] = Array(repeating: [], count: ColumnLine.Kind.allCases.count)
        for value in constants {
            if let kind = ColumnLine.kind(of: value) { byKind[kind.rawValue].append(value) }
        }
        lines = []
        var base = ColumnIndex.firstLine
        for kind in ColumnLine.Kind.allCases {
            let line = ColumnLine(
                kind, byKind[kind.rawValue], isOrdered: kind != .string || ordersText, base: base)
            lines.append(line)
            base += line.segmentCount
        }
        segmentCount = base + 1
    }

    private mutating func set(_ rule: Int, _ segment: Int) {
        bits[segment * words + rule >> 6] |= 1 << UInt64(rule & 63)
    }

    private mutating func setAll(_ rule: Int) {
        for segment in 0..<segmentCount { set(rule, segment) }
    }

    /// Asks the cell once for every part that its own constants tell apart.
    private mutating func fill(_ rule: Int, _ cell: UnaryTests, _ constants: [Value]) {
        let ask = { (value: Value) in cell.matches(value, []) == true }
        if ask(.null) { set(rule, ColumnIndex.nullSegment) }
        if ask(.boolean(false)) { set(rule, ColumnIndex.falseSegment) }
        if ask(.boolean(true)) { set(rule, ColumnIndex.trueSegment) }
        for line in lines {
            var own: Set<Int> = []
            for value in constants where ColumnLine.kind(of: value) == line.kind {
                if case .key(let index) = line.part(value) { own.insert(index) }
            }
            var first = 0
            for key in own.sorted() {
                fillGap(rule, line, first, key, ask)
                if ask(line.keys[key]) { set(rule, line.segment(.key(key))) }
                first = key + 1
            }
            fillGap(rule, line, first, line.keys.count, ask)
        }
    }

    /// Everything between two own constants: from gap `first` to gap `last`, with the other cells' keys in between.
    private mutating func fillGap(_ rule: Int, _ line: ColumnLine, _ first: Int, _ last: Int, _ ask: (Value) -> Bool) {
        // A key of another cell is a value in between for sure; a gap of its own may hold none.
        let sample = first < last ? line.keys[first] : line.sample(gap: first)
        guard let sample, ask(sample) else { return }
        for gap in first...last {
            set(rule, line.segment(.gap(gap)))
            if gap < last { set(rule, line.segment(.key(gap))) }
        }
    }
}
