import JSON

/// Turns a contract into the program that checks events, and refuses what could not be enforced.
struct CheckCompiler {
    let contract: Contract
    var issues: IssueList
    private var references: [ReferenceCheck] = []

    init(contract: Contract, issues: IssueList) {
        self.contract = contract
        self.issues = issues
    }

    mutating func compile() -> CompiledContract? {
        guard contract.kind != .catalogue else { return CompiledContract(contract: contract) }
        guard contract.schema.count == 1 else {
            let message = "a contract of kind \(contract.kind.rawValue) has exactly one schema object"
            issues.add(.invalidValue, JSONPointer(tokens: ["schema"]), message)
            return nil
        }
        let object = contract.schema[0]
        for rule in object.quality where rule.forbidsEveryRow {
            switch rule.metric {
            case .nullValues, .missingValues, .invalidValues:
                issues.add(.unsupported, rule.pointer, "this metric is about a property, not about a whole object")
            default: break
            }
        }
        return contract.kind == .stream ? compileStream(object) : compileReference(object)
    }

    private mutating func compileStream(_ object: SchemaObject) -> CompiledContract? {
        var attributes: [AttributeCheck] = []
        for property in object.properties {
            let part = CloudEvent.Part(name: property.name)
            checkAttributeType(property, part)
            if let field = compileField(property, path: [property.name]) {
                attributes.append(AttributeCheck(part: part, field: field))
            }
        }
        return CompiledContract(contract: contract, attributes: attributes, references: references, keyField: nil)
    }

    private mutating func checkAttributeType(_ property: SchemaProperty, _ part: CloudEvent.Part) {
        let allowed: [LogicalType]
        switch part {
        case .data: return
        case .time: allowed = [.timestamp]
        case .other:
            allowed = [.string, .boolean, .integer, .timestamp, .date, .time]
            let isName = property.name.utf8.allSatisfy {
                $0 &- UInt8(ascii: "0") <= 9 || $0 &- UInt8(ascii: "a") <= 25
            }
            if !isName || property.name.isEmpty {
                let message = "a stream's properties are named as CloudEvents attributes, or 'data'"
                issues.add(.invalidValue, property.pointer.appending("name"), message)
            }
        default: allowed = [.string]
        }
        if let type = property.logicalType, !allowed.contains(type) {
            let names = allowed.map(\.rawValue).joined(separator: ", ")
            issues.add(.invalidValue, property.pointer.appending("logicalType"), "this attribute must be: " + names)
        }
    }

    private mutating func compileReference(_ object: SchemaObject) -> CompiledContract? {
        let keys = object.properties.filter(\.isPrimaryKey)
        guard keys.count == 1, let key = keys.first, key.logicalType == .string || key.logicalType == .integer else {
            let message = "a reference table has exactly one property with primaryKey, a string or an integer"
            issues.add(.invalidValue, object.pointer.appending("properties"), message)
            return nil
        }
        var fields: [FieldCheck] = []
        for property in object.properties {
            let isKey = property.name == key.name
            if let field = compileField(property, path: ["data", property.name], isRequired: isKey) {
                fields.append(field)
            }
        }
        let data = FieldCheck(name: "data", isRequired: true, type: .object(ObjectCheck(fields: fields)), rules: [])
        return CompiledContract(
            contract: contract, attributes: [AttributeCheck(part: .data, field: data)], references: references,
            keyField: key.name)
    }

    /// `path` is where the value is in the event; nil inside an array, where no single place exists.
    private mutating func compileField(
        _ property: SchemaProperty, path: [String]?, isRequired: Bool = false
    ) -> FieldCheck? {
        guard let logicalType = property.logicalType else {
            issues.add(.missingKey, property.pointer, "the key 'logicalType' is required here")
            return nil
        }
        for target in property.references {
            guard let path, logicalType == .string || logicalType == .integer else {
                let message = "only a string or an integer outside lists can refer to a table"
                issues.add(.unsupported, property.pointer.appending("relationships"), message)
                continue
            }
            references.append(ReferenceCheck(path: path, table: target.table, property: target.property))
        }
        var refusesNull = property.isRequired || isRequired
        let rules = compileRules(property, &refusesNull)
        let type = compileType(property, logicalType, path: path)
        guard let type else { return nil }
        return FieldCheck(name: property.name, isRequired: refusesNull, type: type, rules: rules)
    }

    private mutating func compileRules(_ property: SchemaProperty, _ refusesNull: inout Bool) -> [ValueRule] {
        var made: [ValueRule] = []
        for rule in property.quality where rule.forbidsEveryRow {
            switch rule.metric {
            case .nullValues: refusesNull = true
            case .missingValues(let values):
                if values.contains(.null) { refusesNull = true }
                made.append(.missing(ValueSet(values)))
            case .invalidValues(let valid, let text):
                if !valid.isEmpty { made.append(.valid(ValueSet(valid))) }
                let place = rule.pointer.appending("arguments").appending("pattern")
                if let text, let pattern = compilePattern(text, at: place) { made.append(.pattern(pattern)) }
            default: break
            }
        }
        return made
    }

    mutating func compilePattern(_ text: String, at pointer: JSONPointer) -> Pattern? {
        do throws(Pattern.CompileError) {
            return try Pattern(text)
        } catch {
            issues.add(.invalidPattern, pointer, "\(error.message), at byte \(error.offset)")
            return nil
        }
    }

    private mutating func compileType(
        _ property: SchemaProperty, _ logicalType: LogicalType, path: [String]?
    ) -> TypeCheck? {
        if logicalType != .object, !property.properties.isEmpty {
            issues.add(.invalidValue, property.pointer.appending("properties"), "only an object has properties")
        }
        if logicalType != .array, !property.items.isEmpty {
            issues.add(.invalidValue, property.pointer.appending("items"), "only an array has items")
        }
        var options = OptionReader(property, logicalType)
        defer { for issue in options.issues.issues { issues.add(issue.code, issue.pointer, issue.message) } }
        switch logicalType {
        case .string:
            var check = options.string()
            if let text = options.text("pattern") {
                check.pattern = compilePattern(text, at: options.pointer.appending("pattern"))
                check.isPlain = false
            }
            return .string(check)
        case .integer: return .integer(options.number(isInteger: true))
        case .number: return .number(options.number(isInteger: false))
        case .boolean: return .boolean
        case .date: return .date(options.time(formats: ["yyyy-MM-dd"], Timestamp.parseDate))
        case .time: return .time(options.time(formats: ["HH:mm:ss"], Timestamp.parseTimeOfDay))
        case .timestamp: return .timestamp(options.timestamp())
        case .array:
            let item = property.items.first.flatMap { compileField($0, path: nil) }
            return .array(options.array(item: item))
        case .object:
            let names = options.texts("required")
            let unknown = names.filter { name in !property.properties.contains { $0.name == name } }
            for name in unknown {
                let place = options.pointer.appending("required")
                issues.add(.invalidValue, place, "there is no property '\(name)'")
            }
            var fields: [FieldCheck] = []
            for child in property.properties {
                let isRequired = names.contains(child.name)
                if let field = compileField(child, path: path.map { $0 + [child.name] }, isRequired: isRequired) {
                    fields.append(field)
                }
            }
            return .object(options.object(fields: fields))
        }
    }
}
