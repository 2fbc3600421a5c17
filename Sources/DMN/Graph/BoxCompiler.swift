import FEEL

/// Compiles the boxed expressions of one element; what cannot be compiled is told as an issue and evaluates to null.
struct BoxCompiler {
    /// What the expressions of one element have in common.
    struct Settings {
        let types: TypeTable
        let zones: ZoneOffsets
        let profile: Profile
        /// Whether tables are checked for overlaps, gaps and their kin.
        let checksTables: Bool
    }

    let settings: Settings
    private(set) var issues: [DMNError.Issue] = []
    /// Findings that do not keep the model from being published.
    private(set) var warnings: [DMNError.Issue] = []
    /// Names in scope, by slot.
    private var names: [TypedName]
    /// Slots that any compiled text reads.
    private var usedSlots: Set<Int> = []
    private var pointer: [String]

    init(_ settings: Settings, names: [TypedName], pointer: [String]) {
        self.settings = settings
        self.names = names
        self.pointer = pointer
    }

    // MARK: Reporting

    mutating func report(_ code: String, _ message: String, _ location: SourceLocation?, _ offset: Int? = nil) {
        guard issues.count < DMNLimits.issues else { return }
        issues.append(
            DMNError.Issue(
                pointer: "/" + pointer.joined(separator: "/"), code: code, message: message, offset: offset,
                location: location))
    }

    mutating func type(_ reference: String?, _ location: SourceLocation?) -> ItemType {
        if let type = settings.types.type(reference) { return type }
        report("unknown_type", "unknown type '\(reference ?? "")'", location)
        return .any
    }

    private mutating func at<Result>(_ step: String, _ body: (inout BoxCompiler) -> Result) -> Result {
        pointer.append(step)
        defer { pointer.removeLast() }
        return body(&self)
    }

    private var environment: Environment {
        Environment(names, types: settings.types.named, zones: settings.zones)
    }

    /// Binds a name in the next slot.
    private mutating func bind(_ name: String, _ type: FEELType) -> Int {
        names.append(TypedName(name: name, type: type, isNullable: true))
        return names.count - 1
    }

    private mutating func scoped<Result>(_ body: (inout BoxCompiler) -> Result) -> Result {
        let mark = names.count
        defer { names.removeLast(names.count - mark) }
        return body(&self)
    }

    // MARK: Expressions

    private static let nothing = Box(.empty, type: nil, resultType: .null, label: "")

    /// Compiles what an element holds; no expression gives null.
    mutating func optional(_ expression: BoxedExpression?, _ label: String, expected: ItemType? = nil) -> Box {
        expression.map { compile($0, label, expected: expected) } ?? BoxCompiler.nothing
    }

    /// Compiles an expression.
    /// - Parameters:
    ///   - label: how reasons call it: the name of the decision or entry that it stands in.
    ///   - expected: the type of the variable that takes the value; a table's output is of that type.
    mutating func compile(_ expression: BoxedExpression, _ label: String, expected: ItemType? = nil) -> Box {
        let type = expression.typeRef.map { self.type($0, expression.location) }
        let kind: Box.Kind
        let result: FEELType
        switch expression.kind {
        case .literal(let text): (kind, result) = literal(text, expression)
        case .decisionTable(let table): (kind, result) = self.table(table, type ?? expected, label, expression.location)
        case .context(let entries): (kind, result) = scoped { $0.context(entries, label) }
        case .invocation(let function, let bindings): (kind, result) = invocation(function, bindings, label)
        case .relation(let columns, let rows): (kind, result) = relation(columns, rows, expression.location)
        case .list(let items):
            let boxes = items.enumerated().map { index, item in at("\(index)") { $0.compile(item, label) } }
            (kind, result) = (.list(boxes), .list(boxes.reduce(FEELType.null) { $0.union($1.resultType) }))
        case .conditional(let condition, let then, let otherwise):
            let condition = at("if") { $0.optional(condition, label) }
            let then = at("then") { $0.optional(then, label) }
            let otherwise = at("else") { $0.optional(otherwise, label) }
            kind = .conditional(condition, then: then, otherwise: otherwise)
            result = then.resultType.union(otherwise.resultType)
        case .filter(let list, let match): (kind, result) = scoped { $0.filter(list, match, label) }
        case .iteration(let iteration, let variable, let domain, let body):
            (kind, result) = scoped { $0.iteration(iteration, variable, domain, body, label, expression.location) }
        case .function(let definition): return scoped { $0.function(definition, label) }
        }
        return Box(kind, type: type, resultType: result, label: label)
    }

