/// One feature as SQL over the rows of `event`, see `FeatureSQL`.
struct FeatureExpression {
    let value: String
    /// The largest difference that is allowed; nil for none.
    var bound: String?
    var precision = FeatureSQL.Precision.exact

    private static let quotientDigits = 300
    /// For quotients of the smallest binary64 numbers, which have up to 1,075 digits after the point.
    private static let tinyQuotientDigits = 1_400

    /// The rows of a window: as a FILTER clause, and as a condition to be continued.
    private struct Window {
        var filter = ""
        var condition = ""

        init(_ window: FeatureWindow, _ interval: AggregationInterval) {
            guard case .micros(let micros) = window else { return }
            let start: String
            switch interval {
            case .exact: start = "$2 - \(micros)"
            case .tiles(let seconds):
                let tile = seconds * 1_000_000
                start = "floor(($2 - \(micros))::numeric / \(tile)) * \(tile)"
            }
            filter = " FILTER (WHERE event_us > \(start))"
            condition = "event_us > \(start) AND "
        }

        func call(_ function: String, _ value: String) -> String { "\(function)(\(value))\(filter)" }
    }

    init(_ feature: FeatureSpec, _ spec: FeatureViewSpec) {
        let window = Window(feature.window, spec.aggregationInterval)
        let column = spec.columns.first { $0.name == feature.column }
        let value = column.map { EventSQL.identifier($0.name) } ?? "*"
        switch feature.aggregate {
        case .quantile(let quantile):
            self.value = "percentile_disc(\(quantile)) WITHIN GROUP (ORDER BY \(value))\(window.filter)"
            let magnitude = "greatest(abs(\(self.value))::float8, 2.3e-308)"
            bound = """
                CASE WHEN \(window.call("count", value)) > \(FeatureLimits.quantileExactMax) \
                THEN \(magnitude) * \(FeatureLimits.quantileRelativeError) ELSE 0 END
                """
            precision = .within(
                "exact up to \(FeatureLimits.quantileExactMax) values, above that 1/128 of the value")
        case .decayedSum(let halfLife):
            let sums = Decayed(value, isDouble: column?.kind == .double, halfLife, window.filter)
            self.value = NumericSQL.doubleOf("coalesce(\(sums.values), 0)")
            bound = NumericSQL.doubleOf("coalesce(1e-14 * \(sums.magnitudes) + \(sums.smallest), 0)")
            precision = .within("1e-14 of the sum of |value| times weight")
        case .decayedMean(let halfLife):
            let sums = Decayed(value, isDouble: column?.kind == .double, halfLife, window.filter)
            let weights = "nullif(\(sums.weights), 0)"
            self.value = NumericSQL.doubleOf("\(sums.values) / \(weights)")
            bound = NumericSQL.doubleOf(
                "(2e-14 * \(sums.magnitudes) + \(sums.smallest) * (1 + \(sums.magnitudes) / \(weights))) / \(weights)")
            precision = .within("2e-14 of the weighted mean of |value|")
        case .topK(let count):
            let isText = column?.kind == .string
            self.value = Self.mostFrequent(value, isText: isText, count, window.condition)
        default:
            self.value = Self.exact(feature.aggregate, value, isDouble: column?.kind == .double, feature.column, window)
        }
    }

    /// An aggregate whose value has the engine's bits.
    private static func exact(
        _ aggregate: Aggregate, _ value: String, isDouble: Bool, _ column: String?, _ window: Window
    ) -> String {
        let exactValue = isDouble ? EventSQL.identifier(EventValueSQL.exactName(column ?? "")) : value
        let sum = window.call("sum", exactValue)
        switch aggregate {
        case .count: return window.call("count", value)
        case .sum: return isDouble ? NumericSQL.doubleOf("coalesce(\(sum), 0)") : "coalesce(\(sum), 0)"
        case .mean:
            let count = window.call("count", value)
            return isDouble ? meanOfDoubles(sum, count) : "\(sum)::float8 / \(count)::float8"
        case .min: return window.call("min", value)
        case .max: return window.call("max", value)
        case .first: return end(value, window.condition, "ASC")
        case .last: return end(value, window.condition, "DESC")
        case .distinct: return "count(DISTINCT \(value))\(window.filter)"
        case .variance: return variance(value, window)
        case .stddev: return "sqrt(\(variance(value, window)))"
        case .ratio(let denominator):
            return quotient(sum, "nullif(\(window.call("sum", EventSQL.identifier(denominator))), 0)")
        case .firstTime: return time("min", value, window)
        case .lastTime: return time("max", value, window)
        case .timeSince(let unit):
            return quotient("($2 - \(window.call("max", "event_us")))::numeric", String(unit.rawValue))
        case .attribute: return end(value, "", "DESC")
        case .topK, .quantile, .decayedSum, .decayedMean: preconditionFailure("written elsewhere")
        }
    }

