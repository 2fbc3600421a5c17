public import FEEL

/// A DMN model with its imports, compiled: one graph whose decisions, knowledge models and services can be evaluated by
/// any number of threads.
///
/// ```swift
/// let model = try DMNModel(xml: bytes)
/// let compiled = try CompiledModel.compile(model, imports: others)
/// let result = compiled.evaluate(decision: "Eligibility", inputs: ["Age": .number(42)], trace: .tables)
/// ```
public final class CompiledModel: Sendable {
    /// How a model is compiled.
    public struct Options: Sendable {
        /// `.closed` refuses names out of scope and comparisons that can never hold, as definitions are published;
        /// `.dmn` is the letter of DMN: what cannot be computed is null.
        public var profile: Profile
        /// Rules of time zones.
        public var zones: ZoneOffsets
        /// Whether expressions that cannot be compiled evaluate to null instead of refusing the model. The findings are
        /// in `issues` either way.
        public var isTolerant: Bool
        /// Whether tables are checked (`DecisionTable.findings`), as before publication; what was published once need
        /// not be checked again.
        public var checksTables: Bool

        /// Makes options; without any, those of publication.
        public init(
            profile: Profile = .closed, zones: ZoneOffsets = .utcOnly, isTolerant: Bool = false,
            checksTables: Bool = true
        ) {
            self.profile = profile
            self.zones = zones
            self.isTolerant = isTolerant
            self.checksTables = checksTables
        }
    }

    /// Something that can be supplied or asked for.
    public struct Item: Hashable, Sendable {
        /// The element's name.
        public let name: String
        /// The name with its import's before it, such as `Base.Age`; equal to `name` in the main model.
        public let qualifiedName: String
        /// The namespace of its model.
        public let namespace: String
        /// Its type: the declared one, else what the expression gives as far as that is known.
        public let type: FEELType
        let node: Int
    }

    /// What the caller may supply, in the order of `evaluate(decision:inputs:)` with positions.
    public let inputs: [Item]
    /// What can be decided, those of the main model first.
    public let decisions: [Item]
    /// Decision services; their types are function types.
    public let services: [Item]
    /// Business knowledge models; their types are function types.
    public let functions: [Item]
    /// What was found while compiling a model tolerantly.
    public let issues: [DMNError.Issue]
    /// What a model that was not compiled tolerantly should be told about its tables: gaps, rules without effect.
    public let warnings: [DMNError.Issue]

    let nodes: [GraphNode]
    /// By decision, in the order of `decisions`.
    let plans: [Plan]

    /// Compiles a model.
    /// - Parameters:
    ///   - imports: the models that it imports, directly or through others, found by namespace.
    ///   Tables are checked unless the compilation is tolerant: what `DecisionTable.findings` calls an error refuses the
    ///   model, the rest is in `warnings`.
    /// - Throws: all findings (at most `DMNLimits.issues`); a tolerant compilation only those about the graph:
    ///   `circular_requirement`, `invalid_model` (two models of one namespace), `too_complex`.
    public static func compile(
        _ model: DMNModel, imports: [DMNModel] = [], options: Options = Options()
    ) throws(DMNError) -> CompiledModel {
        var compiler = GraphCompiler([model] + imports, options)
        try compiler.compile()
        if !compiler.issues.isEmpty && !options.isTolerant {
            throw DMNError(issues: Array(compiler.issues.prefix(DMNLimits.issues)))
        }
        return CompiledModel(compiler, namespace: model.namespace)
    }

    private init(_ compiler: GraphCompiler, namespace: String) {
        nodes = compiler.nodes
        issues = Array(compiler.issues.prefix(DMNLimits.issues))
        warnings = Array(compiler.warnings.prefix(DMNLimits.issues))
        func items(_ isWanted: (GraphNode) -> Bool) -> [Item] {
            let wanted = compiler.nodes.filter(isWanted)
            return (wanted.filter { $0.namespace == namespace } + wanted.filter { $0.namespace != namespace }).map {
                Item(
                    name: $0.name, qualifiedName: $0.qualifiedName, namespace: $0.namespace, type: $0.resultType,
                    node: $0.index)
            }
        }
        inputs = items { if case .inputData = $0.kind { true } else { false } }
        decisions = items { if case .decision = $0.kind { true } else { false } }
        services = items { if case .function(_, .service) = $0.kind { true } else { false } }
        functions = items { if case .function(_, .knowledgeModel) = $0.kind { true } else { false } }
        plans = decisions.map { compiler.plan(for: [compiler.nodes[$0.node]]) }
    }

    /// The position of a decision in `decisions`, by its name or qualified name; nil when there is none.
    public func decisionIndex(_ name: String) -> Int? { CompiledModel.index(name, decisions) }

