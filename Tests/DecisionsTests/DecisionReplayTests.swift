import FEEL
import Features
import JSON
import Models
import Testing

@testable import Decisions

@Suite struct DecisionReplayTests {
    /// A decision that shows every input and feature in its outputs.
    static let spec = """
        {"entity":"customer",
         "inputs":[{"name":"customer","type":"string"},{"name":"amount","type":"number"},
          {"name":"channel","type":"string","optional":true},{"name":"day","type":"date","optional":true},
          {"name":"moment","type":"date and time","optional":true},{"name":"clock","type":"time","optional":true},
          {"name":"numbers","type":"list<number>","optional":true},{"name":"free","type":"Any","optional":true}],
         "features":[{"view":"spend"}],
         "nodes":[{"name":"risk","model":{"steps":[{"model":"m","timeout_ms":5},{"constant":0.5}]}},
          {"name":"tier","table":{"hit_policy":"FIRST","inputs":[{"expression":"risk","type":"number"},
           {"expression":"spend.total","type":"number"}],"outputs":[{"name":"tier","type":"string"}],
           "rules":[{"when":["< 20","-"],"then":["\\"low\\""]},{"when":["-","> 50"],"then":["\\"rich\\""]}]}}],
         "outputs":[{"name":"tier","type":"string","expression":"tier"},
          {"name":"text","type":"string","expression":"string(amount)"},
          {"name":"half","type":"number","expression":"amount / 2"},
          {"name":"day","type":"date","expression":"day"},
          {"name":"moment","type":"date and time","expression":"moment"},
          {"name":"clock","type":"time","expression":"clock"},
          {"name":"numbers","type":"list<number>","expression":"numbers"},
          {"name":"free","type":"Any","expression":"free"},
          {"name":"total","type":"number","expression":"spend.total"},
          {"name":"total text","type":"string","expression":"string(spend.total)"},
          {"name":"count","type":"number","expression":"spend.count"},
          {"name":"last","type":"string","expression":"spend.last"},
          {"name":"seen","type":"date and time","expression":"spend.seen"}],
         "score":"risk"}
        """

    static func bytes(
        _ decision: CompiledDecision, _ result: DecisionResult, _ inputs: [UInt8], _ features: [UInt8]
    ) -> [UInt8] {
        let evidence = inputs.withUnsafeBytes { left in
            features.withUnsafeBytes { DecisionEncoding.evidence(inputs: left, features: $0) }
        }
        var writer = JSONWriter()
        DecisionEncoding.result(decision, result, evidence: evidence, to: &writer)
        return writer.finish()
    }

    /// A record as the pipeline stores it, in what a replay needs.
    static func record(
        _ decision: CompiledDecision, _ inputs: [Value], _ features: [[FeatureValue]], _ model: ModelState,
        clock: [UInt64] = [0]
    ) -> [UInt8] {
        var steps = LiveSteps(clock: TestClock(clock), deadlineNanoseconds: 50_000_000)
        var scratch = DecisionScratch()
        let result = decision.evaluate(
            inputs: inputs, features: features, models: { _ in model }, steps: &steps, now: 0, scratch: &scratch)
        let inputBytes = Array(Fixture.json { DecisionEncoding.inputs(decision, inputs, to: &$0) }.utf8)
        let featureBytes = Array(Fixture.json { DecisionEncoding.features(decision, features, to: &$0) }.utf8)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("decision")
        writer.string("offer")
        writer.key("version")
        writer.integer(7)
        writer.key("as_of")
        writer.timestamp(0)
        writer.key("inputs")
        writer.raw(inputBytes)
        writer.key("features")
        writer.raw(featureBytes)
        writer.key("steps")
        DecisionEncoding.steps(result, to: &writer)
        writer.key("result")
        writer.raw(bytes(decision, result, inputBytes, featureBytes))
        writer.endObject()
        return writer.bytes
    }

    /// The result's bytes as stored and as evaluated again.
    static func replay(
        _ decision: CompiledDecision, _ record: [UInt8], _ model: ModelState
    ) throws -> (stored: String, again: String) {
        let document = try JSONDocument(record)
        let recorded = try #require(document.withRoot { RecordedDecision($0) })
        #expect(recorded.decision == "offer" && recorded.version == 7 && recorded.views == ["spend": 4])
        let inputs = try #require(recorded.inputValues(decision))
        var steps = RecordedSteps(recorded.steps)
        var scratch = DecisionScratch()
        let result = decision.evaluate(
            inputs: inputs, features: recorded.featureValues(decision), models: { _ in model }, steps: &steps,
            now: recorded.asOfMicros, scratch: &scratch)
        let again = bytes(decision, result, recorded.inputBytes, recorded.featureBytes)
        return (String(decoding: recorded.resultBytes, as: UTF8.self), String(decoding: again, as: UTF8.self))
    }

