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

/// What a row accumulates: mergeable and exact, so the order of items and merges never matters.
public struct MeasureState: Hashable, Sendable {
    /// Items counted (with an operand: not null).
    public private(set) var count: Int64 = 0
    /// Of those, items that pass the numerator's filter.
    public private(set) var numerator: Int64 = 0
    /// Exact sum of number operands.
    public private(set) var sum = MeasureDecimal.zero
    /// Smallest number operand.
    public private(set) var minimum: MeasureDecimal?
    /// Largest number operand.
    public private(set) var maximum: MeasureDecimal?
    private var memberTexts: Set<ByteText> = []
    /// The sum did not fit; sticky.
    public private(set) var isOverflow = false
    /// More members than the limit; sticky, and the members are dropped.
    public private(set) var isCrowded = false

    /// Different operands, for `distinct`, in byte order.
    public var members: [String] { memberTexts.sorted().map(\.text) }

    /// Nothing folded yet.
    public init() {}

    /// Adds one item.
    public mutating func add(_ operand: MeasureOperand, isNumerator: Bool, aggregate: MeasureAggregate) {
        switch operand {
        case .null: return
        case .none: break
        case .number(let number):
            if aggregate == .distinct { insert(number.canonicalText) } else { add(number) }
        case .text(let text):
            if aggregate == .distinct { insert(text) }
        }
        count += 1
        if aggregate == .ratio, isNumerator { numerator += 1 }
    }

    private mutating func add(_ number: MeasureDecimal) {
        if let total = sum.adding(number) { sum = total } else { isOverflow = true }
        minimum = minimum.map { Swift.min($0, number) } ?? number
        maximum = maximum.map { Swift.max($0, number) } ?? number
    }

    private mutating func insert(_ member: String) {
        if isCrowded { return }
        guard member.utf8.count <= MeasureLimits.memberBytesMax else { return crowd() }
        memberTexts.insert(ByteText(member))
        if memberTexts.count > MeasureLimits.distinctMax { crowd() }
    }

    private mutating func crowd() {
        isCrowded = true
        memberTexts = []
    }

    /// Adds another state.
    public mutating func merge(_ other: MeasureState) {
        count += other.count
        numerator += other.numerator
        if let total = sum.adding(other.sum) { sum = total } else { isOverflow = true }
        if let least = other.minimum { minimum = minimum.map { Swift.min($0, least) } ?? least }
        if let greatest = other.maximum { maximum = maximum.map { Swift.max($0, greatest) } ?? greatest }
        isOverflow = isOverflow || other.isOverflow
        if other.isCrowded { crowd() }
        for member in other.memberTexts { insert(member.text) }
    }

    /// The measure's value.
    public func value(_ aggregate: MeasureAggregate) -> MeasureValue {
        switch aggregate {
        case .count: return .decimal(MeasureDecimal(count))
        case .sum: return isOverflow ? .null(.overflow) : .decimal(sum)
        case .min: return minimum.map { .decimal($0) } ?? .null(.noData)
        case .max: return maximum.map { .decimal($0) } ?? .null(.noData)
        case .mean:
            if isOverflow { return .null(.overflow) }
            if count == 0 { return .null(.noData) }
            return sum.divided(by: MeasureDecimal(count)).map { .double($0) } ?? .null(.overflow)
        case .ratio:
            if count == 0 { return .null(.zeroDenominator) }
            return .double(Double(numerator) / Double(count))
        case .distinct:
            return isCrowded ? .null(.tooManyDistinct) : .decimal(MeasureDecimal(Int64(memberTexts.count)))
        }
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

/// A state as plain columns, for a table in PostgreSQL: `count` and `numerator` add, `sum` adds as numeric, `minimum`
/// and `maximum` take least and greatest, `members` unite, the flags are or-ed.
public struct MeasureColumns: Hashable, Sendable {
    /// bigint.
    public var count: Int64
    /// bigint.
    public var numerator: Int64
    /// numeric, plain digits.
    public var sum: String
    /// numeric or null.
    public var minimum: String?
    /// numeric or null.
    public var maximum: String?
    /// text[], sorted by UTF-8 bytes.
    public var members: [String]
    /// boolean.
    public var isOverflow: Bool
    /// boolean.
    public var isCrowded: Bool

    /// Makes columns, as read from a table.
    public init(
        count: Int64, numerator: Int64, sum: String, minimum: String?, maximum: String?, members: [String],
        isOverflow: Bool, isCrowded: Bool
    ) {
        self.count = count
        self.numerator = numerator
        self.sum = sum
        self.minimum = minimum
        self.maximum = maximum
        self.members = members
        self.isOverflow = isOverflow
        self.isCrowded = isCrowded
    }
}

extension MeasureState {
    /// The state as columns.
    public var columns: MeasureColumns {
        MeasureColumns(
            count: count, numerator: numerator, sum: sum.description, minimum: minimum?.description,
            maximum: maximum?.description, members: members, isOverflow: isOverflow, isCrowded: isCrowded)
    }

    /// Reads columns back. A sum that PostgreSQL added beyond 127 bits reads as overflow; nil for text that is no
    /// number.
    public init?(_ columns: MeasureColumns) {
        self.init()
        count = columns.count
        numerator = columns.numerator
        isOverflow = columns.isOverflow
        isCrowded = columns.isCrowded
        for member in columns.members { insert(member) }
        if let value = MeasureDecimal(parsing: columns.sum) {
            sum = value
        } else if columns.sum.utf8.allSatisfy({ $0 < UInt8(ascii: ":") }), !columns.sum.isEmpty {
            isOverflow = true
        } else {
            return nil
        }
        if let text = columns.minimum {
            guard let value = MeasureDecimal(parsing: text) else { return nil }
            minimum = value
        }
        if let text = columns.maximum {
            guard let value = MeasureDecimal(parsing: text) else { return nil }
            maximum = value
        }
    }
}
