extension Machine {
    // MARK: Filters

    mutating func filter(_ node: Node, _ index: Int32) -> Value {
        let target = value(node.a)
        let elements: [Value]
        switch target {
        case .list(let list): elements = list
        case .null: return .null
        default: elements = [target]
        }
        // A condition that is one number picks an element; it is tried once, on the first element, before filtering.
        if let position = constantPosition(node.c) { return pick(position, elements, index) }
        var kept: [Value] = []
        for (offset, element) in elements.enumerated() {
            guard step() else { return null(.limit, "too many steps", index) }
            setLocal(node.b, element)
            switch value(node.c) {
            case .boolean(true): kept.append(element)
            case .boolean, .null: break
            case .number(let position) where offset == 0: return pick(position, elements, index)
            case let other: return null(.typeMismatch, "a filter is a boolean, not a \(other.type.name)", index)
            }
        }
        if elements.isEmpty, case .number = value(node.c) { return .null }
        return .list(kept)
    }

    private func constantPosition(_ condition: Int32) -> Decimal? {
        let node = nodes[Int(condition)]
        return node.operation == .constant ? constants[Int(node.a)].number : nil
    }

    /// The element at a position from 1, or from the end when negative.
    private mutating func pick(_ position: Decimal, _ elements: [Value], _ index: Int32) -> Value {
        guard let position = position.integer, position != 0, position.magnitude <= UInt(elements.count) else {
            return null(.outOfRange, "no element at position \(position)", index)
        }
        return position > 0 ? elements[position - 1] : elements[elements.count + position]
    }

    // MARK: Loops

    private struct LoopState {
        let kind: LoopKind
        let body: Int32
        let iterators: Int32
        let first: Int
        let partial: Int32
        var collected: [Value] = []
        var truth: Truth
        var failed = false
    }

    mutating func loop(_ node: Node, _ index: Int32) -> Value {
        let kind = LoopKind(rawValue: node.sub) ?? .collect
        let partial = children[Int(node.b + node.c * 3)]
        var state = LoopState(
            kind: kind, body: node.a, iterators: node.c, first: Int(node.b), partial: partial,
            truth: kind == .every ? .yes : .no)
        if kind == .collect && partial >= 0 { setLocal(partial, .list([])) }
        iterate(0, &state, index)
        if state.failed { return .null }
        return kind == .collect ? .list(state.collected) : state.truth.value
    }

    /// One level of nesting per iterator; a later iterator sees the variables of the earlier ones.
    private mutating func iterate(_ level: Int32, _ state: inout LoopState, _ index: Int32) {
        if level == state.iterators {
            visit(&state, index)
            return
        }
        depth += 1
        defer { depth -= 1 }
        if depth > FEELLimits.evaluationDepth {
            _ = null(.limit, "evaluation is nested too deeply", index)
            state.failed = true
            return
        }
        let base = state.first + Int(level) * 3
        let local = children[base]
        let domain = value(children[base + 1])
        if children[base + 2] >= 0 {
            iterateRange(domain, value(children[base + 2]), local, level, &state, index)
            return
        }
        switch domain {
        case .list(let elements):
            for element in elements {
                setLocal(local, element)
                iterate(level + 1, &state, index)
                if isDone(state) { return }
            }
        case .range(let interval):
            iterateRange(interval, local, level, &state, index)
        case .null:
            state.failed = true
        default:
            setLocal(local, domain)
            iterate(level + 1, &state, index)
        }
    }

    private func isDone(_ state: LoopState) -> Bool {
        state.failed || (state.kind == .some && state.truth == .yes) || (state.kind == .every && state.truth == .no)
    }

    private mutating func visit(_ state: inout LoopState, _ index: Int32) {
        guard step(state.partial >= 0 ? state.collected.count + 1 : 1), state.collected.count < FEELLimits.listElements
        else {
            _ = null(.limit, "too many steps", index)
            state.failed = true
            return
        }
        switch state.kind {
        case .collect:
            state.collected.append(value(state.body))
            if state.partial >= 0 { setLocal(state.partial, .list(state.collected)) }
        case .some, .every:
            let deciding: Truth = state.kind == .some ? .yes : .no
            switch condition(state.body) {
            case .truth(deciding): state.truth = deciding
            case .truth(.unknown): state.truth = .unknown
            case .truth: break
            case .other(let type):
                _ = null(.typeMismatch, "'satisfies' takes a boolean, not a \(type.name)", index)
                state.failed = true
            }
        }
    }

    /// A range as a loop's domain: whole numbers or days, an excluded endpoint left out.
    private mutating func iterateRange(
        _ interval: Interval, _ local: Int32, _ level: Int32, _ state: inout LoopState, _ index: Int32
    ) {
        var (low, high) = (interval.low, interval.high)
        let one: Value =
            if case .date = low { .daysTimeDuration(DaysTimeDuration(seconds: 86_400)) } else { .number(1) }
        if !interval.includesLow { low = sum(.add, low, one) }
        if !interval.includesHigh { high = sum(.subtract, high, one) }
        if let order = Comparison.order(low, high), order > 0 { return }
        iterateRange(low, high, local, level, &state, index)
    }

