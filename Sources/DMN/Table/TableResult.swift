import FEEL

/// The answer of a table with its trace.
public struct TableResult: Hashable, Sendable {
    /// What came out.
    public enum Outcome: Hashable, Sendable {
        /// Rows of output values, one value per output column. One row for UNIQUE, FIRST, ANY, PRIORITY; all rows for
        /// the list policies.
        case matched([[Value]])
        /// COLLECT with an aggregation: the single value.
        case aggregated(Value)
        /// No rule matched: the default outputs (nulls where none is declared).
        case noMatch([Value])
        /// More rules matched than the policy allows (UNIQUE), or they disagree (ANY).
        case conflict
        /// An input broke its column's allowed values; the column's index.
        case invalidInput(Int)
    }

    /// What came out.
    public let outcome: Outcome
    /// Numbers of the matching rules, from 1, in rule order; for FIRST only the first.
    public let matchedRules: [Int]
    /// The evaluated input columns.
    public let inputs: [Value]

    /// The same with every output value replaced.
    func mapOutputs(_ transform: (_ output: Int, Value) -> Value) -> TableResult {
        func row(_ row: [Value]) -> [Value] { row.enumerated().map { transform($0, $1) } }
        let mapped: Outcome
        switch outcome {
        case .matched(let rows): mapped = .matched(rows.map { row($0) })
        case .noMatch(let values): mapped = .noMatch(row(values))
        case .aggregated, .conflict, .invalidInput: return self
        }
        return TableResult(outcome: mapped, matchedRules: matchedRules, inputs: inputs)
    }
}
