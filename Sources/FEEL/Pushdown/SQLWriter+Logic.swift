extension SQLWriter {
    /// A boolean term as SQL, exact as far as it is needed.
    mutating func condition(_ term: Term, _ need: Need) throws(SQLError) -> String {
        let text: String
        switch term.kind {
        case .compare(let operation, let a, let b):
            text = try comparison(operation, try operand(a), try operand(b), term, need)
        case .between(let value, let low, let high):
            text = try inside([value, low, high], true, true, term, need)
        case .inside(let value, let low, let high, let includesLow, let includesHigh):
            text = try inside([value, low, high], includesLow, includesHigh, term, need)
        case .test(let subject, let value, let usesInput):
            if usesInput { throw unsupported(term) }
            text = try test(subject, value, term, need)
        case .and(let terms): text = try joined(try conditions(terms, need), "AND")
        case .or(let terms): text = try joined(try memberships(terms, term, need), "OR")
        case .not(let inner):
            text = "(NOT \(try condition(inner, need.negated)))"
        case .conditional(let test, let then, let otherwise):
            let (a, b) = (try condition(then, need), try condition(otherwise, need))
            text = "(CASE WHEN \(try condition(test, .whenTrue)) THEN \(a) ELSE \(b) END)"
        case .instanceOf(let inner, let type): text = try instance(inner, type, term)
        case .call(let function, let arguments, _) where Signature[function].isCondition:
            text = try predicate(function, arguments, term, need)
        case .binding(let local, let value, let body):
            text = try binding(local, value, body, need)
        default:
            let operand = try operand(term)
            guard operand.kind == .boolean || operand.isNull else {
                throw refuse(.typeMismatch, "expected a boolean, not a \(operand.kind.type.name)", term)
            }
            text = operand.isNull ? "NULL::boolean" : operand.text
        }
        if text.utf8.count > FEELLimits.sqlBytes { throw refuse(.tooComplex, "the SQL text is too long", term) }
        return text
    }

    private mutating func conditions(_ terms: [Term], _ need: Need) throws(SQLError) -> [String] {
        var texts: [String] = []
        for term in terms { texts.append(try condition(term, need)) }
        return texts
    }

    private func joined(_ texts: [String], _ separator: String) throws(SQLError) -> String {
        // One operand alone still has to be a truth value, which a condition is.
        texts.count == 1 ? texts[0] : "(" + texts.joined(separator: " \(separator) ") + ")"
    }

    /// A subject that is not a bare name is computed once.
    private mutating func binding(
        _ local: Int, _ value: Term, _ body: Term, _ need: Need
    ) throws(SQLError) -> String {
        var subject = try operand(value)
        if subject.isNull || subject.constant != nil {
            locals[local] = subject
            return try condition(body, need)
        }
        aliases += 1
        let alias = "feel_\(aliases)"
        let text = subject.text
        subject.text = "\(alias).v0"
        subject.integer = nil
        locals[local] = subject
        return "(SELECT \(try condition(body, need)) FROM (SELECT \(text) AS v0 OFFSET 0) AS \(alias))"
    }

    // MARK: Comparisons

    private func unlike(_ a: SQLOperand.Kind, _ b: SQLOperand.Kind, _ term: Term) -> SQLError {
        let message =
            a.type == b.type
            ? "a local date and time has no order with an instant" : "\(a.type.name) and \(b.type.name) are unlike"
        return refuse(.typeMismatch, message, term)
    }

    /// FEEL's `=` is true or false, also for null; SQL's is null then. Where the difference cannot be seen, the plain
    /// operator is written, which can use an index.
    func comparison(
        _ operation: ComparisonOperator, _ a: SQLOperand, _ b: SQLOperand, _ term: Term, _ need: Need
    ) throws(SQLError) -> String {
        guard a.kind == b.kind || a.isNull || b.isNull else {
            throw unlike(a.kind, b.kind, term)
        }
        if operation.isOrder {
            if a.isNull || b.isNull { return "NULL::boolean" }
            if a.kind == .boolean { throw refuse(.typeMismatch, "booleans have no order", term) }
            let (x, y) = sides(a, b)
            return "(\(a.kind == .text ? a.ordered : x) \(operation.symbol) \(y))"
        }
        let isEqual = operation == .equal
        if a.isNull && b.isNull { return isEqual ? "TRUE" : "FALSE" }
        if a.isNull || b.isNull { return "(\((a.isNull ? b : a).text) IS \(isEqual ? "" : "NOT ")NULL)" }
        if a.kind == .boolean, let value = b.constant?.boolean ?? a.constant?.boolean {
            let name = b.constant == nil ? b.text : a.text
            return "(\(name) IS \(isEqual ? "" : "NOT ")\(value ? "TRUE" : "FALSE"))"
        }
        let oneIsNeverNull = !a.isNullable || !b.isNullable
        let isPlain =
            (!a.isNullable && !b.isNullable) || (oneIsNeverNull && need == (isEqual ? .whenTrue : .whenFalse))
        var (x, y) = sides(a, b)
        if a.kind.isEqualToTheSecond {
            (x, y) = ("date_trunc('second', \(x))", "date_trunc('second', \(y))")
            if isPlain && isEqual && b.constant != nil && a.kind != .localTime {
                return "(\(a.text) >= \(y) AND \(a.text) < \(y) + interval '1 second')"
            }
        }
        if isPlain { return "(\(x) \(isEqual ? "=" : "<>") \(y))" }
        return "(\(x) IS \(isEqual ? "NOT " : "")DISTINCT FROM \(y))"
    }

    /// The operators' operands; a whole constant is compared with the integer column itself.
    private func sides(_ a: SQLOperand, _ b: SQLOperand) -> (String, String) {
        if let column = a.integer, let text = SQLWriter.bigint(b) { return (column, text) }
        if let column = b.integer, let text = SQLWriter.bigint(a) { return (text, column) }
        if let x = a.integer, let y = b.integer { return (x, y) }
        return (a.text, b.text)
    }

    /// A constant parameter cast once more: the parameter's own text may be `1.0`, which bigint would not read.
    private static func bigint(_ operand: SQLOperand) -> String? {
        guard case .number(let number)? = operand.constant, number.integer != nil else { return nil }
        return "(\(operand.text))::bigint"
    }

    private mutating func inside(
        _ terms: [Term], _ includesLow: Bool, _ includesHigh: Bool, _ term: Term, _ need: Need
    ) throws(SQLError) -> String {
        let (value, low, high) = (try operand(terms[0]), try operand(terms[1]), try operand(terms[2]))
        let above = try comparison(includesLow ? .greaterOrEqual : .greater, value, low, term, .exact)
        let below = try comparison(includesHigh ? .lessOrEqual : .less, value, high, term, .exact)
        if value.isNull || low.isNull || high.isNull { return "NULL::boolean" }
        // One bound that fails makes SQL's AND false while FEEL is null for a null in the other.
        let needsProduct = need != .whenTrue && (low.isNullable || high.isNullable)
        return needsProduct ? "(\(above)::integer * \(below)::integer = 1)" : "(\(above) AND \(below))"
    }

    private mutating func instance(_ inner: Term, _ type: FEELType, _ term: Term) throws(SQLError) -> String {
        let value = try operand(inner)
        if value.isNull { return type == .null ? "TRUE" : "FALSE" }
        switch type {
        case .any, value.kind.type: return "(\(value.text) IS NOT NULL)"
        case .null: return "(\(value.text) IS NULL)"
        case .boolean, .number, .string, .date, .time, .dateTime, .daysTimeDuration, .yearsMonthsDuration:
            return "FALSE"
        default: throw unsupported(term)
        }
    }

    // MARK: Membership

    /// The operands of `or`; equalities of one name with constants become one `= ANY`.
    private mutating func memberships(_ terms: [Term], _ term: Term, _ need: Need) throws(SQLError) -> [String] {
        var texts: [String] = []
        var groups: [(subject: Term, values: [Value])] = []
        for operand in terms {
            if let (subject, value) = SQLWriter.equality(operand) {
                if let index = groups.firstIndex(where: { SQLWriter.isSameName($0.subject, subject) }) {
                    groups[index].values.append(value)
                } else {
                    groups.append((subject, [value]))
                }
            } else {
                texts.append(try condition(operand, need))
            }
        }
        for group in groups { texts.append(try member(try operand(group.subject), group.values, term, need)) }
        return texts
    }

    private static func equality(_ term: Term) -> (Term, Value)? {
        guard case .compare(.equal, let a, let b) = term.kind else { return nil }
        switch (a.kind, b.kind) {
        case (.slot, .constant(let value)), (.path, .constant(let value)), (.local, .constant(let value)):
            return (a, value)
        case (.constant(let value), .slot), (.constant(let value), .path), (.constant(let value), .local):
            return (b, value)
        default: return nil
        }
    }

    private static func isSameName(_ a: Term, _ b: Term) -> Bool {
        switch (a.kind, b.kind) {
        case (.slot(let a), .slot(let b)), (.local(let a), .local(let b)): a == b
        case (.path(let a, let x), .path(let b, let y)): x == y && isSameName(a, b)
        default: false
        }
    }

    /// Whether a list of such constants is one array.
    private func isArrayElement(_ kind: SQLOperand.Kind) -> Bool {
        switch kind {
        case .number, .text, .date: true
        default: false
        }
    }

    /// Whether the subject equals one of some constants, null among them or not.
    private mutating func member(
        _ subject: SQLOperand, _ values: [Value], _ term: Term, _ need: Need
    ) throws(SQLError) -> String {
        let hasNull = values.contains(where: \.isNull)
        let others = values.filter { !$0.isNull }
        if subject.isNull { return hasNull ? "TRUE" : "FALSE" }
        if others.count < 2 || !isArrayElement(subject.kind) {
            var texts: [String] = []
            for value in values {
                texts.append(try comparison(.equal, subject, try constant(value, term), term, need))
            }
            return try joined(texts, "OR")
        }
        for value in others {
            let kind = try literal(value, term).kind
            if kind != subject.kind { throw unlike(subject.kind, kind, term) }
        }
        let test = try elementTest(subject, others, term)
        if !subject.isNullable { return test }
        if hasNull { return "(\(test) OR \(subject.text) IS NULL)" }
        return need == .whenTrue ? test : "COALESCE(\(test), FALSE)"
    }

    private mutating func elementTest(
        _ subject: SQLOperand, _ values: [Value], _ term: Term
    ) throws(SQLError) -> String {
        if let column = subject.integer, values.allSatisfy({ $0.number?.integer != nil }) {
            let items = values.compactMap { $0.number?.integer }.map { "\($0)" }
            return "(\(column) = ANY(\(parameter("{" + items.joined(separator: ",") + "}", "bigint[]"))))"
        }
        return "(\(subject.text) = ANY(\(try array(values, subject.kind, term))))"
    }

    /// `in` a list, a range or a value that is no literal.
    private mutating func test(_ subject: Term, _ value: Term, _ term: Term, _ need: Need) throws(SQLError) -> String {
        let left = try operand(subject)
        switch value.kind {
        case .constant(.list(let elements)): return try listTest(left, elements, term, need)
        case .constant(.range(let interval)): return try rangeTest(left, interval, term)
        case .list(let elements):
            var texts: [String] = []
            for element in elements {
                texts.append(try comparison(.equal, left, try operand(element), term, need))
            }
            return texts.isEmpty ? "FALSE" : try joined(texts, "OR")
        default:
            let right = try operand(value)
            if right.kind == .boolean { throw unsupported(term) }
            return try comparison(.equal, left, right, term, need)
        }
    }

    private mutating func listTest(
        _ subject: SQLOperand, _ elements: [Value], _ term: Term, _ need: Need
    ) throws(SQLError) -> String {
        var values: [Value] = []
        var texts: [String] = []
        for element in elements {
            switch element {
            case .range(let interval): texts.append(try rangeTest(subject, interval, term))
            case .null: values.append(element)
            case .list, .context, .function: throw unsupported(term)
            default:
                // An element of another type is never equal, and is passed over.
                if subject.isNull || element.type == subject.kind.type { values.append(element) }
            }
        }
        if !values.isEmpty { texts.append(try member(subject, values, term, need)) }
        return texts.isEmpty ? "FALSE" : try joined(texts, "OR")
    }

    private mutating func rangeTest(_ subject: SQLOperand, _ interval: Interval, _ term: Term) throws(SQLError)
        -> String
    {
        if interval.kind == .equal {
            return try comparison(.equal, subject, try constant(interval.low, term), term, .exact)
        }
        if subject.isNull { return "NULL::boolean" }
        if interval.kind == .notEqual {
            // Unlike `!=`, null for null: a value that is left out says nothing of an absent one.
            let test = try comparison(.notEqual, subject, try constant(interval.low, term), term, .exact)
            return subject.isNullable ? "(CASE WHEN \(subject.text) IS NOT NULL THEN \(test) END)" : test
        }
        var texts: [String] = []
        if !interval.low.isNull {
            let low = try constant(interval.low, term)
            texts.append(try comparison(interval.includesLow ? .greaterOrEqual : .greater, subject, low, term, .exact))
        }
        if !interval.high.isNull {
            let high = try constant(interval.high, term)
            texts.append(try comparison(interval.includesHigh ? .lessOrEqual : .less, subject, high, term, .exact))
        }
        return try joined(texts, "AND")
    }

    /// `list contains`: true or false for any list, and never null.
    mutating func listContains(_ arguments: [Term], _ term: Term, _ need: Need) throws(SQLError) -> String {
        guard case .constant(.list(let elements)) = arguments[0].kind else { throw unsupported(term) }
        if elements.contains(where: { if case .range = $0 { true } else { false } }) { throw unsupported(term) }
        return try listTest(try operand(arguments[1]), elements, term, need)
    }
}
