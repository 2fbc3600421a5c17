import JSON

/// One data quality rule of a contract.
public struct QualityRule: Sendable {
    /// What is measured.
    public enum Metric: Sendable {
        /// Rows whose value is null.
        case nullValues
        /// Rows whose value counts as missing: one of the list.
        case missingValues([JSONTree])
        /// Rows whose value is not valid: not in the list, or not matching the pattern.
        case invalidValues(valid: [JSONTree], pattern: String?)
        /// Rows that repeat the same values of these properties (of the rule's own property when empty).
        case duplicateValues(properties: [String])
        /// Rows.
        case rowCount
        /// The one number that a query returns.
        case sql(query: String)
        /// A check of the engine named.
        case custom(engine: String, implementation: JSONTree)
        /// Words for people; never evaluated.
        case text
    }

    /// What the measured number is compared with.
    public enum Comparison: Equatable, Sendable {
        /// Equal.
        case mustBe(JSONTree)
        /// Different.
        case mustNotBe(JSONTree)
        /// Greater.
        case greaterThan(JSONNumber)
        /// Greater or equal.
        case atLeast(JSONNumber)
        /// Less.
        case lessThan(JSONNumber)
        /// Less or equal.
        case atMost(JSONNumber)
        /// Between both, which are included.
        case between(JSONNumber, JSONNumber)
        /// Outside both, which are excluded.
        case notBetween(JSONNumber, JSONNumber)

        /// Whether `measured` satisfies the rule.
        public func holds(_ measured: JSONNumber) -> Bool {
            switch self {
            case .mustBe(let value): value == .number(measured)
            case .mustNotBe(let value): value != .number(measured)
            case .greaterThan(let bound): measured > bound
            case .atLeast(let bound): measured >= bound
            case .lessThan(let bound): measured < bound
            case .atMost(let bound): measured <= bound
            case .between(let low, let high): measured >= low && measured <= high
            case .notBetween(let low, let high): measured < low || measured > high
            }
        }
    }

    /// What a count is expressed in.
    public enum Unit: Equatable, Sendable {
        /// A number of rows.
        case rows
        /// Percent of the rows.
        case percent
        /// The contract's own word.
        case other(String)
    }

    /// The rule's `id` or `name`; nil when it has neither.
    public let name: String?
    /// What is measured.
    public let metric: Metric
    /// What it is compared with; nil for text and custom rules.
    public let comparison: Comparison?
    /// What the number is expressed in.
    public let unit: Unit
    /// completeness, validity and the like; nil when not said.
    public let dimension: String?
    /// The contract's word, often `error`, `warning` or `info`; nil counts as error.
    public let severity: String?
    /// For people.
    public let description: String?
    /// When to check: the text of a schedule, usually cron; nil when not said.
    public let schedule: String?
    /// Where the rule is in the contract.
    public let pointer: JSONPointer

    /// Whether not even one row may break the rule and breaking it is an error, so that each event is checked
    /// against it on its own. Other rules are aggregates.
    public var forbidsEveryRow: Bool {
        guard severity == nil || severity == "error", let comparison else { return false }
        let zero = JSONNumber(0)
        switch comparison {
        case .mustBe(let value): return value == .number(zero)
        case .atMost(let bound): return bound == zero
        case .lessThan(let bound): return unit == .rows && bound > zero && bound <= JSONNumber(1)
        default: return false
        }
    }
}

extension QualityRule {
    private static let operators = [
        "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
        "mustBeBetween", "mustNotBeBetween",
    ]

