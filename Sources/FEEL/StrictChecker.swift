/// The strict profile: a typed, total subset in which nothing can silently be null. Walks the tree with the set of
/// paths known not to be null.
struct StrictChecker {
    private let environment: Environment

    init(_ environment: Environment) { self.environment = environment }

    func check(_ term: Term) throws(FEELError) {
        try visit(term, [])
    }

    private func refuse(_ code: FEELError.Code, _ message: String, _ term: Term) -> FEELError {
        FEELError(code: code, message: message, offset: term.offset)
    }

    private func visit(_ term: Term, _ known: Set<String>) throws(FEELError) {
        switch term.kind {
        case .constant(.function): throw refuse(.notInProfile, "a function is no value here", term)
        case .constant, .slot, .local, .input: return
        case .unknown(let name): throw refuse(.unknownName, "unknown name '\(name)'", term)
        case .failed(let code, let message):
            throw refuse(code == .invalidCall ? .wrongArguments : .syntax, message, term)
        case .contextual(_, let name, let otherwise):
            guard let otherwise else { throw refuse(.unknownName, "unknown name '\(name)'", term) }
            try visit(otherwise, known)
        case .path(let target, let name): try visitPath(target, name, term, known)
        case .negate(let operand):
            try visit(operand, known)
            try require(operand, [.number, .daysTimeDuration, .yearsMonthsDuration], known)
        case .arithmetic(_, let a, let b):
            try visit(a, known)
            try visit(b, known)
            try requireNonNull(a, known)
            try requireNonNull(b, known)
            if term.type == .null {
                throw refuse(.typeMismatch, "no arithmetic between \(a.type.name) and \(b.type.name)", term)
            }
        case .compare(let operation, let a, let b): try visitComparison(operation, a, b, term, known)
        case .between(let value, let low, let high), .inside(let value, let low, let high, _, _):
            for part in [value, low, high] {
                try visit(part, known)
                try requireNonNull(part, known)
            }
            try requireComparable(value, low, isOrder: true)
            try requireComparable(value, high, isOrder: true)
        case .and, .or, .not, .conditional: try visitLogic(term, known)
        default: try visitRest(term, known)
        }
    }

    private func visitPath(_ target: Term, _ name: String, _ term: Term, _ known: Set<String>) throws(FEELError) {
        try visit(target, known)
        switch target.type {
        case .context(let fields):
            if fields[name] == nil { throw refuse(.unknownName, "unknown entry '\(name)'", term) }
        case .boolean, .string, .number, .null:
            throw refuse(.typeMismatch, "a \(target.type.name) has no entries", term)
        default: return
        }
    }

    private func visitComparison(
        _ operation: ComparisonOperator, _ a: Term, _ b: Term, _ term: Term, _ known: Set<String>
    ) throws(FEELError) {
        try visit(a, known)
        try visit(b, known)
        try requireComparable(a, b, isOrder: operation.isOrder)
        if operation.isOrder {
            try requireNonNull(a, known)
            try requireNonNull(b, known)
        }
    }

    private func visitLogic(_ term: Term, _ known: Set<String>) throws(FEELError) {
        switch term.kind {
        case .and(let terms), .or(let terms):
            let isAnd = if case .and = term.kind { true } else { false }
            var facts = known
            for operand in terms {
                try visit(operand, facts)
                try requireBoolean(operand)
                facts.formUnion(nonNull(operand, when: isAnd))
            }
        case .not(let operand):
            try visit(operand, known)
            try requireBoolean(operand)
        case .conditional(let condition, let then, let otherwise):
            try visit(condition, known)
            try requireBoolean(condition)
            try visit(then, known.union(nonNull(condition, when: true)))
            try visit(otherwise, known.union(nonNull(condition, when: false)))
        default: return
        }
    }

    private func visitRest(_ term: Term, _ known: Set<String>) throws(FEELError) {
        switch term.kind {
        case .test(let subject, let value, _):
            try visit(subject, known)
            try visit(value, known)
        case .list(let elements): for element in elements { try visit(element, known) }
        case .context(let entries): for entry in entries { try visit(entry.value, known) }
        case .interval(let low, let high, _, _):
            try visit(low, known)
            try visit(high, known)
        case .pointRange(let bound, _): try visit(bound, known)
        case .filter(let target, _, let condition):
            try visit(target, known)
            try visit(condition, known)
        case .loop(let kind, let iterators, _, let body):
            if kind == .collect { throw refuse(.notInProfile, "'for' is not in the strict profile", term) }
            for iterator in iterators {
                if iterator.end != nil { throw refuse(.notInProfile, "no loop over a range of numbers", term) }
                try visit(iterator.domain, known)
            }
            try visit(body, known)
            try requireBoolean(body)
        case .instanceOf(let operand, _): try visit(operand, known)
        case .call(let function, let arguments, _): try visitCall(function, arguments, known)
        case .binding(_, let value, let body):
            try visit(value, known)
            try visit(body, known)
        case .function: throw refuse(.notInProfile, "no function definitions in the strict profile", term)
        case .invoke: throw refuse(.notInProfile, "only built-in functions in the strict profile", term)
        default: return
        }
    }

