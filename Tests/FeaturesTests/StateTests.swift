import Foundation
import Testing

@testable import Features

/// Shards saved and put back: the same answers as a store that was never stopped, and no bytes that could do harm.
@Suite struct StateTests {
    private struct Pair {
        let store: FeatureStore
        let plans: [FeaturePlan]
        let views: [SavedView]

        init(_ definitions: [FeatureView], seed: UInt64 = 7, shards: Int = 4) throws {
            store = FeatureStore(shards: shards, seed: seed)
            var views: [SavedView] = []
            for view in definitions {
                views.append(SavedView(index: store.add(view), name: view.name, fingerprint: 99))
            }
            self.views = views
            plans = try views.map { [store] in try store.plan(view: $0.index) }
        }
    }

    private static func definitions(cap: Int = 10_000, retention: Int64? = nil) throws -> [FeatureView] {
        [
            try OracleTests.view(entityEventsMax: cap, retention: retention),
            try FeatureStoreTests.smallView("small"), try FeatureStoreTests.smallView("shops", entity: "shop"),
        ]
    }

    /// Applies the event `number` to every view, in the rows that each takes.
    private static func apply(_ event: FeatureEvent, _ number: Int64, to pair: Pair) {
        var event = event
        event.seq = number
        event.entity = "entity \(number % 37)"
        pair.store.apply(view: pair.views[0].index, event)
        var small = FeatureStoreTests.event(event.entity, number)
        small.entity = event.entity
        pair.store.apply(view: pair.views[1].index, small)
        small.entity = "shop \(number % 5)"
        pair.store.apply(view: pair.views[2].index, small)
        pair.store.advance(to: number)
    }

    private static func answers(_ pair: Pair, times: [Int64], entities: Int = 37) -> [[FeatureValue]] {
        var answers: [[FeatureValue]] = []
        var vector = FeatureVector()
        for (number, plan) in pair.plans.enumerated() {
            let names = number == 2 ? (0..<5).map { "shop \($0)" } : (0..<entities).map { "entity \($0)" }
            for entity in names {
                for time in times {
                    for known in [KnownAt.latest, .seq(120), .ingestTime(5_000)] {
                        pair.store.read(entity, plan, asOf: time, knownAt: known, into: &vector)
                        answers.append(vector.values)
                    }
                }
            }
        }
        return answers
    }

    @Test(arguments: [UInt64(1), 2, 3, 4]) func savedAndRestoredAtRandomPositions(_ seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let definitions = try Self.definitions(
            cap: seed == 2 ? 5 : 10_000, retention: seed == 3 ? 1_000_000_000 : nil)
        let events = OracleTests.events(250, &random)
        let whole = try Pair(definitions)
        let restored = try Pair(definitions)
        // Every shard is saved at a position of its own.
        let positions = (0..<4).map { _ in Int.random(in: 0...200, using: &random) }
        for (index, event) in events.enumerated() {
            for shard in 0..<4 where positions[shard] == index {
                let bytes = whole.store.encodeShard(shard, views: whole.views)
                let missing = try restored.store.restoreShard(
                    shard, from: bytes, seq: Int64(index), views: restored.views)
                #expect(missing.isEmpty)
            }
            Self.apply(event, Int64(index + 1), to: whole)
        }
        // The tail from the first event on: what a shard holds already is passed over.
        for (index, event) in events.enumerated() { Self.apply(event, Int64(index + 1), to: restored) }
        let times = (0..<2).map { _ in events.randomElement(using: &random)?.time ?? 0 } + [Int64(1) << 50]
        #expect(Self.answers(whole, times: times) == Self.answers(restored, times: times))
        #expect(whole.store.counts == restored.store.counts)
        // Saved again, both are the same size but for spare layouts.
        for shard in 0..<4 {
            let again = try Pair(definitions)
            let bytes = restored.store.encodeShard(shard, views: restored.views)
            #expect(try again.store.restoreShard(shard, from: bytes, seq: 250, views: again.views).isEmpty)
        }
    }

    /// A spilled entity must come back as one that is to be fetched, never as one without events.
    @Test func spilledEntitiesStaySpilled() throws {
        func store() throws -> (store: FeatureStore, view: SavedView, plan: FeaturePlan) {
            let store = FeatureStore(shards: 1, seed: 7)
            let index = store.add(try FeatureStoreTests.smallView("small"), canSpill: true)
            return (
                store, SavedView(index: index, name: "small", fingerprint: 1), try store.plan(view: index)
            )
        }
        let (before, view, plan) = try store()
        for seq in Int64(1)...20 { before.apply(view: view.index, FeatureStoreTests.event("e\(seq % 4)", seq)) }
        #expect(before.spill(to: 0, through: 20).spilled == 4)
        before.apply(view: view.index, FeatureStoreTests.event("e1", 21))
        let old = SupersededEvent(entity: "e2", time: FeatureStoreTests.event("e2", 2).time, seq: 2)
        before.correct(view: view.index, old, by: Supersession(seq: 22, ingestTime: 22), with: nil)
        let (after, _, afterPlan) = try store()
        let bytes = before.encodeShard(0, views: [view])
        #expect(try after.restoreShard(0, from: bytes, seq: 22, views: [view]).isEmpty)
        var vector = FeatureVector()
        for entity in ["e0", "e1", "e2", "e3"] {
            #expect(after.spilledViews(entity, plan) == before.spilledViews(entity, plan))
            after.read(entity, afterPlan, asOf: 1 << 50, into: &vector)
            #expect(vector.status == .spilled, "\(entity)")
        }
        #expect(after.encodeShard(0, views: [view]).count == bytes.count)
    }

