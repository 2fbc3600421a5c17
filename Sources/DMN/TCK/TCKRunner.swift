public import FEEL

/// Runs the cases of a test file against a compiled model.
public struct TCKRunner: Sendable {
    /// How one case went.
    public struct Outcome: Sendable {
        /// The case.
        public let testCase: TCKSuite.Case
        /// What differed from what was expected; nil when the case passed.
        public let failure: String?
    }

    /// How far numbers may be apart, as in the kit's other runners.
    static let tolerance = Decimal("1e-8") ?? .zero

    private let model: CompiledModel
    private let now: Int64?

    /// Makes a runner.
    /// - Parameter now: the current time in microseconds since the Unix epoch.
    public init(_ model: CompiledModel, now: Int64?) {
        self.model = model
        self.now = now
    }

    /// Runs every case.
    public func run(_ suite: TCKSuite) -> [Outcome] {
        suite.cases.map { Outcome(testCase: $0, failure: failure($0)) }
    }

    private func failure(_ testCase: TCKSuite.Case) -> String? {
        for expectation in testCase.expectations {
            guard let result = evaluate(testCase, expectation.name) else {
                return "\(testCase.invocable ?? expectation.name): there is no such \(testCase.kind.rawValue)"
            }
            if TCKRunner.agree(result.value, expectation.value) { continue }
            let reason = result.reasons.first.map { " (\($0.code.rawValue): \($0.message))" } ?? ""
            return "\(expectation.name): expected \(expectation.value.text), got \(result.value.text)\(reason)"
        }
        return nil
    }

    private func evaluate(_ testCase: TCKSuite.Case, _ name: String) -> DecisionResult? {
        let named = Dictionary(testCase.inputs.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        switch testCase.kind {
        case .decision:
            guard let decision = model.decisionIndex(name) else { return nil }
            var values = Array(repeating: Value.null, count: model.inputs.count)
            for input in testCase.inputs {
                if let index = model.inputIndex(input.name, namespace: input.namespace) { values[index] = input.value }
            }
            return model.evaluate(decision: decision, inputs: values, now: now)
        case .businessKnowledgeModel:
            return model.evaluate(function: testCase.invocable ?? name, arguments: named, now: now)
        case .decisionService:
            let service = testCase.invocable ?? name
            guard let result = model.evaluate(service: service, inputs: named, now: now),
                let outputs = model.outputs(ofService: service)
            else { return nil }
            // Of several outputs the service's value is a context; a case names one of them.
            guard outputs.count > 1, outputs.contains(name) else { return result }
            return DecisionResult(
                value: result.value.context?[name] ?? .null, reasons: result.reasons, decisions: [], tables: [])
        }
    }

    /// Whether a value is the expected one: numbers within 1e-8, lists by order, contexts by key, zoned times by
    /// their instant.
    public static func agree(_ actual: Value, _ expected: Value) -> Bool {
        switch (actual, expected) {
        case (.number(let a), .number(let b)):
            return a == b || (a - b).map { $0.magnitude < tolerance } ?? false
        case (.list(let a), .list(let b)): return a.count == b.count && zip(a, b).allSatisfy { agree($0, $1) }
        case (.context(let a), .context(let b)):
            return a.count == b.count
                && b.entries.allSatisfy { entry in a[entry.key].map { agree($0, entry.value) } ?? false }
        case (.time(let a), .time(let b)):
            return a == b || (a.zone.offsetSeconds == b.zone.offsetSeconds && a.nanosecondOfDay == b.nanosecondOfDay)
        case (.dateTime(let a), .dateTime(let b)):
            return a == b || (a.utcSeconds == b.utcSeconds && a.nanosecond == b.nanosecond)
        default: return actual == expected
        }
    }
}
