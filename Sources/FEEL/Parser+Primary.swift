extension Parser {
    mutating func primary() throws(FEELError) -> Term {
        try space()
        let offset = scanner.index
        if scanner.atEnd { throw error("expected an expression") }
        switch scanner.current {
        case UInt8(ascii: "\""):
            return try make(.constant(.string(try stringLiteral())), .string, offset)
        case UInt8(ascii: "@"):
            return try temporalLiteral(offset)
        case UInt8(ascii: "("):
            return try parenthesis(offset)
        case UInt8(ascii: "["):
            return try bracket(offset)
        case UInt8(ascii: "]"):
            scanner.index += 1
            return try interval(offset, includesLow: false, low: try endpoint())
        case UInt8(ascii: "{"):
            return try contextLiteral(offset)
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."):
            return try numberLiteral(offset)
        default:
            return try word(offset)
        }
    }

    private mutating func stringLiteral() throws(FEELError) -> String {
        let start = scanner.index
        guard let text = scanner.string() else { throw error("malformed string literal", at: start) }
        return text
    }

    private mutating func numberLiteral(_ offset: Int) throws(FEELError) -> Term {
        guard let number = scanner.number() else { throw error("expected an expression") }
        guard let value = number else { throw error("number out of range", at: offset) }
        return try make(.constant(.number(value)), .number, offset)
    }

    private mutating func temporalLiteral(_ offset: Int) throws(FEELError) -> Term {
        scanner.index += 1
        try space()
        guard scanner.current == UInt8(ascii: "\"") else { throw error("expected a string after '@'") }
        let text = try stringLiteral()
        guard let value = Value(temporal: text, zones: environment.zones) else {
            return try make(.failed(.invalidText, "'\(text.prefix(64))' is no date, time or duration"), .null, offset)
        }
        return try make(.constant(value), value.type, offset)
    }

    private mutating func word(_ offset: Int) throws(FEELError) -> Term {
        guard let word = scanner.word() else { throw error("unexpected character") }
        if let resolved = longestName(), resolved.end > word.end { return try nameTerm() }
        switch word.text {
        case "null", "true", "false":
            scanner.index = word.end
            let value: Value = word.text == "null" ? .null : .boolean(word.text == "true")
            return try make(.constant(value), value.type, offset)
        case "if":
            scanner.index = word.end
            return try conditional(offset)
        case "for":
            scanner.index = word.end
            return try loop(.collect, offset)
        case "some", "every":
            scanner.index = word.end
            return try loop(word.text == "some" ? .some : .every, offset)
        case "function":
            scanner.index = word.end
            return try functionDefinition(offset)
        case "and", "or", "then", "else", "in", "return", "satisfies", "between":
            if scope.lookup(word.text) == nil { throw error("unexpected '\(word.text)'") }
            return try nameTerm()
        case "?" where inputType != nil:
            scanner.index = word.end
            usesInput = true
            return try make(.input, inputType ?? .any, offset)
        default:
            return try nameTerm()
        }
    }

    private mutating func conditional(_ offset: Int) throws(FEELError) -> Term {
        let condition = try expression()
        try expectWord("then")
        let then = try expression()
        try expectWord("else")
        let otherwise = try expression()
        let type = then.type.union(otherwise.type)
        return try make(.conditional(condition, then, otherwise), type, offset, condition, then, otherwise)
    }

    // MARK: Parentheses, brackets, ranges

    private mutating func parenthesis(_ offset: Int) throws(FEELError) -> Term {
        scanner.index += 1
        if let operation = try comparisonOperator() {
            let bound = try endpoint()
            try expect(")")
            return try unaryRange(operation, bound, offset)
        }
        let inner = try expression()
        if try take("..") { return try interval(offset, includesLow: false, low: inner, consumedDots: true) }
        try expect(")")
        return inner
    }

    /// `(< 5)` and its kin: a range without one endpoint.
    private func unaryRange(_ operation: ComparisonOperator, _ bound: Term, _ offset: Int) throws(FEELError) -> Term {
        let none = Term.openEnd
        let kind: Term.Kind
        switch operation {
        case .less: kind = .interval(low: none, high: bound, includesLow: false, includesHigh: false)
        case .lessOrEqual: kind = .interval(low: none, high: bound, includesLow: false, includesHigh: true)
        case .greater: kind = .interval(low: bound, high: none, includesLow: false, includesHigh: false)
        case .greaterOrEqual: kind = .interval(low: bound, high: none, includesLow: true, includesHigh: false)
        case .equal, .notEqual: kind = .pointRange(bound, isNegated: operation == .notEqual)
        }
        return try make(kind, .range(bound.type), offset, bound)
    }

    private mutating func endpoint() throws(FEELError) -> Term {
        try enter()
        let wasEndpoint = inEndpoint
        inEndpoint = true
        let term = try additive()
        inEndpoint = wasEndpoint
        leave()
        return term
    }

    mutating func interval(
        _ offset: Int, includesLow: Bool, low: Term, consumedDots: Bool = false
    ) throws(FEELError) -> Term {
        if !consumedDots { try expect("..") }
        let high = try endpoint()
        let includesHigh: Bool
        if try take("]") {
            includesHigh = true
        } else if try take(")") {
            includesHigh = false
        } else if try take("[") {
            includesHigh = false
        } else {
            throw error("expected the end of a range")
        }
        return try make(
            .interval(low: low, high: high, includesLow: includesLow, includesHigh: includesHigh),
            .range(low.type.union(high.type)), offset, low, high)
    }

    private mutating func bracket(_ offset: Int) throws(FEELError) -> Term {
        scanner.index += 1
        if try take("]") { return try make(.list([]), .list(.null), offset) }
        let first = try expression()
        if try take("..") { return try interval(offset, includesLow: true, low: first, consumedDots: true) }
        var elements = [first]
        while try take(",") { elements.append(try expression()) }
        try expect("]")
        let type = elements.reduce(FEELType.null) { $0.union($1.type) }
        return try make(.list(elements), FEELType.list(type).bounded, offset, elements)
    }

    // MARK: Contexts

    private mutating func contextLiteral(_ offset: Int) throws(FEELError) -> Term {
        scanner.index += 1
        let mark = scope.mark
        let firstLocal = scope.localCount
        var entries: [Term.Entry] = []
        var fields: [String: FEELType] = [:]
        if try !take("}") {
            repeat {
                try space()
                let keyOffset = scanner.index
                let key: String
                if scanner.current == UInt8(ascii: "\"") {
                    key = try stringLiteral()
                } else {
                    key = try newName { _ in false }
                }
                try expect(":")
                let value = try expression()
                if fields[key] != nil { throw error("duplicate key '\(key)'", at: keyOffset) }
                if entries.count == FEELLimits.contextEntries { throw error("too many entries", .tooComplex) }
                let local = scope.localCount
                scope.localCount += 1
                scope.push(key, Binding(target: .local(local), type: value.type))
                entries.append(Term.Entry(key: key, local: local, value: value))
                fields[key] = value.type
            } while try take(",")
            try expect("}")
        }
        scope.pop(to: mark)
        scope.localCount = firstLocal
        for key in fields.keys { scope.noteField(key) }
        return try make(.context(entries), FEELType.context(fields).bounded, offset, entries.map(\.value))
    }

    // MARK: Loops

    private mutating func loop(_ kind: LoopKind, _ offset: Int) throws(FEELError) -> Term {
        let mark = scope.mark
        let firstLocal = scope.localCount
        let partial = firstLocal
        scope.localCount += 1
        var iterators: [Term.Iterator] = []
        var children: [Term] = []
        repeat {
            let name = try newName { $0.text == "in" }
            try expectWord("in")
            let domain = try expression()
            let end = try take("..") ? try expression() : nil
            let element: FEELType
            switch domain.type {
            case .list(let type): element = type
            case .range(let type): element = type
            default: element = end == nil ? .any : domain.type
            }
            let local = scope.localCount
            scope.localCount += 1
            scope.push(name, Binding(target: .local(local), type: element))
            iterators.append(Term.Iterator(local: local, domain: domain, end: end))
            children.append(domain)
            if let end { children.append(end) }
        } while try take(",")
        try expectWord(kind == .collect ? "return" : "satisfies")
        if kind == .collect {
            scope.push("partial", Binding(target: .local(partial), type: .list(.any)))
        }
        let body = try expression()
        scope.pop(to: mark)
        scope.localCount = firstLocal
        children.append(body)
        let type: FEELType = kind == .collect ? .list(body.type) : .boolean
        return try make(.loop(kind, iterators, partial: partial, body), type, offset, children)
    }

    // MARK: Functions

    private mutating func functionDefinition(_ offset: Int) throws(FEELError) -> Term {
        try expect("(")
        let mark = scope.mark
        let firstLocal = scope.localCount
        var parameters: [Term.Parameter] = []
        if try !take(")") {
            repeat {
                let name = try newName { _ in false }
                let type = try take(":") ? try typeReference() : .any
                parameters.append(Term.Parameter(name: name, type: type))
            } while try take(",")
            try expect(")")
        }
        for parameter in parameters {
            scope.push(parameter.name, Binding(target: .local(scope.localCount), type: parameter.type))
            scope.localCount += 1
        }
        let isExternal = try takeWord("external")
        let body = try expression()
        scope.pop(to: mark)
        scope.localCount = firstLocal
        if isExternal { return try make(.constant(.null), .null, offset) }
        return try make(
            .function(parameters, firstLocal: firstLocal, body),
            FEELType.function(parameters.map(\.type), body.type).bounded, offset, body)
    }

    mutating func invocation(_ target: Term) throws(FEELError) -> Term {
        try expect("(")
        var arguments: [Term] = []
        var names: [String] = []
        if try !take(")") {
            repeat {
                if let name = try argumentName() { names.append(name) }
                arguments.append(try expression())
            } while try take(",")
            try expect(")")
        }
        if !names.isEmpty && names.count != arguments.count {
            throw error("either all arguments are named or none", .wrongArguments, at: target.offset)
        }
        if case .constant(.function(let function)) = target.kind, case .builtIn(let builtIn) = function.body {
            return try builtInCall(builtIn, arguments, names, target.offset)
        }
        // A variable named like a built-in does not hide its call, unless it holds a function.
        if case .slot = target.kind, !isCallable(target.type), let builtIn = builtInNamed(target.offset) {
            return try builtInCall(builtIn, arguments, names, target.offset)
        }
        var type: FEELType = .any
        if case .function(_, let result) = target.type { type = result }
        return try make(.invoke(target, arguments, names: names), type, target.offset, [target] + arguments)
    }

    private func isCallable(_ type: FEELType) -> Bool {
        if case .function = type { return true }
        return type == .any
    }

    private func builtInNamed(_ offset: Int) -> BuiltIn? {
        let tokens = SourceScanner.nameTokens(scanner.bytes, from: offset, limit: 4)
        var key = ""
        var found: BuiltIn?
        for token in tokens {
            if !key.isEmpty { key += " " }
            key += token.text
            if let signature = Signature.table.first(where: { $0.name == key }) { found = signature.function }
        }
        return found
    }

    /// `name:` before an argument, consumed; nil when the argument is positional.
    private mutating func argumentName() throws(FEELError) -> String? {
        try space()
        let start = scanner.index
        guard scanner.word() != nil else { return nil }
        let name = try newName { _ in false }
        if try take(":") { return name }
        scanner.index = start
        return nil
    }

    private func builtInCall(
        _ function: BuiltIn, _ arguments: [Term], _ names: [String], _ offset: Int
    ) throws(FEELError) -> Term {
        let signature = Signature[function]
        var ordered = arguments
        var overload: Int?
        if !names.isEmpty {
            guard let order = signature.order(names: names) else {
                let message = "\(signature.name) does not take (\(names.joined(separator: ", ")))"
                return try make(.failed(.invalidCall, message), .null, offset, arguments)
            }
            // `is` takes a missing value for null; elsewhere a missing argument is not there at all.
            let last = function == .isSame ? 1 : order.positions.max() ?? 0
            let none = try make(.constant(.null), .null, offset)
            ordered = (0...last).map { position in
                order.positions.firstIndex(of: position).map { arguments[$0] } ?? none
            }
            overload = order.overload
        } else if function == .isSame && arguments.count != 2 {
            return try make(.failed(.invalidCall, "is takes two arguments"), .null, offset, arguments)
        } else if !signature.accepts(count: arguments.count) {
            let message = "\(signature.name) does not take \(arguments.count) arguments"
            return try make(.failed(.invalidCall, message), .null, offset, arguments)
        }
        if function == .not { return try make(.not(ordered[0]), .boolean, offset, ordered) }
        return try make(.call(function, ordered, overload: overload), signature.resultType(ordered), offset, ordered)
    }
}
