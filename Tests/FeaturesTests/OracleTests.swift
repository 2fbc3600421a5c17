import Features
import Foundation
import Testing

/// What a naive reading of the definition gives: filter, sort, fold.
struct Oracle {
    let view: FeatureView
    var events: [FeatureEvent]

    func value(_ feature: FeatureSpec, asOf: Int64, knownAt: KnownAt) -> FeatureValue {
        let known = events.filter { event in
            switch knownAt {
            case .latest: true
            case .ingestTime(let micros): event.ingestTime <= micros
            case .seq(let seq): event.seq <= seq
            }
        }
        let window = window(known, feature.window, asOf)
        if let ttl = view.spec.ttlMicros, let last = known.map(\.time).filter({ $0 <= asOf }).max(), asOf - last > ttl {
            return .null(.expired)
        }
        let empty: FeatureValue = .null(feature.window == .allHistory ? .noEvent : .emptyWindow)
        switch feature.aggregate {
        case .lastTime where feature.column == nil: return window.last.map { .timestamp($0.time) } ?? empty
        case .timeSince(let unit):
            return window.last.map { .double(Double(asOf - $0.time) / Double(unit.rawValue)) } ?? empty
        case .count where feature.column == nil: return .integer(Int64(window.count))
        default: break
        }
        guard let name = feature.column, let column = view.columnIndex(of: name) else {
            return window.first.map { .timestamp($0.time) } ?? empty
        }
        let values = window.map { $0.values[column] }.filter { $0 != .null }
        let kind = view.spec.columns[column].kind
        switch feature.aggregate {
        case .count: return .integer(Int64(values.count))
        case .distinct: return .integer(Int64(Set(values).count))
        case .first: return values.first.map { served($0, kind) } ?? empty
        case .last, .attribute: return values.last.map { served($0, kind) } ?? empty
        case .firstTime: return window.first { $0.values[column] != .null }.map { .timestamp($0.time) } ?? empty
        case .lastTime: return window.last { $0.values[column] != .null }.map { .timestamp($0.time) } ?? empty
        case .topK(let k): return values.isEmpty ? empty : mostFrequent(values, k, kind)
        case .quantile(let q):
            let ordered = values.sorted { ($0.number ?? 0, $0.integer ?? 0) < ($1.number ?? 0, $1.integer ?? 0) }
            return ordered.isEmpty
                ? empty : served(ordered[max(1, Int((q * Double(ordered.count)).rounded(.up))) - 1], kind)
        default: break
        }
        if case .double = kind { return folded(values.compactMap(\.number), feature.aggregate, empty) }
        return folded(values.compactMap(\.integer), feature, column, window, empty)
    }

    func window(_ known: [FeatureEvent], _ window: FeatureWindow, _ asOf: Int64) -> [FeatureEvent] {
        known.filter { event in
            guard event.time <= asOf else { return false }
            guard case .micros(let span) = window else { return true }
            guard case .tiles(let seconds) = view.spec.aggregationInterval else { return event.time > asOf - span }
            // The first multiple of the tile at or before asOf - span, found by counting down from above.
            let tile = seconds * 1_000_000
            var floor = ((asOf - span) / tile + 1) * tile
            while floor > asOf - span { floor -= tile }
            return event.time > floor
        }.sorted { ($0.time, $0.source, $0.id) < ($1.time, $1.source, $1.id) }
    }

    func mostFrequent(_ values: [EventValue], _ k: Int, _ kind: ColumnKind) -> FeatureValue {
        let counts = Dictionary(values.map { ($0, 1) }, uniquingKeysWith: +)
        let ordered = counts.sorted { left, right in
            if left.value != right.value { return left.value > right.value }
            if case .string(let a) = left.key, case .string(let b) = right.key {
                return a.utf8.lexicographicallyPrecedes(b.utf8)
            }
            return (left.key.integer ?? 0) < (right.key.integer ?? 0)
        }
        return .frequencies(ordered.prefix(k).map { ValueCount(value: served($0.key, kind), count: Int64($0.value)) })
    }

