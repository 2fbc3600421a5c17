/// An expression in one of DMN's boxes (DMN 1.5, 10.2).
public struct BoxedExpression: Sendable {
    /// The boxes.
    public indirect enum Kind: Sendable {
        /// FEEL text; an empty text is no logic.
        case literal(String)
        case decisionTable(BoxedTable)
        /// Named entries that see the earlier ones; an entry without name is the result.
        case context([ContextEntry])
        /// A function applied to named arguments.
        case invocation(function: BoxedExpression, bindings: [Binding])
        /// A list of contexts, written as a table.
        case relation(columns: [InformationItem], rows: [Row])
        case list([BoxedExpression])
        case conditional(condition: BoxedExpression?, then: BoxedExpression?, otherwise: BoxedExpression?)
        /// The elements for which `match` is true.
        case filter(list: BoxedExpression?, match: BoxedExpression?)
        case iteration(IterationKind, variable: InformationItem, domain: BoxedExpression?, body: BoxedExpression?)
        case function(FunctionDefinition)
    }

    /// What an iteration makes of its bodies.
    public enum IterationKind: String, Sendable {
        case collect = "for"
        case some
        case every
    }

    /// An entry of a boxed context.
    public struct ContextEntry: Sendable {
        /// Name and type; nil for the result.
        public var variable: InformationItem?
        /// The value; nil when the author left it open.
        public var value: BoxedExpression?
        /// See `DMNModel.kept`.
        public var kept: Kept

        /// Makes an entry.
        public init(variable: InformationItem?, value: BoxedExpression?, kept: Kept = Kept()) {
            self.variable = variable
            self.value = value
            self.kept = kept
        }
    }

    /// An argument of a boxed invocation.
    public struct Binding: Sendable {
        /// The parameter.
        public var parameter: InformationItem
        /// The argument; nil when the author left it open.
        public var value: BoxedExpression?
        /// See `DMNModel.kept`.
        public var kept: Kept

        /// Makes an argument.
        public init(parameter: InformationItem, value: BoxedExpression?, kept: Kept = Kept()) {
            self.parameter = parameter
            self.value = value
            self.kept = kept
        }
    }

    /// A row of a relation.
    public struct Row: Sendable {
        /// Cells, one per column.
        public var cells: [BoxedExpression]
        /// See `DMNModel.kept`.
        public var kept: Kept

        /// Makes a row.
        public init(_ cells: [BoxedExpression], kept: Kept = Kept()) {
            self.cells = cells
            self.kept = kept
        }
    }

    /// What it is.
    public var kind: Kind
    /// The type that its value must have; nil for any.
    public var typeRef: String?
    /// The language of a literal's text; nil for the model's.
    public var expressionLanguage: String?
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// What the element kept that this is a part of (`if`, `in`, `return` and their kin).
    public var partKept = Kept()
    /// Where it stands; of a literal: where its text begins.
    public var location: SourceLocation?

    /// Makes an expression.
    public init(
        _ kind: Kind, typeRef: String? = nil, expressionLanguage: String? = nil, kept: Kept = Kept(),
        location: SourceLocation? = nil
    ) {
        self.kind = kind
        self.typeRef = typeRef
        self.expressionLanguage = expressionLanguage
        self.kept = kept
        self.location = location
    }
}

/// A function that a model defines.
public struct FunctionDefinition: Sendable {
    /// The language of the body.
    public enum Kind: String, Sendable {
        case feel = "FEEL"
        /// Refused when it is compiled: no Java runs here.
        case java = "Java"
        /// Refused when it is compiled: no PMML runs here.
        case pmml = "PMML"
    }

    /// The language of the body.
    public var kind: Kind
    /// Parameters in order.
    public var parameters: [InformationItem]
    /// The body; nil when the author left it open.
    public var body: BoxedExpression?
    /// The type of the definition or of its result, as tools differ; nil for any.
    public var typeRef: String?
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where it stands.
    public var location: SourceLocation?

