import FEEL
import Features
import JSON
import Models
import Testing

@testable import Decisions

@Suite struct DecisionFallbackTests {
    /// Two models, then a constant.
    static func decision(_ steps: String) throws -> CompiledDecision {
        let text = """
            {"inputs":[{"name":"amount","type":"number"},{"name":"count","type":"number"}],
             "nodes":[{"name":"risk","model":{"steps":[\(steps)]}}],
             "outputs":[{"name":"risk","type":"number","expression":"risk"}],"score":"risk"}
            """
        let problems = ProblemList()
        let spec = try #require(DecisionSpec.parse(Fixture.tree(text), at: "", problems))
        let compiled = DecisionCompiler.compile(
            name: "d", version: 1, spec: spec, at: "", problems, views: { _ in nil },
            models: { _ in ModelInterface(version: 3, features: ["amount", "count"], categories: [:]) })
        return try #require(compiled, "\(problems.brief)")
    }

    static let twoAndConstant =
        #"{"model":"first","timeout_ms":1},{"model":"second","timeout_ms":2},{"constant":0.5}"#

    static func run(
        _ steps: String = twoAndConstant, first: ModelState, second: ModelState, clock: [UInt64] = [0],
        deadline: UInt64 = 1_000_000_000, inputs: [Value] = [.number(1), .number(2)]
    ) throws -> DecisionResult {
        var live = LiveSteps(clock: TestClock(clock), deadlineNanoseconds: deadline)
        var scratch = DecisionScratch()
        return try decision(steps).evaluate(
            inputs: inputs, features: [], models: { $0 == "first" ? first : second }, steps: &live, now: 0,
            scratch: &scratch)
    }

    static func ready(_ name: String, _ text: String = Fixture.linear) throws -> ModelState {
        .ready(try Fixture.loaded(text, name: name, version: name == "first" ? 3 : 9))
    }

    @Test func theFirstUsableStepAnswers() throws {
        let result = try Self.run(first: Self.ready("first"), second: Self.ready("second"))
        #expect(result.score == Decimal(10) && result.fallback == nil && result.model?.version == 3)
        #expect(result.steps == [StepRecord(node: "risk", step: 1, used: "first@3", cause: nil)])
    }

    @Test(arguments: [
        (ModelState.missing(version: 3), "model_missing"), (.corrupt(version: 3), "model_corrupt"),
        (.withdrawn, "model_withdrawn"),
    ]) func anUnusableModelGivesWay(_ state: ModelState, _ cause: String) throws {
        #expect(state.unusableCause == cause)
        let result = try Self.run(first: state, second: Self.ready("second"))
        #expect(result.score == Decimal(10))
        #expect(result.model?.name == "second" && result.model?.version == 9)
        #expect(result.fallback?.step == 2 && result.fallback?.used == "second@9" && result.fallback?.cause == cause)
        #expect(
            result.steps == [
                StepRecord(node: "risk", step: 1, used: "first", cause: cause),
                StepRecord(node: "risk", step: 2, used: "second@9", cause: nil),
            ])
    }

    @Test func theConstantIsTheLastStepAndTheFirstCauseIsTold() throws {
        let result = try Self.run(first: .missing(version: 1), second: .corrupt(version: 1))
        #expect(result.score == Decimal("0.5") && result.model == nil)
        #expect(result.fallback?.step == 3 && result.fallback?.used == "constant")
        #expect(result.fallback?.cause == "model_missing")
        #expect(result.steps.map(\.cause) == ["model_missing", "model_corrupt", nil])
        #expect(result.warned == [])
    }

    @Test func noStepAnswers() throws {
        let result = try Self.run(
            #"{"model":"first"},{"model":"second"}"#, first: .withdrawn, second: .missing(version: 1))
        #expect(result.score == nil && result.model == nil && result.fallback == nil)
        #expect(result.outputs == [.null])
        #expect(result.warned == ["no_score risk", "output_null risk"])
        #expect(result.steps.map(\.cause) == ["model_withdrawn", "model_missing"])
    }

    /// Readings: before and after the first model, before and after the second [ns].
    @Test(arguments: [
        ([UInt64(0), 1_000_000, 1_000_000, 1_000_001], 1),
        ([0, 1_000_001, 1_000_001, 1_000_002], 2),
        ([0, 1_000_001, 1_000_001, 3_000_001], 2),
        ([0, 1_000_001, 1_000_001, 3_000_002], 3),
    ]) func aModelPastItsBudgetGivesWay(_ clock: [UInt64], _ step: Int) throws {
        let result = try Self.run(first: Self.ready("first"), second: Self.ready("second"), clock: clock)
        #expect(result.steps.count == step)
        #expect((result.fallback?.step ?? 1) == step)
        #expect(result.fallback.map(\.cause) == (step == 1 ? nil : "model_timeout"))
    }

    @Test func pastTheDeadlineNoModelIsTried() throws {
        let result = try Self.run(
            first: Self.ready("first"), second: Self.ready("second"), clock: [500], deadline: 500)
        #expect(result.steps.map(\.cause) == ["model_timeout", "model_timeout", nil])
        #expect(result.fallback?.used == "constant")
        let inTime = try Self.run(
            first: Self.ready("first"), second: Self.ready("second"), clock: [499], deadline: 500)
        #expect(inTime.fallback == nil)
    }

    @Test func aBudgetOfNothingIsNeverTried() throws {
        let result = try Self.run(
            #"{"model":"first","timeout_ms":0},{"constant":7}"#, first: Self.ready("first"), second: .withdrawn)
        #expect(result.steps.map(\.cause) == ["model_timeout", nil] && result.score == Decimal(7))
    }

    @Test func aScoreThatIsNoNumberGivesWay() throws {
        let result = try Self.run(
            first: Self.ready("first", Fixture.overflowing), second: Self.ready("second"),
            inputs: [.number(2), .number(1)])
        #expect(result.steps.map(\.cause) == ["score_not_finite", nil])
        #expect(result.fallback?.cause == "score_not_finite" && result.score == Decimal(13))
    }

    @Test func recordedStepsFailAsTheyDid() throws {
        let recorded = [
            StepRecord(node: "risk", step: 1, used: "first@3", cause: "model_timeout"),
            StepRecord(node: "risk", step: 2, used: "second@9", cause: nil),
        ]
        var steps = RecordedSteps(recorded)
        var scratch = DecisionScratch()
        let first = try Self.ready("first")
        let second = try Self.ready("second")
        let result = try Self.decision(Self.twoAndConstant).evaluate(
            inputs: [.number(1), .number(2)], features: [], models: { $0 == "first" ? first : second }, steps: &steps,
            now: 0,
            scratch: &scratch)
        #expect(result.steps == recorded)
        #expect(result.fallback?.cause == "model_timeout" && result.fallback?.used == "second@9")
    }
}
