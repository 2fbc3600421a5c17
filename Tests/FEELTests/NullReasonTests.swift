import Testing

@testable import FEEL

/// Every null says why: the first reason is the innermost cause.
@Suite struct NullReasonTests {
    private func check(_ source: String, _ code: NullReason.Code, _ message: String) throws {
        let expression = try Expression(source, in: ExpressionTests.environment)
        var reasons: [NullReason] = []
        let value = expression.evaluate(ExpressionTests.slots, reasons: &reasons)
        #expect(value.isNull, "\(source)")
        #expect(reasons.first?.code == code, "\(source): \(reasons)")
        #expect(
            reasons.first.map { message.isEmpty || $0.message.contains(message) } == true, "\(source): \(reasons)")
        for reason in reasons { #expect(reason.offset >= 0 && reason.offset <= source.utf8.count) }
    }

    @Test(arguments: [
        ("missing", NullReason.Code.missing, "missing"), ("missing + 1", .missing, "missing"),
        ("customer.nothing", .missing, "customer.nothing"), ("amount < missing", .missing, "missing"),
        ("if true then missing else 1", .missing, "missing"), ("{a: 1}.b", .missing, "b"), ("null", .missing, "null"),
        ("[1, null][2]", .missing, "element 2"), ("[1][3]", .outOfRange, "position 3"),
        ("for x in null return x", .missing, ""),
        ("1 + \"a\"", .typeMismatch, "number + string"), ("\"a\" - \"b\"", .typeMismatch, "string - string"),
        ("1 / 0", .outOfRange, "division"), ("9e6144 * 10", .outOfRange, "range"), ("- \"a\"", .typeMismatch, "negate"),
        ("1 = \"a\"", .typeMismatch, "number and string"), ("1 < \"a\"", .typeMismatch, "no order"),
        ("\"a\" in [1..5]", .typeMismatch, "string"), ("[5..1]", .outOfRange, "range"),
        ("[1..\"a\"]", .typeMismatch, "order"),
        ("if 1 then 2 else 3", .typeMismatch, "condition"), ("[1, 2][\"a\"]", .typeMismatch, "filter"),
        ("some x in [1] satisfies x", .typeMismatch, "satisfies"), ("true and 1", .typeMismatch, "boolean"),
        ("for x in \"a\"..\"b\" return x", .typeMismatch, "loop"), ("for x in 1.5..2 return x", .typeMismatch, "whole"),
        ("(function(x: number) x)(\"a\")", .typeMismatch, "'x'"), ("(function(x) x)(1, 2)", .invalidCall, "arguments"),
        ("customer(1)", .invalidCall, "no function"), ("(function(x) x)(y: 1)", .invalidCall, "parameters"),
        ("sum()", .invalidCall, "sum"), ("floor(x: 1)", .invalidCall, "floor"),
        ("@\"2024-01-01\" + @\"P999999999Y\"", .outOfRange, "range"),
        ("@\"2024-01-01T00:00:00\" - @\"2024-01-01T00:00:00Z\"", .typeMismatch, "zoned"),
    ])
    func operators(source: String, code: NullReason.Code, message: String) throws { try check(source, code, message) }

