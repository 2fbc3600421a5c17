import Features
import Foundation
import Testing

/// The retail purchases: every served feature equals the expected files, bit for bit.
@Suite struct RetailTests {
    static let day: Int64 = 86_400_000_000
    static let windows: [(name: String, micros: Int64)] = [
        ("1h", 3_600_000_000), ("1d", day), ("7d", 7 * day), ("30d", 30 * day), ("90d", 90 * day),
    ]

    static func view() throws -> FeatureView {
        var features: [FeatureSpec] = []
        for (name, span) in windows {
            let window = FeatureWindow.micros(span)
            features.append(FeatureSpec(name: "count_\(name)", aggregate: .count, window: window))
            for (prefix, aggregate) in [
                ("sum", Aggregate.sum), ("mean", .mean), ("min", .min), ("max", .max), ("last", .last),
            ] {
                features.append(
                    FeatureSpec(name: "\(prefix)_\(name)", aggregate: aggregate, column: "amount", window: window))
            }
            features.append(
                FeatureSpec(name: "distinct_products_\(name)", aggregate: .distinct, column: "product", window: window))
            features.append(
                FeatureSpec(name: "distinct_invoices_\(name)", aggregate: .distinct, column: "invoice", window: window))
            features.append(
                FeatureSpec(name: "sum_quantity_\(name)", aggregate: .sum, column: "quantity", window: window))
            features.append(
                FeatureSpec(name: "max_quantity_\(name)", aggregate: .max, column: "quantity", window: window))
        }
        features.append(FeatureSpec(name: "days_since_last", aggregate: .timeSince(.days), window: .allHistory))
        return try FeatureView.compile(
            FeatureViewSpec(
                name: "purchases", version: 1, contract: "purchases", entity: "customer",
                columns: [
                    ColumnSpec(name: "amount", kind: .decimal(scale: 2), path: "/data/amount"),
                    ColumnSpec(name: "quantity", kind: .integer, path: "/data/quantity"),
                    ColumnSpec(name: "product", kind: .string, path: "/data/product"),
                    ColumnSpec(name: "invoice", kind: .string, path: "/data/invoice"),
                ], features: features))
    }

    /// Accepted purchases in arrival order.
    static func events() throws -> [FeatureEvent]? {
        guard let lines = try SharedData.lines("data/events/events.ndjson.gz"),
            let labels = try SharedData.csv("data/events/labels.csv.gz")
        else { return nil }
        let (line, outcome) = (try #require(labels.header["line"]), try #require(labels.header["outcome"]))
        // Some events write their time with another offset; the labels have it in UTC.
        let eventTime = try #require(labels.header["event_time"])
        var events: [FeatureEvent] = []
        for row in labels.rows where row[outcome] == "accept" {
            let number = try #require(Int(row[line]))
            let text = lines[number - 1]
            let object = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            guard object["type"] as? String == "com.example.retail.purchase" else { continue }
            let data = try #require(object["data"] as? [String: Any])
            let amount = try #require(data["amount"] as? Double)
            events.append(
                FeatureEvent(
                    entity: try #require(object["subject"] as? String),
                    source: try #require(object["source"] as? String), id: try #require(object["id"] as? String),
                    time: micros(row[eventTime]), ingestTime: Int64(number) * 1_000,
                    seq: Int64(number),
                    values: [
                        .scaled(Int64((amount * 100).rounded())), .scaled(try #require(data["quantity"] as? Int64)),
                        .string(try #require(data["product"] as? String)),
                        .string(try #require(data["invoice"] as? String)),
                    ]))
        }
        return events
    }

    @Test func everyExpectedFeature() throws {
        guard let events = try Self.events(), let points = try SharedData.csv("data/features/point_in_time.csv"),
            let scores = try SharedData.csv("data/features/score_at.csv")
        else {
            print("skipped: shared data is absent")
            return
        }
        let view = try Self.view()
        let store = FeatureStore(shards: 4)
        let index = store.add(view)
        for event in events { #expect(store.apply(view: index, event) == .applied) }
        let plan = try store.plan(view: index)
        let renamed = { (column: String) -> String in
            column == "days_since_last_purchase"
                ? "days_since_last" : column.hasPrefix("avg_") ? "mean_" + column.dropFirst(4) : column
        }
        var vector = FeatureVector()
        var compared = 0
        for file in [points, scores] {
            let columns = file.header.compactMap { name, cell in view.index(of: renamed(name)).map { (name, cell, $0) }
            }
            for row in file.rows {
                store.read(String(row[0]), plan, asOf: micros(row[1]), into: &vector)
                #expect(vector.status == .complete)
                for (name, cell, feature) in columns {
                    let value = vector.values[feature]
                    let isEqual =
                        row[cell].isEmpty ? value.nullReason != nil : value.double == Double(row[cell])
                    if !isEqual { Issue.record("\(row[0]) \(row[1]) \(name): \(value), expected \(row[cell])") }
                    compared += 1
                }
            }
        }
        #expect(points.rows.count == 2_030)
        #expect(scores.rows.count == 500)
        #expect(compared == 2_030 * 26 + 500 * 36)
        print("retail: \(compared) values equal; \(store.counts), \(store.bytesUsed) bytes")
    }

    @Test func historyEqualsServed() throws {
        guard let events = try Self.events() else { return }
        let view = try Self.view()
        let store = FeatureStore(shards: 2)
        let index = store.add(view)
        for event in events { store.apply(view: index, event) }
        let plan = try store.plan(view: index)
        var history = FeatureComputation(view)
        let byCustomer = Dictionary(grouping: events, by: \.entity)
        var (served, computed) = (FeatureVector(), FeatureVector())
        for (customer, own) in byCustomer.sorted(by: { $0.key < $1.key }).prefix(60) {
            history.reset()
            for event in own.reversed() { history.add(event) }
            for event in own.prefix(5) {
                for knownAt in [KnownAt.latest, .seq(event.seq), .ingestTime(event.ingestTime + 500_000)] {
                    store.read(customer, plan, asOf: event.time, knownAt: knownAt, into: &served)
                    history.read(asOf: event.time, knownAt: knownAt, into: &computed)
                    #expect(served.values == computed.values)
                }
            }
        }
    }
}
