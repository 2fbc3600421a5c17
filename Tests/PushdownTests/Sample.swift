import FEEL

/// The names that random expressions read, and random rows of them.
enum Sample {
    struct Column {
        let name: String
        let kind: ExpressionGenerator.Kind
        let isNullable: Bool
        let type: SQLType
        let declaration: String

        init(
            _ name: String, _ kind: ExpressionGenerator.Kind, _ type: SQLType, _ declaration: String,
            isNullable: Bool = true
        ) {
            self.name = name
            self.kind = kind
            self.isNullable = isNullable
            self.type = type
            self.declaration = declaration
        }

        /// The column's name in PostgreSQL.
        var column: String { "c_" + name.replacing(".", with: "_").replacing(" ", with: "_") }
        var path: [String] { name.split(separator: ".").map(String.init) }
        var feelType: FEELType {
            switch kind {
            case .boolean: .boolean
            case .number: .number
            case .text: .string
            case .date: .date
            case .instant, .localDateTime: .dateTime
            case .daysTime: .daysTimeDuration
            case .yearsMonths: .yearsMonthsDuration
            }
        }
    }

    // A collation that is not by code point shows that COLLATE "C" stands where it must.
    static let columns = [
        Column("flag", .boolean, .boolean, "boolean"),
        Column("vip", .boolean, .boolean, "boolean NOT NULL", isNullable: false),
        Column("amount", .number, .numeric(), "numeric"),
        Column("wild", .number, .numeric(), "numeric NOT NULL", isNullable: false),
        Column("unit price", .number, .numeric(precision: 12, scale: 2), "numeric(12,2)"),
        Column("quantity", .number, .integer, "integer"),
        Column("rank", .number, .integer, "bigint NOT NULL", isNullable: false),
        Column("country", .text, .text, "text COLLATE \"en-US-x-icu\""),
        Column("label", .text, .text, "text COLLATE \"en-US-x-icu\" NOT NULL", isNullable: false),
        Column("customer.city", .text, .text, "text"),
        Column("customer.age", .number, .numeric(precision: 4, scale: 1), "numeric(4,1)"),
        Column("opened", .date, .date, "date"),
        Column("due", .date, .date, "date NOT NULL", isNullable: false),
        Column("at", .instant, .timestampWithTimeZone, "timestamptz"),
        Column("seen", .instant, .timestampWithTimeZone, "timestamptz NOT NULL", isNullable: false),
        Column("planned", .localDateTime, .timestamp, "timestamp"),
        Column("span", .daysTime, .daysTimeInterval, "interval"),
        Column("term", .yearsMonths, .yearsMonthsInterval, "interval NOT NULL", isNullable: false),
    ]

    static let constants: [ExpressionGenerator.Kind: [String]] = [
        .boolean: ["true", "false"],
        .number: [
            "0", "1", "2", "3", "7", "-1", "2.5", "0.1", "1.0", "100", "1000.00", "4", "25", "0.008", "33",
            "1234567890123456789012345678901234", "0.3333333333333333333333333333333333", "-99.995", "1e10", "1.5e-8",
            "9999999999999999999999999999999999", "0.5",
        ],
        .text: [
            "\"\"", "\"DE\"", "\"FR\"", "\"de\"", "\"\u{E9}\"", "\"e\u{301}\"", "\"a%b_\"", "\"Z\"", "\"\u{1F600}x\"",
            "\"a\\\\b\"", "\"a\\\"b\"", "\"a\\nb\"", "\"{}\"", "\"NULL\"",
        ],
        .date: ["@\"2024-02-29\"", "@\"2023-12-31\"", "@\"2024-03-01\"", "@\"1969-07-20\"", "@\"0001-01-01\""],
        .instant: [
            "@\"2024-02-29T12:00:00Z\"", "@\"2024-02-29T13:00:00+01:00\"", "@\"2024-03-31T01:30:00Z\"",
            "@\"1969-12-31T23:59:59.999999Z\"", "@\"2024-12-31T23:00:00Z\"",
        ],
        .localDateTime: ["@\"2024-02-29T12:00:00\"", "@\"2024-03-31T02:30:00\"", "@\"2023-12-31T23:59:59.5\""],
        .daysTime: ["@\"P1D\"", "@\"PT1H\"", "@\"-PT36H\"", "@\"P30DT0.5S\"", "@\"PT0S\"", "@\"P400D\""],
        .yearsMonths: ["@\"P1M\"", "@\"P1Y\"", "@\"-P14M\"", "@\"P0M\"", "@\"P100Y\""],
    ]

    static let patterns = [
        "D", "^D", "E$", "^(DE|FR)$", "[A-Z]", "[^A-Z]+", "^.{2}$", "^.*b", "a.b", "(a|b)*", "\\\\\\\\", "\\\\{", "x?",
        "^[a-z%_]+$", "[\u{E9}\u{1F600}]", "e\u{301}", "^$", "\\\\.", "a[\\\\n]b", "[\\\\-a]",
    ]

