import FEEL
import Features
import JSON
import Testing

@testable import Decisions

@Suite struct DecisionEncodingTests {
    @Test(arguments: [
        (Int128(0), 0, "0"), (0, 5, "0"), (1, 0, "1"), (-1, 0, "-1"), (5, 1, "0.5"), (-5, 1, "-0.5"), (50, 1, "5"),
        (1_050, 2, "10.5"), (100, 2, "1"), (100, 1, "10"), (12_345, 2, "123.45"), (-12_345, 2, "-123.45"),
        (5, 20, "0.00000000000000000005"), (120, 3, "0.12"), (1_000_000, 0, "1000000"),
        (Int128.max, 0, "170141183460469231731687303715884105727"),
        (Int128.min, 0, "-170141183460469231731687303715884105728"),
        (Int128.min, 38, "-1.70141183460469231731687303715884105728"),
        (Int128.max, 39, "0.170141183460469231731687303715884105727"),
    ]) func decimals(_ significand: Int128, _ scale: Int, _ expected: String) {
        var writer = JSONWriter()
        writer.decimal(significand, scale: scale)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
    }

    @Test(arguments: [
        ("0", "0"), ("-0", "0"), ("1.50", "1.5"), ("1e3", "1000"), ("-0.001", "-0.001"), ("1e-7", "0.0000001"),
        ("1234567890123456789012345678901234", "1234567890123456789012345678901234"),
        ("1e6000", "1E+6000"), ("-12e-6000", "-1.2E-5999"), ("0e100", "0"),
    ]) func decimalsOfFEEL(_ text: String, _ expected: String) throws {
        let number = try #require(Decimal(text))
        #expect(number.jsonText == expected)
        #expect(try JSONTree(parsing: number.jsonText).number != nil)
        #expect(Decimal(number.jsonText) == number)
    }

    static func json(_ value: Value) -> String {
        var writer = JSONWriter()
        DecisionEncoding.write(value, to: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func values() throws {
        #expect(Self.json(.null) == "null")
        #expect(Self.json(.boolean(true)) == "true")
        #expect(Self.json(.string("a\"\u{1}é")) == #""a\"\u0001é""#)
        #expect(Self.json(.list([.number(1), .null, .list([])])) == "[1,null,[]]")
        #expect(Self.json(.context(Context([("b", .number(1)), ("a b", .string("x"))]))) == #"{"b":1,"a b":"x"}"#)
        #expect(Self.json(.date(try #require(Date("2024-02-29")))) == #""2024-02-29""#)
        let range = Interval(low: .number(1), high: .number(2), includesLow: true, includesHigh: false)
        #expect(Self.json(.range(range)) == #""[1..2)""#)
    }

    @Test func features() throws {
        let decision = try Fixture.decision()
        let text = Fixture.json {
            DecisionEncoding.features(
                decision,
                [[.integer(4), .decimal(significand: 12_300, scale: 2), .null(.noEvent), .timestamp(1_500_000)]],
                to: &$0)
        }
        #expect(
            text == """
                {"spend":{"version":4,"values":{"count":4,"total":123,"last":null,"seen":"1970-01-01T00:00:01.500Z"}}}
                """)
        let doubles = Fixture.json {
            DecisionEncoding.features(
                decision, [[.double(0.1), .double(1e300), .string("x"), .null(.overflow)]], to: &$0)
        }
        #expect(
            doubles.hasPrefix(
                #"{"spend":{"version":4,"values":{"count":0.1,"total":1e+300,"last":"x","seen":null"#))
    }

    @Test func inputs() throws {
        let decision = try Fixture.decision()
        let text = Fixture.json {
            DecisionEncoding.inputs(
                decision, [.string("c/1"), Decimal("1.50").map(Value.number) ?? .null, .null], to: &$0)
        }
        #expect(text == #"{"customer":"c/1","amount":1.5,"channel":null}"#)
    }

    /// The exact bytes of a whole result: whoever changes them changes what stored records replay to.
    @Test func resultBytes() throws {
        let decision = try Fixture.decision()
        let result = decision.run(
            [.string("c1"), .number(11), .string("web")], features: DecisionEvaluationTests.features,
            model: .ready(try Fixture.loaded(Fixture.linear)))
        let expected = """
            {"outputs":{"tier":"high","double":22,"flags":["big","online"],"total":123.45},"score":28,\
            "model":{"name":"m","version":3,"role":"champion"},"fallback":null,\
            "reasons":[{"code":"BIG","text":"The amount is large.","table":"flags","rule":1}],\
            "matched_rules":[{"table":"tier","rule":2,"rule_id":"2","inputs":{"risk":28}},\
            {"table":"flags","rule":1,"rule_id":"1","inputs":{"amount":11,"channel":"web"}},\
            {"table":"flags","rule":2,"rule_id":"2","inputs":{"amount":11,"channel":"web"}}],\
            "warnings":[],"evidence":"00000000000000ff"}
            """
        #expect(Fixture.json { DecisionEncoding.result(decision, result, evidence: 255, to: &$0) } == expected)
        let masked = Fixture.json {
            DecisionEncoding.result(decision, result, evidence: 255, masking: ["channel"], to: &$0)
        }
        #expect(
            masked
                == expected.replacing(#""channel":"web""#, with: #""channel":null"#))
    }

    @Test func fallbackAndWarnings() throws {
        let decision = try Fixture.decision()
        let result = decision.run([.string("c1"), .number(1), .null], features: [[]], model: .missing(version: 2))
        let text = Fixture.json { DecisionEncoding.result(decision, result, evidence: .max, to: &$0) }
        #expect(
            text.contains(#""score":0.5,"model":null,"fallback":{"step":2,"used":"constant","cause":"model_missing"}"#))
        #expect(
            text.contains(
                #""warnings":[{"code":"output_null","subject":"total","reason":"missing: spend.total"}],"#
                    + #""evidence":"ffffffffffffffff"}"#))
        #expect(
            Fixture.json { DecisionEncoding.steps(result, to: &$0) } == """
                [{"node":"risk","step":1,"used":"m","cause":"model_missing"},\
                {"node":"risk","step":2,"used":"constant","cause":null}]
                """)
    }

    static func evidence(_ inputs: String, _ features: String) -> UInt64 {
        Array(inputs.utf8).withUnsafeBytes { inputs in
            Array(features.utf8).withUnsafeBytes { DecisionEncoding.evidence(inputs: inputs, features: $0) }
        }
    }

    @Test func evidenceDependsOnEveryByteAndItsPlace() {
        let base = Self.evidence(#"{"a":1}"#, #"{"v":{}}"#)
        #expect(base == Self.evidence(#"{"a":1}"#, #"{"v":{}}"#))
        var seen: Set<UInt64> = [base]
        let others = [
            (#"{"a":2}"#, #"{"v":{}}"#), (#"{"a":1}"#, #"{"w":{}}"#), (#"{"v":{}}"#, #"{"a":1}"#),
            (#"{"a":1}{"#, #""v":{}}"#), ("", #"{"a":1}{"v":{}}"#), (#"{"a":1}{"v":{}}"#, ""), ("", ""), ("\0", ""),
            ("", "\0"),
        ]
        for (inputs, features) in others { seen.insert(Self.evidence(inputs, features)) }
        #expect(seen.count == others.count + 1)
    }

    /// The value is part of stored records: it may not depend on the machine or the run.
    @Test func evidenceIsTheSameInEveryProcess() {
        #expect(Self.evidence("", "") == 416_883_994_119_212_566)
        #expect(Self.evidence(#"{"amount":11}"#, #"{"spend":{}}"#) == 11_450_875_536_097_437_528)
    }
}