    @Test func rowsOfAnotherMakeAreUnavailable() throws {
        let full = try Pair(try Self.definitions(), shards: 1)
        var random = SeededGenerator(5)
        for (index, event) in OracleTests.events(50, &random).enumerated() {
            Self.apply(event, Int64(index + 1), to: full)
        }
        let bytes = full.store.encodeShard(0, views: full.views)
        // Another definition of one, another kind of column of the other, and a view that was not there.
        let changed = try FeatureView.compile(
            FeatureViewSpec(
                name: "shops", version: 1, contract: "c", entity: "shop",
                columns: [ColumnSpec(name: "amount", kind: .integer, path: "")],
                features: [FeatureSpec(name: "sum", aggregate: .sum, column: "amount", window: .allHistory)]))
        let store = FeatureStore(shards: 1, seed: 7)
        let definitions = [
            try OracleTests.view(), changed, try FeatureStoreTests.smallView("new"),
            try FeatureStoreTests.smallView("small"),
        ]
        var views: [SavedView] = []
        for (number, view) in definitions.enumerated() {
            views.append(
                SavedView(index: store.add(view), name: view.name, fingerprint: number == 0 ? 98 : 99))
        }
        let missing = try store.restoreShard(0, from: bytes, seq: 50, views: views)
        #expect(missing == ["new", "shops", definitions[0].name].sorted())
        var vector = FeatureVector()
        for view in views {
            let entity = view.name == "shops" ? "shop 1" : "entity 1"
            store.read(entity, try store.plan(view: view.index), asOf: 1 << 50, into: &vector)
            let isThere = view.name == "small"
            #expect((vector.status == .complete) == isThere, "\(view.name)")
        }
    }

    /// Bytes changed at random behind the checksum's back: refused or taken, never a crash, and what was taken can be
    /// read, grown and saved.
    @Test(arguments: [UInt64(11), 12]) func hostileBytes(_ seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let definitions = try Self.definitions(cap: 40)
        let full = try Pair(definitions, shards: 1)
        let events = OracleTests.events(120, &random)
        for (index, event) in events.enumerated() { Self.apply(event, Int64(index + 1), to: full) }
        let good = full.store.encodeShard(0, views: full.views)
        var refused = 0
        for _ in 0..<Self.hostileRounds {
            var bad = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: bad.indices, using: &random)
                bad[index] =
                    [0, 1, 0x7F, 0xFF, UInt8.random(in: 0...255, using: &random)]
                    .randomElement(using: &random) ?? 0
            }
            if Bool.random(using: &random) { bad.removeLast(Int.random(in: 0..<bad.count, using: &random)) }
            let target = try Pair(definitions, shards: 1)
            do throws(FeatureRestoreError) {
                _ = try target.store.restoreShard(0, from: bad, seq: 10, views: target.views)
                for (index, event) in events[..<20].enumerated() { Self.apply(event, Int64(index + 500), to: target) }
                _ = Self.answers(target, times: [0, 1 << 50], entities: 6)
                _ = target.store.encodeShard(0, views: target.views)
            } catch {
                refused += 1
            }
        }
        #expect(refused > Self.hostileRounds / 4)
    }

    private static let hostileRounds =
        ProcessInfo.processInfo.environment["DECISIOND_TEST_LONG"] == "1" ? 20_000 : 250

    @Test func shardsAreTheSameInEveryProcess() {
        let hash = ShardHash(seed: 1)
        #expect(hash.shard(of: "customer-1", shards: 128) == ShardHash(seed: 1).shard(of: "customer-1", shards: 128))
        var counts = [Int](repeating: 0, count: 16)
        for number in 0..<16_000 { counts[hash.shard(of: "C\(number)", shards: 16)] += 1 }
        #expect(counts.allSatisfy { (800...1_200).contains($0) }, "\(counts)")
        // Fixed for ever: a snapshot of an older binary is put back by this one.
        #expect((0..<6).map { hash.shard(of: "customer-\($0)", shards: 1024) } == Self.fixed)
    }

    /// What the hash gave when it was written.
    private static let fixed = [401, 367, 157, 27, 1018, 880]
}
