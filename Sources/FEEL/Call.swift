/// One evaluation that runs through several compiled expressions: a decision with its tables and functions. Carries the
/// clock and the budgets of steps and depth, so that what another module evaluates in between counts, too.
public struct Call: Sendable {
    /// The current time in microseconds since the Unix epoch; nil makes `now()` and `today()` null.
    public let now: Int64?
    /// Whether reasons of nulls are recorded.
    public let collectsReasons: Bool
    /// Whoever wants to see what happens inside functions that other modules evaluate; handed on, never used here.
    public let observer: (any AnyObject & Sendable)?
    /// The reasons so far, at most `FEELLimits.reasons` for each expression.
    public var reasons: [NullReason] = []
    var depth = 0
    var steps = 0

    /// Starts an evaluation.
    public init(now: Int64? = nil, collectsReasons: Bool = false, observer: (any AnyObject & Sendable)? = nil) {
        self.now = now
        self.observer = observer
        self.collectsReasons = collectsReasons
    }

    /// Records why a null arose, when somebody asked for reasons.
    public mutating func note(_ code: NullReason.Code, _ message: @autoclosure () -> String) {
        guard collectsReasons, reasons.count < FEELLimits.reasons else { return }
        reasons.append(NullReason(code: code, message: message(), offset: 0))
    }

    /// Counts one step; false (with a reason) when the evaluation has used up its budget.
    public mutating func step() -> Bool {
        steps += 1
        if steps <= FEELLimits.evaluationSteps { return true }
        note(.limit, "too many steps")
        return false
    }

    /// Goes deeper by some levels of nested evaluation; false (with a reason) when that is too deep. Every success
    /// is followed by `leave`.
    public mutating func enter(_ levels: Int = 1) -> Bool {
        if depth + levels > FEELLimits.evaluationDepth {
            note(.limit, "evaluation is nested too deeply")
            return false
        }
        depth += levels
        return true
    }

    /// Comes back from `enter`.
    public mutating func leave(_ levels: Int = 1) { depth -= levels }
}

extension Expression {
    /// The value for these slots inside a larger evaluation.
    public func evaluate(_ slots: [Value], in call: inout Call) -> Value {
        program.evaluate(slots, input: .null, in: &call)
    }
}

extension UnaryTests {
    /// Whether the input passes, inside a larger evaluation; nil when that is null.
    public func matches(_ input: Value, _ slots: [Value], in call: inout Call) -> Bool? {
        program.evaluate(slots, input: input, in: &call).boolean
    }
}

extension Function {
    /// A function whose body another module evaluates. The body gets as many arguments as there are parameters, each
    /// converted to its parameter's type, and must count its own nesting with `Call.enter`.
    /// - Parameter type: a function type with as many parameters as there are names.
    public convenience init(
        parameters: [String], type: FEELType,
        body: @escaping @Sendable (_ arguments: [Value], _ call: inout Call) -> Value
    ) {
        self.init(parameters: parameters, type: type, body: .native(body))
    }

    /// Calls the function with arguments in order; null (with a reason) when it does not take them.
    public func apply(_ arguments: [Value], in call: inout Call) -> Value {
        Program.nothing.apply(self, arguments, names: nil, in: &call)
    }

    /// Calls the function with named arguments; null (with a reason) when it does not take them.
    public func apply(_ arguments: [Value], names: [String], in call: inout Call) -> Value {
        Program.nothing.apply(self, arguments, names: names, in: &call)
    }
}

extension Program {
    /// A program that does nothing; calls from outside run on it.
    static let nothing: Program = {
        let environment = Environment([])
        var builder = ProgramBuilder(environment)
        let root = builder.compile(Term(kind: .constant(.null), type: .null, offset: 0, depth: 1))
        return Program(builder, root: root)
    }()

    func evaluate(_ slots: [Value], input: Value, in call: inout Call) -> Value {
        // A bare name or constant needs no machine, unless somebody wants to know that the name is missing.
        switch rootNode.operation {
        case .slot where !call.collectsReasons:
            return Int(rootNode.a) < slots.count ? slots[Int(rootNode.a)] : .null
        case .constant: return constants[Int(rootNode.a)]
        default:
            let value = run(slots, input, &call) { $0.value(root) }
            guard value.isComposite, !value.isBounded else { return value }
            call.note(.limit, "the result is too big")
            return .null
        }
    }

    fileprivate func apply(
        _ function: Function, _ arguments: [Value], names: [String]?, in call: inout Call
    ) -> Value {
        run([], .null, &call) { $0.apply(function, arguments, names: names) }
    }

    private func run(
        _ slots: [Value], _ input: Value, _ call: inout Call, _ body: (inout Machine) -> Value
    ) -> Value {
        let (depth, steps, observer) = (call.depth, call.steps, call.observer)
        let (value, spent, reasons) = run(slots, input, call.now, call.collectsReasons) { machine in
            machine.depth = depth
            machine.steps = steps
            machine.observer = observer
            let value = body(&machine)
            return (value, machine.steps, machine.reasons)
        }
        call.steps = spent
        if !reasons.isEmpty { call.reasons.append(contentsOf: reasons) }
        return value
    }
}

extension Machine {
    /// Runs a body that another module evaluates, inside this machine's budgets.
    mutating func callNative(_ body: @Sendable ([Value], inout Call) -> Value, _ arguments: [Value]) -> Value {
        var call = Call(now: now, collectsReasons: collects, observer: observer)
        call.depth = depth
        call.steps = steps
        let value = body(arguments, &call)
        steps = call.steps
        if collects { reasons.append(contentsOf: call.reasons) }
        return value
    }

    fileprivate mutating func apply(_ function: Function, _ arguments: [Value], names: [String]?) -> Value {
        guard let names else { return apply(function, arguments, 0) }
        guard let ordered = reorder(arguments, names, function) else {
            return null(.invalidCall, "the function has no such parameters", 0)
        }
        return apply(function, ordered, 0)
    }
}
