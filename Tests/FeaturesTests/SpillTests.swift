import Features
import Testing

/// Rows that leave memory and come back from what PostgreSQL holds, and tables that are filled while live events arrive:
/// every value must be the one that a table sees that had all events from the start.
@Suite struct SpillTests {
    /// One frame of the journal: an event, or a correction that ends an earlier one and may put one in its place.
    struct Change {
        let seq: Int64
        let ingestTime: Int64
        var old: FeatureEvent?
        var event: FeatureEvent?

        func apply(to store: FeatureStore) {
            guard let old else {
                if let event { store.apply(view: 0, event) }
                return
            }
            store.correct(
                view: 0, SupersededEvent(entity: old.entity, time: old.time, seq: old.seq),
                by: Supersession(seq: seq, ingestTime: ingestTime), with: event)
        }
    }

    /// Stands for PostgreSQL: every event by entity, and what ended it.
    struct Stored {
        var events: [String: [FeatureEvent]] = [:]
        var ends: [Int64: Supersession] = [:]

        init(_ changes: [Change] = []) {
            for change in changes { add(change) }
        }

        mutating func add(_ change: Change) {
            if let event = change.event { events[event.entity, default: []].append(event) }
            if let old = change.old { ends[old.seq] = Supersession(seq: change.seq, ingestTime: change.ingestTime) }
        }

        /// The latest events of position <= `through`, ascending, at most one more than fit; corrections after it are not
        /// there yet.
        func latest(_ entity: String, through: Int64, limit: Int) -> [FeatureEvent] {
            var known = (events[entity] ?? []).filter { $0.seq <= through }
            for index in known.indices {
                if let end = ends[known[index].seq], end.seq <= through { known[index].superseded = end }
            }
            return Array(known.sorted { ($0.time, $0.source, $0.id) < ($1.time, $1.source, $1.id) }.suffix(limit + 1))
        }
    }

    /// Events of some entities in journal order, every fifth one a correction, some of those retractions.
    static func changes(_ count: Int, entities: Int, _ random: inout SeededGenerator) -> [Change] {
        var standing: [FeatureEvent] = []
        return OracleTests.events(count, &random).enumerated().map { number, template in
            var event = template
            event.entity = "entity-\(Int.random(in: 0..<entities, using: &random))"
            event.seq = Int64(number)
            var change = Change(seq: event.seq, ingestTime: event.ingestTime, event: event)
            if Int.random(in: 0..<5, using: &random) == 0, let index = standing.indices.randomElement(using: &random) {
                change.old = standing.remove(at: index)
                if Int.random(in: 0..<3, using: &random) == 0 { change.event = nil }
            }
            if let event = change.event { standing.append(event) }
            return change
        }
    }

    /// Reads an entity, fetching what is spilled first; how often something had to be fetched is added to `fetched`.
    static func read(
        _ store: FeatureStore, _ plan: FeaturePlan, _ entity: String, asOf: Int64, knownAt: KnownAt, _ stored: Stored,
        limit: Int, fetched: inout Int, into vector: inout FeatureVector
    ) {
        store.read(entity, plan, asOf: asOf, knownAt: knownAt, into: &vector)
        guard vector.status == .spilled else { return }
        #expect(vector.values.allSatisfy { $0 == .null(.featureUnavailable) } || plan.views.count > 1)
        for missing in store.spilledViews(entity, plan) {
            let events = stored.latest(entity, through: missing.through, limit: limit)
            #expect(store.restore(missing, entity: entity, events: events))
            #expect(!store.restore(missing, entity: entity, events: events))
            fetched += 1
        }
        store.read(entity, plan, asOf: asOf, knownAt: knownAt, into: &vector)
        #expect(vector.status != .spilled)
    }

