import Features
import JSON
import Journal
import Synchronization

/// Puts what a snapshot holds back into fresh memory, piece by piece. After a refusal that memory is not to be used.
struct StateRestorer {
    private let state: ServiceState
    private let applier: Applier
    private let hashKey: HashKey
    /// Identities of accepted events.
    private(set) var dedupe: DedupeTable
    /// When positions were reached.
    private(set) var marks: [PositionMark] = []
    /// Views whose rows the snapshot does not hold in a form that this binary reads.
    private(set) var missingViews: Set<String> = []
    /// The furthest position of any part.
    private(set) var furthest: UInt64 = 0
    private var part: SnapshotPart?
    private var seen: Set<SnapshotPart> = []
    private var shard = 0
    private var shardSeq: UInt64 = 0
    private var shardBytes: [UInt8] = []
    private var shardsRead = 0
    private var views: [SavedView] = []
    private var hasTotals = false
    private var measure = MeasureRollups.Restoration()

    init(_ state: ServiceState, _ applier: Applier, _ hashKey: HashKey, dedupe: DedupeTable) {
        self.state = state
        self.applier = applier
        self.hashKey = hashKey
        self.dedupe = dedupe
    }

    /// Hands the identities over; none are left here.
    mutating func takeDedupe() -> DedupeTable {
        var taken = DedupeTable(horizonMicros: dedupe.horizonMicros, nowMicros: 0)
        swap(&taken, &dedupe)
        return taken
    }

    /// Takes the next piece.
    mutating func take(_ piece: SnapshotPiece) throws(ReplayRefusal) {
        do {
            switch piece {
            case .part(let name, let position): try begin(name, position)
            case .data(let bytes):
                if part == .features {
                    shardBytes.append(contentsOf: bytes)
                } else {
                    var reader = ByteReader(bytes)
                    while !reader.isAtEnd { try record(&reader) }
                }
            }
        } catch let error as FrameError {
            throw ReplayRefusal(error.what)
        } catch let error as FeatureRestoreError {
            throw ReplayRefusal(error.what)
        } catch let error as ReplayRefusal {
            throw error
        } catch {
            throw ReplayRefusal("\(error)")
        }
    }

    /// Ends with the position up to which memory is complete, once every part was there.
    mutating func finish(seq: UInt64) throws(ReplayRefusal) {
        try take(.part(name: "", position: 0))
        let isWhole = SnapshotPart.allCases.allSatisfy { seen.contains($0) || $0.isNew }
        guard isWhole, shardsRead == state.features.shardCount else {
            throw ReplayRefusal("not every part is there")
        }
        applier.finish(through: seq)
    }

    private mutating func begin(_ name: String, _ position: UInt64) throws {
        try close()
        if name.isEmpty {
            part = nil
            return
        }
        guard let (next, shard) = SnapshotPart.named(name), next == .features || !seen.contains(next) else {
            throw ReplayRefusal("a part that this version does not know, or a second time")
        }
        guard seen.isEmpty == (next == .state) else { throw ReplayRefusal("the parts are not in their order") }
        seen.insert(next)
        part = next
        furthest = max(furthest, position)
        guard next == .features else { return }
        guard shard == shardsRead, shard < state.features.shardCount, Int64(exactly: position) != nil else {
            throw ReplayRefusal("the shards are not in their order")
        }
        self.shard = shard
        shardSeq = position
    }

    /// Ends the part before the next one begins.
    private mutating func close() throws {
        switch part {
        case .definitions:
            applier.definitionsRestored()
            views = state.snapshot.savedViews
        case .measures: state.rollups.finish(&measure)
        case .features:
            let missing = try state.features.restoreShard(
                shard, from: shardBytes, seq: Int64(shardSeq), views: views)
            missingViews.formUnion(missing)
            shardBytes.removeAll(keepingCapacity: true)
            shardsRead += 1
        default: break
        }
    }

    private mutating func record(_ reader: inout ByteReader) throws(FrameError) {
        switch part {
        case .state: try restoreHead(&reader)
        case .definitions:
            if let entry = try DefinitionHistory.decode(&reader) {
                state.history.restore(entry)
            } else {
                applier.unreadable.wrappingAdd(1, ordering: .relaxed)
            }
        case .models: try state.registry.restore(&reader)
        case .keys: state.apply(try KeyFrame.decode(reader.blob("saved key")))
        case .references: try state.references.restore(&reader)
        case .quarantine:
            if hasTotals { try state.quarantine.restore(&reader) } else { try state.quarantine.restoreTotals(&reader) }
            hasTotals = true
        case .records: try state.records.restore(&reader)
        case .idempotency: try state.idempotency.restore(&reader)
        case .measures:
            let state = state
            try state.rollups.restore(&reader, &measure) { name, version in
                if let current = state.snapshot.measures[name], current.version == version { return current }
                return state.history.measure(name, version: version)
            }
        case .quality: try state.quality.restore(&reader)
        case .sources: try state.sources.restore(&reader)
        case .access: try state.accessLog.restore(&reader)
        case .dedupe: try restoreIdentities(&reader)
        case .corrections:
            let key = try reader.hash("saved correction")
            dedupe.restore(link: key, to: try reader.hash("saved correction"))
        case .features, nil: throw FrameError(what: "bytes outside of a part")
        }
    }

    private mutating func restoreHead(_ reader: inout ByteReader) throws(FrameError) {
        guard try reader.integer(UInt32.self, "format") == SnapshotPart.format else {
            throw FrameError(what: "the parts have the format of another version")
        }
        guard try reader.integer(UInt64.self, "hash key") == MemoryWriter.check(of: hashKey) else {
            throw FrameError(what: "hash.key is not the one that the snapshot was taken with")
        }
        guard try reader.integer(UInt32.self, "shards") == UInt32(state.features.shardCount) else {
            throw FrameError(what: "the feature store had another number of shards")
        }
        for _ in 0..<(try reader.integer(UInt32.self, "marks")) {
            marks.append(
                PositionMark(
                    seq: try reader.integer(UInt64.self, "marks"), micros: try reader.integer(Int64.self, "marks")))
        }
    }

    private mutating func restoreIdentities(_ reader: inout ByteReader) throws(FrameError) {
        let number = Int(try reader.integer(UInt8.self, "saved identities"))
        let isOld = try reader.integer(UInt8.self, "saved identities") != 0
        let startMicros = try reader.integer(Int64.self, "saved identities")
        let total = Int(try reader.integer(UInt32.self, "saved identities"))
        guard number < DedupeTable.partitionCount else { throw FrameError(what: "saved identities") }
        var pairs: [DedupePartition.Pair] = []
        for _ in 0..<(try reader.integer(UInt32.self, "saved identities")) {
            let key = try reader.hash("saved identities")
            guard DedupeTable.partition(of: key) == number else { throw FrameError(what: "saved identities") }
            pairs.append(
                DedupePartition.Pair(
                    key: key, content: try reader.integer(UInt64.self, "saved identities"),
                    seq: try reader.integer(UInt64.self, "saved identities")))
        }
        dedupe.restore(
            number, DedupePartition.Saved(isOld: isOld, startMicros: startMicros, total: total, pairs: pairs))
    }
}