    /// The rounded sum divided by the count. A quotient that rounds to zero is an error to PostgreSQL, so the smallest are
    /// divided as `numeric`.
    private static func meanOfDoubles(_ sum: String, _ count: String) -> String {
        """
        (SELECT CASE WHEN s = 0 OR abs(s) > 1e-290 THEN s / n::float8 \
        ELSE \(NumericSQL.doubleOf("round(\(EventValueSQL.exact("s")), \(tinyQuotientDigits)) / nullif(n, 0)")) END \
        FROM (SELECT \(NumericSQL.doubleOf(sum)) AS s, \(count) AS n OFFSET 0) m)
        """
    }

    /// The earliest or latest event time; of a column, of the events with a value.
    private static func time(_ function: String, _ value: String, _ window: Window) -> String {
        if value == "*" { return window.call(function, "event_us") }
        return "\(function)(event_us) FILTER (WHERE \(window.condition)\(value) IS NOT NULL)"
    }

    /// The first or last value by (event time, source, id), bytes compared.
    private static func end(_ value: String, _ condition: String, _ order: String) -> String {
        """
        (array_agg(\(value) ORDER BY event_us \(order), source COLLATE "C" \(order), id COLLATE "C" \(order)) \
        FILTER (WHERE \(condition)\(value) IS NOT NULL))[1]
        """
    }

    /// By count descending, then by value ascending, text byte by byte.
    private static func mostFrequent(_ value: String, isText: Bool, _ count: Int, _ condition: String) -> String {
        let order = { (name: String) in isText ? "\(name) COLLATE \"C\"" : name }
        return """
            (SELECT json_agg(json_build_object('value', v, 'count', n) ORDER BY n DESC, \(order("v"))) FROM (
                    SELECT \(value) AS v, count(*) AS n FROM event WHERE \(condition)\(value) IS NOT NULL
                    GROUP BY 1 ORDER BY n DESC, \(order(value)) LIMIT \(count)) k)
            """
    }

    private static func variance(_ value: String, _ window: Window) -> String {
        let count = window.call("count", value)
        let (sum, squares) = (window.call("sum", value), window.call("sum", "\(value) * \(value)"))
        return quotient(
            "\(count) * \(squares) - \(sum) * \(sum)", "nullif(\(count)::numeric * (\(count) - 1), 0)")
    }

    private static func quotient(_ dividend: String, _ divisor: String) -> String {
        "(round(\(dividend), \(quotientDigits)) / \(divisor))::float8"
    }
}

/// The sums of one decay.
private struct Decayed {
    /// Σ value × weight.
    let values: String
    /// Σ |value| × weight.
    let magnitudes: String
    let weights: String
    /// What rounding weights and products to the smallest binary64 may come to.
    let smallest: String

    init(_ value: String, isDouble: Bool, _ halfLife: Int64, _ filter: String) {
        // The shortest decimal is nearer to a binary64 than the bound asks for.
        let number = isDouble ? "\(value)::text::numeric" : value
        let weight = EventSQL.identifier(EventValueSQL.weightName(halfLife))
        values = "sum(\(number) * \(weight))\(filter)"
        magnitudes = "sum(abs(\(number)) * \(weight))\(filter)"
        weights = "sum(CASE WHEN \(value) IS NOT NULL THEN \(weight) END)\(filter)"
        smallest = "sum((abs(\(number)) + 1) * 1e-323::numeric)\(filter)"
    }
}
