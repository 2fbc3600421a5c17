/// Recursive-descent parser of FEEL (DMN 1.5, 10.3.1.2) that resolves names while it reads, because a name's extent
/// depends on what is in scope.
struct Parser {
    var scanner: SourceScanner
    var scope: Scope
    let environment: Environment
    /// Type of `?`, nil where there is no input.
    var inputType: FEELType?
    /// Set when `?` was read; a test that uses it is judged by its own truth.
    var usesInput = false
    /// While an endpoint of a range is read, `[` may close it instead of opening a filter.
    var inEndpoint = false
    private var nesting = 0
    /// Whether names out of scope and paths into nothing are errors rather than null.
    private let isClosed: Bool

    init(
        _ source: String, _ environment: Environment, inputType: FEELType?, isClosed: Bool = false
    ) throws(FEELError) {
        guard source.utf8.count <= FEELLimits.sourceBytes, environment.names.count <= FEELLimits.environmentNames else {
            throw FEELError(code: .tooComplex, message: "source or environment is too long", offset: 0)
        }
        scanner = SourceScanner(source)
        self.environment = environment
        scope = environment.scope
        self.inputType = inputType
        self.isClosed = isClosed
    }

    // MARK: Entry points

    mutating func wholeExpression() throws(FEELError) -> Term {
        let term = try expression()
        try end()
        return term
    }

    mutating func end() throws(FEELError) {
        try space()
        if !scanner.atEnd { throw error("unexpected text after the expression") }
    }

    // MARK: Tokens

    func error(_ message: String, _ code: FEELError.Code = .syntax, at offset: Int? = nil) -> FEELError {
        FEELError(code: code, message: message, offset: min(offset ?? scanner.index, scanner.bytes.count))
    }

    mutating func space() throws(FEELError) {
        if !scanner.skipSpace() { throw error("a comment does not end") }
    }

    /// Consumes punctuation when it is next.
    mutating func take(_ text: StaticString) throws(FEELError) -> Bool {
        try space()
        guard peek(text) else { return false }
        scanner.index += text.utf8CodeUnitCount
        return true
    }

    func peek(_ text: StaticString) -> Bool {
        let start = scanner.index
        let count = text.utf8CodeUnitCount
        guard start + count <= scanner.bytes.count else { return false }
        for offset in 0..<count where scanner.bytes[start + offset] != text.utf8Start[offset] { return false }
        return true
    }

    mutating func expect(_ text: StaticString) throws(FEELError) {
        if try !take(text) { throw error("expected '\(text)'") }
    }

    /// Consumes a keyword when it is the next whole word.
    mutating func takeWord(_ text: String) throws(FEELError) -> Bool {
        try space()
        guard let word = scanner.word(), word.text == text else { return false }
        scanner.index = word.end
        return true
    }

    mutating func expectWord(_ text: String) throws(FEELError) {
        if try !takeWord(text) { throw error("expected '\(text)'") }
    }

    // MARK: Tree

    func make(_ kind: Term.Kind, _ type: FEELType, _ offset: Int, _ children: Term...) throws(FEELError) -> Term {
        try make(kind, type, offset, children)
    }

    func make(_ kind: Term.Kind, _ type: FEELType, _ offset: Int, _ children: [Term]) throws(FEELError) -> Term {
        var depth = 0
        for child in children { depth = max(depth, child.depth) }
        guard depth < FEELLimits.treeDepth else { throw error("expression is too deep", .tooComplex) }
        if isClosed { try refuseNothing(kind, offset) }
        return Term(kind: kind, type: type, offset: offset, depth: depth + 1)
    }

    /// Refuses what could only ever be null: a name that nothing has, an entry of a value without entries.
    private func refuseNothing(_ kind: Term.Kind, _ offset: Int) throws(FEELError) {
        switch kind {
        case .unknown(let name): throw error("unknown name '\(name)'", .unknownName, at: offset)
        case .failed(let code, let message):
            throw error(message, code == .invalidCall ? .wrongArguments : .syntax, at: offset)
        case .path(let target, let name):
            switch target.type {
            case .context(let fields) where fields[name] == nil:
                throw error("unknown entry '\(name)'", .unknownName, at: offset)
            case .boolean, .string, .number:
                throw error("a \(target.type.name) has no entries", .typeMismatch, at: offset)
            default: return
            }
        case .compare(_, let left, let right): try refuseUnlike(left, right, offset)
        case .inside(let subject, let low, let high, _, _):
            try refuseUnlike(subject, low, offset)
            try refuseUnlike(subject, high, offset)
        default: return
        }
    }

    /// Refuses a comparison that can never hold: of two scalar types that have nothing in common.
    private func refuseUnlike(_ left: Term, _ right: Term, _ offset: Int) throws(FEELError) {
        let scalars: [FEELType] = [.boolean, .number, .string, .date, .time, .dateTime]
        guard left.type != right.type, scalars.contains(left.type), scalars.contains(right.type) else { return }
        throw error("a \(left.type.name) is never compared with a \(right.type.name)", .typeMismatch, at: offset)
    }

    mutating func enter() throws(FEELError) {
        nesting += 1
        if nesting > FEELLimits.parserDepth { throw error("expression is nested too deeply", .tooComplex) }
    }

    mutating func leave() { nesting -= 1 }

    // MARK: Expressions

    mutating func expression() throws(FEELError) -> Term {
        try enter()
        let wasEndpoint = inEndpoint
        inEndpoint = false
        let term = try disjunction()
        inEndpoint = wasEndpoint
        leave()
        return term
    }

