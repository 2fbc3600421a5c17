import FEEL

/// A rule that did not match, and the cells that kept it from matching.
public struct NearMiss: Hashable, Sendable {
    /// A cell that failed.
    public struct Cell: Hashable, Sendable {
        /// The input column, from 0.
        public let column: Int
        /// The cell's text.
        public let test: String
        /// The value that it tested.
        public let input: Value
        /// Whether the test had no answer: the input is null, or of a type that the test cannot be asked about.
        public let isUnknown: Bool
    }

    /// The rule's number, from 1.
    public let rule: Int
    /// The cells that failed, by column; at least one.
    public let cells: [Cell]
}

extension DecisionTable {
    /// The rules that failed in at most `cells` cells, fewest failures first, at most `DMNLimits.nearMisses`. Costs a
    /// look at every cell, so ask only when somebody wants to know.
    /// - Parameter result: what `evaluate` gave for the same slots.
    public func nearMisses(_ result: TableResult, _ slots: [Value], now: Int64? = nil, cells limit: Int = 1)
        -> [NearMiss]
    {
        guard result.inputs.count == columns.count else { return [] }
        let matched = Set(result.matchedRules)
        var call = Call(now: now)
        var misses: [NearMiss] = []
        for rule in 0..<ruleCount where !matched.contains(rule + 1) {
            var failed: [NearMiss.Cell] = []
            for column in columns.indices where failed.count <= limit {
                let input = result.inputs[column]
                let cell = columns[column].cells[rule]
                let answer = cell.matches(input, slots, in: &call)
                if answer == true { continue }
                failed.append(
                    NearMiss.Cell(column: column, test: cell.source, input: input, isUnknown: answer == nil))
            }
            if !failed.isEmpty && failed.count <= limit { misses.append(NearMiss(rule: rule + 1, cells: failed)) }
        }
        let ordered = misses.enumerated().sorted {
            ($0.element.cells.count, $0.offset) < ($1.element.cells.count, $1.offset)
        }
        return ordered.prefix(DMNLimits.nearMisses).map(\.element)
    }
}