    private mutating func literal(_ text: String, _ expression: BoxedExpression) -> (Box.Kind, FEELType) {
        if let language = expression.expressionLanguage, !DMNNamespace.isFEEL(language) {
            report("unsupported_language", "the language '\(language)' is not FEEL", expression.location)
            return (.empty, .any)
        }
        if text.allSatisfy(\.isWhitespace) { return (.empty, .null) }
        guard let compiled = feel(text, expression.location) else { return (.empty, .any) }
        return (.literal(compiled), compiled.resultType)
    }

    /// - Parameter shift: bytes of the text before what the author wrote.
    private mutating func feel(_ text: String, _ location: SourceLocation?, shift: Int = 0) -> Expression? {
        do throws(FEELError) {
            let expression = try Expression(text, in: environment, profile: settings.profile)
            usedSlots.formUnion(expression.usedSlots)
            return expression
        } catch {
            let offset = max(0, error.offset - shift)
            report(error.code.rawValue, error.message, location, offset)
            return nil
        }
    }

    private mutating func context(
        _ entries: [BoxedExpression.ContextEntry], _ label: String
    ) -> (Box.Kind, FEELType) {
        var compiled: [Box.Entry] = []
        var fields: [String: FEELType] = [:]
        var result: Box?
        for entry in entries {
            guard let variable = entry.variable else {
                result = at("result") { $0.optional(entry.value, label) }
                continue
            }
            let type = self.type(variable.typeRef, entry.value?.location)
            let value = at(variable.name) { $0.optional(entry.value, variable.name, expected: type) }
            if fields[variable.name] != nil {
                report("invalid_model", "duplicate entry '\(variable.name)'", entry.value?.location)
            }
            let known = type.type == .any ? value.resultType : type.type
            fields[variable.name] = known
            let slot = bind(variable.name, known)
            compiled.append(Box.Entry(name: variable.name, slot: slot, type: type, value: value))
        }
        return (.context(compiled, result: result), result?.resultType ?? .context(fields))
    }

    private mutating func invocation(
        _ function: BoxedExpression, _ bindings: [BoxedExpression.Binding], _ label: String
    ) -> (Box.Kind, FEELType) {
        let target = at("function") { $0.compile(function, label) }
        let arguments = bindings.map { binding in
            at(binding.parameter.name) { $0.optional(binding.value, binding.parameter.name) }
        }
        var result = FEELType.any
        if case .function(_, let type) = target.resultType { result = type }
        return (.invocation(target, names: bindings.map(\.parameter.name), arguments: arguments), result)
    }

    private mutating func relation(
        _ columns: [InformationItem], _ rows: [BoxedExpression.Row], _ location: SourceLocation?
    ) -> (Box.Kind, FEELType) {
        var typed: [(name: String, type: ItemType)] = []
        for column in columns { typed.append((column.name, type(column.typeRef, location))) }
        let boxes = rows.enumerated().map { index, row in
            row.cells.enumerated().map { column, cell in
                at("row/\(index)/\(column)") { $0.compile(cell, columns[column].name) }
            }
        }
        var fields: [String: FEELType] = [:]
        for (index, column) in typed.enumerated() {
            let known = boxes.reduce(FEELType.null) { $0.union($1[index].resultType) }
            fields[column.name] = column.type.type == .any ? known : column.type.type
        }
        return (.relation(typed, rows: boxes), .list(.context(fields)))
    }

    // MARK: Filters and iterations

    /// The name of the slot that holds a boxed filter's list; the innermost filter's hides the others.
    private static let filtered = "boxed filter list"

