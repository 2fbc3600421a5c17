import JSON

extension CloudEvent {
    /// Reads `value` as a CloudEvent 1.0 in the JSON format, strictly: the required attributes are non-empty
    /// strings, `specversion` is 1.0, `time` is an RFC 3339 date-time (see ``Timestamp`` for leap seconds),
    /// `data` and `data_base64` exclude each other, extensions have CloudEvents types. A null attribute counts
    /// as absent. `nowMicros` is the event time of an event without `time`.
    public static func decode(_ value: JSONValue, nowMicros: Int64) -> Result<CloudEvent, Violation> {
        var parts = Parts()
        if let violation = parts.collect(value) { return .failure(violation) }
        if let violation = parts.checkVersion() { return .failure(violation) }
        guard let id = parts.id else { return .failure(.missing("id")) }
        guard let source = parts.source else { return .failure(.missing("source")) }
        guard let type = parts.type else { return .failure(.missing("type")) }
        if let violation = parts.checkTexts(id, source, type) { return .failure(violation) }
        var micros = nowMicros
        if let time = parts.time {
            guard time.kind == .string else { return .failure(.notText("time")) }
            // The outer nil: not a string; the inner one: no date-time.
            guard let parsed = time.withUTF8({ Timestamp.parse($0) }) ?? nil else {
                let message = "time is not an RFC 3339 date-time with a zone"
                return .failure(.event(.invalidTime, "time", message))
            }
            micros = parsed
        }
        return .success(
            CloudEvent(
                root: value, id: id, source: source, type: type, subject: parts.subject, time: parts.time,
                timeMicros: micros, dataContentType: parts.dataContentType, dataSchema: parts.dataSchema,
                data: parts.data, dataBase64: parts.dataBase64, corrects: parts.corrects))
    }
}

extension Violation {
    fileprivate static func event(_ code: Code, _ name: String, _ message: String) -> Violation {
        Violation(.invalidCloudEvent, code, JSONPointer(tokens: [name]), message)
    }

    fileprivate static func missing(_ name: String) -> Violation {
        event(.missingAttribute, name, "the attribute \(name) is missing")
    }

    fileprivate static func notText(_ name: String) -> Violation {
        event(.typeMismatch, name, "the attribute \(name) must be a string")
    }
}

/// The members of an event's object, sorted out in one pass.
private struct Parts {
    var id: JSONValue?
    var source: JSONValue?
    var type: JSONValue?
    var subject: JSONValue?
    var time: JSONValue?
    var specVersion: JSONValue?
    var dataContentType: JSONValue?
    var dataSchema: JSONValue?
    var data: JSONValue?
    var dataBase64: JSONValue?
    var corrects: JSONValue?

    mutating func collect(_ value: JSONValue) -> Violation? {
        guard value.kind == .object else {
            return Violation(.malformedJSON, .notAnObject, .root, "an event is one JSON object")
        }
        for member in value.members {
            let part = CloudEvent.Part(member)
            let content = member.value
            if part == .data {
                data = content
                continue
            }
            if content.isNull {
                if part == .other, !Self.isAttributeName(member) { return Self.badName() }
                continue
            }
            switch part {
            case .id: id = content
            case .source: source = content
            case .type: type = content
            case .subject: subject = content
            case .time: time = content
            case .specVersion: specVersion = content
            case .dataContentType: dataContentType = content
            case .dataSchema: dataSchema = content
            case .dataBase64: dataBase64 = content
            case .corrects: corrects = content
            case .data, .other: if let violation = Self.checkExtension(member, content) { return violation }
            }
        }
        return nil
    }

    func checkVersion() -> Violation? {
        guard let specVersion else { return .missing("specversion") }
        guard specVersion.kind == .string else { return .notText("specversion") }
        guard specVersion.equals("1.0") else {
            return .event(.unsupportedSpecversion, "specversion", "specversion must be 1.0")
        }
        return nil
    }

    func checkTexts(_ id: JSONValue, _ source: JSONValue, _ type: JSONValue) -> Violation? {
        if let violation = Self.checkText(id, "id") ?? Self.checkText(source, "source") ?? Self.checkText(type, "type")
        {
            return violation
        }
        guard source.withUTF8({ $0.allSatisfy(Self.isURICharacter) }) == true else {
            return .event(.invalidSource, "source", "source is not a URI reference")
        }
        if let subject, let violation = Self.checkText(subject, "subject") { return violation }
        if let corrects, let violation = Self.checkText(corrects, "corrects") { return violation }
        if let dataContentType, let violation = Self.checkText(dataContentType, "datacontenttype") {
            return violation
        }
        if let dataSchema, let violation = Self.checkText(dataSchema, "dataschema") { return violation }
        return checkBase64()
    }

    private func checkBase64() -> Violation? {
        guard let dataBase64 else { return nil }
        guard data == nil else {
            return .event(.dataConflict, "data_base64", "an event has data or data_base64, not both")
        }
        guard dataBase64.kind == .string else { return .notText("data_base64") }
        guard dataBase64.withUTF8(TextFormat.isBase64) == true else {
            return .event(.invalidBase64, "data_base64", "data_base64 is not base64")
        }
        return nil
    }

    /// A non-empty string without the control characters that CloudEvents forbids.
    private static func checkText(_ value: JSONValue, _ name: String) -> Violation? {
        guard value.kind == .string else { return .notText(name) }
        let verdict: Violation.Code?? = value.withUTF8 { bytes in
            if bytes.isEmpty { return .emptyAttribute }
            return hasControl(bytes) ? .invalidCharacter : nil
        }
        switch verdict ?? nil {
        case nil: return nil
        case .emptyAttribute: return .event(.emptyAttribute, name, "the attribute \(name) is empty")
        default: return .event(.invalidCharacter, name, "the attribute \(name) holds a control character")
        }
    }

    /// U+0000-001F, U+007F and U+0080-009F (in UTF-8 C2 80 to C2 9F).
    private static func hasControl(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var afterC2 = false
        for byte in bytes {
            if byte < 0x20 || byte == 0x7F || (afterC2 && byte < 0xA0) { return true }
            afterC2 = byte == 0xC2
        }
        return false
    }

    /// The characters of RFC 3986; others have to be percent-encoded.
    private static func isURICharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"), UInt8(ascii: "^"),
            UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
            return false
        default:
            return byte > 0x20 && byte < 0x7F
        }
    }

    private static func isAttributeName(_ member: JSONMember) -> Bool {
        member.withKeyUTF8 { key in
            !key.isEmpty
                && key.allSatisfy { $0 &- UInt8(ascii: "0") <= 9 || $0 &- UInt8(ascii: "a") <= 25 }
        }
    }

    private static func badName() -> Violation {
        // The key is the sender's text, so the pointer names the object that holds it.
        Violation(.invalidCloudEvent, .attributeName, .root, "attribute names are lower-case letters and digits")
    }

    private static func checkExtension(_ member: JSONMember, _ value: JSONValue) -> Violation? {
        guard isAttributeName(member) else { return badName() }
        switch value.kind {
        case .string, .bool: return nil
        case .number: if let number = value.int64, Int32(exactly: number) != nil { return nil }
        default: break
        }
        let message = "an extension attribute is a string, a boolean or a 32-bit integer"
        return Violation(.invalidCloudEvent, .attributeType, .root, message)
    }
}
