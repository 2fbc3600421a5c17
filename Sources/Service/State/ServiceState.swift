import Access
import FEEL
import Features
import JSON
import Journal
import Synchronization

/// Everything that the journal's frames have built up in memory. Written by the applier in seq order, read by everybody.
final class ServiceState: Sendable {
    let features: FeatureStore
    let references = ReferenceTables()
    let quarantine: QuarantineTable
    let records = RecordIndex()
    let idempotency = IdempotencyTable()
    let rollups = MeasureRollups()
    let quality = QualityLedger()
    let accessLog = AccessTail()
    let sources = SourceClocks()
    let history: DefinitionHistory
    let registry = ModelRegistry()
    let marks = FrameMarks()
    /// Position up to which all of this is complete.
    let appliedSeq = Atomic<UInt64>(0)
    /// Decisions that were made durable, those of recovery included.
    let decisionsApplied = Atomic<UInt64>(0)
    /// Held while a group's frames are applied: who holds it sees memory between two groups.
    let applying = Mutex(())
    /// Highest ticket (`IngestGate`) whose frames are applied. Set under `applying`.
    let appliedTicket = Atomic<UInt64>(0)

    private let snapshotBox: Mutex<Snapshot>
    private let keyFrames = Mutex<[String: KeyFrame]>([:])
    private let ring: Mutex<KeyRing>
    private let bootstrap: KeyFrame

    /// - Parameters:
    ///   - quarantineEntriesMax: entries kept in memory.
    ///   - bootstrap: the first key, which is in no frame.
    ///   - shardSeed: decides which entity lies in which shard of the feature store; the same for one data directory.
    ///   - zones: what expressions of definitions know of time zones.
    init(quarantineEntriesMax: Int, bootstrap: KeyFrame, shardSeed: UInt64 = 0, zones: ZoneOffsets = .utcOnly) {
        history = DefinitionHistory(zones: zones)
        features = FeatureStore(shards: ServiceLimits.featureShards, seed: shardSeed)
        quarantine = QuarantineTable(entriesMax: quarantineEntriesMax)
        snapshotBox = Mutex(Snapshot.empty())
        self.bootstrap = bootstrap
        ring = Mutex(KeyRing(Self.stored([bootstrap])))
    }

    /// The definitions in force.
    var snapshot: Snapshot { snapshotBox.withLock { $0 } }

    /// Puts definitions in force.
    func install(_ snapshot: Snapshot) {
        snapshotBox.withLock { $0 = snapshot }
    }

    /// The keys in force.
    var keyRing: KeyRing { ring.withLock { $0 } }

    /// All keys with their dates, by id; never their secrets.
    var keys: [KeyFrame] {
        keyFrames.withLock { $0.values.sorted { $0.createdMicros < $1.createdMicros } }
    }

    /// A key was made or revoked.
    func apply(_ key: KeyFrame) {
        let all = keyFrames.withLock { frames in
            frames[key.id] = key
            return Array(frames.values)
        }
        let fresh = KeyRing(Self.stored([bootstrap] + all))
        ring.withLock { $0 = fresh }
    }

    private static func stored(_ frames: [KeyFrame]) -> [StoredKey] {
        frames.compactMap { frame in
            guard let id = KeyID(frame.id), let hash = SHA256Hash(hex: String(decoding: frame.hash, as: UTF8.self))
            else { return nil }
            return StoredKey(
                id: id, hash: hash, principal: Principal(id: frame.name, roles: frame.roles), label: frame.name,
                createdMicros: frame.createdMicros,
                expiresMicros: frame.expiresMicros == 0 ? nil : frame.expiresMicros,
                revokedMicros: frame.revokedMicros == 0 ? nil : frame.revokedMicros)
        }
    }
}

/// Whether a version of a feature view has every event that it should.
enum ViewReadiness: Sendable {
    /// Stored events are still being added.
    case building
    /// There was no event before it was activated.
    case fromTheStart
    /// The stored events were added, so many.
    case filled(events: Int)
}

/// Every version of every definition that the journal has seen, for reading and for replay.
final class DefinitionHistory: Sendable {
    /// One version as it came.
    struct Entry: Sendable {
        let definition: Definition
        let activation: ActivationFrame
        /// Journal position of its activation.
        let fromSeq: UInt64
        /// Position of its successor or retirement; nil while it is in force.
        var toSeq: UInt64?
        var retiredMicros: Int64?
        /// Of a feature view: whether its features have every event that they should.
        var readiness = ViewReadiness.building
    }

