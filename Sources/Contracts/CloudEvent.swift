import JSON

/// A CloudEvents 1.0 event in the JSON format: slices into the parsed document, valid as long as it is.
public struct CloudEvent {
    /// The whole object.
    public let root: JSONValue
    /// `id`; with `source` the identity of the event.
    public let id: JSONValue
    /// `source`, a URI reference.
    public let source: JSONValue
    /// `type`.
    public let type: JSONValue
    /// `subject`, the entity; nil when absent.
    public let subject: JSONValue?
    /// `time`; nil when absent.
    public let time: JSONValue?
    /// The event time in microseconds since the Unix epoch: `time`, or the ingest time when it is absent.
    public let timeMicros: Int64
    /// `datacontenttype`; nil when absent, which means JSON.
    public let dataContentType: JSONValue?
    /// `dataschema`; nil when absent.
    public let dataSchema: JSONValue?
    /// `data`; nil when absent, a null value when it is an explicit null.
    public let data: JSONValue?
    /// `data_base64`; nil when absent.
    public let dataBase64: JSONValue?
    /// The extension `corrects`: id of the earlier event of the same source that this one replaces or, with empty data,
    /// takes back; nil when absent.
    public let corrects: JSONValue?

    /// Whether the event takes back what it corrects: it carries no data, null, or an object without members.
    public var isRetraction: Bool {
        guard corrects != nil, dataBase64 == nil else { return false }
        guard let data, !data.isNull else { return true }
        return data.kind == .object && data.members.first { _ in true } == nil
    }

    /// An extension attribute; nil when absent or null, which CloudEvents counts as absent.
    public func attribute(_ name: StaticString) -> JSONValue? {
        root[name].flatMap { $0.isNull ? nil : $0 }
    }

    /// Any attribute or `data` by name; nil when absent, or null other than `data`.
    func part(_ part: Part, _ name: [UInt8]) -> JSONValue? {
        switch part {
        case .id: return id
        case .source: return source
        case .type: return type
        case .subject: return subject
        case .time: return time
        case .dataContentType: return dataContentType
        case .dataSchema: return dataSchema
        case .data: return data
        case .dataBase64: return dataBase64
        case .corrects: return corrects
        case .specVersion, .other:
            let value = name.withUnsafeBufferPointer { root.member(utf8: $0) }
            return value.flatMap { $0.isNull ? nil : $0 }
        }
    }

    /// What a key of the event's object names.
    enum Part: UInt8 {
        case id, source, type, subject, time, specVersion, dataContentType, dataSchema, data, dataBase64, corrects
        case other

        init(name: String) {
            switch name {
            case "id": self = .id
            case "source": self = .source
            case "type": self = .type
            case "subject": self = .subject
            case "time": self = .time
            case "specversion": self = .specVersion
            case "datacontenttype": self = .dataContentType
            case "dataschema": self = .dataSchema
            case "data": self = .data
            case "data_base64": self = .dataBase64
            case "corrects": self = .corrects
            default: self = .other
            }
        }

        init(_ member: JSONMember) {
            guard let key = member.plainKeyUTF8 else {
                self.init(name: member.key)
                return
            }
            self = .other
            switch key.count {
            case 2: if member.keyEquals("id") { self = .id }
            case 4:
                if member.keyEquals("type") {
                    self = .type
                } else if member.keyEquals("time") {
                    self = .time
                } else if member.keyEquals("data") {
                    self = .data
                }
            case 6: if member.keyEquals("source") { self = .source }
            case 7: if member.keyEquals("subject") { self = .subject }
            case 8: if member.keyEquals("corrects") { self = .corrects }
            case 10: if member.keyEquals("dataschema") { self = .dataSchema }
            case 11:
                if member.keyEquals("specversion") {
                    self = .specVersion
                } else if member.keyEquals("data_base64") {
                    self = .dataBase64
                }
            case 15: if member.keyEquals("datacontenttype") { self = .dataContentType }
            default: break
            }
        }
    }
}
