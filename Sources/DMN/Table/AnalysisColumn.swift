import FEEL

/// An input column as the analysis sees it: the segments that an allowed input can lie in, and per rule the set of
/// those that its cell passes.
struct AnalysisColumn {
    /// A segment of the column's values.
    struct Segment {
        enum Place {
            case null
            case boolean(Bool)
            /// A key or gap of a line.
            case line(ColumnLine, ColumnLine.Part)
            /// Values that nothing is known about.
            case anything
        }

        let place: Place
        let index: Int
        var isNull: Bool { if case .null = place { true } else { false } }
    }

    let segments: [Segment]
    /// By segment: the rules whose cells pass there; opaque cells count as passing.
    let passing: [[UInt64]]
    /// By rule: the segments that its cell passes; of an opaque cell all.
    let ranges: [[UInt64]]
    /// By rule: whether its cell's answer cannot be known here.
    let isOpaque: [Bool]
    /// By rule: whether the cell passes in every segment but null.
    let passesAll: [Bool]

    init(_ column: DecisionTable.Column, type: FEELType) {
        var extra: [Value] = []
        var ordersExtra = false
        if case .constants(let constants, let orders)? = column.allowed?.shape {
            (extra, ordersExtra) = (constants, orders)
        }
        let index = ColumnIndex(cells: column.cells, extra: extra, ordersExtra: ordersExtra)
        let candidates = AnalysisColumn.segments(index, type)
        segments = AnalysisColumn.allowed(candidates, column.allowed)
        let rules = column.cells.count
        let words = max(1, (rules + 63) / 64)
        let width = max(1, (segments.count + 63) / 64)
        var passing = Array(repeating: Array(repeating: UInt64(0), count: words), count: segments.count)
        var ranges = Array(repeating: Array(repeating: UInt64(0), count: width), count: rules)
        var passesAll = Array(repeating: true, count: rules)
        for rule in 0..<rules {
            for (position, segment) in segments.enumerated() {
                if index.passes(rule, segment: segment.index) {
                    passing[position][rule >> 6] |= 1 << UInt64(rule & 63)
                    ranges[rule][position >> 6] |= 1 << UInt64(position & 63)
                } else if !segment.isNull {
                    passesAll[rule] = false
                }
            }
        }
        (self.passing, self.ranges, self.passesAll) = (passing, ranges, passesAll)
        let isBlind = segments.contains { if case .anything = $0.place { true } else { false } }
        isOpaque = column.cells.indices.map { rule in
            if case .any = column.cells[rule].shape { return false }
            return isBlind || index.isOpaque(rule)
        }
    }

    /// The segments of a declared type; of an undeclared one those of the types that cells name.
    private static func segments(_ index: ColumnIndex, _ type: FEELType) -> [Segment] {
        var segments = [Segment(place: .null, index: ColumnIndex.nullSegment)]
        let booleans = [false, true].map {
            Segment(place: .boolean($0), index: $0 ? ColumnIndex.trueSegment : ColumnIndex.falseSegment)
        }
        let wanted: [ColumnLine.Kind]
        switch type {
        case .boolean: return segments + booleans
        case .number: wanted = [.number]
        case .string: wanted = [.string]
        case .date: wanted = [.date]
        case .dateTime: wanted = [.dateTime]
        case .yearsMonthsDuration: wanted = [.yearsMonths]
        case .daysTimeDuration: wanted = [.daysTime]
        default: wanted = type == .any ? index.lines.filter { !$0.keys.isEmpty }.map(\.kind) : []
        }
        for kind in wanted {
            let line = index.lines[kind.rawValue]
            for gap in 0...line.keys.count {
                if (line.isOrdered || gap == 0) && line.sample(gap: gap) != nil {
                    segments.append(Segment(place: .line(line, .gap(gap)), index: line.segment(.gap(gap))))
                }
                if gap < line.keys.count {
                    segments.append(Segment(place: .line(line, .key(gap)), index: line.segment(.key(gap))))
                }
            }
        }
        if wanted.isEmpty { segments.append(Segment(place: .anything, index: index.unknownSegment)) }
        return segments
    }

    /// Without those that the allowed values leave out, as far as that can be told by one sample.
    private static func allowed(_ segments: [Segment], _ tests: UnaryTests?) -> [Segment] {
        guard let tests, case .constants = tests.shape else { return segments }
        return segments.filter { segment in
            guard let sample = sample(segment) else { return true }
            return tests.matches(sample, []) == true
        }
    }

    private static func sample(_ segment: Segment) -> Value? {
        switch segment.place {
        case .null: .null
        case .boolean(let flag): .boolean(flag)
        case .line(let line, .key(let key)): line.keys[key]
        case .line(let line, .gap(let gap)): line.sample(gap: gap)
        case .anything: nil
        }
    }

    /// Whether a rule's cell passes nowhere.
    func isEmpty(_ rule: Int) -> Bool { !isOpaque[rule] && ranges[rule].allSatisfy { $0 == 0 } }

    /// A run of neighbouring segments for people, as a cell would write it.
    func text(_ run: ClosedRange<Int>) -> String {
        let (first, last) = (segments[run.lowerBound], segments[run.upperBound])
        switch (first.place, last.place) {
        case (.null, .null): return "null"
        case (.boolean(let a), .boolean(let b)): return a == b ? "\(a)" : "true, false"
        case (.line(let line, let low), .line(let other, let high)) where line.kind == other.kind:
            return AnalysisColumn.text(line, low, high)
        default: return "-"
        }
    }

    private static func text(_ line: ColumnLine, _ low: ColumnLine.Part, _ high: ColumnLine.Part) -> String {
        func name(_ key: Int) -> String { line.keys[key].string.map { "\"\($0)\"" } ?? line.keys[key].text }
        if case .gap = low, case .gap = high, !line.isOrdered {
            return line.keys.isEmpty ? "-" : "not(\(line.keys.indices.map(name).joined(separator: ", ")))"
        }
        if case .key(let first) = low, low == high { return name(first) }
        if !line.isOrdered { return "-" }
        let from: (String, Bool)? =
            switch low {
            case .key(let key): (name(key), true)
            case .gap(let gap): gap == 0 ? nil : (name(gap - 1), false)
            }
        let to: (String, Bool)? =
            switch high {
            case .key(let key): (name(key), true)
            case .gap(let gap): gap == line.keys.count ? nil : (name(gap), false)
            }
        switch (from, to) {
        case (nil, nil): return "-"
        case (let from?, nil): return (from.1 ? ">= " : "> ") + from.0
        case (nil, let to?): return (to.1 ? "<= " : "< ") + to.0
        case (let from?, let to?): return "\(from.1 ? "[" : "(")\(from.0)..\(to.0)\(to.1 ? "]" : ")")"
        }
    }
}
