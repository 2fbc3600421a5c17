import JSON

/// What a journal frame holds. The numbers are part of the journal format: never reuse one.
enum FrameType: UInt8, Sendable, CaseIterable {
    /// An event that was accepted, with its bytes as sent.
    case event = 1
    /// A line that broke its contract, kept whole.
    case quarantine = 2
    /// How many lines of one request were duplicates; they change nothing else.
    case duplicates = 3
    /// One DecisionRecord.
    case decision = 4
    /// What happened later to a decision.
    case outcome = 5
    /// Who saw or was refused what.
    case access = 6
    /// A definition became active or was retired at this point of the order.
    case activation = 7
    /// An API key was made or revoked.
    case key = 8
    /// An event that replaces or takes back an earlier one of its source.
    case correction = 9
    /// A feature view has every stored event: from here on it is served.
    case viewReady = 10
    /// What became of an outcome that was accepted while nobody could say whether its decision exists.
    case outcomeVerdict = 11
    /// A served feature vector was computed again.
    case parity = 12
    /// A version of a model was registered, or its stage changed.
    case modelStage = 13
}

/// An accepted event as the journal holds it. Slices live as long as the frame's bytes.
struct EventFrame {
    let contract: UnsafeRawBufferPointer
    let contractVersion: UInt32
    let ingestMicros: Int64
    let eventMicros: Int64
    let contentHash: UInt64
    let source: UnsafeRawBufferPointer
    let id: UnsafeRawBufferPointer
    let type: UnsafeRawBufferPointer
    /// Empty when the event names no subject.
    let subject: UnsafeRawBufferPointer
    let raw: UnsafeRawBufferPointer

    func encode(into writer: inout ByteWriter) {
        writer.blob(contract)
        writer.integer(contractVersion)
        writer.integer(ingestMicros)
        writer.integer(eventMicros)
        writer.integer(contentHash)
        writer.blob(source)
        writer.blob(id)
        writer.blob(type)
        writer.blob(subject)
        writer.blob(raw)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> EventFrame {
        var reader = ByteReader(bytes)
        return try decode(from: &reader)
    }

    static func decode(from reader: inout ByteReader) throws(FrameError) -> EventFrame {
        EventFrame(
            contract: try reader.blob("event contract"),
            contractVersion: try reader.integer(UInt32.self, "event contract version"),
            ingestMicros: try reader.integer(Int64.self, "event ingest time"),
            eventMicros: try reader.integer(Int64.self, "event time"),
            contentHash: try reader.integer(UInt64.self, "event content hash"),
            source: try reader.blob("event source"),
            id: try reader.blob("event id"),
            type: try reader.blob("event type"),
            subject: try reader.blob("event subject"),
            raw: try reader.blob("event bytes"))
    }
}

/// A quarantined line as the journal holds it.
struct QuarantineFrame: Sendable {
    /// SHA-256 of the raw bytes: a resend finds the same entry.
    var key: [UInt8]
    var ingestMicros: Int64
    /// `malformed_json`, `invalid_cloudevent`, `contract_violation`, `unknown_reference`.
    var violationClass: String
    var code: String
    var pointer: String
    var message: String
    var contract: String?
    var source: String?
    var id: String?
    var principal: String
    /// The size as sent; `raw` may be cut at the named limit.
    var rawSize: UInt32
    var raw: [UInt8]

    func encode(into writer: inout ByteWriter) {
        writer.blob(key)
        writer.integer(ingestMicros)
        for text in [violationClass, code, pointer, message] { writer.text(text) }
        for text in [contract, source, id] { writer.optionalText(text) }
        writer.text(principal)
        writer.integer(rawSize)
        writer.blob(raw)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> QuarantineFrame {
        var reader = ByteReader(bytes)
        return QuarantineFrame(
            key: [UInt8](try reader.blob("quarantine key")),
            ingestMicros: try reader.integer(Int64.self, "quarantine ingest time"),
            violationClass: try reader.text("quarantine class"),
            code: try reader.text("quarantine code"),
            pointer: try reader.text("quarantine pointer"),
            message: try reader.text("quarantine message"),
            contract: try reader.optionalText("quarantine contract"),
            source: try reader.optionalText("quarantine source"),
            id: try reader.optionalText("quarantine event id"),
            principal: try reader.text("quarantine principal"),
            rawSize: try reader.integer(UInt32.self, "quarantine size"),
            raw: [UInt8](try reader.blob("quarantine bytes")))
    }
}

/// How many lines of one request repeated accepted events of one contract.
struct DuplicatesFrame: Sendable {
    var contract: String
    var ingestMicros: Int64
    /// All duplicates.
    var count: UInt32
    /// Those among them whose content differs from what was accepted.
    var contentDiffers: UInt32

