import FEEL

/// The values of one type as a column's cells tell them apart: the constants in order (keys), and what lies between.
struct ColumnLine: Sendable {
    /// Types whose values lie on a line. Times of day do not: their order depends on zones.
    enum Kind: Int, CaseIterable, Sendable {
        case number, string, date, dateTime, yearsMonths, daysTime
    }

    /// A part of the line: `gap` i lies below key i, the last gap above all keys.
    enum Part: Hashable, Sendable {
        case gap(Int)
        case key(Int)
    }

    let kind: Kind
    /// The constants, ascending and distinct.
    let keys: [Value]
    /// Whether all gaps are told apart; else they are one.
    let isOrdered: Bool
    /// The first of this line's segments in the column.
    let base: Int

    init(_ kind: Kind, _ constants: [Value], isOrdered: Bool, base: Int) {
        self.kind = kind
        var keys: [Value] = []
        for value in constants.sorted(by: ColumnLine.precedes)
        where keys.last.map({ ColumnLine.precedes($0, value) }) ?? true {
            keys.append(value)
        }
        self.keys = keys
        self.isOrdered = isOrdered
        self.base = base
    }

    static func kind(of value: Value) -> Kind? {
        switch value {
        case .number: .number
        case .string: .string
        case .date: .date
        case .dateTime: .dateTime
        case .yearsMonthsDuration: .yearsMonths
        case .daysTimeDuration: .daysTime
        default: nil
        }
    }

    /// The order of a line. FEEL's equality of moments does not look below the second, so neither does their line.
    static func precedes(_ a: Value, _ b: Value) -> Bool {
        switch (a, b) {
        case (.number(let a), .number(let b)): Decimal.compare(a, b) < 0
        case (.string(let a), .string(let b)): a.utf8.lexicographicallyPrecedes(b.utf8)
        case (.date(let a), .date(let b)): a.daysSinceEpoch < b.daysSinceEpoch
        case (.dateTime(let a), .dateTime(let b)): a.utcSeconds < b.utcSeconds
        case (.yearsMonthsDuration(let a), .yearsMonthsDuration(let b)): a < b
        case (.daysTimeDuration(let a), .daysTimeDuration(let b)): a < b
        default: false
        }
    }

    var segmentCount: Int { isOrdered ? keys.count * 2 + 1 : keys.count + 1 }

    func segment(_ part: Part) -> Int {
        switch part {
        case .gap(let index): base + (isOrdered ? index * 2 : 0)
        case .key(let index): base + (isOrdered ? index * 2 + 1 : index + 1)
        }
    }

    /// The part that a value of this line's type lies in.
    func part(_ value: Value) -> Part {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if ColumnLine.precedes(keys[middle], value) { low = middle + 1 } else { high = middle }
        }
        if low < keys.count, !ColumnLine.precedes(value, keys[low]) { return .key(low) }
        return .gap(low)
    }

    /// Whether a key's own segment cannot be known: what is equal to a moment is decided by more than its second.
    var hasOpaqueKeys: Bool { kind == .dateTime }

    // MARK: Samples

    private static let numberMax: Decimal = Decimal("9.999999999999999999999999999999999e6144") ?? .zero

    /// Some value in a gap; nil when there is none.
    func sample(gap: Int) -> Value? {
        let below = gap > 0 ? keys[gap - 1] : nil
        let above = gap < keys.count ? keys[gap] : nil
        guard let candidate = candidate(below, above) else { return nil }
        if let below, !ColumnLine.precedes(below, candidate) { return nil }
        if let above, !ColumnLine.precedes(candidate, above) { return nil }
        return candidate
    }

    private func candidate(_ below: Value?, _ above: Value?) -> Value? {
        switch kind {
        case .number: return number(below?.number, above?.number)
        case .string: return .string(below?.string.map { $0 + "\u{0}" } ?? "")
        case .date:
            let days: Int64
            if case .date(let date)? = below {
                days = date.daysSinceEpoch + 1
            } else if case .date(let date)? = above {
                days = date.daysSinceEpoch - 1
            } else {
                days = 0
            }
            return .date(Date(daysSinceEpoch: days))
        case .dateTime:
            let seconds: Int64
            if case .dateTime(let moment)? = below {
                seconds = moment.utcSeconds + 1
            } else if case .dateTime(let moment)? = above {
                seconds = moment.utcSeconds - 1
            } else {
                seconds = 0
            }
            return .dateTime(DateTime(localSeconds: seconds, nanosecond: 0, zone: .offset(0)))
        case .yearsMonths:
            if case .yearsMonthsDuration(let duration)? = below {
                return .yearsMonthsDuration(YearsMonthsDuration(months: duration.months &+ 1))
            }
            if case .yearsMonthsDuration(let duration)? = above {
                return .yearsMonthsDuration(YearsMonthsDuration(months: duration.months &- 1))
            }
            return .yearsMonthsDuration(YearsMonthsDuration(months: 0))
        case .daysTime:
            var nanoseconds: Int128 = 0
            if case .daysTimeDuration(let duration)? = below {
                nanoseconds = duration.nanoseconds + 1
            } else if case .daysTimeDuration(let duration)? = above {
                nanoseconds = duration.nanoseconds - 1
            }
            return DaysTimeDuration(nanoseconds: nanoseconds).map { .daysTimeDuration($0) }
        }
    }

    private func number(_ below: Decimal?, _ above: Decimal?) -> Value? {
        switch (below, above) {
        case (nil, nil): return .number(0)
        case (nil, _?): return .number(ColumnLine.numberMax.negated)
        case (_?, nil): return .number(ColumnLine.numberMax)
        case (let below?, let above?):
            // Halves first: the sum could pass the largest number.
            guard let two = Decimal("2"), let a = below / two, let b = above / two else { return nil }
            return (a + b).map { .number($0) }
        }
    }
}