    @Test(arguments: [10_000, 20]) func spilledAndFetchedEqualsNeverSpilled(entityEventsMax: Int) throws {
        var random = SeededGenerator(UInt64(entityEventsMax))
        let view = try OracleTests.view(entityEventsMax: entityEventsMax)
        var (vector, expected) = (FeatureVector(), FeatureVector())
        var (spilled, fetched, compared) = (0, 0, 0)
        for _ in 0..<25 {
            let (small, whole) = (FeatureStore(shards: 2), FeatureStore(shards: 2))
            let smallPlan = try small.plan(view: small.add(view, canSpill: true))
            let wholePlan = try whole.plan(view: whole.add(view))
            var stored = Stored()
            let entities = (0..<6).map { "entity-\($0)" }
            for (number, change) in Self.changes(240, entities: 6, &random).enumerated() {
                change.apply(to: small)
                change.apply(to: whole)
                stored.add(change)
                if Int.random(in: 0..<6, using: &random) == 0 {
                    // Shipping lies somewhat behind.
                    spilled +=
                        small.spill(to: 0, through: Int64(number) - Int64.random(in: 0..<8, using: &random)).spilled
                }
                guard Int.random(in: 0..<5, using: &random) == 0 else { continue }
                let entity = entities.randomElement(using: &random) ?? entities[0]
                let knownAt: KnownAt = Bool.random(using: &random) ? .latest : .seq(change.seq / 2)
                guard let event = change.event ?? change.old else { continue }
                for asOf in OracleTests.instants([event], &random).dropFirst() {
                    Self.read(
                        small, smallPlan, entity, asOf: asOf, knownAt: knownAt, stored, limit: entityEventsMax,
                        fetched: &fetched, into: &vector)
                    whole.read(entity, wholePlan, asOf: asOf, knownAt: knownAt, into: &expected)
                    #expect(vector.values == expected.values)
                    #expect(vector.status == expected.status)
                    #expect(vector.lastEventTimes == expected.lastEventTimes)
                    compared += 1
                }
            }
        }
        #expect(spilled > 200 && fetched > 200 && compared > 1_000)
    }

    /// What is not in PostgreSQL yet stays, and what was used since the last turn goes only after one more.
    @Test func onlyWhatIsStoredAndUnusedGoes() throws {
        let store = FeatureStore(shards: 1)
        let view = store.add(try FeatureStoreTests.smallView(), canSpill: true)
        let kept = store.add(try FeatureStoreTests.smallView("kept"), canSpill: false)
        let plan = try store.plan(view: view)
        var vector = FeatureVector()
        for number in 1...10 {
            store.apply(view: view, FeatureStoreTests.event("e\(number)", Int64(number)))
            store.apply(view: kept, FeatureStoreTests.event("e\(number)", Int64(number)))
        }
        let nothing = store.spill(to: 1 << 30, through: 10)
        #expect(nothing.spilled == 0 && nothing.isEnough)
        #expect(store.spill(to: 0, through: 7).spilled == 7)
        #expect(store.spilledCount == 7)
        #expect(store.counts.events == 13)
        store.read("e8", plan, asOf: 100, into: &vector)
        #expect(vector.status == .complete && vector.values[0] == .integer(1))
        store.read("e1", plan, asOf: 100, into: &vector)
        #expect(vector.status == .spilled && vector.values[0] == .null(.featureUnavailable))
        #expect(store.spilledViews("e1", plan).map(\.through) == [7])
        #expect(store.spilledViews("e8", plan) == [])
        // An event that PostgreSQL has is not taken twice; a newer one waits beside the mark.
        #expect(store.apply(view: view, FeatureStoreTests.event("e1", 1)) == .belowMemory)
        #expect(store.apply(view: view, FeatureStoreTests.event("e1", 20)) == .applied)
        store.read("e1", plan, asOf: 100, into: &vector)
        #expect(vector.status == .spilled)
        store.erase(entityType: "customer", entity: "e1")
        store.read("e1", plan, asOf: 100, into: &vector)
        #expect(vector.status == .complete && vector.values[0] == .integer(0))
    }