    private mutating func filter(
        _ list: BoxedExpression?, _ match: BoxedExpression?, _ label: String
    ) -> (Box.Kind, FEELType) {
        let list = at("in") { $0.optional(list, label) }
        if let match, case .literal(let text) = match.kind, !text.allSatisfy(\.isWhitespace) {
            // FEEL's own filter, so that the entries of elements are in scope as they are there. The text must be an
            // expression by itself: a bracket in it must not close the filter.
            guard (try? Expression(text, in: environment, profile: .dmn)) != nil else {
                _ = at("match") { $0.feel(text, match.location) }
                return (.empty, .any)
            }
            let slot = bind(BoxCompiler.filtered, list.resultType)
            let prefix = BoxCompiler.filtered + "[("
            let shift = prefix.utf8.count
            guard let filter = at("match", { $0.feel("\(prefix)\(text)\n) = true]", match.location, shift: shift) })
            else { return (.empty, .any) }
            let test = "\(BoxCompiler.filtered)[(\(text)\n) != null and not((\(text)\n) instance of boolean)]"
            guard let strangers = at("match", { $0.feel(test, match.location, shift: shift) }) else {
                return (.empty, .any)
            }
            return (.filter(list, slot: slot, filter, strangers: strangers), filter.resultType)
        }
        var element = FEELType.any
        if case .list(let type) = list.resultType { element = type }
        let slot = bind("item", element)
        var fields: [String] = []
        if case .context(let known) = element {
            fields = known.keys.sorted()
            for field in fields { _ = bind(field, known[field] ?? .any) }
        }
        let condition = at("match") { $0.optional(match, label) }
        return (.select(list, slot: slot, fields: fields, match: condition), .list(element))
    }

    private mutating func iteration(
        _ kind: BoxedExpression.IterationKind, _ variable: InformationItem, _ domain: BoxedExpression?,
        _ body: BoxedExpression?, _ label: String, _ location: SourceLocation?
    ) -> (Box.Kind, FEELType) {
        let domain = at("in") { $0.optional(domain, label) }
        var element = type(variable.typeRef, location).type
        if element == .any {
            switch domain.resultType {
            case .list(let type), .range(let type): element = type
            default: break
            }
        }
        let slot = bind(variable.name, element)
        let outer = usedSlots
        usedSlots = []
        let partial = kind == .collect ? bind("partial", .list(.any)) : -1
        let body = at(kind == .collect ? "return" : "satisfies") { $0.optional(body, label) }
        let readsPartial = usedSlots.contains(partial)
        usedSlots.formUnion(outer)
        let result: FEELType = kind == .collect ? .list(body.resultType) : .boolean
        return (.iteration(kind, domain, slot: slot, readsPartial: readsPartial, body: body), result)
    }

    // MARK: Functions

    /// A function's parts with the parameters bound after everything that is in scope.
    struct CompiledFunction {
        let names: [String]
        let parameters: [ItemType]
        let slot: Int
        let body: Box
        let type: FEELType
    }

    /// - Parameter result: the type of the variable that holds the function; nil for any.
    mutating func parts(_ definition: FunctionDefinition, _ label: String, result: ItemType?) -> CompiledFunction {
        let slot = names.count
        var parameters: [ItemType] = []
        for parameter in definition.parameters {
            let type = self.type(parameter.typeRef, definition.location)
            parameters.append(type)
            _ = bind(parameter.name, type.type)
        }
        let declared = definition.typeRef.map { type($0, definition.location).result } ?? result
        var body = BoxCompiler.nothing
        if definition.kind == .feel {
            body = at("body") { $0.optional(definition.body, label, expected: declared) }
        } else {
            report(
                "external_function", "\(definition.kind.rawValue) functions are not run here; write the body in FEEL",
                definition.location)
        }
        if let declared, declared.type != .any || declared.isConstrained {
            body = Box(.typed(body), type: declared, resultType: body.resultType, label: label)
        }
        return CompiledFunction(
            names: definition.parameters.map(\.name), parameters: parameters, slot: slot, body: body,
            type: .function(parameters.map(\.type), body.resultType))
    }

    private mutating func function(_ definition: FunctionDefinition, _ label: String) -> Box {
        let parts = parts(definition, label, result: nil)
        return Box(
            .function(
                parts.names, parts.type, slot: parts.slot, parameters: parts.parameters, body: parts.body),
            type: nil, resultType: parts.type, label: label)
    }

    // MARK: Tables

    private mutating func table(
        _ table: BoxedTable, _ type: ItemType?, _ label: String, _ location: SourceLocation?
    ) -> (Box.Kind, FEELType) {
        let (spec, outputs) = spec(table, type, label, location)
        do throws(DMNError) {
            let compiled = try DecisionTable.compile(spec, environment: environment, profile: settings.profile)
            usedSlots.formUnion(compiled.usedSlots)
            if settings.checksTables { check(compiled, table, location) }
            return (.table(compiled, outputs: outputs), spec.resultType)
        } catch {
            for issue in error.issues where issues.count < DMNLimits.issues {
                issues.append(
                    DMNError.Issue(
                        pointer: "/" + pointer.joined(separator: "/") + issue.pointer, code: issue.code,
                        message: issue.message, offset: issue.offset,
                        location: table.location(of: issue.pointer) ?? location))
            }
            return (.empty, spec.resultType)
        }
    }

