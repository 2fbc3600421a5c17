import JSON

/// Reads a document whose shape was checked into a ``Contract``.
struct ContractReader {
    let document: JSONTree
    var issues = IssueList()
    private var propertyCount = 0
    private var rules: [(path: [String], rule: QualityRule)] = []
    private var classifications: [(path: [String], classification: String)] = []
    /// Relationships that a schema object declares for its properties, by path.
    private var declared: [[String]: [ReferenceTarget]] = [:]

    init(document: JSONTree) {
        self.document = document
    }

    mutating func read() -> Contract {
        let eventTypes = readEventTypes()
        let kind = readKind(eventTypes)
        var objects: [SchemaObject] = []
        for (index, object) in (document["schema"]?.array ?? []).enumerated() {
            let pointer = JSONPointer(tokens: ["schema", String(index)])
            let made = readObject(object, at: pointer)
            if objects.contains(where: { $0.name == made.name }) {
                issues.add(.duplicateName, pointer.appending("name"), "two schema objects have this name")
            }
            objects.append(made)
        }
        var levels: [ServiceLevel] = []
        for (index, level) in (document["slaProperties"]?.array ?? []).enumerated() {
            let pointer = JSONPointer(tokens: ["slaProperties", String(index)])
            if let made = ServiceLevel.read(level, at: pointer, &issues) { levels.append(made) }
        }
        let id = document["id"]?.string ?? ""
        return Contract(
            document: document, kind: kind, id: id, name: document["name"]?.string ?? id,
            version: document["version"]?.string ?? "", status: document["status"]?.string ?? "",
            domain: document["domain"]?.string, tenant: document["tenant"]?.string, owner: readOwner(),
            eventTypes: eventTypes, latenessMicros: readLateness(), schema: objects, serviceLevels: levels,
            qualityRules: rules,
            classifications: classifications)
    }

    private func customProperty(_ name: String) -> (value: JSONTree, pointer: JSONPointer)? {
        for (index, each) in (document["customProperties"]?.array ?? []).enumerated()
        where each["property"]?.string == name {
            return (each["value"] ?? .null, JSONPointer(tokens: ["customProperties", String(index), "value"]))
        }
        return nil
    }

    private mutating func readEventTypes() -> [String] {
        for (index, each) in (document["customProperties"]?.array ?? []).enumerated() {
            let name = each["property"]?.string ?? ""
            guard name.hasPrefix(Contract.customPrefix), !Contract.customProperties.contains(name) else { continue }
            let pointer = JSONPointer(tokens: ["customProperties", String(index), "property"])
            let known = Contract.customProperties.joined(separator: ", ")
            issues.add(.unknownKey, pointer, "known properties with this prefix: " + known)
        }
        guard let (value, pointer) = customProperty("decisiond.eventTypes") else { return [] }
        let types = value.array?.compactMap(\.string) ?? []
        if types.isEmpty || types.count != value.array?.count || types.contains("") {
            issues.add(.wrongType, pointer, "must be a list of non-empty strings")
        } else if Set(types).count != types.count {
            issues.add(.duplicateName, pointer, "an event type is listed twice")
        } else if types.count > ContractsLimits.eventTypesMax {
            issues.add(.limit, pointer, "at most \(ContractsLimits.eventTypesMax) event types")
        }
        return types
    }

    private mutating func readKind(_ eventTypes: [String]) -> Contract.Kind {
        guard let (value, pointer) = customProperty("decisiond.kind") else {
            return eventTypes.isEmpty ? .catalogue : .stream
        }
        guard let kind = value.string.flatMap(Contract.Kind.init(rawValue:)) else {
            let known = Contract.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            issues.add(.invalidValue, pointer, "must be one of: " + known)
            return .catalogue
        }
        if kind != .catalogue, eventTypes.isEmpty {
            issues.add(.missingKey, JSONPointer(tokens: ["customProperties"]), "'decisiond.eventTypes' is required")
        }
        if kind == .catalogue, !eventTypes.isEmpty {
            issues.add(.invalidValue, pointer, "a contract that covers event types is a stream or a reference")
        }
        return kind
    }

    private mutating func readLateness() -> Int64? {
        guard let (value, pointer) = customProperty("decisiond.lateness") else { return nil }
        let micros = value.string.flatMap(Contract.duration)
        if micros == nil { issues.add(.invalidValue, pointer, "a whole number and a unit: s, m, h, d or w") }
        return micros
    }

    private func readOwner() -> String? {
        let team = document["team"]
        let members = team?.array ?? team?["members"]?.array ?? []
        let owner = members.first { $0["role"]?.string?.lowercased() == "owner" }
        return owner?["username"]?.string ?? team?["name"]?.string
    }

