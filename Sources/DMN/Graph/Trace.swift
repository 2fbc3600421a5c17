import FEEL

/// What is told about an evaluation beside its value.
public enum TraceDetail: Hashable, Sendable {
    /// The value alone.
    case none
    /// The value of every decision on the way, and every table with its inputs and matched rules.
    case tables
    /// The same, and of every table the rules that missed in at most this many cells.
    case nearMisses(cells: Int)
}

/// A table that was evaluated, in a decision or in a function that it invoked.
public struct TableTrace: Sendable {
    /// The decision, knowledge model or context entry that the table stands in.
    public let name: String
    /// What the table was.
    public let table: DecisionTable
    /// What came out, with matched rules and evaluated inputs.
    public let result: TableResult
    /// Rules that nearly matched, when they were asked for.
    public let nearMisses: [NearMiss]
}

/// A decision that was evaluated.
public struct DecisionTrace: Sendable {
    /// The decision's name, with the import's name before it for a decision of another model.
    public let name: String
    /// Its value.
    public let value: Value
    /// Why it, or a part of it, is null: innermost first.
    public let reasons: [NullReason]
}

/// Gathers the tables of one evaluation.
///
/// SAFETY: `@unchecked Sendable` because it lives in one thread, for the length of that evaluation.
final class TraceSink: @unchecked Sendable {
    private(set) var tables: [TableTrace] = []
    private let detail: TraceDetail

    init(_ detail: TraceDetail) { self.detail = detail }

    func record(_ table: DecisionTable, _ result: TableResult, _ name: String, _ slots: [Value], _ now: Int64?) {
        guard tables.count < DMNLimits.tracedTables else { return }
        var misses: [NearMiss] = []
        if case .nearMisses(let cells) = detail { misses = table.nearMisses(result, slots, now: now, cells: cells) }
        tables.append(TableTrace(name: name, table: table, result: result, nearMisses: misses))
    }
}
