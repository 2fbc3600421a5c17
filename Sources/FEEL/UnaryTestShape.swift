/// What a cell of a decision table depends on, as far as it can be told without an input: an index of a table is built
/// from it.
package enum UnaryTestShape: Sendable {
    /// `-`: anything passes.
    case any
    /// The cell only compares its input with these constants (numbers, texts, dates, ..., null among them): its answer
    /// is the same for all inputs of one type between two neighbouring constants.
    /// - ordersText: whether it asks for the order of texts; else any two texts that are no constants are alike.
    case constants([Value], ordersText: Bool)
    /// Anything else.
    case opaque
}

extension UnaryTestShape {
    /// Looks at the tests of `?`.
    init(_ term: Term, _ environment: Environment) {
        var reader = ShapeReader(environment: environment)
        self = reader.read(term) ? .constants(reader.constants, ordersText: reader.ordersText) : .opaque
    }
}

/// Gathers the constants that tests compare `?` with.
private struct ShapeReader {
    let environment: Environment
    var constants: [Value] = []
    var ordersText = false

    /// False when the tests do anything but compare `?` with constants.
    mutating func read(_ term: Term) -> Bool {
        switch term.kind {
        case .or(let terms), .and(let terms):
            for term in terms where !read(term) { return false }
            return true
        case .not(let term): return read(term)
        case .compare(let operation, let left, let right):
            return isInput(left) && add(right, isOrder: operation.isOrder)
        case .between(let subject, let low, let high):
            return isInput(subject) && add(low, isOrder: true) && add(high, isOrder: true)
        case .inside(let subject, let low, let high, _, _):
            return isInput(subject) && add(low, isOrder: true) && add(high, isOrder: true)
        case .test(let subject, let value, let usesInput):
            if usesInput { return read(value) }
            return isInput(subject) && add(value, isOrder: false)
        default: return false
        }
    }

    private func isInput(_ term: Term) -> Bool {
        if case .input = term.kind { return true }
        return false
    }

    private mutating func add(_ term: Term, isOrder: Bool) -> Bool {
        if case .constant(let value) = term.kind { return add(value, isOrder: isOrder) }
        // A call such as `date("2026-01-31")` becomes a constant when it is compiled.
        var builder = ProgramBuilder(environment)
        let root = builder.compile(term)
        guard builder.usedSlots.isEmpty, let value = Program(builder, root: root).constantResult else { return false }
        return add(value, isOrder: isOrder)
    }

    private mutating func add(_ value: Value, isOrder: Bool) -> Bool {
        switch value {
        case .null, .boolean, .number, .date, .time, .dateTime, .yearsMonthsDuration, .daysTimeDuration:
            constants.append(value)
        case .string:
            constants.append(value)
            if isOrder { ordersText = true }
        case .list(let elements):
            // A list as a test holds what passes; lists in it would be compared as wholes.
            for element in elements {
                if case .list = element { return false }
                if !add(element, isOrder: isOrder) { return false }
            }
        case .range(let interval): return add(interval.low, isOrder: true) && add(interval.high, isOrder: true)
        case .context, .function: return false
        }
        return true
    }
}
