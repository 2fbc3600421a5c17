/// One element of a decision requirements graph.
public enum DRGElement: Sendable {
    case inputData(InputData)
    case decision(Decision)
    case businessKnowledgeModel(BusinessKnowledgeModel)
    case decisionService(DecisionService)
    case knowledgeSource(KnowledgeSource)

    /// The element's name.
    public var name: String {
        switch self {
        case .inputData(let element): element.name
        case .decision(let element): element.name
        case .businessKnowledgeModel(let element): element.name
        case .decisionService(let element): element.name
        case .knowledgeSource(let element): element.name
        }
    }

    /// The element's identifier; references point to it.
    public var id: String? {
        switch self {
        case .inputData(let element): element.id
        case .decision(let element): element.id
        case .businessKnowledgeModel(let element): element.id
        case .decisionService(let element): element.id
        case .knowledgeSource(let element): element.id
        }
    }
}

/// What the caller of a model supplies.
public struct InputData: Sendable {
    /// The name.
    public var name: String
    /// The identifier that requirements point to.
    public var id: String?
    /// The author's description.
    public var description: String?
    /// Name and type of the value.
    public var variable: InformationItem
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes an input.
    public init(
        name: String, id: String? = nil, description: String? = nil, variable: InformationItem, kept: Kept = Kept(),
        location: SourceLocation? = nil
    ) {
        self.name = name
        self.id = id
        self.description = description
        self.variable = variable
        self.kept = kept
        self.location = location
    }
}

/// That one element needs another.
public struct Requirement: Sendable {
    /// What kind of need.
    public enum Kind: String, Sendable {
        case input = "requiredInput"
        case decision = "requiredDecision"
        case knowledge = "requiredKnowledge"
        case authority = "requiredAuthority"
    }

    /// What kind of need.
    public var kind: Kind
    /// Which element: `#id`, or `namespace#id` of an imported model.
    public var href: String
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes a requirement.
    public init(kind: Kind, href: String, kept: Kept = Kept(), location: SourceLocation? = nil) {
        self.kind = kind
        self.href = href
        self.kept = kept
        self.location = location
    }
}

/// A decision: a value made from what it requires.
public struct Decision: Sendable {
    /// The name.
    public var name: String
    /// The identifier that requirements point to.
    public var id: String?
    /// The author's description.
    public var description: String?
    /// The question that it answers, in words.
    public var question: String?
    /// The possible answers, in words.
    public var allowedAnswers: String?
    /// Name and type of the value.
    public var variable: InformationItem
    /// What it needs.
    public var requirements: [Requirement]
    /// How the value is made; nil when the author left it open.
    public var expression: BoxedExpression?
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes a decision.
    public init(
        name: String, id: String? = nil, description: String? = nil, question: String? = nil,
        allowedAnswers: String? = nil, variable: InformationItem, requirements: [Requirement] = [],
        expression: BoxedExpression? = nil, kept: Kept = Kept(), location: SourceLocation? = nil
    ) {
        self.name = name
        self.id = id
        self.description = description
        self.question = question
        self.allowedAnswers = allowedAnswers
        self.variable = variable
        self.requirements = requirements
        self.expression = expression
        self.kept = kept
        self.location = location
    }
}

/// Logic with parameters that decisions invoke.
public struct BusinessKnowledgeModel: Sendable {
    /// The name by which it is invoked.
    public var name: String
    /// The identifier that requirements point to.
    public var id: String?
    /// The author's description.
    public var description: String?
    /// Name and type; the type is the function's, or (as many tools write it) its result's.
    public var variable: InformationItem
    /// Parameters and body; nil when the author left it open.
    public var logic: FunctionDefinition?
    /// What it needs.
    public var requirements: [Requirement]
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes a knowledge model.
    public init(
        name: String, id: String? = nil, description: String? = nil, variable: InformationItem,
        logic: FunctionDefinition? = nil, requirements: [Requirement] = [], kept: Kept = Kept(),
        location: SourceLocation? = nil
    ) {
        self.name = name
        self.id = id
        self.description = description
        self.variable = variable
        self.logic = logic
        self.requirements = requirements
        self.kept = kept
        self.location = location
    }
}

/// A part of the graph that is invoked as one function.
public struct DecisionService: Sendable {
    /// The name by which it is invoked.
    public var name: String
    /// The identifier that requirements point to.
    public var id: String?
    /// The author's description.
    public var description: String?
    /// Name and type; the type is the function's, or (as many tools write it) its result's.
    public var variable: InformationItem
    /// Decisions whose values are the result.
    public var outputDecisions: [String]
    /// Decisions inside the service that are not part of the result.
    public var encapsulatedDecisions: [String]
    /// Decisions that are not evaluated but given; the parameters after the input data.
    public var inputDecisions: [String]
    /// Inputs; the first parameters.
    public var inputData: [String]
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes a service; references are `#id` or `namespace#id`.
    public init(
        name: String, id: String? = nil, description: String? = nil, variable: InformationItem,
        outputDecisions: [String], encapsulatedDecisions: [String] = [], inputDecisions: [String] = [],
        inputData: [String] = [], kept: Kept = Kept(), location: SourceLocation? = nil
    ) {
        self.name = name
        self.id = id
        self.description = description
        self.variable = variable
        self.outputDecisions = outputDecisions
        self.encapsulatedDecisions = encapsulatedDecisions
        self.inputDecisions = inputDecisions
        self.inputData = inputData
        self.kept = kept
        self.location = location
    }
}

/// Where knowledge comes from; never evaluated.
public struct KnowledgeSource: Sendable {
    /// The name.
    public var name: String
    /// The identifier that requirements point to.
    public var id: String?
    /// The author's description.
    public var description: String?
    /// What it needs.
    public var requirements: [Requirement]
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes a source.
    public init(
        name: String, id: String? = nil, description: String? = nil, requirements: [Requirement] = [],
        kept: Kept = Kept(), location: SourceLocation? = nil
    ) {
        self.name = name
        self.id = id
        self.description = description
        self.requirements = requirements
        self.kept = kept
        self.location = location
    }
}
