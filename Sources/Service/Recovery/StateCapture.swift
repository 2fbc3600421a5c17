import Features
import JSON
import Journal
import Synchronization

/// The small parts of memory at one position: copies on write, taken between two groups.
struct StateCapture {
    /// Everything up to here, and nothing after it, is in.
    let seq: UInt64
    private let definitions: [DefinitionHistory.Entry]
    private let models: [ModelRegistry.Entry]
    private let keys: [KeyFrame]
    private let quarantine: QuarantineTable.State
    private let records: RecordIndex.State
    private let idempotency: IdempotencyTable.State
    private let measures: [String: [MeasureRollups.Entry]]
    private let quality: [QualityLedger.SavedHour]
    private let sources: SourceClocks.State
    private let access: [(seq: UInt64, frame: AccessFrame)]
    /// Which corrections stand in the place of which events.
    let links: [(key: Hash128, successor: Hash128)]
    /// Rows of reference tables: a correction can take one back, so all are of one position.
    let references: [String: ReferenceTables.Table]

    /// Captures while no frame is being applied.
    fileprivate init(between state: ServiceState, links: [(key: Hash128, successor: Hash128)]) {
        self.links = links
        references = state.references.capture()
        seq = state.appliedSeq.load(ordering: .acquiring)
        definitions = state.history.capture()
        models = state.registry.capture()
        keys = state.keys
        quarantine = state.quarantine.capture()
        records = state.records.capture()
        idempotency = state.idempotency.capture()
        measures = state.rollups.capture()
        quality = state.quality.capture()
        sources = state.sources.capture()
        access = state.accessLog.capture()
    }

    /// Writes the parts, each complete up to `seq`.
    func write<Store>(into sink: PartSink<Store>) throws(StorageError) {
        try sink.begin(.definitions, position: seq)
        try DefinitionHistory.encode(definitions, into: sink)
        try sink.begin(.models, position: seq)
        try ModelRegistry.encode(models, into: sink)
        try sink.begin(.keys, position: seq)
        for key in keys { try sink.record { writer in writer.nested { key.encode(into: &$0) } } }
        try sink.begin(.quarantine, position: seq)
        try QuarantineTable.encode(quarantine, into: sink)
        try sink.begin(.records, position: seq)
        try RecordIndex.encode(records, into: sink)
        try sink.begin(.idempotency, position: seq)
        try IdempotencyTable.encode(idempotency, into: sink)
        try sink.begin(.measures, position: seq)
        try MeasureRollups.encode(measures, into: sink)
        try sink.begin(.quality, position: seq)
        try QualityLedger.encode(quality, into: sink)
        try sink.begin(.sources, position: seq)
        try SourceClocks.encode(sources, into: sink)
        try sink.begin(.access, position: seq)
        try AccessTail.encode(access, into: sink)
    }
}

/// Writes all of memory into a snapshot while the service goes on.
struct MemoryWriter {
    let state: ServiceState
    let hashKey: HashKey
    /// One partition of the identities of accepted events, and which of them are reservations.
    let identities: @Sendable (Int) -> (partition: DedupePartition, reserved: Set<Hash128>)
    /// Which corrections stand in the place of which events.
    let links: @Sendable () -> [(key: Hash128, successor: Hash128)]

    /// Pairs in one piece of a dedupe generation.
    private static let dedupePieceMax = 16_384

    /// Captures the small parts between two groups.
    func capture() -> StateCapture {
        state.applying.withLock { _ in StateCapture(between: state, links: links()) }
    }

    /// Writes everything: what was captured at one position, then the large tables a piece at a time.
    func write<Store>(
        _ capture: StateCapture, marks: [PositionMark], into sink: PartSink<Store>
    ) throws(StorageError) {
        try sink.begin(.state, position: capture.seq)
        try sink.record { writer in
            writer.integer(SnapshotPart.format)
            writer.integer(Self.check(of: hashKey))
            writer.integer(UInt32(state.features.shardCount))
            writer.integer(UInt32(marks.count))
            for mark in marks {
                writer.integer(mark.seq)
                writer.integer(mark.micros)
            }
        }
        try capture.write(into: sink)
        try sink.begin(.references, position: capture.seq)
        try ReferenceTables.encode(capture.references, into: sink)
        try writeIdentities(capture.seq, into: sink)
        try sink.begin(.corrections, position: capture.seq)
        for link in capture.links {
            try sink.record { writer in
                for word in [link.key.high, link.key.low, link.successor.high, link.successor.low] {
                    writer.integer(word)
                }
            }
        }
        try writeFeatures(into: sink)
        try sink.flush()
    }

    /// What a hash key gives for nothing at all: hashes of another key must not be taken over.
    static func check(of key: HashKey) -> UInt64 {
        let hash = Hasher128(key).finish()
        return hash.high ^ hash.low
    }

    /// An identity goes in once its frame is applied. Those whose frames are later than `seq` are in the journal's tail
    /// as well, which changes nothing; a reservation on its way to the disk may never get there and stays out.
    private func writeIdentities<Store>(_ seq: UInt64, into sink: PartSink<Store>) throws(StorageError) {
        try sink.begin(.dedupe, position: seq)
        for number in 0..<DedupeTable.partitionCount {
            let (partition, reserved) = identities(number)
            try partition.saved(excluding: reserved, pieceMax: Self.dedupePieceMax) { (piece) throws(StorageError) in
                try sink.record { writer in
                    writer.integer(UInt8(number))
                    writer.integer(UInt8(piece.isOld ? 1 : 0))
                    writer.integer(piece.startMicros)
                    writer.integer(UInt32(clamping: piece.total))
                    writer.integer(UInt32(piece.pairs.count))
                    for pair in piece.pairs {
                        for word in [pair.key.high, pair.key.low, pair.content, pair.seq] { writer.integer(word) }
                    }
                }
            }
        }
    }

    /// Each shard with a position of its own: what is applied when it is copied, between two groups.
    private func writeFeatures<Store>(into sink: PartSink<Store>) throws(StorageError) {
        for shard in 0..<state.features.shardCount {
            let (bytes, seq) = state.applying.withLock { _ in
                let views = state.snapshot.savedViews
                return (
                    state.features.encodeShard(shard, views: views), state.appliedSeq.load(ordering: .acquiring)
                )
            }
            try sink.shard(shard, bytes, position: seq)
        }
    }
}

extension Snapshot {
    /// The views in force, each with a hash of its definition.
    var savedViews: [SavedView] {
        views.map { name, entry in
            SavedView(index: entry.index, name: name, fingerprint: fingerprint(ofView: name))
        }
    }

    private func fingerprint(ofView name: String) -> UInt64 {
        guard let definition = definitions[DefinitionKey(kind: .featureView, name: name)] else { return 0 }
        var hasher = Hasher128(HashKey([UInt8](repeating: 0, count: 16)))
        hasher.add(String(definition.version))
        definition.document.canonicalBytes.withUnsafeBytes { hasher.add($0) }
        return hasher.finish().high
    }
}
