import FEEL
import Testing

/// What the SQL looks like where that matters (indexes, parameters), and what is refused.
@Suite struct SQLTests {
    private func sql(
        _ source: String, _ purpose: SQLExpression.Purpose = .filter, now: Int64? = nil, first: Int = 1
    ) throws -> SQLExpression {
        try Expression(source, in: Sample.environment).sql(
            Sample.sqlColumns, for: purpose, now: now, firstParameter: first)
    }

    /// In a filter an equality that need not be exact for null is the plain operator; elsewhere it is not.
    @Test(arguments: [
        ("country = \"DE\"", "((r.c_country) = $1::text)"),
        ("not(country = \"DE\")", "(NOT ((r.c_country) IS NOT DISTINCT FROM $1::text))"),
        ("country != \"DE\"", "((r.c_country) IS DISTINCT FROM $1::text)"),
        ("not(country != \"DE\")", "(NOT ((r.c_country) <> $1::text))"),
        ("label != \"DE\"", "((r.c_label) <> $1::text)"),
        ("country = customer.city", "((r.c_country) IS NOT DISTINCT FROM (r.c_customer_city))"),
        ("country = label", "((r.c_country) = (r.c_label))"), ("country = null", "((r.c_country) IS NULL)"),
        ("country in (\"DE\", \"FR\")", "((r.c_country) = ANY($1::text[]))"),
        ("not(country in (\"DE\", \"FR\"))", "(NOT COALESCE(((r.c_country) = ANY($1::text[])), FALSE))"),
        ("country in (\"DE\", \"FR\", null)", "(((r.c_country) = ANY($1::text[])) OR (r.c_country) IS NULL)"),
        ("some c in [\"DE\", \"FR\"] satisfies c = country", "((r.c_country) = ANY($1::text[]))"),
        ("quantity = 2.0", "((r.c_quantity) = ($1::numeric)::bigint)"),
        ("quantity in (1, 2)", "((r.c_quantity) = ANY($1::bigint[]))"),
        ("label < \"M\"", "((r.c_label) COLLATE \"C\" < $1::text)"),
        ("opened >= today()", "((r.c_opened) >= $1::date)"), ("flag = true", "((r.c_flag) IS TRUE)"),
        ("unit price * quantity > 10", "(((r.c_unit_price) * (r.c_quantity)::numeric) > $1::numeric)"),
        ("vip and true", "(r.c_vip)"), ("amount > 1 and null", "(((r.c_amount) > $1::numeric) AND NULL::boolean)"),
    ])
    func filters(source: String, text: String) throws {
        #expect(try sql(source, now: 0).text == text)
    }

    @Test func parametersAreNumberedAsTheyStand() throws {
        let both = try sql("label = \"a'b\" or country = \"x\" or country = \"a'b\"", first: 3)
        #expect(both.text == "(((r.c_label) = $3::text) OR ((r.c_country) = ANY($4::text[])))")
        #expect(both.parameters.map(\.text) == ["a'b", "{\"x\",\"a'b\"}"])
        #expect(both.parameters.map(\.type) == ["text", "text[]"])
        // A constant whose operation vanished takes no number.
        #expect(try sql("amount / 0 > 5 or quantity > 3", .value).parameters.map(\.text) == ["5", "3"])
    }

    /// The construct that PostgreSQL cannot do, and where it stands.
    @Test(arguments: [
        ("vip and upper case(label) = \"A\"", SQLError.Code.unsupported, "'upper case'", 8),
        ("amount ** 2 > 1", .unsupported, "'**'", 0), ("sqrt(amount) > 1", .unsupported, "'sqrt'", 0),
        ("matches(label, \"\\\\d+\")", .unsupported, "a string", 15),
        ("matches(label, country)", .unsupported, "a name", 15),
        ("vip or label < 3", .typeMismatch, "'<'", 7), ("label", .typeMismatch, "a name", 0),
        ("planned < seen", .typeMismatch, "'<'", 0), ("opened > today()", .noClock, "'today'", 9),
        ("customer = null", .unknownColumn, "a name", 0), ("label = \"a\\u0000b\"", .outOfRange, "a string", 8),
        ("seen < @\"2024-01-01T00:00:00.1234567Z\"", .outOfRange, "a date and time", 7),
        ("opened < @\"12024-01-01\"", .outOfRange, "a date", 9),
        ("(for x in [1, 2] return amount)[1] > 1", .unsupported, "a filter", 1),
    ])
    func refusals(source: String, code: SQLError.Code, construct: String, offset: Int) throws {
        do {
            let text = try sql(source).text
            Issue.record("\(source) became \(text)")
        } catch let error as SQLError {
            #expect(
                [error.code == code, error.construct == construct, error.offset == offset] == [true, true, true],
                "\(error)")
        }
    }

    @Test(arguments: [
        "a", "^a$", "[a-z0-9]", "a{2,3}", "(a|b)+c?", "\\.", "\\-", "[^a]", ".", "é+", "-", "a/b", "#", "a&b",
    ])
    func patternsOfBoth(pattern: String) throws {
        let literal = pattern.replacing("\\", with: "\\\\")
        #expect(throws: Never.self) { try sql("matches(label, \"\(literal)\")") }
    }

    @Test(arguments: [
        "\\d", "\\w", "\\s", "\\p{L}", "\\1", "(a)\\1", "a*?", "a{300}", "(?:a)", "(?i)a", "[a-z-[b]]", "***=a", "^*",
        "[[:alpha:]]", "a{,3}", "[z-a]", "a++", "\\i", "[]", "(",
    ])
    func patternsOfOne(pattern: String) throws {
        let literal = pattern.replacing("\\", with: "\\\\")
        #expect(throws: SQLError.self) { try sql("matches(label, \"\(literal)\")") }
    }
}