    let versions = Mutex<[DefinitionKey: [Entry]]>([:])
    /// What versions are compiled with when they are needed again.
    let zones: ZoneOffsets

    init(zones: ZoneOffsets) { self.zones = zones }

    /// A version became active.
    func activate(_ definition: Definition, _ frame: ActivationFrame, seq: UInt64) {
        versions.withLock { versions in
            var entries = versions[definition.key] ?? []
            if let last = entries.indices.last, entries[last].toSeq == nil { entries[last].toSeq = seq }
            entries.append(Entry(definition: definition, activation: frame, fromSeq: seq))
            versions[definition.key] = entries
        }
    }

    /// The active version was retired.
    func retire(_ key: DefinitionKey, seq: UInt64, atMicros: Int64) {
        versions.withLock { versions in
            guard let last = versions[key]?.indices.last else { return }
            if versions[key]?[last].toSeq == nil { versions[key]?[last].toSeq = seq }
            versions[key]?[last].retiredMicros = atMicros
        }
    }

    /// Says how complete a version of a feature view is.
    func set(_ readiness: ViewReadiness, view: String, version: Int) {
        let key = DefinitionKey(kind: .featureView, name: view)
        versions.withLock { versions in
            guard let index = versions[key]?.lastIndex(where: { $0.definition.version == version }) else { return }
            versions[key]?[index].readiness = readiness
        }
    }

    /// Whether a version of a feature view may be served.
    func isReady(view: String, version: Int) -> Bool {
        let entry = entry(DefinitionKey(kind: .featureView, name: view), version: version)
        if case .building = entry?.readiness ?? .building { return false }
        return true
    }

    /// The same, of a view that is being filled.
    func isReady(_ view: ViewEntry) -> Bool {
        isReady(view: view.definition.spec.name, version: view.definition.spec.version)
    }

    /// All versions of a definition, oldest first.
    func entries(_ key: DefinitionKey) -> [Entry] { versions.withLock { $0[key] ?? [] } }

    /// Names of one kind that ever had a version.
    func names(of kind: DefinitionKind) -> Set<String> {
        versions.withLock { Set($0.keys.filter { $0.kind == kind }.map(\.name)) }
    }

    /// One version.
    func entry(_ key: DefinitionKey, version: Int) -> Entry? {
        versions.withLock { $0[key]?.last { $0.definition.version == version } }
    }

    /// The versions in force, and the last versions of retired models.
    func current() -> (active: [DefinitionKey: Definition], retired: [DefinitionKey: Definition]) {
        versions.withLock { versions in
            var active: [DefinitionKey: Definition] = [:]
            var retired: [DefinitionKey: Definition] = [:]
            for (key, entries) in versions {
                guard let last = entries.last else { continue }
                if last.toSeq == nil {
                    active[key] = last.definition
                } else if key.kind == .model {
                    retired[key] = last.definition
                }
            }
            return (active, retired)
        }
    }

    /// Every version of every measure with the span of positions in which it counted.
    func measureSpans() -> [Entry] {
        versions.withLock { versions in
            versions.filter { $0.key.kind == .measure }.flatMap(\.value).sorted { $0.fromSeq < $1.fromSeq }
        }
    }
}

/// The newest access-log entries, for `GET /v1/access-log` before PostgreSQL has them.
final class AccessTail: Sendable {
    let entries = Mutex<[(seq: UInt64, frame: AccessFrame)]>([])

    /// Takes an entry; past the named limit the oldest goes (it is in the journal and in PostgreSQL).
    func add(_ frame: AccessFrame, seq: UInt64) {
        entries.withLock { entries in
            entries.append((seq, frame))
            if entries.count > ServiceLimits.accessEntriesMax * 2 {
                entries.removeFirst(entries.count - ServiceLimits.accessEntriesMax)
            }
        }
    }

    /// A page, newest first, with seq below `before`.
    func page(before: UInt64, limit: Int, where matches: (AccessFrame) -> Bool) -> [(seq: UInt64, frame: AccessFrame)] {
        entries.withLock { entries in
            var page: [(seq: UInt64, frame: AccessFrame)] = []
            for entry in entries.reversed() where entry.seq < before && matches(entry.frame) {
                page.append(entry)
                if page.count == limit { break }
            }
            return page
        }
    }
}
