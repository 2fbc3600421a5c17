import Testing

@testable import FEEL

/// One row: a source, and the text of its value (`null` for null).
@Suite struct ExpressionTests {
    static let environment = Environment([
        TypedName(name: "amount", type: .number, isNullable: false),
        TypedName(name: "country", type: .string, isNullable: true),
        TypedName(name: "first name", type: .string, isNullable: false),
        TypedName(name: "a-b", type: .number, isNullable: false),
        TypedName(name: "customer", type: .context(["age": .number, "home town": .string]), isNullable: false),
        TypedName(name: "orders", type: .list(.context(["sku": .string, "price": .number])), isNullable: false),
        TypedName(name: "missing", type: .any, isNullable: true),
    ])
    static let slots: [Value] = [
        .number(Decimal("1234.50") ?? .zero), .string("FR"), .string("Ada"), .number(7),
        .context(Context([("age", .number(40)), ("home town", .string("Lyon"))])),
        .list([
            .context(Context([("sku", .string("x")), ("price", .number(5))])),
            .context(Context([("sku", .string("y")), ("price", .number(15))])),
        ]),
        .null,
    ]

    private func check(_ source: String, _ expected: String) throws {
        let expression = try Expression(source, in: ExpressionTests.environment)
        #expect(expression.evaluate(ExpressionTests.slots).text == expected, "\(source)")
    }

