import FEEL

/// A compiled decision table.
///
/// Columns whose cells compare with constants are indexed: for every segment of the number line (or every text) a bit
/// set says which
/// rules pass. A decision is then one look-up and one AND per column; only cells that the index cannot know are
/// evaluated. The
/// trace costs nothing extra: the surviving bits are the matched rules.
public final class DecisionTable: Sendable {
    /// What was compiled.
    public let spec: DecisionTableSpec
    /// The slots that the table reads, ascending.
    public let usedSlots: [Int]

    /// A class, because evaluating walks the columns and a reference costs one count where the members would cost one
    /// each.
    final class Column: Sendable {
        let expression: Expression
        let allowed: UnaryTests?
        let cells: [UnaryTests]
        let index: ColumnIndex

        init(expression: Expression, allowed: UnaryTests?, cells: [UnaryTests]) {
            self.expression = expression
            self.allowed = allowed
            self.cells = cells
            index = ColumnIndex(cells: cells)
        }
    }

    let columns: [Column]
    let outputs: [[Expression]]
    /// The output row of every rule whose outputs are all constants; nil where something must be computed.
    let constantRows: [[Value]?]
    let ruleCount: Int
    let hitPolicy: HitPolicy
    let defaults: [Expression?]
    /// Allowed output values in order of priority, per output.
    let priorities: [[Value]]
    let wordCount: Int

    init(
        spec: DecisionTableSpec, usedSlots: [Int], columns: [Column], outputs: [[Expression]], defaults: [Expression?],
        priorities: [[Value]]
    ) {
        self.spec = spec
        self.usedSlots = usedSlots
        self.columns = columns
        self.outputs = outputs
        self.defaults = defaults
        self.priorities = priorities
        ruleCount = spec.rules.count
        hitPolicy = spec.hitPolicy
        wordCount = (spec.rules.count + 63) / 64
        constantRows = outputs.map { row in
            let values = row.compactMap(\.constant)
            return values.count == row.count ? values : nil
        }
    }

    /// Compiles every cell; throws all findings together (at most `DMNLimits.issues`).
    public static func compile(
        _ spec: DecisionTableSpec, environment: Environment, profile: Profile = .dmn
    ) throws(DMNError) -> DecisionTable {
        var compiler = TableCompiler(spec, environment, profile)
        return try compiler.compile()
    }

    /// Evaluates against slots in the environment's order.
    /// - Parameter now: the current time in microseconds since the Unix epoch, for `now()` and `today()`.
    public func evaluate(_ slots: [Value], now: Int64? = nil) -> TableResult {
        var call = Call(now: now)
        return evaluate(slots, in: &call)
    }

    /// Evaluates inside a larger evaluation, whose clock and budgets it uses.
    public func evaluate(_ slots: [Value], in call: inout Call) -> TableResult {
        var inputs: [Value] = []
        inputs.reserveCapacity(columns.count)
        for index in columns.indices {
            let value = columns[index].expression.evaluate(slots, in: &call)
            inputs.append(value)
            if let allowed = columns[index].allowed, allowed.matches(value, slots, in: &call) != true {
                return TableResult(outcome: .invalidInput(index), matchedRules: [], inputs: inputs)
            }
        }
        let matched = match(inputs, slots, &call)
        return TableResult(outcome: outcome(matched, slots, &call), matchedRules: matched, inputs: inputs)
    }

    // MARK: Matching

