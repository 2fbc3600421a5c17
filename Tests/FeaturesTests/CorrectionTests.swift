import Features
import Foundation
import Testing

/// Histories in which events are replaced and taken back, read with several `known_at`, against the definition: an event
/// counts when it is known and nothing known has superseded it.
@Suite struct CorrectionTests {
    /// One step of a history, in journal order.
    struct Step {
        var event: FeatureEvent?
        /// Index of the step whose event it supersedes.
        var corrects: Int?
        var end: Supersession
    }

    /// Histories a test goes through; many more in the long run.
    static let rounds = ProcessInfo.processInfo.environment["DECISIOND_TEST_LONG"] == "1" ? 400 : 16

    /// Events, four in ten of them corrections of an earlier version; some versions are retractions.
    static func history(_ count: Int, _ random: inout SeededGenerator) -> [Step] {
        var steps: [Step] = []
        // The current version of each original.
        var current: [Int] = []
        for (index, event) in OracleTests.events(count, &random).enumerated() {
            // Ingest times repeat and now and then go back, as clocks do.
            var event = event
            event.seq = Int64(index * 3 + 1)
            if Int.random(in: 0..<10, using: &random) == 0 { event.ingestTime -= 7 }
            let end = Supersession(seq: event.seq, ingestTime: event.ingestTime)
            let isCorrection = Int.random(in: 0..<10, using: &random) < 4
            guard isCorrection, let place = current.indices.randomElement(using: &random) else {
                current.append(steps.count)
                steps.append(Step(event: event, corrects: nil, end: end))
                continue
            }
            let old = steps[current[place]].event
            // Half of the replacements keep the time, as a corrected amount does.
            if let old, Bool.random(using: &random) { event.time = old.time }
            let isRetraction = Int.random(in: 0..<3, using: &random) == 0
            steps.append(Step(event: isRetraction ? nil : event, corrects: current[place], end: end))
            current[place] = steps.count - 1
        }
        return steps
    }

    /// The events with what superseded them.
    static func whole(_ steps: [Step]) -> [FeatureEvent] {
        var events = steps.map(\.event)
        for step in steps {
            if let old = step.corrects { events[old]?.superseded = step.end }
        }
        return events.compactMap { $0 }
    }

    static func standing(_ events: [FeatureEvent], _ knownAt: KnownAt) -> [FeatureEvent] {
        events.filter { event in
            switch knownAt {
            case .latest: event.superseded == nil
            case .seq(let bound): event.seq <= bound && event.superseded.map { $0.seq > bound } ?? true
            case .ingestTime(let bound):
                event.ingestTime <= bound && event.superseded.map { $0.ingestTime > bound } ?? true
            }
        }
    }

    static func apply(_ steps: [Step], to store: FeatureStore, view: Int) {
        for step in steps {
            guard let place = step.corrects else {
                if let event = step.event { store.apply(view: view, event) }
                continue
            }
            let old = steps[place].event.map { SupersededEvent(entity: "e", time: $0.time, seq: $0.seq) }
            #expect(store.correct(view: view, old, by: step.end, with: step.event) == .applied)
        }
    }

    @Test func equalsNaiveReading() throws {
        var random = SeededGenerator(29)
        let view = try OracleTests.view()
        var (online, offline) = (FeatureVector(), FeatureVector())
        var superseded = 0
        for round in 0..<Self.rounds {
            let steps = Self.history([2, 5, 30, 90][round % 4], &random)
            let store = FeatureStore(shards: 1)
            let index = store.add(view)
            let plan = try store.plan(view: index)
            Self.apply(steps, to: store, view: index)
            let events = Self.whole(steps)
            superseded += events.count { $0.superseded != nil }
            var history = FeatureComputation(view)
            for event in events.shuffled(using: &random) { history.add(event) }
            let moments = steps.shuffled(using: &random).prefix(2)
            let known =
                [KnownAt.latest, .seq(-1)] + moments.flatMap { [.seq($0.end.seq), .ingestTime($0.end.ingestTime)] }
            for asOf in OracleTests.instants(OracleTests.events(1, &random) + events, &random) {
                for knownAt in known {
                    let oracle = Oracle(view: view, events: Self.standing(events, knownAt))
                    store.read("e", plan, asOf: asOf, knownAt: knownAt, into: &online)
                    history.read(asOf: asOf, knownAt: knownAt, into: &offline)
                    #expect(online.values == offline.values)
                    for (position, feature) in view.spec.features.enumerated() {
                        let expected = oracle.value(feature, asOf: asOf, knownAt: .latest)
                        if online.values[position] != expected {
                            let found = online.values[position]
                            Issue.record("\(round) \(feature.name) \(asOf) \(knownAt): \(found), expected \(expected)")
                        }
                    }
                }
            }
        }
        #expect(superseded > Self.rounds * 5)
    }

    /// Full entities: what memory let go is told, and never wrong.
    @Test func fullEntityIsTruncatedNeverWrong() throws {
        var random = SeededGenerator(31)
        let view = try OracleTests.view(entityEventsMax: 20)
        var vector = FeatureVector()
        var (exact, truncated) = (0, 0)
        for _ in 0..<Self.rounds {
            let steps = Self.history(60, &random)
            let store = FeatureStore(shards: 1)
            let index = store.add(view)
            let plan = try store.plan(view: index)
            for step in steps {
                let old = step.corrects.flatMap { steps[$0].event }
                store.correct(
                    view: index, old.map { SupersededEvent(entity: "e", time: $0.time, seq: $0.seq) }, by: step.end,
                    with: step.event)
            }
            let events = Self.whole(steps)
            let oracle = Oracle(view: view, events: Self.standing(events, .latest))
            for asOf in OracleTests.instants(events, &random) {
                store.read("e", plan, asOf: asOf, into: &vector)
                for (position, feature) in view.spec.features.enumerated() {
                    switch vector.values[position] {
                    case .null(.windowTruncated), .null(.featureUnavailable): truncated += 1
                    case let value:
                        exact += 1
                        #expect(value == oracle.value(feature, asOf: asOf, knownAt: .latest), "\(feature.name)")
                    }
                }
            }
            #expect(store.counts.events <= 20)
        }
        #expect(exact > 1_000 && truncated > 500)
    }

