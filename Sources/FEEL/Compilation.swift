/// Compiling a source: parse, check the profile, build the program.
enum Compilation {
    static func expression(
        _ source: String, _ environment: Environment, _ profile: Profile
    ) throws(FEELError) -> Program {
        var parser = try Parser(source, environment, inputType: nil, isClosed: profile == .closed)
        let term = try parser.wholeExpression()
        if profile == .strict { try StrictChecker(environment).check(term) }
        return build(term, environment, source, .opaque, keepsTerm: true)
    }

    static func unaryTests(
        _ source: String, _ inputType: FEELType, _ environment: Environment, _ profile: Profile
    ) throws(FEELError) -> Program {
        var parser = try Parser(source, environment, inputType: inputType, isClosed: profile == .closed)
        guard let term = try parser.wholeUnaryTests() else {
            let anything = Term(kind: .constant(.boolean(true)), type: .boolean, offset: 0, depth: 1)
            return build(anything, environment, source, .any)
        }
        if profile == .strict { try StrictChecker(environment).check(term) }
        return build(term, environment, source, shape(term))
    }

    private static func build(
        _ term: Term, _ environment: Environment, _ source: String, _ shape: UnaryTestShape, keepsTerm: Bool = false
    ) -> Program {
        var builder = ProgramBuilder(environment)
        let root = builder.compile(term)
        var details = Program.Details(
            source: source, type: term.type, usedSlots: builder.usedSlots.sorted(), shape: shape)
        // Cells of tables, of which there are many, have no use for their tree.
        if keepsTerm { details.term = term }
        return Program(builder, root: root, details: details)
    }

    /// What the tests of `?` amount to, when they only compare it with constants.
    private static func shape(_ term: Term) -> UnaryTestShape {
        let terms: [Term]
        if case .or(let tests) = term.kind { terms = tests } else { terms = [term] }
        var values: [Value] = []
        var ranges: [Interval] = []
        for term in terms {
            if let value = constantEqual(term) {
                values.append(value)
            } else if let range = constantRange(term) {
                ranges.append(range)
            } else {
                return .opaque
            }
        }
        if ranges.isEmpty { return .values(values) }
        for value in values {
            guard case .number = value else { return .opaque }
            ranges.append(Interval(low: value, high: value, includesLow: true, includesHigh: true))
        }
        return .ranges(ranges)
    }

    private static func constantEqual(_ term: Term) -> Value? {
        guard case .compare(.equal, let left, let right) = term.kind, case .input = left.kind else { return nil }
        return constant(right)
    }

    private static func constantRange(_ term: Term) -> Interval? {
        switch term.kind {
        case .inside(let subject, let low, let high, let includesLow, let includesHigh):
            guard case .input = subject.kind, let low = constant(low), let high = constant(high) else { return nil }
            return Interval(low: low, high: high, includesLow: includesLow, includesHigh: includesHigh)
        case .compare(let operation, let left, let right):
            guard case .input = left.kind, let bound = constant(right) else { return nil }
            switch operation {
            case .less: return Interval(low: .null, high: bound, includesLow: false, includesHigh: false)
            case .lessOrEqual: return Interval(low: .null, high: bound, includesLow: false, includesHigh: true)
            case .greater: return Interval(low: bound, high: .null, includesLow: false, includesHigh: false)
            case .greaterOrEqual: return Interval(low: bound, high: .null, includesLow: true, includesHigh: false)
            default: return nil
            }
        default: return nil
        }
    }

    private static func constant(_ term: Term) -> Value? {
        guard case .constant(let value) = term.kind, !value.isNull else { return nil }
        return value
    }
}
