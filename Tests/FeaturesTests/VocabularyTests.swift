import Features
import Foundation
import Testing

/// Tiles, the aggregates beyond plain folds, attributes and the time to live against the oracle.
@Suite struct VocabularyTests {
    static let columns = [
        ColumnSpec(name: "amount", kind: .decimal(scale: 2), path: ""),
        ColumnSpec(name: "whole", kind: .integer, path: ""),
        ColumnSpec(name: "real", kind: .double, path: ""),
        ColumnSpec(name: "text", kind: .string, path: ""),
        ColumnSpec(name: "flag", kind: .boolean, path: ""),
        ColumnSpec(name: "moment", kind: .timestamp, path: ""),
        ColumnSpec(name: "day", kind: .date, path: ""),
    ]

    static let halfLife: Int64 = 700

    static func view(
        spans: [Int64] = OracleTests.spans, interval: AggregationInterval = .exact, retention: Int64? = nil,
        ttl: Int64? = nil, entityEventsMax: Int = 10_000
    ) throws -> FeatureView {
        var features: [FeatureSpec] = []
        func add(_ name: String, _ aggregate: Aggregate, _ column: String?, _ window: FeatureWindow) {
            features.append(FeatureSpec(name: name, aggregate: aggregate, column: column, window: window))
        }
        for (index, window) in (spans.map { FeatureWindow.micros($0) } + [.allHistory]).enumerated() {
            if retention != nil, window == .allHistory { continue }
            add("first_event\(index)", .firstTime, nil, window)
            for column in columns.map(\.name) {
                add("\(column)_first_time\(index)", .firstTime, column, window)
                add("\(column)_last_time\(index)", .lastTime, column, window)
                add("\(column)_first\(index)", .first, column, window)
                add("\(column)_distinct\(index)", .distinct, column, window)
            }
            for column in ["moment", "day"] {
                add("\(column)_min\(index)", .min, column, window)
                add("\(column)_max\(index)", .max, column, window)
            }
            add("text_top\(index)", .topK(2), "text", window)
            add("text_all\(index)", .topK(100), "text", window)
            add("whole_top\(index)", .topK(3), "whole", window)
            for column in ["amount", "whole", "real"] {
                for q in [0.01, 0.25, 0.5, 0.99] { add("\(column)_q\(q)_\(index)", .quantile(q), column, window) }
            }
        }
        for column in columns.map(\.name) { add("\(column)_attribute", .attribute, column, .allHistory) }
        return try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e", columns: columns, aggregationInterval: interval,
                features: features, entityEventsMax: entityEventsMax, retentionMicros: retention, ttlMicros: ttl))
    }

    /// The events of the plain oracle with three more columns.
    static func events(_ count: Int, _ random: inout SeededGenerator) -> [FeatureEvent] {
        OracleTests.events(count, &random).map { event in
            var event = event
            func some(_ value: Int64) -> EventValue {
                Int.random(in: 0..<4, using: &random) == 0 ? .null : .scaled(value)
            }
            event.values += [
                some(Int64.random(in: 0...1, using: &random)),
                some(Int64.random(in: -2_000_000_000_000_000...2_000_000_000_000_000, using: &random)),
                some(Int64.random(in: -30_000...30_000, using: &random)),
            ]
            return event
        }
    }

    static func compare(
        _ view: FeatureView, _ vector: FeatureVector, _ oracle: Oracle, asOf: Int64, knownAt: KnownAt = .latest,
        _ context: String = ""
    ) {
        for (index, feature) in view.spec.features.enumerated() {
            let expected = oracle.value(feature, asOf: asOf, knownAt: knownAt)
            if vector.values[index] != expected {
                Issue.record(
                    "\(context) \(feature.name) \(asOf) \(knownAt): \(vector.values[index]), expected \(expected)")
            }
        }
    }

    @Test func everyAggregateEqualsNaiveReadingInAnyOrder() throws {
        var random = SeededGenerator(17)
        let view = try Self.view()
        var (vector, permuted) = (FeatureVector(), FeatureVector())
        for round in 0..<15 {
            let events = Self.events([1, 2, 5, 30, 90][round % 5], &random)
            var one = FeatureComputation(view)
            var other = FeatureComputation(view)
            for event in events { one.add(event) }
            for event in events.shuffled(using: &random) { other.add(event) }
            let oracle = Oracle(view: view, events: events)
            let middle = events[events.count / 2]
            for asOf in OracleTests.instants(events, &random) {
                for knownAt in [KnownAt.latest, .seq(middle.seq), .ingestTime(middle.ingestTime), .seq(-1)] {
                    one.read(asOf: asOf, knownAt: knownAt, into: &vector)
                    other.read(asOf: asOf, knownAt: knownAt, into: &permuted)
                    #expect(vector.values == permuted.values)
                    Self.compare(view, vector, oracle, asOf: asOf, knownAt: knownAt, "\(round)")
                }
            }
        }
    }

    /// Times around 1970, on both sides, at the edges of tiles and of windows.
    @Test(arguments: [1, 7, 60]) func tilesEqualNaiveReading(_ seconds: Int64) throws {
        var random = SeededGenerator(UInt64(19 + seconds))
        let tile = seconds * 1_000_000
        let spans: [Int64] = [1, 999_999, 1_000_000, tile + 1, tile * 3, tile * 5 - 1]
        let plain = try OracleTests.view(spans: spans, interval: .tiles(seconds: seconds))
        let wide = try Self.view(spans: spans, interval: .tiles(seconds: seconds))
        var vector = FeatureVector()
        for base in [0, -1_700_000_000_000_123, 1_700_000_000_000_000] as [Int64] {
            var events = Self.events(40, &random)
            for index in events.indices {
                let edge = Int64.random(in: -4...4, using: &random) * tile + Int64.random(in: -1...1, using: &random)
                events[index].time =
                    base + (index % 2 == 0 ? edge : Int64.random(in: -4 * tile...4 * tile, using: &random))
            }
            var narrow = events
            for index in narrow.indices { narrow[index].values.removeLast(3) }
            var one = FeatureComputation(plain)
            var other = FeatureComputation(wide)
            for event in narrow { one.add(event) }
            for event in events.shuffled(using: &random) { other.add(event) }
            var instants: [Int64] = []
            for event in events.prefix(8) {
                for span in spans.shuffled(using: &random).prefix(2) {
                    for shift in [-1, 0, 1] as [Int64] {
                        instants += [event.time + shift, event.time + span + shift, event.time + span + tile + shift]
                    }
                }
            }
            for asOf in instants {
                one.read(asOf: asOf, into: &vector)
                Self.compare(plain, vector, Oracle(view: plain, events: narrow), asOf: asOf, "tile \(seconds)")
                other.read(asOf: asOf, into: &vector)
                Self.compare(wide, vector, Oracle(view: wide, events: events), asOf: asOf, "tile \(seconds)")
            }
        }
    }

    /// The rule in numbers: a 10 s window of 5 s tiles, and what it covers.
    @Test(
        arguments: [
            (12_000_000, 0, false), (12_000_000, 1, true), (14_999_999, 1, true), (15_000_000, 5_000_000, false),
            (15_000_000, 5_000_001, true), (-1, -15_000_000, false), (-1, -14_999_999, true), (0, -10_000_000, false),
            (0, -9_999_999, true), (9_999_999, -4_999_999, true), (9_999_999, -5_000_000, false),
            (12_000_000, 12_000_001, false),
            (12_000_000, 12_000_000, true),
        ] as [(Int64, Int64, Bool)]) func tileEdges(_ asOf: Int64, _ time: Int64, _ isCovered: Bool) throws
    {
        let view = try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e", columns: [],
                aggregationInterval: .tiles(seconds: 5),
                features: [FeatureSpec(name: "n", aggregate: .count, window: .micros(10_000_000))]))
        var computation = FeatureComputation(view)
        computation.add(
            FeatureEvent(entity: "e", source: "s", id: "i", time: time, ingestTime: 0, seq: 1, values: []))
        var vector = FeatureVector()
        computation.read(asOf: asOf, into: &vector)
        #expect(vector.values == [.integer(isCovered ? 1 : 0)])
    }

    @Test func attributesOutliveRetention() throws {
        var random = SeededGenerator(23)
        let view = try Self.view(spans: [1_000], retention: 2_000)
        var vector = FeatureVector()
        var (exact, dropped) = (0, 0)
        for _ in 0..<12 {
            let events = Self.events(60, &random)
            let store = FeatureStore(shards: 1)
            let index = store.add(view)
            let plan = try store.plan(view: index)
            var watermark = Int64.min
            for (position, event) in events.enumerated() {
                #expect(store.apply(view: index, event) == .applied)
                watermark = max(watermark, event.time)
                if position % 7 == 6 { store.retire(view: index, watermark: watermark) }
                let oracle = Oracle(view: view, events: Array(events[...position]))
                for asOf in [watermark, watermark + 1_000_000] {
                    store.read(event.entity, plan, asOf: asOf, into: &vector)
                    #expect(vector.status == .complete)
                    Self.compare(view, vector, oracle, asOf: asOf)
                    exact += 1
                }
            }
            dropped += events.count - store.counts.events
            let asked = events[30].time
            store.read("e", plan, asOf: asked, into: &vector)
            if vector.status == .complete {
                Self.compare(view, vector, Oracle(view: view, events: events), asOf: asked)
            }
            store.read("e", plan, asOf: watermark, knownAt: .seq(20), into: &vector)
            if vector.status == .complete {
                Self.compare(
                    view, vector, Oracle(view: view, events: events), asOf: watermark, knownAt: .seq(20))
            }
        }
        #expect(exact == 1_440 && dropped > 60)
    }

    /// A value that is taken back gives way to the one before it; where retention dropped that one, memory says so.
    @Test func attributesFollowCorrections() throws {
        var random = SeededGenerator(41)
        let view = try Self.view(spans: [1_000], retention: 2_000)
        var vector = FeatureVector()
        var (exact, unavailable) = (0, 0)
        for _ in 0..<12 {
            let store = FeatureStore(shards: 1)
            let index = store.add(view)
            let plan = try store.plan(view: index)
            var (standing, watermark) = ([FeatureEvent](), Int64.min)
            for (position, event) in Self.events(40, &random).enumerated() {
                var event = event
                event.seq = Int64(position) * 10
                if position % 4 == 3, let victim = standing.indices.randomElement(using: &random) {
                    let old = standing.remove(at: victim)
                    let isRetraction = Bool.random(using: &random)
                    store.correct(
                        view: index, SupersededEvent(entity: "e", time: old.time, seq: old.seq),
                        by: Supersession(seq: event.seq, ingestTime: event.ingestTime), with: isRetraction ? nil : event
                    )
                    if isRetraction { continue }
                } else {
                    store.apply(view: index, event)
                }
                standing.append(event)
                watermark = max(watermark, event.time)
                if position % 7 == 6 { store.retire(view: index, watermark: watermark) }
                store.read("e", plan, asOf: watermark, into: &vector)
                guard vector.status == .complete else {
                    unavailable += 1
                    continue
                }
                exact += 1
                Self.compare(view, vector, Oracle(view: view, events: standing), asOf: watermark)
            }
        }
        #expect(exact > 100 && unavailable > 0, "\(exact) \(unavailable)")
    }

    @Test func fullEntityNeverServesAWrongValue() throws {
        var random = SeededGenerator(29)
        let view = try Self.view(ttl: 40, entityEventsMax: 20)
        var vector = FeatureVector()
        var (exact, truncated) = (0, 0)
        for _ in 0..<10 {
            let events = Self.events(60, &random)
            var computation = FeatureComputation(view, entityEventsMax: 20)
            for event in events { computation.add(event) }
            let oracle = Oracle(view: view, events: events)
            for asOf in OracleTests.instants(events, &random) {
                computation.read(asOf: asOf, into: &vector)
                for (index, feature) in view.spec.features.enumerated() {
                    switch vector.values[index] {
                    case .null(.windowTruncated), .null(.featureUnavailable): truncated += 1
                    case let value:
                        exact += 1
                        #expect(value == oracle.value(feature, asOf: asOf, knownAt: .latest), "\(feature.name)")
                    }
                }
            }
        }
        #expect(exact > 500 && truncated > 500)
    }

    @Test func valuesExpire() throws {
        let view = try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e", columns: [Self.columns[0]],
                features: [
                    FeatureSpec(name: "n", aggregate: .count, window: .micros(10)),
                    FeatureSpec(name: "a", aggregate: .attribute, column: "amount", window: .allHistory),
                ], retentionMicros: 10, ttlMicros: 100))
        let store = FeatureStore(shards: 1)
        let index = store.add(view)
        let plan = try store.plan(view: index)
        var vector = FeatureVector()
        store.read("e", plan, asOf: 0, into: &vector)
        #expect(vector.values == [.integer(0), .null(.noEvent)])
        store.apply(
            view: index,
            FeatureEvent(entity: "e", source: "s", id: "i", time: -50, ingestTime: 7, seq: 1, values: [.scaled(5)]))
        for (asOf, isLive) in [(-51, false), (-50, true), (50, true)] as [(Int64, Bool)] {
            store.read("e", plan, asOf: asOf, into: &vector)
            #expect(vector.values[1] == (isLive ? .decimal(significand: 5, scale: 2) : .null(.noEvent)))
        }
        for _ in 0..<2 {
            store.read("e", plan, asOf: 51, into: &vector)
            #expect(vector.values == [.null(.expired), .null(.expired)])
            #expect(vector.lastEventTimes == [-50])
            store.retire(view: index, watermark: 40)
        }
        store.read("e", plan, asOf: 51, knownAt: .ingestTime(6), into: &vector)
        #expect(vector.status == .historyUnavailable, "what was dropped may have been known")
    }

    @Test func decayedSumsAreExactEnoughAndOrderFree() throws {
        var random = SeededGenerator(31)
        var features: [FeatureSpec] = []
        for column in ["amount", "whole", "real"] {
            for window in [FeatureWindow.micros(1_000), .allHistory] {
                for halfLife in [1, 700, 1_000_000_000] as [Int64] {
                    let aggregates: [Aggregate] = [
                        .decayedSum(halfLifeMicros: halfLife), .decayedMean(halfLifeMicros: halfLife),
                    ]
                    for aggregate in aggregates {
                        features.append(
                            FeatureSpec(
                                name: "f\(features.count)", aggregate: aggregate, column: column, window: window))
                    }
                }
            }
        }
        let view = try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e", columns: Array(Self.columns.prefix(4)),
                features: features))
        var (vector, permuted) = (FeatureVector(), FeatureVector())
        for round in 0..<16 {
            let events = OracleTests.events([0, 1, 3, 60][round % 4] + 1, &random)
            var one = FeatureComputation(view)
            var other = FeatureComputation(view)
            for event in events { one.add(event) }
            for event in events.shuffled(using: &random) { other.add(event) }
            let oracle = Oracle(view: view, events: events)
            for asOf in OracleTests.instants(events, &random) {
                one.read(asOf: asOf, into: &vector)
                other.read(asOf: asOf, into: &permuted)
                #expect(vector.values == permuted.values)
                for (index, feature) in features.enumerated() {
                    Self.checkDecay(oracle, feature, vector.values[index], asOf)
                }
            }
        }
    }

    private static func checkDecay(_ oracle: Oracle, _ feature: FeatureSpec, _ value: FeatureValue, _ asOf: Int64) {
        let window = oracle.window(oracle.events, feature.window, asOf)
        let column = oracle.view.columnIndex(of: feature.column ?? "") ?? 0
        let isEmpty = window.allSatisfy { $0.values[column] == .null }
        switch feature.aggregate {
        case .decayedSum(let halfLife):
            let exact = oracle.decayed(window, column, halfLife, asOf)
            #expect(abs(value.double - exact.sum) <= exact.magnitude * 2e-14 + 1e-300)
        case .decayedMean(let halfLife):
            let exact = oracle.decayed(window, column, halfLife, asOf)
            if isEmpty {
                #expect(value == .null(feature.window == .allHistory ? .noEvent : .emptyWindow))
            } else if exact.weight > 1e-290 {
                #expect(abs(value.double - exact.sum / exact.weight) <= exact.magnitude / exact.weight * 4e-14)
            }
        default: break
        }
    }

    /// Past the exact values: within 1/128 of the value at the rank, whatever the order; exact at the threshold.
    @Test(arguments: [FeatureLimits.quantileExactMax, FeatureLimits.quantileExactMax + 1])
    func quantilesOfManyValues(_ count: Int) throws {
        var random = SeededGenerator(37)
        let quantiles = [0.000_1, 0.01, 0.3, 0.5, 0.9, 0.999_9]
        let columns = [Self.columns[0], Self.columns[2]]
        let view = try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e", columns: columns,
                features: columns.flatMap { column in
                    quantiles.map {
                        FeatureSpec(
                            name: "\(column.name)\($0)", aggregate: .quantile($0), column: column.name,
                            window: .allHistory)
                    }
                }))
        let events = (0..<count).map { index in
            let wild = Double.random(in: -1...1, using: &random) * exp2(Double.random(in: -400...400, using: &random))
            return FeatureEvent(
                entity: "e", source: "s", id: "", time: Int64(index / 3), ingestTime: 0, seq: Int64(index),
                values: [.scaled(Int64.random(in: -40_000...1_000_000, using: &random)), .double(wild)])
        }
        var one = FeatureComputation(view, entityEventsMax: 100_000)
        var other = FeatureComputation(view, entityEventsMax: 100_000)
        for event in events { one.add(event) }
        for event in events.reversed() { other.add(event) }
        var (vector, permuted) = (FeatureVector(), FeatureVector())
        one.read(asOf: .max / 2, into: &vector)
        other.read(asOf: .max / 2, into: &permuted)
        #expect(vector.values == permuted.values)
        for (index, feature) in view.spec.features.enumerated() {
            let exact = Oracle(view: view, events: events).value(feature, asOf: .max / 2, knownAt: .latest)
            if count <= FeatureLimits.quantileExactMax {
                #expect(vector.values[index] == exact)
            } else {
                let error = abs(vector.values[index].double - exact.double)
                #expect(error <= abs(exact.double) * FeatureLimits.quantileRelativeError, "\(feature.name)")
            }
        }
    }

    @Test func refusedDefinitions() throws {
        func codes(
            _ feature: FeatureSpec, interval: AggregationInterval = .exact, retention: Int64? = nil, ttl: Int64? = nil
        )
            -> [String]
        {
            do {
                _ = try FeatureView.compile(
                    FeatureViewSpec(
                        name: "v", version: 1, contract: "c", entity: "e", columns: Self.columns,
                        aggregationInterval: interval, features: [feature], retentionMicros: retention, ttlMicros: ttl))
                return []
            } catch {
                return error.issues.map { "\($0.pointer) \($0.code.rawValue)" }
            }
        }
        func feature(_ aggregate: Aggregate, _ column: String?, _ window: FeatureWindow = .allHistory) -> FeatureSpec {
            FeatureSpec(name: "f", aggregate: aggregate, column: column, window: window)
        }
        let wrongKind = ["/features/0/aggregate aggregate_not_for_kind"]
        #expect(codes(feature(.topK(0), "text")) == ["/features/0/k parameter_out_of_range"])
        #expect(codes(feature(.topK(101), "text")) == ["/features/0/k parameter_out_of_range"])
        #expect(codes(feature(.topK(5), "amount")) == wrongKind)
        #expect(codes(feature(.topK(5), nil)) == ["/features/0/column column_required"])
        for q in [0, 1, -0.5, .nan] as [Double] {
            #expect(codes(feature(.quantile(q), "amount")) == ["/features/0/q parameter_out_of_range"])
        }
        #expect(codes(feature(.quantile(0.5), "day")) == wrongKind)
        #expect(
            codes(feature(.decayedSum(halfLifeMicros: 0), "amount")) == ["/features/0/half_life parameter_out_of_range"]
        )
        #expect(codes(feature(.decayedMean(halfLifeMicros: 1), "text")) == wrongKind)
        #expect(codes(feature(.sum, "flag")) == wrongKind && codes(feature(.min, "flag")) == wrongKind)
        #expect(codes(feature(.mean, "moment")) == wrongKind && codes(feature(.max, "day")).isEmpty)
        #expect(codes(feature(.attribute, "text", .micros(5))) == ["/features/0/window window_out_of_range"])
        #expect(codes(feature(.attribute, "text"), retention: 5).isEmpty)
        #expect(codes(feature(.lastTime, nil), retention: 5).isEmpty)
        #expect(codes(feature(.lastTime, "text"), retention: 5) == ["/features/0/window retention_too_short"])
        let second = AggregationInterval.tiles(seconds: 1)
        #expect(codes(feature(.count, nil, .micros(9_000_001)), interval: second, retention: 10_000_000).isEmpty)
        #expect(
            codes(feature(.count, nil, .micros(9_000_002)), interval: second, retention: 10_000_000)
                == ["/features/0/window retention_too_short"])
        let interval = ["/aggregation_interval aggregation_interval_out_of_range"]
        #expect(codes(feature(.count, nil), interval: .tiles(seconds: 0)) == interval)
        #expect(codes(feature(.count, nil), interval: .tiles(seconds: 367 * 86_400)) == interval)
        #expect(codes(feature(.count, nil), ttl: 0) == ["/ttl window_out_of_range"])
    }

    @Test(
        arguments: [
            (["a"], "a"), (["12748", "85123A"], "5:127486:85123A"), (["", ""], "0:0:"), (["1:1", "é"], "3:1:12:é"),
        ] as [([String], String)]) func keysOfSeveralParts(_ parts: [String], _ key: String)
    {
        #expect(EntityKey.encode(parts) == key)
    }
}