    mutating func disjunction() throws(FEELError) -> Term {
        let first = try conjunction()
        var terms = [first]
        while try takeWord("or") { terms.append(try conjunction()) }
        return terms.count == 1 ? first : try make(.or(terms), .boolean, first.offset, terms)
    }

    private mutating func conjunction() throws(FEELError) -> Term {
        let first = try comparison()
        var terms = [first]
        while try takeWord("and") { terms.append(try comparison()) }
        return terms.count == 1 ? first : try make(.and(terms), .boolean, first.offset, terms)
    }

    mutating func comparisonOperator() throws(FEELError) -> ComparisonOperator? {
        if try take("!=") { return .notEqual }
        if try take("<=") { return .lessOrEqual }
        if try take(">=") { return .greaterOrEqual }
        if try take("<") { return .less }
        if try take(">") { return .greater }
        if try take("=") { return .equal }
        return nil
    }

    private mutating func comparison() throws(FEELError) -> Term {
        var left = try additive()
        while true {
            if let operation = try comparisonOperator() {
                let right = try additive()
                left = try make(.compare(operation, left, right), .boolean, left.offset, left, right)
            } else if try takeWord("between") {
                let low = try additive()
                try expectWord("and")
                let high = try additive()
                left = try make(.between(left, low, high), .boolean, left.offset, left, low, high)
            } else if try takeWord("in") {
                left = try membership(left)
            } else {
                return left
            }
        }
    }

    mutating func additive() throws(FEELError) -> Term {
        var left = try multiplicative()
        while true {
            try space()
            let operation: ArithmeticOperator
            if scanner.current == UInt8(ascii: "+") {
                operation = .add
            } else if scanner.current == UInt8(ascii: "-") {
                operation = .subtract
            } else {
                return left
            }
            scanner.index += 1
            left = try arithmetic(operation, left, try multiplicative())
        }
    }

    private mutating func multiplicative() throws(FEELError) -> Term {
        var left = try power()
        while true {
            try space()
            let operation: ArithmeticOperator
            if scanner.current == UInt8(ascii: "*") && scanner.byte(at: 1) != UInt8(ascii: "*") {
                operation = .multiply
            } else if scanner.current == UInt8(ascii: "/") {
                operation = .divide
            } else {
                return left
            }
            scanner.index += 1
            left = try arithmetic(operation, left, try power())
        }
    }

    private mutating func power() throws(FEELError) -> Term {
        var left = try unary()
        while try take("**") { left = try arithmetic(.power, left, try unary()) }
        return left
    }

    private func arithmetic(_ operation: ArithmeticOperator, _ a: Term, _ b: Term) throws(FEELError) -> Term {
        try make(
            .arithmetic(operation, a, b), TypeRules.arithmetic(operation, a.type, b.type), a.offset, a, b)
    }

    private mutating func unary() throws(FEELError) -> Term {
        try space()
        let offset = scanner.index
        guard scanner.current == UInt8(ascii: "-") else { return try instance() }
        scanner.index += 1
        try enter()
        let operand = try unary()
        leave()
        if case .constant(.number(let value)) = operand.kind {
            return try make(.constant(.number(value.negated)), .number, offset)
        }
        return try make(.negate(operand), operand.type, offset, operand)
    }

    private mutating func instance() throws(FEELError) -> Term {
        var term = try postfix()
        while true {
            let start = scanner.index
            guard try takeWord("instance") else { return term }
            guard try takeWord("of") else {
                scanner.index = start
                return term
            }
            let type = try typeReference()
            term = try make(.instanceOf(term, type), .boolean, term.offset, term)
        }
    }

    // MARK: Paths, filters, calls

    private mutating func postfix() throws(FEELError) -> Term {
        var term = try primary()
        while true {
            try space()
            switch scanner.current {
            case UInt8(ascii: ".") where scanner.byte(at: 1) != UInt8(ascii: "."):
                scanner.index += 1
                term = try path(term)
            case UInt8(ascii: "["):
                if inEndpoint && bracketClosesRange() { return term }
                term = try filter(term)
            case UInt8(ascii: "("):
                term = try invocation(term)
            default:
                return term
            }
        }
    }

    /// Whether the `[` here ends a range: nothing, or a closing sign or connective, follows it.
    private func bracketClosesRange() -> Bool {
        var ahead = scanner
        ahead.index += 1
        guard ahead.skipSpace(), !ahead.atEnd else { return true }
        if let word = ahead.word() {
            return ["and", "or", "then", "else", "return", "satisfies", "in"].contains(word.text)
        }
        return ")],}.".utf8.contains(ahead.current)
    }

    private mutating func path(_ target: Term) throws(FEELError) -> Term {
        try space()
        let name = try pathName(target.type)
        return try make(.path(target, name), TypeRules.path(target.type, name), target.offset, target)
    }

    private mutating func filter(_ target: Term) throws(FEELError) -> Term {
        try expect("[")
        let element: FEELType
        if case .list(let type) = target.type { element = type } else { element = target.type }
        let mark = scope.mark
        let local = scope.localCount
        scope.localCount += 1
        if case .context(let fields) = element {
            for (name, type) in fields {
                scope.push(name, Binding(target: .field(local: local, name: name), type: type))
            }
        }
        let isOpen = element == .any || element == .null
        if isOpen { scope.openElements.append(local) }
        if case .context(let fields) = element, fields["item"] != nil {
        } else {
            scope.push("item", Binding(target: .local(local), type: element))
        }
        let condition = try expression()
        if isOpen { scope.openElements.removeLast() }
        scope.pop(to: mark)
        scope.localCount = local
        try expect("]")
        let type = condition.type == .number ? element : .list(element)
        return try make(
            .filter(target, local: local, condition), condition.type == .any ? .any : type, target.offset, target,
            condition)
    }
}
