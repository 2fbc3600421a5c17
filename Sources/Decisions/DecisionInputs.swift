public import FEEL
public import JSON

extension Value {
    /// A JSON value as a FEEL value of the declared type; nil when it is not one. JSON null is FEEL null.
    ///
    /// Dates and times are texts in JSON. Numbers keep up to 34 digits; more is nil.
    public init?(_ tree: JSONTree, as type: FEELType) {
        switch (tree, type) {
        case (.null, _): self = .null
        case (.bool(let flag), .boolean), (.bool(let flag), .any): self = .boolean(flag)
        case (.number(let number), .number), (.number(let number), .any):
            guard number.isExact,
                let value = Decimal(
                    significand: number.significand, exponent: Int(number.exponent), isNegative: number.isNegative)
            else { return nil }
            self = .number(value.stripped)
        case (.string(let text), .string), (.string(let text), .any): self = .string(text)
        case (.string(let text), .date):
            guard let date = Date(text) else { return nil }
            self = .date(date)
        case (.string(let text), .time):
            guard let time = Time(text, zones: .utcOnly) else { return nil }
            self = .time(time)
        case (.string(let text), .dateTime):
            guard let moment = DateTime(text, zones: .utcOnly) else { return nil }
            self = .dateTime(moment)
        case (.string(let text), .daysTimeDuration):
            guard let duration = Value(duration: text), case .daysTimeDuration = duration else { return nil }
            self = duration
        case (.string(let text), .yearsMonthsDuration):
            guard let duration = Value(duration: text), case .yearsMonthsDuration = duration else { return nil }
            self = duration
        case (.object(let members), .context(let fields)):
            var entries: [(String, Value)] = []
            for member in members {
                guard let value = Value(member.value, as: fields[member.key] ?? .any) else { return nil }
                entries.append((member.key, value))
            }
            self = .context(Context(entries))
        case (.array(let items), .list(let element)):
            var values: [Value] = []
            for item in items {
                guard let value = Value(item, as: element) else { return nil }
                values.append(value)
            }
            self = .list(values)
        case (.array(let items), .any):
            var values: [Value] = []
            for item in items {
                guard let value = Value(item, as: .any) else { return nil }
                values.append(value)
            }
            self = .list(values)
        case (.object(let members), .any):
            var entries: [(String, Value)] = []
            for member in members {
                guard let value = Value(member.value, as: .any) else { return nil }
                entries.append((member.key, value))
            }
            self = .context(Context(entries))
        default: return nil
        }
    }
}

extension CompiledDecision {
    /// Reads the caller's inputs; everything wrong becomes a problem with a pointer below `/inputs`.
    ///
    /// - Returns: one value per declared input; nil when there was a problem.
    public func readInputs(_ object: JSONValue, _ problems: ProblemList) -> [Value]? {
        guard object.kind == .object else {
            problems.add("/inputs", "type_mismatch", "an object with the decision's inputs is expected")
            return nil
        }
        var values = [Value](repeating: .null, count: spec.inputs.count)
        let before = problems.problems.count
        for member in object.members {
            let key = member.key
            guard let index = inputIndex(key) else {
                problems.add(
                    JSONPointer(tokens: ["inputs", key]).text, "unknown_input", "the decision has no input of this name"
                )
                continue
            }
            values[index] = read(member.value, spec.inputs[index], problems)
        }
        for (index, input) in spec.inputs.enumerated() where values[index] == .null && !input.isOptional {
            if !problems.problems.contains(where: { $0.pointer == "/inputs/\(input.name)" }) {
                problems.add("/inputs/\(input.name)", "missing_input", "this input is required")
            }
        }
        return problems.problems.count == before ? values : nil
    }

    private func read(_ json: JSONValue, _ input: InputSpec, _ problems: ProblemList) -> Value {
        let place = "/inputs/\(input.name)"
        guard let value = Self.scalar(json, input.type) ?? Value(json.tree(), as: input.type) else {
            problems.add(place, "type_mismatch", "a value of type \(input.type.name) is expected")
            return .null
        }
        switch value {
        case .string(let text):
            if text.utf8.count > DecisionLimits.inputTextBytesMax {
                problems.add(place, "too_long", "at most \(DecisionLimits.inputTextBytesMax) bytes")
            }
            if let allowed = input.values, !allowed.contains(text) {
                problems.add(place, "value_not_allowed", "one of \(allowed.joined(separator: ", "))")
            }
        case .number(let number):
            if let minimum = input.minimum, number < minimum {
                problems.add(place, "out_of_range", "at least \(minimum)")
            }
            if let maximum = input.maximum, number > maximum {
                problems.add(place, "out_of_range", "at most \(maximum)")
            }
        default: break
        }
        return value
    }

    /// The common types without building a tree.
    private static func scalar(_ json: JSONValue, _ type: FEELType) -> Value? {
        switch (json.kind, type) {
        case (.string, .string): json.string.map(Value.string)
        case (.bool, .boolean): json.bool.map(Value.boolean)
        case (.number, .number): Value.exactNumber(json)
        default: nil
        }
    }

    /// The classification of an input, by name.
    public func classification(ofInput name: String) -> String? {
        spec.inputs.first { $0.name == name }?.classification
    }
}

extension Value {
    /// The number of a JSON value with its digits; nil past 34 of them.
    fileprivate static func exactNumber(_ json: JSONValue) -> Value? {
        guard let number = json.number, number.isExact else { return nil }
        return (Decimal(utf8: json.raw)?.stripped).map(Value.number)
    }
}

extension DecisionSpec {
    /// Table inputs, as written, that show any of these decision inputs, also through expression nodes.
    public func tableInputs(reading names: Set<String>) -> Set<String> {
        // Every name that an expression may hold; under the DMN profile what is missing here compiles as null.
        let known = inputs.map(\.name) + nodes.flatMap { $0.node.names($0.name) }
        let environment = Environment(known.map { TypedName(name: $0, type: .any, isNullable: true) })
        var hidden = names
        var found: Set<String> = []
        let shows = { (source: String, hidden: Set<String>) -> Bool in
            guard let expression = try? Expression(source, in: environment) else { return true }
            return expression.usedSlots.contains { hidden.contains(known[$0]) }
        }
        for item in nodes {
            switch item.node {
            case .expression(let source, _): if shows(source, hidden) { hidden.insert(item.name) }
            case .table(let table):
                for column in table.inputs where shows(column.expression, hidden) { found.insert(column.expression) }
            case .dmn(let node):
                // What a model makes of an input is not followed into it: all its tables may show it.
                let read = Set(node.inputs.values)
                let isHidden =
                    read.contains { shows($0, hidden) }
                    || hidden.contains { name in node.inputNames.contains(name) && node.inputs[name] == nil }
                guard isHidden else { continue }
                for model in [node.model] + node.imports {
                    for table in model.tables { found.formUnion(table.inputs.map(\.name)) }
                }
                hidden.formUnion(node.decisions)
            case .model: break
            }
        }
        return found
    }

    /// Names of all models that any step names.
    public var modelNames: Set<String> {
        var names: Set<String> = []
        for item in nodes {
            guard case .model(let steps) = item.node else { continue }
            for case .model(let name, _, _) in steps { names.insert(name) }
        }
        return names
    }
}

extension CompiledDecision {
    /// Table inputs, as written, that read any of these decision inputs.
    public func tableInputs(reading names: Set<String>) -> Set<String> {
        spec.tableInputs(reading: names)
    }
}
