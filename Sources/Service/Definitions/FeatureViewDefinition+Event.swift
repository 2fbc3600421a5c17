import Features
import JSON

/// The one place where values are taken from an event: live, from the journal and from PostgreSQL.
extension FeatureViewDefinition {
    /// The key of the entity that an event of this type is about; nil when the view does not take the event.
    func entity(of root: JSONValue, type: UnsafeRawBufferPointer) -> String? {
        if !eventTypes.isEmpty {
            guard eventTypes.contains(String(decoding: type, as: UTF8.self)) else { return nil }
        }
        guard let entity = root.value(at: entityPointer), !entity.isNull else { return nil }
        return entity.string ?? String(decoding: entity.raw, as: UTF8.self)
    }

    /// An event as the view sees it.
    func event(of root: JSONValue, _ frame: EventFrame, entity: String, seq: UInt64) -> FeatureEvent {
        FeatureEvent(
            entity: entity, source: String(decoding: frame.source, as: UTF8.self),
            id: String(decoding: frame.id, as: UTF8.self), time: frame.eventMicros, ingestTime: frame.ingestMicros,
            seq: Int64(seq), values: values(of: root))
    }

    /// Where the parts of an entity's key stand, and what they are for one entity.
    func keyParts(of entity: String) -> [(pointer: JSONPointer, value: String)] { [(entityPointer, entity)] }

    /// Whether PostgreSQL finds the events of one entity by an index: the subject is part of its key.
    var isIndexedBySubject: Bool { entityPointer.tokens == ["subject"] }

    /// One value per column, in the view's order.
    func values(of root: JSONValue) -> [EventValue] {
        zip(spec.columns, columnPointers).map { column, pointer in
            guard let value = root.value(at: pointer) else { return .null }
            switch column.kind {
            case .decimal(let scale): return value.scaledInt64(scale: scale).map(EventValue.scaled) ?? .null
            case .integer: return value.int64.map(EventValue.scaled) ?? .null
            case .double: return value.double.map(EventValue.double) ?? .null
            case .string: return value.string.map(EventValue.string) ?? .null
            }
        }
    }
}
