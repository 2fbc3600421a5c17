/// Turns a checked syntax tree into a `Program`: constants are folded, common tests get an operation of their own.
struct ProgramBuilder {
    private(set) var nodes: [Node] = []
    private(set) var offsets: [Int32] = []
    private(set) var weights: [Int32] = []
    private(set) var patterns: [Pattern] = []
    /// Steps spent on folding: a long source must not compile long.
    private var foldingSteps = 0
    private(set) var constants: [Value] = []
    private(set) var children: [Int32] = []
    private(set) var sets: [Set<Value>] = []
    private(set) var types: [FEELType] = []
    private(set) var templates: [Program.FunctionTemplate] = []
    private(set) var usedSlots: Set<Int> = []
    let slotNames: [String]
    let zones: ZoneOffsets

    /// Longest list of constants that is compared one by one; longer ones are hashed.
    static let linearConstants = 8

    init(_ environment: Environment) {
        self.init(slotNames: environment.slotNames, zones: environment.zones)
    }

    init(slotNames: [String], zones: ZoneOffsets) {
        self.slotNames = slotNames
        self.zones = zones
    }

    // MARK: Emitting

    private mutating func emit(_ node: Node, _ offset: Int) -> Int32 {
        nodes.append(node)
        offsets.append(Int32(offset))
        weights.append(1)
        return Int32(nodes.count - 1)
    }

    private mutating func constant(_ value: Value) -> Int32 {
        constants.append(value)
        return Int32(constants.count - 1)
    }

    private mutating func emitConstant(_ value: Value, _ offset: Int) -> Int32 {
        emit(Node(operation: .constant, a: constant(value)), offset)
    }

    private func constantValue(_ node: Int32) -> Value? {
        let node = nodes[Int(node)]
        return node.operation == .constant ? constants[Int(node.a)] : nil
    }

    /// Replaces an operation on constants by its result. A null result stays an operation, so that its reason can still
    /// be told.
    private mutating func folded(_ node: Node, _ operands: [Int32], _ offset: Int) -> Int32 {
        let index = emit(node, offset)
        for operand in operands where constantValue(operand) == nil { return index }
        if foldingSteps > FEELLimits.foldingSteps { return index }
        var steps = FEELLimits.evaluationSteps - FEELLimits.foldingSteps + foldingSteps
        let value = Program(self, root: index).folded(&steps)
        foldingSteps += max(1, steps - (FEELLimits.evaluationSteps - FEELLimits.foldingSteps + foldingSteps))
        if value.isNull || !value.isBounded { return index }
        return emitConstant(value, offset)
    }

    private mutating func appendChildren(_ indices: [Int32]) -> Int32 {
        let first = Int32(children.count)
        children.append(contentsOf: indices)
        return first
    }

    private mutating func compileAll(_ terms: [Term]) -> [Int32] { terms.map { compile($0) } }

    // MARK: Terms

    mutating func compile(_ term: Term) -> Int32 {
        let start = nodes.count
        let index = compileTerm(term)
        // A subtree's nodes stand together, its root last.
        weights[Int(index)] = max(weights[Int(index)], Int32(nodes.count - start))
        return index
    }

    private mutating func compileTerm(_ term: Term) -> Int32 {
        let offset = term.offset
        switch term.kind {
        case .constant(let value): return emitConstant(value, offset)
        case .slot(let slot):
            usedSlots.insert(slot)
            return emit(Node(operation: .slot, a: Int32(slot)), offset)
        case .local(let local): return emit(Node(operation: .local, a: Int32(local)), offset)
        case .input: return emit(Node(operation: .input), offset)
        case .unknown(let name): return emit(Node(operation: .unknown, a: constant(.string(name))), offset)
        case .failed(let code, let message):
            return emit(
                Node(operation: .unknown, sub: code == .invalidCall ? 1 : 2, a: constant(.string(message))), offset)
        case .contextual(let local, let name, let otherwise):
            let fallback = otherwise.map { compile($0) } ?? -1
            return emit(
                Node(operation: .contextual, a: Int32(local), b: constant(.string(name)), c: fallback), offset)
        case .path(let target, let name):
            let node = compile(target)
            return folded(Node(operation: .path, a: node, b: constant(.string(name))), [node], offset)
        case .negate(let operand):
            let node = compile(operand)
            return folded(Node(operation: .negate, a: node), [node], offset)
        case .arithmetic(let operation, let a, let b):
            let operands = compileAll([a, b])
            return folded(
                Node(operation: .arithmetic, sub: operation.rawValue, a: operands[0], b: operands[1]), operands, offset)
        case .instanceOf(let operand, let type):
            types.append(type)
            let typeIndex = Int32(types.count - 1)
            let node = compile(operand)
            return emit(Node(operation: .instanceOf, a: node, b: typeIndex), offset)
        case .compare, .between, .inside, .test, .and, .or, .not: return compileLogic(term)
        default: return compileStructure(term)
        }
    }

