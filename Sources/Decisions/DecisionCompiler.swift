import DMN
public import FEEL
import Features
public import JSON

/// Compiles a `DecisionSpec` against the views and models that exist.
public struct DecisionCompiler {
    private let spec: DecisionSpec
    private let pointer: String
    private let problems: ProblemList
    private let models: (String) -> ModelInterface?
    private let checksTables: Bool
    private let checksInputs: (String) -> Bool
    private var warnings: [DocumentProblem] = []
    private var names: [TypedName] = []
    private let zones: ZoneOffsets
    private var slots: [String: Int] = [:]
    private var views: [(name: String, interface: ViewInterface)] = []
    /// `view.feature` -> (use, index), and plain feature name -> the same where it is unique.
    private var features: [String: (use: Int, index: Int)] = [:]
    private var ambiguous: Set<String> = []
    private var entityInputs: [[Int]] = []

    /// Compiles; on any problem the list grows and nil is returned.
    ///
    /// - Parameters:
    ///   - pointer: where the spec stands in the document.
    ///   - zones: the time zones that expressions may name; records tell the version of their database.
    ///   - checksTables: whether tables that overlap, or that contradict their columns, are refused, and gaps told: before
    ///     publication. What was published once compiles without.
    ///   - checksInputs: whether a text that a model would take for a number is refused for the model of this name; always
    ///     with `checksTables`.
    ///   - views: looks a feature view up by name.
    ///   - models: looks a model up by name.
    public static func compile(
        name: String, version: Int, spec: DecisionSpec, at pointer: String, _ problems: ProblemList,
        zones: ZoneOffsets = .utcOnly, checksTables: Bool = false,
        checksInputs: @escaping (String) -> Bool = { _ in false },
        views: (String) -> ViewInterface?, models: @escaping (String) -> ModelInterface?
    ) -> CompiledDecision? {
        let before = problems.problems.count
        var compiler = DecisionCompiler(
            spec: spec, pointer: pointer, problems: problems, zones: zones, checksTables: checksTables,
            checksInputs: { checksTables || checksInputs($0) }, models: models)
        compiler.declareInputs()
        let featureSlots = compiler.declareFeatures(views)
        let nodes = compiler.compileNodes()
        let environment = Environment(compiler.names, zones: zones)
        var outputs: [Expression] = []
        for (index, output) in spec.outputs.enumerated() {
            let place = "\(pointer)/outputs/\(index)/expression"
            if let expression = compiler.expression(output.expression, environment, place) {
                compiler.check(expression.resultType, against: output.type, place)
                outputs.append(expression)
            }
        }
        var scoreSlot: Int?
        if let score = spec.scoreNode {
            scoreSlot = compiler.slots[score]
            if scoreSlot == nil { problems.add("\(pointer)/score", "unknown_name", "no node has this name") }
        }
        compiler.checkReasons()
        guard problems.problems.count == before else { return nil }
        let used = Self.usedSlots(nodes, outputs)
        return CompiledDecision(
            name: name, version: version, spec: spec, nodes: nodes, outputs: outputs, scoreSlot: scoreSlot,
            slotCount: compiler.names.count, views: compiler.views,
            entityInputs: compiler.entityInputs, warnings: compiler.warnings,
            featureSlots: featureSlots.filter { used.contains($0.slot) },
            names: DecisionNames(
                name: name, version: version, tzdata: zones.version, spec: spec, nodes: nodes, views: compiler.views,
                reasonTexts: Dictionary(spec.reasonTexts.map { ($0.code, $0.text) }) { first, _ in first }))
    }

    private init(
        spec: DecisionSpec, pointer: String, problems: ProblemList, zones: ZoneOffsets, checksTables: Bool,
        checksInputs: @escaping (String) -> Bool, models: @escaping (String) -> ModelInterface?
    ) {
        self.zones = zones
        self.checksTables = checksTables
        self.checksInputs = checksInputs
        self.spec = spec
        self.pointer = pointer
        self.problems = problems
        self.models = models
    }

    private mutating func declare(_ name: String, _ type: FEELType, nullable: Bool, _ place: String) -> Int {
        if slots[name] != nil { problems.add(place, "duplicate_name", "this name is taken") }
        slots[name] = names.count
        names.append(TypedName(name: name, type: type, isNullable: nullable))
        return names.count - 1
    }