    static func number(_ random: inout SeededGenerator) -> String {
        let digits = Int.random(in: 1...34, using: &random)
        var text = (0..<digits).map { _ in String(Int.random(in: 0...9, using: &random)) }.joined()
        while text.hasPrefix("0") && text.utf8.count > 1 { text.removeFirst() }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return text
        case 1: return "-" + text
        case 2:
            return "\(text.utf8.count == 34 ? "1" : text).\(Int.random(in: 0...9, using: &random))0"
                .replacing("34.", with: "3.")
        default: return "\(text)e\(Int.random(in: -300...300, using: &random))"
        }
    }

    static func body(_ random: inout SeededGenerator) -> String {
        var parts = [#""customer":"c\#(Int.random(in: 0...99, using: &random))""#, "\"amount\":\(number(&random))"]
        if Bool.random(using: &random) { parts.append(#""channel":"wéb \" \\ \u0001\n""#) }
        if Bool.random(using: &random) { parts.append(#""day":"2024-02-29""#) }
        let moments = [
            "2024-02-29T10:00:00Z", "2024-02-29T10:00:00.123456+02:00", "2024-02-29T10:00:00", "-0044-03-15T00:00:00Z",
        ]
        if Bool.random(using: &random) { parts.append("\"moment\":\"\(moments.randomElement(using: &random) ?? "")\"") }
        let clocks = ["10:00:00", "10:00:00.5Z", "23:59:59-05:30"]
        if Bool.random(using: &random) { parts.append("\"clock\":\"\(clocks.randomElement(using: &random) ?? "")\"") }
        if Bool.random(using: &random) { parts.append("\"numbers\":[\(number(&random)),null,1.0]") }
        if Bool.random(using: &random) {
            parts.append("\"free\":{\"a b\":[\(number(&random)),{\"c\":true}],\"d\":null}")
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    static func features(_ random: inout SeededGenerator) -> [FeatureValue] {
        func number(_ random: inout SeededGenerator) -> FeatureValue {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: return .integer(Int64.random(in: .min ... .max, using: &random))
            case 1:
                let bits = Int.random(in: 0..<112, using: &random)
                let word = Int128(truncatingIfNeeded: UInt128.random(in: 0...UInt128.max, using: &random))
                return .decimal(significand: word >> (127 - bits), scale: Int.random(in: 0...12, using: &random))
            case 2:
                // Sums that end in zeros.
                let tens = Int128(Int64.random(in: -1_000_000...1_000_000, using: &random)) * 1_000_000_000_000_000_000
                return .decimal(significand: tens * 1_000, scale: Int.random(in: 0...4, using: &random))
            case 3:
                let value = Double(bitPattern: UInt64.random(in: 0 ... .max, using: &random))
                return .double(value.isFinite ? value : 0.1)
            default: return .null([.noEvent, .emptyWindow, .divisionByZero].randomElement(using: &random) ?? .noEvent)
            }
        }
        let last: FeatureValue = Bool.random(using: &random) ? .string("2024-01-01T00:00:00Z") : .null(.noEvent)
        let seen: FeatureValue =
            Bool.random(using: &random)
            ? .timestamp(Int64.random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &random))
            : .null(.noEvent)
        return [number(&random), number(&random), last, seen]
    }

    @Test func aRecordReplaysToTheSameBytes() throws {
        let decision = try Fixture.decision(Self.spec)
        let model = ModelState.ready(try Fixture.loaded(Fixture.linear))
        var random = SeededGenerator(20_260_101)
        var read = 0
        for round in 0..<2_000 {
            let body = Self.body(&random)
            let problems = ProblemList()
            guard let inputs = try decision.read(body, problems) else { continue }
            read += 1
            let features = Int.random(in: 0..<10, using: &random) == 0 ? [] : Self.features(&random)
            let late = Bool.random(using: &random)
            let record = Self.record(decision, inputs, [features], model, clock: late ? [0, 6_000_000] : [0])
            let (stored, again) = try Self.replay(decision, record, model)
            guard stored == again else {
                Issue.record("round \(round): \(body) with \(features)\nstored \(stored)\nagain  \(again)")
                return
            }
        }
        #expect(read > 1_500)
    }

    /// FEEL may see trailing zeros (`string(1.50)`): either the record keeps them, or FEEL does not see them.
    @Test func spellingOfANumberDoesNotChangeAReplay() throws {
        let decision = try Fixture.decision(Self.spec)
        for text in ["1.50", "1.5", "15e-1", "100", "1e2", "1.00", "-0", "0.0", "1E+2"] {
            let inputs = try #require(try decision.read("{\"customer\":\"c\",\"amount\":\(text)}", ProblemList()))
            let record = Self.record(decision, inputs, [[]], .withdrawn)
            let (stored, again) = try Self.replay(decision, record, .withdrawn)
            #expect(stored == again, "amount \(text)")
        }
    }

    /// Why a feature was null is part of the answer (its warning), so a replay must know it.
    @Test(arguments: FeatureNullReason.allCases) func nullReasonsSurviveAReplay(_ reason: FeatureNullReason) throws {
        let decision = try Fixture.decision(Self.spec)
        let inputs: [Value] = [.string("c"), .number(1)] + Array(repeating: .null, count: 6)
        let features: [FeatureValue] = [.null(reason), .integer(1), .null(reason), .null(reason)]
        let record = Self.record(decision, inputs, [features], .withdrawn)
        let (stored, again) = try Self.replay(decision, record, .withdrawn)
        #expect(stored == again)
    }

    @Test func fallbacksReplayEvenWhenTheModelIsBack() throws {
        let decision = try Fixture.decision(Self.spec)
        let ready = ModelState.ready(try Fixture.loaded(Fixture.linear))
        let inputs: [Value] = [.string("c"), .number(1)] + Array(repeating: .null, count: 6)
        let states: [ModelState] = [.missing(version: 3), .corrupt(version: 3), .withdrawn]
        for state in states {
            let record = Self.record(decision, inputs, [[]], state)
            let (stored, again) = try Self.replay(decision, record, ready)
            #expect(stored == again)
            #expect(stored.contains(#""used":"constant","cause":"\#(state.unusableCause ?? "")""#))
        }
    }

    /// Altering any one stored input or feature value changes the bytes.
    @Test func everyStoredValueCounts() throws {
        let decision = try Fixture.decision(Self.spec)
        let model = ModelState.ready(try Fixture.loaded(Fixture.linear))
        let inputs = try #require(
            try decision.read(
                #"{"customer":"c","amount":1,"channel":"web","day":"2024-01-01","numbers":[1,2],"free":"x"}"#,
                ProblemList()))
        let features: [FeatureValue] = [.integer(1), .decimal(significand: 5, scale: 1), .string("a"), .timestamp(0)]
        let record = try JSONTree(parsing: Self.record(decision, inputs, [features], model))
        let changes: [(String, JSONTree)] = [
            ("/inputs/customer", .string("d")), ("/inputs/amount", .integer(2)), ("/inputs/channel", .null),
            ("/inputs/day", .string("2024-01-02")), ("/inputs/numbers/1", .integer(3)),
            ("/inputs/free", .string("y")), ("/features/spend/values/count", .integer(2)),
            ("/features/spend/values/total", .integer(1)), ("/features/spend/values/last", .null),
            ("/features/spend/values/seen", .string("1970-01-01T00:00:00.000001Z")),
        ]
        for (pointer, value) in changes {
            let (stored, again) = try Self.replay(decision, record.replacing(pointer, with: value).bytes, model)
            #expect(stored != again, "changing \(pointer)")
        }
        let (stored, again) = try Self.replay(decision, record.bytes, model)
        #expect(stored == again)
    }

    @Test(arguments: ["decision", "version", "as_of", "inputs", "features", "steps", "result"])
    func aRecordWithoutAPartIsNone(_ part: String) throws {
        let decision = try Fixture.decision(Self.spec)
        let inputs: [Value] = [.string("c"), .number(1)] + Array(repeating: .null, count: 6)
        let record = try JSONTree(parsing: Self.record(decision, inputs, [[]], .withdrawn))
        let document = try JSONDocument(record.replacing("/" + part, with: nil).bytes)
        #expect(document.withRoot { RecordedDecision($0) } == nil)
    }

    @Test func versionsOfModelsAndViews() throws {
        let decision = try Fixture.decision(Self.spec)
        let inputs: [Value] = [.string("c"), .number(1)] + Array(repeating: .null, count: 6)
        let model = ModelState.ready(try Fixture.loaded(Fixture.linear, name: "m", version: 12))
        let document = try JSONDocument(Self.record(decision, inputs, [[]], model))
        let record = try #require(document.withRoot { RecordedDecision($0) })
        #expect(record.models == ["m": 12] && record.views == ["spend": 4])
        #expect(record.steps == [StepRecord(node: "risk", step: 1, used: "m@12", cause: nil)])
    }

    @Test func inputsThatDoNotFitAreNone() throws {
        let decision = try Fixture.decision(Self.spec)
        let inputs: [Value] = [.string("c"), .number(1)] + Array(repeating: .null, count: 6)
        let record = try JSONTree(parsing: Self.record(decision, inputs, [[]], .withdrawn))
        let document = try JSONDocument(record.replacing("/inputs/amount", with: .string("1")).bytes)
        #expect(try #require(document.withRoot { RecordedDecision($0) }).inputValues(decision) == nil)
    }
}
