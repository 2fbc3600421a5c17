import FEEL

/// Brings models together into one graph: references resolved, elements in topological order, circles refused.
struct GraphCompiler {
    /// An element before it is compiled.
    private struct Draft {
        let model: Int
        let element: DRGElement
        /// Positions of the drafts that must come first, in the order of the requirements.
        var requires: [Int] = []
    }

    private let models: [DMNModel]
    private let options: CompiledModel.Options
    private var tables: [TypeTable] = []
    private var drafts: [Draft] = []
    /// Draft positions by namespace and identifier.
    private var positions: [String: Int] = [:]
    /// Compiled nodes by draft position.
    private var compiled: [Int: GraphNode] = [:]
    private(set) var nodes: [GraphNode] = []
    private(set) var issues: [DMNError.Issue] = []
    private(set) var warnings: [DMNError.Issue] = []

    init(_ models: [DMNModel], _ options: CompiledModel.Options) {
        self.models = models
        self.options = options
    }

    mutating func compile() throws(DMNError) {
        try resolveTypes()
        for (model, content) in models.enumerated() {
            for element in content.elements {
                if case .knowledgeSource = element { continue }
                if let id = element.id { positions["\(content.namespace)#\(id)"] = drafts.count }
                drafts.append(Draft(model: model, element: element))
            }
        }
        guard drafts.count <= DMNLimits.elements else {
            throw failure("", "too_complex", "more than \(DMNLimits.elements) elements", nil)
        }
        for position in drafts.indices { resolveRequirements(position) }
        for position in try topologicalOrder() { compile(position) }
    }

    private func failure(
        _ pointer: String, _ code: String, _ message: String, _ location: SourceLocation?
    ) -> DMNError {
        DMNError(issues: [DMNError.Issue(pointer: pointer, code: code, message: message, location: location)])
    }

    private mutating func report(
        _ draft: Draft, _ code: String, _ message: String, _ location: SourceLocation?
    ) {
        issues.append(
            DMNError.Issue(
                pointer: GraphCompiler.pointer(draft.element), code: code, message: message, location: location))
    }

    private static func pointer(_ element: DRGElement) -> String {
        switch element {
        case .inputData: "/inputData/\(element.name)"
        case .decision: "/decision/\(element.name)"
        case .businessKnowledgeModel: "/businessKnowledgeModel/\(element.name)"
        case .decisionService: "/decisionService/\(element.name)"
        case .knowledgeSource: "/knowledgeSource/\(element.name)"
        }
    }

    // MARK: Types

    /// Resolves the models' types, imported models first.
    private mutating func resolveTypes() throws(DMNError) {
        guard models.count <= DMNLimits.models else {
            throw failure("", "too_complex", "more than \(DMNLimits.models) models", nil)
        }
        let byNamespace = Dictionary(
            models.enumerated().map { ($1.namespace, $0) }, uniquingKeysWith: { first, _ in first })
        if byNamespace.count != models.count {
            throw failure("/definitions", "invalid_model", "two models have the same namespace", nil)
        }
        var resolved: [String: TypeTable] = [:]
        var waiting = Array(models.indices)
        while !waiting.isEmpty {
            // A model is ready when all its imports are; in a circle of imports the first one starts without.
            let ready = waiting.firstIndex { index in
                models[index].imports.allSatisfy { reference in
                    byNamespace[reference.namespace] == nil || resolved[reference.namespace] != nil
                        || reference.namespace == models[index].namespace
                }
            }
            let index = waiting.remove(at: ready ?? 0)
            let model = models[index]
            for reference in model.imports where reference.isModel && byNamespace[reference.namespace] == nil {
                issues.append(
                    DMNError.Issue(
                        pointer: "/import/\(reference.name)", code: "unknown_import",
                        message: "no model with the namespace '\(reference.namespace)' was given",
                        location: reference.location))
            }
            let (table, found) = TypeTable.resolve(model, imported: resolved, zones: options.zones)
            resolved[model.namespace] = table
            issues += found
        }
        tables = models.compactMap { resolved[$0.namespace] }
    }

    // MARK: References

    private func position(_ href: String, from model: Int) -> Int? {
        guard let hash = href.utf8.lastIndex(of: UInt8(ascii: "#")) else { return nil }
        let namespace = String(href[..<hash])
        let id = String(href[href.index(after: hash)...])
        return positions["\(namespace.isEmpty ? models[model].namespace : namespace)#\(id)"]
    }

