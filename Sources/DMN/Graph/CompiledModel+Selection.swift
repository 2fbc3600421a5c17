public import FEEL

extension CompiledModel {
    /// Several decisions that are evaluated together: what they share is evaluated once.
    public struct Selection: Sendable {
        /// Positions in `decisions`, in the order asked for.
        public let decisions: [Int]
        /// Positions in `inputs` of what they depend on, ascending.
        public let inputs: [Int]
        let plan: Plan
    }

    /// The values of several decisions, and how they came about.
    public struct SelectionResult: Sendable {
        /// In the order of the selection; null where a decision could not be computed.
        public let values: [Value]
        /// Why nulls arose on the way, in the order of evaluation.
        public let reasons: [NullReason]
        /// Every table that was evaluated, in order; empty without a trace.
        public let tables: [TableTrace]
        /// Every decision that was evaluated, in order; empty without a trace.
        public let decisions: [DecisionTrace]
    }

    /// What one run of a plan gives.
    struct Run {
        var memory: [Value]
        var reasons: [NullReason]
        var decisions: [DecisionTrace]
        var tables: [TableTrace]
    }

    /// Plans several decisions at once.
    /// - Parameter decisions: positions in `decisions`.
    public func selection(_ decisions: [Int]) -> Selection {
        // Positions of nodes follow the graph: what a node needs stands before it.
        var nodes: [Int: GraphNode] = [:]
        for decision in decisions {
            for node in plans[decision].nodes { nodes[node.index] = node }
        }
        let plan = Plan(
            nodes: nodes.keys.sorted().compactMap { nodes[$0] },
            memory: decisions.map { plans[$0].memory }.max() ?? 0)
        return Selection(
            decisions: decisions, inputs: inputs.indices.filter { nodes[inputs[$0].node] != nil }, plan: plan)
    }

    /// Evaluates a selection with inputs by position, as `evaluate(decision:inputs:now:trace:)` does one decision.
    /// - Parameter values: in the order of `inputs`; missing ones are null.
    public func evaluate(
        _ selection: Selection, inputs values: [Value], now: Int64? = nil, trace: TraceDetail = .none
    ) -> SelectionResult {
        let found = run(selection.plan, values, now, trace)
        return SelectionResult(
            values: selection.decisions.map { found.memory[decisions[$0].node] }, reasons: found.reasons,
            tables: found.tables, decisions: found.decisions)
    }

    func run(_ plan: Plan, _ values: [Value], _ now: Int64?, _ trace: TraceDetail) -> Run {
        let sink: TraceSink? = trace == .none ? nil : TraceSink(trace)
        var call = Call(now: now, collectsReasons: true, observer: sink)
        var memory = Array(repeating: Value.null, count: plan.memory)
        for (input, value) in zip(inputs, values) where input.node < plan.memory {
            memory[input.node] = nodes[input.node].type.coerce(value, &call, input.name)
        }
        var steps: [DecisionTrace] = []
        plan.run(&memory, &call) { node, value, reasons in
            guard sink != nil else { return }
            steps.append(DecisionTrace(name: node.qualifiedName, value: value, reasons: Array(reasons)))
        }
        return Run(memory: memory, reasons: call.reasons, decisions: steps, tables: sink?.tables ?? [])
    }
}
