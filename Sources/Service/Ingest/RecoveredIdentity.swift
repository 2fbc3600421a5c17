import JSON
import Journal

/// What the dedupe table learns from one frame when the journal is replayed.
struct RecoveredIdentity: Sendable {
    let identity: Hash128
    let content: UInt64
    let ingestMicros: Int64
    let seq: UInt64
    /// For a correction: the pair that it names.
    var target: Hash128?

    /// Reads an event's or a correction's frame; nil for any other.
    init?(_ frame: JournalFrame, _ key: HashKey) {
        let type = FrameType(rawValue: frame.type)
        guard type == .event || type == .correction, let event = try? EventFrame.decode(frame.payload) else {
            return nil
        }
        identity = Self.hash(event.source, event.id, key)
        content = event.contentHash
        ingestMicros = event.ingestMicros
        seq = frame.seq
        if type == .correction, let correction = try? CorrectionFrame.decode(frame.payload) {
            target = Self.hash(event.source, correction.corrects, key)
        }
    }

    private static func hash(
        _ source: UnsafeRawBufferPointer, _ id: UnsafeRawBufferPointer, _ key: HashKey
    ) -> Hash128 {
        var hasher = Hasher128(key)
        hasher.add(source)
        hasher.add(id)
        return hasher.finish()
    }
}

extension DedupeTable {
    /// Takes a durable frame's identity, in seq order.
    mutating func add(_ recovered: RecoveredIdentity) {
        // Looked up first: the correction itself is not what it supersedes.
        let superseded = recovered.target.map { current($0)?.identity ?? $0 }
        _ = admit(recovered.identity, content: recovered.content, nowMicros: recovered.ingestMicros)
        settle(recovered.identity, seq: recovered.seq)
        guard let target = recovered.target, let superseded else { return }
        let link = Link(target: target, superseded: superseded, correction: recovered.identity)
        self.link(link)
        shorten(link)
    }
}
