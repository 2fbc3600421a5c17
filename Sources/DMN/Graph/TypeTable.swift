import FEEL

/// The types that one model can name: FEEL's, its own, and its imports' under their prefix.
struct TypeTable {
    /// Defined types by the names that FEEL text may use.
    private(set) var named: [String: FEELType] = [:]
    private var items: [String: ItemType] = [:]
    private let zones: ZoneOffsets
    private var definitions: [String: ItemDefinition] = [:]
    private var resolving: Set<String> = []
    private var issues: [DMNError.Issue] = []

    /// Resolves all definitions of a model.
    /// - Parameter imported: the tables of the imported models by namespace, already resolved.
    static func resolve(
        _ model: DMNModel, imported: [String: TypeTable], zones: ZoneOffsets
    ) -> (table: TypeTable, issues: [DMNError.Issue]) {
        var table = TypeTable(model, zones)
        for reference in model.imports {
            guard let other = imported[reference.namespace] else { continue }
            let prefix = reference.name.isEmpty ? "" : reference.name + "."
            for (name, item) in other.items where !name.contains(".") {
                table.items[prefix + name] = item
                table.named[prefix + name] = item.type
            }
        }
        for definition in model.itemDefinitions { _ = table.defined(definition.name, 1) }
        let issues = table.issues
        table.issues = []
        return (table, issues)
    }

    private init(_ model: DMNModel, _ zones: ZoneOffsets) {
        self.zones = zones
        for definition in model.itemDefinitions where definitions[definition.name] == nil {
            definitions[definition.name] = definition
        }
    }

    /// The type of a reference; nil when nothing has that name.
    func type(_ reference: String?) -> ItemType? {
        guard let reference else { return .any }
        if let item = items[reference] { return item }
        return TypeTable.simple(reference).map { ItemType($0) }
    }

    /// FEEL's types, and those of XML Schema that DMN 1.1 maps to them.
    private static func simple(_ name: String) -> FEELType? {
        switch name {
        case "integer", "int", "long", "decimal", "double", "float": .number
        case "dayTimeDuration": .daysTimeDuration
        case "yearMonthDuration": .yearsMonthsDuration
        default: FEELType(name: name)
        }
    }

    private mutating func report(_ definition: ItemDefinition, _ code: String, _ message: String, _ offset: Int? = nil)
    {
        issues.append(
            DMNError.Issue(
                pointer: "/itemDefinition/\(definition.name)", code: code, message: message, offset: offset,
                location: definition.location))
    }

    /// The type of an own definition, resolved when it is first asked for.
    private mutating func defined(_ name: String, _ depth: Int) -> ItemType? {
        if let known = items[name] { return known }
        guard let definition = definitions[name] else { return nil }
        guard depth <= DMNLimits.typeDepth else {
            report(definition, "too_complex", "types refer to each other deeper than \(DMNLimits.typeDepth)")
            return .any
        }
        guard resolving.insert(name).inserted else {
            report(definition, "circular_type", "the type '\(name)' contains itself")
            return .any
        }
        let item = resolve(definition, depth)
        resolving.remove(name)
        items[name] = item
        named[name] = item.type
        return item
    }

    private mutating func reference(_ name: String, _ definition: ItemDefinition, _ depth: Int) -> ItemType {
        if let own = defined(name, depth + 1) { return own }
        if let other = type(name) { return other }
        report(definition, "unknown_type", "unknown type '\(name)'")
        return .any
    }

    private mutating func resolve(_ definition: ItemDefinition, _ depth: Int) -> ItemType {
        var base: ItemType?
        var fields: [(name: String, type: ItemType)] = []
        var type: FEELType = .any
        if let name = definition.typeRef {
            let resolved = reference(name, definition, depth)
            base = resolved
            type = resolved.type
        } else if let function = definition.function {
            let parameters = function.parameters.map { parameter in
                parameter.typeRef.map { reference($0, definition, depth).type } ?? .any
            }
            let result = function.outputTypeRef.map { reference($0, definition, depth).type } ?? .any
            type = .function(parameters, result)
        } else if !definition.components.isEmpty {
            for component in definition.components {
                fields.append((component.name, resolve(component, depth + 1)))
            }
            type = .context(Dictionary(fields.map { ($0.name, $0.type.type) }, uniquingKeysWith: { first, _ in first }))
        }
        let whole: FEELType = definition.isCollection ? .list(type) : type
        return ItemType(
            whole, base: base, isCollection: definition.isCollection, fields: fields,
            allowed: tests(definition.allowedValues, type, definition),
            constraint: tests(definition.typeConstraint, whole, definition))
    }

    private mutating func tests(_ text: FEELText?, _ type: FEELType, _ definition: ItemDefinition) -> UnaryTests? {
        guard let source = text?.given else { return nil }
        do throws(FEELError) {
            return try UnaryTests(source, inputType: type, in: Environment([], types: named, zones: zones))
        } catch {
            report(definition, error.code.rawValue, "allowed values: \(error.message)", error.offset)
            return nil
        }
    }
}
