extension BuiltIns {
    static func numeric(_ function: BuiltIn, _ arguments: [Value]) -> Value {
        if function == .abs { return absolute(singleton(arguments[0])) }
        guard case .number(let n) = singleton(arguments[0]) else { return .null }
        switch function {
        case .sqrt: return n.squareRoot.map { .number(n.isZero ? .zero : $0.stripped) } ?? .null
        case .log: return n.logarithm.map { .number($0) } ?? .null
        case .exp: return n.exponential.map { .number($0) } ?? .null
        case .odd: return n.isInteger ? .boolean(n.modulo(Decimal(2)) != .zero) : .null
        case .even: return n.isInteger ? .boolean(n.modulo(Decimal(2)) == .zero) : .null
        case .modulo:
            guard case .number(let divisor) = singleton(arguments[1]) else { return .null }
            return n.modulo(divisor).map { .number($0) } ?? .null
        default:
            var scale = 0
            if arguments.count > 1 {
                guard case .number(let value) = singleton(arguments[1]),
                    let whole = value.rounded(scale: 0, .down)?.integer
                else { return .null }
                scale = whole
            }
            guard let rounding = rounding(function), let result = n.rounded(scale: scale, rounding) else {
                return .null
            }
            return .number(result.isZero ? .zero : result)
        }
    }

    private static func rounding(_ function: BuiltIn) -> Decimal.Rounding? {
        switch function {
        case .decimal: .halfEven
        case .floor: .floor
        case .ceiling: .ceiling
        case .roundUp: .up
        case .roundDown: .down
        case .roundHalfUp: .halfUp
        case .roundHalfDown: .halfDown
        default: nil
        }
    }

    private static func absolute(_ value: Value) -> Value {
        switch value {
        case .number(let n): return .number(n.magnitude)
        case .yearsMonthsDuration(let duration):
            guard let months = Int64(exactly: duration.months.magnitude) else { return .null }
            return .yearsMonthsDuration(YearsMonthsDuration(months: months))
        case .daysTimeDuration(let duration):
            return TemporalArithmetic.duration(duration.nanoseconds < 0 ? -duration.nanoseconds : duration.nanoseconds)
        default: return .null
        }
    }

    // MARK: Aggregates

    static func aggregate(_ function: BuiltIn, _ arguments: [Value]) -> Value {
        if function == .count {
            if case .list(let elements) = arguments[0] { return .number(elements.count) }
            return arguments[0].isNull ? .null : .number(1)
        }
        guard let values = operands(arguments) else { return .null }
        switch function {
        case .min: return extreme(values, sign: -1)
        case .max: return extreme(values, sign: 1)
        case .all: return truth(values, deciding: false)
        case .any: return truth(values, deciding: true)
        case .sum: return sum(values)
        default:
            var numbers: [Decimal] = []
            for value in values {
                guard case .number(let number) = value else { return .null }
                numbers.append(number)
            }
            return statistic(function, numbers)
        }
    }

    private static func extreme(_ values: [Value], sign: Int) -> Value {
        guard var best = values.first, !best.isNull else { return .null }
        if Comparison.order(best, best) == nil { return .null }
        for value in values.dropFirst() {
            guard let order = Comparison.order(value, best) else { return .null }
            if order == sign { best = value }
        }
        return best
    }

    private static func truth(_ values: [Value], deciding: Bool) -> Value {
        var hasNull = false
        for value in values {
            switch value {
            case .boolean(let value): if value == deciding { return .boolean(deciding) }
            case .null: hasNull = true
            default: hasNull = true
            }
        }
        return hasNull ? .null : .boolean(!deciding)
    }

    private static func sum(_ values: [Value]) -> Value {
        guard var total = values.first else { return .null }
        switch total {
        case .number, .daysTimeDuration, .yearsMonthsDuration: break
        default: return .null
        }
        for value in values.dropFirst() {
            if case .number(let a) = total, case .number(let b) = value {
                guard let next = a + b else { return .null }
                total = .number(next)
            } else {
                guard total.type == value.type else { return .null }
                total = TemporalArithmetic.apply(.add, total, value, .utcOnly)
                if total.isNull { return .null }
            }
        }
        return total
    }

    private static func statistic(_ function: BuiltIn, _ numbers: [Decimal]) -> Value {
        if function == .mode { return mode(numbers) }
        guard !numbers.isEmpty else { return .null }
        switch function {
        case .mean: return mean(numbers).map { .number($0) } ?? .null
        case .product:
            var total = Decimal.one
            for number in numbers {
                guard let next = total * number else { return .null }
                total = next
            }
            return .number(total)
        case .median:
            let sorted = numbers.sorted()
            let middle = sorted.count / 2
            if sorted.count % 2 == 1 { return .number(sorted[middle]) }
            return mean([sorted[middle - 1], sorted[middle]]).map { .number($0) } ?? .null
        case .stddev: return deviation(numbers).map { .number($0) } ?? .null
        default: return .null
        }
    }

    private static func mean(_ numbers: [Decimal]) -> Decimal? {
        var total = Decimal.zero
        for number in numbers {
            guard let next = total + number else { return nil }
            total = next
        }
        return total / Decimal(numbers.count)
    }

    /// The deviation of a sample (divisor n - 1).
    private static func deviation(_ numbers: [Decimal]) -> Decimal? {
        guard numbers.count > 1, let mean = mean(numbers) else { return nil }
        var total = Decimal.zero
        for number in numbers {
            guard let difference = number - mean, let square = difference * difference, let next = total + square else {
                return nil
            }
            total = next
        }
        guard let variance = total / Decimal(numbers.count - 1) else { return nil }
        return variance.squareRoot
    }

    private static func mode(_ numbers: [Decimal]) -> Value {
        var counts: [Decimal: Int] = [:]
        for number in numbers { counts[number, default: 0] += 1 }
        let most = counts.values.max() ?? 0
        return .list(counts.filter { $0.value == most }.keys.sorted().map { .number($0) })
    }
}
