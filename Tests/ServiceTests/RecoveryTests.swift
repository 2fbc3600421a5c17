import Features
import Foundation
import JSON
import Journal
import Synchronization
import Testing

@testable import Service

/// A journal with everything that the applier knows, written live while snapshots are taken; then memory from a snapshot
/// and the tail must be memory from all frames.
@Suite struct RecoveryTests {
    /// A data directory, gone with this object.
    final class Directory: Sendable {
        let path = NSTemporaryDirectory() + "decisiond-recovery-" + UUID().uuidString
        var journal: String { path + "/journal" }

        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func files(_ suffix: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: journal).filter { $0.hasSuffix(suffix) }.sorted()
        }
    }

    static let hashKey = HashKey([UInt8](1...16))

    static func recover(_ directory: Directory) throws -> RecoveredService {
        let artifacts = try ArtifactStore(directory: directory.path + "/artifacts")
        let zones = ZoneFiles.system
        var options = JournalOptions()
        options.segmentBytes = 256 << 10
        return try ServiceRecovery(
            storage: PosixStorage(path: directory.journal), options: options, hashKey: hashKey,
            horizonMicros: 86_400_000_000, nowMicros: 1_700_000_000_000_000,
            makeState: {
                let state = ServiceState(quarantineEntriesMax: 50, bootstrap: Self.bootstrap, shardSeed: 3)
                let applier = Applier(state: state) { history, previous in
                    let (active, retired) = history.current()
                    var compiler = SnapshotCompiler(
                        artifacts: artifacts, store: state.features, zones: zones, previous: previous)
                    return compiler.compile(active, retired: retired, isLenient: true) ?? previous
                }
                return (state, applier)
            }
        ).run()
    }

    /// The way in.
    final class Ingest: Sendable {
        let gate: Mutex<DedupeTable>

        init(_ dedupe: DedupeTable) { gate = Mutex(dedupe) }
    }

    /// A running journal with its memory.
    final class Live: Sendable {
        let recovered: RecoveredService
        let journal: ServiceJournal
        let ingest: Ingest
        let writer: MemoryWriter
        var state: ServiceState { recovered.state }

        init(_ directory: Directory) throws {
            let recovered = try RecoveryTests.recover(directory)
            self.recovered = recovered
            let observer = CommitObserver(
                applier: recovered.applier, state: recovered.state, waits: ShipWaits(), clock: WallClock(),
                onState: { _ in },
                onEvents: { _, _, _ in }, onGroup: { _, _, _, _ in })
            journal = ServiceJournal(recovered.journal, observer: observer)
            let ingest = Ingest(recovered.dedupe)
            self.ingest = ingest
            let state = recovered.state
            writer = MemoryWriter(
                state: state, hashKey: RecoveryTests.hashKey,
                identities: { number in
                    let applied = state.appliedTicket.load(ordering: .acquiring)
                    return ingest.gate.withLock { dedupe in
                        (
                            dedupe.partitions[number],
                            dedupe.reservations.pending(after: applied, partition: number)
                        )
                    }
                }, links: { [] })
        }

        func append(_ batch: FrameBatch) throws {
            for _ in 0..<100_000 {
                switch journal.append(batch) {
                case .accepted: return
                case .refused(.queueFull): usleep(100)
                case .refused(let reason): throw reason
                }
            }
        }

        func snapshot(marks: [PositionMark] = []) throws -> UInt64 {
            let capture = writer.capture()
            let file = try journal.makeSnapshot(seq: capture.seq, createdMicros: 1)
            try writer.write(capture, marks: marks, into: PartSink(file))
            try file.finish()
            return capture.seq
        }

        func stop() { journal.stop() }
    }

    private final class Flag: Sendable { let value = Atomic<Bool>(false) }

    // MARK: Frames

    static func activation(_ kind: String, _ name: String, _ version: UInt32, _ body: String) throws -> FrameBatch {
        var writer = ByteWriter()
        ActivationFrame(
            kind: kind, name: name, version: version, isRetired: false, atMicros: 5, principal: "ann", comment: "",
            body: try JSONTree(parsing: body).bytes
        ).encode(into: &writer)
        let batch = FrameBatch()
        batch.add(type: FrameType.activation.rawValue, payload: writer.bytes)
        return batch
    }

    static func definitions(version: UInt32) throws -> [FrameBatch] {
        let view = FeatureViewDefinitionTests.good
        return [
            try activation(
                "DataContract", "orders", version, String(decoding: Fixture.contractDocument().bytes, as: UTF8.self)),
            try activation(
                "FeatureView", "spend", version,
                #"{"kind":"FeatureView","name":"spend","owner":"ann","spec":\#(view)}"#),
            try activation(
                "Measure", "revenue", 1,
                """
                {"kind":"Measure","name":"revenue","owner":"ann","spec":{"stream":"orders","aggregate":"sum",
                 "of":"data.amount",\(MeasureRollupsTests.dimension)}}
                """),
        ]
    }

    static func event(_ number: Int, _ random: inout SeededGenerator) -> (payload: [UInt8], identity: Hash128) {
        let subject = "customer \(Int.random(in: 0..<60, using: &random))"
        let time = 1_700_000_000 - Int.random(in: 0..<900_000, using: &random)
        let stamp = ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: Double(time)))
        let amount = Int.random(in: -500...9_999, using: &random)
        let raw = """
            {"specversion":"1.0","id":"e\(number)","source":"/shop","type":"shop.order","subject":"\(subject)",
             "time":"\(stamp)","data":{"product":"p\(number % 7)","quantity":\(number % 5),"amount":\(amount).25}}
            """
        var writer = ByteWriter()
        ["orders", "/shop", "e\(number)", "shop.order", subject, raw].withBuffers { parts in
            EventFrame(
                contract: parts[0], contractVersion: 1, ingestMicros: 1_700_000_000_000_000 + Int64(number),
                eventMicros: Int64(time) * 1_000_000, contentHash: UInt64(number), source: parts[1], id: parts[2],
                type: parts[3], subject: parts[4], raw: parts[5]
            ).encode(into: &writer)
        }
        return (writer.bytes, identity(number))
    }

    static func identity(_ number: Int) -> Hash128 {
        var hasher = Hasher128(hashKey)
        hasher.add("/shop")
        hasher.add("e\(number)")
        return hasher.finish()
    }

    /// Frames of every other kind.
    static func other(_ number: Int, _ random: inout SeededGenerator, into batch: FrameBatch) {
        let types: [FrameType] = [.quarantine, .duplicates, .decision, .outcome, .access, .key]
        let type = types[number % types.count]
        batch.add(type: type.rawValue, payload: FramesTests.sample(type, &random))
    }

    /// Sends events and other frames; the journal has taken all of them when this returns.
    static func send(_ range: Range<Int>, to live: Live, seed: UInt64) throws {
        var random = SeededGenerator(seed)
        var number = range.lowerBound
        while number < range.upperBound {
            let batch = FrameBatch()
            let end = min(range.upperBound, number + Int.random(in: 1...12, using: &random))
            var events: [(payload: [UInt8], identity: Hash128)] = []
            for index in number..<end { events.append(event(index, &random)) }
            other(number, &random, into: batch)
            try live.ingest.gate.withLock { [events] gate in
                for (offset, event) in events.enumerated() {
                    let verdict = gate.admit(
                        event.identity, content: UInt64(number + offset), nowMicros: 1_700_000_000_000_000)
                    #expect(verdict == .new)
                    batch.add(type: FrameType.event.rawValue, payload: event.payload)
                }
                batch.token = gate.reservations.send(
                    events.map(\.identity), applied: live.state.appliedTicket.load(ordering: .acquiring))
                try live.append(batch)
            }
            number = end
        }
    }

    /// Waits until so many events are applied.
    static func settle(_ live: Live, _ events: Int) {
        while live.state.quality.ledger("orders").hours.values.reduce(0, { $0 + $1.accepted }) < events {
            usleep(1_000)
        }
    }

    // MARK: Comparing

    /// Everything that anybody can ask memory for, in words.
    static func told(_ recovered: RecoveredService, events: Int) throws -> [String] {
        let state = recovered.state
        var told: [String] = []
        let view = try #require(state.snapshot.views["spend"])
        var vector = FeatureVector()
        for entity in 0..<60 {
            for asOf in [Int64(1_699_500_000_000_000), 1_700_000_000_000_000] {
                state.features.read("customer \(entity)", view.plan, asOf: asOf, into: &vector)
                told.append("customer \(entity) \(vector.values) \(vector.lastEventTimes) \(vector.status)")
            }
        }
        for row in state.rollups.rows("revenue", version: 1) {
            told.append("\(row.bucket) \(row.dimensions) \(row.state.columns)")
        }
        let registry = state.rollups.registry("revenue", version: 1)
        told.append("\((0...(registry?.count ?? 0)).map { registry?.dimensions($0) ?? [] })")
        for contract in ["orders", QualityLedger.unattributed] {
            let hours = state.quality.ledger(contract).hours.sorted { $0.key < $1.key }
            for (start, hour) in hours {
                told.append("\(start) \(hour.quarantined.sorted { $0.key < $1.key }) \(hour.nulls) \(hour.accepted)")
                told.append(
                    "\(hour.duplicates) \(hour.contentDiffers) \(hour.lastEventMicros) \(hour.lastIngestMicros)")
            }
        }
        for entry in state.quarantine.page(after: 0, limit: .max, where: { _ in true }) {
            told.append("\(entry.seq) \(entry.count) \(entry.lastMicros) \(entry.isOpen) \(entry.frame)")
        }
        told.append("\(state.quarantine.counts) \(state.quarantine.hasIdentities)")
        for record in state.records.newest(limit: .max) {
            told.append("\(record) \(state.records.outcomes(record.id))")
        }
        told.append("\(state.records.count) \(state.keys.map(\.id))")
        for entry in state.accessLog.page(before: .max, limit: .max, where: { _ in true }) { told.append("\(entry)") }
        for (key, entry) in state.idempotency.capture().entries.sorted(by: { $0.key.high < $1.key.high }) {
            told.append("\(key) \(entry)")
        }
        var dedupe = recovered.dedupe
        told.append("\(dedupe.count)")
        for number in 0..<(events + 5) {
            let verdict = dedupe.admit(identity(number), content: UInt64(number), nowMicros: 1_700_000_000_000_000)
            #expect((verdict == .new) == (number >= events), "event \(number): \(verdict)")
        }
        told.append(
            "\(state.history.capture().map { "\($0.activation) \($0.fromSeq) \(String(describing: $0.toSeq))" })")
        return told
    }

    @Test(arguments: [UInt64(1), 2, 3]) func aSnapshotAndItsTailAreTheWholeJournal(_ seed: UInt64) throws {
        let directory = try Directory()
        let live = try Live(directory)
        for batch in try Self.definitions(version: 1) { try live.append(batch) }
        try Self.send(0..<200, to: live, seed: seed)
        let isDone = Flag()
        Threads.start("traffic") {
            do { try Self.send(200..<1_600, to: live, seed: seed + 10) } catch { Issue.record("\(error)") }
            isDone.value.store(true, ordering: .releasing)
        }
        var random = SeededGenerator(seed)
        var taken: [UInt64] = []
        // The snapshot that the change falls into may be passed over; on a slow machine it is one of few.
        while !isDone.value.load(ordering: .acquiring) || taken.count < 4 {
            taken.append(try live.snapshot(marks: [PositionMark(seq: 1, micros: 2)]))
            _ = try live.journal.pruneSnapshots()
            // A view that changes between the position of a snapshot and those of its shards.
            if taken.count == 1 { try live.append(Self.definitions(version: 2)[1]) }
            usleep(UInt32.random(in: 0...30_000, using: &random))
        }
        try Self.send(1_600..<1_650, to: live, seed: seed + 20)
        live.stop()
        let quick = try Self.recover(directory)
        quick.journal.abandon()
        let newest = try #require(taken.last)
        #expect(quick.outcome.snapshotSeq == newest && quick.outcome.passedOver.isEmpty, "\(quick.outcome.passedOver)")
        #expect(quick.outcome.journal.framesReplayed == quick.outcome.journal.lastSeq - newest)
        #expect(quick.outcome.unavailableViews.isEmpty)
        #expect(quick.outcome.marks == [PositionMark(seq: 1, micros: 2)])
        for name in try directory.files(".snapshot") {
            try FileManager.default.removeItem(atPath: directory.journal + "/" + name)
        }
        let whole = try Self.recover(directory)
        whole.journal.abandon()
        #expect(whole.outcome.snapshotSeq == nil)
        let (one, other) = (try Self.told(quick, events: 1_650), try Self.told(whole, events: 1_650))
        for (left, right) in zip(one, other) where left != right {
            Issue.record("restored: \(left.prefix(600))\nreplayed: \(right.prefix(600))")
            break
        }
        #expect(one.count == other.count && one.count > 500)
        #expect(
            quick.state.appliedSeq.load(ordering: .relaxed) == whole.state.appliedSeq.load(ordering: .relaxed))
    }

    @Test func damageFallsBackAndMissingFramesAreRefused() throws {
        let directory = try Directory()
        let live = try Live(directory)
        for batch in try Self.definitions(version: 1) { try live.append(batch) }
        try Self.send(0..<900, to: live, seed: 5)
        Self.settle(live, 900)
        let older = try live.snapshot()
        try Self.send(900..<1_800, to: live, seed: 6)
        Self.settle(live, 1_800)
        let newest = try live.snapshot()
        try Self.send(1_800..<1_900, to: live, seed: 7)
        #expect(try live.journal.removeSegments(below: older + 1) > 0)
        live.stop()
        let names = try directory.files(".snapshot")
        #expect(names.count == 2)
        let path = directory.journal + "/" + names[1]
        let good = try Data(contentsOf: URL(fileURLWithPath: path))
        let first = try Self.recover(directory)
        first.journal.abandon()
        let expected = try Self.told(first, events: 1_900)
        #expect(first.outcome.snapshotSeq == newest)
        for place in stride(from: 3, to: good.count, by: good.count / 7) {
            var bad = good
            bad[bad.startIndex + place] ^= 0x10
            try bad.write(to: URL(fileURLWithPath: path))
            let found = try Self.recover(directory)
            found.journal.abandon()
            #expect(found.outcome.snapshotSeq == older && found.outcome.passedOver.map(\.seq) == [newest])
            #expect(try Self.told(found, events: 1_900) == expected)
        }
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.removeItem(atPath: directory.journal + "/" + names[0])
        do {
            _ = try Self.recover(directory)
            Issue.record("frames are missing, and nobody said so")
        } catch let error as ServiceError {
            #expect(error.code == "journal_incomplete" && error.description.contains("frames 1 to"))
        }
    }

    /// A reservation on its way to the disk is in no snapshot; one whose frame is applied is.
    @Test func reservationsStayOut() {
        var reservations = Reservations()
        let (one, two, three) = (Hash128(high: 1, low: 1), Hash128(high: 2, low: 2), Hash128(high: 3, low: 3))
        #expect(reservations.send([one], applied: 0) == 1)
        let second = reservations.send([two], applied: 0)
        #expect(second == 2)
        #expect(reservations.send([three], applied: 0) == 3)
        #expect(reservations.send([], applied: 0) == 0)
        #expect(reservations.pending(after: 0) == [one, two, three])
        #expect(reservations.pending(after: 1, partition: 0) == [two, three])
        #expect(reservations.pending(after: 1, partition: 1).isEmpty)
        reservations.cancel(second)
        #expect(reservations.pending(after: 1) == [three])
        // Reserved again by a later slice, which is applied: it is an accepted event now.
        #expect(reservations.send([two], applied: 1) == 4)
        #expect(reservations.pending(after: 4).isEmpty)
    }

    /// The identities of a snapshot are handed over, not shared: frames that come after it would copy the tables.
    @Test func identitiesAreHandedOver() throws {
        let directory = try Directory()
        let live = try Live(directory)
        for batch in try Self.definitions(version: 1) { try live.append(batch) }
        try Self.send(0..<300, to: live, seed: 9)
        Self.settle(live, 300)
        let seq = try live.snapshot()
        live.stop()
        let state = ServiceState(quarantineEntriesMax: 5, bootstrap: Self.bootstrap, shardSeed: 3)
        let applier = Applier(state: state) { _, previous in previous }
        var restorer = StateRestorer(
            state, applier, Self.hashKey, dedupe: DedupeTable(horizonMicros: 1, nowMicros: 0))
        try SnapshotFiles.read(seq: seq, in: PosixStorage(path: directory.journal)) {
            (_, piece) throws(ReplayRefusal) in try restorer.take(piece)
        }
        try restorer.finish(seq: seq)
        #expect(restorer.takeDedupe().count == 300 && restorer.dedupe.count == 0)
    }

    /// Parts changed at random behind the checksums' back: refused or taken, never a crash.
    @Test func hostileParts() throws {
        let directory = try Directory()
        let live = try Live(directory)
        for batch in try Self.definitions(version: 1) { try live.append(batch) }
        try Self.send(0..<300, to: live, seed: 9)
        Self.settle(live, 300)
        let seq = try live.snapshot()
        live.stop()
        var pieces: [(part: String, position: UInt64, bytes: [UInt8])] = []
        let storage = try PosixStorage(path: directory.journal)
        try SnapshotFiles.read(seq: seq, in: storage) { (_, piece) throws(ReplayRefusal) in
            switch piece {
            case .part(let name, let position): pieces.append((name, position, []))
            case .data(let bytes): pieces[pieces.count - 1].bytes += Array(bytes)
            }
        }
        var random = SeededGenerator(10)
        let small = pieces.indices.filter { !pieces[$0].part.hasPrefix("features") && !pieces[$0].bytes.isEmpty }
        for _ in 0..<400 {
            var bad = pieces
            let victim = small.randomElement(using: &random) ?? 0
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let place = Int.random(in: bad[victim].bytes.indices, using: &random)
                bad[victim].bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            let state = ServiceState(quarantineEntriesMax: 5, bootstrap: Self.bootstrap, shardSeed: 3)
            let applier = Applier(state: state) { _, previous in previous }
            var restorer = StateRestorer(
                state, applier, Self.hashKey, dedupe: DedupeTable(horizonMicros: 1, nowMicros: 0))
            do throws(ReplayRefusal) {
                for piece in bad {
                    try restorer.take(.part(name: piece.part, position: piece.position))
                    try piece.bytes.withUnsafeBufferPointer { (bytes) throws(ReplayRefusal) in
                        try restorer.take(.data(UnsafeRawBufferPointer(bytes)))
                    }
                }
                try restorer.finish(seq: seq)
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }

    /// Versions of models and their stages outlive a restart; a snapshot of a version that had none is taken as well.
    @Test func stagesOfModels() throws {
        let directory = try Directory()
        let live = try Live(directory)
        let body = #"{"kind":"Model","name":"risk","spec":{"artifact":{"sha256":"\#(ModelDefinitionTests.hash)"}}}"#
        for (version, stage, document) in [(UInt32(1), "candidate", body), (2, "candidate", body), (1, "shadow", "")] {
            var writer = ByteWriter()
            ModelStageFrame(
                name: "risk", version: version, stage: stage, atMicros: 7, principal: "ann", reason: "why",
                body: Array(document.utf8)
            ).encode(into: &writer)
            let batch = FrameBatch()
            batch.add(type: FrameType.modelStage.rawValue, payload: writer.bytes)
            try live.append(batch)
        }
        try live.append(try Self.activation("Model", "risk", 2, body))
        while live.state.appliedSeq.load(ordering: .acquiring) < 4 { usleep(1_000) }
        let seq = try live.snapshot()
        func told(_ state: ServiceState) -> [String] {
            state.registry.versions("risk", state.history).map {
                "\($0.number) " + $0.changes.map(\.stage.rawValue).joined(separator: ",")
            }
        }
        let wanted = ["1 candidate,shadow", "2 candidate,champion"]
        #expect(told(live.state) == wanted && live.state.registry.lastVersion("risk") == 2)
        live.stop()
        #expect(told(try Self.recover(directory).state) == wanted)

        func restored(without part: String) throws -> ServiceState {
            let state = ServiceState(quarantineEntriesMax: 5, bootstrap: Self.bootstrap, shardSeed: 3)
            let applier = Applier(state: state) { _, previous in previous }
            var restorer = StateRestorer(
                state, applier, Self.hashKey, dedupe: DedupeTable(horizonMicros: 1, nowMicros: 0))
            var isLeftOut = false
            try SnapshotFiles.read(seq: seq, in: PosixStorage(path: directory.journal)) {
                (_, piece) throws(ReplayRefusal) in
                if case .part(let name, _) = piece { isLeftOut = name == part }
                if !isLeftOut { try restorer.take(piece) }
            }
            try restorer.finish(seq: seq)
            return state
        }
        #expect(told(try restored(without: "")) == wanted)
        #expect(told(try restored(without: "models")) == ["2 champion"])
        #expect(throws: ReplayRefusal.self) { try restored(without: "keys") }
    }

    private static let bootstrap = KeyFrame(
        id: "k", name: "first", hash: [], roles: [], createdMicros: 0, expiresMicros: 0, revokedMicros: 0)
}