    private mutating func declareInputs() {
        for (index, input) in spec.inputs.enumerated() {
            _ = declare(input.name, input.type, nullable: input.isOptional, "\(pointer)/inputs/\(index)/name")
        }
    }

    private mutating func declareFeatures(_ lookup: (String) -> ViewInterface?) -> [FeatureSlot] {
        var featureSlots: [FeatureSlot] = []
        for (use, feature) in spec.features.enumerated() {
            let place = "\(pointer)/features/\(use)/view"
            guard let interface = lookup(feature.view) else {
                problems.add(place, "unknown_view", "no feature view has this name")
                continue
            }
            views.append((feature.view, interface))
            entityInputs.append(bind(feature, interface.entityParts, "\(pointer)/features/\(use)/entity"))
            for (index, column) in interface.features.enumerated() {
                let name = "\(feature.view).\(column.name)"
                let slot = declare(name, column.type, nullable: true, place)
                featureSlots.append(FeatureSlot(slot: slot, use: use, index: index))
                features[name] = (use, index)
                if features[column.name] != nil { ambiguous.insert(column.name) }
                features[column.name] = (use, index)
            }
        }
        return featureSlots
    }

    /// The inputs that hold the parts of the entity's key, in the view's order.
    private func bind(_ use: FeatureUse, _ parts: [String], _ place: String) -> [Int] {
        if use.entityParts.isEmpty, parts.count == 1 { return [use.entityInput] }
        let inputs = parts.compactMap { part in use.entityParts.first { $0.name == part }?.input }
        if inputs.count != parts.count || use.entityParts.count != parts.count {
            problems.add(
                place, "entity_parts_differ", "the view's entity has the parts \(parts.joined(separator: ", "))")
        }
        return inputs
    }

    private mutating func compileNodes() -> [(name: String, node: CompiledNode)] {
        var compiled: [(name: String, node: CompiledNode)] = []
        for (index, item) in spec.nodes.enumerated() {
            let place = "\(pointer)/nodes/\(index)"
            switch item.node {
            case .model(let steps):
                let plans = steps.enumerated().compactMap { step, plan in
                    compileStep(plan, "\(place)/model/steps/\(step)")
                }
                let slot = declare(item.name, .number, nullable: true, "\(place)/name")
                compiled.append((item.name, .model(steps: plans, slot: slot)))
            case .expression(let source, let type):
                let expression = expression(source, Environment(names, zones: zones), "\(place)/expression")
                if let expression { check(expression.resultType, against: type, "\(place)/expression") }
                let slot = declare(item.name, type, nullable: true, "\(place)/name")
                if let expression { compiled.append((item.name, .expression(expression, slot: slot))) }
            case .table(let table):
                if let node = compileTable(item.name, table, place) { compiled.append((item.name, .table(node))) }
            case .dmn(let spec):
                // A decision that is a model as a whole has it beside its nodes.
                let place = item.name == "dmn" && index == self.spec.nodes.count - 1 ? "\(pointer)/dmn" : "\(place)/dmn"
                if let node = compileDMN(spec, place) { compiled.append((item.name, .dmn(node))) }
            }
        }
        return compiled
    }

    private mutating func compileDMN(_ spec: DMNNodeSpec, _ place: String) -> CompiledDMNNode? {
        guard let (model, decisions) = spec.compile(zones: zones, checksTables: checksTables, at: place, problems)
        else { return nil }
        if checksTables { warnings += model.warnings.problems(at: place + "/model") }
        let selection = model.selection(decisions)
        let environment = Environment(names, zones: zones)
        var bindings: [Expression] = []
        for position in selection.inputs {
            let input = model.inputs[position]
            let source = spec.inputs[input.qualifiedName] ?? spec.inputs[input.name] ?? input.qualifiedName
            let pointer = place + JSONPointer(tokens: ["inputs", input.qualifiedName]).text
            guard let binding = expression(source, environment, pointer) else { continue }
            check(binding.resultType, against: input.type, pointer)
            bindings.append(binding)
        }
        let slots = decisions.map { index in
            let decision = model.decisions[index]
            return declare(decision.qualifiedName, decision.type, nullable: true, "\(place)/decisions")
        }
        guard bindings.count == selection.inputs.count else { return nil }
        return CompiledDMNNode(model: model, selection: selection, bindings: bindings, slots: slots)
    }

