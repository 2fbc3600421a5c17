import FEEL
import JSON

/// One line of the access log: who did, or was refused, what to which resource, and which fields were hidden. It
/// carries no value of any field.
public struct AccessLogEntry: Hashable, Sendable {
    /// The principal's id; `anonymous` for none.
    public let principal: String
    /// The public id of the key; nil for an anonymous caller.
    public let keyID: String?
    /// The action.
    public let action: String
    /// The resource's type.
    public let resourceType: String
    /// The resource's id; `*` for a listing.
    public let resourceID: String
    /// Whether it was allowed.
    public let permitted: Bool
    /// The rule that decided; nil when none applied.
    public let rule: RuleReference?
    /// Reasons of a refusal, as `AccessReason.text`.
    public let reasons: [String]
    /// Paths of the fields that were masked in the answer.
    public let maskedFields: [String]
    /// Why the caller says it asks (the `purpose` of the request); nil when it did not say.
    public let purpose: String?
    /// The W3C trace id, 32 hexadecimal digits; nil without one.
    public let traceID: String?
    /// When, microseconds since the Unix epoch.
    public let timeMicros: Int64

    /// Makes an entry of a decision.
    public init(
        principal: Principal, keyID: KeyID?, action: String, resource: AccessResource, decision: AccessDecision,
        maskedFields: [String] = [], purpose: String? = nil, traceID: String? = nil, timeMicros: Int64
    ) {
        self.principal = principal.id
        self.keyID = keyID?.description
        self.action = action
        resourceType = resource.type
        resourceID = resource.id
        permitted = decision.permitted
        rule = decision.rule
        reasons = decision.reasons.map(\.text)
        self.maskedFields = maskedFields
        self.purpose = purpose
        self.traceID = traceID
        self.timeMicros = timeMicros
    }

    /// Writes the entry as a JSON object; absent members are left out, `time` is RFC 3339 in UTC.
    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("time")
        writer.string(Self.rfc3339(timeMicros))
        writer.key("principal")
        writer.string(principal)
        Self.write("key_id", keyID, to: &writer)
        writer.key("action")
        writer.string(action)
        writer.key("resource_type")
        writer.string(resourceType)
        writer.key("resource_id")
        writer.string(resourceID)
        writer.key("permitted")
        writer.bool(permitted)
        if let rule { rule.writeMembers(to: &writer) }
        Self.write("reasons", reasons, to: &writer)
        Self.write("masked_fields", maskedFields, to: &writer)
        Self.write("purpose", purpose, to: &writer)
        Self.write("trace_id", traceID, to: &writer)
        writer.endObject()
    }

    private static func write(_ key: StaticString, _ text: String?, to writer: inout JSONWriter) {
        guard let text else { return }
        writer.key(key)
        writer.string(text)
    }

    private static func write(_ key: StaticString, _ texts: [String], to writer: inout JSONWriter) {
        guard !texts.isEmpty else { return }
        writer.key(key)
        writer.beginArray()
        for text in texts { writer.string(text) }
        writer.endArray()
    }

    /// Six digits of a second always, so that entries sort as text.
    static func rfc3339(_ micros: Int64) -> String {
        let moment = DateTime(unixMicroseconds: micros)
        let (year, month, day) = moment.date.fields
        let time = moment.time.fields
        let text = [
            padded(year, 4), "-", padded(month, 2), "-", padded(day, 2), "T", padded(time.hour, 2), ":",
            padded(time.minute, 2), ":", padded(time.second, 2), ".", padded(time.nanosecond / 1_000, 6), "Z",
        ]
        return text.joined()
    }

    private static func padded(_ value: Int, _ digits: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
