import FEEL

/// A compiled boxed expression. It reads a frame: the values of what its element requires, in the environment's order,
/// followed by the names that enclosing boxes bind.
final class Box: Sendable {
    enum Kind: Sendable {
        /// Nothing was written, or what was written could not be compiled.
        case empty
        case literal(Expression)
        case table(DecisionTable, outputs: [ItemType])
        case context([Entry], result: Box?)
        case invocation(Box, names: [String], arguments: [Box])
        case relation([(name: String, type: ItemType)], rows: [[Box]])
        case list([Box])
        case conditional(Box, then: Box, otherwise: Box)
        /// A FEEL filter over the value in a slot, and another one for elements whose condition is no boolean.
        case filter(Box, slot: Int, Expression, strangers: Expression)
        /// Any other box as the condition, with the element and its known entries in slots.
        case select(Box, slot: Int, fields: [String], match: Box)
        /// The variable is in `slot`; the results so far are in the next one when the body reads them.
        case iteration(BoxedExpression.IterationKind, Box, slot: Int, readsPartial: Bool, body: Box)
        case function([String], FEELType, slot: Int, parameters: [ItemType], body: Box)
        /// Another box whose value must be of a further type.
        case typed(Box)
    }

    struct Entry: Sendable {
        let name: String
        let slot: Int
        let type: ItemType
        let value: Box
    }

    let kind: Kind
    /// What the value must be; nil for anything.
    let type: ItemType?
    /// What is known about the value's type.
    let resultType: FEELType
    /// How the box is called in reasons.
    let label: String

    init(_ kind: Kind, type: ItemType?, resultType: FEELType, label: String) {
        self.kind = kind
        self.type = type
        self.resultType = type.map { $0.type == .any ? resultType : $0.type } ?? resultType
        self.label = label
    }

    /// Levels of nested evaluation that one box costs: its frames on the stack are larger than FEEL's.
    static let levels = 3

    /// The value; null (with a reason) where it cannot be made.
    func evaluate(_ frame: inout [Value], _ call: inout Call) -> Value {
        guard call.enter(Box.levels) else { return .null }
        defer { call.leave(Box.levels) }
        let value = unchecked(&frame, &call)
        return type.map { $0.coerce(value, &call, label) } ?? value
    }

    private func unchecked(_ frame: inout [Value], _ call: inout Call) -> Value {
        switch kind {
        case .empty: return .null
        case .typed(let inner): return inner.evaluate(&frame, &call)
        case .literal(let expression): return expression.evaluate(frame, in: &call)
        case .table(let table, let outputs): return evaluate(table, outputs, frame, &call)
        case .context(let entries, let result): return context(entries, result, &frame, &call)
        case .invocation(let function, let names, let arguments):
            return invoke(function, names, arguments, &frame, &call)
        case .relation(let columns, let rows):
            return relation(columns, rows, &frame, &call)
        case .list(let items): return .list(items.map { $0.evaluate(&frame, &call) })
        case .conditional(let condition, let then, let otherwise):
            guard let isTrue = truth(condition.evaluate(&frame, &call), &call) else { return .null }
            return (isTrue ? then : otherwise).evaluate(&frame, &call)
        case .filter(let list, let slot, let filter, let strangers):
            Box.set(&frame, slot, list.evaluate(&frame, &call))
            if let found = strangers.evaluate(frame, in: &call).list, !found.isEmpty {
                call.note(.typeMismatch, "\(label): the condition is not boolean for every element")
                return .null
            }
            return filter.evaluate(frame, in: &call)
        case .select(let list, let slot, let fields, let match): return select(list, slot, fields, match, &frame, &call)
        case .iteration(let kind, let domain, let slot, let readsPartial, let body):
            return iterate(kind, domain, slot, readsPartial, body, &frame, &call)
        case .function(let names, let type, let slot, let parameters, let body):
            return .function(
                Box.function(names, type, captured: Array(frame.prefix(slot)), slot: slot, parameters, body))
        }
    }

    /// A condition of a box: null counts as false, anything else but a boolean makes the box null.
    private func truth(_ value: Value, _ call: inout Call) -> Bool? {
        if let truth = value.boolean { return truth }
        if value.isNull { return false }
        call.note(.typeMismatch, "\(label): expected a boolean, not \(value.type.name)")
        return nil
    }

    static func set(_ frame: inout [Value], _ slot: Int, _ value: Value) {
        while frame.count <= slot { frame.append(.null) }
        frame[slot] = value
    }

