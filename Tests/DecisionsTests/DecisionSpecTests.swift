import FEEL
import JSON
import Testing

@testable import Decisions

@Suite struct DecisionSpecTests {
    /// One change to the whole decision of `Fixture.spec`, and what must be said about it.
    struct Refusal: CustomTestStringConvertible, Sendable {
        let pointer: String
        /// JSON text; nil takes the member out.
        let value: String?
        let told: [String]
        var testDescription: String { "\(pointer) = \(value ?? "(absent)")" }

        init(_ pointer: String, _ value: String?, _ told: String...) {
            self.pointer = pointer
            self.value = value
            self.told = told.map { "/spec" + $0 }
        }
    }

    static let refusals: [Refusal] = [
        Refusal("/surplus", "1", "/surplus unknown_field"),
        Refusal("/inputs/0/surplus", "1", "/inputs/0/surplus unknown_field"),
        Refusal("/features/0/surplus", "1", "/features/0/surplus unknown_field"),
        Refusal("/nodes/0/surplus", "1", "/nodes/0/surplus unknown_field"),
        Refusal("/nodes/0/model/surplus", "1", "/nodes/0/model/surplus unknown_field"),
        Refusal("/nodes/0/model/steps/0/surplus", "1", "/nodes/0/model/steps/0/surplus unknown_field"),
        Refusal("/nodes/2/table/surplus", "1", "/nodes/2/table/surplus unknown_field"),
        Refusal("/nodes/2/table/rules/0/surplus", "1", "/nodes/2/table/rules/0/surplus unknown_field"),
        Refusal("/nodes/2/table/inputs/0/surplus", "1", "/nodes/2/table/inputs/0/surplus unknown_field"),
        Refusal("/nodes/2/table/outputs/0/surplus", "1", "/nodes/2/table/outputs/0/surplus unknown_field"),
        Refusal("/outputs/0/surplus", "1", "/outputs/0/surplus unknown_field"),
        Refusal("/reasons/surplus", "1", "/reasons/surplus unknown_field"),
        Refusal("/a~1b", "1", "/a~01b unknown_field"),
        Refusal("/inputs/1/name", nil, "/inputs/1/name missing_field"),
        Refusal("/inputs/1/name", "5", "/inputs/1/name type_mismatch"),
        Refusal("/inputs/1/type", nil, "/inputs/1/type missing_field"),
        Refusal("/inputs/1/type", "\"money\"", "/inputs/1/type unknown_type"),
        Refusal("/inputs/1/type", "\"list<money>\"", "/inputs/1/type unknown_type"),
        Refusal("/inputs/1/minimum", "\"0\"", "/inputs/1/minimum type_mismatch"),
        Refusal("/inputs/1/optional", "\"yes\"", "/inputs/1/optional type_mismatch"),
        Refusal("/inputs/2/values", "\"web\"", "/inputs/2/values type_mismatch"),
        Refusal("/inputs/2/values/1", "5", "/inputs/2/values/1 type_mismatch"),
        Refusal(
            "/inputs/2", "5", "/inputs/2 type_mismatch", "/inputs/2/name missing_field",
            "/inputs/2/type missing_field"),
        Refusal("/entity", "\"nobody\"", "/entity unknown_name", "/features/0/entity unknown_name"),
        Refusal("/entity", nil, "/features/0/entity unknown_name"),
        Refusal("/features/0/entity", "\"nobody\"", "/features/0/entity unknown_name"),
        Refusal("/features/0/view", nil, "/features/0/view missing_field"),
        Refusal("/features", "{}", "/features type_mismatch"),
        Refusal("/nodes/1/name", nil, "/nodes/1/name missing_field"),
        Refusal("/nodes/1/expression", nil, "/nodes/1 one_of", "/nodes/1/type unknown_field"),
        Refusal("/nodes/0/expression", "\"1\"", "/nodes/0 one_of"),
        Refusal("/nodes/1/type", nil, "/nodes/1/type missing_field"),
        Refusal("/nodes/1/expression", "5", "/nodes/1/expression type_mismatch", "/nodes/1 one_of"),
        Refusal("/nodes/0/model/steps", nil, "/nodes/0/model/steps missing_field", "/nodes/0/model/steps out_of_range"),
        Refusal("/nodes/0/model/steps", "[]", "/nodes/0/model/steps out_of_range"),
        Refusal(
            "/nodes/0/model/steps", "[" + Array(repeating: #"{"constant":1}"#, count: 9).joined(separator: ",") + "]",
            "/nodes/0/model/steps out_of_range"),
        Refusal("/nodes/0/model/steps/1/model", "\"m\"", "/nodes/0/model/steps/1 one_of"),
        Refusal("/nodes/0/model/steps/1", "{}", "/nodes/0/model/steps/1 one_of"),
        Refusal("/nodes/0/model/steps/0/timeout_ms", "-1", "/nodes/0/model/steps/0/timeout_ms out_of_range"),
        Refusal("/nodes/0/model/steps/0/timeout_ms", "0.0001", "/nodes/0/model/steps/0/timeout_ms out_of_range"),
        Refusal("/nodes/0/model/steps/0/timeout_ms", "1e30", "/nodes/0/model/steps/0/timeout_ms out_of_range"),
        Refusal("/nodes/0/model/steps/0/timeout_ms", "\"5\"", "/nodes/0/model/steps/0/timeout_ms type_mismatch"),
        Refusal("/nodes/0/model/steps/0/inputs", "[]", "/nodes/0/model/steps/0/inputs type_mismatch"),
        Refusal("/nodes/2/table/rules", nil, "/nodes/2/table/rules missing_field"),
        Refusal(
            "/nodes/2/table/rules/0/when", nil, "/nodes/2/table/rules/0 wrong_width",
            "/nodes/2/table/rules/0/when missing_field"),
        Refusal("/nodes/2/table/rules/0/when/1", "\"-\"", "/nodes/2/table/rules/0 wrong_width"),
        Refusal("/nodes/2/table/rules/1/then/1", "\"-\"", "/nodes/2/table/rules/1 wrong_width"),
        Refusal(
            "/nodes/2/table/rules/1/then/0", "5", "/nodes/2/table/rules/1 wrong_width",
            "/nodes/2/table/rules/1/then/0 type_mismatch"),
        Refusal("/nodes/2/table/outputs/0/type", "\"word\"", "/nodes/2/table/outputs/0/type unknown_type"),
        Refusal("/nodes/2/table/inputs/0/expression", nil, "/nodes/2/table/inputs/0/expression missing_field"),
        Refusal("/outputs", nil, "/outputs missing_field"),
        Refusal("/outputs/0/expression", nil, "/outputs/0/expression missing_field"),
        Refusal("/outputs/0/name", nil, "/outputs/0/name missing_field"),
        Refusal("/outputs/1/name", #""tier""#, "/outputs/1/name duplicate_name"),
        Refusal("/score", "1", "/score type_mismatch"),
        Refusal("/reasons", "[]", "/reasons type_mismatch"),
        Refusal("/reasons/mode", "\"shap\"", "/reasons/mode value_not_allowed"),
        Refusal("/reasons/codes/LOW", "1", "/reasons/codes type_mismatch"),
        Refusal("/deadline_ms", "0", "/deadline_ms out_of_range"),
        Refusal("/deadline_ms", "60001", "/deadline_ms out_of_range"),
        Refusal("/deadline_ms", "1.5", "/deadline_ms out_of_range"),
        Refusal("/deadline_ms", "\"50\"", "/deadline_ms type_mismatch"),
    ]

    @Test(arguments: refusals) func refusesWithPointerAndCode(_ refusal: Refusal) throws {
        let value = try refusal.value.map { try Fixture.tree($0) }
        var tree = try Fixture.tree(Fixture.spec)
        if refusal.pointer == "/a~1b" {
            tree = .object((tree.object ?? []) + [.init(key: "a~1b", value: .integer(1))])
        } else {
            tree = tree.replacing(refusal.pointer, with: value)
        }
        let problems = ProblemList()
        #expect(DecisionSpec.parse(tree, at: "/spec", problems) == nil)
        // What follows from the first problem may be told too: fields that were not asked for any more, or that make no
        // sense without it.
        let rest = Set(problems.brief).subtracting(refusal.told)
        #expect(Set(refusal.told).isSubset(of: problems.brief), "\(problems.brief)")
        let isConsequence = { (problem: String) in
            ["/minimum not_applicable", "/maximum not_applicable", "/type missing_field"].contains(
                where: problem.hasSuffix)
                || problem.hasPrefix("/spec/nodes/1/") && problem.hasSuffix(" unknown_field")
        }
        #expect(rest.allSatisfy(isConsequence), "\(rest)")
    }

    @Test func refusesWhatIsNoObject() {
        for tree in [JSONTree.null, .array([]), .string("x"), .integer(1)] {
            let problems = ProblemList()
            #expect(DecisionSpec.parse(tree, at: "/spec", problems) == nil)
            #expect(problems.brief.first == "/spec type_mismatch")
        }
    }

    @Test(arguments: [
        ("inputs", DecisionLimits.inputsMax, #"{"name":"i","type":"string"}"#),
        ("features", DecisionLimits.viewsMax, #"{"view":"spend","entity":"customer"}"#),
        ("nodes", DecisionLimits.nodesMax, #"{"name":"n","type":"number","expression":"1"}"#),
        ("outputs", DecisionLimits.outputsMax, #"{"name":"o","type":"number","expression":"1"}"#),
    ]) func countsAreBounded(_ key: String, _ limit: Int, _ item: String) throws {
        let one = try Fixture.tree(item)
        let spare = try Fixture.tree(#"{"name":"customer","type":"string"}"#)
        for (count, isTaken) in [(limit, true), (limit + 1, false)] {
            var items = (0..<count).map { number in
                one["name"] == nil ? one : one.replacing("/name", with: .string("n\(number)"))
            }
            if key == "inputs" { items[0] = spare }
            var tree = try Fixture.tree(Fixture.spec)
            if key != "nodes" { tree = tree.replacing("/nodes", with: .array([])) }
            tree = tree.replacing("/" + key, with: .array(items))
            let problems = ProblemList()
            #expect((DecisionSpec.parse(tree, at: "", problems) != nil) == isTaken)
            #expect(problems.brief == (isTaken ? [] : ["/\(key) too_many"]))
        }
    }

    @Test func readsEveryPart() throws {
        let problems = ProblemList()
        let spec = try #require(DecisionSpec.parse(Fixture.tree(Fixture.spec), at: "/spec", problems))
        #expect(problems.isEmpty)
        #expect(spec.entityInput == 0)
        #expect(spec.inputs.map(\.name) == ["customer", "amount", "channel"])
        #expect(spec.inputs[1].minimum == Decimal(0) && spec.inputs[1].maximum == Decimal(1000))
        #expect(spec.inputs.map(\.isOptional) == [false, false, true])
        #expect(spec.inputs[2].classification == "personal")
        #expect(spec.features.map(\.entityInput) == [0])
        #expect(spec.nodes.map(\.name) == ["risk", "double", "tier", "flags"])
        #expect(spec.outputs[2].type == .list(.string))
        #expect(spec.scoreNode == "risk" && spec.givesReasons)
        #expect(spec.reasonTexts.map(\.code) == ["LOW", "BIG"])
        #expect(spec.deadlineMicros == 50_000)
        #expect(spec.modelNames == ["m"])
        guard case .model(let steps) = spec.nodes[0].node, case .model(_, _, let budget) = steps[0],
            case .constant(let constant) = steps[1], case .table(let table) = spec.nodes[2].node
        else {
            Issue.record("nodes are of the wrong kind")
            return
        }
        #expect(budget == 5_000 && constant == Decimal("0.5"))
        #expect(table.rules.map(\.id) == ["low", "2"])
    }

    @Test func defaults() throws {
        let text = #"{"inputs":[],"outputs":[{"name":"o","type":"number","expression":"1"}]}"#
        let problems = ProblemList()
        let spec = try #require(DecisionSpec.parse(Fixture.tree(text), at: "", problems))
        #expect(spec.deadlineMicros == 100_000)
        #expect(spec.entityInput == nil && spec.scoreNode == nil && !spec.givesReasons)
        let table = #"{"name":"t","table":{"inputs":[],"outputs":[],"rules":[]}}"#
        let withTable = try Fixture.tree(text).replacing("/nodes", with: .array([Fixture.tree(table)]))
        let parsed = try #require(DecisionSpec.parse(withTable, at: "", problems))
        guard case .table(let read) = parsed.nodes[0].node else {
            Issue.record("not a table")
            return
        }
        #expect(read.hitPolicy == "UNIQUE" && read.aggregation == nil)
    }

    /// Nothing is dropped silently: a rule that cannot run is refused when it is published.
    @Test(arguments: [
        ("/nodes/0/model/steps/0/inputs", #"{"count":5}"#, "a step's input must be a text"),
        ("/nodes/0/model/steps/1/timeout_ms", "5", "a constant has no budget"),
        ("/inputs/1/values", #"["1"]"#, "allowed texts of a number never apply"),
        ("/inputs/0/minimum", "1", "a bound of a text never applies"),
        ("/inputs/1/minimum", "1001", "no number is within 1001...1000"),
        ("/inputs/1/type", #""days and time duration""#, "no JSON value can be read as this type"),
    ]) func refusesWhatCannotRun(_ pointer: String, _ value: String, _ why: Comment) throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(Fixture.spec).replacing(pointer, with: Fixture.tree(value))
        #expect(DecisionSpec.parse(tree, at: "/spec", problems) == nil, why)
        #expect(problems.problems.contains { $0.pointer.hasPrefix("/spec" + pointer.prefix(9)) }, why)
    }

    @Test(arguments: [
        ("string", "string"), ("number", "number"), ("boolean", "boolean"), ("date", "date"), ("time", "time"),
        ("date and time", "date and time"), ("list<string>", "list<string>"),
        ("list<list<number>>", "list<list<number>>"),
    ]) func declaredTypes(_ text: String, _ name: String) {
        #expect(FEELType(declared: text)?.name == name)
    }

    @Test(arguments: ["", "String", "list<>", "list<", "list<string", "list<x>", "text"])
    func undeclaredTypes(_ text: String) {
        #expect(FEELType(declared: text) == nil)
    }

    @Test func tableInputsThatReadMaskedInputs() throws {
        let spec = try #require(DecisionSpec.parse(Fixture.tree(Fixture.spec), at: "", ProblemList()))
        #expect(spec.tableInputs(reading: ["channel"]) == ["channel"])
        #expect(spec.tableInputs(reading: ["amount"]) == ["amount"])
        #expect(spec.tableInputs(reading: []) == [])
    }

    /// A value that may not be shown may not be shown through a node that was computed from it either.
    @Test func tableInputsThatReadMaskedInputsThroughNodes() throws {
        let text = """
            {"inputs":[{"name":"channel","type":"string"}],
             "nodes":[{"name":"copy","type":"string","expression":"upper case(channel)"},
              {"name":"t","table":{"inputs":[{"expression":"copy","type":"string"}],
               "outputs":[{"name":"t","type":"string"}],"rules":[{"when":["-"],"then":["\\"x\\""]}]}}],
             "outputs":[{"name":"t","type":"string","expression":"t"}]}
            """
        let spec = try #require(DecisionSpec.parse(Fixture.tree(text), at: "", ProblemList()))
        #expect(spec.tableInputs(reading: ["channel"]) == ["copy"])
    }
}
