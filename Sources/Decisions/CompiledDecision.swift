public import DMN
public import FEEL
import Features
public import JSON

/// What a decision needs to know of a feature view when it is compiled.
public struct ViewInterface: Sendable {
    /// Version of the view.
    public let version: Int
    /// Feature names in the view's order, with the FEEL type that a value has.
    public let features: [(name: String, type: FEELType)]
    /// Names of the parts of the entity's key, in the view's order.
    public let entityParts: [String]

    /// Describes a view.
    public init(version: Int, features: [(name: String, type: FEELType)], entityParts: [String] = ["entity"]) {
        self.version = version
        self.features = features
        self.entityParts = entityParts
    }
}

/// What a decision needs to know of a model when it is compiled.
public struct ModelInterface: Sendable {
    /// Version of the model.
    public let version: Int
    /// Input names in the model's order; nil when the artifact cannot be read, so that they are not known.
    public let features: [String]?
    /// Category lists of the inputs that are categories: a text's code is its position.
    public let categories: [String: [String]]
    /// What becomes of inputs that are missing or not known; inputs without an entry are missing to the model then.
    public let rules: [String: ModelInputRule]

    /// Describes a model.
    public init(
        version: Int, features: [String]?, categories: [String: [String]], rules: [String: ModelInputRule] = [:]
    ) {
        self.version = version
        self.features = features
        self.categories = categories
        self.rules = rules
    }
}

/// What a model gets for an input that is missing, or that holds a category it does not know.
public struct ModelInputRule: Sendable, Equatable {
    /// What stands in its place.
    public enum Replacement: Sendable, Equatable {
        /// Nothing: it is missing to the model, which has its own way with that.
        case missing
        /// This number, coded as the model takes it.
        case value(Double)
        /// The model does not score; the next step of the decision answers.
        case refuse

        /// What the model gets; nil when it must not score.
        var number: Double? {
            switch self {
            case .missing: .nan
            case .value(let value): value
            case .refuse: nil
            }
        }
    }

    /// For a missing value.
    public let missing: Replacement
    /// For a category that the model does not know.
    public let unknown: Replacement

    /// Makes a rule.
    public init(missing: Replacement, unknown: Replacement) {
        self.missing = missing
        self.unknown = unknown
    }

    /// Both are missing to the model.
    public static let lenient = ModelInputRule(missing: .missing, unknown: .missing)
}

/// One input of a model in a decision.
public struct BoundModelInput: Sendable {
    /// Its name in the model.
    public let name: String
    /// Where it comes from.
    public let source: ModelInputSource
    /// What becomes of it when it is missing or not known.
    public let rule: ModelInputRule
}

/// Where one input of a model comes from.
public enum ModelInputSource: Sendable {
    /// A served feature: (feature use, index in the view).
    case feature(use: Int, index: Int)
    /// A served feature that holds a category's name, or its code; codes by name.
    case featureCategory(use: Int, index: Int, codes: [String: Double])
    /// A decision input or a node's number, by slot.
    case slot(Int)
    /// A decision input that holds a category's name, or its code; codes by name.
    case category(slot: Int, codes: [String: Double])
}

/// A model step with its input row planned out.
public enum CompiledStep: Sendable {
    /// A model: its name, every input in its order, its budget in microseconds.
    case model(name: String, inputs: [BoundModelInput], budgetMicros: Int64?)
    /// A fixed score.
    case constant(Decimal)
}

/// A table with what the answer needs beside it.
public struct CompiledTable: Sendable {
    /// The DMN table.
    public let table: DecisionTable
    /// Slots that its expressions and tests read.
    let usedSlots: Set<Int>
    /// Rule ids in order.
    public let ruleIDs: [String]
    /// Reason code of each rule, if it gives one.
    public let reasons: [String?]
    /// The input expressions as written, for the trace.
    public let inputNames: [String]
    /// Slots that receive the outputs of a single-hit table, one a column.
    public let outputSlots: [Int]
    /// Slot that receives the list of a multiple-hit table; nil for single-hit tables.
    public let listSlot: Int?
    /// Output column names.
    public let outputNames: [String]

    /// What a multiple-hit table gives when no rule matches: an empty list, a count of 0, or no aggregate at all.
    var emptyList: Value {
        switch table.spec.aggregation {
        case nil: .list([])
        case .count: .number(0)
        case .sum, .min, .max: .null
        }
    }
}

/// One node, compiled.
public enum CompiledNode: Sendable {
    /// A model node and the slot of its score.
    case model(steps: [CompiledStep], slot: Int)
    /// An expression and the slot of its value.
    case expression(Expression, slot: Int)
    /// A table.
    case table(CompiledTable)
    /// Decisions of a DMN model.
    case dmn(CompiledDMNNode)
}

/// A feature that some expression uses, and the slot it fills.
struct FeatureSlot: Sendable {
    let slot: Int
    let use: Int
    let index: Int
}

/// A decision that is ready to run: names are slots, expressions and tables are compiled, model rows are planned.
public struct CompiledDecision: Sendable {
    /// Name of the decision.
    public let name: String
    /// Version of the definition.
    public let version: Int
    /// The definition as parsed.
    public let spec: DecisionSpec
    /// Nodes in order.
    public let nodes: [(name: String, node: CompiledNode)]
    /// Output expressions in order.
    public let outputs: [Expression]
    /// Slot of the score; nil when the decision has none.
    public let scoreSlot: Int?
    /// Number of slots.
    public let slotCount: Int
    /// Names of the view behind each feature use, with its version and feature names.
    public let views: [(name: String, interface: ViewInterface)]
    /// For every feature use, the inputs that hold the parts of the entity's key, in the view's order.
    public let entityInputs: [[Int]]
    /// What its author should look at: gaps of tables, rules without effect. Empty unless its tables were checked.
    public let warnings: [DocumentProblem]
    let featureSlots: [FeatureSlot]
    let names: DecisionNames

    /// The key of the entity of a feature use; nil when an input that holds a part of it is neither text nor number.
    public func entityKey(ofUse use: Int, _ inputs: [Value]) -> String? {
        if entityInputs[use].count == 1 { return Self.keyPart(inputs[entityInputs[use][0]]) }
        var parts: [String] = []
        for input in entityInputs[use] {
            guard let part = Self.keyPart(inputs[input]) else { return nil }
            parts.append(part)
        }
        return EntityKey.encode(parts)
    }

    /// A number in a key is spelled with its digits, as events spell whole numbers.
    private static func keyPart(_ value: Value) -> String? {
        switch value {
        case .string(let text): text
        case .number(let number): number.jsonText
        default: nil
        }
    }

    /// Index of an input by name.
    public func inputIndex(_ name: String) -> Int? {
        spec.inputs.firstIndex { $0.name == name }
    }
}