    /// Σ value 2^(-age / half-life) and Σ |value| 2^(-age / half-life) with the library's function, and the same of ones.
    func decayed(
        _ window: [FeatureEvent], _ column: Int, _ halfLife: Int64, _ asOf: Int64
    ) -> (sum: Double, magnitude: Double, weight: Double) {
        var result = (sum: 0.0, magnitude: 0.0, weight: 0.0)
        for event in window {
            let number: Double
            switch event.values[column] {
            case .scaled(let scaled): number = Double(scaled) / (column == 0 ? 100 : 1)
            case .double(let value): number = value
            default: continue
            }
            let weight = exp2(-Double(asOf - event.time) / Double(halfLife))
            result.sum += number * weight
            result.magnitude += abs(number) * weight
            result.weight += weight
        }
        return result
    }

    func served(_ value: EventValue, _ kind: ColumnKind) -> FeatureValue {
        switch (value, kind) {
        case (.scaled(let number), .decimal(let scale)): .decimal(significand: Int128(number), scale: scale)
        case (.scaled(let number), .boolean): .boolean(number == 1)
        case (.scaled(let number), .timestamp): .timestamp(number)
        case (.scaled(let number), .date): .date(number)
        case (.scaled(let number), _): .integer(number)
        case (.double(let number), _): .double(number)
        case (.string(let text), _): .string(text)
        case (.null, _): .null(.emptyWindow)
        }
    }

    func folded(_ values: [Double], _ aggregate: Aggregate, _ empty: FeatureValue) -> FeatureValue {
        // The generated doubles are multiples of 2^-10 below 2^20, so that this plain sum is exact.
        let sum = values.reduce(0, +)
        switch aggregate {
        case .sum: return .double(sum)
        case .mean: return values.isEmpty ? empty : .double(sum / Double(values.count))
        case .min: return values.min().map { .double($0) } ?? empty
        default: return values.max().map { .double($0) } ?? empty
        }
    }

    func folded(
        _ values: [Int64], _ feature: FeatureSpec, _ column: Int, _ window: [FeatureEvent], _ empty: FeatureValue
    ) -> FeatureValue {
        let sum = values.reduce(0, +)
        let kind = view.spec.columns[column].kind
        let divisor: Double = kind == .decimal(scale: 2) ? 100 : 1
        switch feature.aggregate {
        case .sum: return served(.scaled(sum), kind)
        case .mean: return values.isEmpty ? empty : .double(Double(sum) / divisor / Double(values.count))
        case .min: return values.min().map { served(.scaled($0), kind) } ?? empty
        case .max: return values.max().map { served(.scaled($0), kind) } ?? empty
        case .variance, .stddev:
            if values.isEmpty { return empty }
            if values.count == 1 { return .null(.tooFewValues) }
            let count = Int64(values.count)
            let squares = values.reduce(0) { $0 + $1 * $1 }
            let variance = Double(count * squares - sum * sum) / (Double(count * (count - 1)) * divisor * divisor)
            return .double(feature.aggregate == .stddev ? variance.squareRoot() : variance)
        case .ratio(let name):
            if values.isEmpty { return empty }
            let other = view.columnIndex(of: name) ?? 0
            let bottom = window.compactMap { $0.values[other].integer }.reduce(0, +)
            return bottom == 0 ? .null(.divisionByZero) : .double(Double(sum) / Double(bottom * Int64(divisor)))
        default: return empty
        }
    }
}

extension EventValue {
    var integer: Int64? { if case .scaled(let value) = self { value } else { nil } }
    var number: Double? { if case .double(let value) = self { value } else { nil } }
}

@Suite struct OracleTests {
    static let spans: [Int64] = [1, 10, 1_000, 1_000_000_000]

