public import FEEL
public import JSON

/// Bounds of a decision definition; past one of them it is refused when it is published.
public enum DecisionLimits {
    /// Inputs a decision may declare.
    public static let inputsMax = 500
    /// Feature views a decision may read.
    public static let viewsMax = 16
    /// Models, expressions and tables together.
    public static let nodesMax = 200
    /// Steps of one model node, the constant included.
    public static let stepsMax = 8
    /// Outputs a decision may declare.
    public static let outputsMax = 100
    /// The longest deadline, in milliseconds.
    public static let deadlineMillisecondsMax: Int64 = 60_000
    /// The deadline of a decision that declares none, in milliseconds.
    public static let deadlineMillisecondsDefault: Int64 = 100
    /// Characters of a text input.
    public static let inputTextBytesMax = 65_536
    /// Cells in which a rule may have failed and still be told as a near miss.
    public static let nearMissCellsMax = 8
}

/// One input that the caller sends, with its type and bounds.
public struct InputSpec: Sendable {
    /// The name in the request and in FEEL.
    public let name: String
    /// The FEEL type of the value.
    public let type: FEELType
    /// Whether the caller may leave it out; it is then null.
    public let isOptional: Bool
    /// The only texts allowed, in the order declared; nil for any.
    public let values: [String]?
    /// The smallest number allowed.
    public let minimum: Decimal?
    /// The largest number allowed.
    public let maximum: Decimal?
    /// The contract's word for how private it is (`personal`, ...); nil when it is not.
    public let classification: String?
    /// For people.
    public let description: String?
}

/// A feature view that the decision reads, for the entity that one of its inputs names.
public struct FeatureUse: Sendable {
    /// Name of the view; its features are `view.feature` in FEEL.
    public let view: String
    /// Index of the input that holds the entity's key, or the first part of it.
    public let entityInput: Int
    /// For a key of several parts: the name of each with the index of its input, as written; empty for a key in one
    /// input.
    public let entityParts: [(name: String, input: Int)]
}

/// One way to answer a model node; the steps are tried in order.
public enum ModelStep: Sendable {
    /// A model by name, with the inputs that are not found by their own name, and a budget in microseconds.
    case model(name: String, inputs: [String: String], budgetMicros: Int64?)
    /// A fixed score.
    case constant(Decimal)
}

/// What one node of the graph computes.
public enum NodeSpec: Sendable {
    /// A score, by the first step that can answer.
    case model(steps: [ModelStep])
    /// A FEEL expression.
    case expression(source: String, type: FEELType)
    /// A decision table; `reasons[rule]` is the rule's reason code.
    case table(TableSpec)
    /// Decisions of a DMN model.
    case dmn(DMNNodeSpec)
}

/// A decision table as declared.
public struct TableSpec: Sendable {
    /// Hit policy as DMN spells it.
    public let hitPolicy: String
    /// COLLECT's aggregation (`SUM`, `COUNT`, `MIN`, `MAX`), or nil.
    public let aggregation: String?
    /// Input columns: FEEL expression and type.
    public let inputs: [(expression: String, type: FEELType)]
    /// Output columns: name, type and the texts allowed.
    public let outputs: [(name: String, type: FEELType, values: [String]?)]
    /// Rules in order.
    public let rules: [RuleSpec]
}

/// One rule of a table.
public struct RuleSpec: Sendable {
    /// The author's name of the rule; its number when none was given.
    public let id: String
    /// One unary test per input column.
    public let when: [String]
    /// One expression per output column.
    public let then: [String]
    /// The reason code that a match gives.
    public let reason: String?
}

/// One output of the decision.
public struct OutputSpec: Sendable {
    /// Name in the answer.
    public let name: String
    /// Declared type.
    public let type: FEELType
    /// The only texts allowed; nil for any.
    public let values: [String]?
    /// The FEEL expression that computes it.
    public let expression: String
}

