import FEEL

extension DecisionTable {
    /// Checks the table before it is published: rules that overlap, gaps, rules without effect, cells and outputs that
    /// do not fit their columns.
    ///
    /// Every rule is a box in the space of the inputs; a column's constants cut its axis into the segments that its
    /// cells can tell apart. Cells whose answer depends on more than constants count as unknown: they neither overlap
    /// nor leave a gap for sure. At most `DMNLimits.issues` findings, errors first.
    public func findings() -> [TableFinding] {
        var analysis = TableAnalysis(self)
        return analysis.run()
    }
}

/// One analysis of one table.
private struct TableAnalysis {
    private let table: DecisionTable
    private let columns: [AnalysisColumn]
    /// Rules whose cells are all known.
    private let isKnown: [Bool]
    private var findings: [TableFinding] = []
    private var steps = 0

    init(_ table: DecisionTable) {
        self.table = table
        let columns = table.columns.indices.map { AnalysisColumn(table.columns[$0], type: table.inputType($0)) }
        self.columns = columns
        isKnown = (0..<table.ruleCount).map { rule in columns.allSatisfy { !$0.isOpaque[rule] } }
    }

    mutating func run() -> [TableFinding] {
        checkInputs()
        checkOutputs()
        switch table.hitPolicy {
        case .unique, .any:
            checkOverlaps()
            checkGaps()
        case .first:
            checkUnreachable { Array(0..<$0) }
            checkGaps()
        case .priority:
            let ranks = (0..<table.ruleCount).map { table.constantRows[$0].map { table.ranks($0) } }
            checkUnreachable { rule in
                guard let own = ranks[rule] else { return [] }
                return ranks.indices.filter { other in
                    guard other != rule, let rank = ranks[other] else { return false }
                    return rank == own ? other < rule : rank.lexicographicallyPrecedes(own)
                }
            }
            checkGaps()
        case .collect, .ruleOrder, .outputOrder: break
        }
        if steps > DMNLimits.analysisSteps {
            report(.warning, .incomplete, "the table is too large to be checked wholly", "", [])
        }
        let sorted = findings.enumerated().sorted {
            ($0.element.severity == .error ? 0 : 1, $0.offset) < ($1.element.severity == .error ? 0 : 1, $1.offset)
        }
        return sorted.prefix(DMNLimits.issues).map(\.element)
    }

    private mutating func report(
        _ severity: TableFinding.Severity, _ code: TableFinding.Code, _ message: String, _ pointer: String,
        _ rules: [Int], column: Int? = nil
    ) {
        guard findings.count < DMNLimits.issues * 2 else { return }
        findings.append(
            TableFinding(
                severity: severity, code: code, message: message, pointer: pointer, rules: rules.map { $0 + 1 },
                column: column))
    }

    /// Counts a step; false when the budget is spent.
    private mutating func step() -> Bool {
        steps += 1
        return steps <= DMNLimits.analysisSteps
    }

    // MARK: Cells

    private static let scalars: Set<FEELType> = [
        .boolean, .number, .string, .date, .time, .dateTime, .yearsMonthsDuration, .daysTimeDuration,
    ]

    private mutating func checkInputs() {
        for (column, cells) in table.columns.enumerated() {
            let type = table.inputType(column)
            for (rule, cell) in cells.cells.enumerated() {
                let pointer = "/rules/\(rule)/tests/\(column)"
                if TableAnalysis.scalars.contains(type), case .constants(let constants, _) = cell.shape,
                    let stranger = constants.first(where: { !$0.isNull && $0.type != type })
                {
                    report(
                        .error, .typeMismatch,
                        "rule \(rule + 1): the input is a \(type.name), \(stranger.text) is a \(stranger.type.name)",
                        pointer, [rule], column: column)
                } else if columns[column].isEmpty(rule) {
                    report(
                        .error, .neverMatches,
                        "rule \(rule + 1): no allowed input of '\(table.spec.inputs[column].name)' passes this cell",
                        pointer, [rule], column: column)
                }
            }
        }
    }

