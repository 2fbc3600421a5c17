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
            self = .number(value)
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
        case (.array(let items), .list(let element)):
            var values: [Value] = []
            for item in items {
                guard let value = Value(item, as: element) else { return nil }
                values.append(value)
            }
            self = .list(values)
        case (.array(let items), .any):
            self = .list(items.compactMap { Value($0, as: .any) })
        case (.object(let members), .any):
            self = .context(Context(members.map { ($0.key, Value($0.value, as: .any) ?? .null) }))
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
                problems.add("/inputs/\(key)", "unknown_input", "the decision has no input of this name")
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
        Decimal(utf8: json.raw).map(Value.number)
    }
}

extension DecisionSpec {
    /// Table inputs, as written, that read any of these decision inputs.
    public func tableInputs(reading names: Set<String>) -> Set<String> {
        let environment = Environment(inputs.map { TypedName(name: $0.name, type: $0.type, isNullable: true) })
        let slots = Set(inputs.indices.filter { names.contains(inputs[$0].name) })
        var found: Set<String> = []
        for item in nodes {
            guard case .table(let table) = item.node else { continue }
            for column in table.inputs {
                // An expression that also names features or nodes does not compile here; it is taken as reading the
                // input when the input's name stands in it.
                if let expression = try? Expression(column.expression, in: environment) {
                    if !slots.isDisjoint(with: expression.usedSlots) { found.insert(column.expression) }
                } else if names.contains(where: { column.expression.contains($0) }) {
                    found.insert(column.expression)
                }
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
