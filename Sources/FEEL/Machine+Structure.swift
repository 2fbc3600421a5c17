extension Machine {
    // MARK: Filters

    @inline(never)
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
        let weight = weight(node.c)
        for (offset, element) in elements.enumerated() {
            guard pay(weight, index) else { return .null }
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
        guard let whole = position.integer, whole != 0, whole.magnitude <= UInt(elements.count) else {
            return null(.outOfRange, "no element at position \(position)", index)
        }
        let element = whole > 0 ? elements[whole - 1] : elements[elements.count + whole]
        return element.isNull ? null(.missing, "element \(whole) of a list", index) : element
    }

    // MARK: Loops

    private struct LoopState {
        let kind: LoopKind
        let body: Int32
        let iterators: Int32
        let first: Int
        let partial: Int32
        /// Steps that one turn costs.
        let weight: Int
        var collected: [Value] = []
        var truth: Truth
        var failed = false
    }

    @inline(never)
    mutating func loop(_ node: Node, _ index: Int32) -> Value {
        let kind = LoopKind(rawValue: node.sub) ?? .collect
        let partial = children[Int(node.b + node.c * 3)]
        var state = LoopState(
            kind: kind, body: node.a, iterators: node.c, first: Int(node.b), partial: partial,
            weight: weight(node.a),
            truth: kind == .every ? .yes : .no)
        if kind == .collect && partial >= 0 { setLocal(partial, .list([])) }
        iterate(0, &state, index)
        if state.failed { return .null }
        return kind == .collect ? .list(state.collected) : state.truth.value
    }

    /// One level of nesting per iterator; a later iterator sees the variables of the earlier ones.
    @inline(never)
    private mutating func iterate(_ level: Int32, _ state: inout LoopState, _ index: Int32) {
        if level == state.iterators {
            visit(&state, index)
            return
        }
        depth += 1
        defer { depth -= 1 }
        if depth > FEELLimits.evaluationDepth {
            return fail(.limit, "evaluation is nested too deeply", &state, index)
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
            fail(.missing, "nothing to loop over", &state, index)
        default:
            setLocal(local, domain)
            iterate(level + 1, &state, index)
        }
    }

    private func isDone(_ state: LoopState) -> Bool {
        state.failed || (state.kind == .some && state.truth == .yes) || (state.kind == .every && state.truth == .no)
    }

    @inline(never)
    private mutating func visit(_ state: inout LoopState, _ index: Int32) {
        guard pay(state.partial >= 0 ? state.collected.count + state.weight : state.weight, index) else {
            state.failed = true
            return
        }
        switch state.kind {
        case .collect:
            guard state.collected.count < FEELLimits.listElements else {
                return fail(.limit, "list is too long", &state, index)
            }
            state.collected.append(value(state.body))
            if state.partial >= 0 { updatePartial(&state, index) }
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

    private mutating func fail(
        _ code: NullReason.Code, _ message: @autoclosure () -> String, _ state: inout LoopState, _ index: Int32
    ) {
        _ = null(code, message(), index)
        state.failed = true
    }

    /// `partial` is the one way in which a turn of a loop can wrap what an earlier one made.
    private mutating func updatePartial(_ state: inout LoopState, _ index: Int32) {
        if let last = state.collected.last, last.isComposite, last.nesting(&steps) == nil {
            return fail(.limit, "value is nested too deeply", &state, index)
        }
        setLocal(state.partial, .list(state.collected))
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
                return fail(.typeMismatch, "a loop needs whole numbers", &state, index)
            }
            (current, last, isDate) = (first, end, false)
        case (.date(let low), .date(let high)):
            (current, last, isDate) = (Int(low.daysSinceEpoch), Int(high.daysSinceEpoch), true)
        default:
            return fail(.typeMismatch, "a loop runs over a list, whole numbers or dates", &state, index)
        }
        let direction = current <= last ? 1 : -1
        while true {
            setLocal(local, isDate ? .date(Date(daysSinceEpoch: Int64(current))) : .number(current))
            iterate(level + 1, &state, index)
            if isDone(state) || current == last { return }
            current += direction
        }
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

    /// The value as this type, or null with its reason when it does not fit.
    public static func coerce(_ value: Value, to type: FEELType, reasons: inout [NullReason]) -> Value {
        if let coerced = coerce(value, to: type) { return coerced }
        if reasons.count < FEELLimits.reasons {
            reasons.append(
                NullReason(code: .typeMismatch, message: "a \(value.type.name) is no \(type.name)", offset: 0))
        }
        return .null
    }
}
