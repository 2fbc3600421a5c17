/// Evaluates one program once. Holds borrowed views of the program and the slots; never outlives the call that made it.
struct Machine {
    /// Not counted: whoever runs a machine holds its program meanwhile.
    unowned(unsafe) let program: Program
    let nodes: UnsafeBufferPointer<Node>
    let constants: UnsafeBufferPointer<Value>
    let children: UnsafeBufferPointer<Int32>
    var slots: UnsafeBufferPointer<Value>
    let input: Value
    let now: Int64?
    let collects: Bool
    var locals: [Value] = []
    var reasons: [NullReason] = []
    var depth = 0
    var steps = 0
    /// See `Call.observer`.
    var observer: (any AnyObject & Sendable)?

    @inline(__always)
    init(
        program: Program, nodes: UnsafeBufferPointer<Node>, constants: UnsafeBufferPointer<Value>,
        children: UnsafeBufferPointer<Int32>, slots: UnsafeBufferPointer<Value>, input: Value, now: Int64?,
        collects: Bool
    ) {
        self.program = program
        self.nodes = nodes
        self.constants = constants
        self.children = children
        self.slots = slots
        self.input = input
        self.now = now
        self.collects = collects
    }

    // MARK: Nulls and budgets

    /// Null, and its reason when somebody asked for reasons.
    @inline(never)
    mutating func null(_ code: NullReason.Code, _ message: @autoclosure () -> String, _ index: Int32) -> Value {
        if collects && reasons.count < FEELLimits.reasons {
            let reason = NullReason(
                code: code, message: String(message().prefix(FEELLimits.reasonCharacters)),
                offset: Int(program.offsets[Int(index)]))
            if !reasons.contains(reason) { reasons.append(reason) }
        }
        return .null
    }

    /// Counts one step; false when the evaluation has used up its budget.
    @inline(__always)
    mutating func step(_ count: Int = 1) -> Bool {
        steps += count
        return steps <= FEELLimits.evaluationSteps
    }

    /// Counts steps and tells why there is no result when they are used up.
    @inline(__always)
    mutating func pay(_ count: Int, _ index: Int32) -> Bool {
        if step(count) { return true }
        _ = null(.limit, "too many steps", index)
        return false
    }

    /// What evaluating a node's whole subtree once costs beside what its operations cost by themselves.
    @inline(__always)
    func weight(_ index: Int32) -> Int { 1 + Int(program.weights[Int(index)]) / FEELLimits.nodesPerStep }

    func local(_ index: Int32) -> Value {
        Int(index) < locals.count ? locals[Int(index)] : .null
    }

    mutating func setLocal(_ index: Int32, _ value: Value) {
        while locals.count <= Int(index) { locals.append(.null) }
        locals[Int(index)] = value
    }

    func string(_ constant: Int32) -> String { constants[Int(constant)].string ?? "" }

    // MARK: Values

    mutating func value(_ index: Int32) -> Value {
        let node = nodes[Int(index)]
        switch node.operation {
        case .constant: return constants[Int(node.a)]
        case .slot: return slot(node, index)
        case .local:
            let value = local(node.a)
            return value
        case .input: return input
        case .compare, .compareConstant, .between, .inside, .inConstants, .inSet, .test, .and, .or, .not:
            return truth(index).value
        default: return nested(node, index)
        }
    }

    private mutating func slot(_ node: Node, _ index: Int32) -> Value {
        let slot = Int(node.a)
        if slot < slots.count, !slots[slot].isNull { return slots[slot] }
        let name = collects ? program.slotNames[slot] : ""
        return null(.missing, name, index)
    }

    private mutating func nested(_ node: Node, _ index: Int32) -> Value {
        depth += 1
        defer { depth -= 1 }
        if depth > FEELLimits.evaluationDepth { return null(.limit, "evaluation is nested too deeply", index) }
        switch node.operation {
        case .unknown:
            let text = string(node.a)
            return null(node.sub == 0 ? .missing : node.sub == 1 ? .invalidCall : .invalidText, text, index)
        case .contextual: return contextual(node, index)
        case .path: return path(node, index)
        case .negate: return negate(node, index)
        case .arithmetic: return arithmetic(node, index)
        case .conditional: return conditional(node, index)
        case .list: return list(node, index)
        case .context: return context(node, index)
        case .interval: return interval(node, index)
        case .pointRange:
            let bound = value(node.a)
            return bound.isNull ? .null : .range(Interval(point: bound, isNegated: node.sub == 1))
        case .filter: return filter(node, index)
        case .loop: return loop(node, index)
        case .function: return function(node, index)
        case .instanceOf: return instanceOf(node, index)
        case .call: return call(node, index)
        case .invoke: return invoke(node, index)
        case .binding:
            setLocal(node.a, value(node.b))
            return value(node.c)
        default: return .null
        }
    }

    /// A null condition takes the other branch, as if false; a condition of another type is a mistake and gives null.
    @inline(never)
    private mutating func conditional(_ node: Node, _ index: Int32) -> Value {
        switch condition(node.a) {
        case .truth(let truth): return truth == .yes ? value(node.b) : value(node.c)
        case .other(let type): return null(.typeMismatch, "a condition is a boolean, not a \(type.name)", index)
        }
    }

    @inline(never)
    private mutating func contextual(_ node: Node, _ index: Int32) -> Value {
        let name = string(node.b)
        if case .context(let context) = local(node.a), let value = context[name] { return value }
        return node.c >= 0 ? value(node.c) : null(.missing, name, index)
    }