    func encode(into writer: inout ByteWriter) {
        writer.text(contract)
        writer.integer(ingestMicros)
        writer.integer(count)
        writer.integer(contentDiffers)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> DuplicatesFrame {
        var reader = ByteReader(bytes)
        return DuplicatesFrame(
            contract: try reader.text("duplicates contract"),
            ingestMicros: try reader.integer(Int64.self, "duplicates ingest time"),
            count: try reader.integer(UInt32.self, "duplicates count"),
            contentDiffers: try reader.integer(UInt32.self, "duplicates content_differs"))
    }
}

/// The claim of one `Idempotency-Key`, as it stands in the frame of the effect that it guards.
struct IdempotencyClaim: Sendable, Equatable {
    /// Hash of (principal, operation, key).
    var key: Hash128
    /// Hash of the request's payload: the same key with another payload is refused.
    var payload: UInt64

    static func encode(_ claim: IdempotencyClaim?, into writer: inout ByteWriter) {
        guard let claim else {
            writer.integer(UInt8(0))
            return
        }
        writer.integer(UInt8(1))
        writer.integer(claim.key.high)
        writer.integer(claim.key.low)
        writer.integer(claim.payload)
    }

    static func decode(from reader: inout ByteReader) throws(FrameError) -> IdempotencyClaim? {
        guard try reader.integer(UInt8.self, "idempotency flag") != 0 else { return nil }
        return IdempotencyClaim(
            key: Hash128(
                high: try reader.integer(UInt64.self, "idempotency key"),
                low: try reader.integer(UInt64.self, "idempotency key")),
            payload: try reader.integer(UInt64.self, "idempotency payload"))
    }
}

/// A DecisionRecord as the journal holds it: what is needed without parsing it, then its JSON.
struct DecisionFrame {
    let id: RecordID
    let decidedMicros: Int64
    let claim: IdempotencyClaim?
    let decision: UnsafeRawBufferPointer
    let version: UInt32
    /// Empty when the decision has no entity.
    let entity: UnsafeRawBufferPointer
    let record: UnsafeRawBufferPointer
    /// Where the record's last member, its features, begins with its comma; 0 when that is not known. What measures and
    /// columns are made of stands before it, and the features are most of a record.
    let featuresOffset: UInt32

    func encode(into writer: inout ByteWriter) {
        writer.integer(id.high)
        writer.integer(id.low)
        writer.integer(decidedMicros)
        IdempotencyClaim.encode(claim, into: &writer)
        writer.blob(decision)
        writer.integer(version)
        writer.blob(entity)
        writer.blob(record)
        writer.integer(featuresOffset)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> DecisionFrame {
        var reader = ByteReader(bytes)
        let id = RecordID(
            high: try reader.integer(UInt64.self, "decision id"), low: try reader.integer(UInt64.self, "decision id"))
        let decided = try reader.integer(Int64.self, "decision time")
        let claim = try IdempotencyClaim.decode(from: &reader)
        let decision = try reader.blob("decision name")
        let version = try reader.integer(UInt32.self, "decision version")
        let entity = try reader.blob("decision entity")
        let record = try reader.blob("decision record")
        // Frames of an older binary end here.
        let offset = reader.isAtEnd ? 0 : try reader.integer(UInt32.self, "features offset")
        guard offset <= record.count else { throw FrameError(what: "features offset") }
        return DecisionFrame(
            id: id, decidedMicros: decided, claim: claim, decision: decision, version: version, entity: entity,
            record: record, featuresOffset: offset)
    }

    /// Parses the record without its features, which nobody who only counts or files it reads.
    ///
    /// - Parameter scratch: holds the text as long as the value is used.
    func head(_ parser: JSONParser, _ scratch: inout [UInt8]) throws(FrameError) -> JSONValue {
        scratch.removeAll(keepingCapacity: true)
        if featuresOffset == 0 {
            scratch.append(contentsOf: record)
        } else {
            scratch.append(contentsOf: record[..<Int(featuresOffset)])
            scratch.append(UInt8(ascii: "}"))
        }
        guard let value = scratch.withUnsafeBytes({ try? parser.parse($0) }) else {
            throw FrameError(what: "decision record")
        }
        return value
    }
}

/// One access-log entry as the journal holds it: columns for the table, then the entry's JSON.
struct AccessFrame: Sendable {
    var atMicros: Int64
    var principal: String
    var action: String
    var resourceType: String
    var resourceID: String
    var permitted: Bool
    var body: [UInt8]