    private mutating func compileLogic(_ term: Term) -> Int32 {
        let offset = term.offset
        switch term.kind {
        case .compare(let operation, let a, let b): return compileComparison(operation, a, b, offset)
        case .between(let value, let low, let high):
            let operands = compileAll([value, low, high])
            return folded(
                Node(operation: .between, a: operands[0], b: operands[1], c: operands[2]), operands, offset)
        case .inside(let value, let low, let high, let includesLow, let includesHigh):
            let operands = compileAll([value, low, high])
            let sub: UInt8 = (includesLow ? 1 : 0) | (includesHigh ? 2 : 0)
            return folded(
                Node(operation: .inside, sub: sub, a: operands[0], b: operands[1], c: operands[2]), operands, offset)
        case .test(let subject, let value, let usesInput):
            let operands = compileAll([subject, value])
            return emit(Node(operation: .test, sub: usesInput ? 1 : 0, a: operands[0], b: operands[1]), offset)
        case .and(let terms): return compileJunction(.and, terms, offset)
        case .or(let terms):
            if let membership = compileMembership(terms, offset) { return membership }
            return compileJunction(.or, terms, offset)
        case .not(let operand):
            let node = compile(operand)
            return folded(Node(operation: .not, a: node), [node], offset)
        default: return compileStructure(term)
        }
    }

    private mutating func compileJunction(_ operation: Node.Operation, _ terms: [Term], _ offset: Int) -> Int32 {
        let operands = compileAll(terms)
        let first = appendChildren(operands)
        return folded(Node(operation: operation, b: first, c: Int32(operands.count)), operands, offset)
    }

    private mutating func compileComparison(
        _ operation: ComparisonOperator, _ a: Term, _ b: Term, _ offset: Int
    ) -> Int32 {
        let left = compile(a)
        if case .constant(let value) = b.kind, constantValue(left) == nil {
            return emit(
                Node(operation: .compareConstant, sub: operation.rawValue, a: left, b: constant(value)), offset)
        }
        let right = compile(b)
        if let value = constantValue(right), constantValue(left) == nil {
            return emit(
                Node(operation: .compareConstant, sub: operation.rawValue, a: left, b: constant(value)), offset)
        }
        return folded(Node(operation: .compare, sub: operation.rawValue, a: left, b: right), [left, right], offset)
    }

    /// `subject = c1 or subject = c2 ...` with constants, as `in` and cells write it: one operation.
    private mutating func compileMembership(_ terms: [Term], _ offset: Int) -> Int32? {
        var values: [Value] = []
        var subject: Term?
        for term in terms {
            guard case .compare(.equal, let left, let right) = term.kind, case .constant(let value) = right.kind,
                ProgramBuilder.isHashable(value), ProgramBuilder.isSameName(subject ?? left, left)
            else { return nil }
            subject = left
            values.append(value)
        }
        guard let subject, values.count > 1, Set(values.map(\.type)).count == 1 else { return nil }
        let node = compile(subject)
        if values.count > ProgramBuilder.linearConstants
            && values.allSatisfy({ $0.string?.utf8.allSatisfy { $0 < 128 } ?? true })
        {
            sets.append(Set(values))
            return emit(Node(operation: .inSet, a: node, b: Int32(sets.count - 1)), offset)
        }
        let first = Int32(constants.count)
        constants.append(contentsOf: values)
        return emit(Node(operation: .inConstants, a: node, b: first, c: Int32(values.count)), offset)
    }

    static func isHashable(_ value: Value) -> Bool {
        switch value {
        case .number, .string: true
        default: false
        }
    }

    private static func isSameName(_ a: Term, _ b: Term) -> Bool {
        switch (a.kind, b.kind) {
        case (.input, .input): true
        case (.slot(let a), .slot(let b)): a == b
        case (.local(let a), .local(let b)): a == b
        default: false
        }
    }
}