    static func view(
        entityEventsMax: Int = 10_000, retention: Int64? = nil, spans: [Int64] = spans,
        interval: AggregationInterval = .exact
    ) throws -> FeatureView {
        var features: [FeatureSpec] = []
        var windows = spans.map { FeatureWindow.micros($0) }
        if retention == nil { windows.append(.allHistory) }
        for (index, window) in windows.enumerated() {
            features.append(FeatureSpec(name: "n\(index)", aggregate: .count, window: window))
            for column in ["amount", "whole", "real"] {
                for (name, aggregate) in [
                    ("count", Aggregate.count), ("sum", .sum), ("mean", .mean), ("min", .min), ("max", .max),
                    ("first", .first), ("last", .last), ("distinct", .distinct),
                ] {
                    features.append(
                        FeatureSpec(
                            name: "\(column)_\(name)\(index)", aggregate: aggregate, column: column, window: window))
                }
            }
            for (name, aggregate) in [
                ("count", Aggregate.count), ("first", .first), ("last", .last), ("distinct", .distinct),
            ] {
                features.append(
                    FeatureSpec(name: "text_\(name)\(index)", aggregate: aggregate, column: "text", window: window))
            }
            for (name, aggregate) in [
                ("variance", Aggregate.variance), ("stddev", .stddev), ("ratio", .ratio(denominator: "whole")),
            ] {
                features.append(
                    FeatureSpec(name: "\(name)\(index)", aggregate: aggregate, column: "amount", window: window))
            }
        }
        for (index, window) in (windows + [.allHistory]).enumerated() {
            features.append(FeatureSpec(name: "at\(index)", aggregate: .lastTime, window: window))
            features.append(FeatureSpec(name: "since\(index)", aggregate: .timeSince(.seconds), window: window))
        }
        return try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e",
                columns: [
                    ColumnSpec(name: "amount", kind: .decimal(scale: 2), path: ""),
                    ColumnSpec(name: "whole", kind: .integer, path: ""),
                    ColumnSpec(name: "real", kind: .double, path: ""),
                    ColumnSpec(name: "text", kind: .string, path: ""),
                ], aggregationInterval: interval, features: features, entityEventsMax: entityEventsMax,
                retentionMicros: retention))
    }

    /// Few distinct times, so that ties are common; widths from one byte to eight; ids of three shapes.
    static func events(_ count: Int, _ random: inout SeededGenerator) -> [FeatureEvent] {
        let base: Int64 = Bool.random(using: &random) ? 0 : 1_700_000_000_000_000
        let spread: Int64 = [5, 50, 5_000, 50_000_000_000].randomElement(using: &random) ?? 5
        let magnitude: Int64 = [100, 100_000, 1_000_000].randomElement(using: &random) ?? 100
        let idStyle = Int.random(in: 0..<4, using: &random)
        return (0..<count).map { index in
            func some(_ value: EventValue) -> EventValue {
                Int.random(in: 0..<8, using: &random) == 0 ? .null : value
            }
            let number = UInt64.random(in: 0...UInt64.max, using: &random)
            let uuid = String(number, radix: 16)
            let padded = String(repeating: "0", count: 16 - uuid.count) + uuid
            let canonical = "\(padded.prefix(8))-\(padded.dropFirst(8).prefix(4))-4000-8000-\(padded.dropFirst(4))"
            let id =
                idStyle == 0 || (idStyle == 3 && index % 3 == 0) ? canonical : idStyle == 1 ? "\(index)" : "x-\(number)"
            return FeatureEvent(
                entity: "e", source: index % 3 == 0 ? "/b" : "/a", id: id,
                time: base + Int64.random(in: -spread...spread, using: &random), ingestTime: base + Int64(index / 3),
                seq: Int64(index),
                values: [
                    some(.scaled(Int64.random(in: -magnitude...magnitude, using: &random))),
                    some(.scaled(Int64.random(in: -9...9, using: &random))),
                    some(.double(Double(Int64.random(in: -1_000_000...1_000_000, using: &random)) / 1_024)),
                    some(.string("t\(Int.random(in: 0..<6, using: &random))")),
                ])
        }
    }

    /// Edges: each event's time, one before and after, and where it leaves each window.
    static func instants(_ events: [FeatureEvent], _ random: inout SeededGenerator) -> [Int64] {
        var instants: [Int64] = [events[0].time - 1_000_000_000_000, events[0].time + 1_000_000_000_000]
        for event in events.shuffled(using: &random).prefix(4) {
            let span = spans.randomElement(using: &random) ?? 1
            instants += [event.time, event.time - 1, event.time + 1]
            instants += [event.time + span, event.time + span - 1, event.time + span + 1]
        }
        return instants
    }

    @Test func equalsNaiveReadingInAnyOrder() throws {
        var random = SeededGenerator(7)
        let view = try Self.view()
        var (vector, permuted) = (FeatureVector(), FeatureVector())
        for round in 0..<60 {
            let events = Self.events([1, 2, 5, 30, 90][round % 5], &random)
            var one = FeatureComputation(view)
            var other = FeatureComputation(view)
            for event in events { one.add(event) }
            for event in events.shuffled(using: &random) { other.add(event) }
            let oracle = Oracle(view: view, events: events)
            let middle = events[events.count / 2]
            for asOf in Self.instants(events, &random) {
                for knownAt in [KnownAt.latest, .seq(middle.seq), .ingestTime(middle.ingestTime), .seq(-1)] {
                    one.read(asOf: asOf, knownAt: knownAt, into: &vector)
                    other.read(asOf: asOf, knownAt: knownAt, into: &permuted)
                    #expect(vector.values == permuted.values)
                    for (index, feature) in view.spec.features.enumerated() {
                        let expected = oracle.value(feature, asOf: asOf, knownAt: knownAt)
                        if vector.values[index] != expected {
                            let found = vector.values[index]
                            Issue.record("\(round) \(feature.name) \(asOf) \(knownAt): \(found), expected \(expected)")
                        }
                    }
                }
            }
        }
    }

    @Test func fullEntityIsTruncatedNeverWrong() throws {
        var random = SeededGenerator(11)
        let view = try Self.view(entityEventsMax: 20)
        var (vector, permuted) = (FeatureVector(), FeatureVector())
        var (exact, truncated, unavailable) = (0, 0, 0)
        for _ in 0..<40 {
            let events = Self.events(60, &random)
            var one = FeatureComputation(view, entityEventsMax: 20)
            var other = FeatureComputation(view, entityEventsMax: 20)
            for event in events { one.add(event) }
            for event in events.shuffled(using: &random) { other.add(event) }
            let oracle = Oracle(view: view, events: events)
            for asOf in Self.instants(events, &random) {
                one.read(asOf: asOf, into: &vector)
                other.read(asOf: asOf, into: &permuted)
                #expect(vector.values == permuted.values)
                #expect(vector.status == permuted.status)
                for (index, feature) in view.spec.features.enumerated() {
                    switch vector.values[index] {
                    case .null(.windowTruncated): truncated += 1
                    case .null(.featureUnavailable): unavailable += 1
                    case let value:
                        exact += 1
                        #expect(value == oracle.value(feature, asOf: asOf, knownAt: .latest))
                    }
                }
            }
        }
        #expect(exact > 1_000 && truncated > 1_000 && unavailable > 1_000)
    }

    @Test func retentionIsNeverWrong() throws {
        var random = SeededGenerator(13)
        let view = try Self.view(retention: 1_000_000_000)
        var vector = FeatureVector()
        var (exact, unavailable) = (0, 0)
        for _ in 0..<40 {
            let events = Self.events(60, &random)
            let store = FeatureStore(shards: 1)
            let index = store.add(view)
            let plan = try store.plan(view: index)
            let oracle = Oracle(view: view, events: events)
            var watermark = Int64.min
            for (position, event) in events.enumerated() {
                store.apply(view: index, event)
                watermark = max(watermark, event.time)
                if position % 7 == 6 { store.retire(view: index, watermark: watermark) }
            }
            #expect(store.counts.entities == 1)
            for asOf in Self.instants(events, &random) + [watermark] {
                store.read("e", plan, asOf: asOf, into: &vector)
                if vector.status == .historyUnavailable {
                    unavailable += 1
                    #expect(asOf < watermark)
                    continue
                }
                exact += 1
                for (position, feature) in view.spec.features.enumerated() {
                    #expect(vector.values[position] == oracle.value(feature, asOf: asOf, knownAt: .latest))
                }
            }
        }
        #expect(exact > 40 && unavailable > 10)
    }
}