    /// Spilling gives memory back although it only drops single rows of many chunks.
    @Test func spillingFreesMemory() throws {
        let store = FeatureStore(shards: 2)
        let view = store.add(try OracleTests.view(), canSpill: true)
        var random = SeededGenerator(5)
        let template = OracleTests.events(30, &random)
        for round in 0..<30 {
            for entity in 0..<500 {
                var event = template[round]
                event.entity = "entity-\(entity)"
                event.seq = Int64(round * 500 + entity)
                store.apply(view: view, event)
            }
        }
        let full = store.bytesUsed
        let report = store.spill(to: full / 2, through: 1 << 40)
        #expect(report.isEnough && store.bytesUsed <= full / 2)
        #expect(store.counts.entities == 500)
        #expect(store.spilledCount == report.spilled)
        let rest = store.spill(to: 0, through: 1 << 40)
        #expect(!rest.isEnough)
        #expect(store.counts.events == 0 && store.spilledCount == 500)
        store.remove(view: view)
        #expect(store.counts == (0, 0))
    }

    /// Nothing that rows once needed stays for good: chunks, layouts of every shape that came by, texts. A store whose
    /// events are all in PostgreSQL could otherwise pass its bound with nothing left to spill, and take no event again.
    @Test func spillingGivesBackWhatRowsNeeded() throws {
        let store = FeatureStore(shards: 2)
        let view = store.add(try OracleTests.view(), canSpill: true)
        var random = SeededGenerator(29)
        var seq: Int64 = 0
        func round(entities: Int, events: Int) {
            for var event in OracleTests.events(events, &random) {
                seq += 1
                event.seq = seq * Int64.random(in: 1...3, using: &random) << Int64.random(in: 0...20, using: &random)
                event.ingestTime += Int64.random(in: 0...1, using: &random) << Int64.random(in: 0...50, using: &random)
                event.entity = "entity-\(Int.random(in: 0..<entities, using: &random))"
                store.apply(view: view, event)
            }
            _ = store.spill(to: 0, through: .max)
        }
        round(entities: 300, events: 300)
        #expect(store.counts.events == 0)
        let least = store.bytesUsed
        for _ in 0..<40 { round(entities: 300, events: 2_000) }
        #expect(store.counts.events == 0)
        #expect(store.bytesUsed <= least + 16_384)
        // Rows that stay keep no more than they need.
        for _ in 0..<4 { round(entities: 300, events: 2_000) }
        round(entities: 1, events: 1)
        #expect(store.bytesUsed <= least + 16_384)
    }

    /// A table filled with older events while newer ones arrive, in whatever order, sees what one sees that had all.
    @Test func backFilledEqualsAllLive() throws {
        var random = SeededGenerator(17)
        var (vector, expected) = (FeatureVector(), FeatureVector())
        for round in 0..<40 {
            let limit = round % 2 == 0 ? 10_000 : 20
            let view = try OracleTests.view(entityEventsMax: limit)
            let (filled, whole) = (FeatureStore(shards: 1), FeatureStore(shards: 1))
            let filledPlan = try filled.plan(view: filled.add(view, canSpill: true, isFilling: true))
            let wholePlan = try whole.plan(view: whole.add(view))
            let changes = Self.changes(80, entities: 2, &random)
            let stored = Stored(changes)
            for change in changes { change.apply(to: whole) }
            let activation = Int.random(in: 0..<80, using: &random)
            var (old, live) = (Array(changes[...activation]), Array(changes[(activation + 1)...]))
            while !old.isEmpty || !live.isEmpty {
                let takesOld = live.isEmpty || (!old.isEmpty && Bool.random(using: &random))
                (takesOld ? old.removeFirst() : live.removeFirst()).apply(to: filled)
                // Everything may be spilled in the middle: what the back-fill brings later is then in PostgreSQL.
                if Int.random(in: 0..<40, using: &random) == 0 {
                    _ = filled.spill(to: 0, through: Int64(79 - live.count))
                }
            }
            filled.filled(view: 0)
            var fetched = 0
            let events = changes.compactMap { $0.event ?? $0.old }
            for (number, asOf) in OracleTests.instants(events, &random).enumerated() {
                let entity = "entity-\(number % 2)"
                for knownAt in [KnownAt.latest, .seq(40)] {
                    Self.read(
                        filled, filledPlan, entity, asOf: asOf, knownAt: knownAt, stored, limit: limit,
                        fetched: &fetched, into: &vector)
                    whole.read(entity, wholePlan, asOf: asOf, knownAt: knownAt, into: &expected)
                    #expect(vector.values == expected.values)
                    #expect(vector.status == expected.status)
                }
            }
        }
    }
}
