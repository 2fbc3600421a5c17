extension Parser {
    /// Whole text of a cell: `-`, `not(tests)`, or tests separated by commas; nil for `-` (anything passes).
    mutating func wholeUnaryTests() throws(FEELError) -> Term? {
        try space()
        let start = scanner.index
        if scanner.current == UInt8(ascii: "-") {
            scanner.index += 1
            try space()
            if scanner.atEnd { return nil }
            scanner.index = start
        }
        let subject = try make(.input, inputType ?? .any, start)
        if let negated = try negation(subject) { return negated }
        let tests = try testList(subject)
        try end()
        return tests
    }

    /// `not(tests)` when that is the whole cell.
    private mutating func negation(_ subject: Term) throws(FEELError) -> Term? {
        let start = scanner.index
        guard try takeWord("not"), try take("(") else {
            scanner.index = start
            return nil
        }
        let tests = try testList(subject)
        try expect(")")
        try space()
        guard scanner.atEnd else {
            scanner.index = start
            return nil
        }
        return try make(.not(tests), .boolean, start, tests)
    }

    private mutating func testList(_ subject: Term) throws(FEELError) -> Term {
        var tests = [try test(subject)]
        while try take(",") { tests.append(try test(subject)) }
        return tests.count == 1 ? tests[0] : try make(.or(tests), .boolean, subject.offset, tests)
    }

    /// One positive unary test of a subject.
    private mutating func test(_ subject: Term) throws(FEELError) -> Term {
        try space()
        let offset = scanner.index
        if let operation = try comparisonOperator() {
            let right = try additive()
            return try make(.compare(operation, subject, right), .boolean, offset, subject, right)
        }
        let outer = usesInput
        usesInput = false
        let term = try expression()
        let isPredicate = usesInput
        usesInput = outer || isPredicate
        return try testTerm(subject, term, isPredicate, offset)
    }

    private func testTerm(_ subject: Term, _ term: Term, _ usesInput: Bool, _ offset: Int) throws(FEELError) -> Term {
        if case .interval(let low, let high, let includesLow, let includesHigh) = term.kind,
            !low.isOpenEnd, !high.isOpenEnd
        {
            return try make(
                .inside(subject, low: low, high: high, includesLow: includesLow, includesHigh: includesHigh), .boolean,
                offset, subject, low, high)
        }
        if case .constant(let value) = term.kind {
            switch value {
            case .number, .string, .boolean, .null:
                return try make(.compare(.equal, subject, term), .boolean, offset, subject, term)
            default: break
            }
        }
        return try make(
            .test(subject: subject, term, usesInput: usesInput), .boolean, offset, subject, term)
    }

    /// What follows `in`: one test, or several in parentheses. The subject is evaluated once.
    mutating func membership(_ value: Term) throws(FEELError) -> Term {
        switch value.kind {
        case .slot, .local, .constant, .input: return try membershipTests(value)
        default:
            let local = scope.localCount
            scope.localCount += 1
            let subject = try make(.local(local), value.type, value.offset)
            let tests = try membershipTests(subject)
            scope.localCount = local
            return try make(.binding(local: local, value, tests), .boolean, value.offset, value, tests)
        }
    }

    private mutating func membershipTests(_ subject: Term) throws(FEELError) -> Term {
        try space()
        let start = scanner.index
        guard scanner.current == UInt8(ascii: "(") else {
            if let operation = try comparisonOperator() {
                let right = try additive()
                return try make(.compare(operation, subject, right), .boolean, start, subject, right)
            }
            return try testTerm(subject, try additive(), false, start)
        }
        scanner.index += 1
        let first: Term
        if let operation = try comparisonOperator() {
            let right = try additive()
            first = try make(.compare(operation, subject, right), .boolean, start, subject, right)
        } else {
            let term = try expression()
            if try take("..") {
                // `(a..b)` is one open range, not a list of tests.
                let range = try interval(start, includesLow: false, low: term, consumedDots: true)
                return try testTerm(subject, range, false, start)
            }
            first = try testTerm(subject, term, false, start)
        }
        if try take(")") { return first }
        var tests = [first]
        while try take(",") { tests.append(try test(subject)) }
        try expect(")")
        return try make(.or(tests), .boolean, start, tests)
    }
}
