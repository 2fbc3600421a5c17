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
        return build(term, environment, source, UnaryTestShape(term, environment))
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
}