    func encode(into writer: inout ByteWriter) {
        writer.integer(atMicros)
        for text in [principal, action, resourceType, resourceID] { writer.text(text) }
        writer.integer(UInt8(permitted ? 1 : 0))
        writer.blob(body)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> AccessFrame {
        var reader = ByteReader(bytes)
        return AccessFrame(
            atMicros: try reader.integer(Int64.self, "access time"),
            principal: try reader.text("access principal"),
            action: try reader.text("access action"),
            resourceType: try reader.text("access resource type"),
            resourceID: try reader.text("access resource"),
            permitted: try reader.integer(UInt8.self, "access verdict") != 0,
            body: [UInt8](try reader.blob("access body")))
    }
}

/// A definition's activation or retirement; the definition itself travels along, so the journal replays alone.
struct ActivationFrame: Sendable {
    var kind: String
    var name: String
    var version: UInt32
    var isRetired: Bool
    var atMicros: Int64
    var principal: String
    var comment: String
    /// The definition's JSON; empty when retired.
    var body: [UInt8]

    func encode(into writer: inout ByteWriter) {
        writer.text(kind)
        writer.text(name)
        writer.integer(version)
        writer.integer(UInt8(isRetired ? 1 : 0))
        writer.integer(atMicros)
        writer.text(principal)
        writer.text(comment)
        writer.blob(body)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> ActivationFrame {
        var reader = ByteReader(bytes)
        return ActivationFrame(
            kind: try reader.text("activation kind"),
            name: try reader.text("activation name"),
            version: try reader.integer(UInt32.self, "activation version"),
            isRetired: try reader.integer(UInt8.self, "activation flag") != 0,
            atMicros: try reader.integer(Int64.self, "activation time"),
            principal: try reader.text("activation principal"),
            comment: try reader.text("activation comment"),
            body: [UInt8](try reader.blob("activation body")))
    }
}

/// An API key's creation or revocation; only the hash of the key is ever written.
struct KeyFrame: Sendable {
    var id: String
    var name: String
    var hash: [UInt8]
    var roles: [String]
    var createdMicros: Int64
    /// 0 when the key does not expire.
    var expiresMicros: Int64
    /// 0 while the key is live.
    var revokedMicros: Int64

    func encode(into writer: inout ByteWriter) {
        writer.text(id)
        writer.text(name)
        writer.blob(hash)
        writer.integer(UInt16(roles.count))
        for role in roles { writer.text(role) }
        for time in [createdMicros, expiresMicros, revokedMicros] { writer.integer(time) }
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> KeyFrame {
        var reader = ByteReader(bytes)
        let id = try reader.text("key id")
        let name = try reader.text("key name")
        let hash = [UInt8](try reader.blob("key hash"))
        var roles: [String] = []
        for _ in 0..<(try reader.integer(UInt16.self, "key roles")) { roles.append(try reader.text("key role")) }
        return KeyFrame(
            id: id, name: name, hash: hash, roles: roles,
            createdMicros: try reader.integer(Int64.self, "key creation"),
            expiresMicros: try reader.integer(Int64.self, "key expiry"),
            revokedMicros: try reader.integer(Int64.self, "key revocation"))
    }
}
