import Testing

@testable import FEEL

/// One table per group of built-ins: ordinary values, the edges, null arguments, wrong types, named arguments, arity.
/// What a source gives is written as `string()` writes it.
@Suite struct BuiltInTests {
    private func check(_ source: String, _ expected: String) throws {
        let expression = try Expression(source, in: ExpressionTests.environment)
        let value = expression.evaluate(ExpressionTests.slots, now: 1_700_000_000_000_000)
        #expect(value.text == expected, "\(source)")
    }

    @Test(arguments: [
        ("date(\"2024-02-29\")", "2024-02-29"), ("date(\"2023-02-29\")", "null"), ("date(\"2024-2-9\")", "null"),
        ("date(\"-0044-03-15\")", "-0044-03-15"), ("date(\"999999999-12-31\")", "999999999-12-31"),
        ("date(\"1000000000-01-01\")", "null"), ("date(\"012345-01-01\")", "null"), ("date(\"2024-01-01Z\")", "null"),
        ("date(2024, 12, 31)", "2024-12-31"), ("date(2024, 13, 1)", "null"), ("date(2024, 1, 1.5)", "null"),
        ("date(year: 2024, month: 1, day: 2)", "2024-01-02"), ("date(month: 1, day: 2)", "null"),
        ("date(@\"2024-01-01T23:00:00Z\")", "2024-01-01"), ("date(from: \"2024-01-01\")", "2024-01-01"),
        ("date(null)", "null"), ("date()", "null"), ("date(1, 2)", "null"), ("date([\"2024-01-01\"])", "2024-01-01"),
        ("time(\"10:20:30\")", "10:20:30"), ("time(\"24:00:00\")", "00:00:00"), ("time(\"23:59:60\")", "null"),
        ("time(\"10:20:30.123456789Z\")", "10:20:30.123456789Z"), ("time(\"10:20:30+14:00\")", "10:20:30+14:00"),
        ("time(\"10:20:30+19:00\")", "null"), ("time(\"10:20\")", "null"), ("time(\"T10:20:30\")", "null"),
        ("time(10, 20, 30)", "10:20:30"), ("time(10, 20, 30.5)", "10:20:30.5"), ("time(24, 0, 0)", "null"),
        ("time(10, 20, 30, @\"-PT3H30M\")", "10:20:30-03:30"), ("time(10, 20, 30, null)", "10:20:30"),
        ("time(hour: 1, minute: 2, second: 3, offset: @\"PT0S\")", "01:02:03Z"),
        ("time(@\"2024-01-01T10:20:30Z\")", "10:20:30Z"), ("time(@\"2024-01-01\")", "00:00:00Z"),
        ("date and time(\"2024-01-01T10:20:30\")", "2024-01-01T10:20:30"),
        ("date and time(\"2024-01-01T24:00:00\")", "2024-01-02T00:00:00"),
        ("date and time(\"2024-01-01\")", "2024-01-01T00:00:00"), ("date and time(\"2024-01-01 10:20:30\")", "null"),
        ("date and time(@\"2024-01-01\", @\"10:20:30Z\")", "2024-01-01T10:20:30Z"),
        ("date and time(date: @\"2024-01-01\", time: @\"10:20:30\")", "2024-01-01T10:20:30"),
        ("date and time(@\"2024-01-01T01:01:01Z\", @\"10:20:30+01:00\")", "2024-01-01T10:20:30+01:00"),
        ("date and time(2024, 1, 2, 3, 4, 5)", "2024-01-02T03:04:05"),
        ("date and time(2024, 1, 2, 3, 4, 5, @\"PT1H\")", "2024-01-02T03:04:05+01:00"),
        ("date and time(2024, 1, 2, 3, 4, 5, \"Etc/UTC\")", "2024-01-02T03:04:05@Etc/UTC"),
        ("date and time(@\"2024-01-01\", null)", "null"), ("date and time(@\"10:20:30\", @\"2024-01-01\")", "null"),
        ("duration(\"P1Y2M\")", "P1Y2M"), ("duration(\"P14M\")", "P1Y2M"), ("duration(\"-P1M\")", "-P1M"),
        ("duration(\"P1DT25H\")", "P2DT1H"), ("duration(\"PT0.5S\")", "PT0.5S"), ("duration(\"PT0.S\")", "PT0S"),
        ("duration(\"P\")", "null"), ("duration(\"PT\")", "null"), ("duration(\"P1M1D\")", "null"),
        ("duration(\"P1H\")", "null"), ("duration(\"P-1D\")", "null"), ("duration(\"PT1M1H\")", "null"),
        ("duration(null)", "null"), ("duration(@\"P1D\")", "null"),
        ("years and months duration(@\"2020-01-31\", @\"2020-02-29\")", "P0M"),
        ("years and months duration(@\"2020-03-31\", @\"2019-01-01\")", "-P1Y2M"),
        ("years and months duration(from: @\"2020-01-01T00:00:00Z\", to: @\"2022-03-01\")", "P2Y2M"),
        ("years and months duration(@\"10:00:00\", @\"2022-03-01\")", "null"),
    ])
    func temporalConversions(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("number(\"12\")", "12"), ("number(\"-1.5E3\")", "-1500"), ("number(\"1.\")", "null"),
        ("number(\".5\")", "0.5"),
        ("number(\"1 000,5\", \" \", \",\")", "1000.5"), ("number(\"1,000\", \",\", \".\")", "1000"),
        ("number(\"1,000\", \",\", \",\")", "null"), ("number(\"1,000\", \"x\", \".\")", "null"),
        ("number(\"1.5\", null, null)", "1.5"), ("number(\"1,5\", null, \",\")", "1.5"), ("number(\"\")", "null"),
        ("number(from: \"1\", grouping separator: null, decimal separator: null)", "1"), ("number(null)", "null"),
        ("number(\"0x10\")", "null"), ("number(\"NaN\")", "null"), ("number(\"1e7000\")", "null"),
        ("string(1.10)", "1.10"), ("string(null)", "null"), ("string(@\"2024-01-01\")", "2024-01-01"),
        ("string([1, \"a\", null])", "[1, \"a\", null]"), ("string({a: \"b\\\"c\"})", "{a: \"b\\\"c\"}"),
        ("string(true)", "true"), ("string([1..5))", "[1..5)"), ("string((< 5))", "(< 5)"), ("string(\"a\")", "a"),
        ("range(\"[1..5)\")", "[1..5)"), ("range(\"]1..5[\")", "(1..5)"), ("range(\"[5..1]\")", "null"),
        ("range(\"[1..x]\")", "null"), ("range(\"[1..\\\"a\\\"]\")", "null"), ("range(\"1\")", "null"),
        ("range(\"[date(\\\"2024-01-01\\\")..@\\\"2024-02-01\\\"]\").end", "2024-02-01"), ("range(null)", "null"),
        ("is(1, 1.0)", "true"), ("is(@\"10:00:00Z\", @\"10:00:00+00:00\")", "true"), ("is(null, null)", "true"),
        ("is(@\"10:00:00.1\", @\"10:00:00.2\")", "false"), ("is(@\"10:00:00Z\", @\"11:00:00+01:00\")", "false"),
        ("is(@\"P1Y\", @\"P12M\")", "true"), ("is(1, \"1\")", "false"), ("is(value2: 1)", "false"), ("is(1)", "null"),
        ("not(true)", "false"), ("not(null)", "null"), ("not(1)", "null"), ("not(negand: false)", "true"),
        ("is defined(missing)", "false"), ("get or else(null, 1)", "1"), ("get or else(2, 1)", "2"),
    ])
    func conversions(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("substring(\"foobar\", 3)", "obar"), ("substring(\"foobar\", 3, 3)", "oba"), ("substring(\"ab\", -2)", "ab"),
        ("substring(\"ab\", -3)", "null"), ("substring(\"ab\", 3)", ""), ("substring(\"ab\", 0)", "null"),
        ("substring(\"ab\", 1, 9)", "ab"), ("substring(\"ab\", 1, 0)", "null"), ("substring(\"ab\", 1, null)", "ab"),
        ("substring(\"\\U01F40Eab\", 2, 1)", "a"), ("substring(string: \"ab\", start position: 2)", "b"),
        ("substring(null, 1)", "null"), ("substring(\"ab\", \"1\")", "null"), ("string length(\"\")", "0"),
        ("string length(\"\\U01F40Eab\")", "3"), ("string length(1)", "null"), ("upper case(\"aß1\")", "ASS1"),
        ("lower case(\"ABC\")", "abc"), ("lower case(null)", "null"), ("substring before(\"foobar\", \"x\")", ""),
        ("substring before(\"foobar\", \"\")", ""), ("substring after(\"foobar\", \"ob\")", "ar"),
        ("substring after(\"foobar\", \"\")", "foobar"), ("substring after(\"\", \"a\")", ""),
        ("contains(\"foobar\", \"ob\")", "true"), ("contains(\"a\", \"\")", "true"), ("contains(null, \"a\")", "null"),
        ("starts with(\"foobar\", \"fo\")", "true"), ("starts with(\"a\", \"ab\")", "false"),
        ("ends with(\"foobar\", \"r\")", "true"), ("ends with(string: \"a\", match: \"\")", "true"),
        ("split(\"John Doe\", \"\\s\")", "[\"John\", \"Doe\"]"), ("split(\"a\", \"b\")", "[\"a\"]"),
        ("split(\"abc\", \"\")", "null"), ("split(\"\", \"a\")", "[\"\"]"),
        ("string join([\"a\", \"b\"])", "ab"), ("string join([\"a\", null, \"b\"], \"-\")", "a-b"),
        ("string join([], \"-\")", ""), ("string join([1], \"-\")", "null"), ("string join(\"a\", \"-\")", "a"),
        ("string join([\"a\", \"b\"], null)", "ab"), ("string join(list: [\"a\"], delimiter: \"x\")", "a"),
    ])
    func strings(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("matches(\"abc\", \"b\")", "true"), ("matches(\"abc\", \"^b\")", "false"),
        ("matches(\"ABC\", \"b\", \"i\")", "true"),
        ("matches(\"a\\nb\", \"a.b\")", "false"), ("matches(\"a\\nb\", \"a.b\", \"s\")", "true"),
        ("matches(\"a\\nb\", \"^b\", \"m\")", "true"), ("matches(\"ab\", \"a b\", \"x\")", "true"),
        ("matches(\"a.b\", \"a.b\", \"q\")", "true"), ("matches(\"axb\", \"a.b\", \"q\")", "false"),
        ("matches(\"a\", \"a\", \"z\")", "null"), ("matches(\"a\", \"[b-a]\")", "null"),
        ("matches(\"a\", \"(\")", "null"),
        ("matches(\"c\", \"^[a-z-[aeiou]]$\")", "true"), ("matches(\"e\", \"^[a-z-[aeiou]]$\")", "false"),
        ("matches(\"b\", \"^[^a-z-[aeiou]]$\")", "false"), ("matches(\"9\", \"^[^a-z-[aeiou]]$\")", "true"),
        ("matches(\"é\", \"^\\p{Ll}$\")", "true"), ("matches(\"é\", \"^\\p{IsBasicLatin}$\")", "false"),
        ("matches(\"٣\", \"^\\d$\")", "true"), ("matches(\"abab\", \"^(ab)\\1$\")", "true"),
        ("matches(\"a\", \"(a)\\2\")", "null"), ("matches(\"aaa\", \"^a{2,3}$\")", "true"),
        ("matches(\"a\", \"a{2,1}\")", "null"), ("matches(\"\", \"^$\")", "true"), ("matches(\"a\", null)", "null"),
        ("matches(\"foo:bar\", \"^\\i\\c*$\")", "true"), ("matches(\"a\", \"\\z\")", "null"),
        ("replace(\"abracadabra\", \"bra\", \"*\")", "a*cada*"), ("replace(\"abracadabra\", \"a.*a\", \"*\")", "*"),
        ("replace(\"abracadabra\", \"a.*?a\", \"*\")", "*c*bra"), ("replace(\"AAAA\", \"A+?\", \"b\")", "bbbb"),
        ("replace(\"darted\", \"^(.*?)d(.*)$\", \"$1c$2\")", "carted"), ("replace(\"abc\", \"x*\", \"-\")", "null"),
        ("replace(\"ab\", \"(a)\", \"$1$1\")", "aab"), ("replace(\"ab\", \"a\", \"\\\\$\")", "$b"),
        ("replace(\"ab\", \"a\", \"$\")", "null"), ("replace(\"ab\", \"a\", \"\\\\x\")", "null"),
        ("replace(\"ABC\", \"b\", \"-\", \"i\")", "A-C"), ("replace(\"ab\", \"a\", null)", "null"),
        ("replace(input: \"ab\", pattern: \"a\", replacement: \"c\", flags: \"\")", "cb"),
    ])
    func patterns(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("list contains([1, 2], 2)", "true"), ("list contains([1, null], null)", "true"),
        ("list contains([], 1)", "false"), ("list contains(null, 1)", "null"), ("list contains(1, 1)", "true"),
        ("list replace([1, 2, 3], 2, 9)", "[1, 9, 3]"), ("list replace([1, 2, 3], -1, 9)", "[1, 2, 9]"),
        ("list replace([1, 2], 3, 9)", "null"), ("list replace([1, 2], 0, 9)", "null"),
        ("list replace([1, 5], function(item, new) item < new, 3)", "[3, 5]"),
        ("list replace([1, 5], function(item, new) 1, 3)", "null"), ("count([1, null])", "2"), ("count([])", "0"),
        ("count(1)", "1"), ("count(null)", "null"), ("count(list: [1])", "1"), ("min(1, 2)", "1"), ("min([])", "null"),
        ("min([1, null])", "null"), ("min(null)", "null"), ("max(\"a\", \"b\")", "b"), ("max([1, \"a\"])", "null"),
        ("max(@\"2024-01-01\", @\"2023-01-01\")", "2024-01-01"), ("min(list: [3, 2])", "2"), ("min()", "null"),
        ("sum([1, 2.5])", "3.5"), ("sum([])", "null"), ("sum(@\"P1D\", @\"PT1H\")", "P1DT1H"),
        ("sum([1, null])", "null"),
        ("sum(\"1\")", "null"), ("mean([1, 2])", "1.5"), ("mean(1)", "1"), ("mean([])", "null"),
        ("all([true, null])", "null"), ("all([false, null])", "false"), ("all([])", "true"), ("all(null)", "null"),
        ("any([true, null])", "true"), ("any([false, null])", "null"), ("any([])", "false"),
        ("any(true, false)", "true"),
        ("product([2, 3])", "6"), ("product([])", "null"), ("median(8, 2, 5, 3)", "4"), ("median([])", "null"),
        ("stddev(2, 4, 7, 5)", "2.081665999466132735282297706979931"), ("stddev([1])", "null"),
        ("mode([1, 2, 2, 1])", "[1, 2]"), ("mode([])", "[]"), ("mode([1, null])", "null"),
    ])
    func aggregates(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("sublist([1, 2, 3], 2)", "[2, 3]"), ("sublist([1, 2, 3], -1)", "[3]"), ("sublist([1, 2, 3], 1, 2)", "[1, 2]"),
        ("sublist([1], 2)", "null"), ("sublist([1], 1, 2)", "null"), ("sublist([1], 0)", "null"),
        ("append([1], 2, 3)", "[1, 2, 3]"), ("append([1], null)", "[1, null]"), ("append(1, 2)", "[1, 2]"),
        ("concatenate([1], [2], [])", "[1, 2]"), ("concatenate([1], null)", "null"), ("concatenate(1, 2)", "[1, 2]"),
        ("insert before([1, 3], 2, 2)", "[1, 2, 3]"), ("insert before([1], -1, 0)", "[0, 1]"),
        ("insert before([1], 2, 0)", "null"), ("remove([1, 2], 1)", "[2]"), ("remove([1, 2], -1)", "[1]"),
        ("remove([1], 0)", "null"), ("reverse([1, 2])", "[2, 1]"), ("reverse(null)", "null"),
        ("index of([1, 2, 1], 1)", "[1, 3]"), ("index of([1], 2)", "[]"), ("index of([null, 1], null)", "[1]"),
        ("union([1, 2], [2, 3])", "[1, 2, 3]"), ("union([{a: 1}], [{a: 1.0}])", "[{a: 1}]"),
        ("distinct values([1, 1.0, \"1\", null, null])", "[1, \"1\", null]"),
        ("distinct values([[1, [2]], [1, [2]], [1, [3]]])", "[[1, [2]], [1, [3]]]"),
        ("distinct values([@\"10:00:00Z\", @\"11:00:00+01:00\"])", "[10:00:00Z]"),
        ("flatten([[1, 2], [[3]], 4])", "[1, 2, 3, 4]"), ("flatten([])", "[]"), ("flatten(1)", "[1]"),
        ("sort([3, 1, 2])", "[1, 2, 3]"), ("sort([\"b\", \"a\"])", "[\"a\", \"b\"]"), ("sort([1, \"a\"])", "null"),
        ("sort([1, 2, 3], function(a, b) a > b)", "[3, 2, 1]"), ("sort([1, 2], function(a, b) 1)", "null"),
        ("sort(precedes: function(a, b) a < b, list: [2, 1])", "[1, 2]"), ("sort([1, 2], 1)", "null"),
        ("sort([{k: 1, v: 1}, {k: 0, v: 2}, {k: 1, v: 3}], function(a, b) a.k < b.k).v", "[2, 1, 3]"),
        ("get value({a: 1}, \"a\")", "1"), ("get value({a: 1}, \"b\")", "null"), ("get value(null, \"b\")", "null"),
        ("get value(m: {a: 1}, key: \"a\")", "1"), ("get entries({a: 1})", "[{key: \"a\", value: 1}]"),
        ("get entries({})", "[]"), ("get entries([])", "null"),
        ("context([{key: \"a\", value: 1}])", "{a: 1}"), ("context({key: \"a\", value: null})", "{a: null}"),
        ("context([{key: \"a\", value: 1}, {key: \"a\", value: 2}])", "null"), ("context([{key: \"a\"}])", "null"),
        ("context([])", "{}"), ("context put({a: 1}, \"a\", 2)", "{a: 2}"),
        ("context put({}, \"a\", null)", "{a: null}"),
        ("context put({a: {b: 1}}, [\"a\", \"c\"], 2)", "{a: {b: 1, c: 2}}"), ("context put({}, [], 1)", "null"),
        ("context put({a: 1}, [\"b\", \"c\"], 2)", "null"), ("context put(null, \"a\", 1)", "null"),
        ("context put(context: {a: {b: 1}}, key: [\"a\", \"b\"], value: 2)", "null"),
        ("context put(context: {a: {b: 1}}, keys: [\"a\", \"b\"], value: 2)", "{a: {b: 2}}"),
        ("context merge([{a: 1, b: 1}, {b: 2}])", "{a: 1, b: 2}"), ("context merge([])", "{}"),
        ("context merge([{}, 1])", "null"), ("context merge(null)", "null"),
    ])
    func listsAndContexts(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("decimal(1 / 3, 2)", "0.33"), ("decimal(2.5, 0)", "2"), ("decimal(-2.5, 0)", "-2"),
        ("decimal(125, -1)", "120"),
        ("decimal(1, null)", "null"), ("decimal(1, 6177)", "null"), ("decimal(1, -6112)", "null"),
        ("floor(-1.5)", "-2"), ("floor(1.56, 1)", "1.5"), ("ceiling(-1.5)", "-1"), ("ceiling(1.51, 1)", "1.6"),
        ("round up(5.5, 0)", "6"), ("round up(-1.121, 2)", "-1.13"), ("round down(-5.5, 0)", "-5"),
        ("round half up(-2.5, 0)", "-3"), ("round half up(1.125, 2)", "1.13"), ("round half down(2.5, 0)", "2"),
        ("round half down(-1.126, 2)", "-1.13"), ("abs(-1)", "1"), ("abs(@\"-P1D\")", "P1D"), ("abs(@\"-P1Y\")", "P1Y"),
        ("abs(\"1\")", "null"), ("modulo(-12, 5)", "3"), ("modulo(12, -5)", "-3"), ("modulo(10.1, 4.5)", "1.1"),
        ("modulo(1, 0)", "null"), ("sqrt(16)", "4"), ("sqrt(-1)", "null"), ("sqrt([4])", "2"), ("log(1)", "0"),
        ("log(0)", "null"), ("exp(0)", "1"), ("exp(100000)", "null"), ("odd(5)", "true"), ("odd(-1)", "true"),
        ("odd(2.5)", "null"), ("even(0)", "true"), ("even(null)", "null"), ("even(number: 2)", "true"),
    ])
    func numbers(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("before(1, 10)", "true"), ("before(10, 10)", "false"), ("before(1, [1..10])", "false"),
        ("before(1, (1..10])", "true"), ("before([1..10], 10)", "false"), ("before([1..10), 10)", "true"),
        ("before([1..5], [6..9])", "true"), ("before([1..5), [5..9])", "true"), ("before([1..5], (5..9])", "true"),
        ("after(12, [1..10])", "true"), ("after([11..20], 10)", "true"), ("after((10..20], 10)", "true"),
        ("meets([1..5], [5..10])", "true"), ("meets([1..5), [5..10])", "false"), ("met by([5..10], [1..5])", "true"),
        ("overlaps([1..5], [5..8])", "true"), ("overlaps([1..5], (5..8])", "false"),
        ("overlaps([1..2], [3..4])", "false"),
        ("overlaps before([1..5], [3..8])", "true"), ("overlaps before([3..8], [1..5])", "false"),
        ("overlaps after([3..8], [1..5])", "true"), ("finishes(10, [1..10])", "true"),
        ("finishes(10, [1..10))", "false"),
        ("finishes([5..10], [1..10])", "true"), ("finished by([1..10], 10)", "true"), ("includes([1..10], 10)", "true"),
        ("includes([1..10), 10)", "false"), ("includes([1..10], [4..6])", "true"),
        ("includes((1..10), [1..10))", "false"),
        ("during(5, [1..10])", "true"), ("during([4..6], [1..10))", "true"), ("starts(1, [1..10])", "true"),
        ("starts([1..5], [1..10])", "true"), ("starts((1..5], [1..10])", "false"),
        ("started by([1..10], [1..5])", "true"),
        ("coincides(5, 5)", "true"), ("coincides([1..5], [1..5))", "false"), ("coincides([1..5], [1..5])", "true"),
        ("before(null, 1)", "null"), ("before(1, \"a\")", "null"), ("meets(1, [1..2])", "null"),
        ("during((!= 5), [1..10])", "null"), ("before(point1: 1, point2: 2)", "true"),
        ("includes(range: [1..2], point: 1)", "true"), ("before((< 5), 9)", "true"),
        ("after(@\"2024-02-01\", [@\"2024-01-01\"..@\"2024-01-31\"])", "true"),
    ])
    func ranges(source: String, expected: String) throws { try check(source, expected) }

    @Test(arguments: [
        ("day of year(@\"2024-12-31\")", "366"), ("day of week(@\"2024-01-07\")", "Sunday"),
        ("month of year(@\"2024-01-07T00:00:00\")", "January"), ("week of year(@\"2021-01-03\")", "53"),
        ("week of year(@\"2018-12-31\")", "1"), ("day of week(\"2024-01-01\")", "null"), ("day of year(null)", "null"),
        ("now()", "2023-11-14T22:13:20Z"), ("today()", "2023-11-14"), ("now(1)", "null"),
        ("@\"2024-01-07\".weekday", "7"), ("@\"2024-01-07\".hour", "null"), ("@\"10:20:30\".time offset", "null"),
        ("@\"10:20:30+01:00\".time offset", "PT1H"), ("@\"10:20:30@Etc/UTC\".timezone", "Etc/UTC"),
        ("@\"10:20:30+01:00\".timezone", "null"), ("@\"P1Y14M\".years", "2"), ("@\"P1Y14M\".months", "2"),
        ("@\"-P1DT2H3M4.5S\".seconds", "-4.5"), ("@\"P1DT2H\".hours", "2"), ("@\"P1Y\".days", "null"),
        ("[1..5).end included", "false"), ("(> 5).start included", "false"), ("(> 5).end", "null"),
        ("(= 5).start", "5"), ("(!= 5).start", "null"), ("[@\"2024-01-01\", @\"2025-01-01\"].year", "[2024, 2025]"),
    ])
    func calendar(source: String, expected: String) throws { try check(source, expected) }
}