    private mutating func checkOutputs() {
        let isCount = table.spec.aggregation == .count
        for (column, output) in table.spec.outputs.enumerated() {
            let allowed = output.allowedValues.flatMap {
                try? UnaryTests($0, inputType: output.type, in: Environment([]))
            }
            var cells = table.outputs.enumerated().map { rule, row in
                (value: row[column].constant, pointer: "/rules/\(rule)/outputs/\(column)", rules: [rule])
            }
            cells.append((table.defaults[column]?.constant, "/outputs/\(column)/default_value", []))
            for cell in cells {
                guard let value = cell.value, !value.isNull else { continue }
                let place = cell.rules.first.map { "rule \($0 + 1)" } ?? "the default"
                let coerced = Coercion.coerce(value, to: output.type)
                if !isCount && coerced == nil {
                    report(
                        .error, .typeMismatch, "\(place): '\(output.name)' is a \(output.type.name), not \(value.text)",
                        cell.pointer, cell.rules, column: column)
                } else if let allowed, allowed.matches(coerced ?? value, []) != true {
                    report(
                        .error, .notAllowed, "\(place): \(value.text) is no allowed value of '\(output.name)'",
                        cell.pointer, cell.rules, column: column)
                }
            }
        }
    }

    // MARK: Overlaps

    private mutating func checkOverlaps() {
        for second in 0..<table.ruleCount where isKnown[second] {
            for first in 0..<second where isKnown[first] {
                guard step() else { return }
                if table.hitPolicy == .any {
                    guard let a = table.constantRows[first], let b = table.constantRows[second], a != b else {
                        continue
                    }
                }
                guard let common = intersection(first, second) else { continue }
                let what = table.hitPolicy == .any ? "match together with different outputs" : "match together"
                report(
                    .error, .overlap, "rules \(first + 1) and \(second + 1) \(what): \(common)", "/rules/\(second)",
                    [first, second])
            }
        }
    }

    /// Where two rules match together, for people; nil when nowhere.
    private func intersection(_ first: Int, _ second: Int) -> String? {
        var texts: [String] = []
        for (index, column) in columns.enumerated() {
            let (a, b) = (column.ranges[first], column.ranges[second])
            guard let word = a.indices.first(where: { a[$0] & b[$0] != 0 }) else { return nil }
            if column.passesAll[first] && column.passesAll[second] { continue }
            let start = word * 64 + (a[word] & b[word]).trailingZeroBitCount
            var end = start
            while end + 1 < column.segments.count,
                a[(end + 1) >> 6] & b[(end + 1) >> 6] & (1 << UInt64((end + 1) & 63)) != 0
            {
                // A run for people does not lead from null into values.
                if column.segments[end].isNull { break }
                end += 1
            }
            texts.append("\(table.spec.inputs[index].name): \(column.text(start...end))")
        }
        return texts.isEmpty ? "for every input" : texts.joined(separator: ", ")
    }

    // MARK: Gaps

    /// Whether somebody said what happens when no rule matches.
    private var hasDefault: Bool { table.defaults.contains { $0 != nil } }

    private mutating func checkGaps() {
        if hasDefault { return }
        var search = GapSearch(columns: columns, limit: DMNLimits.gaps, inside: nil)
        let all = GapSearch.rules(0..<table.ruleCount, count: table.ruleCount)
        search.run(all, &steps)
        for gap in search.gaps {
            let texts = zip(table.spec.inputs, gap).filter { $1 != "-" }.map { "\($0.name): \($1)" }
            let place = texts.isEmpty ? "any input" : texts.joined(separator: ", ")
            report(.warning, .gap, "no rule matches \(place)", "/rules", [])
        }
    }