    private func sum(_ operation: ArithmeticOperator, _ a: Value, _ b: Value) -> Value {
        if case .number(let a) = a, case .number(let b) = b {
            return (operation == .add ? a + b : a - b).map { .number($0) } ?? .null
        }
        return TemporalArithmetic.apply(operation, a, b, program.zones)
    }

    private mutating func iterateRange(
        _ low: Value, _ high: Value, _ local: Int32, _ level: Int32, _ state: inout LoopState, _ index: Int32
    ) {
        var current: Int
        let last: Int
        let isDate: Bool
        switch (low, high) {
        case (.number(let low), .number(let high)):
            guard let first = low.integer, let end = high.integer else {
                _ = null(.typeMismatch, "a loop needs whole numbers", index)
                state.failed = true
                return
            }
            (current, last, isDate) = (first, end, false)
        case (.date(let low), .date(let high)):
            (current, last, isDate) = (Int(low.daysSinceEpoch), Int(high.daysSinceEpoch), true)
        default:
            _ = null(.typeMismatch, "a loop runs over a list, whole numbers or dates", index)
            state.failed = true
            return
        }
        let direction = current <= last ? 1 : -1
        while true {
            setLocal(local, isDate ? .date(Date(daysSinceEpoch: Int64(current))) : .number(current))
            iterate(level + 1, &state, index)
            if isDone(state) || current == last { return }
            current += direction
        }
    }

    // MARK: Functions

    func function(_ node: Node) -> Value {
        let template = program.templates[Int(node.b)]
        var captured = Array(locals.prefix(Int(node.c)))
        while captured.count < Int(node.c) { captured.append(.null) }
        return .function(
            Function(
                parameters: template.parameters.map(\.name), type: template.type,
                body: .defined(program, entry: node.a, slots: Array(slots), locals: captured)))
    }

    mutating func invoke(_ node: Node, _ index: Int32) -> Value {
        guard case .function(let function) = value(node.a) else {
            return null(.invalidCall, "not a function", index)
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

    /// Calls a function value.
    mutating func apply(_ function: Function, _ arguments: [Value], _ index: Int32) -> Value {
        guard step() else { return null(.limit, "too many steps", index) }
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
            guard let coerced = coerce(arguments, for: function) else {
                return null(.typeMismatch, "an argument has the wrong type", index)
            }
            return program.call(entry: entry, slots: slots, locals: captured + coerced, from: &self)
        case .native(let body):
            guard arguments.count == function.parameters.count else {
                return null(.invalidCall, "wrong number of arguments", index)
            }
            guard let coerced = coerce(arguments, for: function) else {
                return null(.typeMismatch, "an argument has the wrong type", index)
            }
            return callNative(body, coerced)
        }
    }

    /// The arguments as the parameters' types; nil when one does not fit.
    private func coerce(_ arguments: [Value], for function: Function) -> [Value]? {
        guard case .function(let types, _) = function.type else { return arguments }
        var coerced: [Value] = []
        coerced.reserveCapacity(arguments.count)
        for (argument, type) in zip(arguments, types) {
            guard let value = Coercion.coerce(argument, to: type) else { return nil }
            coerced.append(value)
        }
        return coerced
    }

    mutating func call(_ node: Node, _ index: Int32) -> Value {
        var arguments: [Value] = []
        arguments.reserveCapacity(Int(node.c))
        for argument in 0..<node.c { arguments.append(value(children[Int(node.b + argument)])) }
        guard let function = BuiltIn(rawValue: node.sub) else { return .null }
        if node.a > 0 && !Signature[function].accepts(arguments, overload: Int(node.a) - 1) {
            return null(.typeMismatch, "an argument of \(Signature[function].name) has the wrong type", index)
        }
        return callBuiltIn(function, arguments, index)
    }

    /// Runs a built-in and tells why when it gives null for arguments that are not null.
    private mutating func callBuiltIn(_ function: BuiltIn, _ arguments: [Value], _ index: Int32) -> Value {
        var elements = 1
        for case .list(let list) in arguments { elements += list.count }
        guard step(elements) else { return null(.limit, "too many steps", index) }
        let result = BuiltIns.apply(function, arguments, &self, index)
        if result.isNull && collects && !arguments.contains(where: \.isNull) {
            if (function == .now || function == .today) && now == nil {
                return null(.noClock, "the current time was not supplied", index)
            }
            return null(.invalidCall, "\(Signature[function].name) has no result for these arguments", index)
        }
        return result
    }
}

/// Conversions between a value and an expected type (DMN 1.5, 10.3.2.9.4): a singleton list to its element, a value to
/// a singleton list, a date to its midnight in UTC.
public enum Coercion {
    /// The value as this type; nil when it does not fit. Null fits every type.
    public static func coerce(_ value: Value, to type: FEELType) -> Value? {
        if value.conforms(to: type) { return value }
        if case .list(let elements) = value, elements.count == 1, elements[0].conforms(to: type) { return elements[0] }
        if case .list(let element) = type, value.conforms(to: element) { return .list([value]) }
        if case .date(let date) = value, type == .dateTime {
            return .dateTime(DateTime(date: date, time: Time(nanosecondOfDay: 0, zone: .offset(0))))
        }
        return nil
    }
}
