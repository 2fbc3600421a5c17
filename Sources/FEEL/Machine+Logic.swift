extension Machine {
    /// The truth of a node without building a value; anything but a boolean is unknown.
    mutating func truth(_ index: Int32) -> Truth {
        let node = nodes[Int(index)]
        switch node.operation {
        case .compareConstant: return compareConstant(node, index)
        case .inConstants: return inConstants(node, index)
        case .and: return conjunction(node)
        case .or: return disjunction(node)
        default: return nestedTruth(node, index)
        }
    }

    enum Condition {
        case truth(Truth)
        /// Neither a boolean nor null.
        case other(FEELType)
    }

    /// The truth of a node where nothing but a boolean or null will do.
    mutating func condition(_ index: Int32) -> Condition {
        switch nodes[Int(index)].operation {
        case .compare, .compareConstant, .between, .inside, .inConstants, .inSet, .test, .and, .or, .not:
            return .truth(truth(index))
        default:
            switch value(index) {
            case .boolean(let value): return .truth(Truth(value))
            case .null: return .truth(.unknown)
            case let other: return .other(other.type)
            }
        }
    }

    private mutating func nestedTruth(_ node: Node, _ index: Int32) -> Truth {
        depth += 1
        defer { depth -= 1 }
        if depth > FEELLimits.evaluationDepth {
            _ = null(.limit, "evaluation is nested too deeply", index)
            return .unknown
        }
        switch node.operation {
        case .compare:
            let left = value(node.a)
            let right = value(node.b)
            return compare(ComparisonOperator(rawValue: node.sub) ?? .equal, left, right, index)
        case .between: return inside(node, includesLow: true, includesHigh: true, index)
        case .inside: return inside(node, includesLow: node.sub & 1 != 0, includesHigh: node.sub & 2 != 0, index)
        case .inSet:
            let subject = value(node.a)
            let set = program.sets[Int(node.b)]
            // Hashing equates what only looks the same; FEEL compares the encoded text.
            guard let found = set.firstIndex(of: subject) else { return .no }
            return Truth(Comparison.equal(set[found], subject) == .yes)
        case .test: return test(node, index)
        case .not:
            switch truth(node.a) {
            case .yes: return .no
            case .no: return .yes
            case .unknown: return .unknown
            }
        default:
            switch value(index) {
            case .boolean(let value): return Truth(value)
            case .null: return .unknown
            case let other:
                _ = null(.typeMismatch, "expected a boolean, not \(other.type.name)", index)
                return .unknown
            }
        }
    }

    private mutating func conjunction(_ node: Node) -> Truth {
        var result = Truth.yes
        for child in node.b..<(node.b + node.c) {
            switch truth(children[Int(child)]) {
            case .no: return .no
            case .unknown: result = .unknown
            case .yes: break
            }
        }
        return result
    }

    private mutating func disjunction(_ node: Node) -> Truth {
        var result = Truth.no
        for child in node.b..<(node.b + node.c) {
            switch truth(children[Int(child)]) {
            case .yes: return .yes
            case .unknown: result = .unknown
            case .no: break
            }
        }
        return result
    }

    @inline(__always)
    private mutating func compareConstant(_ node: Node, _ index: Int32) -> Truth {
        let operation = ComparisonOperator(rawValue: node.sub) ?? .equal
        let left = nodes[Int(node.a)]
        // The common case, a number in a slot or under test against a constant, without copying values.
        if left.operation == .slot, Int(left.a) < slots.count,
            case .number(let a) = slots[Int(left.a)], case .number(let b) = constants[Int(node.b)]
        {
            return Machine.decide(operation, Decimal.compare(a, b))
        }
        if left.operation == .input, case .number(let a) = input, case .number(let b) = constants[Int(node.b)] {
            return Machine.decide(operation, Decimal.compare(a, b))
        }
        return compareGeneral(operation, node, index)
    }

    @inline(never)
    private mutating func compareGeneral(_ operation: ComparisonOperator, _ node: Node, _ index: Int32) -> Truth {
        let left = value(node.a)
        return compare(operation, left, constants[Int(node.b)], index)
    }

    @inline(__always)
    private mutating func inConstants(_ node: Node, _ index: Int32) -> Truth {
        let left = nodes[Int(node.a)]
        let first = Int(node.b)
        let last = first + Int(node.c)
        if left.operation == .slot, Int(left.a) < slots.count, case .string(let text) = slots[Int(left.a)] {
            for constant in first..<last {
                if case .string(let other) = constants[constant], Comparison.same(other, text) { return .yes }
            }
            return .no
        }
        let subject = value(node.a)
        for constant in first..<last where Comparison.equal(subject, constants[constant]) == .yes { return .yes }
        return .no
    }

    @inline(__always)
    static func decide(_ operation: ComparisonOperator, _ order: Int) -> Truth {
        switch operation {
        case .equal: Truth(order == 0)
        case .notEqual: Truth(order != 0)
        case .less: Truth(order < 0)
        case .lessOrEqual: Truth(order <= 0)
        case .greater: Truth(order > 0)
        case .greaterOrEqual: Truth(order >= 0)
        }
    }

    mutating func compare(_ operation: ComparisonOperator, _ a: Value, _ b: Value, _ index: Int32) -> Truth {
        switch operation {
        case .equal: return equal(a, b, index)
        case .notEqual:
            switch equal(a, b, index) {
            case .yes: return .no
            case .no: return .yes
            case .unknown: return .unknown
            }
        default:
            if case .string(let text) = a, !pay(Comparison.textSteps(text), index) { return .unknown }
            if let order = Comparison.order(a, b) { return Machine.decide(operation, order) }
            if !a.isNull && !b.isNull {
                _ = null(.typeMismatch, "\(a.type.name) and \(b.type.name) have no order", index)
            }
            return .unknown
        }
    }

    /// Equality that pays for its steps and tells why it is unknown.
    private mutating func equal(_ a: Value, _ b: Value, _ index: Int32) -> Truth {
        let truth = Comparison.equal(a, b, &steps)
        if truth == .unknown {
            if steps > FEELLimits.evaluationSteps {
                _ = null(.limit, "too many steps", index)
            } else {
                _ = null(.typeMismatch, "\(a.type.name) and \(b.type.name) are never equal", index)
            }
        }
        return truth
    }

    private mutating func inside(_ node: Node, includesLow: Bool, includesHigh: Bool, _ index: Int32) -> Truth {
        let subject = value(node.a)
        let low = value(node.b)
        let high = value(node.c)
        let above = compare(includesLow ? .greaterOrEqual : .greater, subject, low, index)
        let below = compare(includesHigh ? .lessOrEqual : .less, subject, high, index)
        if above == .no || below == .no { return above == .unknown || below == .unknown ? .unknown : .no }
        return above == .unknown || below == .unknown ? .unknown : .yes
    }

    /// An expression as a test: by its own truth when it uses the input, else equal to the subject, a list or range
    /// that holds it.
    private mutating func test(_ node: Node, _ index: Int32) -> Truth {
        let subject = value(node.a)
        let expected = value(node.b)
        if node.sub == 1 {
            if case .boolean(let value) = expected { return Truth(value) }
            if expected.isNull { return .unknown }
        }
        switch expected {
        case .list(let elements):
            if case .list = subject, Comparison.equal(subject, expected, &steps) == .yes { return .yes }
            var result = Truth.no
            for element in elements {
                guard pay(1, index) else { return .unknown }
                switch member(subject, element, index) {
                case .yes: return .yes
                case .unknown: if case .range = element { result = .unknown }
                case .no: break
                }
            }
            return pay(0, index) ? result : .unknown
        case .boolean(let value):
            if case .boolean = subject { return Comparison.equal(subject, expected) }
            return subject.isNull ? .no : Truth(value)
        default:
            let truth = member(subject, expected, index)
            return pay(0, index) ? truth : .unknown
        }
    }

    private mutating func member(_ subject: Value, _ expected: Value, _ index: Int32) -> Truth {
        if case .range(let interval) = expected {
            if case .range = subject { return Comparison.equal(subject, expected) }
            let truth = Comparison.contains(interval, subject)
            if truth == .unknown && !subject.isNull {
                _ = null(.typeMismatch, "a \(subject.type.name) is in no \(expected.type.name)", index)
            }
            return truth
        }
        return Comparison.equal(subject, expected, &steps)
    }
}
