/// Writes one expression as SQL. Conditions are written for what is needed of them: exact three-valued results, or
/// only exact trues (a filter), or only exact falses (a filter under `not`).
struct SQLWriter {
    enum Need {
        case exact, whenTrue, whenFalse

        var negated: Need {
            switch self {
            case .exact: .exact
            case .whenTrue: .whenFalse
            case .whenFalse: .whenTrue
            }
        }
    }

    /// By bytes: strings also equate spellings that PostgreSQL tells apart.
    private struct ConstantKey: Hashable {
        let text: [UInt8]
        let type: String
    }

    private let slotNames: [String]
    private let columns: [[String]: SQLColumn]
    private var constants: [SQLExpression.Parameter] = []
    private var numbers: [ConstantKey: Int] = [:]
    var aliases = 0
    /// What the locals of `binding` stand for.
    var locals: [Int: SQLOperand] = [:]

    init(slotNames: [String], columns: [[String]: SQLColumn]) {
        self.slotNames = slotNames
        self.columns = columns
    }

    mutating func result(
        _ term: Term, _ purpose: SQLExpression.Purpose, firstParameter: Int
    ) throws(SQLError) -> SQLExpression {
        let operand =
            switch purpose {
            case .filter: SQLOperand(try condition(term, .whenTrue), .boolean)
            case .value: try self.operand(term)
            }
        return numbered(operand, from: firstParameter)
    }

    /// Numbers the parameters that are left, in the order in which they stand.
    private func numbered(_ operand: SQLOperand, from first: Int) -> SQLExpression {
        var text: [UInt8] = []
        var parameters: [SQLExpression.Parameter] = []
        var numbers: [Int: Int] = [:]
        var index: Int?
        for byte in operand.text.utf8 {
            switch (byte, index) {
            case (SQLWriter.opening, _): index = 0
            case (SQLWriter.closing, let constant?):
                let number = numbers[constant] ?? first + parameters.count
                if numbers[constant] == nil {
                    numbers[constant] = number
                    parameters.append(constants[constant])
                }
                text += Array("$\(number)".utf8)
                index = nil
            case (_, let constant?): index = constant * 10 + Int(byte - UInt8(ascii: "0"))
            case (_, nil): text.append(byte)
            }
        }
        return SQLExpression(
            text: String(decoding: text, as: UTF8.self), parameters: parameters, type: operand.kind.type)
    }

    /// What stands around the index of a constant until parameters are numbered; no SQL text has these.
    static let opening: UInt8 = 1
    private static let closing: UInt8 = 2

    // MARK: Errors

    func refuse(_ code: SQLError.Code, _ message: String, _ term: Term) -> SQLError {
        SQLError(code: code, construct: term.construct, message: message, offset: max(term.offset, 0))
    }

    func unsupported(_ term: Term) -> SQLError {
        refuse(.unsupported, "PostgreSQL has no equal of \(term.construct)", term)
    }

    func checked(_ operand: SQLOperand, _ term: Term) throws(SQLError) -> SQLOperand {
        if operand.text.utf8.count > FEELLimits.sqlBytes { throw refuse(.tooComplex, "the SQL text is too long", term) }
        return operand
    }

    // MARK: Pieces

    /// A parameter, cast to its type, for a text in PostgreSQL's format; equal constants share one. It gets its number
    /// at the end, since an operand may turn out not to be needed.
    mutating func parameter(_ text: String, _ type: String) -> String {
        let key = ConstantKey(text: Array(text.utf8), type: type)
        let number = numbers[key] ?? constants.count
        if number == constants.count {
            constants.append(SQLExpression.Parameter(text: text, type: type))
            numbers[key] = number
        }
        return "\u{1}\(number)\u{2}::\(type)"
    }

    /// A subquery that evaluates its parts once: `body` gets their names. OFFSET 0 keeps the planner from putting the
    /// parts in the places of the names again.
    mutating func once(_ parts: [String], _ body: (_ writer: inout SQLWriter, _ names: [String]) -> String) -> String {
        aliases += 1
        let alias = "feel_\(aliases)"
        let names = parts.indices.map { "\(alias).v\($0)" }
        let items = parts.enumerated().map { "\($1) AS v\($0)" }.joined(separator: ", ")
        return "(SELECT \(body(&self, names)) FROM (SELECT \(items) OFFSET 0) AS \(alias))"
    }

    // MARK: Operands

