import FEEL
import Features
import JSON
import Models
import Synchronization
import Testing

@testable import Decisions

/// A small repeatable source of random numbers.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

extension JSONTree {
    /// The tree with the value at a pointer such as `/inputs/0/type` replaced, added, or (nil) taken out.
    func replacing(_ pointer: String, with value: JSONTree?) -> JSONTree {
        replacing(pointer.split(separator: "/").map(String.init)[...], with: value)
    }

    private func replacing(_ path: ArraySlice<String>, with value: JSONTree?) -> JSONTree {
        guard let token = path.first else { return value ?? .null }
        let rest = path.dropFirst()
        switch self {
        case .array(var items):
            let index = Int(token) ?? items.count
            if index >= items.count {
                if let value { items.append(value) }
            } else if rest.isEmpty && value == nil {
                items.remove(at: index)
            } else {
                items[index] = items[index].replacing(rest, with: value)
            }
            return .array(items)
        case .object(var members):
            let index = members.firstIndex { $0.key == token }
            if rest.isEmpty && value == nil {
                if let index { members.remove(at: index) }
            } else if let index {
                members[index].value = members[index].value.replacing(rest, with: value)
            } else {
                members.append(Member(key: token, value: JSONTree.object([]).replacing(rest, with: value)))
            }
            return .object(members)
        default: return self
        }
    }
}

extension ProblemList {
    /// `pointer code` of every problem, sorted.
    var brief: [String] { problems.map { "\($0.pointer) \($0.code)" }.sorted() }
}

/// Time as the test tells it: each reading takes the next value, the last one stays.
final class TestClock: Decisions.MonotonicClock {
    private let readings: Mutex<[UInt64]>

    init(_ readings: [UInt64]) { self.readings = Mutex(readings) }

    func now() -> UInt64 {
        readings.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
    }
}

/// Steps without time: only what the models themselves say.
struct UntimedSteps: StepSource {
    func causeBefore(node: String, step: Int, model: ModelState?, budgetMicros: Int64?) -> String? {
        model?.unusableCause
    }

    func causeAfter(node: String, step: Int, budgetMicros: Int64?) -> String? { nil }
}

/// Decisions and models that tests share.
enum Fixture {
    /// What `write` writes, as text.
    static func json(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        write(&writer)
        return String(decoding: writer.finish(), as: UTF8.self)
    }

    /// Score = 10 + 2 * amount - count; a missing count is 3.
    static let linear = """
        {"type":"linear_regression","version":1,"features":["amount","count"],"impute":{"values":[0,3]},
         "scale":{"mean":[0,0],"scale":[1,1]},"coef":[[2,-1]],"intercept":[10],"link":"identity"}
        """

    /// A model whose score overflows for an amount past 1.
    static let overflowing = """
        {"type":"linear_regression","version":1,"features":["amount","count"],"impute":{"values":[0,0]},
         "scale":{"mean":[0,0],"scale":[1,1]},"coef":[[1.7e308,0]],"intercept":[1e308],"link":"identity"}
        """

    static func loaded(_ text: String, name: String = "m", version: Int = 3) throws -> LoadedModel {
        let model = try Model.load(Array(text.utf8))
        return LoadedModel(name: name, version: version, model: model, outputIndex: model.predictionCount - 1)
    }

    static let spend = ViewInterface(
        version: 4, features: [("count", .number), ("total", .number), ("last", .string), ("seen", .dateTime)])

    /// A decision with every part: inputs, a view, a model, tables of both kinds, reasons.
    static let spec = """
        {"entity":"customer","deadline_ms":50,
         "inputs":[{"name":"customer","type":"string"},
          {"name":"amount","type":"number","minimum":0,"maximum":1000},
          {"name":"channel","type":"string","values":["web","phone"],"optional":true,"classification":"personal"}],
         "features":[{"view":"spend"}],
         "nodes":[{"name":"risk","model":{"steps":[{"model":"m","timeout_ms":5},{"constant":0.5}]}},
          {"name":"double","type":"number","expression":"amount * 2"},
          {"name":"tier","table":{"hit_policy":"UNIQUE","inputs":[{"expression":"risk","type":"number"}],
           "outputs":[{"name":"tier","type":"string"}],
           "rules":[{"id":"low","when":["< 20"],"then":["\\"low\\""],"reason":"LOW"},
            {"when":[">= 20"],"then":["\\"high\\""]}]}},
          {"name":"flags","table":{"hit_policy":"COLLECT","inputs":[{"expression":"amount","type":"number"},
            {"expression":"channel","type":"string"}],"outputs":[{"name":"flag","type":"string"}],
           "rules":[{"when":["> 10","-"],"then":["\\"big\\""],"reason":"BIG"},
            {"when":["-","\\"web\\""],"then":["\\"online\\""]}]}}],
         "outputs":[{"name":"tier","type":"string","values":["low","high"],"expression":"tier"},
          {"name":"double","type":"number","expression":"double"},
          {"name":"flags","type":"list<string>","expression":"flags"},
          {"name":"total","type":"number","expression":"spend.total"}],
         "score":"risk",
         "reasons":{"mode":"rules","codes":{"LOW":"The risk is low.","BIG":"The amount is large."}}}
        """

    static func tree(_ text: String) throws -> JSONTree { try JSONTree(parsing: text) }

    /// Parses and compiles against the view `spend` and the model `m`.
    static func compile(
        _ tree: JSONTree, _ problems: ProblemList, features: [String]? = ["amount", "count"],
        categories: [String: [String]] = [:], view: ViewInterface = spend, rules: [String: ModelInputRule] = [:],
        checksInputs: Bool = false
    ) -> CompiledDecision? {
        guard let spec = DecisionSpec.parse(tree, at: "/spec", problems) else { return nil }
        return DecisionCompiler.compile(
            name: "offer", version: 7, spec: spec, at: "/spec", problems, checksInputs: { _ in checksInputs },
            views: { $0 == "spend" ? view : nil },
            models: {
                $0 == "m"
                    ? ModelInterface(version: 3, features: features, categories: categories, rules: rules) : nil
            })
    }

    static func decision(_ text: String = spec) throws -> CompiledDecision {
        let problems = ProblemList()
        let decision = compile(try tree(text), problems)
        return try #require(decision, "\(problems.brief)")
    }

    /// A decision with the given nodes and outputs over the inputs `amount` (number) and `channel` (text).
    static func decision(
        nodes: String, outputs: String, inputs: String? = nil, more: String = ""
    ) throws -> CompiledDecision {
        let standard = """
            {"name":"amount","type":"number","optional":true},{"name":"channel","type":"string","optional":true}
            """
        return try decision(
            "{\"inputs\":[\(inputs ?? standard)],\"nodes\":[\(nodes)],\"outputs\":[\(outputs)]\(more)}")
    }
}

extension CompiledDecision {
    /// Evaluates with one model `m`.
    func run(
        _ inputs: [Value], features: [[FeatureValue]] = [], model: ModelState = .withdrawn
    ) -> DecisionResult {
        var steps = UntimedSteps()
        var scratch = DecisionScratch()
        return evaluate(
            inputs: inputs, features: features, models: { _ in model }, steps: &steps, now: 0, scratch: &scratch)
    }

    /// Reads inputs given as JSON text.
    func read(_ text: String, _ problems: ProblemList) throws -> [Value]? {
        let document = try JSONDocument(Array(text.utf8))
        return document.withRoot { readInputs($0, problems) }
    }
}

extension DecisionResult {
    /// `code subject` of every warning.
    var warned: [String] { warnings.map { "\($0.code) \($0.subject)" } }
}
