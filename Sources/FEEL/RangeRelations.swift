/// The relations of points and ranges (DMN 1.5, 10.3.4.9, after Allen's interval algebra).
enum RangeRelations {
    static func apply(_ function: BuiltIn, _ a: Value, _ b: Value) -> Value {
        if a.isNull || b.isNull || isHole(a) || isHole(b) { return .null }
        let result: Bool?
        switch function {
        case .after: result = before(b, a)
        case .before: result = before(a, b)
        case .meets: result = meets(a, b)
        case .metBy: result = meets(b, a)
        case .overlaps: result = pair(a, b).flatMap { overlaps($0, $1) }
        case .overlapsBefore: result = pair(a, b).flatMap { overlapsBefore($0, $1) }
        case .overlapsAfter: result = pair(a, b).flatMap { overlapsBefore($1, $0) }
        case .finishes: result = finishes(a, b)
        case .finishedBy: result = finishes(b, a)
        case .includes: result = includes(a, b)
        case .during: result = includes(b, a)
        case .starts: result = starts(a, b)
        case .startedBy: result = starts(b, a)
        case .coincides: result = coincides(a, b)
        default: result = nil
        }
        return result.map { .boolean($0) } ?? .null
    }

    /// `(!= x)` has two parts and no endpoints: no relation tells anything of it.
    private static func isHole(_ value: Value) -> Bool {
        if case .range(let interval) = value { return interval.kind == .notEqual }
        return false
    }

    private static func pair(_ a: Value, _ b: Value) -> (Interval, Interval)? {
        guard case .range(let a) = a, case .range(let b) = b else { return nil }
        return (a, b)
    }

    private static func before(_ a: Value, _ b: Value) -> Bool? {
        let (high, includesHigh) = upper(a)
        let (low, includesLow) = lower(b)
        guard let order = Comparison.order(high, low) else { return nil }
        if order != 0 { return order < 0 }
        if case .range = a { return !(includesHigh && includesLow) }
        if case .range = b { return !includesLow }
        return false
    }

    private static func lower(_ value: Value) -> (Value, Bool) {
        if case .range(let interval) = value { return (interval.low, interval.includesLow) }
        return (value, true)
    }

    private static func upper(_ value: Value) -> (Value, Bool) {
        if case .range(let interval) = value { return (interval.high, interval.includesHigh) }
        return (value, true)
    }

    private static func meets(_ a: Value, _ b: Value) -> Bool? {
        guard let (a, b) = pair(a, b), let order = Comparison.order(a.high, b.low) else { return nil }
        return a.includesHigh && b.includesLow && order == 0
    }

    private static func overlaps(_ a: Interval, _ b: Interval) -> Bool? {
        guard let first = Comparison.order(a.high, b.low), let second = Comparison.order(b.high, a.low) else {
            return nil
        }
        let reachesB = first > 0 || (first == 0 && a.includesHigh && b.includesLow)
        let reachesA = second > 0 || (second == 0 && b.includesHigh && a.includesLow)
        return reachesA && reachesB
    }

    private static func overlapsBefore(_ a: Interval, _ b: Interval) -> Bool? {
        guard let starts = Comparison.order(a.low, b.low), let touches = Comparison.order(a.high, b.low),
            let ends = Comparison.order(a.high, b.high)
        else { return nil }
        let startsFirst = starts < 0 || (starts == 0 && a.includesLow && !b.includesLow)
        let reaches = touches > 0 || (touches == 0 && a.includesHigh && b.includesLow)
        let endsFirst = ends < 0 || (ends == 0 && (!a.includesHigh || b.includesHigh))
        return startsFirst && reaches && endsFirst
    }

    private static func finishes(_ a: Value, _ b: Value) -> Bool? {
        guard case .range(let range) = b else { return nil }
        guard case .range(let inner) = a else {
            guard let order = Comparison.order(a, range.high) else { return nil }
            return range.includesHigh && order == 0
        }
        guard let ends = Comparison.order(inner.high, range.high), let starts = Comparison.order(range.low, inner.low)
        else { return nil }
        return inner.includesHigh == range.includesHigh && ends == 0
            && (starts < 0 || (starts == 0 && (!inner.includesLow || range.includesLow)))
    }

    private static func starts(_ a: Value, _ b: Value) -> Bool? {
        guard case .range(let range) = b else { return nil }
        guard case .range(let inner) = a else {
            guard let order = Comparison.order(a, range.low) else { return nil }
            return range.includesLow && order == 0
        }
        guard let starts = Comparison.order(inner.low, range.low), let ends = Comparison.order(inner.high, range.high)
        else { return nil }
        return inner.includesLow == range.includesLow && starts == 0
            && (ends < 0 || (ends == 0 && (!inner.includesHigh || range.includesHigh)))
    }

    private static func includes(_ a: Value, _ b: Value) -> Bool? {
        guard case .range(let range) = a else { return nil }
        guard case .range(let inner) = b else { return Comparison.contains(range, b).boolean }
        guard let starts = Comparison.order(range.low, inner.low), let ends = Comparison.order(range.high, inner.high)
        else { return nil }
        return (starts < 0 || (starts == 0 && (range.includesLow || !inner.includesLow)))
            && (ends > 0 || (ends == 0 && (range.includesHigh || !inner.includesHigh)))
    }

    private static func coincides(_ a: Value, _ b: Value) -> Bool? {
        guard case .range(let x) = a, case .range(let y) = b else {
            if case .range = a { return nil }
            if case .range = b { return nil }
            return Comparison.order(a, b).map { $0 == 0 }
        }
        guard let starts = Comparison.order(x.low, y.low), let ends = Comparison.order(x.high, y.high) else {
            return nil
        }
        return starts == 0 && ends == 0 && x.includesLow == y.includesLow && x.includesHigh == y.includesHigh
    }
}
