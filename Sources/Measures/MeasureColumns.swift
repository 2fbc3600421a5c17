/// A state as plain columns, complete: `MeasureState` reads back what it wrote. As rows of a table in PostgreSQL `count` and
/// `numerator` add, `sum` adds as numeric, `minimum` and `maximum` take least and greatest.
public struct MeasureColumns: Hashable, Sendable {
    /// A value and how often it occurs.
    public struct Occurrence: Hashable, Sendable {
        /// A number as plain digits, or a member.
        public var text: String
        /// At least 1.
        public var count: Int64

        /// Makes it.
        public init(_ text: String, _ count: Int64) {
            self.text = text
            self.count = count
        }
    }

    /// bigint; items, those with a null operand included.
    public var items: Int64
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
    /// The smallest operands, best first, and how many more there are: for taking some back.
    public var least: [Occurrence]
    /// See `least`.
    public var leastBeyond: Int64
    /// The largest operands, best first, and how many more there are: for taking some back.
    public var greatest: [Occurrence]
    /// See `greatest`.
    public var greatestBeyond: Int64
    /// Members with their counts, sorted by UTF-8 bytes.
    public var members: [Occurrence]
    /// boolean.
    public var isOverflow: Bool
    /// boolean.
    public var isCrowded: Bool
    /// boolean.
    public var isCorrected: Bool
    /// boolean.
    public var isUnmatched: Bool

    /// Makes columns, as read from a table.
    public init(
        items: Int64, count: Int64, numerator: Int64, sum: String, minimum: String?, maximum: String?,
        least: [Occurrence], leastBeyond: Int64, greatest: [Occurrence], greatestBeyond: Int64,
        members: [Occurrence], isOverflow: Bool, isCrowded: Bool, isCorrected: Bool, isUnmatched: Bool
    ) {
        self.items = items
        self.count = count
        self.numerator = numerator
        self.sum = sum
        self.minimum = minimum
        self.maximum = maximum
        self.least = least
        self.leastBeyond = leastBeyond
        self.greatest = greatest
        self.greatestBeyond = greatestBeyond
        self.members = members
        self.isOverflow = isOverflow
        self.isCrowded = isCrowded
        self.isCorrected = isCorrected
        self.isUnmatched = isUnmatched
    }
}

extension MeasureState {
    /// The state as columns.
    public var columns: MeasureColumns {
        let occurrences = { (reserve: OperandReserve) in
            reserve.kept.map { MeasureColumns.Occurrence($0.value.description, $0.count) }
        }
        return MeasureColumns(
            items: items, count: count, numerator: numerator, sum: sum.description, minimum: minimum?.description,
            maximum: maximum?.description, least: occurrences(least), leastBeyond: least.beyond,
            greatest: occurrences(greatest), greatestBeyond: greatest.beyond,
            members: memberCounts.sorted { $0.key < $1.key }.map { .init($0.key.text, $0.value) },
            isOverflow: isOverflow, isCrowded: isCrowded, isCorrected: isCorrected, isUnmatched: isUnmatched)
    }

    /// Reads columns back. A sum that PostgreSQL added beyond 127 bits reads as overflow; nil for text that is no
    /// number.
    public init?(_ columns: MeasureColumns) {
        self.init()
        items = columns.items
        count = columns.count
        numerator = columns.numerator
        isOverflow = columns.isOverflow
        isCrowded = columns.isCrowded
        isCorrected = columns.isCorrected
        isUnmatched = columns.isUnmatched
        for member in columns.members { memberCounts[ByteText(member.text)] = member.count }
        if let value = MeasureDecimal(parsing: columns.sum) {
            sum = value
        } else if columns.sum.utf8.allSatisfy({ $0 < UInt8(ascii: ":") }), !columns.sum.isEmpty {
            isOverflow = true
        } else {
            return nil
        }
        guard let least = Self.reserve(columns.least, columns.leastBeyond),
            let greatest = Self.reserve(columns.greatest, columns.greatestBeyond)
        else { return nil }
        self.least = least
        self.greatest = greatest
    }

    private static func reserve(_ occurrences: [MeasureColumns.Occurrence], _ beyond: Int64) -> OperandReserve? {
        var kept: [OperandReserve.Entry] = []
        for occurrence in occurrences {
            guard let value = MeasureDecimal(parsing: occurrence.text) else { return nil }
            kept.append(OperandReserve.Entry(value: value, count: occurrence.count))
        }
        return OperandReserve(kept: kept, beyond: beyond)
    }
}
