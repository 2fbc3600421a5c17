import FEEL
import Features
import Foundation
import JSON
import Models
import Testing

@testable import Decisions

@Suite struct DecisionEvaluationTests {
    static let features: [[FeatureValue]] = [
        [.integer(4), .decimal(significand: 12_345, scale: 2), .string("web"), .timestamp(0)]
    ]

    @Test func everyPartOfTheGraph() throws {
        let decision = try Fixture.decision()
        let result = decision.run(
            [.string("c1"), .number(11), .string("web")], features: Self.features,
            model: .ready(try Fixture.loaded(Fixture.linear)))
        // 10 + 2 * 11 - 4
        #expect(result.score == Decimal(28))
        #expect(result.model?.name == "m" && result.model?.version == 3)
        #expect(result.fallback == nil)
        #expect(
            result.outputs == [
                .string("high"), .number(22), .list([.string("big"), .string("online")]),
                Decimal("123.45").map(Value.number) ?? .null,
            ])
        #expect(
            result.matched.map { "\($0.table) \($0.rule) \($0.ruleID) \($0.reason ?? "-")" } == [
                "tier 2 2 -", "flags 1 1 BIG", "flags 2 2 -",
            ])
        #expect(result.warned == [])
        #expect(result.steps == [StepRecord(node: "risk", step: 1, used: "m@3", cause: nil)])
    }

    @Test func scratchMemoryOfAnotherDecisionDoesNotLeak() throws {
        let decision = try Fixture.decision()
        let model = ModelState.ready(try Fixture.loaded(Fixture.linear))
        var scratch = DecisionScratch()
        var steps = UntimedSteps()
        let sparse: [Value] = [.string("c1"), .number(1), .null]
        _ = decision.evaluate(
            inputs: [.string("c1"), .number(11), .string("web")], features: Self.features, models: { _ in model },
            steps: &steps, now: 0, scratch: &scratch)
        let again = decision.evaluate(
            inputs: sparse, features: [[]], models: { _ in model }, steps: &steps, now: 0, scratch: &scratch)
        #expect(again.outputs == decision.run(sparse, features: [[]], model: model).outputs)
        #expect(again.outputs[3] == .null)
        // A missing count is 3.
        #expect(again.score == Decimal(9))
    }

    @Test func missingEntityAndUnservedFeaturesAreTold() throws {
        let decision = try Fixture.decision()
        let reasons: [FeatureNullReason] = [.windowTruncated, .overflow, .featureUnavailable, .noEvent]
        let result = decision.run(
            [.null, .number(1), .null], features: [reasons.map { .null($0) }],
            model: .ready(try Fixture.loaded(Fixture.linear)))
        #expect(
            result.warned == [
                "entity_missing spend", "window_truncated spend.count", "overflow spend.total",
                "feature_unavailable spend.last", "output_null total",
            ])
    }

    @Test func categoriesAreCodedByPosition() throws {
        let model = """
            {"type":"linear_regression","version":1,"features":["channel"],"impute":{"values":[-5]},
             "scale":{"mean":[0],"scale":[1]},"coef":[[1]],"intercept":[0],"link":"identity"}
            """
        let loaded = try Fixture.loaded(model)
        let text = """
            {"inputs":[{"name":"channel","type":"string","optional":true}],
             "nodes":[{"name":"s","model":{"steps":[{"model":"m"}]}}],
             "outputs":[{"name":"s","type":"number","expression":"s"}],"score":"s"}
            """
        let problems = ProblemList()
        let decision = try #require(
            Fixture.compile(
                Fixture.tree(text), problems, features: ["channel"], categories: ["channel": ["web", "phone"]]))
        for (value, score) in [(Value.string("web"), 0), (.string("phone"), 1), (.string("fax"), -5), (.null, -5)] {
            #expect(decision.run([value], model: .ready(loaded)).score == Decimal(score))
        }
    }

    struct PolicyCase: CustomTestStringConvertible, Sendable {
        let rule: ModelInputRule
        let value: Value
        /// Nil: the step after the model answers.
        let score: Int?
        let cause: String?
        let mark: CellMark
        var testDescription: String { "\(rule) \(value)" }
    }

    static let policies: [PolicyCase] = [
        PolicyCase(rule: .lenient, value: .string("fax"), score: -5, cause: nil, mark: .unknown),
        PolicyCase(rule: .lenient, value: .null, score: -5, cause: nil, mark: .missing),
        PolicyCase(
            rule: ModelInputRule(missing: .refuse, unknown: .value(1)), value: .string("fax"), score: 1, cause: nil,
            mark: .unknown),
        PolicyCase(
            rule: ModelInputRule(missing: .refuse, unknown: .value(1)), value: .null, score: nil,
            cause: "input_missing", mark: .missing),
        PolicyCase(
            rule: ModelInputRule(missing: .value(7), unknown: .refuse), value: .string("fax"), score: nil,
            cause: "unknown_category", mark: .unknown),
        PolicyCase(
            rule: ModelInputRule(missing: .value(7), unknown: .refuse), value: .null, score: 7, cause: nil,
            mark: .missing),
        PolicyCase(
            rule: ModelInputRule(missing: .refuse, unknown: .refuse), value: .string("phone"), score: 1, cause: nil,
            mark: .value),
    ]

    /// What a model's definition says of missing and unknown inputs holds in decisions too; a refusal is a step that failed.
    @Test(arguments: policies) func inputsFollowTheModelsPolicies(_ wanted: PolicyCase) throws {
        let model = try Model.load(
            Array(
                """
                {"type":"linear_regression","version":1,"features":["channel"],"impute":{"values":[-5]},
                 "scale":{"mean":[0],"scale":[1]},"coef":[[1]],"intercept":[0],"link":"identity"}
                """.utf8))
        let loaded = LoadedModel(name: "m", version: 3, model: model, outputIndex: 0, keepsRows: true)
        let text = """
            {"inputs":[{"name":"channel","type":"string","optional":true}],
             "nodes":[{"name":"s","model":{"steps":[{"model":"m"},{"constant":0.5}]}}],
             "outputs":[{"name":"s","type":"number","expression":"s"}],"score":"s"}
            """
        let decision = try #require(
            Fixture.compile(
                Fixture.tree(text), ProblemList(), features: ["channel"], categories: ["channel": ["web", "phone"]],
                rules: ["channel": wanted.rule]))
        var steps = UntimedSteps()
        var scratch = DecisionScratch()
        let result = decision.evaluate(
            inputs: [wanted.value], features: [], models: { _ in .ready(loaded) }, steps: &steps, now: 0,
            scratch: &scratch)
        #expect(result.score == wanted.score.map { Decimal($0) } ?? Decimal(shortest: 0.5))
        #expect(result.steps[0].cause == wanted.cause)
        #expect(result.warnings.contains { $0.code == "unknown_category" } == (wanted.mark == .unknown))
        // Only rows whose score was used are kept, with what their cells were.
        #expect(scratch.scoredRows.map(\.marks) == (wanted.score == nil ? [] : [[wanted.mark]]))
        if let score = wanted.score { #expect(scratch.scoredRows.first?.score == Double(score)) }
    }

    /// A text where a model takes a number would be missing to it, silently: refused before it is published.
    @Test func aTextForANumberIsRefused() throws {
        let text = """
            {"entity":"channel","inputs":[{"name":"amount","type":"number"},{"name":"channel","type":"string"}],
             "features":[{"view":"spend"}],
             "nodes":[{"name":"s","model":{"steps":[{"model":"m","inputs":{"b":"spend.last"}}]}}],
             "outputs":[{"name":"s","type":"number","expression":"s"}],"score":"s"}
            """
        func told(_ categories: [String: [String]], checks: Bool = true) throws -> [String] {
            let problems = ProblemList()
            _ = Fixture.compile(
                try Fixture.tree(text), problems, features: ["amount", "channel", "b"], categories: categories,
                checksInputs: checks)
            return problems.brief
        }
        let place = "/spec/nodes/0/model/steps/0/inputs text_for_number"
        #expect(try told([:]).filter { $0 == place }.count == 2)
        #expect(try told(["channel": ["web"]]).filter { $0 == place }.count == 1)
        #expect(try !told(["channel": ["web"], "b": ["x"]]).contains(place))
        #expect(try !told([:], checks: false).contains(place))
    }

    @Test func booleansAndTextsAsModelInputs() throws {
        let text = """
            {"inputs":[{"name":"amount","type":"boolean"},{"name":"count","type":"string"}],
             "nodes":[{"name":"s","model":{"steps":[{"model":"m"}]}}],
             "outputs":[{"name":"s","type":"number","expression":"s"}],"score":"s"}
            """
        let decision = try Fixture.decision(text)
        let loaded = try Fixture.loaded(Fixture.linear)
        #expect(decision.run([.boolean(true), .string("9")], model: .ready(loaded)).score == Decimal(9))
        #expect(decision.run([.boolean(false), .string("9")], model: .ready(loaded)).score == Decimal(7))
    }

    struct TableCase: CustomTestStringConvertible, Sendable {
        let table: String
        let type: String
        let amount: Int
        let output: Value
        let warned: [String]
        var testDescription: String { "\(table.prefix(60)) at \(amount)" }
    }

    static func table(_ policy: String, _ rules: String, _ type: String = "number") -> String {
        """
        {"name":"t","table":{\(policy),"inputs":[{"expression":"amount","type":"number"}],
         "outputs":[{"name":"o","type":"\(type)"}],"rules":[\(rules)]}}
        """
    }

    static let rules = #"{"when":["> 5"],"then":["1"]},{"when":["> 8"],"then":["2"]},{"when":["> 8"],"then":["2"]}"#
    static let unique = table(#""hit_policy":"UNIQUE""#, rules)
    static let first = table(#""hit_policy":"FIRST""#, rules)
    static let any = table(#""hit_policy":"ANY""#, rules)
    static let collect = table(#""hit_policy":"COLLECT""#, rules)
    static let sum = table(#""hit_policy":"COLLECT","aggregation":"SUM""#, rules)
    static let count = table(#""hit_policy":"COLLECT","aggregation":"COUNT""#, rules)
    static let least = table(#""hit_policy":"COLLECT","aggregation":"MIN""#, rules)
    static let null = ["output_null o"]

    static let tableCases: [TableCase] = [
        TableCase(table: unique, type: "number", amount: 6, output: .number(1), warned: []),
        TableCase(table: unique, type: "number", amount: 9, output: .null, warned: ["table_conflict t"] + null),
        TableCase(table: unique, type: "number", amount: 5, output: .null, warned: ["no_rule_matched t"] + null),
        TableCase(table: first, type: "number", amount: 9, output: .number(1), warned: []),
        TableCase(table: first, type: "number", amount: 1, output: .null, warned: ["no_rule_matched t"] + null),
        TableCase(table: any, type: "number", amount: 9, output: .null, warned: ["table_conflict t"] + null),
        TableCase(table: any, type: "number", amount: 6, output: .number(1), warned: []),
        TableCase(
            table: collect, type: "list<number>", amount: 9, output: .list([.number(1), .number(2), .number(2)]),
            warned: []),
        TableCase(table: collect, type: "list<number>", amount: 1, output: .list([]), warned: []),
        TableCase(table: sum, type: "number", amount: 9, output: .number(5), warned: []),
        TableCase(table: count, type: "number", amount: 9, output: .number(3), warned: []),
        TableCase(table: count, type: "number", amount: 1, output: .number(0), warned: []),
        TableCase(table: least, type: "number", amount: 9, output: .number(1), warned: []),
        // DMN 1.5, 8.2.11: the sum or minimum of nothing is null, not a list.
        TableCase(table: sum, type: "number", amount: 1, output: .null, warned: null),
        TableCase(table: least, type: "number", amount: 1, output: .null, warned: null),
    ]

    @Test(arguments: tableCases) func tables(_ test: TableCase) throws {
        let decision = try Fixture.decision(
            nodes: test.table, outputs: "{\"name\":\"o\",\"type\":\"\(test.type)\",\"expression\":\"t\"}")
        let result = decision.run([.number(test.amount), .null])
        #expect(result.outputs == [test.output])
        #expect(result.warned == test.warned)
    }

    @Test func outputsOutsideTheirDeclarationAreNull() throws {
        let decision = try Fixture.decision(
            nodes: "",
            outputs: """
                {"name":"word","type":"string","values":["web"],"expression":"channel"},
                {"name":"typed","type":"number","expression":"if amount > 5 then amount else channel"},
                {"name":"plain","type":"number","expression":"amount"}
                """)
        let allowed = decision.run([.number(6), .string("web")])
        #expect(allowed.outputs == [.string("web"), .number(6), .number(6)] && allowed.warned == [])
        let refused = decision.run([.number(5), .string("fax")])
        #expect(refused.outputs == [.null, .null, .number(5)])
        #expect(refused.warned == ["output_not_allowed word", "output_type_mismatch typed"])
        let absent = decision.run([.null, .null])
        #expect(absent.outputs == [.null, .null, .null])
        #expect(absent.warned == ["output_null word", "output_null typed", "output_null plain"])
    }

    @Test func modelsOfOtherLibrariesScoreAsTheirGoldenRows() throws {
        guard SharedData.isPresent else { return }
        let loaded = try Fixture.loaded(
            String(decoding: SharedData.bytes("data/models/sklearn/skl_logistic.json"), as: UTF8.self))
        let golden = try JSONTree(
            parsing: SharedData.bytes("data/models/golden/skl_logistic.json"), limits: JSONLimits(allowsNaN: true))
        let names = loaded.model.featureNames
        let inputs = names.map { #"{"name":"\#($0)","type":"number","optional":true}"# }.joined(separator: ",")
        let text = """
            {"inputs":[\(inputs)],"nodes":[{"name":"pd","model":{"steps":[{"model":"m"}]}}],
             "outputs":[{"name":"pd","type":"number","expression":"pd"}],"score":"pd"}
            """
        let problems = ProblemList()
        let decision = try #require(Fixture.compile(Fixture.tree(text), problems, features: names))
        let rows = try #require(golden["rows"]?.array)
        #expect(rows.count > 10)
        for row in rows {
            let values = (row["x"]?.array ?? []).map { Value($0, as: .number) ?? .null }
            let expected = try #require(row["pred"]?.array?.last?.double ?? row["pred"]?.double)
            let score = try #require(decision.run(values, model: .ready(loaded)).score)
            #expect(abs(score.double - expected) <= 1e-12)
        }
    }
}
