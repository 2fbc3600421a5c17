extension Machine {
    @inline(never)
    mutating func function(_ node: Node, _ index: Int32) -> Value {
        let template = program.templates[Int(node.b)]
        var captured = Array(locals.prefix(Int(node.c)))
        while captured.count < Int(node.c) { captured.append(.null) }
        guard pay((captured.count + slots.count) / FEELLimits.nodesPerStep, index) else { return .null }
        var deepest = 0
        for value in captured where value.isComposite {
            guard let nesting = value.nesting(&steps), nesting < FEELLimits.valueDepth else {
                return null(.limit, "value is nested too deeply", index)
            }
            deepest = max(deepest, nesting)
        }
        return .function(
            Function(
                parameters: template.parameters.map(\.name), type: template.type,
                body: .defined(program, entry: node.a, slots: Array(slots), locals: captured), nesting: deepest + 1))
    }

    @inline(never)
    mutating func invoke(_ node: Node, _ index: Int32) -> Value {
        guard case .function(let function) = value(node.a) else {
            return null(.invalidCall, "what is called is no function", index)
        }
        var arguments: [Value] = []
        for argument in 0..<node.c { arguments.append(value(children[Int(node.b + argument)])) }
        if node.sub == 1 {
            let names = (0..<node.c).map { string(children[Int(node.b + node.c + $0)]) }
            guard let ordered = reorder(arguments, names, function) else {
                return null(.invalidCall, "the function has no such parameters", index)
            }
            arguments = ordered
        }
        return apply(function, arguments, index)
    }

    @inline(never)
    func reorder(_ arguments: [Value], _ names: [String], _ function: Function) -> [Value]? {
        if case .builtIn(let builtIn) = function.body {
            guard let order = Signature[builtIn].order(names: names) else { return nil }
            let count = builtIn == .isSame ? 2 : (order.positions.max() ?? -1) + 1
            var ordered = Array(repeating: Value.null, count: count)
            for (argument, position) in zip(arguments, order.positions) { ordered[position] = argument }
            return Signature[builtIn].accepts(ordered, overload: order.overload) ? ordered : nil
        }
        guard names.count == function.parameters.count else { return nil }
        var ordered: [Value] = []
        for parameter in function.parameters {
            guard let position = names.firstIndex(of: parameter) else { return nil }
            ordered.append(arguments[position])
        }
        return ordered
    }

    /// Calls a function value from a built-in, which counts as one more level: its frames lie between the caller's and
    /// the function's.
    @inline(never)
    mutating func applyNested(_ function: Function, _ arguments: [Value], _ index: Int32) -> Value {
        depth += 1
        defer { depth -= 1 }
        return apply(function, arguments, index)
    }

    /// Calls a function value.
    @inline(never)
    mutating func apply(_ function: Function, _ arguments: [Value], _ index: Int32) -> Value {
        guard pay(1, index) else { return .null }
        switch function.body {
        case .builtIn(let builtIn):
            guard Signature[builtIn].accepts(count: arguments.count) else {
                return null(.invalidCall, "wrong number of arguments", index)
            }
            return callBuiltIn(builtIn, arguments, index)
        case .defined(let program, let entry, let slots, let captured):
            guard arguments.count == function.parameters.count else {
                return null(.invalidCall, "wrong number of arguments", index)
            }
            guard pay(Int(program.weights[Int(entry)]) / FEELLimits.nodesPerStep, index),
                let coerced = coerce(arguments, for: function, index)
            else { return .null }
            let locals = captured + coerced
            if program !== self.program { return program.call(entry: entry, slots: slots, locals: locals, from: &self) }
            return enter(entry, slots, locals)
        case .native(let body):
            guard arguments.count == function.parameters.count else {
                return null(.invalidCall, "wrong number of arguments", index)
            }
            guard let coerced = coerce(arguments, for: function, index) else { return .null }
            return callNative(body, coerced)
        }
    }

    /// The arguments as the parameters' types; nil (with a reason) when one does not fit.
    private mutating func coerce(_ arguments: [Value], for function: Function, _ index: Int32) -> [Value]? {
        guard case .function(let types, _) = function.type else { return arguments }
        var coerced: [Value] = []
        coerced.reserveCapacity(arguments.count)
        for (position, (argument, type)) in zip(arguments, types).enumerated() {
            guard let value = Coercion.coerce(argument, to: type) else {
                let name = function.parameters[position]
                _ = null(.typeMismatch, "'\(name)' is a \(type.name), not a \(argument.type.name)", index)
                return nil
            }
            // Each level of recursion could wrap its argument once more.
            if value.isComposite, value.nesting(&steps) == nil {
                _ = null(.limit, "value is nested too deeply", index)
                return nil
            }
            coerced.append(value)
        }
        return coerced
    }

    /// Runs a body of this program with slots and locals of its own, in as little stack as can be.
    @inline(never)
    private mutating func enter(_ entry: Int32, _ slots: [Value], _ locals: [Value]) -> Value {
        let (outerSlots, outerLocals) = (self.slots, self.locals)
        self.locals = locals
        defer { (self.slots, self.locals) = (outerSlots, outerLocals) }
        return slots.withUnsafeBufferPointer { slots in
            self.slots = slots
            return value(entry)
        }
    }

    @inline(never)
    mutating func call(_ node: Node, _ index: Int32) -> Value {
        var arguments: [Value] = []
        arguments.reserveCapacity(Int(node.c))
        for argument in 0..<node.c { arguments.append(value(children[Int(node.b + argument)])) }
        guard let function = BuiltIn(rawValue: node.sub) else { return .null }
        if node.a < 0 {
            return callBuiltIn(function, arguments, index, program.patterns[Int(-1 - node.a)])
        }
        if node.a > 0 && !Signature[function].accepts(arguments, overload: Int(node.a) - 1) {
            return null(.typeMismatch, "an argument of \(Signature[function].name) has the wrong type", index)
        }
        return callBuiltIn(function, arguments, index)
    }

    /// Runs a built-in and tells why when it gives null.
    @inline(never)
    private mutating func callBuiltIn(
        _ function: BuiltIn, _ arguments: [Value], _ index: Int32, _ pattern: Pattern? = nil
    ) -> Value {
        guard pay(Machine.cost(arguments), index) else { return .null }
        let result = BuiltIns.apply(function, arguments, pattern, &self, index)
        if result.isNull { return noResult(function, arguments, index) }
        return result
    }

    /// One step, one more for each element of a list and each entry of a context, and for every 64 bytes of text.
    private static func cost(_ arguments: [Value]) -> Int {
        var cost = 1
        for argument in arguments {
            switch argument {
            case .list(let elements): cost += elements.count
            case .context(let context): cost += context.count
            case .string(let text): cost += Comparison.textSteps(text)
            default: break
            }
        }
        return cost
    }

    @inline(never)
    private mutating func noResult(_ function: BuiltIn, _ arguments: [Value], _ index: Int32) -> Value {
        guard collects else { return .null }
        if steps > FEELLimits.evaluationSteps { return null(.limit, "too many steps", index) }
        if (function == .now || function == .today) && now == nil {
            return null(.noClock, "the current time was not supplied", index)
        }
        let (code, message) = BuiltIns.reason(function, arguments)
        return null(code, message, index)
    }
}
