extension PartialEvaluator {
    mutating func reduceLogic(_ term: Term, _ locals: Locals) -> Part {
        switch term.kind {
        case .compare(let operation, let a, let b):
            let parts = [reduce(a, locals), reduce(b, locals)]
            if operation.isOrder, let null = parts.first(where: \.isNull) { return self.null(from: null, like: term) }
            return make(.compare(operation, parts[0].term, parts[1].term), like: term, parts)
        case .between(let value, let low, let high):
            return inside([reduce(value, locals), reduce(low, locals), reduce(high, locals)], true, true, term)
        case .inside(let value, let low, let high, let includesLow, let includesHigh):
            return inside(
                [reduce(value, locals), reduce(low, locals), reduce(high, locals)], includesLow, includesHigh, term)
        case .test(let subject, let value, let usesInput):
            let parts = [reduce(subject, locals), reduce(value, locals)]
            return make(.test(subject: parts[0].term, parts[1].term, usesInput: usesInput), like: term, parts)
        case .and(let terms), .or(let terms):
            var parts: [Part] = []
            for operand in terms { parts.append(reduce(operand, locals)) }
            let isAnd = if case .and = term.kind { true } else { false }
            return junction(isAnd: isAnd, parts, like: term)
        case .not(let operand):
            let part = reduce(operand, locals)
            if case .not(let inner) = part.term.kind, PartialEvaluator.isTruth(inner) {
                return Part(term: inner, value: part.value, isOpen: part.isOpen, locals: part.locals)
            }
            return make(.not(part.term), like: term, [part])
        case .conditional(let condition, let then, let otherwise):
            let test = reduce(condition, locals)
            switch test.value {
            case .boolean(true)?: return reduce(then, locals)
            case .boolean(false)?, .null?: return reduce(otherwise, locals)
            default: break
            }
            let parts = [test, reduce(then, locals), reduce(otherwise, locals)]
            return make(.conditional(parts[0].term, parts[1].term, parts[2].term), like: term, parts)
        default: preconditionFailure("not a term of logic")
        }
    }

    /// A range test. It is null when any of its three parts is; a bound that is known to hold leaves the other one.
    private func inside(_ parts: [Part], _ includesLow: Bool, _ includesHigh: Bool, _ term: Term) -> Part {
        if let null = parts.first(where: \.isNull) { return self.null(from: null, like: term) }
        if let value = parts[0].value {
            if let low = parts[1].value, let order = Comparison.order(value, low),
                order > 0 || (order == 0 && includesLow)
            {
                return make(
                    .compare(includesHigh ? .lessOrEqual : .less, parts[0].term, parts[2].term), like: term,
                    [parts[0], parts[2]])
            }
            if let high = parts[2].value, let order = Comparison.order(value, high),
                order < 0 || (order == 0 && includesHigh)
            {
                return make(
                    .compare(includesLow ? .greaterOrEqual : .greater, parts[0].term, parts[1].term), like: term,
                    [parts[0], parts[1]])
            }
        }
        let (value, low, high) = (parts[0].term, parts[1].term, parts[2].term)
        let kind: Term.Kind =
            if case .between = term.kind {
                .between(value, low, high)
            } else {
                .inside(value, low: low, high: high, includesLow: includesLow, includesHigh: includesHigh)
            }
        return make(kind, like: term, parts)
    }

    /// `and` or `or` of rewritten operands: the deciding value decides, the neutral one goes, one null stays for all.
    func junction(isAnd: Bool, _ operands: [Part], like term: Term) -> Part {
        var kept: [Part] = []
        var null: Part?
        for part in operands {
            switch part.value {
            case .boolean(let value)?:
                if value != isAnd { return constant(.boolean(value), like: term, .boolean) }
            // Anything else that is known is no truth value, which counts as null.
            case .some: null = null ?? part
            case nil: kept.append(part)
            }
        }
        if let null { kept.append(null) }
        guard let first = kept.first else { return constant(.boolean(isAnd), like: term, .boolean) }
        if kept.count == 1 && PartialEvaluator.isTruth(first.term) { return first }
        var terms: [Term] = []
        for part in kept {
            switch (part.term.kind, isAnd) {
            case (.and(let inner), true), (.or(let inner), false): terms += inner
            default: terms.append(part.term)
            }
        }
        return make(isAnd ? .and(terms) : .or(terms), like: term, kept)
    }

    /// Whether a term gives true, false or null whatever its names hold.
    static func isTruth(_ term: Term) -> Bool {
        switch term.kind {
        case .compare, .between, .inside, .test, .and, .or, .not, .instanceOf, .unknown, .failed: true
        case .constant(.boolean), .constant(.null): true
        case .loop(let kind, _, _, _): kind != .collect
        case .conditional(_, let then, let otherwise): isTruth(then) && isTruth(otherwise)
        default: false
        }
    }
}