    private mutating func resolveRequirements(_ position: Int) {
        let draft = drafts[position]
        var references: [(href: String, location: SourceLocation?)] = []
        switch draft.element {
        case .decision(let decision): references = GraphCompiler.needs(decision.requirements)
        case .businessKnowledgeModel(let model): references = GraphCompiler.needs(model.requirements)
        case .decisionService(let service):
            references =
                (service.outputDecisions + service.encapsulatedDecisions + service.inputDecisions + service.inputData)
                .map { ($0, service.location) }
        case .inputData, .knowledgeSource: break
        }
        for reference in references {
            if let target = self.position(reference.href, from: draft.model) {
                drafts[position].requires.append(target)
            } else {
                report(draft, "unknown_reference", "nothing has the identifier '\(reference.href)'", reference.location)
            }
        }
    }

    private static func needs(_ requirements: [Requirement]) -> [(href: String, location: SourceLocation?)] {
        requirements.filter { $0.kind != .authority }.map { ($0.href, $0.location) }
    }

    /// Draft positions so that every element follows what it requires.
    private func topologicalOrder() throws(DMNError) -> [Int] {
        enum Mark { case fresh, open, done }
        var marks = Array(repeating: Mark.fresh, count: drafts.count)
        var order: [Int] = []
        for start in drafts.indices where marks[start] == .fresh {
            var stack = [(position: start, next: 0)]
            marks[start] = .open
            while let top = stack.last {
                let requires = drafts[top.position].requires
                guard top.next < requires.count else {
                    marks[top.position] = .done
                    order.append(top.position)
                    stack.removeLast()
                    continue
                }
                stack[stack.count - 1].next += 1
                let target = requires[top.next]
                if marks[target] == .open {
                    let names = (stack.map(\.position) + [target]).drop { $0 != target }.map { drafts[$0].element.name }
                    throw failure(
                        GraphCompiler.pointer(drafts[target].element), "circular_requirement",
                        "the elements require each other: " + names.joined(separator: " -> "), nil)
                }
                if marks[target] == .fresh {
                    marks[target] = .open
                    stack.append((target, 0))
                }
            }
        }
        return order
    }

    // MARK: Elements

    private mutating func compile(_ position: Int) {
        let draft = drafts[position]
        switch draft.element {
        case .inputData(let input):
            let type = self.type(input.variable.typeRef, draft, input.location)
            add(position, name: input.name, kind: .inputData, type: type, resultType: type.type, sources: [])
        case .decision(let decision): compile(decision, draft, position)
        case .businessKnowledgeModel(let model): compile(model, draft, position)
        case .decisionService(let service): compile(service, draft, position)
        case .knowledgeSource: break
        }
    }

    private mutating func add(
        _ position: Int, name: String, kind: GraphNode.Kind, type: ItemType, resultType: FEELType,
        sources: [GraphNode.Source]
    ) {
        let model = drafts[position].model
        let prefix = model == 0 ? "" : importName(of: model)
        let node = GraphNode(
            index: nodes.count, name: name, qualifiedName: prefix.isEmpty ? name : "\(prefix).\(name)",
            namespace: models[model].namespace, kind: kind, type: type, resultType: resultType, sources: sources)
        nodes.append(node)
        compiled[position] = node
    }

    /// How the main model calls another; models that it does not import itself go by their own name.
    private func importName(of model: Int) -> String {
        models[0].imports.first { $0.namespace == models[model].namespace }?.name ?? models[model].name
    }

    private mutating func type(_ reference: String?, _ draft: Draft, _ location: SourceLocation?) -> ItemType {
        if let type = tables[draft.model].type(reference) { return type }
        report(draft, "unknown_type", "unknown type '\(reference ?? "")'", location)
        return .any
    }

    /// The scope of an element: what it requires by name, elements of other models inside their import's name.
    private func scope(_ draft: Draft) -> (names: [TypedName], sources: [GraphNode.Source]) {
        var names: [TypedName] = []
        var sources: [GraphNode.Source] = []
        var imported: [(name: String, entries: [(name: String, node: GraphNode)])] = []
        for required in draft.requires {
            guard let node = compiled[required] else { continue }
            let other = drafts[required].model
            let name = GraphCompiler.variableName(drafts[required].element)
            let prefix =
                other == draft.model
                ? "" : models[draft.model].imports.first { $0.namespace == models[other].namespace }?.name ?? ""
            if prefix.isEmpty {
                names.append(TypedName(name: name, type: node.resultType, isNullable: true))
                sources.append(source(node))
            } else if let index = imported.firstIndex(where: { $0.name == prefix }) {
                imported[index].entries.append((name, node))
            } else {
                imported.append((prefix, [(name, node)]))
            }
        }
        for (name, entries) in imported {
            let fields = Dictionary(
                entries.map { ($0.name, $0.node.resultType) }, uniquingKeysWith: { first, _ in first })
            names.append(TypedName(name: name, type: .context(fields), isNullable: true))
            sources.append(.imported(entries.map { ($0.name, source($0.node)) }))
        }
        return (names, sources)
    }

