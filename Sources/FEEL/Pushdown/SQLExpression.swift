/// A FEEL expression as PostgreSQL runs it: text with `$n` for every constant, each cast to its type.
///
/// What comes out of PostgreSQL: booleans, `text`, `date`, `time`, `timestamp` and `timestamptz` as themselves, numbers
/// as `numeric` (its scale may differ, its value does not), days and time durations as `numeric` nanoseconds, years and
/// months durations as `numeric` months.
public struct SQLExpression: Hashable, Sendable {
    /// A constant, in PostgreSQL's text format.
    public struct Parameter: Hashable, Sendable {
        /// The text.
        public let text: String
        /// The name of the PostgreSQL type that the statement casts it to.
        public let type: String
    }

    /// How the result is used.
    public enum Purpose: Sendable {
        /// After WHERE: only rows for which it is true are kept, so that false and null need not be told apart, and
        /// `=` can use an index.
        case filter
        /// As a value: true, false and null are FEEL's.
        case value
    }

    /// The text, in parentheses where it needs them.
    public let text: String
    /// The constants, from `$firstParameter` on.
    public let parameters: [Parameter]
    /// The FEEL type of the result.
    public let type: FEELType
}

/// A name of an expression as PostgreSQL has it.
public struct SQLColumn: Hashable, Sendable {
    /// An SQL expression; trusted, and put into the text as it is. It must not raise errors, and not be NaN or infinite.
    public let expression: String
    /// Its type.
    public let type: SQLType
    /// Whether it may be NULL. A column that never is lets comparisons use an index in more places.
    public let isNullable: Bool

    /// Makes a column.
    public init(_ expression: String, _ type: SQLType, isNullable: Bool = true) {
        precondition(!expression.utf8.contains { $0 < 9 }, "a column with control characters")
        self.expression = expression
        self.type = type
        self.isNullable = isNullable
    }
}

/// The PostgreSQL types whose values are FEEL values.
public enum SQLType: Hashable, Sendable {
    /// `boolean`.
    case boolean
    /// `smallint`, `integer` or `bigint`.
    case integer
    /// `numeric` whose values have at most 34 digits and exponents within ±1000, as far as arithmetic is done with them;
    /// with a declared precision and scale products and sums that cannot need rounding are written without it.
    case numeric(precision: Int? = nil, scale: Int = 0)
    /// `text` or `varchar`, of a deterministic collation, in a database of encoding UTF8.
    case text
    /// `date`, finite.
    case date
    /// `time`: a local time.
    case time
    /// `timestamp`: a local date and time, finite.
    case timestamp
    /// `timestamptz`: an instant, read in UTC, finite.
    case timestampWithTimeZone
    /// `interval` of days and smaller parts only.
    case daysTimeInterval
    /// `interval` of years and months only.
    case yearsMonthsInterval
}

/// Why an expression cannot run in PostgreSQL.
public struct SQLError: Error, Sendable, Equatable {
    /// Stable codes.
    public enum Code: String, Sendable {
        /// A construct that PostgreSQL cannot do, or not with the same result.
        case unsupported
        /// A name that the column map does not have.
        case unknownColumn = "unknown_column"
        /// Operands whose types PostgreSQL cannot compare or combine as FEEL does.
        case typeMismatch = "type_mismatch"
        /// A constant that PostgreSQL cannot hold.
        case outOfRange = "out_of_range"
        /// `now()` or `today()` without a time.
        case noClock = "no_clock"
        /// A text longer than `FEELLimits.sqlBytes`.
        case tooComplex = "too_complex"
    }

    /// What kind of error.
    public let code: Code
    /// The construct, as FEEL names it.
    public let construct: String
    /// Why, in words.
    public let message: String
    /// Where, in UTF-8 bytes from the start of the source.
    public let offset: Int
}

extension Expression {
    /// The expression as PostgreSQL text that gives, for every row, what `evaluate` gives for the row's values; what
    /// PostgreSQL cannot do, or would do otherwise, is refused.
    ///
    /// Errors that PostgreSQL would raise (division by zero, overflow) are NULL, as they are null in FEEL. Dates and
    /// times past the years that PostgreSQL can hold, and numbers that need rounding beyond 10^±2000, are NULL too,
    /// where FEEL still has a value.
    /// - Parameters:
    ///   - columns: the column of each name, or path of names (`customer.age` is `["customer", "age"]`).
    ///   - purpose: whether the text filters rows or gives a value.
    ///   - now: the time of `now()` and `today()`, in microseconds since the Unix epoch.
    ///   - firstParameter: the number of the first parameter, at least 1.
    public func sql(
        _ columns: [[String]: SQLColumn], for purpose: SQLExpression.Purpose, now: Int64? = nil, firstParameter: Int = 1
    ) throws(SQLError) -> SQLExpression {
        precondition(firstParameter >= 1, "parameters are numbered from 1")
        var evaluator = PartialEvaluator(program, known: [], now: now, keepsReasons: false)
        let term = evaluator.reduce(program.details.term, [:]).term
        var writer = SQLWriter(slotNames: program.slotNames, columns: columns)
        return try writer.result(term, purpose, firstParameter: firstParameter)
    }
}