    /// - Parameter rivals: the rules that win over a rule when both match.
    private mutating func checkUnreachable(_ rivals: (Int) -> [Int]) {
        for rule in 0..<table.ruleCount {
            // What is not known of the rule itself only makes it smaller; what is not known of its rivals covers nothing.
            let known = rivals(rule).filter { isKnown[$0] }
            if known.isEmpty || columns.contains(where: { $0.isEmpty(rule) }) { continue }
            var search = GapSearch(columns: columns, limit: 1, inside: rule)
            search.run(GapSearch.rules(known, count: table.ruleCount), &steps)
            if steps > DMNLimits.analysisSteps { return }
            if search.gaps.isEmpty {
                let word = table.hitPolicy == .first ? "earlier rules" : "rules of higher priority"
                report(
                    .warning, .unreachable, "rule \(rule + 1) has no effect: \(word) match whatever it matches",
                    "/rules/\(rule)", [rule])
            }
        }
    }
}

/// Looks for inputs that none of some rules matches: column by column, following only sets of rules that differ.
private struct GapSearch {
    let columns: [AnalysisColumn]
    let limit: Int
    /// The rule in whose box to look; nil for all inputs but null.
    let inside: Int?
    /// What was found: a text per column.
    private(set) var gaps: [[String]] = []
    private var seen: [Set<[UInt64]>]
    private var path: [String] = []

    init(columns: [AnalysisColumn], limit: Int, inside: Int?) {
        self.columns = columns
        self.limit = limit
        self.inside = inside
        seen = Array(repeating: [], count: columns.count)
    }

    static func rules(_ rules: some Sequence<Int>, count: Int) -> [UInt64] {
        var bits = Array(repeating: UInt64(0), count: max(1, (count + 63) / 64))
        for rule in rules { bits[rule >> 6] |= 1 << UInt64(rule & 63) }
        return bits
    }

    mutating func run(_ rules: [UInt64], _ steps: inout Int) { search(0, rules, &steps) }

    private mutating func search(_ column: Int, _ active: [UInt64], _ steps: inout Int) {
        guard gaps.count < limit, steps <= DMNLimits.analysisSteps else { return }
        if active.allSatisfy({ $0 == 0 }) {
            gaps.append(path + Array(repeating: "-", count: columns.count - column))
            return
        }
        guard column < columns.count, !isCovered(column, active), seen[column].insert(active).inserted else { return }
        let positions = columns[column].segments.indices.filter { isInside(column, $0) }
        var index = 0
        while index < positions.count {
            let left = remaining(column, positions[index], active)
            var last = index
            while last + 1 < positions.count, positions[last + 1] == positions[last] + 1,
                remaining(column, positions[last + 1], active) == left
            {
                last += 1
            }
            steps += last - index + 1
            path.append(columns[column].text(positions[index]...positions[last]))
            search(column + 1, left, &steps)
            path.removeLast()
            index = last + 1
        }
    }

    private func isInside(_ column: Int, _ position: Int) -> Bool {
        guard let inside else { return !columns[column].segments[position].isNull }
        return columns[column].ranges[inside][position >> 6] & (1 << UInt64(position & 63)) != 0
    }

    private func remaining(_ column: Int, _ position: Int, _ active: [UInt64]) -> [UInt64] {
        zip(active, columns[column].passing[position]).map { $0 & $1 }
    }

    /// Whether one of the rules passes whatever the remaining columns hold.
    private func isCovered(_ column: Int, _ active: [UInt64]) -> Bool {
        for (word, bits) in active.enumerated() {
            var bits = bits
            while bits != 0 {
                let rule = word * 64 + bits.trailingZeroBitCount
                bits &= bits - 1
                if columns[column...].allSatisfy({ $0.covers(rule, inside) }) { return true }
            }
        }
        return false
    }
}

extension AnalysisColumn {
    /// Whether a rule's cell passes wherever another's does, or wherever an input is not null.
    fileprivate func covers(_ rule: Int, _ other: Int?) -> Bool {
        guard let other else { return passesAll[rule] }
        return zip(ranges[rule], ranges[other]).allSatisfy { $1 & ~$0 == 0 }
    }
}
