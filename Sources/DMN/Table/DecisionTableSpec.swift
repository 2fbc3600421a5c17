import FEEL

/// How the rules that match become a result (DMN 1.5, 8.2.10).
public enum HitPolicy: String, Hashable, Sendable, CaseIterable {
    /// At most one rule may match.
    case unique = "UNIQUE"
    /// The first match in rule order; later rules are not looked at.
    case first = "FIRST"
    /// The match whose outputs come first in the outputs' allowed values.
    case priority = "PRIORITY"
    /// All matches must have equal outputs.
    case any = "ANY"
    /// All matches, as a list or aggregated.
    case collect = "COLLECT"
    /// All matches in rule order.
    case ruleOrder = "RULE ORDER"
    /// All matches, ordered by the outputs' allowed values.
    case outputOrder = "OUTPUT ORDER"
}

/// What COLLECT makes of the outputs of all matches.
public enum Aggregation: String, Hashable, Sendable, CaseIterable {
    /// The sum of the outputs.
    case sum = "SUM"
    /// The number of distinct rules that matched.
    case count = "COUNT"
    /// The least output.
    case min = "MIN"
    /// The greatest output.
    case max = "MAX"
}

/// A decision table as its author wrote it.
public struct DecisionTableSpec: Hashable, Sendable {
    /// An input column.
    public struct Input: Hashable, Sendable {
        /// Label, used in traces; need not be a name of the environment.
        public var name: String
        /// FEEL source of the tested value.
        public var expression: String
        /// Its type.
        public var type: FEELType
        /// FEEL unary tests that every value must pass, nil for no restriction.
        public var allowedValues: String?

        /// Makes an input column.
        public init(name: String, expression: String, type: FEELType = .any, allowedValues: String? = nil) {
            self.name = name
            self.expression = expression
            self.type = type
            self.allowedValues = allowedValues
        }
    }

    /// An output column.
    public struct Output: Hashable, Sendable {
        /// The entry's name in the result.
        public var name: String
        /// Its type.
        public var type: FEELType
        /// FEEL unary tests of the allowed values; their order is the priority for PRIORITY and OUTPUT ORDER.
        public var allowedValues: String?
        /// FEEL source of the value when no rule matches.
        public var defaultValue: String?

        /// Makes an output column.
        public init(name: String, type: FEELType = .any, allowedValues: String? = nil, defaultValue: String? = nil) {
            self.name = name
            self.type = type
            self.allowedValues = allowedValues
            self.defaultValue = defaultValue
        }
    }

    /// A rule: one cell per column.
    public struct Rule: Hashable, Sendable {
        /// FEEL unary tests, one per input.
        public var tests: [String]
        /// FEEL expressions, one per output.
        public var outputs: [String]
        /// The author's identifier, kept for traces.
        public var id: String?
        /// The author's remark.
        public var annotation: String?

        /// Makes a rule.
        public init(tests: [String], outputs: [String], id: String? = nil, annotation: String? = nil) {
            self.tests = tests
            self.outputs = outputs
            self.id = id
            self.annotation = annotation
        }
    }

    /// Input columns.
    public var inputs: [Input]
    /// Output columns, at least one.
    public var outputs: [Output]
    /// Rules in order.
    public var rules: [Rule]
    /// How matches become a result.
    public var hitPolicy: HitPolicy
    /// COLLECT's aggregation; nil for a list.
    public var aggregation: Aggregation?

    /// Makes a table.
    public init(
        inputs: [Input], outputs: [Output], rules: [Rule], hitPolicy: HitPolicy = .unique,
        aggregation: Aggregation? = nil
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.rules = rules
        self.hitPolicy = hitPolicy
        self.aggregation = aggregation
    }
}

/// Everything that is wrong with a table.
public struct DMNError: Error, Hashable, Sendable {
    /// One finding.
    public struct Issue: Hashable, Sendable {
        /// JSON pointer into the table's definition, such as `/rules/3/tests/0`.
        public let pointer: String
        /// Stable code: one of FEELError's, or `invalid_table`, `wrong_width`, `too_complex`.
        public let code: String
        /// What is wrong, in words.
        public let message: String
        /// Where in the cell's source, in UTF-8 bytes; nil when the finding is not about a cell's text.
        public let offset: Int?
        /// Where in the file; nil when it was not read from one.
        public let location: SourceLocation?

        /// Makes a finding.
        public init(
            pointer: String, code: String, message: String, offset: Int? = nil, location: SourceLocation? = nil
        ) {
            self.pointer = pointer
            self.code = code
            self.message = message
            self.offset = offset
            self.location = location
        }

        /// One line for people: line and column, pointer, code, message.
        public var line: String {
            let place = location.map { "\($0.line):\($0.column): " } ?? ""
            let position = offset.map { " (at byte \($0) of the text)" } ?? ""
            return "\(place)\(pointer): \(code): \(message)\(position)"
        }
    }

    /// The findings in the order of the definition; never empty.
    public let issues: [Issue]

    /// Makes an error from findings.
    public init(issues: [Issue]) { self.issues = issues }
}
