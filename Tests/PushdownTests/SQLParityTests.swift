import FEEL
import Postgres
import PostgresTestCluster
import Testing

import class Foundation.ProcessInfo

/// The interpreter held against PostgreSQL: random rows with 30 % nulls, random expressions; every value and every
/// filter must be the same.
@Suite struct SQLParityTests {
    static let rowCount = 24
    static let isLong = ProcessInfo.processInfo.environment["DECISIOND_TEST_LONG"] == "1"
    static let expressionsPerProfile = isLong ? 20_000 : 1200

    /// Runs random expressions of one profile. Those that PostgreSQL cannot do are counted, since a writer that refuses
    /// everything would pass.
    @Test(arguments: [true, false]) func randomExpressions(isStrict: Bool) throws {
        let table = try SampleTable(seed: 1, rows: Self.rowCount)
        var (compared, refused) = (0, 0)
        var seed: UInt64 = isStrict ? 1 << 32 : 0
        if Self.isLong { seed += 1 << 24 }
        while compared < Self.expressionsPerProfile {
            seed += 1
            guard let (source, expression) = Self.expression(seed, isStrict: isStrict) else { continue }
            if try table.compare(expression, source, seed: seed) { compared += 1 } else { refused += 1 }
            #expect(refused < 200 + compared, "most expressions are refused")
            if refused > 200 + compared { break }
        }
    }

    /// Some names are known: the rest must say of every row what the whole says with them put in.
    @Test func residuals() throws {
        let table = try SampleTable(seed: 2, rows: Self.rowCount)
        var compared = 0
        var seed: UInt64 = 2 << 32
        while compared < Self.expressionsPerProfile / 3 {
            seed += 1
            guard let (source, expression) = Self.expression(seed, isStrict: false) else { continue }
            if try table.compareResidual(expression, source, seed: seed) { compared += 1 }
        }
    }

    static func expression(_ seed: UInt64, isStrict: Bool) -> (String, Expression)? {
        var generator = ExpressionGenerator(seed: seed, isStrict: isStrict)
        let kind =
            generator.random.chance(60) ? .boolean : generator.random.pick(ExpressionGenerator.Kind.allCases)
        let source = generator.expression(kind, depth: Int.random(in: 1...4, using: &generator.random))
        let profile: Profile = isStrict ? .strict : .dmn
        guard let expression = try? Expression(source, in: Sample.environment, profile: profile),
            !expression.usedSlots.isEmpty
        else { return nil }
        return (source, expression)
    }

    /// One of each construct, and expressions that once came out differently.
    static let kept = [
        "not(country = \"DE\")", "country != \"DE\"", "country = null", "not(country in (\"DE\", \"FR\"))",
        "country in [\"DE\", null]", "not(amount > 5 and country = \"DE\")", "amount / 3", "1 / amount",
        "amount / wild",
        "wild * wild", "wild + 0.1", "wild * 9999999999999999999999999999999999", "amount between quantity and rank",
        "not(amount between quantity and rank)", "at + @\"P1M\"", "at + @\"P400D\"", "opened + @\"-PT36H\"",
        "at.year", "span * wild", "span / 7", "term / 5", "label < \"de\"", "rank > 2.5", "quantity = 2.0",
        "flag = vip", "not(flag)", "at = seen", "seen = @\"2024-02-29T12:00:00Z\"", "seen != at",
        "country = customer.city", "country != customer.city", "string length(label)",
        "starts with(label, \"\")", "substring(label, -2)", "if flag then \"x\" else null", "opened - due",
        "decimal(amount, 1)", "odd(quantity)", "matches(label, \"^[A-Z]+$\")", "customer.age > 18 or vip",
        "label in (\"Z\", \"\u{E9}\", \"e\u{301}\")", "span / -0.5", "0 / amount", "@\"PT0S\" / wild",
        "some c in [\"e\u{301}\", \"\u{E9}\"] satisfies c = label", "label between \"e\u{301}\" and \"\u{E9}\"",
    ]

    @Test func keptExpressions() throws {
        let table = try SampleTable(seed: 3, rows: 60)
        for source in Self.kept {
            let expression = try Expression(source, in: Sample.environment)
            let isCompared = try table.compare(expression, source, seed: 0)
            #expect(isCompared, "\(source) was refused")
        }
    }

    /// A filter in positive position can use an index.
    @Test(arguments: [
        "country = \"DE\"", "country in (\"DE\", \"FR\")", "quantity = 2", "quantity in (1, 2) and vip",
        "opened >= today()",
        "at = @\"2024-02-29T12:00:00Z\"", "amount between 1 and 2", "country = \"DE\" or country = null",
        "some c in [\"DE\", \"FR\"] satisfies country = c",
    ])
    func indexes(source: String) throws {
        let table = try SampleTable(seed: 4, rows: 1)
        for column in ["country", "quantity", "opened", "at", "amount"] {
            try table.connection.execute("CREATE INDEX ON rows (c_\(column))")
        }
        try table.connection.execute("SET enable_seqscan = off")
        let sql = try Expression(source, in: Sample.environment).sql(Sample.sqlColumns, for: .filter, now: 0)
        let parameters = sql.parameters.map { PostgresParameter.text($0.text) }
        let plan = try table.connection.query("EXPLAIN SELECT * FROM rows r WHERE \(sql.text)", parameters)
        let lines = try (0..<plan.rowCount).compactMap { try plan.string($0, 0) }
        #expect(lines.contains { $0.contains("Index Cond") }, "\(sql.text): \(lines)")
    }
}

/// A table of random rows in PostgreSQL, and the same rows as values.
struct SampleTable {
    let connection: PostgresConnection
    let rows: [[Value]]