/// A decision as its author wrote it: parsed, not yet compiled.
public struct DecisionSpec: Sendable {
    /// Index of the input that names the entity; nil when the decision is about none.
    public let entityInput: Int?
    /// What the caller sends.
    public let inputs: [InputSpec]
    /// Feature views read.
    public let features: [FeatureUse]
    /// The graph, in an order in which every node uses only earlier ones.
    public let nodes: [(name: String, node: NodeSpec)]
    /// What the answer holds.
    public let outputs: [OutputSpec]
    /// The model node whose score is the decision's score.
    public let scoreNode: String?
    /// Whether matched rules give reasons.
    public let givesReasons: Bool
    /// Reason codes and their texts, in the order declared.
    public let reasonTexts: [(code: String, text: String)]
    /// Microseconds from arrival to answer.
    public let deadlineMicros: Int64

    /// Reads the `spec` of a `kind: Decision` definition.
    ///
    /// - Parameters:
    ///   - tree: the definition's `spec`.
    ///   - pointer: where `tree` stands in the document, for the problems.
    ///   - problems: receives everything that is wrong; nil is returned when there is anything.
    public static func parse(_ tree: JSONTree, at pointer: String, _ problems: ProblemList) -> DecisionSpec? {
        let before = problems.problems.count
        let reader = TreeReader(tree, at: pointer, problems)
        let dmn = reader.object("dmn") { DMNNodeSpec.parse($0) } ?? nil
        let isDMN = reader.value("dmn") != nil
        var inputs = reader.objects("inputs", required: !isDMN, Self.input)
        let entity = reader.string("entity")
        let entityInput = entity.flatMap { name in inputs.firstIndex { $0.name == name } }
        if entity != nil && entityInput == nil {
            problems.add(reader.path("entity"), "unknown_name", "the entity must be one of the inputs")
        }
        let features = reader.objects("features") { use -> FeatureUse? in
            Self.featureUse(use, inputs, entity)
        }
        var nodes = reader.objects("nodes") { Self.node($0, problems) }
        var outputs = reader.objects("outputs", required: !isDMN, Self.output)
        if let dmn {
            let declared = Set(inputs.map(\.name) + nodes.compactMap { $0?.name })
            if let derived = derived(from: dmn, declared: declared, at: reader.path("dmn"), problems) {
                inputs += derived.inputs
                if outputs.isEmpty { outputs = derived.outputs }
            }
            nodes.append(("dmn", .dmn(dmn)))
        }
        let score = reader.string("score")
        var givesReasons = false
        var reasonTexts: [(code: String, text: String)] = []
        _ = reader.object("reasons") { reasons in
            let mode = reasons.string("mode") ?? "rules"
            if mode != "rules" && mode != "none" {
                problems.add(reasons.path("mode"), "value_not_allowed", "reasons are given by rules, or none")
            }
            givesReasons = mode == "rules"
            for member in reasons.map("codes") {
                if case .string(let text) = member.value {
                    reasonTexts.append((member.key, text))
                } else {
                    problems.add(reasons.path("codes"), "type_mismatch", "a code's text is expected")
                }
            }
        }
        let deadline =
            reader.integer("deadline_ms", in: 1...DecisionLimits.deadlineMillisecondsMax)
            ?? DecisionLimits.deadlineMillisecondsDefault
        reader.finish()
        checkNames(reader, inputs, outputs)
        checkCounts(reader, inputs.count, features.count, nodes.count, outputs.count)
        guard problems.problems.count == before else { return nil }
        return DecisionSpec(
            entityInput: entityInput, inputs: inputs, features: features.compactMap { $0 },
            nodes: nodes.compactMap { $0 }, outputs: outputs, scoreNode: score, givesReasons: givesReasons,
            reasonTexts: reasonTexts, deadlineMicros: deadline * 1000)
    }