    /// Reads a rule whose shape was checked.
    static func read(_ tree: JSONTree, at pointer: JSONPointer, _ issues: inout IssueList) -> QualityRule? {
        let type = tree["type"]?.string ?? "library"
        let used = operators.filter { tree[$0]?.isNull == false }
        guard let metric = readMetric(tree, type, at: pointer, &issues) else { return nil }
        let needsOperator = type == "library" || type == "sql"
        guard used.count == (needsOperator ? 1 : 0) || (!needsOperator && used.count == 1) else {
            issues.add(.operatorCount, pointer, "a rule has exactly one of: " + operators.joined(separator: ", "))
            return nil
        }
        var comparison: Comparison?
        if let key = used.first, let operand = tree[key] {
            comparison = readComparison(key, operand)
            if comparison == nil {
                issues.add(.invalidValue, pointer.appending(key), "must be a number, or two with the smaller first")
                return nil
            }
        }
        return QualityRule(
            name: tree["id"]?.string ?? tree["name"]?.string, metric: metric, comparison: comparison,
            unit: readUnit(tree["unit"]?.string), dimension: tree["dimension"]?.string,
            severity: tree["severity"]?.string, description: tree["description"]?.string,
            schedule: tree["schedule"]?.string, pointer: pointer)
    }

    private static func readUnit(_ text: String?) -> Unit {
        switch text {
        case nil, "rows": .rows
        case "percent": .percent
        case .some(let other): .other(other)
        }
    }

    private static func readComparison(_ key: String, _ operand: JSONTree) -> Comparison? {
        switch key {
        case "mustBe": return .mustBe(operand)
        case "mustNotBe": return .mustNotBe(operand)
        case "mustBeBetween", "mustNotBeBetween":
            guard let pair = operand.array, pair.count == 2, let low = pair[0].number, let high = pair[1].number,
                low < high
            else { return nil }
            return key == "mustBeBetween" ? .between(low, high) : .notBetween(low, high)
        default:
            guard let bound = operand.number else { return nil }
            switch key {
            case "mustBeGreaterThan": return .greaterThan(bound)
            case "mustBeGreaterOrEqualTo": return .atLeast(bound)
            case "mustBeLessThan": return .lessThan(bound)
            default: return .atMost(bound)
            }
        }
    }

    private static func readMetric(
        _ tree: JSONTree, _ type: String, at pointer: JSONPointer, _ issues: inout IssueList
    ) -> Metric? {
        switch type {
        case "text": return .text
        case "sql":
            guard let query = tree["query"]?.string else {
                issues.add(.missingKey, pointer, "the key 'query' is required")
                return nil
            }
            return .sql(query: query)
        case "custom":
            guard let engine = tree["engine"]?.string, let implementation = tree["implementation"],
                implementation.kind == .string || implementation.kind == .object
            else {
                issues.add(.missingKey, pointer, "the keys 'engine' and 'implementation' are required")
                return nil
            }
            return .custom(engine: engine, implementation: implementation)
        default: return readLibraryMetric(tree, at: pointer, &issues)
        }
    }

    private static func readLibraryMetric(
        _ tree: JSONTree, at pointer: JSONPointer, _ issues: inout IssueList
    ) -> Metric? {
        guard let name = tree["metric"]?.string ?? tree["rule"]?.string else {
            issues.add(.missingKey, pointer, "the key 'metric' is required")
            return nil
        }
        let arguments = tree["arguments"]
        for key in ["missingValues", "validValues"]
        where arguments?[key]?.array?.count ?? 0 > ContractsLimits.listedValuesMax {
            issues.add(.limit, pointer.appending("arguments").appending(key), "too many values")
            return nil
        }
        switch name {
        case "nullValues": return .nullValues
        case "rowCount": return .rowCount
        case "missingValues": return .missingValues(arguments?["missingValues"]?.array ?? [.null, .string("")])
        case "duplicateValues":
            return .duplicateValues(properties: arguments?["properties"]?.array?.compactMap(\.string) ?? [])
        case "invalidValues":
            let valid = arguments?["validValues"]?.array ?? []
            let pattern = arguments?["pattern"]?.string
            guard !valid.isEmpty || pattern != nil else {
                issues.add(.missingKey, pointer.appending("arguments"), "'validValues' or 'pattern' is required")
                return nil
            }
            return .invalidValues(valid: valid, pattern: pattern)
        default:
            let known = "nullValues, missingValues, invalidValues, duplicateValues, rowCount"
            issues.add(.invalidValue, pointer.appending("metric"), "must be one of: " + known)
            return nil
        }
    }
}