    private mutating func readObject(_ tree: JSONTree, at pointer: JSONPointer) -> SchemaObject {
        let name = tree["name"]?.string ?? ""
        declared = [:]
        for (index, each) in (tree["relationships"]?.array ?? []).enumerated() {
            declare(each, of: name, at: pointer.appending("relationships").appending(index))
        }
        let properties = readProperties(tree["properties"], at: pointer.appending("properties"), path: [])
        for path in declared.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let message = "a relationship names the property '\(path.joined(separator: "."))', which is not there"
            issues.add(.invalidValue, pointer.appending("relationships"), message)
        }
        let quality = readQuality(tree["quality"], at: pointer.appending("quality"), path: [])
        return SchemaObject(name: name, properties: properties, quality: quality, pointer: pointer)
    }

    private mutating func declare(_ tree: JSONTree, of object: String, at pointer: JSONPointer) {
        guard let from = tree["from"]?.string, let to = tree["to"]?.string else {
            let left = tree["from"]?.array?.count
            if left == nil || left != tree["to"]?.array?.count {
                issues.add(.invalidValue, pointer, "'from' and 'to' are both strings, or lists of one length")
            } else if isChecked {
                issues.add(.unsupported, pointer, "a reference of several columns cannot be checked")
            }
            return
        }
        var path = from.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if path.count > 1, path[0] == object { path.removeFirst() }
        if let target = readTarget(to, at: pointer.appending("to")) { declared[path, default: []].append(target) }
    }

    /// Whether events are checked, so that what cannot be checked is refused.
    private var isChecked: Bool { customProperty("decisiond.eventTypes") != nil }

    private mutating func readTarget(_ text: String, at pointer: JSONPointer) -> ReferenceTarget? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !text.contains("/") {
            return ReferenceTarget(table: String(parts[0]), property: String(parts[1]))
        }
        let steps = text.split(separator: "/")
        if steps.count == 4, steps[0] == "schema", steps[2] == "properties" {
            return ReferenceTarget(table: String(steps[1]), property: String(steps[3]))
        }
        if isChecked {
            issues.add(.unsupported, pointer, "must be 'table.column' or 'schema/<id>/properties/<id>'")
        }
        return nil
    }

    private mutating func readProperties(
        _ tree: JSONTree?, at pointer: JSONPointer, path: [String]
    ) -> [SchemaProperty] {
        var made: [SchemaProperty] = []
        for (index, each) in (tree?.array ?? []).enumerated() {
            let place = pointer.appending(index)
            let name = each["name"]?.string ?? ""
            if made.contains(where: { $0.name == name }) {
                issues.add(.duplicateName, place.appending("name"), "two properties have this name")
            }
            made.append(readProperty(each, name, at: place, path: path + [name]))
        }
        return made
    }

    private mutating func readProperty(
        _ tree: JSONTree, _ name: String, at pointer: JSONPointer, path: [String]
    ) -> SchemaProperty {
        propertyCount += 1
        if propertyCount == ContractsLimits.propertiesMax + 1 {
            issues.add(.limit, pointer, "more than \(ContractsLimits.propertiesMax) properties")
        }
        let classification = tree["classification"]?.string
        if let classification { classifications.append((path, classification)) }
        var references = declared.removeValue(forKey: path) ?? []
        for (index, each) in (tree["relationships"]?.array ?? []).enumerated() {
            let place = pointer.appending("relationships").appending(index).appending("to")
            if let to = each["to"]?.string {
                if let target = readTarget(to, at: place) { references.append(target) }
            } else if isChecked {
                issues.add(.unsupported, place, "a property refers to one column")
            }
        }
        var items: [SchemaProperty] = []
        if let item = tree["items"] {
            items = [readProperty(item, "", at: pointer.appending("items"), path: path + ["[]"])]
        }
        let options = tree["logicalTypeOptions"].flatMap { $0.isNull ? nil : $0 }
        return SchemaProperty(
            name: name, path: path, logicalType: tree["logicalType"]?.string.flatMap(LogicalType.init(rawValue:)),
            isRequired: tree["required"]?.bool ?? false, isUnique: tree["unique"]?.bool ?? false,
            isPrimaryKey: tree["primaryKey"]?.bool ?? false, classification: classification,
            description: tree["description"]?.string, options: options,
            decimalScale: options?["multipleOf"]?.number.flatMap(Self.decimalScale),
            properties: readProperties(tree["properties"], at: pointer.appending("properties"), path: path),
            items: items, references: references,
            quality: readQuality(tree["quality"], at: pointer.appending("quality"), path: path), pointer: pointer)
    }

    /// k of 10^-k, for k from 0 to ``ContractsLimits/scaleMax``.
    static func decimalScale(_ step: JSONNumber) -> Int? {
        guard step.significand == 1, !step.isNegative, step.exponent <= 0 else { return nil }
        let scale = -Int(step.exponent)
        return scale <= ContractsLimits.scaleMax ? scale : nil
    }

    private mutating func readQuality(_ tree: JSONTree?, at pointer: JSONPointer, path: [String]) -> [QualityRule] {
        var made: [QualityRule] = []
        for (index, each) in (tree?.array ?? []).enumerated() {
            guard let rule = QualityRule.read(each, at: pointer.appending(index), &issues) else { continue }
            made.append(rule)
            rules.append((path, rule))
        }
        return made
    }
}