    private func visitCall(_ function: BuiltIn, _ arguments: [Term], _ known: Set<String>) throws(FEELError) {
        for argument in arguments { try visit(argument, known) }
        let signature = Signature[function]
        let fits = signature.overloads.contains { parameters in
            arguments.indices.allSatisfy { index in
                let parameter = parameters.isEmpty ? nil : parameters[min(index, parameters.count - 1)]
                return parameter.map { arguments[index].type.fits($0.type) } ?? false
            }
        }
        if !fits && !arguments.isEmpty {
            let types = arguments.map(\.type.name).joined(separator: ", ")
            throw refuse(.typeMismatch, "\(signature.name) does not take (\(types))", arguments[0])
        }
        if function == .isDefined || function == .getOrElse || function == .isSame { return }
        try requireResult(function, arguments)
        for argument in arguments { try requireNonNull(argument, known) }
    }

    /// A call that could only ever give null: of constants that have no result, with a pattern that is none.
    private func requireResult(_ function: BuiltIn, _ arguments: [Term]) throws(FEELError) {
        var values: [Value] = []
        for argument in arguments {
            guard case .constant(let value) = argument.kind else { break }
            values.append(value)
        }
        if values.count == arguments.count, !arguments.isEmpty {
            let environment = Environment([], zones: environment.zones)
            var builder = ProgramBuilder(environment)
            let call = Term(
                kind: .call(function, arguments, overload: nil), type: .any, offset: arguments[0].offset, depth: 2)
            let root = builder.compile(call)
            if Program(builder, root: root).constantResult != nil { return }
            throw refuse(.wrongArguments, BuiltIns.reason(function, values).message, arguments[0])
        }
        guard [.matches, .replace, .split].contains(function), arguments.count > 1,
            case .constant(.string(let source)) = arguments[1].kind
        else { return }
        let flagsPosition = function == .replace ? 3 : 2
        var flags = ""
        if arguments.count > flagsPosition {
            guard case .constant(.string(let given)) = arguments[flagsPosition].kind else { return }
            flags = given
        }
        if Pattern(source, flags: flags) == nil {
            throw refuse(.wrongArguments, "'\(source.prefix(64))' is no regular expression", arguments[1])
        }
    }

    // MARK: Requirements

    private func requireBoolean(_ term: Term) throws(FEELError) {
        if term.type != .boolean && term.type != .any {
            throw refuse(.typeMismatch, "expected a boolean, not \(term.type.name)", term)
        }
    }

    private func require(_ term: Term, _ types: [FEELType], _ known: Set<String>) throws(FEELError) {
        if term.type != .any && !types.contains(term.type) {
            throw refuse(.typeMismatch, "a \(term.type.name) does not fit here", term)
        }
        try requireNonNull(term, known)
    }

    private func requireComparable(_ a: Term, _ b: Term, isOrder: Bool) throws(FEELError) {
        if !isOrder && (a.type == .null || b.type == .null) { return }
        if !(a.type.fits(b.type) || b.type.fits(a.type)) || a.type == .null || b.type == .null {
            throw refuse(.typeMismatch, "\(a.type.name) and \(b.type.name) cannot be compared", b)
        }
        if isOrder && !(a.type.isOrdered && b.type.isOrdered) {
            throw refuse(.typeMismatch, "\(a.type.name) has no order", a)
        }
    }

    private func requireNonNull(_ term: Term, _ known: Set<String>) throws(FEELError) {
        guard let path = path(term), isNullable(term), !isKnown(path, known) else { return }
        throw refuse(.nullableUnguarded, "'\(path)' may be null; guard it with '\(path) != null and ...'", term)
    }

    private func isKnown(_ path: String, _ known: Set<String>) -> Bool {
        if known.contains(path) { return true }
        // A known entry implies its context, and entries of a declared context are present once the context is.
        return known.contains { $0.hasPrefix(path + ".") || path.hasPrefix($0 + ".") }
    }

    private func isNullable(_ term: Term) -> Bool {
        switch term.kind {
        case .slot(let slot): environment.names[slot].isNullable
        case .path(let target, _): isNullable(target)
        default: false
        }
    }

    private func path(_ term: Term) -> String? {
        switch term.kind {
        case .slot(let slot): environment.names[slot].name
        case .path(let target, let name): path(target).map { "\($0).\(name)" }
        default: nil
        }
    }

    /// Paths that are certainly not null when the condition has this truth.
    private func nonNull(_ condition: Term, when truth: Bool) -> Set<String> {
        switch condition.kind {
        case .compare(let operation, let a, let b):
            guard case .constant(let value) = b.kind, let path = path(a) else { return [] }
            if value.isNull { return (operation == .notEqual) == truth ? [path] : [] }
            return operation == .equal && truth ? [path] : []
        case .call(.isDefined, let arguments, _): return truth ? Set(arguments.compactMap { path($0) }) : []
        case .not(let operand): return nonNull(operand, when: !truth)
        case .and(let terms) where truth, .or(let terms) where !truth:
            return terms.reduce(into: []) { $0.formUnion(nonNull($1, when: truth)) }
        case .and(let terms), .or(let terms):
            let sets = terms.map { nonNull($0, when: truth) }
            return sets.dropFirst().reduce(sets.first ?? []) { $0.intersection($1) }
        default: return []
        }
    }
}