    @inline(never)
    private mutating func path(_ node: Node, _ index: Int32) -> Value {
        let name = string(node.b)
        // A slot's context is read in place: copying it out would cost a retain for nothing.
        let target = value(node.a)
        if case .list(let elements) = target { return project(elements, name, 0, index) }
        let result = Properties.value(of: name, in: target)
        if let result, !result.isNull { return result }
        let text = collects ? pathText(index) : ""
        return null(.missing, text, index)
    }

    /// A path over a list: the entry of each element, lists inside lists included.
    private mutating func project(_ elements: [Value], _ name: String, _ level: Int, _ index: Int32) -> Value {
        guard pay(elements.count, index), level < FEELLimits.valueDepth else { return .null }
        var results: [Value] = []
        results.reserveCapacity(elements.count)
        for element in elements {
            if case .list(let inner) = element {
                results.append(project(inner, name, level + 1, index))
            } else {
                results.append(Properties.value(of: name, in: element) ?? .null)
            }
        }
        return steps <= FEELLimits.evaluationSteps ? .list(results) : .null
    }

    /// The path as the author wrote it, for reasons.
    private func pathText(_ index: Int32) -> String {
        let node = nodes[Int(index)]
        switch node.operation {
        case .path: return pathText(node.a) + "." + string(node.b)
        case .slot: return program.slotNames[Int(node.a)]
        case .local: return "item"
        default: return "?"
        }
    }

    @inline(never)
    private mutating func negate(_ node: Node, _ index: Int32) -> Value {
        switch value(node.a) {
        case .number(let number): return .number(number.negated)
        case .yearsMonthsDuration(let duration):
            let (months, overflow) = (0 as Int64).subtractingReportingOverflow(duration.months)
            if overflow { return null(.outOfRange, "duration out of range", index) }
            return .yearsMonthsDuration(YearsMonthsDuration(months: months))
        case .daysTimeDuration(let duration):
            let negated = TemporalArithmetic.duration(-duration.nanoseconds)
            return negated.isNull ? null(.outOfRange, "duration out of range", index) : negated
        case .null: return .null
        case let other: return null(.typeMismatch, "cannot negate a \(other.type.name)", index)
        }
    }

    private mutating func arithmetic(_ node: Node, _ index: Int32) -> Value {
        let left = value(node.a)
        let right = value(node.b)
        let operation = ArithmeticOperator(rawValue: node.sub) ?? .add
        if case .number(let a) = left, case .number(let b) = right {
            let result: Decimal?
            switch operation {
            case .add: result = a + b
            case .subtract: result = a - b
            case .multiply: result = a * b
            case .divide: result = a / b
            case .power: result = a.raised(to: b)
            }
            if let result { return .number(result) }
            return null(.outOfRange, "division by zero or number out of range", index)
        }
        if left.isNull || right.isNull { return .null }
        let result = TemporalArithmetic.apply(operation, left, right, program.zones)
        if case .string(let text) = result, !pay(Comparison.textSteps(text), index) { return .null }
        if !result.isNull { return result }
        return noResult(operation, left, right, index)
    }

    /// Why an operator has no result: operands that it does not take, or a result outside its range.
    @inline(never)
    private mutating func noResult(_ operation: ArithmeticOperator, _ a: Value, _ b: Value, _ index: Int32) -> Value {
        if case .string = a, case .string = b, operation == .add { return null(.limit, "text is too long", index) }
        let type = TypeRules.arithmetic(operation, a.type, b.type)
        if type == .null || type == .any {
            return null(
                .typeMismatch, "\(a.type.name) \(operation.symbol) \(b.type.name) has no result", index)
        }
        if operation == .subtract, type == .daysTimeDuration {
            return null(.typeMismatch, "a zoned and a local time have no distance", index)
        }
        return null(.outOfRange, "division by zero or \(type.name) out of range", index)
    }

    @inline(never)
    private mutating func list(_ node: Node, _ index: Int32) -> Value {
        guard pay(Int(node.c) / FEELLimits.nodesPerStep, index) else { return .null }
        var elements: [Value] = []
        elements.reserveCapacity(Int(node.c))
        for child in 0..<node.c { elements.append(value(children[Int(node.b + child)])) }
        return .list(elements)
    }

    @inline(never)
    private mutating func context(_ node: Node, _ index: Int32) -> Value {
        guard pay(Int(node.c), index) else { return .null }
        var entries: [(String, Value)] = []
        for entry in 0..<node.c {
            let base = Int(node.b + entry * 3)
            let value = value(children[base + 2])
            setLocal(children[base + 1], value)
            entries.append((string(children[base]), value))
        }
        return .context(Context(entries))
    }

    @inline(never)
    private mutating func interval(_ node: Node, _ index: Int32) -> Value {
        let low = value(node.a)
        let high = value(node.b)
        // Bit 2 marks `(< x)` and its kin, whose missing endpoint is meant; any other null endpoint makes no range.
        let isOpen = node.sub & 4 != 0 && low.isNull != high.isNull
        if !isOpen {
            if low.isNull || high.isNull { return .null }
            guard let order = Comparison.order(low, high) else {
                return null(.typeMismatch, "endpoints of a range must have an order", index)
            }
            if order > 0 { return null(.outOfRange, "a range must not end before it starts", index) }
        }
        return .range(
            Interval(low: low, high: high, includesLow: node.sub & 1 != 0, includesHigh: node.sub & 2 != 0))
    }

    @inline(never)
    private mutating func instanceOf(_ node: Node, _ index: Int32) -> Value {
        let type = program.types[Int(node.b)]
        let value = value(node.a)
        if value.isNull { return .boolean(type == .null) }
        guard let conforms = value.conforms(to: type, &steps) else { return null(.limit, "too many steps", index) }
        return .boolean(conforms)
    }
}