    private func expression(_ source: String, _ environment: Environment, _ place: String) -> Expression? {
        do {
            return try Expression(source, in: environment, profile: .closed)
        } catch {
            problems.add(place, error.code.rawValue, "\(error.message) (at character \(error.offset))")
            return nil
        }
    }

    private func check(_ found: FEELType, against declared: FEELType, _ place: String) {
        if !found.fits(declared) {
            problems.add(place, "type_mismatch", "the expression gives \(found.name), \(declared.name) is declared")
        }
    }

    private func compileStep(_ step: ModelStep, _ place: String) -> CompiledStep? {
        switch step {
        case .constant(let value): return .constant(value)
        case .model(let name, let inputs, let budget):
            guard let interface = models(name) else {
                problems.add("\(place)/model", "unknown_model", "no model has this name")
                return nil
            }
            var bound: [BoundModelInput] = []
            for feature in interface.features ?? [] {
                let wanted = inputs[feature] ?? feature
                guard let source = source(wanted, interface.categories[feature]) else {
                    problems.add(
                        "\(place)/inputs", "unbound_model_input",
                        "the model's input \(feature) is neither an input, a feature nor a node")
                    continue
                }
                if checksInputs(name), isText(source) {
                    problems.add(
                        "\(place)/inputs", "text_for_number",
                        "the model's input \(feature) takes numbers, \(wanted) is a text; give the model its categories"
                    )
                }
                bound.append(
                    BoundModelInput(name: feature, source: source, rule: interface.rules[feature] ?? .lenient))
            }
            return .model(name: name, inputs: bound, budgetMicros: budget)
        }
    }

    private func source(_ wanted: String, _ categories: [String]?) -> ModelInputSource? {
        let isInput = spec.inputs.contains { $0.name == wanted }
        if let slot = slots[wanted], isInput || features[wanted] == nil {
            guard let categories else { return .slot(slot) }
            return .category(slot: slot, codes: Self.codes(categories))
        }
        guard let feature = features[wanted], !ambiguous.contains(wanted) else { return nil }
        guard let categories else { return .feature(use: feature.use, index: feature.index) }
        return .featureCategory(use: feature.use, index: feature.index, codes: Self.codes(categories))
    }

    /// Codes by name; of a name that a file has twice the first.
    private static func codes(_ categories: [String]) -> [String: Double] {
        Dictionary(categories.enumerated().map { ($1, Double($0)) }, uniquingKeysWith: { first, _ in first })
    }

    /// Whether a source without categories gives texts.
    private func isText(_ source: ModelInputSource) -> Bool {
        switch source {
        case .slot(let slot): slot < spec.inputs.count && spec.inputs[slot].type == .string
        case .feature(let use, let index): views[use].interface.features[index].type == .string
        case .category, .featureCategory: false
        }
    }

    /// The DMN target speaks of tests and outputs where the document says `when` and `then`.
    private static func asWritten(_ pointer: String) -> String {
        guard pointer.hasPrefix("/rules/") else { return pointer }
        return pointer.replacing("/tests", with: "/when").replacing("/outputs", with: "/then")
    }

    private mutating func compileTable(_ name: String, _ spec: TableSpec, _ place: String) -> CompiledTable? {
        let environment = Environment(names, zones: zones)
        let table: DecisionTable
        do {
            table = try DecisionTable.compile(try spec.dmn(), environment: environment, profile: .closed)
        } catch {
            for issue in error.issues {
                problems.add("\(place)/table\(Self.asWritten(issue.pointer))", issue.code, issue.message)
            }
            return nil
        }
        if checksTables { check(table, place) }
        var outputSlots: [Int] = []
        var listSlot: Int?
        if table.spec.hitPolicy.isSingleHit {
            for output in spec.outputs {
                let slotName = spec.outputs.count == 1 ? name : "\(name).\(output.name)"
                outputSlots.append(declare(slotName, output.type, nullable: true, "\(place)/name"))
            }
        } else {
            let element: FEELType = spec.outputs.count == 1 ? spec.outputs[0].type : .any
            let type: FEELType = spec.aggregation == nil ? .list(element) : .number
            listSlot = declare(name, type, nullable: spec.aggregation != nil, "\(place)/name")
        }
        return CompiledTable(
            table: table, usedSlots: spec.usedSlots(environment), ruleIDs: spec.rules.map(\.id),
            reasons: spec.rules.map(\.reason),
            inputNames: spec.inputs.map(\.expression), outputSlots: outputSlots, listSlot: listSlot,
            outputNames: spec.outputs.map(\.name))
    }

