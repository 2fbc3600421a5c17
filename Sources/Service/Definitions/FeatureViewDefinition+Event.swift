import Features
import JSON

/// The one place where values are taken from an event: live, from the journal and from PostgreSQL.
extension FeatureViewDefinition {
    /// The key of the entity that an event of this type is about; nil when the view does not take the event.
    func entity(of root: JSONValue, type: UnsafeRawBufferPointer) -> String? {
        if !eventTypes.isEmpty {
            guard eventTypes.contains(String(decoding: type, as: UTF8.self)) else { return nil }
        }
        return entityKey(of: root)
    }

    /// The key of the entity that an event is about; nil when a part of it is missing.
    func entityKey(of root: JSONValue) -> String? {
        if entityPointers.count == 1 { return Self.keyPart(root, entityPointers[0]) }
        var parts: [String] = []
        for pointer in entityPointers {
            guard let part = Self.keyPart(root, pointer) else { return nil }
            parts.append(part)
        }
        return EntityKey.encode(parts)
    }

    /// A text as it is, anything else as it is written.
    private static func keyPart(_ root: JSONValue, _ pointer: JSONPointer) -> String? {
        guard let value = root.value(at: pointer), !value.isNull else { return nil }
        return value.string ?? String(decoding: value.raw, as: UTF8.self)
    }

    /// An event as the view sees it.
    func event(of root: JSONValue, _ frame: EventFrame, entity: String, seq: UInt64) -> FeatureEvent {
        FeatureEvent(
            entity: entity, source: String(decoding: frame.source, as: UTF8.self),
            id: String(decoding: frame.id, as: UTF8.self), time: frame.eventMicros, ingestTime: frame.ingestMicros,
            seq: Int64(seq), values: values(of: root))
    }

    /// Where the parts of an entity's key stand, and what they are for one entity.
    func keyParts(of entity: String) -> [(pointer: JSONPointer, value: String)] {
        Array(zip(entityPointers, EntityKey.decode(entity, count: entityPointers.count)))
    }

    /// Whether PostgreSQL finds the events of one entity by an index: the subject is part of its key.
    var isIndexedBySubject: Bool { entityPointers.contains { $0.tokens == ["subject"] } }

    /// One value per column, in the view's order.
    func values(of root: JSONValue) -> [EventValue] {
        zip(spec.columns, columnPointers).map { column, pointer in
            guard let value = root.value(at: pointer) else { return .null }
            switch column.kind {
            case .decimal(let scale): return value.scaledInt64(scale: scale).map(EventValue.scaled) ?? .null
            case .integer: return value.int64.map(EventValue.scaled) ?? .null
            case .double: return value.double.map(EventValue.double) ?? .null
            case .string: return value.string.map(EventValue.string) ?? .null
            case .boolean: return value.bool.map { .scaled($0 ? 1 : 0) } ?? .null
            case .timestamp: return value.string.flatMap { Timestamp.parse($0) }.map(EventValue.scaled) ?? .null
            case .date: return (value.withUTF8 { Timestamp.parseDate($0) } ?? nil).map(EventValue.scaled) ?? .null
            }
        }
    }
}
