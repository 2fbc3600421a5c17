/// Something that a table's author should know before the table is published.
public struct TableFinding: Hashable, Sendable {
    /// How bad it is.
    public enum Severity: String, Sendable {
        /// The table cannot mean this.
        case error
        /// The table may mean this.
        case warning
    }

    /// What was found.
    public enum Code: String, Sendable {
        /// Two rules match together although the hit policy is UNIQUE, or ANY and their outputs differ.
        case overlap = "rules_overlap"
        /// Inputs that no rule matches.
        case gap = "rules_gap"
        /// A rule that never takes effect, because others always come before it.
        case unreachable = "rule_unreachable"
        /// A cell that no allowed input passes.
        case neverMatches = "cell_never_matches"
        /// A constant that is not of its column's type.
        case typeMismatch = "type_mismatch"
        /// An output that its column's allowed values leave out.
        case notAllowed = "value_not_allowed"
        /// The table is too large to be checked wholly; what was found holds.
        case incomplete = "analysis_incomplete"
    }

    /// How bad it is.
    public let severity: Severity
    /// What was found.
    public let code: Code
    /// What was found, in words.
    public let message: String
    /// JSON pointer to the cell or rule, such as `/rules/3/tests/0`; empty for the table.
    public let pointer: String
    /// Numbers of the rules that it is about, from 1.
    public let rules: [Int]
    /// The column of the cell, from 0 among inputs or outputs; nil when it is about whole rules.
    public let column: Int?
}
