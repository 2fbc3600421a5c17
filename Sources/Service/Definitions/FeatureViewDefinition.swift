import Contracts
import Decisions
import FEEL
import Features
import JSON

/// A feature view as published: the engine's spec, and what the pipeline needs to feed it.
struct FeatureViewDefinition: Sendable {
    let spec: FeatureViewSpec
    /// CloudEvents types that count; empty for all of the contract's.
    let eventTypes: [String]
    /// Where the parts of the entity's key lie in an event.
    let entityPointers: [JSONPointer]
    /// Where each column lies in an event.
    let columnPointers: [JSONPointer]
    /// Expressions over the features, served after them.
    let onDemand: OnDemandFeatures

    /// What decisions need to know of the view.
    var interface: ViewInterface {
        ViewInterface(
            version: spec.version,
            features: spec.features.map { ($0.name, spec.type(of: $0)) } + onDemand.features.map { ($0.name, $0.type) },
            entityParts: spec.entityParts.map(\.name))
    }

    /// Reads the `spec` of a `kind: FeatureView` definition.
    ///
    /// - Parameter contracts: by a contract's name, its fields where they lie in an event.
    static func parse(
        _ definition: Definition, at pointer: String, _ problems: ProblemList, zones: ZoneOffsets,
        contracts: (String) -> StreamSchema?
    ) -> FeatureViewDefinition? {
        let before = problems.problems.count
        let reader = TreeReader(definition.spec, at: pointer + definition.specPointer, problems)
        let contract = reader.string("contract", required: true) ?? ""
        let schema = contracts(contract)
        if schema == nil {
            problems.add(reader.path("contract"), "unknown_contract", "no contract has this name")
        }
        let eventTypes = reader.strings("event_types") ?? []
        let entity = reader.object("entity", required: true) { EntityDefinition($0, schema: schema) }
        let interval = interval(reader)
        var columns = ColumnList(schema: schema, problems: problems)
        let features = reader.objects("features", required: true) { feature in
            Self.features(feature, &columns, problems)
        }
        let expressions = reader.objects("on_demand") { item in
            (
                name: item.string("name", required: true) ?? "",
                source: item.string("expression", required: true) ?? "null", pointer: item.pointer
            )
        }
        let retention = reader.duration("retention")
        let ttl = reader.duration("ttl")
        let entityEventsMax = reader.integer("entity_events_max", in: 1...Int64(FeatureLimits.entityEventsMax))
        reader.finish()
        if reservedNames.contains(definition.key.name) {
            problems.add(pointer + "/name", "reserved_name", "a path below /v1/features has this name")
        }
        if expressions.count > ServiceLimits.onDemandFeaturesMax {
            problems.add(reader.path("on_demand"), "too_many", "at most \(ServiceLimits.onDemandFeaturesMax)")
        }
        guard problems.problems.count == before, let entity else { return nil }
        let spec = FeatureViewSpec(
            name: definition.key.name, version: definition.version, contract: contract, entity: entity.name,
            entityParts: entity.parts, columns: columns.specs, aggregationInterval: interval,
            features: features.flatMap { $0 },
            entityEventsMax: entityEventsMax.map(Int.init) ?? FeatureLimits.entityEventsDefault,
            retentionMicros: retention, ttlMicros: ttl)
        let onDemand = OnDemandFeatures(
            expressions, over: spec.features.map { ($0.name, spec.type(of: $0)) }, zones: zones, problems)
        guard problems.problems.count == before else { return nil }
        return FeatureViewDefinition(
            spec: spec, eventTypes: eventTypes, entityPointers: entity.pointers, columnPointers: columns.pointers,
            onDemand: onDemand)
    }

    /// Operations of their own stand at these names.
    private static let reservedNames: Set<String> = ["query", "historical"]

    private static func interval(_ reader: TreeReader) -> AggregationInterval {
        guard let text = reader.string("aggregation_interval"), text != "exact" else { return .exact }
        guard let micros = duration(text), micros >= 1_000_000 else {
            reader.problems.add(reader.path("aggregation_interval"), "invalid_duration", "exact, or a tile such as 5m")
            return .exact
        }
        return .tiles(seconds: micros / 1_000_000)
    }

    private static func features(
        _ reader: TreeReader, _ columns: inout ColumnList, _ problems: ProblemList
    ) -> [FeatureSpec] {
        let name = reader.string("name", required: true) ?? ""
        let column = reader.string("of").flatMap { columns.use($0, at: reader.path("of")) }
        let denominator = reader.string("denominator").flatMap { columns.use($0, at: reader.path("denominator")) }
        guard let aggregate = Aggregate(reader, denominator: denominator) else { return [] }
        if let column, aggregate != .timeSince(.days), aggregate != .timeSince(.seconds),
            let kind = columns.kind(of: column), !aggregate.accepts(kind)
        {
            problems.add(reader.path("of"), "type_mismatch", "values of this type cannot be aggregated this way")
        }
        if aggregate == .attribute, reader.value("windows") != nil {
            problems.add(
                reader.path("windows"), "not_applicable", "an attribute is the last known value, without window")
        }
        guard let windows = reader.strings("windows") else {
            return [FeatureSpec(name: name, aggregate: aggregate, column: column, window: .allHistory)]
        }
        if windows.isEmpty { problems.add(reader.path("windows"), "empty_list", "at least one window") }
        if windows.count > 1 && !name.contains("{window}") {
            problems.add(reader.path("name"), "ambiguous_name", "put {window} where the window's name goes")
        }
        return windows.enumerated().compactMap { index, text in
            guard let micros = duration(text) else {
                problems.add("\(reader.path("windows"))/\(index)", "invalid_duration", durationHelp)
                return nil
            }
            return FeatureSpec(
                name: name.replacing("{window}", with: text), aggregate: aggregate, column: column,
                window: .micros(micros))
        }
    }

    static let durationHelp = "a whole number and a unit: s, m, h, d or w"

    /// Microseconds of a text such as `90d`; nil for anything else.
    static func duration(_ text: String) -> Int64? { Contract.duration(text) }
}
