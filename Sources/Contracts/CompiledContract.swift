import JSON

/// A contract with the program that checks events against it. Immutable: any number of threads may use it.
public final class CompiledContract: Sendable {
    /// What the contract says.
    public let contract: Contract
    /// The references that a caller has to look up, in the contract's order.
    public let references: [ReferenceCheck]
    /// The member of `data` that is a reference table's key; nil for other kinds.
    public let keyField: String?
    private let attributes: [AttributeCheck]

    init(
        contract: Contract, attributes: [AttributeCheck] = [], references: [ReferenceCheck] = [],
        keyField: String? = nil
    ) {
        self.contract = contract
        self.attributes = attributes.filter { !$0.isAlwaysSatisfied }
        self.references = references
        self.keyField = keyField
    }

    /// Whether the contract covers the event's type.
    public func covers(_ event: CloudEvent) -> Bool {
        contract.eventTypes.contains { type in
            var type = type
            return type.withUTF8 { event.type.equals(utf8: $0) }
        }
    }

    /// The first violation of the contract, or nil: required, types, bounds, and the quality rules that no single
    /// row may break. References are checked apart. Unknown properties are allowed. `nowMicros` is the ingest
    /// time, for the check that the event is not from the future.
    public func check(_ event: CloudEvent, nowMicros: Int64) -> Violation? {
        if event.timeMicros - nowMicros > ContractsLimits.futureMicrosMax {
            let message = "the event's time is more than five minutes after its arrival"
            return Violation.contract(.futureTime, message).inside("time")
        }
        for attribute in attributes {
            if let violation = attribute.check(event) { return violation }
        }
        return nil
    }

    /// The first reference that names no row: `exists` is asked with the reference and the key's text, a string's
    /// decoded UTF-8 or an integer's digits. Absent and null values are not asked for.
    public func checkReferences(
        _ event: CloudEvent, _ exists: (ReferenceCheck, UnsafeBufferPointer<UInt8>) -> Bool
    ) -> Violation? {
        for reference in references {
            guard let value = reference.value(in: event), !value.isNull else { continue }
            guard !(withKeyText(value) { exists(reference, $0) }) else { continue }
            let message = "no row of '\(reference.table)' has this \(reference.property)"
            return Violation(.unknownReference, .unknownReference, JSONPointer(tokens: reference.path), message)
        }
        return nil
    }

    /// Calls `body` with the key of the row that an event of a reference table carries; nil for other kinds. The
    /// event has passed ``check(_:nowMicros:)``.
    public func withKey<R>(of event: CloudEvent, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R? {
        guard let keyField, let value = event.data?.member(keyField) else { return nil }
        return withKeyText(value, body)
    }

    private func withKeyText<R>(_ value: JSONValue, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        if let result = value.withUTF8(body) { return result }
        // 12.0 and 12 are the same integer key.
        var text = value.int64.map(String.init) ?? ""
        return text.withUTF8(body)
    }
}

/// One attribute of an event and what is checked about it.
struct AttributeCheck: Sendable {
    private let part: CloudEvent.Part
    private let field: FieldCheck
    private let time: TimeCheck?

    init(part: CloudEvent.Part, field: FieldCheck) {
        self.part = part
        self.field = field
        if part == .time, case .timestamp(let check) = field.type, field.rules.isEmpty {
            time = check
        } else {
            time = nil
        }
    }

    /// Whether every CloudEvent passes: the attribute is always a string, and nothing else is asked.
    var isAlwaysSatisfied: Bool {
        guard case .text = field.quick else { return false }
        return part == .id || part == .source || part == .type
    }

    func check(_ event: CloudEvent) -> Violation? {
        guard let value = event.part(part, field.key) else { return field.check(nil) }
        // The time was parsed with the event.
        if let time { return time.check(event.timeMicros)?.inside("time") }
        return field.quick.accepts(value) ? nil : field.check(value)
    }
}

/// A value of an event that has to be the key of a row of a reference table.
public struct ReferenceCheck: Hashable, Sendable {
    /// Where the value is in the event.
    public let path: [String]
    /// The table.
    public let table: String
    /// The table's column.
    public let property: String

    /// The value in `event`; nil when absent.
    public func value(in event: CloudEvent) -> JSONValue? {
        var current: JSONValue? = event.root
        for name in path { current = current?.member(name) }
        return current
    }
}
