import FEEL

/// One element of a compiled graph. Nodes only refer to nodes before them, so graphs have no circles of references.
final class GraphNode: Sendable {
    enum Kind: Sendable {
        case inputData
        case decision(Box)
        /// A knowledge model or a service: its value is the function itself.
        case function(Function, Invocable)
    }

    /// What a function of the graph is made of, for calls by name from outside.
    enum Invocable: Sendable {
        case knowledgeModel
        case service(ServicePlan)
    }

    /// Where a value of the frame comes from.
    enum Source: Sendable {
        case node(Int)
        case constant(Value)
        /// The elements of an imported model, as entries under the import's name.
        case imported([(name: String, source: Source)])
    }

    /// Position in topological order.
    let index: Int
    let name: String
    /// The name with its import's before it; equal to `name` in the main model.
    let qualifiedName: String
    let namespace: String
    let kind: Kind
    let type: ItemType
    /// What is known about the value's type.
    let resultType: FEELType
    let sources: [Source]

    init(
        index: Int, name: String, qualifiedName: String, namespace: String, kind: Kind, type: ItemType,
        resultType: FEELType, sources: [Source]
    ) {
        self.index = index
        self.name = name
        self.qualifiedName = qualifiedName
        self.namespace = namespace
        self.kind = kind
        self.type = type
        self.resultType = resultType
        self.sources = sources
    }
}

/// Decisions to evaluate in order, and what is given instead of being evaluated.
struct Plan: Sendable {
    /// In topological order, the wanted ones included.
    let nodes: [GraphNode]
    /// Length of the memory that holds the values by node index.
    let memory: Int

    /// Evaluates into the memory.
    /// - Parameter visit: told every decision with its value and its own reasons.
    func run(
        _ memory: inout [Value], _ call: inout Call,
        visit: ((GraphNode, Value, ArraySlice<NullReason>) -> Void)? = nil
    ) {
        for node in nodes {
            guard case .decision(let box) = node.kind else { continue }
            let mark = call.reasons.count
            var frame = Plan.frame(node.sources, memory)
            let value = node.type.coerce(box.evaluate(&frame, &call), &call, node.name)
            memory[node.index] = value
            visit?(node, value, call.reasons[min(mark, call.reasons.count)...])
        }
    }

    static func frame(_ sources: [GraphNode.Source], _ memory: [Value]) -> [Value] {
        sources.map { value($0, memory) }
    }

    private static func value(_ source: GraphNode.Source, _ memory: [Value]) -> Value {
        switch source {
        case .node(let index): memory[index]
        case .constant(let value): value
        case .imported(let entries): .context(Context(entries.map { ($0.name, value($0.source, memory)) }))
        }
    }
}

/// A decision service: the part of the graph between its inputs and its outputs.
struct ServicePlan: Sendable {
    let plan: Plan
    /// The parameters: input data, then input decisions.
    let inputs: [GraphNode]
    let outputs: [GraphNode]
    let type: ItemType
    let name: String

    /// The service's value: of one output the value, of several a context.
    func evaluate(_ arguments: [Value], _ call: inout Call) -> Value {
        guard call.enter(Box.levels) else { return .null }
        defer { call.leave(Box.levels) }
        var memory = Array(repeating: Value.null, count: plan.memory)
        for (node, argument) in zip(inputs, arguments) {
            memory[node.index] = node.type.coerce(argument, &call, node.name)
        }
        plan.run(&memory, &call)
        let value: Value =
            outputs.count == 1
            ? memory[outputs[0].index] : .context(Context(outputs.map { ($0.name, memory[$0.index]) }))
        return type.coerce(value, &call, name)
    }
}