    @Test(arguments: [
        ("date(\"2024-13-01\")", NullReason.Code.invalidText, "2024-13-01"), ("date(2024, 13, 1)", .outOfRange, "date"),
        ("date(1)", .typeMismatch, "date"), ("date(null)", .missing, "date"), ("time(\"x\")", .invalidText, "time"),
        ("time(25, 0, 0)", .outOfRange, "time"), ("date and time(\"x\")", .invalidText, "date and time"),
        ("date and time(1, 2)", .typeMismatch, "date and time"), ("duration(\"x\")", .invalidText, "duration"),
        ("duration(1)", .typeMismatch, "from"), ("years and months duration(1, 2)", .typeMismatch, "years"),
        ("number(\"x\")", .invalidText, "number"), ("number(null)", .missing, "number"),
        ("range(\"x\")", .invalidText, "range"),
        ("string(null)", .missing, "string"), ("not(1)", .typeMismatch, "boolean"),
        ("substring(\"a\", 0)", .outOfRange, ""),
        ("substring(1, 1)", .typeMismatch, "'string'"), ("substring(\"a\", null)", .missing, "'start position'"),
        ("string length(1)", .typeMismatch, "string length"), ("upper case(null)", .missing, "upper case"),
        ("lower case(1)", .typeMismatch, "lower case"), ("substring before(1, \"a\")", .typeMismatch, "before"),
        ("substring after(\"a\", null)", .missing, "'match'"), ("contains(\"a\", 1)", .typeMismatch, "'match'"),
        ("starts with(1, \"a\")", .typeMismatch, "starts"), ("ends with(null, \"a\")", .missing, "ends"),
        ("matches(\"a\", \"(\")", .invalidText, "regular"), ("matches(\"a\", \"a\", \"z\")", .invalidText, "flags"),
        ("replace(\"a\", \"x*\", \"\")", .invalidText, "empty"),
        ("replace(\"a\", \"a\", \"$\")", .invalidText, "replacement"),
        ("split(\"a\", \"\")", .invalidText, "empty"), ("split(1, \"a\")", .typeMismatch, "split"),
        ("string join([1])", .typeMismatch, "element 1"), ("string join(null)", .missing, "string join"),
        ("list contains(null, 1)", .missing, "'list'"), ("list replace([1], 2, 1)", .outOfRange, "position"),
        ("list replace([1], \"a\", 1)", .typeMismatch, "list replace"), ("count(null)", .missing, "count"),
        ("list replace([1], function(a, b) 1, 1)", .typeMismatch, "boolean"),
        ("min([])", .missing, "empty"), ("max([1, null])", .missing, "element 2"),
        ("min([1, \"a\"])", .typeMismatch, "order"),
        ("sum([\"a\"])", .typeMismatch, "numbers"), ("mean([])", .missing, "empty"),
        ("product([1, \"a\"])", .typeMismatch, ""),
        ("median([null])", .missing, "element 1"), ("stddev([1])", .missing, "one number"),
        ("mode([\"a\"])", .typeMismatch, ""),
        ("sum([9e6144, 9e6144])", .outOfRange, "sum"), ("all([1])", .typeMismatch, "element 1"),
        ("any([null])", .missing, "element 1"), ("all(null)", .missing, "all"),
        ("sublist([1], 2)", .outOfRange, "position"),
        ("insert before([1], 5, 1)", .outOfRange, "position"), ("remove([1], 5)", .outOfRange, "position"),
        ("concatenate([1], null)", .missing, ""), ("union(null)", .missing, ""), ("reverse(null)", .missing, "reverse"),
        ("index of(null, 1)", .missing, "index of"), ("distinct values(null)", .missing, ""),
        ("flatten(null)", .missing, ""),
        ("sort([1, \"a\"])", .typeMismatch, "order"), ("sort([1, 2], function(a, b) 1)", .typeMismatch, "boolean"),
        ("sort([1], 2)", .typeMismatch, "function"), ("decimal(\"a\", 1)", .typeMismatch, "decimal"),
        ("floor(1, 99999)", .outOfRange, "scale"), ("ceiling(null)", .missing, "ceiling"),
        ("abs(\"a\")", .typeMismatch, "abs"),
        ("round up(null, 1)", .missing, "round up"), ("modulo(1, 0)", .outOfRange, "zero"),
        ("sqrt(-1)", .outOfRange, "root"),
        ("log(0)", .outOfRange, "logarithm"), ("exp(1000000)", .outOfRange, "exponential"),
        ("odd(1.5)", .typeMismatch, "whole"),
        ("even(\"a\")", .typeMismatch, "even"), ("before(1, \"a\")", .typeMismatch, "before"),
        ("overlaps(1, 2)", .typeMismatch, "overlaps"), ("includes(null, 1)", .missing, "includes"),
        ("day of week(\"a\")", .typeMismatch, "day of week"), ("week of year(null)", .missing, "week of year"),
        ("now()", .noClock, "time"), ("today()", .noClock, "time"), ("get value({a: 1}, \"b\")", .missing, "b"),
        ("get value(1, \"b\")", .typeMismatch, "get value"), ("get entries(1)", .typeMismatch, "get entries"),
        ("context put({}, [\"a\", \"b\"], 1)", .missing, "a.b"), ("context put({}, 1, 1)", .typeMismatch, ""),
        ("context([{key: 1, value: 2}])", .typeMismatch, "key"), ("context merge([1])", .typeMismatch, "contexts"),
        ("is(1)", .invalidCall, "is"), ("@\"2024-13-01\"", .invalidText, "2024-13-01"),
        ("get or else(null, null)", .missing, ""),
    ])
    func builtIns(source: String, code: NullReason.Code, message: String) throws { try check(source, code, message) }

    /// Whatever a built-in may be called with, there are words for its null.
    @Test func everyBuiltInHasWords() {
        let values: [Value] = [.null, .boolean(true), .number(1), .string(""), .list([]), .context(Context())]
        for function in BuiltIn.allCases {
            for count in 0...7 where Signature[function].accepts(count: count) {
                for value in values {
                    let reason = BuiltIns.reason(function, Array(repeating: value, count: count))
                    #expect(!reason.message.isEmpty, "\(function)")
                }
            }
        }
    }

    @Test(arguments: [
        (Value.number(1), FEELType.string, NullReason.Code.typeMismatch),
        (.list([.number(1), .number(2)]), .number, .typeMismatch),
        (.list([.string("a")]), .list(.number), .typeMismatch),
        (.context(Context([("a", .number(1))])), .context(["a": .string]), .typeMismatch),
    ])
    func conversions(value: Value, type: FEELType, code: NullReason.Code) {
        var reasons: [NullReason] = []
        #expect(Coercion.coerce(value, to: type, reasons: &reasons) == .null)
        #expect(reasons.first?.code == code)
        #expect(reasons.first?.message.contains(type.name) == true)
    }

    @Test(arguments: [
        (Value.list([.number(1)]), FEELType.number, Value.number(1)), (.number(1), .list(.number), .list([.number(1)])),
        (.null, .number, .null), (.number(1), .any, .number(1)),
        (
            .date(Date(daysSinceEpoch: 0)), .dateTime,
            .dateTime(DateTime(localSeconds: 0, nanosecond: 0, zone: .offset(0)))
        ),
    ])
    func conversionsThatFit(value: Value, type: FEELType, expected: Value) {
        var reasons: [NullReason] = []
        #expect(Coercion.coerce(value, to: type, reasons: &reasons) == expected)
        #expect(reasons.isEmpty)
    }
}