    @Test func retentionIsNeverWrong() throws {
        var random = SeededGenerator(37)
        let view = try OracleTests.view(retention: 1_000_000_000)
        var vector = FeatureVector()
        var exact = 0
        for _ in 0..<Self.rounds {
            let steps = Self.history(60, &random)
            let store = FeatureStore(shards: 1)
            let index = store.add(view)
            let plan = try store.plan(view: index)
            var watermark = Int64.min
            for (position, step) in steps.enumerated() {
                Self.apply([step], of: steps, to: store, view: index)
                watermark = max(watermark, step.event?.time ?? watermark)
                if position % 7 == 6 { store.retire(view: index, watermark: watermark) }
            }
            let events = Self.whole(steps)
            let oracle = Oracle(view: view, events: Self.standing(events, .latest))
            for asOf in OracleTests.instants(events, &random) + [watermark] {
                store.read("e", plan, asOf: asOf, into: &vector)
                if vector.status == .historyUnavailable { continue }
                exact += 1
                for (position, feature) in view.spec.features.enumerated() {
                    #expect(vector.values[position] == oracle.value(feature, asOf: asOf, knownAt: .latest))
                }
            }
        }
        #expect(exact > Self.rounds)
    }

    private static func apply(_ part: [Step], of steps: [Step], to store: FeatureStore, view: Int) {
        for step in part {
            let old = step.corrects.flatMap { steps[$0].event }
            store.correct(
                view: view, old.map { SupersededEvent(entity: "e", time: $0.time, seq: $0.seq) }, by: step.end,
                with: step.event)
        }
    }

    static let small = FeatureViewSpec(
        name: "v", version: 1, contract: "c", entity: "customer",
        columns: [ColumnSpec(name: "amount", kind: .decimal(scale: 2), path: "")],
        features: [
            FeatureSpec(name: "n", aggregate: .count, window: .micros(100)),
            FeatureSpec(name: "total", aggregate: .sum, column: "amount", window: .micros(100)),
        ])

    static func event(_ entity: String, time: Int64, seq: Int64, _ cents: Int64) -> FeatureEvent {
        FeatureEvent(
            entity: entity, source: "/s", id: "\(seq)", time: time, ingestTime: seq * 10, seq: seq,
            values: [.scaled(cents)])
    }

    /// A correction may move an event to another entity, in another shard.
    @Test func movesToAnotherEntity() throws {
        let store = FeatureStore(shards: 64)
        let view = store.add(try FeatureView.compile(Self.small))
        let plan = try store.plan(view: view)
        var vector = FeatureVector()
        for number in 0..<50 {
            let (from, to) = ("a\(number)", "b\(number)")
            let first = Int64(number * 2 + 1)
            store.apply(view: view, Self.event(from, time: 5, seq: first, 100))
            store.correct(
                view: view, SupersededEvent(entity: from, time: 5, seq: first),
                by: Supersession(seq: first + 1, ingestTime: (first + 1) * 10),
                with: Self.event(to, time: 5, seq: first + 1, 250))
            for (entity, knownAt, count, cents) in [
                (from, KnownAt.latest, 0, 0), (to, .latest, 1, 250), (from, .seq(first), 1, 100),
                (to, .seq(first), 0, 0),
            ] {
                store.read(entity, plan, asOf: 10, knownAt: knownAt, into: &vector)
                #expect(vector.values == [.integer(Int64(count)), .decimal(significand: Int128(cents), scale: 2)])
            }
            #expect(vector.featuresSeq >= first)
        }
    }

    /// What a store does not hold cannot be ended, and nothing else is.
    @Test func unknownEventsChangeNothing() throws {
        let store = FeatureStore(shards: 1)
        let view = store.add(try FeatureView.compile(Self.small))
        let plan = try store.plan(view: view)
        store.apply(view: view, Self.event("x", time: 5, seq: 1, 100))
        let end = Supersession(seq: 9, ingestTime: 90)
        for old in [
            SupersededEvent(entity: "x", time: 5, seq: 2), SupersededEvent(entity: "x", time: 6, seq: 1),
            SupersededEvent(entity: "nobody", time: 5, seq: 1),
        ] {
            #expect(store.correct(view: view, old, by: end, with: nil) == .applied)
        }
        #expect(store.correct(view: view, nil, by: end, with: nil) == .applied)
        #expect(store.counts.entities == 1)
        var vector = FeatureVector()
        store.read("x", plan, asOf: 10, into: &vector)
        #expect(vector.values == [.integer(1), .decimal(significand: 100, scale: 2)])
        #expect(vector.featuresSeq == 9)
        let replaced = store.correct(
            view: 7, SupersededEvent(entity: "x", time: 5, seq: 1), by: end,
            with: Self.event("x", time: 5, seq: 9, 1))
        #expect(replaced == .refused(.unknownView))
    }
}