    mutating func operand(_ term: Term) throws(SQLError) -> SQLOperand {
        switch term.kind {
        case .constant(let value): return try constant(value, term)
        case .slot, .path: return try name(term)
        case .local(let local):
            guard let operand = locals[local] else { throw unsupported(term) }
            return operand
        case .unknown, .failed: return SQLOperand("NULL", .null)
        case .negate(let inner): return try negated(inner, term)
        case .arithmetic(let operation, let a, let b): return try arithmetic(operation, a, b, term)
        case .conditional(let test, let then, let otherwise) where term.type != .boolean:
            return try conditional(test, then, otherwise, term)
        case .call(let function, let arguments, _) where Signature[function].isCondition == false:
            return try call(function, arguments, term)
        case .compare, .between, .inside, .test, .and, .or, .not, .conditional, .instanceOf, .call, .binding:
            let text = try condition(term, .exact)
            return try checked(SQLOperand(text, .boolean), term)
        default: throw unsupported(term)
        }
    }

    /// The column of a name or path, else a property of a column.
    private mutating func name(_ term: Term) throws(SQLError) -> SQLOperand {
        if let path = path(term), let column = columns[path] { return SQLWriter.operand(column) }
        if case .path(let target, let property) = term.kind {
            if path(target).map({ columns[$0] == nil }) ?? false, case .context = target.type {
                throw unknownColumn(term)
            }
            return try self.property(property, try operand(target), term)
        }
        throw unknownColumn(term)
    }

    private func unknownColumn(_ term: Term) -> SQLError {
        refuse(.unknownColumn, "no column for '\((path(term) ?? []).joined(separator: "."))'", term)
    }

    func path(_ term: Term) -> [String]? {
        switch term.kind {
        case .slot(let slot): return [slotNames[slot]]
        case .path(let target, let name): return path(target).map { $0 + [name] }
        default: return nil
        }
    }

    private static func operand(_ column: SQLColumn) -> SQLOperand {
        var operand: SQLOperand
        let text = "(\(column.expression))"
        switch column.type {
        case .boolean: operand = SQLOperand(text, .boolean)
        case .integer:
            operand = SQLOperand("\(text)::numeric", .number, digits: SQLOperand.Digits(whole: 19, scale: 0))
            operand.integer = text
        case .numeric(let precision, let scale):
            operand = SQLOperand(text, .number)
            if let precision { operand.digits = SQLOperand.Digits(whole: precision - scale, scale: scale) }
        case .text: operand = SQLOperand(text, .text)
        case .date: operand = SQLOperand(text, .date)
        case .time: operand = SQLOperand(text, .localTime)
        case .timestamp: operand = SQLOperand(text, .localDateTime)
        case .timestampWithTimeZone: operand = SQLOperand(text, .instant)
        case .daysTimeInterval: operand = SQLOperand("(extract(epoch FROM \(text)) * 1000000000)", .daysTime)
        case .yearsMonthsInterval:
            operand = SQLOperand("(extract(year FROM \(text)) * 12 + extract(month FROM \(text)))", .yearsMonths)
        }
        operand.isNullable = column.isNullable
        return operand
    }

    private mutating func negated(_ inner: Term, _ term: Term) throws(SQLError) -> SQLOperand {
        var operand = try operand(inner)
        switch operand.kind {
        case .null: return operand
        case .number, .daysTime, .yearsMonths: break
        default: throw refuse(.typeMismatch, "cannot negate a \(operand.kind.type.name)", term)
        }
        operand.text = "(- \(operand.text))"
        operand.integer = nil
        operand.constant = nil
        return operand
    }

    private mutating func conditional(
        _ test: Term, _ then: Term, _ otherwise: Term, _ term: Term
    ) throws(SQLError) -> SQLOperand {
        let condition = try condition(test, .whenTrue)
        let (a, b) = (try operand(then), try operand(otherwise))
        let kind = a.isNull ? b.kind : a.kind
        guard a.kind == kind || a.isNull, b.kind == kind || b.isNull else {
            throw refuse(.typeMismatch, "'then' and 'else' are of different types", term)
        }
        var result = SQLOperand(
            "(CASE WHEN \(condition) THEN \(a.text) ELSE \(b.text) END)", kind, isNullable: a.isNullable || b.isNullable
        )
        if let x = a.isNull ? b.digits : a.digits, let y = b.isNull ? a.digits : b.digits {
            result.digits = SQLOperand.Digits(whole: max(x.whole, y.whole), scale: max(x.scale, y.scale))
        }
        return try checked(result, term)
    }
}

extension Signature {
    /// Whether it gives true, false or null.
    var isCondition: Bool {
        if case .fixed(.boolean) = result { return true }
        return false
    }
}
