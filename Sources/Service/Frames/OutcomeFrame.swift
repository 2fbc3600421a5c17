import Crypto
import JSON

/// The decision that an outcome is about, as far as outcomes are counted by it.
struct DecisionReference: Sendable, Equatable {
    var decision: String
    var version: UInt32
    /// Outcomes count in the bucket of this time [microseconds since the Unix epoch].
    var decidedMicros: Int64
    /// Empty when the decision has no entity.
    var entity: String

    func encode(into writer: inout ByteWriter) {
        writer.text(decision)
        writer.integer(version)
        writer.integer(decidedMicros)
        writer.text(entity)
    }

    static func decode(from reader: inout ByteReader) throws(FrameError) -> DecisionReference {
        DecisionReference(
            decision: try reader.text("outcome's decision name"),
            version: try reader.integer(UInt32.self, "outcome's decision version"),
            decidedMicros: try reader.integer(Int64.self, "outcome's decision time"),
            entity: try reader.text("outcome's decision entity"))
    }
}

extension DecisionReference {
    /// The decision of a frame.
    init(_ frame: DecisionFrame) {
        self.init(
            decision: String(decoding: frame.decision, as: UTF8.self), version: frame.version,
            decidedMicros: frame.decidedMicros, entity: String(decoding: frame.entity, as: UTF8.self))
    }
}

/// What was known of an outcome's decision when the outcome was accepted.
enum OutcomeSubject: Sendable, Equatable {
    /// An older binary's frame: the decision existed, and nothing else was written of it.
    case notRecorded
    case known(DecisionReference)
    /// It was not in memory, and PostgreSQL was away: an ``OutcomeVerdictFrame`` follows once the outcome is shipped.
    case unresolved
}

/// An outcome as the journal holds it.
struct OutcomeFrame: Sendable, Equatable {
    var id: RecordID
    var decisionID: RecordID
    var atMicros: Int64
    var principal: String
    var claim: IdempotencyClaim?
    /// The outcome's JSON: `{"name": ..., "value": ..., "occurred_at": ...}`.
    var body: [UInt8]
    var subject = OutcomeSubject.notRecorded

    func encode(into writer: inout ByteWriter) {
        for word in [id.high, id.low, decisionID.high, decisionID.low] { writer.integer(word) }
        writer.integer(atMicros)
        writer.text(principal)
        IdempotencyClaim.encode(claim, into: &writer)
        writer.blob(body)
        switch subject {
        case .notRecorded: break
        case .known(let decision):
            writer.integer(UInt8(1))
            decision.encode(into: &writer)
        case .unresolved: writer.integer(UInt8(2))
        }
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> OutcomeFrame {
        var reader = ByteReader(bytes)
        return OutcomeFrame(
            id: try reader.recordID("outcome id"), decisionID: try reader.recordID("outcome decision"),
            atMicros: try reader.integer(Int64.self, "outcome time"),
            principal: try reader.text("outcome principal"),
            claim: try IdempotencyClaim.decode(from: &reader),
            body: [UInt8](try reader.blob("outcome body")),
            subject: try subject(from: &reader))
    }

    private static func subject(from reader: inout ByteReader) throws(FrameError) -> OutcomeSubject {
        // Frames of an older binary end here.
        if reader.isAtEnd { return .notRecorded }
        switch try reader.integer(UInt8.self, "outcome subject") {
        case 1: return .known(try DecisionReference.decode(from: &reader))
        case 2: return .unresolved
        default: throw FrameError(what: "outcome subject")
        }
    }

    /// The outcome with its decision as one item of the stream of outcomes, while `body` runs: what measures fold.
    func withItem(
        of decision: DecisionReference, _ parser: JSONParser, _ fold: (JSONValue) -> Void
    ) throws(FrameError) {
        guard body.last == UInt8(ascii: "}") else { throw FrameError(what: "outcome body") }
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        for (key, text) in [("decision", decision.decision), ("entity", decision.entity), ("principal", principal)] {
            writer.key(key)
            writer.string(text)
        }
        writer.key("version")
        writer.integer(Int64(decision.version))
        writer.endObject()
        // The body is never empty: it has the outcome's own id.
        let item = [UInt8](body.dropLast() + [UInt8(ascii: ",")] + writer.bytes.dropFirst())
        let isRead = item.withUnsafeBytes { bytes in
            guard let value = try? parser.parse(bytes) else { return false }
            fold(value)
            return true
        }
        if !isRead { throw FrameError(what: "outcome body") }
    }

    /// The key of the entry in quarantine, should the decision turn out unknown: the hash of the body, which has an id of
    /// its own.
    var quarantineKey: [UInt8] { [UInt8](SHA256.hash(data: body)) }

    /// The code of that entry.
    static let unknownDecision = "unknown_decision"

    /// The entry itself.
    ///
    /// - Parameter atMicros: when it was found out [microseconds].
    func quarantineEntry(atMicros: Int64) -> QuarantineFrame {
        QuarantineFrame(
            key: quarantineKey, ingestMicros: atMicros, violationClass: "unknown_reference",
            code: Self.unknownDecision, pointer: "/decision_id",
            message: "There is no decision \(decisionID.text). The outcome was accepted while PostgreSQL was away.",
            source: "decisiond", id: id.text, principal: principal, rawSize: UInt32(clamping: body.count),
            raw: [UInt8](body.prefix(ServiceLimits.quarantineRawBytesMax)))
    }
}

/// What became of an outcome whose decision was not known when it was accepted. Written by the shipper after the
/// transaction that stored the outcome or put it into quarantine; memory and measures follow this frame and never ask again.
struct OutcomeVerdictFrame: Sendable, Equatable {
    /// Position of the outcome's frame.
    var outcomeSeq: UInt64
    var atMicros: Int64
    /// nil: there is no such decision, and the outcome is in quarantine.
    var decision: DecisionReference?
    var outcome: OutcomeFrame

    func encode(into writer: inout ByteWriter) {
        writer.integer(outcomeSeq)
        writer.integer(atMicros)
        writer.integer(UInt8(decision == nil ? 0 : 1))
        decision?.encode(into: &writer)
        writer.nested { outcome.encode(into: &$0) }
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(FrameError) -> OutcomeVerdictFrame {
        var reader = ByteReader(bytes)
        let seq = try reader.integer(UInt64.self, "verdict position")
        let at = try reader.integer(Int64.self, "verdict time")
        let isKnown = try reader.integer(UInt8.self, "verdict") != 0
        return OutcomeVerdictFrame(
            outcomeSeq: seq, atMicros: at, decision: isKnown ? try DecisionReference.decode(from: &reader) : nil,
            outcome: try OutcomeFrame.decode(reader.blob("verdict outcome")))
    }
}
