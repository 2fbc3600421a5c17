/// The operand of one item.
public enum MeasureOperand: Hashable, Sendable {
    /// The measure has none.
    case none
    /// It evaluated to null: the item does not count for an aggregate with an operand.
    case null
    /// A number.
    case number(MeasureDecimal)
    /// Text, for `distinct`.
    case text(String)
}

/// What an item's filters said. A null filter is false, as in SQL.
public struct MeasurePass: Hashable, Sendable {
    /// The measure's filter holds.
    public var isCounted: Bool
    /// The numerator's filter holds; looked at for `ratio` only.
    public var isNumerator: Bool

    /// Makes it; both true by default.
    public init(isCounted: Bool = true, isNumerator: Bool = true) {
        self.isCounted = isCounted
        self.isNumerator = isNumerator
    }
}

/// Why a measure has no value.
public enum MeasureNullReason: String, Hashable, Sendable, CaseIterable {
    /// Nothing to fold.
    case noData = "no_data"
    /// The denominator is zero.
    case zeroDenominator = "zero_denominator"
    /// The exact result does not fit.
    case overflow = "overflow"
    /// More different members than are kept.
    case tooManyDistinct = "too_many_distinct"
    /// Corrections took back every operand that was kept for the smallest or largest.
    case correctionUnresolved = "correction_unresolved"
}

/// The value of a measure.
public enum MeasureValue: Hashable, Sendable {
    /// No value, and why.
    case null(MeasureNullReason)
    /// Exact.
    case decimal(MeasureDecimal)
    /// A quotient, rounded once.
    case double(Double)

    /// As binary64; nil when null.
    public var double: Double? {
        switch self {
        case .null: nil
        case .decimal(let value): value.double
        case .double(let value): value
        }
    }
}

/// What a row accumulates: mergeable and exact, so the order of items and merges never matters. Items can be taken back,
/// since an event can be corrected; a row that can no longer tell its value for that says so.
public struct MeasureState: Hashable, Sendable {
    /// Items, those with a null operand included.
    public internal(set) var items: Int64 = 0
    /// Items counted (with an operand: not null).
    public internal(set) var count: Int64 = 0
    /// Of those, items that pass the numerator's filter.
    public internal(set) var numerator: Int64 = 0
    /// Exact sum of number operands.
    public internal(set) var sum = MeasureDecimal.zero
    /// For `min` and `max`, the operands at that end.
    var least = OperandReserve()
    var greatest = OperandReserve()
    /// For `distinct`, each member and how often it occurs.
    var memberCounts: [ByteText: Int64] = [:]
    /// The sum did not fit; sticky.
    public internal(set) var isOverflow = false
    /// More members than the limit; sticky, and the members are dropped.
    public internal(set) var isCrowded = false
    /// Something was taken back. For the rows of a delta: they then count less than nothing.
    public internal(set) var isCorrected = false
    /// Something was taken back that had never been added: the state is a delta, or lost its way; sticky.
    var isUnmatched = false

    /// Smallest number operand, kept for `min` only.
    public var minimum: MeasureDecimal? { isUnmatched ? nil : least.best }
    /// Largest number operand, kept for `max` only.
    public var maximum: MeasureDecimal? { isUnmatched ? nil : greatest.best }
    /// Different operands, for `distinct`, in byte order.
    public var members: [String] { memberCounts.keys.sorted().map(\.text) }

    /// Nothing folded yet.
    public init() {}

    /// Adds one item.
    public mutating func add(_ operand: MeasureOperand, isNumerator: Bool, aggregate: MeasureAggregate) {
        items += 1
        switch operand {
        case .null: return
        case .none: break
        case .number(let number):
            switch aggregate {
            case .distinct: insert(number.canonicalText, 1)
            case .min: least.insert(number, .smallest)
            case .max: greatest.insert(number, .largest)
            case .count, .sum, .mean, .ratio: add(number)
            }
        case .text(let text):
            if aggregate == .distinct { insert(text, 1) }
        }
        count += 1
        if aggregate == .ratio, isNumerator { numerator += 1 }
    }

    /// Takes one item back: what `add` was given for it.
    public mutating func remove(_ operand: MeasureOperand, isNumerator: Bool, aggregate: MeasureAggregate) {
        items -= 1
        isCorrected = true
        switch operand {
        case .null: return
        case .none: break
        case .number(let number):
            switch aggregate {
            case .distinct: remove(number.canonicalText)
            case .min: if !least.remove(number, .smallest) { isUnmatched = true }
            case .max: if !greatest.remove(number, .largest) { isUnmatched = true }
            case .count, .sum, .mean, .ratio: add(number.negated)
            }
        case .text(let text):
            if aggregate == .distinct { remove(text) }
        }
        count -= 1
        if aggregate == .ratio, isNumerator { numerator -= 1 }
    }

    private mutating func add(_ number: MeasureDecimal?) {
        if let number, let total = sum.adding(number) { sum = total } else { isOverflow = true }
    }

    private mutating func insert(_ member: String, _ times: Int64) {
        if isCrowded { return }
        guard member.utf8.count <= MeasureLimits.memberBytesMax else { return crowd() }
        memberCounts[ByteText(member), default: 0] += times
        if memberCounts.count > MeasureLimits.distinctMax { crowd() }
    }

    private mutating func remove(_ member: String) {
        if isCrowded { return }
        let key = ByteText(member)
        guard let times = memberCounts[key] else {
            isUnmatched = true
            return
        }
        memberCounts[key] = times == 1 ? nil : times - 1
    }

    private mutating func crowd() {
        isCrowded = true
        memberCounts = [:]
    }

    /// Adds another state.
    public mutating func merge(_ other: MeasureState) {
        items += other.items
        count += other.count
        numerator += other.numerator
        add(other.sum)
        least.merge(other.least, .smallest)
        greatest.merge(other.greatest, .largest)
        isOverflow = isOverflow || other.isOverflow
        isCorrected = isCorrected || other.isCorrected
        isUnmatched = isUnmatched || other.isUnmatched
        if other.isCrowded { crowd() }
        for (member, times) in other.memberCounts { insert(member.text, times) }
    }

    /// The measure's value.
    public func value(_ aggregate: MeasureAggregate) -> MeasureValue {
        switch aggregate {
        case .count: return .decimal(MeasureDecimal(count))
        case .sum: return isOverflow ? .null(.overflow) : .decimal(sum)
        case .min: return extreme(least)
        case .max: return extreme(greatest)
        case .mean:
            if isOverflow { return .null(.overflow) }
            if count == 0 { return .null(.noData) }
            return sum.divided(by: MeasureDecimal(count)).map { .double($0) } ?? .null(.overflow)
        case .ratio:
            if count == 0 { return .null(.zeroDenominator) }
            return .double(Double(numerator) / Double(count))
        case .distinct:
            if isCrowded { return .null(.tooManyDistinct) }
            return isUnmatched ? .null(.correctionUnresolved) : .decimal(MeasureDecimal(Int64(memberCounts.count)))
        }
    }

    private func extreme(_ reserve: OperandReserve) -> MeasureValue {
        if isUnmatched || reserve.isExhausted { return .null(.correctionUnresolved) }
        return reserve.best.map { .decimal($0) } ?? .null(.noData)
    }
}

extension MeasureDecimal {
    /// One spelling per value, for members of a `distinct`.
    var canonicalText: String {
        var text = description
        if scale > 0 {
            while text.utf8.last == UInt8(ascii: "0") { text.removeLast() }
            if text.utf8.last == UInt8(ascii: ".") { text.removeLast() }
        }
        return text == "-0" ? "0" : text
    }
}
