import JSON
import Measures
import Testing

@testable import Service

@Suite struct MeasureRollupsTests {
    struct Item {
        let time: Int64
        let product: String?
        let quantity: Int?
        /// In hundredths.
        let amount: Int?
        let gift: Bool?

        var json: String {
            let text = [
                product.map { "\"product\":\"\($0)\"" }, quantity.map { "\"quantity\":\($0)" },
                amount.map { "\"amount\":\($0 < 0 ? "-" : "")\(abs($0) / 100).\(abs($0) / 10 % 10)\(abs($0) % 10)" },
                gift.map { "\"gift\":\($0)" },
            ]
            return "{\"data\":{\(text.compactMap { $0 }.joined(separator: ","))}}"
        }
    }

    static func items(_ count: Int) -> [Item] {
        var random = SeededGenerator(11)
        return (0..<count).map { _ in
            Item(
                time: Int64.random(in: -5_000_000_000...5_000_000_000, using: &random),
                product: ["a", "b", nil].randomElement(using: &random) ?? nil,
                quantity: Int.random(in: 0..<6, using: &random) == 0 ? nil : Int.random(in: -2...4, using: &random),
                amount: Int.random(in: 0..<6, using: &random) == 0
                    ? nil : Int.random(in: -9_999...9_999, using: &random),
                gift: [true, false, nil].randomElement(using: &random) ?? nil)
        }
    }

    static let dimension = #""dimensions":[{"name":"product","expression":"data.product"}]"#

    static func rows(_ spec: String, _ items: [Item]) throws -> [String: MeasureValue] {
        let problems = ProblemList()
        let measure = try #require(try MeasureDefinitionTests.parse(Fixture.tree(spec), problems), "\(problems.brief)")
        let rollups = MeasureRollups()
        var slots = StreamSlots()
        for item in items {
            let document = try JSONDocument(Array(item.json.utf8))
            document.withRoot { rollups.add(measure, $0, timeMicros: item.time, &slots) }
        }
        return Dictionary(
            uniqueKeysWithValues: rollups.rows("revenue", version: 2).map {
                ("\($0.bucket) \($0.dimensions.map { $0 ?? "null" }.joined())", $0.state.value(measure.aggregate))
            })
    }

    /// Items by bucket of 15 minutes and product.
    static func groups(_ items: [Item], _ keep: (Item) -> Bool = { _ in true }) -> [String: [Item]] {
        Dictionary(grouping: items.filter(keep)) { item in
            var bucket = item.time / 900_000_000 * 900_000_000
            if bucket > item.time { bucket -= 900_000_000 }
            return "\(bucket) \(item.product ?? "null")"
        }
    }

    static func cents(_ value: Int) -> MeasureValue { .decimal(MeasureDecimal(significand: Int128(value), scale: 2)) }

    @Test func sumsWithAFilter() throws {
        let items = Self.items(3_000)
        let rows = try Self.rows(
            """
            {"stream":"orders","aggregate":"sum","of":"data.amount","filter":"data.quantity > 0",
             \(Self.dimension)}
            """,
            items)
        let groups = Self.groups(items) { ($0.quantity ?? 0) > 0 }
        #expect(Set(rows.keys) == Set(groups.keys))
        for (key, group) in groups {
            let amounts = group.compactMap(\.amount)
            // A row of nothing but nulls keeps no sum; how it is shown is the measure engine's.
            if !amounts.isEmpty { #expect(rows[key] == Self.cents(amounts.reduce(0, +)), "\(key)") }
        }
    }

    @Test func counts() throws {
        let items = Self.items(2_000)
        let rows = try Self.rows(#"{"stream":"orders","aggregate":"count",\#(Self.dimension)}"#, items)
        let expected = Self.groups(items).mapValues { MeasureValue.decimal(MeasureDecimal(Int64($0.count))) }
        #expect(rows == expected)
    }

    @Test func smallestAndLargest() throws {
        let items = Self.items(2_000)
        for (name, pick) in [("min", { $0.min() }), ("max", { $0.max() })] as [(String, ([Int]) -> Int?)] {
            let rows = try Self.rows(
                #"{"stream":"orders","aggregate":"\#(name)","of":"data.amount",\#(Self.dimension)}"#, items)
            for (key, group) in Self.groups(items) {
                if let value = pick(group.compactMap(\.amount)) { #expect(rows[key] == Self.cents(value)) }
            }
        }
    }

    @Test func ratios() throws {
        let items = Self.items(2_000)
        let rows = try Self.rows(
            """
            {"stream":"orders","aggregate":"ratio","numerator":"data.gift = true","denominator":"data.quantity >= 0",
             \(Self.dimension)}
            """, items)
        let groups = Self.groups(items) { ($0.quantity ?? -1) >= 0 }
        #expect(Set(rows.keys) == Set(groups.keys))
        for (key, group) in groups {
            let gifts = group.filter { $0.gift == true }.count
            #expect(rows[key]?.double == Double(gifts) / Double(group.count))
        }
    }

    /// Equal numbers are one dimension value, however they were spelled.
    @Test func dimensionsOfNumbers() throws {
        let problems = ProblemList()
        let spec = #"{"stream":"orders","aggregate":"count","dimensions":[{"name":"q","expression":"data.quantity"}]}"#
        let measure = try #require(try MeasureDefinitionTests.parse(Fixture.tree(spec), problems), "\(problems.brief)")
        let rollups = MeasureRollups()
        var slots = StreamSlots()
        for spelling in ["1", "1.0", "1e0", "10e-1"] {
            let document = try JSONDocument(Array("{\"data\":{\"quantity\":\(spelling)}}".utf8))
            document.withRoot { rollups.add(measure, $0, timeMicros: 0, &slots) }
        }
        #expect(rollups.rows("revenue", version: 2).map(\.dimensions) == [["1"]])
    }

    @Test func decisionsOfOneName() throws {
        let problems = ProblemList()
        let spec = try Fixture.tree(#"{"stream":"decisions","decision":"offer","aggregate":"count"}"#)
        let measure = try #require(try MeasureDefinitionTests.parse(spec, problems), "\(problems.brief)")
        let rollups = MeasureRollups()
        var slots = StreamSlots()
        for text in [#"{"decision":"offer"}"#, #"{"decision":"other"}"#, "{}", #"{"decision":"offer"}"#] {
            let document = try JSONDocument(Array(text.utf8))
            document.withRoot { rollups.add(measure, $0, timeMicros: 0, &slots) }
        }
        let rows = rollups.rows("revenue", version: 2)
        #expect(rows.count == 1 && rows[0].state.value(.count) == .decimal(MeasureDecimal(2)))
        #expect(rollups.rows("revenue", version: 1).isEmpty && rollups.rows("others", version: 2).isEmpty)
        #expect(rollups.registry("revenue", version: 2) != nil && rollups.registry("revenue", version: 3) == nil)
    }
}