    /// Makes a function.
    public init(
        kind: Kind = .feel, parameters: [InformationItem], body: BoxedExpression?, typeRef: String? = nil,
        kept: Kept = Kept(), location: SourceLocation? = nil
    ) {
        self.kind = kind
        self.parameters = parameters
        self.body = body
        self.typeRef = typeRef
        self.kept = kept
        self.location = location
    }
}

/// FEEL text in a cell or clause, with its place.
public struct FEELText: Sendable {
    /// The text.
    public var text: String
    /// See `DMNModel.kept`.
    public var kept: Kept
    /// Where the text begins.
    public var location: SourceLocation?

    /// Makes a text.
    public init(_ text: String, kept: Kept = Kept(), location: SourceLocation? = nil) {
        self.text = text
        self.kept = kept
        self.location = location
    }
}

/// A decision table as it stands in a model; `DecisionTableSpec` is the same with its types resolved.
public struct BoxedTable: Sendable {
    /// An input column.
    public struct Input: Sendable {
        /// What the author calls it.
        public var label: String?
        /// The tested value.
        public var expression: FEELText
        /// Its type.
        public var typeRef: String?
        /// Unary tests that every value passes.
        public var allowedValues: FEELText?
        /// See `DMNModel.kept`.
        public var kept: Kept

        /// Makes a column.
        public init(
            label: String? = nil, expression: FEELText, typeRef: String? = nil, allowedValues: FEELText? = nil,
            kept: Kept = Kept()
        ) {
            self.label = label
            self.expression = expression
            self.typeRef = typeRef
            self.allowedValues = allowedValues
            self.kept = kept
        }
    }

    /// An output column.
    public struct Output: Sendable {
        /// The entry's name in the result; nil when the table has one output.
        public var name: String?
        /// What the author calls it.
        public var label: String?
        /// Its type.
        public var typeRef: String?
        /// Allowed values; their order is the priority.
        public var allowedValues: FEELText?
        /// The value when no rule matches.
        public var defaultValue: FEELText?
        /// See `DMNModel.kept`.
        public var kept: Kept

        /// Makes a column.
        public init(
            name: String? = nil, label: String? = nil, typeRef: String? = nil, allowedValues: FEELText? = nil,
            defaultValue: FEELText? = nil, kept: Kept = Kept()
        ) {
            self.name = name
            self.label = label
            self.typeRef = typeRef
            self.allowedValues = allowedValues
            self.defaultValue = defaultValue
            self.kept = kept
        }
    }

    /// A rule.
    public struct Rule: Sendable {
        /// The author's identifier.
        public var id: String?
        /// Unary tests, one per input.
        public var tests: [FEELText]
        /// Expressions, one per output.
        public var outputs: [FEELText]
        /// Remarks, one per annotation column.
        public var annotations: [String]
        /// The author's description.
        public var description: String?
        /// See `DMNModel.kept`.
        public var kept: Kept
        /// Where it stands.
        public var location: SourceLocation?

        /// Makes a rule.
        public init(
            id: String? = nil, tests: [FEELText], outputs: [FEELText], annotations: [String] = [],
            description: String? = nil,
            kept: Kept = Kept(), location: SourceLocation? = nil
        ) {
            self.id = id
            self.tests = tests
            self.outputs = outputs
            self.annotations = annotations
            self.description = description
            self.kept = kept
            self.location = location
        }
    }

    /// Input columns.
    public var inputs: [Input]
    /// Output columns.
    public var outputs: [Output]
    /// Names of the annotation columns.
    public var annotations: [String]
    /// Rules in order.
    public var rules: [Rule]
    /// How matches become a result.
    public var hitPolicy: HitPolicy
    /// COLLECT's aggregation; nil for a list.
    public var aggregation: Aggregation?

    /// Makes a table.
    public init(
        inputs: [Input], outputs: [Output], annotations: [String] = [], rules: [Rule], hitPolicy: HitPolicy = .unique,
        aggregation: Aggregation? = nil
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.annotations = annotations
        self.rules = rules
        self.hitPolicy = hitPolicy
        self.aggregation = aggregation
    }
}