    /// The position of an input in `inputs`, by its name or qualified name; nil when there is none.
    /// - Parameter namespace: of the model that declares it; nil for any.
    public func inputIndex(_ name: String, namespace: String? = nil) -> Int? {
        guard let namespace else { return CompiledModel.index(name, inputs) }
        return inputs.firstIndex { $0.name == name && $0.namespace == namespace }
    }

    private static func index(_ name: String, _ items: [Item]) -> Int? {
        items.firstIndex { $0.qualifiedName == name } ?? items.firstIndex { $0.name == name }
    }

    /// The inputs that a decision depends on, as positions in `inputs`, ascending.
    /// - Parameter decision: a position in `decisions`.
    public func inputs(ofDecision decision: Int) -> [Int] {
        let needed = Set(plans[decision].nodes.map(\.index))
        return inputs.indices.filter { needed.contains(inputs[$0].node) }
    }

    // MARK: Evaluation

    /// Evaluates a decision with inputs by name; nil when there is no such decision.
    /// - Parameters:
    ///   - decision: a name or qualified name.
    ///   - inputs: values by name or qualified name; what is not given is null, other names are ignored.
    ///   - now: the current time in microseconds since the Unix epoch, for `now()` and `today()`.
    public func evaluate(
        decision: String, inputs: [String: Value], now: Int64? = nil, trace: TraceDetail = .none
    ) -> DecisionResult? {
        guard let index = decisionIndex(decision) else { return nil }
        return evaluate(decision: index, inputs: ordered(inputs), now: now, trace: trace)
    }

    private func ordered(_ values: [String: Value]) -> [Value] {
        inputs.map { values[$0.qualifiedName] ?? values[$0.name] ?? .null }
    }

    /// Evaluates a decision with inputs by position. Never throws: what cannot be computed is null, with its reason in
    /// the result.
    /// - Parameters:
    ///   - decision: a position in `decisions`.
    ///   - inputs: values in the order of `inputs`; missing ones are null. A value that does not conform to its
    ///     input's type is converted as DMN allows, else null.
    public func evaluate(
        decision: Int, inputs values: [Value], now: Int64? = nil, trace: TraceDetail = .none
    ) -> DecisionResult {
        let found = run(plans[decision], values, now, trace)
        return DecisionResult(
            value: found.memory[decisions[decision].node], reasons: found.reasons, decisions: found.decisions,
            tables: found.tables)
    }

    /// Evaluates a decision service with inputs by name: of one output decision its value, of several a context by
    /// their names. Nil when there is no such service.
    /// - Parameter inputs: values of its input decisions and input data; what is not given is null.
    public func evaluate(
        service: String, inputs values: [String: Value], now: Int64? = nil, trace: TraceDetail = .none
    ) -> DecisionResult? {
        guard let index = CompiledModel.index(service, services),
            case .function(_, .service(let service)) = nodes[services[index].node].kind
        else { return nil }
        let sink: TraceSink? = trace == .none ? nil : TraceSink(trace)
        var call = Call(now: now, collectsReasons: true, observer: sink)
        let arguments = service.inputs.map { values[$0.qualifiedName] ?? values[$0.name] ?? .null }
        let value = service.evaluate(arguments, &call)
        return DecisionResult(value: value, reasons: call.reasons, decisions: [], tables: sink?.tables ?? [])
    }

    /// Names of a service's output decisions, in order; nil when there is no such service.
    public func outputs(ofService service: String) -> [String]? {
        guard let index = CompiledModel.index(service, services),
            case .function(_, .service(let service)) = nodes[services[index].node].kind
        else { return nil }
        return service.outputs.map(\.name)
    }

    /// Invokes a business knowledge model with arguments by parameter name; nil when there is no such model.
    public func evaluate(
        function: String, arguments: [String: Value], now: Int64? = nil, trace: TraceDetail = .none
    ) -> DecisionResult? {
        guard let index = CompiledModel.index(function, functions),
            case .function(let function, _) = nodes[functions[index].node].kind
        else { return nil }
        let sink: TraceSink? = trace == .none ? nil : TraceSink(trace)
        var call = Call(now: now, collectsReasons: true, observer: sink)
        let value = function.apply(function.parameters.map { arguments[$0] ?? .null }, in: &call)
        return DecisionResult(value: value, reasons: call.reasons, decisions: [], tables: sink?.tables ?? [])
    }
}

/// The value of a decision, and how it came about.
public struct DecisionResult: Sendable {
    /// The value; null when it could not be computed.
    public let value: Value
    /// Why nulls arose on the way, in the order of evaluation.
    public let reasons: [NullReason]
    /// Every decision that was evaluated, in order, the asked one last; empty without a trace.
    public let decisions: [DecisionTrace]
    /// Every table that was evaluated, in order; empty without a trace.
    public let tables: [TableTrace]
}
