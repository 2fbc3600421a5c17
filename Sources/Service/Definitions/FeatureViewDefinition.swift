import Contracts
import FEEL
import Features
import JSON

/// A feature view as published: the engine's spec, and what the pipeline needs to feed it.
struct FeatureViewDefinition: Sendable {
    let spec: FeatureViewSpec
    /// CloudEvents types that count; empty for all of the contract's.
    let eventTypes: [String]
    /// Where the entity's key lies in an event.
    let entityPointer: JSONPointer
    /// Where each column lies in an event.
    let columnPointers: [JSONPointer]

    /// Reads the `spec` of a `kind: FeatureView` definition.
    ///
    /// - Parameter contracts: the schema of a stream contract by name.
    static func parse(
        _ definition: Definition, at pointer: String, _ problems: ProblemList, contracts: (String) -> StreamSchema?
    ) -> FeatureViewDefinition? {
        let before = problems.problems.count
        let reader = TreeReader(definition.spec, at: pointer + definition.specPointer, problems)
        let contract = reader.string("contract", required: true) ?? ""
        let schema = contracts(contract)
        if schema == nil {
            problems.add(reader.path("contract"), "unknown_contract", "no stream contract has this name")
        }
        let eventTypes = reader.strings("event_types") ?? []
        let entity = reader.object("entity", required: true) { entity in
            (
                name: entity.string("name", required: true) ?? "",
                path: entity.string("path", required: true) ?? "", place: entity.path("path")
            )
        }
        let interval = interval(reader)
        var columns = ColumnList(schema: schema, problems: problems)
        let features = reader.objects("features", required: true) { feature in
            Self.features(feature, &columns, problems)
        }
        let retention = reader.string("retention").flatMap { text in
            let micros = Self.duration(text)
            if micros == nil { problems.add(reader.path("retention"), "invalid_duration", Self.durationHelp) }
            return micros
        }
        let entityEventsMax = reader.integer("entity_events_max", in: 1...Int64(FeatureLimits.entityEventsMax))
        reader.finish()
        guard let entity, let entityPointer = JSONPointer(parsing: entity.path) else {
            if let entity { problems.add(entity.place, "invalid_pointer", "a JSON pointer such as /subject") }
            return nil
        }
        if let schema, schema.field(at: entity.path) == nil {
            problems.add(entity.place, "unknown_field", "the contract has no such field")
        }
        guard problems.problems.count == before else { return nil }
        return FeatureViewDefinition(
            spec: FeatureViewSpec(
                name: definition.key.name, version: definition.version, contract: contract, entity: entity.name,
                columns: columns.specs, aggregationInterval: interval, features: features.flatMap { $0 },
                entityEventsMax: entityEventsMax.map(Int.init) ?? FeatureLimits.entityEventsDefault,
                retentionMicros: retention),
            eventTypes: eventTypes, entityPointer: entityPointer, columnPointers: columns.pointers)
    }

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
        guard let aggregate = aggregate(reader, denominator: denominator) else { return [] }
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

    private static func aggregate(_ reader: TreeReader, denominator: String?) -> Aggregate? {
        let text = reader.string("aggregate", required: true) ?? ""
        let unit = reader.string("unit") ?? "d"
        switch text {
        case "count": return .count
        case "sum": return .sum
        case "mean": return .mean
        case "min": return .min
        case "max": return .max
        case "first": return .first
        case "last": return .last
        case "distinct": return .distinct
        case "variance": return .variance
        case "stddev": return .stddev
        case "last_time": return .lastTime
        case "ratio":
            guard let denominator else {
                reader.problems.add(reader.path("denominator"), "missing_field", "a ratio names its denominator")
                return nil
            }
            return .ratio(denominator: denominator)
        case "time_since_last":
            guard unit == "d" || unit == "s" else {
                reader.problems.add(reader.path("unit"), "value_not_allowed", "d (days) or s (seconds)")
                return nil
            }
            return .timeSince(unit == "d" ? .days : .seconds)
        default:
            reader.problems.add(
                reader.path("aggregate"), "unknown_aggregate",
                "one of count, sum, mean, min, max, first, last, distinct, variance, stddev, ratio, last_time, time_since_last"
            )
            return nil
        }
    }

    static let durationHelp = "a whole number and a unit: s, m, h, d or w"

    /// Microseconds of a text such as `90d`; nil for anything else.
    static func duration(_ text: String) -> Int64? { Contract.duration(text) }
}

/// The columns that a view's features read, each once.
private struct ColumnList {
    let schema: StreamSchema?
    let problems: ProblemList
    var specs: [ColumnSpec] = []
    var pointers: [JSONPointer] = []

    /// The column of this pointer, made on first use; nil with a problem when the contract has no such field.
    mutating func use(_ pointer: String, at place: String) -> String? {
        if let known = specs.first(where: { $0.path == pointer }) { return known.name }
        guard let schema else { return nil }
        guard let field = schema.field(at: pointer) else {
            problems.add(place, "unknown_field", "the contract has no field at this pointer")
            return nil
        }
        let kind: ColumnKind
        switch field.type {
        case .number: kind = field.scale.map { $0 == 0 ? .integer : .decimal(scale: $0) } ?? .double
        case .string: kind = .string
        default:
            problems.add(place, "type_mismatch", "features are made of numbers and texts")
            return nil
        }
        specs.append(ColumnSpec(name: field.name, kind: kind, path: pointer))
        pointers.append(field.pointer)
        return field.name
    }
}

extension FeatureViewSpec {
    /// The FEEL type of a feature's value.
    func type(of feature: FeatureSpec) -> FEELType {
        switch feature.aggregate {
        case .lastTime: return .dateTime
        case .min, .max, .first, .last:
            let column = columns.first { $0.name == feature.column }
            return column?.kind == .string ? .string : .number
        default: return .number
        }
    }
}