    /// A function whose body is a box: what it captured, then its arguments.
    static func function(
        _ names: [String], _ type: FEELType, captured: [Value], slot: Int, _ parameters: [ItemType], _ body: Box
    ) -> Function {
        Function(parameters: names, type: type) { arguments, call in
            var frame = captured
            for (index, argument) in arguments.enumerated() {
                let value = parameters[index].coerce(argument, &call, names[index])
                // An argument that its type's constraint refuses: the function is not invoked.
                if value.isNull && !argument.isNull { return .null }
                set(&frame, slot + index, value)
            }
            return body.evaluate(&frame, &call)
        }
    }

    private func evaluate(_ table: DecisionTable, _ outputs: [ItemType], _ frame: [Value], _ call: inout Call) -> Value
    {
        var result = table.evaluate(frame, in: &call)
        if outputs.contains(where: { $0.type != .any }) {
            result = result.mapOutputs { index, value in
                outputs[index].coerce(value, &call, table.spec.outputs[index].name)
            }
        }
        switch result.outcome {
        case .conflict: call.note(.notAllowed, "\(label): rules \(result.matchedRules) match together")
        case .invalidInput(let input):
            call.note(
                .notAllowed,
                "\(label): \(table.spec.inputs[input].name) does not allow \(result.inputs.last?.text ?? "null")")
        default: break
        }
        (call.observer as? TraceSink)?.record(table, result, label, frame, call.now)
        return table.value(of: result)
    }

    private func context(_ entries: [Entry], _ result: Box?, _ frame: inout [Value], _ call: inout Call) -> Value {
        var values: [(String, Value)] = []
        values.reserveCapacity(entries.count)
        for entry in entries {
            let value = entry.type.coerce(entry.value.evaluate(&frame, &call), &call, entry.name)
            Box.set(&frame, entry.slot, value)
            values.append((entry.name, value))
        }
        return result.map { $0.evaluate(&frame, &call) } ?? .context(Context(values))
    }

    private func invoke(
        _ function: Box, _ names: [String], _ arguments: [Box], _ frame: inout [Value], _ call: inout Call
    ) -> Value {
        guard case .function(let function) = function.evaluate(&frame, &call) else {
            call.note(.invalidCall, "\(label): what is invoked is no function")
            return .null
        }
        let values = arguments.map { $0.evaluate(&frame, &call) }
        return function.apply(values, names: names, in: &call)
    }

    // MARK: Lists

    private func relation(
        _ columns: [(name: String, type: ItemType)], _ rows: [[Box]], _ frame: inout [Value], _ call: inout Call
    ) -> Value {
        var contexts: [Value] = []
        for row in rows {
            var entries: [(String, Value)] = []
            for (column, cell) in zip(columns, row) {
                entries.append((column.name, column.type.coerce(cell.evaluate(&frame, &call), &call, column.name)))
            }
            contexts.append(.context(Context(entries)))
        }
        return .list(contexts)
    }

    private func select(
        _ list: Box, _ slot: Int, _ fields: [String], _ match: Box, _ frame: inout [Value], _ call: inout Call
    ) -> Value {
        let target = list.evaluate(&frame, &call)
        if target.isNull { return .null }
        var kept: [Value] = []
        for element in target.list ?? [target] {
            guard call.step() else { return .null }
            Box.set(&frame, slot, element)
            for (offset, field) in fields.enumerated() {
                Box.set(&frame, slot + 1 + offset, element.context?[field] ?? .null)
            }
            guard let isMatch = truth(match.evaluate(&frame, &call), &call) else { return .null }
            if isMatch { kept.append(element) }
        }
        return .list(kept)
    }

    /// `for x in domain return x`: FEEL's own idea of what an iteration runs over, ranges included.
    private static let elements: Expression? = try? Expression(
        "for element in domain return element",
        in: Environment([TypedName(name: "domain", type: .any, isNullable: true)]))

    private func iterate(
        _ kind: BoxedExpression.IterationKind, _ domain: Box, _ slot: Int, _ readsPartial: Bool, _ body: Box,
        _ frame: inout [Value], _ call: inout Call
    ) -> Value {
        guard let elements = Box.elements?.evaluate([domain.evaluate(&frame, &call)], in: &call).list else {
            return .null
        }
        var results: [Value] = []
        var isUnknown = false
        for element in elements {
            guard call.step() else { return .null }
            Box.set(&frame, slot, element)
            if readsPartial { Box.set(&frame, slot + 1, .list(results)) }
            let value = body.evaluate(&frame, &call)
            switch (kind, value) {
            case (.collect, _): results.append(value)
            case (.some, .boolean(true)): return .boolean(true)
            case (.every, .boolean(false)): return .boolean(false)
            case (_, .boolean): break
            case (_, .null): isUnknown = true
            default:
                _ = truth(value, &call)
                return .null
            }
        }
        if kind == .collect { return .list(results) }
        return isUnknown ? .null : .boolean(kind == .every)
    }
}
