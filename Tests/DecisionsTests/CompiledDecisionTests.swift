import FEEL
import JSON
import Testing

@testable import Decisions

@Suite struct CompiledDecisionTests {
    struct Refusal: CustomTestStringConvertible, Sendable {
        let pointer: String
        let value: String
        let told: [String]
        var testDescription: String { "\(pointer) = \(value)" }

        init(_ pointer: String, _ value: String, _ told: String...) {
            self.pointer = pointer
            self.value = value
            self.told = told.map { "/spec" + $0 }
        }
    }

    static let refusals: [Refusal] = [
        Refusal(
            "/inputs/1/name", #""customer""#, "/inputs/1/name duplicate_name",
            "/nodes/0/model/steps/0/inputs unbound_model_input"),
        Refusal("/features/1", #"{"view":"unknown"}"#, "/features/1/view unknown_view"),
        Refusal("/nodes/1/name", #""amount""#, "/nodes/1/name duplicate_name"),
        Refusal("/nodes/1/expression", #""amout * 2""#, "/nodes/1/expression unknown_name"),
        Refusal("/nodes/1/expression", #""amount * ""#, "/nodes/1/expression syntax"),
        Refusal("/nodes/1/expression", #""tier""#, "/nodes/1/expression unknown_name"),
        Refusal("/nodes/1/expression", #""spend.totals""#, "/nodes/1/expression unknown_name"),
        Refusal("/nodes/1/type", #""string""#, "/nodes/1/expression type_mismatch"),
        Refusal("/outputs/0/expression", #""amount""#, "/outputs/0/expression type_mismatch"),
        Refusal("/outputs/2/expression", #""amount""#, "/outputs/2/expression type_mismatch"),
        Refusal("/outputs/0/expression", #""nobody""#, "/outputs/0/expression unknown_name"),
        Refusal("/nodes/0/model/steps/0/model", #""other""#, "/nodes/0/model/steps/0/model unknown_model"),
        Refusal(
            "/nodes/0/model/steps/0/inputs", #"{"count":"nobody"}"#, "/nodes/0/model/steps/0/inputs unbound_model_input"
        ),
        Refusal("/score", #""nobody""#, "/score unknown_name"),
        Refusal("/nodes/2/table/rules/0/reason", #""OTHER""#, "/nodes/2/table/rules/0/reason unknown_reason"),
        Refusal("/reasons/codes", #"{"LOW":"x"}"#, "/nodes/3/table/rules/0/reason unknown_reason"),
        Refusal("/nodes/2/table/hit_policy", #""SOMETIMES""#, "/nodes/2/table/hit_policy value_not_allowed"),
        Refusal("/nodes/2/table/aggregation", #""SUM""#, "/nodes/2/table/aggregation value_not_allowed"),
        Refusal("/nodes/3/table/aggregation", #""AVERAGE""#, "/nodes/3/table/aggregation value_not_allowed"),
        Refusal("/nodes/2/table/inputs/0/expression", #""nobody""#, "/nodes/2/table/inputs/0/expression unknown_name"),
        Refusal("/nodes/2/table/rules/0/when/0", #""< < 3""#, "/nodes/2/table/rules/0/when/0 syntax"),
        Refusal("/nodes/2/table/rules/1/then/0", #""nobody""#, "/nodes/2/table/rules/1/then/0 unknown_name"),
    ]

    /// The pointers are those of the document as sent: a table's tests are its `when`, its outputs its `then`.
    @Test(arguments: refusals) func refusesWithPointerAndCode(_ refusal: Refusal) throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(Fixture.spec).replacing(refusal.pointer, with: Fixture.tree(refusal.value))
        #expect(Fixture.compile(tree, problems) == nil)
        // A part that does not compile may leave later parts without its name.
        #expect(Set(refusal.told).isSubset(of: problems.brief), "\(problems.brief)")
    }

    @Test func reasonsNeedNoTextWhenNoneAreGiven() throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(Fixture.spec).replacing("/reasons", with: Fixture.tree(#"{"mode":"none"}"#))
        #expect(Fixture.compile(tree, problems) != nil, "\(problems.brief)")
    }

    @Test func modelsOfUnknownInputsCompile() throws {
        let problems = ProblemList()
        let decision = Fixture.compile(try Fixture.tree(Fixture.spec), problems, features: nil)
        #expect(decision != nil, "\(problems.brief)")
    }

    @Test func plansEveryModelInput() throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(Fixture.spec).replacing(
            "/nodes/0/model/steps/0/inputs", with: Fixture.tree(#"{"x":"spend.total","y":"last"}"#))
        let decision = try #require(
            Fixture.compile(
                tree, problems, features: ["amount", "count", "x", "y", "channel"],
                categories: ["channel": ["web", "phone"]]), "\(problems.brief)")
        guard case .model(let steps, _) = decision.nodes[0].node, case .model(_, let inputs, _) = steps[0] else {
            Issue.record("not a model node")
            return
        }
        let brief = inputs.map { input in
            switch input.source {
            case .feature(let use, let index): "feature \(use).\(index)"
            case .slot(let slot): "slot \(slot)"
            case .category(let slot, let codes): "category \(slot) \(codes.sorted { $0.value < $1.value }.map(\.key))"
            case .featureCategory(let use, let index, let codes):
                "feature \(use).\(index) \(codes.sorted { $0.value < $1.value }.map(\.key))"
            }
        }
        #expect(brief == ["slot 1", "feature 0.0", "feature 0.1", "feature 0.2", #"category 2 ["web", "phone"]"#])
    }

    /// An input that the caller sends is what its name says, also when a view has a feature of that name.
    @Test func aModelInputIsTheDecisionInputOfThatNameFirst() throws {
        let problems = ProblemList()
        let view = ViewInterface(version: 1, features: [("amount", .number), ("count", .number)])
        let decision = try #require(
            Fixture.compile(
                try Fixture.tree(Fixture.spec).replacing(
                    "/outputs/3/expression", with: .string("spend.count")),
                problems, view: view), "\(problems.brief)")
        guard case .model(let steps, _) = decision.nodes[0].node, case .model(_, let inputs, _) = steps[0],
            case .slot(let slot) = inputs[0].source
        else {
            Issue.record("the model's input `amount` is not the decision's input `amount`")
            return
        }
        #expect(slot == 1)
    }

    @Test func aFeatureNameOfTwoViewsIsAmbiguous() throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(Fixture.spec).replacing("/features/1", with: Fixture.tree(#"{"view":"other"}"#))
        let spec = try #require(DecisionSpec.parse(tree, at: "/spec", problems))
        let compiled = DecisionCompiler.compile(
            name: "d", version: 1, spec: spec, at: "/spec", problems,
            views: { $0 == "spend" ? Fixture.spend : ViewInterface(version: 1, features: [("count", .number)]) },
            models: { _ in ModelInterface(version: 1, features: ["amount", "count"], categories: [:]) })
        #expect(compiled == nil)
        #expect(problems.brief == ["/spec/nodes/0/model/steps/0/inputs unbound_model_input"])
    }

    @Test func theSameViewTwiceIsRefused() throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(Fixture.spec).replacing("/features/1", with: Fixture.tree(#"{"view":"spend"}"#))
        #expect(Fixture.compile(tree, problems) == nil)
        #expect(problems.brief.contains("/spec/features/1/view duplicate_name"))
    }

    @Test func multipleOutputsOfATableAreDottedNames() throws {
        let decision = try Fixture.decision(
            nodes: """
                {"name":"t","table":{"inputs":[{"expression":"amount","type":"number"}],
                 "outputs":[{"name":"a","type":"string"},{"name":"b","type":"number"}],
                 "rules":[{"when":["> 5"],"then":["\\"x\\"","2"]},{"when":["<= 5"],"then":["\\"y\\"","3"]}]}}
                """,
            outputs: #"{"name":"a","type":"string","expression":"t.a"},{"name":"b","type":"number","expression":"t.b"}"#
        )
        #expect(decision.run([.number(6), .null]).outputs == [.string("x"), .number(2)])
        #expect(decision.run([.number(5), .null]).outputs == [.string("y"), .number(3)])
    }

    /// Texts of `values` are values, whatever characters they hold.
    @Test func allowedTableOutputsMayHoldQuotes() throws {
        let decision = try Fixture.decision(
            nodes: #"""
                {"name":"t","table":{"hit_policy":"PRIORITY","inputs":[{"expression":"amount","type":"number"}],
                 "outputs":[{"name":"a","type":"string","values":["say \"no\"","a\\b"]}],
                 "rules":[{"when":["-"],"then":["\"a\\\\b\""]},{"when":["> 5"],"then":["\"say \\\"no\\\"\""]}]}}
                """#,
            outputs: #"{"name":"a","type":"string","expression":"t"}"#)
        #expect(decision.run([.number(6), .null]).outputs == [.string(#"say "no""#)])
        #expect(decision.run([.number(5), .null]).outputs == [.string(#"a\b"#)])
    }

    @Test func unusedFeaturesAreNotConverted() throws {
        let decision = try Fixture.decision()
        #expect(decision.featureSlots.map(\.index) == [1])
        #expect(decision.inputIndex("channel") == 2 && decision.inputIndex("nobody") == nil)
        #expect(decision.classification(ofInput: "channel") == "personal")
        #expect(decision.classification(ofInput: "amount") == nil)
    }
}