    private mutating func check(_ table: DecisionTable, _ place: String) {
        for finding in table.findings() {
            let pointer = "\(place)/table\(Self.asWritten(finding.pointer))"
            if finding.severity == .error {
                problems.add(pointer, finding.code.rawValue, finding.message)
            } else {
                warnings.append(
                    DocumentProblem(pointer: pointer, code: finding.code.rawValue, message: finding.message))
            }
        }
    }

    private func checkReasons() {
        guard spec.givesReasons else { return }
        let known = Set(spec.reasonTexts.map(\.code))
        for (index, item) in spec.nodes.enumerated() {
            guard case .table(let table) = item.node else { continue }
            for (number, rule) in table.rules.enumerated() {
                if let reason = rule.reason, !known.contains(reason) {
                    problems.add(
                        "\(pointer)/nodes/\(index)/table/rules/\(number)/reason", "unknown_reason",
                        "give the code a text under reasons.codes")
                }
            }
        }
    }

    private static func usedSlots(
        _ nodes: [(name: String, node: CompiledNode)], _ outputs: [Expression]
    ) -> Set<Int> {
        var used = Set(outputs.flatMap(\.usedSlots))
        for item in nodes {
            switch item.node {
            case .model(let steps, _):
                for case .model(_, let inputs, _) in steps {
                    for case .slot(let slot) in inputs.map(\.source) { used.insert(slot) }
                }
            case .expression(let expression, _): used.formUnion(expression.usedSlots)
            case .table(let table): used.formUnion(table.usedSlots)
            case .dmn(let node): used.formUnion(node.usedSlots)
            }
        }
        return used
    }
}

extension HitPolicy {
    /// Whether at most one rule's outputs are the answer.
    var isSingleHit: Bool {
        switch self {
        case .unique, .any, .first, .priority: true
        case .collect, .ruleOrder, .outputOrder: false
        }
    }
}

extension TableSpec {
    /// The table as the DMN target compiles it.
    func dmn() throws(DMNError) -> DecisionTableSpec {
        guard let policy = HitPolicy(rawValue: hitPolicy) else {
            let known = HitPolicy.allCases.map(\.rawValue).joined(separator: ", ")
            throw DMNError(issues: [
                .init(pointer: "/hit_policy", code: "value_not_allowed", message: "one of \(known)")
            ])
        }
        var fold: Aggregation?
        if let aggregation {
            fold = Aggregation(rawValue: aggregation)
            if fold == nil || policy != .collect {
                throw DMNError(issues: [
                    .init(
                        pointer: "/aggregation", code: "value_not_allowed",
                        message: "SUM, COUNT, MIN or MAX, with COLLECT only")
                ])
            }
        }
        return DecisionTableSpec(
            inputs: inputs.map { .init(name: $0.expression, expression: $0.expression, type: $0.type) },
            outputs: outputs.map { output in
                let allowed = output.values?.map { value in
                    "\"\(value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
                }.joined(separator: ", ")
                return .init(name: output.name, type: output.type, allowedValues: allowed)
            },
            rules: rules.map { .init(tests: $0.when, outputs: $0.then, id: $0.id) },
            hitPolicy: policy, aggregation: fold)
    }

    /// Slots that the table's texts read; every text has been compiled once already, so none fails here.
    func usedSlots(_ environment: Environment) -> Set<Int> {
        var used: Set<Int> = []
        for input in inputs {
            if let expression = try? Expression(input.expression, in: environment) {
                used.formUnion(expression.usedSlots)
            }
        }
        for rule in rules {
            for (test, input) in zip(rule.when, inputs) {
                if let tests = try? UnaryTests(test, inputType: input.type, in: environment) {
                    used.formUnion(tests.usedSlots)
                }
            }
            for output in rule.then {
                if let expression = try? Expression(output, in: environment) { used.formUnion(expression.usedSlots) }
            }
        }
        return used
    }
}