    /// The truth tables of the conformance suite's 0064, 0065 and 0066.
    @Test(arguments: [
        ("false and null", "false"), ("true and null", "null"), ("null and null", "null"), ("null and false", "false"),
        ("true or null", "true"), ("false or null", "null"), ("null or true", "true"), ("null or null", "null"),
        ("not(true)", "false"), ("not(false)", "true"), ("not(null)", "null"), ("true and 123", "null"),
        ("false or \"x\"", "null"), ("missing = null", "true"), ("missing != \"archived\"", "true"),
        ("missing < 3", "null"), ("missing between 1 and 2", "null"), ("missing in [1..2]", "null"),
        ("if missing then 1 else 2", "2"), ("some x in [true, null] satisfies x", "true"),
        ("some x in [false, null] satisfies x", "null"), ("every x in [true, null] satisfies x", "null"),
        ("every x in [false, null] satisfies x", "false"),
    ])
    func threeValues(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("amount", "1234.50"), ("first name", "Ada"), ("first   name + \"!\"", "Ada!"), ("a-b", "7"), ("a - b", "7"),
        ("customer.age", "40"), ("customer.home town", "Lyon"), ("orders.price", "[5, 15]"),
        ("orders[price > 10].sku", "[\"y\"]"), ("orders[1].sku", "x"), ("orders[-1].sku", "y"), ("orders[3]", "null"),
        ("orders[item.price = 5][1].sku", "x"), ("customer.nothing", "null"), ("unknown name", "null"),
        ("{a: 1, b: a + 1}.b", "2"), ("[{x y: 1}, {x y: 2}][x y = 2]", "[{x y: 2}]"),
    ])
    func names(source: String, expected: String) throws {
        if source == "unknown name" {
            #expect(throws: FEELError.self) { try Expression(source, in: ExpressionTests.environment) }
        } else {
            try check(source, expected)
        }
    }

    @Test(arguments: [
        ("1 + 2 * 3", "7"), ("0.1 + 0.2 = 0.3", "true"), ("10 / 4", "2.5"), ("2 ** 3 ** 2", "64"), ("-2 ** 2", "4"),
        ("1 / 0", "null"), ("1 / 3", "0.3333333333333333333333333333333333"), ("\"a\" + \"b\"", "ab"),
        ("\"a\" + 1", "null"), ("1 < \"a\"", "null"), ("1 = \"a\"", "null"), ("- 5 + 3", "-2"),
        ("@\"2024-02-29\" + @\"P1Y\"", "2025-02-28"), ("@\"2024-03-01\" - @\"2024-02-01\"", "P29D"),
        ("@\"2024-01-31T10:00:00Z\" + @\"P1M\"", "2024-02-29T10:00:00Z"), ("@\"P1D\" * 1.5", "P1DT12H"),
        ("@\"PT1H\" / @\"PT30M\"", "2"), ("@\"10:00:00+02:00\" = @\"08:00:00Z\"", "true"),
        ("@\"2024-01-01T00:00:00+01:00\" < @\"2024-01-01T00:00:00Z\"", "true"), ("@\"2024-01-01\".weekday", "1"),
        ("duration(\"P1Y2M\").months", "2"), ("@\"nonsense\"", "null"),
    ])
    func arithmetic(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("5 in (1, 5)", "true"), ("5 in [1..5)", "false"), ("5 in (> 3)", "true"), ("5 in (< 3, > 4)", "true"),
        ("amount > 1000 and country in (\"DE\", \"FR\")", "true"), ("5 between 1 and 5", "true"),
        ("5 in ]4..6[", "true"), ("\"b\" in [\"a\"..\"c\"]", "true"), ("[1..3] = [1..3]", "true"),
        ("(1 + 1) in (2, 3)", "true"), ("for x in 1..3 return x * x", "[1, 4, 9]"),
        ("for x in 3..1 return x", "[3, 2, 1]"), ("for x in [1, 2], y in [x, 10] return x * y", "[1, 10, 4, 20]"),
        ("for i in 0..4 return if i = 0 then 1 else i * partial[-1]", "[1, 1, 2, 6, 24]"),
        ("(function(x: number) x + 1)(2)", "3"), ("{f: function(n) n * 2, r: f(n: 4)}.r", "8"),
        ("1 instance of number", "true"), ("[1, 2] instance of list<number>", "true"),
        ("// comment\n1 /* two */ + 1", "2"), ("if 1 > 0 then \"y\" else \"n\"", "y"),
    ])
    func constructs(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("substring(\"foobar\", -2, 1)", "a"), ("string length(\"a\\U01F40Eb\")", "3"), ("upper case(\"aB4\")", "AB4"),
        ("substring before(\"foobar\", \"bar\")", "foo"),
        ("replace(\"abcd\", \"(ab)|(a)\", \"[1=$1][2=$2]\")", "[1=ab][2=]cd"),
        ("matches(\"foobar\", \"^fo*b\")", "true"), ("split(\"a;b;;\", \";\")", "[\"a\", \"b\", \"\", \"\"]"),
        ("string join([\"a\", null, \"c\"], \"-\")", "a-c"), ("list contains([1, null], null)", "true"),
        ("min(3, 1, 2)", "1"), ("max([])", "null"), ("sum([1, 2.5])", "3.5"), ("mean([2, 3])", "2.5"),
        ("median([8, 2, 5, 3, 4])", "4"), ("stddev(2, 4, 7, 5)", "2.081665999466132735282297706979931"),
        ("mode([6, 3, 9, 6, 6])", "[6]"), ("flatten([1, [2, [3]]])", "[1, 2, 3]"), ("sort([3, 1, 2])", "[1, 2, 3]"),
        ("sort([1, 2, 3], function(x, y) x > y)", "[3, 2, 1]"), ("distinct values([1, 2, 1.0])", "[1, 2]"),
        ("decimal(2.5, 0)", "2"), ("round half up(2.5, 0)", "3"), ("floor(-1.5)", "-2"), ("modulo(-12, 5)", "3"),
        ("date(2024, 2, 30)", "null"), ("date and time(\"2024-01-01T10:00:00\").hour", "10"),
        ("number(\"1.500,25\", \".\", \",\")", "1500.25"), ("day of week(@\"2024-01-01\")", "Monday"),
        ("week of year(@\"2024-12-30\")", "1"), ("get value({a: 1}, \"a\")", "1"),
        ("years and months duration(@\"2011-12-22\", @\"2013-08-24\")", "P1Y8M"),
        ("context put({a: 1}, \"b\", 2)", "{a: 1, b: 2}"), ("overlaps([1..5], [3..8])", "true"), ("now()", "null"),
        ("get or else(missing, 3)", "3"), ("is defined(missing)", "false"), ("string(@\"P1Y\")", "P1Y"),
    ])
    func builtIns(source: String, expected: String) throws { try check(source, expected) }

    @Test func reasonsNameTheMissingPath() throws {
        let expression = try Expression("customer.nothing + 1", in: ExpressionTests.environment)
        var reasons: [NullReason] = []
        #expect(expression.evaluate(ExpressionTests.slots, reasons: &reasons) == .null)
        #expect(reasons.first?.code == .missing)
        #expect(reasons.first?.message == "customer.nothing")
    }

    @Test func clockIsGiven() throws {
        let expression = try Expression("now()", in: Environment([]))
        #expect(expression.evaluate([], now: 1_700_000_000_000_000).text == "2023-11-14T22:13:20Z")
        var reasons: [NullReason] = []
        _ = expression.evaluate([], reasons: &reasons)
        #expect(reasons.first?.code == .noClock)
    }

    @Test func constantsAreFolded() throws {
        #expect(try Expression("1 + 2 * 3", in: Environment([])).constant == .number(7))
        let expression = try Expression("amount + customer.age", in: ExpressionTests.environment)
        #expect(expression.constant == nil)
        #expect(expression.usedSlots == [0, 4])
        #expect(expression.resultType == .number)
    }
}