extension ProgramBuilder {
    private mutating func compileStructure(_ term: Term) -> Int32 {
        let offset = term.offset
        switch term.kind {
        case .conditional(let condition, let then, let otherwise):
            let operands = compileAll([condition, then, otherwise])
            if case .boolean(let value)? = constantValue(operands[0]) { return value ? operands[1] : operands[2] }
            return emit(
                Node(operation: .conditional, a: operands[0], b: operands[1], c: operands[2]), offset)
        case .list(let elements):
            let operands = compileAll(elements)
            let first = appendChildren(operands)
            return folded(Node(operation: .list, b: first, c: Int32(operands.count)), operands, offset)
        case .context(let entries):
            var triples: [Int32] = []
            for entry in entries {
                triples += [constant(.string(entry.key)), Int32(entry.local), compile(entry.value)]
            }
            let first = appendChildren(triples)
            return emit(Node(operation: .context, b: first, c: Int32(entries.count)), offset)
        case .interval(let low, let high, let includesLow, let includesHigh):
            let operands = compileAll([low, high])
            let isOpen = term.type != .null && (low.isOpenEnd || high.isOpenEnd)
            let sub: UInt8 = (includesLow ? 1 : 0) | (includesHigh ? 2 : 0) | (isOpen ? 4 : 0)
            return folded(
                Node(operation: .interval, sub: sub, a: operands[0], b: operands[1]), operands, offset)
        case .pointRange(let bound, let isNegated):
            let operand = compile(bound)
            return folded(Node(operation: .pointRange, sub: isNegated ? 1 : 0, a: operand), [operand], offset)
        case .filter(let target, let local, let condition):
            let operands = compileAll([target, condition])
            return emit(
                Node(operation: .filter, a: operands[0], b: Int32(local), c: operands[1]), offset)
        case .loop(let kind, let iterators, let partial, let body):
            return compileLoop(kind, iterators, partial, body, offset)
        case .binding(let local, let value, let body):
            let operands = compileAll([value, body])
            return emit(
                Node(operation: .binding, a: Int32(local), b: operands[0], c: operands[1]), offset)
        default: return compileCall(term)
        }
    }

    private mutating func compileLoop(
        _ kind: LoopKind, _ iterators: [Term.Iterator], _ partial: Int, _ body: Term, _ offset: Int
    ) -> Int32 {
        var operands: [Int32] = []
        for iterator in iterators {
            operands += [Int32(iterator.local), compile(iterator.domain), iterator.end.map { compile($0) } ?? -1]
        }
        let start = nodes.count
        let node = compile(body)
        // Keeping `partial` up to date copies the results so far each time round: only for bodies that read it.
        let readsPartial = nodes[start...].contains { $0.operation == .local && Int($0.a) == partial }
        operands.append(readsPartial ? Int32(partial) : -1)
        let first = appendChildren(operands)
        return emit(
            Node(operation: .loop, sub: kind.rawValue, a: node, b: first, c: Int32(iterators.count)), offset)
    }

    /// What a call node's `a` says: a pattern compiled once for all evaluations, or the overload that names chose.
    private mutating func callVariant(_ function: BuiltIn, _ operands: [Int32], _ overload: Int?) -> Int32 {
        switch function {
        case .matches, .replace, .split:
            let flagsPosition = function == .replace ? 3 : 2
            var flags = ""
            if operands.count > flagsPosition {
                guard let given = constantValue(operands[flagsPosition])?.string else { return 0 }
                flags = given
            }
            guard let source = constantValue(operands[1])?.string, let pattern = Pattern(source, flags: flags) else {
                return 0
            }
            patterns.append(pattern)
            return -Int32(patterns.count)
        default:
            return Signature[function].overloads.count > 1 ? Int32((overload ?? -1) + 1) : 0
        }
    }

    private mutating func compileCall(_ term: Term) -> Int32 {
        let offset = term.offset
        switch term.kind {
        case .function(let parameters, let firstLocal, let body):
            let node = compile(body)
            templates.append(Program.FunctionTemplate(parameters: parameters, type: term.type))
            return emit(
                Node(operation: .function, a: node, b: Int32(templates.count - 1), c: Int32(firstLocal)), offset)
        case .call(let function, let arguments, let overload):
            let operands = compileAll(arguments)
            let first = appendChildren(operands)
            let node = Node(
                operation: .call, sub: function.rawValue, a: callVariant(function, operands, overload), b: first,
                c: Int32(operands.count))
            let dependsOnClock = function == .now || function == .today
            return dependsOnClock ? emit(node, offset) : folded(node, operands, offset)
        case .invoke(let function, let arguments, let names):
            let target = compile(function)
            var operands = compileAll(arguments)
            operands += names.map { constant(.string($0)) }
            let first = appendChildren(operands)
            return emit(
                Node(
                    operation: .invoke, sub: names.isEmpty ? 0 : 1, a: target, b: first, c: Int32(arguments.count)),
                offset)
        default:
            preconditionFailure("every kind of term has a compile step")
        }
    }
}