    static let environment = Environment(
        columns.filter { $0.path.count == 1 }.map {
            TypedName(name: $0.name, type: $0.feelType, isNullable: $0.isNullable)
        } + [TypedName(name: "customer", type: .context(["city": .string, "age": .number]), isNullable: true)])

    static var sqlColumns: [[String]: SQLColumn] {
        var result: [[String]: SQLColumn] = [:]
        for column in columns {
            result[column.path] = SQLColumn("r.\(column.column)", column.type, isNullable: column.isNullable)
        }
        return result
    }

    // MARK: Rows

    /// One value per column; 30 % of those that may be null are.
    static func row(_ random: inout SeededGenerator) -> [Value] {
        columns.map { column in
            if column.isNullable && random.chance(30) { return .null }
            return value(column, &random)
        }
    }

    private static func value(_ column: Column, _ random: inout SeededGenerator) -> Value {
        // Half the values are the constants that expressions name, so that equality holds now and then.
        let fits = !["quantity", "rank", "unit price", "customer.age"].contains(column.name)
        if fits, random.chance(50), let source = constants[column.kind].map({ random.pick($0) }),
            let value = (try? Expression(source, in: Environment([])))?.constant
        {
            guard column.kind == .instant, case .dateTime(let dateTime) = value else { return value }
            // A column of instants is read in UTC.
            return .dateTime(
                DateTime(localSeconds: dateTime.utcSeconds, nanosecond: dateTime.nanosecond, zone: .offset(0)))
        }
        switch column.kind {
        case .boolean: return .boolean(random.chance(50))
        case .number: return number(column, &random)
        case .text: return .string(random.pick(["DE", "FR", "US", "ab", "aab", "\u{F6}", "Z\u{1F600}", "a\nb", "\\"]))
        case .date: return .date(Date(daysSinceEpoch: Int64.random(in: -40_000...40_000, using: &random)))
        case .instant:
            return .dateTime(
                DateTime(
                    unixMicroseconds: Int64.random(in: -2_000_000_000_000_000...4_000_000_000_000_000, using: &random)))
        case .localDateTime:
            let instant = DateTime(
                unixMicroseconds: Int64.random(in: -2_000_000_000_000...4_000_000_000_000, using: &random) * 1000)
            return .dateTime(DateTime(localSeconds: instant.localSeconds, nanosecond: instant.nanosecond, zone: .local))
        case .daysTime:
            let micros = Int64.random(in: -9_000_000_000_000...9_000_000_000_000, using: &random)
            return DaysTimeDuration(nanoseconds: Int128(micros) * 1000).map { .daysTimeDuration($0) } ?? .null
        case .yearsMonths:
            return .yearsMonthsDuration(YearsMonthsDuration(months: Int64.random(in: -500...500, using: &random)))
        }
    }

    private static func number(_ column: Column, _ random: inout SeededGenerator) -> Value {
        switch column.name {
        case "quantity": return .number(random.pick([0, 1, 2, 3, 7, 100, -5, 2_147_483_647]))
        case "rank": return .number(random.pick([1, 2, 4, 25, 1000, Int.max, Int.min]))
        case "unit price": return decimal(Int.random(in: -99_999...999_999, using: &random), -2)
        case "customer.age": return decimal(Int.random(in: 0...1200, using: &random), -1)
        default:
            let significand = UInt128.random(in: 0...9_999_999_999_999_999_999_999_999_999_999_999, using: &random)
            let digits = UInt128(random.pick([1, 1000, 1_000_000_000_000_000]))
            let value = Decimal(
                significand: significand / (random.chance(30) ? 1 : 10_000_000_000_000_000 * digits),
                exponent: random.pick([-40, -33, -20, -10, -3, -2, 0, 0, 1, 5]), isNegative: random.chance(40))
            return value.map { .number($0) } ?? .null
        }
    }

    private static func decimal(_ significand: Int, _ exponent: Int) -> Value {
        Decimal(significand: UInt128(significand.magnitude), exponent: exponent, isNegative: significand < 0)
            .map { .number($0) } ?? .null
    }

    /// The slots of the environment for a row. Entries of a context that are all null make the context null, or not.
    static func slots(_ row: [Value]) -> [Value] {
        var slots: [Value] = []
        var customer = Context()
        for (column, value) in zip(columns, row) {
            if column.path.count == 1 { slots.append(value) } else { customer[column.path[1]] = value }
        }
        let isAbsent = customer.entries.allSatisfy { $0.value.isNull }
        return slots + [isAbsent ? .null : .context(customer)]
    }
}