    /// Numbers of the matching rules, from 1, ascending; stops at the first under FIRST.
    private func match(_ inputs: [Value], _ slots: [Value], _ call: inout Call) -> [Int] {
        var matched: [Int] = []
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: wordCount) { candidates in
            for word in 0..<wordCount {
                candidates.initializeElement(at: word, to: DecisionTable.ruleBits(ruleCount - word * 64))
            }
            var unknown: Set<Int> = []
            for column in columns.indices {
                if !columns[column].index.narrow(candidates, by: inputs[column]) { unknown.insert(column) }
            }
            for word in 0..<wordCount where candidates[word] != 0 {
                if collect(candidates[word], word * 64, inputs, unknown, slots, &call, &matched) { break }
            }
        }
        return matched
    }

    /// A word with one bit per remaining rule.
    private static func ruleBits(_ remaining: Int) -> UInt64 {
        remaining >= 64 ? .max : (1 << UInt64(max(0, remaining))) - 1
    }

    /// Adds the rules of one word that match; true when no further rule matters.
    private func collect(
        _ candidates: UInt64, _ base: Int, _ inputs: [Value], _ unknown: Set<Int>, _ slots: [Value],
        _ call: inout Call, _ matched: inout [Int]
    ) -> Bool {
        var bits = candidates
        while bits != 0 {
            let rule = base + bits.trailingZeroBitCount
            bits &= bits - 1
            if passes(rule, inputs, unknown, slots, &call) {
                matched.append(rule + 1)
                if hitPolicy == .first { return true }
            }
        }
        return false
    }

    /// Whether the cells that the index does not know let the rule pass.
    /// - Parameter unknown: the columns whose index knows nothing about their value.
    private func passes(
        _ rule: Int, _ inputs: [Value], _ unknown: Set<Int>, _ slots: [Value], _ call: inout Call
    ) -> Bool {
        for column in columns.indices {
            let index = columns[column].index
            guard index.isOpaque(rule) || !unknown.isEmpty && unknown.contains(column) && index.isTest(rule) else {
                continue
            }
            if columns[column].cells[rule].matches(inputs[column], slots, in: &call) != true { return false }
        }
        return true
    }

    // MARK: Outcome

    private func row(_ number: Int, _ slots: [Value], _ call: inout Call) -> [Value] {
        if let row = constantRows[number - 1] { return row }
        return outputs[number - 1].map { $0.evaluate(slots, in: &call) }
    }

    private func rows(_ matched: [Int], _ slots: [Value], _ call: inout Call) -> [[Value]] {
        matched.map { row($0, slots, &call) }
    }

    private func outcome(_ matched: [Int], _ slots: [Value], _ call: inout Call) -> TableResult.Outcome {
        if hitPolicy == .collect, let aggregation = spec.aggregation {
            return aggregate(aggregation, matched, slots, &call)
        }
        guard let first = matched.first else {
            return .noMatch(defaults.map { $0?.evaluate(slots, in: &call) ?? .null })
        }
        switch hitPolicy {
        case .unique: return matched.count == 1 ? .matched([row(first, slots, &call)]) : .conflict
        case .first: return .matched([row(first, slots, &call)])
        case .any:
            let rows = rows(matched, slots, &call)
            return rows.allSatisfy { $0 == rows[0] } ? .matched([rows[0]]) : .conflict
        case .collect, .ruleOrder: return .matched(rows(matched, slots, &call))
        case .priority: return .matched(Array(ordered(rows(matched, slots, &call)).prefix(1)))
        case .outputOrder: return .matched(ordered(rows(matched, slots, &call)))
        }
    }

    private func aggregate(
        _ aggregation: Aggregation, _ matched: [Int], _ slots: [Value], _ call: inout Call
    ) -> TableResult.Outcome {
        if matched.isEmpty {
            if let value = defaults.first.flatMap({ $0?.evaluate(slots, in: &call) }) { return .noMatch([value]) }
            return aggregation == .count ? .aggregated(.number(0)) : .noMatch([.null])
        }
        let values = matched.map { outputs[$0 - 1][0].evaluate(slots, in: &call) }
        switch aggregation {
        case .count: return .aggregated(.number(values.count))
        case .sum: return .aggregated(ListFunctions.sum(values))
        case .min: return .aggregated(ListFunctions.min(values))
        case .max: return .aggregated(ListFunctions.max(values))
        }
    }

    /// The type of an input column: the declared one, else the expression's.
    func inputType(_ column: Int) -> FEELType {
        let declared = spec.inputs[column].type
        return declared == .any ? columns[column].expression.resultType : declared
    }

    /// Where a row's values stand in the order of the outputs' allowed values; unlisted values come last.
    func ranks(_ row: [Value]) -> [Int] {
        zip(row, priorities).map { value, order in order.firstIndex(of: value) ?? Int.max }
    }

    /// Rows by the order of the outputs' allowed values, column by column; ties keep rule order, unlisted values come
    /// last.
    private func ordered(_ rows: [[Value]]) -> [[Value]] {
        let ranked = rows.enumerated().map { offset, row in
            (rank: ranks(row), offset: offset)
        }
        let sorted = ranked.sorted { a, b in
            if a.rank == b.rank { return a.offset < b.offset }
            return a.rank.lexicographicallyPrecedes(b.rank)
        }
        return sorted.map { rows[$0.offset] }
    }

    /// The result as DMN defines it: one output column gives the bare value, several a context; list policies give
    /// lists; a conflict is null.
    public func value(of result: TableResult) -> Value {
        let isList: Bool
        switch spec.hitPolicy {
        case .collect, .ruleOrder, .outputOrder: isList = true
        default: isList = false
        }
        switch result.outcome {
        case .matched(let rows):
            let values = rows.map { self.value(ofRow: $0) }
            return isList ? .list(values) : values.first ?? .null
        case .aggregated(let value): return value
        case .noMatch(let row):
            if row.allSatisfy(\.isNull) { return isList && spec.aggregation == nil ? .list([]) : .null }
            return isList && spec.aggregation == nil ? .list([self.value(ofRow: row)]) : self.value(ofRow: row)
        case .conflict, .invalidInput: return .null
        }
    }

    private func value(ofRow row: [Value]) -> Value {
        if spec.outputs.count == 1 { return row[0] }
        return .context(Context(zip(spec.outputs, row).map { ($0.name, $1) }))
    }
}
