import FEEL
import Features
import JSON

/// The `entity` of a feature view: its name, and where the parts of its key lie in an event.
struct EntityDefinition {
    let name: String
    let parts: [EntityPart]
    let pointers: [JSONPointer]

    /// Names that a query parameter cannot have.
    private static let reservedNames: Set<String> = ["as_of", "known_at"]

    /// Reads `{name, path}`, or `{name, paths: [{name, path}]}` for a key of several parts.
    init(_ reader: TreeReader, schema: StreamSchema?) {
        let problems = reader.problems
        name = reader.string("name", required: true) ?? ""
        var parts: [EntityPart] = []
        var pointers: [JSONPointer] = []
        func add(_ name: String, _ namePlace: String, _ path: String?, _ place: String) {
            if Self.reservedNames.contains(name) {
                problems.add(namePlace, "reserved_name", "as_of and known_at are parameters of their own")
            }
            guard let path else { return }
            guard let pointer = JSONPointer(parsing: path) else {
                problems.add(place, "invalid_pointer", "a JSON pointer such as /subject")
                return
            }
            if let schema, schema.field(at: path) == nil {
                problems.add(place, "unknown_field", "the contract has no such field")
            }
            parts.append(EntityPart(name: name, path: path))
            pointers.append(pointer)
        }
        if reader.value("paths") == nil {
            add(name, reader.path("name"), reader.string("path", required: true), reader.path("path"))
        } else {
            var names: Set<String> = []
            _ = reader.objects("paths") { part in
                let name = part.string("name", required: true) ?? ""
                if !names.insert(name).inserted {
                    problems.add(part.path("name"), "duplicate_name", "this name is taken")
                }
                add(name, part.path("name"), part.string("path", required: true), part.path("path"))
            }
            if names.isEmpty { problems.add(reader.path("paths"), "empty_list", "at least one part") }
            if names.count > FeatureLimits.entityPartsMax {
                problems.add(reader.path("paths"), "too_many", "at most \(FeatureLimits.entityPartsMax) parts")
            }
        }
        self.parts = parts
        self.pointers = pointers
    }
}

/// The columns that a view's features read, each once.
struct ColumnList {
    let schema: StreamSchema?
    let problems: ProblemList
    var specs: [ColumnSpec] = []
    var pointers: [JSONPointer] = []

    init(schema: StreamSchema?, problems: ProblemList) {
        self.schema = schema
        self.problems = problems
    }

    /// What a column holds.
    func kind(of name: String) -> ColumnKind? {
        specs.first { $0.name == name }?.kind
    }

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
        case .boolean: kind = .boolean
        case .dateTime: kind = .timestamp
        case .date: kind = .date
        default:
            problems.add(place, "type_mismatch", "features are made of numbers, texts, booleans, timestamps and dates")
            return nil
        }
        specs.append(ColumnSpec(name: field.name, kind: kind, path: pointer))
        pointers.append(field.pointer)
        return field.name
    }
}

extension Aggregate {
    /// The words that a definition may use.
    private static let names = [
        "count", "sum", "mean", "min", "max", "first", "last", "distinct", "variance", "stddev", "ratio", "first_time",
        "last_time", "time_since_last", "top_k", "quantile", "ewma", "decayed_sum", "attribute",
    ]

    /// Reads `aggregate` and its parameters; nil with a problem.
    init?(_ reader: TreeReader, denominator: String?) {
        let text = reader.string("aggregate", required: true) ?? ""
        // Allowed beside every aggregate since the first version; only one reads it.
        _ = reader.value("unit")
        switch text {
        case "count": self = .count
        case "sum": self = .sum
        case "mean": self = .mean
        case "min": self = .min
        case "max": self = .max
        case "first": self = .first
        case "last": self = .last
        case "distinct": self = .distinct
        case "variance": self = .variance
        case "stddev": self = .stddev
        case "first_time": self = .firstTime
        case "last_time": self = .lastTime
        case "attribute": self = .attribute
        case "ratio":
            guard let denominator else {
                reader.problems.add(reader.path("denominator"), "missing_field", "a ratio names its denominator")
                return nil
            }
            self = .ratio(denominator: denominator)
        default:
            guard let aggregate = Self.withParameter(text, reader) else { return nil }
            self = aggregate
        }
    }

    private static func withParameter(_ text: String, _ reader: TreeReader) -> Aggregate? {
        switch text {
        case "time_since_last":
            let unit = reader.string("unit") ?? "d"
            guard unit == "d" || unit == "s" else {
                reader.problems.add(reader.path("unit"), "value_not_allowed", "d (days) or s (seconds)")
                return nil
            }
            return .timeSince(unit == "d" ? .days : .seconds)
        case "top_k":
            return reader.integer("k", in: 1...Int64(FeatureLimits.topKMax), required: true).map { .topK(Int($0)) }
        case "quantile":
            guard let quantile = reader.number("q", required: true)?.double else { return nil }
            guard quantile > 0, quantile < 1 else {
                reader.problems.add(reader.path("q"), "out_of_range", "between 0 and 1, both excluded")
                return nil
            }
            return .quantile(quantile)
        case "ewma": return reader.duration("half_life", required: true).map { .decayedMean(halfLifeMicros: $0) }
        case "decayed_sum": return reader.duration("half_life", required: true).map { .decayedSum(halfLifeMicros: $0) }
        default:
            reader.problems.add(
                reader.path("aggregate"), "unknown_aggregate", "one of \(names.joined(separator: ", "))")
            return nil
        }
    }
}

extension TreeReader {
    /// A field such as `90d` in microseconds.
    func duration(_ key: String, required: Bool = false) -> Int64? {
        guard let text = string(key, required: required) else { return nil }
        let micros = FeatureViewDefinition.duration(text)
        if micros == nil { problems.add(path(key), "invalid_duration", FeatureViewDefinition.durationHelp) }
        return micros
    }
}

extension FeatureViewSpec {
    /// The FEEL type of a feature's value.
    func type(of feature: FeatureSpec) -> FEELType {
        let kind = columns.first { $0.name == feature.column }?.kind
        switch feature.aggregate {
        case .firstTime, .lastTime: return .dateTime
        case .min, .max, .first, .last, .attribute: return Self.type(of: kind)
        case .topK: return .list(.context(["value": Self.type(of: kind), "count": .number]))
        default: return .number
        }
    }

    private static func type(of kind: ColumnKind?) -> FEELType {
        switch kind {
        case .string: .string
        case .boolean: .boolean
        case .timestamp: .dateTime
        case .date: .date
        case .decimal, .integer, .double, nil: .number
        }
    }
}