    private static func variableName(_ element: DRGElement) -> String {
        switch element {
        case .inputData(let element): element.variable.name
        case .decision(let element): element.variable.name
        case .businessKnowledgeModel(let element): element.variable.name
        case .decisionService(let element): element.variable.name
        case .knowledgeSource(let element): element.name
        }
    }

    private func source(_ node: GraphNode) -> GraphNode.Source {
        if case .function(let function, _) = node.kind { return .constant(.function(function)) }
        return .node(node.index)
    }

    private func compiler(_ draft: Draft, _ names: [TypedName]) -> BoxCompiler {
        BoxCompiler(
            BoxCompiler.Settings(
                types: tables[draft.model], zones: options.zones, profile: options.profile,
                checksTables: options.checksTables && !options.isTolerant),
            names: names, pointer: [String(GraphCompiler.pointer(draft.element).dropFirst())])
    }

    private mutating func compile(_ decision: Decision, _ draft: Draft, _ position: Int) {
        let (names, sources) = scope(draft)
        let type = self.type(decision.variable.typeRef, draft, decision.location)
        var compiler = compiler(draft, names)
        let box = compiler.optional(decision.expression, decision.name, expected: type)
        issues += compiler.issues
        warnings += compiler.warnings
        add(
            position, name: decision.name, kind: .decision(box), type: type,
            resultType: type.type == .any ? box.resultType : type.type, sources: sources)
    }

    private mutating func compile(_ model: BusinessKnowledgeModel, _ draft: Draft, _ position: Int) {
        let (names, sources) = scope(draft)
        // What a knowledge model requires are functions, which are known now.
        let captured = Plan.frame(sources.map { if case .node = $0 { .constant(.null) } else { $0 } }, [])
        var compiler = compiler(draft, names)
        let declared = type(model.variable.typeRef, draft, model.location).result
        let logic = model.logic ?? FunctionDefinition(parameters: [], body: nil)
        let parts = compiler.parts(logic, model.name, result: declared)
        issues += compiler.issues
        warnings += compiler.warnings
        let function = Box.function(
            parts.names, parts.type, captured: captured, slot: parts.slot, parts.parameters, parts.body)
        add(
            position, name: model.name, kind: .function(function, .knowledgeModel), type: .any,
            resultType: parts.type, sources: [])
    }

    private mutating func compile(_ service: DecisionService, _ draft: Draft, _ position: Int) {
        let find = { [self] (references: [String]) -> [GraphNode] in
            references.compactMap { self.position($0, from: draft.model).flatMap { compiled[$0] } }
        }
        let inputs = find(service.inputData + service.inputDecisions)
        let outputs = find(service.outputDecisions)
        if outputs.isEmpty { report(draft, "invalid_model", "a service needs an output decision", service.location) }
        let declared = type(service.variable.typeRef, draft, service.location).result
        let plan = plan(for: outputs, given: Set(inputs.map(\.index)))
        let servicePlan = ServicePlan(plan: plan, inputs: inputs, outputs: outputs, type: declared, name: service.name)
        var result = declared.type
        if result == .any {
            result =
                outputs.count == 1
                ? outputs[0].resultType
                : .context(
                    Dictionary(outputs.map { ($0.name, $0.resultType) }, uniquingKeysWith: { first, _ in first }))
        }
        let type = FEELType.function(inputs.map(\.type.type), result)
        let function = Function(parameters: inputs.map(\.name), type: type) { arguments, call in
            servicePlan.evaluate(arguments, &call)
        }
        add(
            position, name: service.name, kind: .function(function, .service(servicePlan)), type: .any,
            resultType: type, sources: [])
    }

    /// The decisions that lead to the wanted ones, cut off at what is given.
    func plan(for wanted: [GraphNode], given: Set<Int> = []) -> Plan {
        var needed: Set<Int> = []
        var stack = wanted.map(\.index).filter { !given.contains($0) }
        while let index = stack.popLast() {
            guard needed.insert(index).inserted else { continue }
            for source in nodes[index].sources {
                stack += GraphCompiler.indices(source).filter { !given.contains($0) }
            }
        }
        let memory = (needed.union(given).max() ?? -1) + 1
        return Plan(nodes: needed.sorted().map { nodes[$0] }, memory: memory)
    }

    private static func indices(_ source: GraphNode.Source) -> [Int] {
        switch source {
        case .node(let index): [index]
        case .constant: []
        case .imported(let entries): entries.flatMap { indices($0.source) }
        }
    }
}
