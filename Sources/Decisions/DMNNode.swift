public import DMN
import FEEL
import JSON

/// Decisions of a DMN model as a node of a decision's graph.
public struct DMNNodeSpec: Sendable {
    /// The model, and those that it imports.
    public let model: DMNModel
    /// Models that it imports, directly or through others.
    public let imports: [DMNModel]
    /// Names of its decisions that are evaluated; each becomes a name of the graph.
    public let decisions: [String]
    /// FEEL expressions for input data of the model; what is not here is bound to the graph's name of the same spelling.
    public let inputs: [String: String]

    /// Names of all input data, those of imported models with their import's name before it.
    var inputNames: Set<String> {
        var names: Set<String> = []
        for case .inputData(let input) in model.elements { names.insert(input.name) }
        for imported in imports {
            let prefix = model.imports.first { $0.namespace == imported.namespace }?.name ?? ""
            for case .inputData(let input) in imported.elements {
                names.insert(prefix.isEmpty ? input.name : "\(prefix).\(input.name)")
            }
        }
        return names
    }

    /// Reads the `dmn` member of a node or of a whole decision: `{model, imports, decisions, inputs}`, the models as XML.
    static func parse(_ reader: TreeReader) -> DMNNodeSpec? {
        let problems = reader.problems
        let model = reader.string("model", required: true).flatMap { read($0, reader.path("model"), problems) }
        var imports: [DMNModel] = []
        for (index, text) in (reader.strings("imports") ?? []).enumerated() {
            if let found = read(text, "\(reader.path("imports"))/\(index)", problems) { imports.append(found) }
        }
        let decisions = reader.strings("decisions")
        if decisions?.isEmpty == true { problems.add(reader.path("decisions"), "empty_list", "at least one decision") }
        var inputs: [String: String] = [:]
        for member in reader.map("inputs") {
            if case .string(let text) = member.value {
                inputs[member.key] = text
            } else {
                problems.add(
                    reader.path("inputs") + JSONPointer(tokens: [member.key]).text, "type_mismatch",
                    "a FEEL expression is expected here")
            }
        }
        guard let model else { return nil }
        return DMNNodeSpec(
            model: model, imports: imports, decisions: decisions ?? model.finalDecisions, inputs: inputs)
    }

    private static func read(_ text: String, _ place: String, _ problems: ProblemList) -> DMNModel? {
        do {
            return try DMNModel(xml: Array(text.utf8))
        } catch {
            for problem in error.issues.problems(at: place) {
                problems.add(problem.pointer, problem.code, problem.message)
            }
            return nil
        }
    }

    /// Compiles the model and looks its decisions up.
    ///
    /// - Parameter checksTables: whether tables that overlap or contradict their columns are refused.
    func compile(
        zones: ZoneOffsets, checksTables: Bool, at place: String, _ problems: ProblemList
    ) -> (CompiledModel, [Int])? {
        let compiled: CompiledModel
        do {
            compiled = try CompiledModel.compile(
                model, imports: imports, options: .init(zones: zones, checksTables: checksTables))
        } catch {
            for problem in error.issues.problems(at: place + "/model") {
                problems.add(problem.pointer, problem.code, problem.message)
            }
            return nil
        }
        var indices: [Int] = []
        for (number, name) in decisions.enumerated() {
            if let index = compiled.decisionIndex(name) {
                indices.append(index)
            } else {
                problems.add("\(place)/decisions/\(number)", "unknown_name", "the model has no decision of this name")
            }
        }
        for name in inputs.keys.sorted() where compiled.inputIndex(name) == nil {
            problems.add(
                place + JSONPointer(tokens: ["inputs", name]).text, "unknown_name",
                "the model has no input data of this name")
        }
        return indices.count == decisions.count ? (compiled, indices) : nil
    }
}

/// A DMN model that is ready to run as a node.
public final class CompiledDMNNode: Sendable {
    let model: CompiledModel
    let selection: CompiledModel.Selection
    /// By position in the selection's inputs.
    let bindings: [Expression]
    /// Slots that receive the decisions' values, in the order of the selection.
    let slots: [Int]
    /// Names of the decisions, in the same order.
    let names: [String]

    init(model: CompiledModel, selection: CompiledModel.Selection, bindings: [Expression], slots: [Int]) {
        self.model = model
        self.selection = selection
        self.bindings = bindings
        self.slots = slots
        names = selection.decisions.map { model.decisions[$0].name }
    }

    /// Slots of the graph that the model's inputs read.
    var usedSlots: [Int] { bindings.flatMap(\.usedSlots) }

    /// Evaluates the decisions from the graph's slots.
    func evaluate(
        _ values: [Value], now: Int64?, trace: TraceDetail = .tables
    ) -> CompiledModel.SelectionResult {
        var inputs = [Value](repeating: .null, count: model.inputs.count)
        for (position, binding) in zip(selection.inputs, bindings) {
            inputs[position] = binding.evaluate(values, now: now)
        }
        return model.evaluate(selection, inputs: inputs, now: now, trace: trace)
    }
}

extension [DMNError.Issue] {
    /// The findings as problems of a definition: the pointer is the text's, the place within the XML is told in words.
    func problems(at place: String) -> [DocumentProblem] {
        map { issue in
            let line = issue.location.map { " (line \($0.line), column \($0.column))" } ?? ""
            let part = issue.pointer.isEmpty ? "" : "\(issue.pointer): "
            return DocumentProblem(pointer: place, code: issue.code, message: "\(part)\(issue.message)\(line)")
        }
    }
}

extension NodeSpec {
    /// The names that a node of this name adds to the graph.
    func names(_ name: String) -> [String] {
        if case .dmn(let node) = self { return node.decisions }
        return [name]
    }
}

extension DecisionSpec {
    /// What a decision that is a DMN model declares by it: an input for every input data that nothing else supplies, an
    /// output for every decision asked for.
    static func derived(
        from node: DMNNodeSpec, declared: Set<String>, at place: String, _ problems: ProblemList
    ) -> (inputs: [InputSpec], outputs: [OutputSpec])? {
        guard let (model, decisions) = node.compile(zones: .utcOnly, checksTables: false, at: place, problems) else {
            return nil
        }
        let inputs = model.selection(decisions).inputs.map { model.inputs[$0] }.filter {
            node.inputs[$0.qualifiedName] == nil && node.inputs[$0.name] == nil && !declared.contains($0.name)
        }
        return (
            inputs.map {
                // DMN knows no required input: what is not sent is null, which tables may ask for.
                InputSpec(
                    name: $0.qualifiedName, type: $0.type, isOptional: true, values: nil, minimum: nil, maximum: nil,
                    classification: nil, description: nil)
            },
            decisions.map { index in
                let decision = model.decisions[index]
                return OutputSpec(
                    name: decision.qualifiedName, type: decision.type, values: nil,
                    expression: decision.qualifiedName)
            }
        )
    }
}
