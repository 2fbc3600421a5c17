import DMN
public import FEEL
public import JSON

/// A rule of a decision's table that did not match, and the cells that kept it from matching.
public struct NearMissedRule: Sendable {
    /// A cell that failed.
    public struct Cell: Sendable {
        /// Name of the input column, as the trace of matched rules has it.
        public let input: String
        /// The cell's text.
        public let test: String
        /// The value that it tested.
        public let value: Value
        /// Whether the test had no answer: the value is null, or of a type that the test cannot be asked about.
        public let isUnknown: Bool
    }

    /// Node of the table; in a DMN model the table's own name.
    public let table: String
    /// 1-based number of the rule.
    public let rule: Int
    /// The author's name of the rule.
    public let ruleID: String
    /// The cells that failed, by column; at least one.
    public let cells: [Cell]
}

extension CompiledDecision {
    /// The rules of every table that failed in at most `cells` cells, fewest failures first within a table, at most
    /// `DMNLimits.nearMisses` of each. Evaluates the tables again and looks at every cell, so it is for whoever asks why.
    ///
    /// - Parameters:
    ///   - now: the time that `evaluate` was given [microseconds since the Unix epoch].
    ///   - cells: 1 to ``DecisionLimits/nearMissCellsMax``.
    ///   - scratch: as `evaluate` left it.
    public func nearMisses(now: Int64, cells: Int, scratch: DecisionScratch) -> [NearMissedRule] {
        // Every slot is written by one node only, so what a table read then still stands where it was.
        nodes.flatMap { item -> [NearMissedRule] in
            switch item.node {
            case .model, .expression: return []
            case .table(let table):
                let result = table.table.evaluate(scratch.slots, now: now)
                return table.table.nearMisses(result, scratch.slots, now: now, cells: cells).map {
                    NearMissedRule($0, of: item.name, ruleID: table.ruleIDs[$0.rule - 1], inputs: table.inputNames)
                }
            case .dmn(let node):
                let tables = node.evaluate(scratch.slots, now: now, trace: .nearMisses(cells: cells)).tables
                return tables.flatMap { trace in
                    let spec = trace.table.spec
                    return trace.nearMisses.map {
                        NearMissedRule(
                            $0, of: trace.name, ruleID: spec.rules[$0.rule - 1].id ?? "\($0.rule)",
                            inputs: spec.inputs.map(\.name))
                    }
                }
            }
        }
    }
}

extension NearMissedRule {
    fileprivate init(_ miss: NearMiss, of table: String, ruleID: String, inputs: [String]) {
        self.table = table
        rule = miss.rule
        self.ruleID = ruleID
        cells = miss.cells.map {
            Cell(input: inputs[$0.column], test: $0.test, value: $0.input, isUnknown: $0.isUnknown)
        }
    }
}

extension DecisionEncoding {
    /// Writes near misses as an array, in the shape of matched rules; `inputs` has the cells that failed.
    public static func nearMisses(_ rules: [NearMissedRule], to writer: inout JSONWriter) {
        writer.beginArray()
        for rule in rules {
            writer.beginObject()
            writer.key("table")
            writer.string(rule.table)
            writer.key("rule")
            writer.integer(rule.rule)
            writer.key("rule_id")
            writer.string(rule.ruleID)
            writer.key("inputs")
            writer.beginObject()
            for cell in rule.cells {
                writer.key(cell.input)
                writer.beginObject()
                writer.key("test")
                writer.string(cell.test)
                writer.key("value")
                write(cell.value, to: &writer)
                writer.key("unknown")
                writer.bool(cell.isUnknown)
                writer.endObject()
            }
            writer.endObject()
            writer.endObject()
        }
        writer.endArray()
    }
}