    private mutating func check(_ compiled: DecisionTable, _ table: BoxedTable, _ location: SourceLocation?) {
        for finding in compiled.findings() {
            let issue = DMNError.Issue(
                pointer: "/" + pointer.joined(separator: "/") + finding.pointer, code: finding.code.rawValue,
                message: finding.message, location: table.location(of: finding.pointer) ?? location)
            if finding.severity == .error { issues.append(issue) } else { warnings.append(issue) }
        }
    }

    private mutating func spec(
        _ table: BoxedTable, _ type: ItemType?, _ label: String, _ location: SourceLocation?
    ) -> (DecisionTableSpec, [ItemType]) {
        var outputs: [DecisionTableSpec.Output] = []
        var types: [ItemType] = []
        for (index, output) in table.outputs.enumerated() {
            var item = self.type(output.typeRef, location)
            if table.outputs.count == 1 && item.type == .any, let type {
                item = type
                // A list policy's table has the list's type, its output the element's.
                if table.givesList, case .list(let element) = type.type { item = ItemType(element) }
            }
            types.append(output.typeRef == nil ? .any : item)
            outputs.append(
                DecisionTableSpec.Output(
                    name: output.name ?? (table.outputs.count == 1 ? label : "output \(index + 1)"), type: item.type,
                    allowedValues: output.allowedValues?.given ?? item.allowedValues,
                    defaultValue: output.defaultValue?.given))
        }
        var inputs: [DecisionTableSpec.Input] = []
        for input in table.inputs {
            inputs.append(
                DecisionTableSpec.Input(
                    name: input.name, expression: input.expression.text,
                    type: self.type(input.typeRef, input.expression.location).type,
                    allowedValues: input.allowedValues?.given))
        }
        let spec = DecisionTableSpec(
            inputs: inputs, outputs: outputs,
            rules: table.rules.map { rule in
                DecisionTableSpec.Rule(
                    tests: rule.tests.map { $0.given ?? "-" }, outputs: rule.outputs.map { $0.given ?? "null" },
                    id: rule.id, annotation: rule.annotations.first { !$0.isEmpty } ?? rule.description)
            }, hitPolicy: table.hitPolicy, aggregation: table.aggregation)
        return (spec, types)
    }
}

extension FEELText {
    /// The text; nil when it is blank.
    var given: String? { text.allSatisfy(\.isWhitespace) ? nil : text }
}

extension BoxedTable {
    /// Whether the result is a list of rows.
    var givesList: Bool {
        switch hitPolicy {
        case .collect: aggregation == nil
        case .ruleOrder, .outputOrder: true
        default: false
        }
    }

    /// Where the thing stands that a table issue's pointer names.
    func location(of pointer: String) -> SourceLocation? {
        let parts = pointer.split(separator: "/")
        guard parts.count >= 2, let index = Int(parts[1]) else { return nil }
        switch parts[0] {
        case "rules" where rules.indices.contains(index):
            guard parts.count == 4, let column = Int(parts[3]) else { return rules[index].location }
            let cells = parts[2] == "tests" ? rules[index].tests : rules[index].outputs
            return cells.indices.contains(column) ? cells[column].location : rules[index].location
        case "inputs" where inputs.indices.contains(index):
            let input = inputs[index]
            return (parts.last == "allowed_values" ? input.allowedValues : input.expression)?.location
        case "outputs" where outputs.indices.contains(index):
            let output = outputs[index]
            return (parts.last == "default_value" ? output.defaultValue : output.allowedValues)?.location
        default: return nil
        }
    }
}

extension DecisionTableSpec {
    /// The type of the table's value, as far as its outputs tell.
    var resultType: FEELType {
        let row: FEELType =
            outputs.count == 1
            ? outputs[0].type
            : .context(Dictionary(outputs.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first }))
        switch hitPolicy {
        case .collect where aggregation == nil: return .list(row)
        case .collect where aggregation == .count: return .number
        case .ruleOrder, .outputOrder: return .list(row)
        default: return row
        }
    }
}