    /// `entity` is the input with the key, or an object with an input for each part of the key.
    private static func featureUse(_ use: TreeReader, _ inputs: [InputSpec], _ entity: String?) -> FeatureUse? {
        guard let view = use.string("view", required: true) else { return nil }
        func index(_ name: String, _ place: String) -> Int? {
            let index = inputs.firstIndex { $0.name == name }
            if index == nil {
                use.problems.add(place, "unknown_name", "name the input that holds the entity's key")
            }
            return index
        }
        guard case .object(let members)? = use.value("entity") else {
            let key = use.string("entity") ?? entity ?? ""
            return index(key, use.path("entity")).map { FeatureUse(view: view, entityInput: $0, entityParts: []) }
        }
        var parts: [(name: String, input: Int)] = []
        for member in members {
            let place = use.path("entity") + JSONPointer(tokens: [member.key]).text
            guard case .string(let name) = member.value else {
                use.problems.add(place, "type_mismatch", "text is expected here")
                continue
            }
            if let input = index(name, place) { parts.append((member.key, input)) }
        }
        guard let first = parts.first else {
            if members.isEmpty { use.problems.add(use.path("entity"), "empty_list", "at least one part") }
            return nil
        }
        return FeatureUse(view: view, entityInput: first.input, entityParts: parts)
    }

    /// Names that stand once, lists that are not empty, bounds in order, types that JSON can carry.
    private static func checkNames(_ reader: TreeReader, _ inputs: [InputSpec], _ outputs: [OutputSpec]) {
        let problems = reader.problems
        for (index, input) in inputs.enumerated() {
            let place = "\(reader.path("inputs"))/\(index)"
            if input.values?.isEmpty == true { problems.add(place + "/values", "empty_list", "at least one value") }
            if input.values != nil && input.type != .string {
                problems.add(place + "/values", "not_applicable", "only texts have a list of values")
            }
            if (input.minimum != nil || input.maximum != nil) && input.type != .number {
                problems.add(place + "/minimum", "not_applicable", "only numbers have bounds")
            }
            if let minimum = input.minimum, let maximum = input.maximum, minimum > maximum {
                problems.add(place + "/minimum", "out_of_range", "the minimum is above the maximum")
            }
            switch input.type {
            case .range, .function:
                problems.add(place + "/type", "unknown_type", "values of this type cannot be sent as JSON")
            default: break
            }
        }
        var names: Set<String> = []
        for (index, output) in outputs.enumerated() {
            let place = "\(reader.path("outputs"))/\(index)"
            if !names.insert(output.name).inserted {
                problems.add(place + "/name", "duplicate_name", "this name is taken")
            }
            if output.values?.isEmpty == true { problems.add(place + "/values", "empty_list", "at least one value") }
        }
    }

    private static func checkCounts(_ reader: TreeReader, _ inputs: Int, _ views: Int, _ nodes: Int, _ outputs: Int) {
        let bounds = [
            ("inputs", inputs, DecisionLimits.inputsMax), ("features", views, DecisionLimits.viewsMax),
            ("nodes", nodes, DecisionLimits.nodesMax), ("outputs", outputs, DecisionLimits.outputsMax),
        ]
        for (key, count, limit) in bounds where count > limit {
            reader.problems.add(reader.path(key), "too_many", "at most \(limit)")
        }
    }

    private static func input(_ reader: TreeReader) -> InputSpec {
        InputSpec(
            name: reader.string("name", required: true) ?? "",
            type: typeField(reader), isOptional: reader.bool("optional"),
            values: reader.strings("values"),
            minimum: reader.number("minimum").flatMap { Decimal($0.text) },
            maximum: reader.number("maximum").flatMap { Decimal($0.text) },
            classification: reader.string("classification"), description: reader.string("description"))
    }

    private static func output(_ reader: TreeReader) -> OutputSpec {
        OutputSpec(
            name: reader.string("name", required: true) ?? "", type: typeField(reader),
            values: reader.strings("values"), expression: reader.string("expression", required: true) ?? "null")
    }

    private static func typeField(_ reader: TreeReader) -> FEELType {
        guard let text = reader.string("type", required: true) else { return .any }
        guard let type = FEELType(declared: text) else {
            reader.problems.add(
                reader.path("type"), "unknown_type",
                "one of string, number, boolean, date, time, date and time, the two durations, list<T>")
            return .any
        }
        return type
    }

