public import FEEL
import Models

/// What became of one step of a model node.
public struct StepRecord: Sendable, Equatable {
    /// Name of the node.
    public let node: String
    /// 1-based number of the step.
    public let step: Int
    /// `name@version`, or `constant`.
    public let used: String
    /// Why the step did not answer; nil for the step that did.
    public let cause: String?

    /// A record of one step.
    public init(node: String, step: Int, used: String, cause: String?) {
        self.node = node
        self.step = step
        self.used = used
        self.cause = cause
    }
}

/// Where steps get their outcome from: the running process, or the record that is being replayed.
public protocol StepSource {
    /// Why this step must not be tried, or nil to try it.
    mutating func causeBefore(node: String, step: Int, model: ModelState?, budgetMicros: Int64?) -> String?
    /// Why the answer of this step must not be used, or nil to use it. Called right after the model ran.
    mutating func causeAfter(node: String, step: Int, budgetMicros: Int64?) -> String?
}

/// One matched rule of the trace.
public struct MatchedRule: Sendable {
    /// Node of the table.
    public let table: String
    /// 1-based number of the rule.
    public let rule: Int
    /// The author's name of the rule.
    public let ruleID: String
    /// The reason code it gives, if any.
    public let reason: String?
    /// Index of the table, or of the DMN model that it stands in, among the decision's nodes.
    let node: Int
    /// Of a table in a DMN model: what its input columns were, by name.
    var inputs: [(name: String, value: Value)] = []
}

/// What one cell of a model's row was, whatever the model got in its place.
public enum CellMark: UInt8, Sendable {
    /// A value that the model knows.
    case value
    /// Nothing.
    case missing
    /// A category that the model does not know.
    case unknown
}

/// A row that a model scored for a decision.
public struct ScoredRow: Sendable {
    /// The model.
    public let model: LoadedModel
    /// Its inputs in its order, as it took them; NaN is missing.
    public let numbers: [Double]
    /// What they were.
    public let marks: [CellMark]
    /// The score.
    public let score: Double
}

/// Memory that one thread reuses from decision to decision.
public struct DecisionScratch {
    var slots: [Value] = []
    var row: [Double] = []
    var marks: [CellMark] = []
    /// Rows of the last decision whose score was used, of models that keep theirs.
    public private(set) var scoredRows: [ScoredRow] = []
    /// Working memory of each model this thread has run; models go with their snapshot, so the list stays short.
    var predictions: [ObjectIdentifier: Prediction] = [:]
    /// Why nodes of this decision are null, by name: outputs that depend on them tell it.
    var nulls: [String: String] = [:]

    static let predictionsMax = 64

    /// Empty scratch memory.
    public init() {}

    mutating func beginDecision() {
        if !scoredRows.isEmpty { scoredRows.removeAll() }
        if !nulls.isEmpty { nulls.removeAll(keepingCapacity: true) }
    }

    mutating func keepRow(of model: LoadedModel) {
        guard model.keepsRows, let score = predictions[ObjectIdentifier(model.model)]?.values[model.outputIndex] else {
            return
        }
        scoredRows.append(ScoredRow(model: model, numbers: row, marks: marks, score: score))
    }
}

/// Something that the caller should know of an answer.
public struct DecisionWarning: Sendable, Equatable {
    /// Stable code.
    public let code: String
    /// What it is about: a view, a feature, a node, an output.
    public let subject: String
    /// Why a value is null: the first reason that FEEL gave, as `code: what`; nil where there is none.
    public let reason: String?

    /// Makes a warning.
    public init(_ code: String, _ subject: String, reason: String? = nil) {
        self.code = code
        self.subject = subject
        self.reason = reason
    }
}

/// The answer of a decision before it is written out.
public struct DecisionResult: Sendable {
    /// Output values in the order declared.
    public var outputs: [Value] = []
    /// The score; nil when the decision has none or it is null.
    public var score: Decimal?
    /// The model that gave the score; nil for a constant.
    public var model: LoadedModel?
    /// The step of the score's node that answered, when it was not the first: (step, used, cause of the first failure).
    public var fallback: (step: Int, used: String, cause: String)?
    /// Every step tried, of every model node.
    public var steps: [StepRecord] = []
    /// Rules that matched, in the order of tables and rules.
    public var matched: [MatchedRule] = []
    /// Inputs of each table as evaluated, with the table's index among the nodes.
    public var tableInputs: [(node: Int, values: [Value])] = []
    /// Things the caller should know.
    public var warnings: [DecisionWarning] = []
}
