/// A piece of SQL and what is known of its value.
struct SQLOperand {
    enum Kind: Equatable {
        case null
        case boolean
        case number
        case text
        case date
        case localTime
        case localDateTime
        case instant
        /// In nanoseconds.
        case daysTime
        /// In months.
        case yearsMonths

        var type: FEELType {
            switch self {
            case .null: .null
            case .boolean: .boolean
            case .number: .number
            case .text: .string
            case .date: .date
            case .localTime: .time
            case .localDateTime, .instant: .dateTime
            case .daysTime: .daysTimeDuration
            case .yearsMonths: .yearsMonthsDuration
            }
        }

        /// FEEL's `=` compares these to the second, as the standard names hour, minute and second; order does not.
        var isEqualToTheSecond: Bool { self == .localTime || self == .localDateTime || self == .instant }

        /// The type to cast to.
        var sqlType: String {
            switch self {
            case .null, .boolean: "boolean"
            case .number, .daysTime, .yearsMonths: "numeric"
            case .text: "text"
            case .date: "date"
            case .localTime: "time"
            case .localDateTime: "timestamp"
            case .instant: "timestamptz"
            }
        }
    }

    /// Most digits before and after the point.
    struct Digits {
        var whole: Int
        var scale: Int

        var fits: Bool { whole + scale <= Decimal.maxDigits }
    }

    /// An operand of SQL operators as it stands.
    var text: String
    var kind: Kind
    var isNullable: Bool
    /// Known for numbers whose digits are bounded.
    var digits: Digits?
    /// The constant, when it is one.
    var constant: Value?
    /// The column itself when `text` casts it to numeric: compared with whole constants, it can use its index.
    var integer: String?

    init(_ text: String, _ kind: Kind, isNullable: Bool = true, digits: Digits? = nil) {
        self.text = text
        self.kind = kind
        self.isNullable = isNullable
        self.digits = digits
    }

    var isNull: Bool { kind == .null }
    /// Text orders by code point whatever the database's collation; equality needs no collation and may use any index.
    var ordered: String { kind == .text ? text + " COLLATE \"C\"" : text }
}

extension Term {
    /// The construct, for messages.
    var construct: String {
        switch kind {
        case .constant(let value): "a \(value.type.name)"
        case .slot, .local: "a name"
        case .input: "'?'"
        case .failed(_, let message): message
        case .unknown(let name), .contextual(_, let name, _): "'\(name)'"
        case .path(_, let name): "'.\(name)'"
        case .negate: "'-'"
        case .arithmetic(let operation, _, _): "'\(operation.symbol)'"
        case .compare(let operation, _, _): "'\(operation.symbol)'"
        case .between: "'between'"
        case .inside, .test: "'in'"
        case .and: "'and'"
        case .or: "'or'"
        case .not: "'not'"
        case .conditional: "'if'"
        case .list: "a list"
        case .context: "a context"
        case .interval, .pointRange: "a range"
        case .filter: "a filter"
        case .loop(let kind, _, _, _): kind == .collect ? "'for'" : kind == .some ? "'some'" : "'every'"
        case .function: "a function definition"
        case .instanceOf: "'instance of'"
        case .call(let function, _, _): "'\(Signature[function].name)'"
        case .invoke: "a function call"
        case .binding: "'in'"
        }
    }
}

extension ArithmeticOperator {
    var symbol: String {
        switch self {
        case .add: "+"
        case .subtract: "-"
        case .multiply: "*"
        case .divide: "/"
        case .power: "**"
        }
    }
}

extension ComparisonOperator {
    var symbol: String {
        switch self {
        case .equal: "="
        case .notEqual: "!="
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        }
    }
}