    init(seed: UInt64, rows count: Int) throws {
        connection = try TestCluster.shared.connect()
        var random = SeededGenerator(seed: seed)
        rows = (0..<count).map { _ in Sample.row(&random) }
        let columns = Sample.columns.map { "\($0.column) \($0.declaration)" }.joined(separator: ", ")
        // A zone with summer time: no result may depend on it.
        try connection.execute("SET timezone = 'Europe/Berlin'; CREATE TABLE rows (id int PRIMARY KEY, \(columns))")
        for (id, row) in rows.enumerated() {
            var items = ["\(id)"]
            var parameters: [PostgresParameter] = []
            for (column, value) in zip(Sample.columns, row) {
                parameters.append(.text(Self.text(value)))
                items.append("$\(parameters.count)::\(column.declaration.split(separator: " ")[0])")
            }
            try connection.query("INSERT INTO rows VALUES (\(items.joined(separator: ", ")))", parameters)
        }
    }

    /// A value in PostgreSQL's text format.
    private static func text(_ value: Value) -> String? {
        switch value {
        case .null: nil
        case .daysTimeDuration(let duration): "\(duration.nanoseconds / 1000) microseconds"
        case .yearsMonthsDuration(let duration): "\(duration.months) months"
        default: value.text
        }
    }

    // MARK: Comparing

    /// Whether the expression could be written as SQL; records an issue where its results differ.
    func compare(_ expression: Expression, _ source: String, seed: UInt64) throws -> Bool {
        try compare(expression, "seed \(seed): \(source)") { expression.evaluate(Sample.slots($0)) }
    }

    func compareResidual(_ expression: Expression, _ source: String, seed: UInt64) throws -> Bool {
        var random = SeededGenerator(seed: ~seed)
        let given = Sample.slots(Sample.row(&random))
        let known = given.map { random.chance(40) ? $0 : nil }
        let residual = expression.partiallyEvaluate(known)
        return try compare(residual, "residual, seed \(seed): \(source)") { row in
            expression.evaluate(zip(known, Sample.slots(row)).map { $0 ?? $1 })
        }
    }

    private func compare(_ expression: Expression, _ what: String, _ evaluate: ([Value]) -> Value) throws -> Bool {
        let value: SQLExpression
        do {
            value = try expression.sql(Sample.sqlColumns, for: .value)
        } catch {
            return false
        }
        let expected = rows.map(evaluate)
        let actual = try values(value, what)
        for (id, (want, got)) in zip(expected, actual).enumerated() where Self.canonical(want) != got {
            Issue.record("\(what)\n\(value)\nrow \(id): \(rows[id])\nwant \(Self.canonical(want)) got \(got)")
            break
        }
        guard value.type == .boolean else { return true }
        let filter = try expression.sql(Sample.sqlColumns, for: .filter, firstParameter: 2)
        let kept = try ids(filter, what)
        let wanted = expected.indices.filter { expected[$0] == .boolean(true) }
        if kept != wanted { Issue.record("\(what)\nWHERE \(filter)\nwant \(wanted) got \(kept)") }
        return true
    }

    private func values(_ sql: SQLExpression, _ what: String) throws -> [String] {
        let text =
            switch sql.type {
            case .date, .dateTime: "extract(epoch FROM \(sql.text))::text"
            default: "(\(sql.text))::text"
            }
        let parameters = sql.parameters.map { PostgresParameter.text($0.text) }
        let result = try query("SELECT \(text) FROM rows r ORDER BY id", parameters, what)
        return try (0..<result.rowCount).map { row in
            guard let text = try result.string(row, 0) else { return "null" }
            switch sql.type {
            case .boolean, .string: return text
            default: return Self.canonical(number: text)
            }
        }
    }

    private func ids(_ sql: SQLExpression, _ what: String) throws -> [Int] {
        let parameters = [PostgresParameter.int64(0)] + sql.parameters.map { PostgresParameter.text($0.text) }
        let result = try query("SELECT id FROM rows r WHERE $1 = 0 AND \(sql.text) ORDER BY id", parameters, what)
        return try (0..<result.rowCount).map { Int(try result.string($0, 0) ?? "") ?? -1 }
    }

    private func query(
        _ sql: String, _ parameters: [PostgresParameter], _ what: String
    ) throws -> PostgresResult {
        do {
            return try connection.query(sql, parameters)
        } catch {
            Issue.record("\(what)\n\(sql)\n\(error)")
            throw error
        }
    }

    /// One spelling for each value; dates as seconds, durations as PostgreSQL's numbers.
    private static func canonical(_ value: Value) -> String {
        switch value {
        case .number(let number): canonical(number: number.description)
        case .date(let date): canonical(number: "\(date.daysSinceEpoch * 86_400)")
        case .dateTime(let dateTime):
            canonical(number: "\(Int128(dateTime.utcSeconds) * 1_000_000_000 + Int128(dateTime.nanosecond))E-9")
        case .daysTimeDuration(let duration): canonical(number: "\(duration.nanoseconds)")
        case .yearsMonthsDuration(let duration): canonical(number: "\(duration.months)")
        default: value.text
        }
    }

    /// A number's digits without zeros at either end, and its exponent: all digits count, also those past 34.
    private static func canonical(number text: String) -> String {
        let parts = text.split { $0 == "e" || $0 == "E" }
        var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        var digits = parts[0].filter(\.isNumber)
        if let point = parts[0].firstIndex(of: ".") {
            exponent -= parts[0].distance(from: point, to: parts[0].endIndex) - 1
        }
        while digits.last == "0" {
            digits.removeLast()
            exponent += 1
        }
        digits = String(digits.drop { $0 == "0" })
        if digits.isEmpty { return "0" }
        return "\(text.hasPrefix("-") ? "-" : "")\(digits)E\(exponent)"
    }
}
