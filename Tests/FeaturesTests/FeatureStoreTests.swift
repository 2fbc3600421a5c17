import Features
import Foundation
import Testing

@Suite struct FeatureStoreTests {
    static func smallView(_ name: String = "v", entity: String = "customer") throws -> FeatureView {
        try FeatureView.compile(
            FeatureViewSpec(
                name: name, version: 1, contract: "c", entity: entity,
                columns: [ColumnSpec(name: "amount", kind: .decimal(scale: 2), path: "")],
                features: [
                    FeatureSpec(name: "count", aggregate: .count, window: .allHistory),
                    FeatureSpec(name: "sum", aggregate: .sum, column: "amount", window: .allHistory),
                ]))
    }

    static func event(_ entity: String, _ number: Int64, _ amount: Int64 = 1) -> FeatureEvent {
        FeatureEvent(
            entity: entity, source: "/s", id: "\(number)", time: number, ingestTime: number, seq: number,
            values: [.scaled(amount)])
    }

    @Test func twoViewsOneLock() throws {
        let store = FeatureStore(shards: 8)
        let one = store.add(try Self.smallView("a"))
        let two = store.add(try Self.smallView("b"))
        let other = store.add(try Self.smallView("c", entity: "shop"))
        let plan = try store.plan([.init(view: two, feature: 1), .init(view: one, feature: 0)])
        #expect(plan.views == [two, one])
        #expect(throws: FeatureError.self) {
            try store.plan([.init(view: one, feature: 0), .init(view: other, feature: 0)])
        }
        #expect(throws: FeatureError.self) { try store.plan([.init(view: 9, feature: 0)]) }
        store.apply(view: one, Self.event("x", 1))
        store.apply(view: two, Self.event("x", 2, 250))
        store.advance(to: 7)
        var vector = FeatureVector()
        store.read("x", plan, asOf: 10, into: &vector)
        #expect(vector.values == [.decimal(significand: 250, scale: 2), .integer(1)])
        #expect(vector.lastEventTimes == [2, 1])
        #expect(vector.featuresSeq == 7)
        var row = [Double](repeating: -1, count: 3)
        vector.fill(&row, at: [2, 0])
        #expect(row == [1, -1, 2.5])
        store.read("nobody", plan, asOf: 10, into: &vector)
        #expect(vector.values == [.decimal(significand: 0, scale: 2), .integer(0)])
        store.erase(entityType: "customer", entity: "x")
        store.read("x", plan, asOf: 10, into: &vector)
        #expect(vector.values[1] == .integer(0))
        store.remove(view: two)
        store.read("x", plan, asOf: 10, into: &vector)
        #expect(vector.values[0] == .null(.featureUnavailable))
        #expect(store.apply(view: two, Self.event("x", 3)) == .refused(.unknownView))
    }

    @Test func refusals() throws {
        let store = FeatureStore(shards: 1)
        let view = store.add(try Self.smallView())
        var event = Self.event("x", 1)
        event.time = .max
        #expect(store.apply(view: view, event) == .refused(.timeOutOfRange))
        event = Self.event(String(repeating: "k", count: 70_000), 1)
        #expect(store.apply(view: view, event) == .refused(.textTooLong))
        #expect(store.counts.entities == 0)
    }

    @Test func manyEntitiesComeAndGo() throws {
        let store = FeatureStore(shards: 4)
        let view = store.add(try OracleTests.view(retention: 1_000_000_000))
        var random = SeededGenerator(3)
        let template = OracleTests.events(40, &random)
        for round in 0..<40 {
            for entity in 0..<300 {
                var event = template[round]
                event.entity = "entity-\(entity)"
                event.time = Int64(round) * 200_000_000 + Int64(entity)
                #expect(store.apply(view: view, event) == .applied)
            }
        }
        let full = store.bytesUsed
        #expect(store.counts.entities == 300)
        #expect(store.counts.events == 12_000)
        store.retire(view: view, watermark: 39 * 200_000_000)
        #expect(store.counts.events < 300 * 7)
        for entity in 0..<300 { store.erase(entityType: "e", entity: "entity-\(entity)") }
        #expect(store.counts == (0, 0))
        #expect(store.bytesUsed < full / 2)
        print("12,000 events of 300 entities: \(full) bytes, \(full / 300) per entity")
    }

    /// A reader sees whole events in order: amounts are 1, so sum (in hundredths) equals count and both only grow.
    @Test func readersWhileApplying() async throws {
        let store = FeatureStore(shards: 2)
        let view = store.add(try Self.smallView())
        let plan = try store.plan(view: view)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 1...6_000 {
                    store.apply(view: view, Self.event("e\(number % 50)", Int64(number)))
                    store.advance(to: Int64(number))
                }
            }
            for reader in 0..<2 {
                group.addTask {
                    var vector = FeatureVector()
                    var last: [Int64] = [0, 0]
                    for _ in 0..<4_000 {
                        store.read("e\(reader)", plan, asOf: .max, into: &vector)
                        guard case .integer(let count) = vector.values[0],
                            case .decimal(let sum, _) = vector.values[1]
                        else {
                            Issue.record("no value")
                            return
                        }
                        #expect(sum == Int128(count))
                        #expect(count >= last[0] && vector.featuresSeq >= last[1])
                        // Everything of this entity up to the position is there.
                        let due = (vector.featuresSeq + 50 - Int64(reader == 0 ? 50 : reader)) / 50
                        #expect(count >= due)
                        last = [count, vector.featuresSeq]
                    }
                }
            }
        }
    }
}