    private static func node(_ reader: TreeReader, _ problems: ProblemList) -> (name: String, node: NodeSpec)? {
        let name = reader.string("name", required: true)
        let steps = reader.object("model") { model in
            let steps = model.objects("steps", required: true) { modelStep($0, problems) }
            if steps.isEmpty || steps.count > DecisionLimits.stepsMax {
                problems.add(model.path("steps"), "out_of_range", "1 to \(DecisionLimits.stepsMax) steps")
            }
            return steps.compactMap { $0 }
        }
        let table = reader.object("table") { Self.table($0, problems) }
        let dmn = reader.object("dmn") { DMNNodeSpec.parse($0) }
        let source = reader.string("expression")
        let type = source == nil ? FEELType.any : typeField(reader)
        guard let name else { return nil }
        switch (steps, table, dmn, source) {
        case (let steps?, nil, nil, nil): return (name, .model(steps: steps))
        case (nil, let table?, nil, nil): return (name, .table(table))
        case (nil, nil, let dmn?, nil): return dmn.map { (name, .dmn($0)) }
        case (nil, nil, nil, let source?): return (name, .expression(source: source, type: type))
        default:
            problems.add(reader.pointer, "one_of", "a node has exactly one of model, table, dmn, expression")
            return nil
        }
    }

    private static func modelStep(_ reader: TreeReader, _ problems: ProblemList) -> ModelStep? {
        let model = reader.string("model")
        let constant = reader.number("constant")
        if let model, constant == nil {
            var inputs: [String: String] = [:]
            for member in reader.map("inputs") {
                if case .string(let text) = member.value {
                    inputs[member.key] = text
                } else {
                    problems.add(reader.path("inputs") + "/\(member.key)", "type_mismatch", "text is expected here")
                }
            }
            var budget: Int64?
            if let timeout = reader.number("timeout_ms") {
                budget = timeout.scaledInt64(scale: 3)
                if budget == nil || (budget ?? 0) < 0 {
                    problems.add(reader.path("timeout_ms"), "out_of_range", "milliseconds, to three places")
                }
            }
            return .model(name: model, inputs: inputs, budgetMicros: budget)
        }
        if let constant, model == nil, let value = Decimal(constant.text) { return .constant(value) }
        problems.add(reader.pointer, "one_of", "a step is either a model or a constant")
        return nil
    }

    private static func table(_ reader: TreeReader, _ problems: ProblemList) -> TableSpec {
        let inputs = reader.objects("inputs", required: true) { column in
            (expression: column.string("expression", required: true) ?? "null", type: typeField(column))
        }
        let outputs = reader.objects("outputs", required: true) { column in
            (
                name: column.string("name", required: true) ?? "", type: typeField(column),
                values: column.strings("values")
            )
        }
        var number = 0
        let rules = reader.objects("rules", required: true) { rule -> RuleSpec in
            number += 1
            let spec = RuleSpec(
                id: rule.string("id") ?? "\(number)", when: rule.strings("when", required: true) ?? [],
                then: rule.strings("then", required: true) ?? [], reason: rule.string("reason"))
            if spec.when.count != inputs.count || spec.then.count != outputs.count {
                problems.add(rule.pointer, "wrong_width", "one test per input and one expression per output")
            }
            return spec
        }
        return TableSpec(
            hitPolicy: reader.string("hit_policy") ?? "UNIQUE", aggregation: reader.string("aggregation"),
            inputs: inputs, outputs: outputs, rules: rules)
    }
}

extension FEELType {
    /// The type that a definition declares: a FEEL type name such as `date and time`, or `list<T>` of one.
    init?(declared text: String) {
        if text.hasPrefix("list<"), text.hasSuffix(">") {
            guard let element = FEELType(declared: String(text.dropFirst(5).dropLast())) else { return nil }
            self = .list(element)
            return
        }
        self.init(name: text)
    }
}
