extension Parser {
    struct ResolvedName {
        let name: String
        let end: Int
        let binding: Binding?
    }

    /// The longest name in scope that starts here.
    func longestName() -> ResolvedName? {
        let tokens = SourceScanner.nameTokens(scanner.bytes, from: scanner.index, limit: scope.longestTokens)
        var key = ""
        var found: ResolvedName?
        for token in tokens {
            if !key.isEmpty { key += " " }
            key += token.text
            if let binding = scope.lookup(key) { found = ResolvedName(name: key, end: token.end, binding: binding) }
        }
        return found
    }

    /// A name where a value is expected.
    mutating func nameTerm() throws(FEELError) -> Term {
        let offset = scanner.index
        guard let word = scanner.word() else { throw error("expected an expression") }
        guard let resolved = longestName(), let binding = resolved.binding else { return try unknownName(word) }
        scanner.index = resolved.end
        let term = try bound(binding, offset)
        guard let element = scope.openElements.last, resolved.name != "item" else { return term }
        switch binding.target {
        case .local(let local) where local > element: return term
        case .builtIn:
            // A call is a call; only a bare name may mean an entry of the element.
            try space()
            return scanner.current == UInt8(ascii: "(") ? term : try contextual(element, resolved.name, term, offset)
        default: return try contextual(element, resolved.name, term, offset)
        }
    }

    private func contextual(_ element: Int, _ name: String, _ otherwise: Term?, _ offset: Int) throws(FEELError) -> Term
    {
        let children = otherwise.map { [$0] } ?? []
        return try make(.contextual(local: element, name: name, otherwise: otherwise), .any, offset, children)
    }

    private func bound(_ binding: Binding, _ offset: Int) throws(FEELError) -> Term {
        switch binding.target {
        case .slot(let slot): return try make(.slot(slot), binding.type, offset)
        case .local(let local): return try make(.local(local), binding.type, offset)
        case .builtIn(let function):
            return try make(
                .constant(.function(Function(parameters: [], type: binding.type, body: .builtIn(function)))),
                binding.type, offset)
        case .field(let local, let name):
            let element = try make(.local(local), .any, offset)
            return try make(.path(element, name), binding.type, offset, element)
        }
    }

    /// A name that nothing in scope matches: an entry of a filter's element if its type is unknown, else null.
    private mutating func unknownName(_ word: SourceScanner.NameToken) throws(FEELError) -> Term {
        let offset = scanner.index
        let name: String
        if let field = longestField(nil) {
            (name, scanner.index) = (field.name, field.end)
        } else {
            (name, scanner.index) = (word.text, word.end)
        }
        if let element = scope.openElements.last { return try contextual(element, name, nil, offset) }
        return try make(.unknown(name), .any, offset)
    }

    private func longestField(_ fields: [String: FEELType]?) -> (name: String, end: Int)? {
        let tokens = SourceScanner.nameTokens(scanner.bytes, from: scanner.index, limit: scope.longestTokens)
        let known = fields.map { fields in
            Dictionary(fields.keys.map { (Scope.key($0).key, $0) }, uniquingKeysWith: { first, _ in first })
        }
        var key = ""
        var found: (String, Int)?
        for token in tokens {
            if !key.isEmpty { key += " " }
            key += token.text
            if let name = (known ?? scope.fieldNames)[key] { found = (name, token.end) }
        }
        return found
    }

    /// The name after a dot.
    mutating func pathName(_ type: FEELType) throws(FEELError) -> String {
        var target = type
        while case .list(let element) = target { target = element }
        if case .context(let fields) = target, let field = longestField(fields) {
            scanner.index = field.end
            return field.name
        }
        guard let word = scanner.word() else { throw error("expected a name after '.'") }
        if word.text == "time" || word.text == "start" || word.text == "end" {
            var ahead = scanner
            ahead.index = word.end
            if ahead.skipSpace(), let second = ahead.word() {
                if ["time offset", "start included", "end included"].contains("\(word.text) \(second.text)") {
                    scanner.index = second.end
                    return "\(word.text) \(second.text)"
                }
            }
        }
        if let field = longestField(nil) {
            scanner.index = field.end
            return field.name
        }
        scanner.index = word.end
        return word.text
    }

    /// A name being defined (parameter, loop variable, key): everything up to the given punctuation or keyword.
    mutating func newName(until isEnd: (SourceScanner.NameToken) -> Bool) throws(FEELError) -> String {
        try space()
        let tokens = SourceScanner.nameTokens(scanner.bytes, from: scanner.index, limit: 64)
        guard let first = tokens.first else { throw error("expected a name") }
        var name = first.text
        var end = first.end
        for token in tokens.dropFirst() {
            if isEnd(token) { break }
            // Spacing inside a defined name is kept as written, but any run of space counts as one.
            name += token.end - token.text.utf8.count > end ? " " + token.text : token.text
            end = token.end
        }
        scanner.index = end
        return name
    }

    // MARK: Types

    mutating func typeReference() throws(FEELError) -> FEELType {
        try enter()
        defer { leave() }
        try space()
        let start = scanner.index
        if try takeWord("list") {
            if try take("<") {
                let element = try typeReference()
                try expect(">")
                return .list(element)
            }
            scanner.index = start
        } else if try takeWord("range") {
            if try take("<") {
                let element = try typeReference()
                try expect(">")
                return .range(element)
            }
            scanner.index = start
        } else if try takeWord("context") {
            if try take("<") { return try contextType() }
            scanner.index = start
        } else if try takeWord("function") {
            if try take("<") { return try functionType() }
            scanner.index = start
        }
        return try namedType()
    }

    private mutating func contextType() throws(FEELError) -> FEELType {
        var fields: [String: FEELType] = [:]
        repeat {
            let name = try newName { _ in false }
            try expect(":")
            fields[name] = try typeReference()
        } while try take(",")
        try expect(">")
        return .context(fields)
    }

    private mutating func functionType() throws(FEELError) -> FEELType {
        var parameters: [FEELType] = []
        if try !take(">") {
            repeat { parameters.append(try typeReference()) } while try take(",")
            try expect(">")
        }
        try expect("->")
        return .function(parameters, try typeReference())
    }

    private mutating func namedType() throws(FEELError) -> FEELType {
        let offset = scanner.index
        let tokens = SourceScanner.nameTokens(scanner.bytes, from: offset, limit: 12)
        var found: (FEELType, Int)?
        var key = ""
        let named = Dictionary(
            environment.types.map { (Scope.key($0.key).key, $0.value) }, uniquingKeysWith: { first, _ in first })
        for token in tokens {
            if !key.isEmpty { key += " " }
            key += token.text
            if let type = named[key] ?? FEELType(name: key) { found = (type, token.end) }
        }
        guard let (type, end) = found else { throw error("unknown type", .unknownName, at: offset) }
        scanner.index = end
        return type
    }
}