@Suite struct ExactArithmeticTests {
    static func doubleView() throws -> FeatureView {
        try FeatureView.compile(
            FeatureViewSpec(
                name: "d", version: 1, contract: "c", entity: "e",
                columns: [ColumnSpec(name: "x", kind: .double, path: "")],
                features: [FeatureSpec(name: "sum", aggregate: .sum, column: "x", window: .allHistory)]))
    }

    static let sums: [([Double], Double)] = [
        ([1e16, 1, -1e16], 1), ([0.1, 0.2, 0.3], 0.6), ([1e308, 1e308, -1e308], 1e308),
        ([5e-324, 5e-324], 1e-323), ([1e-310, 2.5e-308, -2.5e-308], 1e-310), ([1, 1e-30, -1], 1e-30),
        ([9_007_199_254_740_992, 1, 1e-300], 9_007_199_254_740_994),
        ([9_007_199_254_740_992, 1], 9_007_199_254_740_992),
        ([1.7976931348623157e308, 9.9e291], 1.7976931348623157e308), ([-3, 3], 0), ([2.5], 2.5),
    ]

    @Test(arguments: sums)
    func doublesSumExactly(_ values: [Double], _ expected: Double) throws {
        for order in [values, values.reversed()] {
            var history = FeatureComputation(try Self.doubleView())
            for (index, value) in order.enumerated() {
                history.add(
                    FeatureEvent(
                        entity: "", source: "", id: "\(index)", time: 0, ingestTime: 0, seq: 0, values: [.double(value)]
                    ))
            }
            var vector = FeatureVector()
            history.read(asOf: 0, into: &vector)
            #expect(vector.values == [.double(expected)])
        }
    }

    @Test func doublesOverflowToNull() throws {
        var history = FeatureComputation(try Self.doubleView())
        for id in ["a", "b"] {
            history.add(
                FeatureEvent(entity: "", source: "", id: id, time: 0, ingestTime: 0, seq: 0, values: [.double(1.7e308)])
            )
        }
        #expect(
            history.add(
                FeatureEvent(entity: "", source: "", id: "c", time: 0, ingestTime: 0, seq: 0, values: [.double(.nan)]))
                == .refused(.notFinite))
        var vector = FeatureVector()
        history.read(asOf: 0, into: &vector)
        #expect(vector.values == [.null(.overflow)])
    }

    /// Decimals to binary64 agree with the correctly rounded parser of the standard library.
    @Test func decimalsRoundOnce() {
        var random = SeededGenerator(5)
        for _ in 0..<20_000 {
            let bits = Int.random(in: 1...100, using: &random)
            let magnitude =
                Int128(truncatingIfNeeded: UInt128(random.next()) << 64 | UInt128(random.next())) >> Int128(127 - bits)
            let scale = Int.random(in: 0...18, using: &random)
            #expect(
                FeatureValue.decimal(significand: magnitude, scale: scale).double == Double("\(magnitude)e-\(scale)"))
        }
    }
}

@Suite struct CompileTests {
    @Test func everyFindingHasAPointer() throws {
        let spec = FeatureViewSpec(
            name: "", version: 1, contract: "c", entity: "e",
            columns: [
                ColumnSpec(name: "a", kind: .decimal(scale: 19), path: ""),
                ColumnSpec(name: "a", kind: .string, path: ""),
            ],
            aggregationInterval: .tiles(seconds: 0),
            features: [
                FeatureSpec(name: "f", aggregate: .sum, column: "a", window: .micros(0)),
                FeatureSpec(name: "f", aggregate: .sum, window: .micros(1)),
                FeatureSpec(name: "g", aggregate: .max, column: "zz", window: .micros(1)),
                FeatureSpec(name: "h", aggregate: .timeSince(.days), column: "a", window: .allHistory),
                FeatureSpec(name: "i", aggregate: .count, window: .allHistory),
                FeatureSpec(name: "j", aggregate: .ratio(denominator: "no"), column: "a", window: .micros(2)),
            ], entityEventsMax: 0, retentionMicros: 1)
        let error = try #require(throws: FeatureError.self) { try FeatureView.compile(spec) }
        let found = Set(error.issues.map { "\($0.code.rawValue) \($0.pointer)" })
        for expected in [
            "empty_name /name", "aggregation_interval_out_of_range /aggregation_interval",
            "scale_out_of_range /columns/0/kind",
            "duplicate_name /columns/1/name", "window_out_of_range /features/0/window",
            "aggregate_not_for_kind /features/0/aggregate", "duplicate_name /features/1/name",
            "column_required /features/1/column", "unknown_column /features/2/column",
            "column_not_allowed /features/3/column", "retention_too_short /features/4/window",
            "unknown_column /features/5/aggregate/denominator", "retention_too_short /features/5/window",
            "entity_events_out_of_range /entity_events_max",
        ] {
            #expect(found.contains(expected), "\(expected) in \(found)")
        }
    }
}
