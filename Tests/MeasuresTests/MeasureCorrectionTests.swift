import Measures
import Testing

/// Items that are taken back, against grouping what is left.
@Suite struct MeasureCorrectionTests {
    typealias Item = MeasureTests.Item

    static func add(_ item: Item, _ aggregate: MeasureAggregate, to table: inout RollupTable) {
        table.add(
            timeMicros: item.time, dimensions: item.dimensions, operand: MeasureTests.operand(item, aggregate),
            passes: MeasurePass(isCounted: item.isCounted, isNumerator: item.isApproved))
    }

    static func remove(_ item: Item, _ aggregate: MeasureAggregate, from table: inout RollupTable, isDelta: Bool) {
        let passes = MeasurePass(isCounted: item.isCounted, isNumerator: item.isApproved)
        let operand = MeasureTests.operand(item, aggregate)
        if isDelta {
            table.removeFromDelta(
                timeMicros: item.time, dimensions: item.dimensions, operand: operand, passes: passes)
        } else {
            table.remove(timeMicros: item.time, dimensions: item.dimensions, operand: operand, passes: passes)
        }
    }

    /// Random adds and removals; every row is what SQL's GROUP BY over the rest gives, and there are no others.
    @Test(arguments: [MeasureAggregate.count, .sum, .min, .max, .mean, .ratio, .distinct])
    func equalsNaiveRecomputation(_ aggregate: MeasureAggregate) throws {
        var random = SeededGenerator(41)
        let measure = try MeasureTests.measure(aggregate)
        for round in 0..<8 {
            var table = RollupTable(measure)
            var left: [Item] = []
            for var item in MeasureTests.items([3, 40, 900][round % 3], &random) {
                // Few buckets, so that rows hold many items.
                item.time = 1_711_700_000_000_000 + item.time % 4 * 900_000_000
                Self.add(item, aggregate, to: &table)
                left.append(item)
                if Int.random(in: 0..<5, using: &random) < 2, let gone = left.indices.randomElement(using: &random) {
                    Self.remove(left.remove(at: gone), aggregate, from: &table, isDelta: false)
                }
            }
            let groups = Dictionary(grouping: left.filter(\.isCounted)) { item in
                Self.key(RollupTable.bucket(of: item.time), item.dimensions)
            }
            #expect(table.count == groups.count)
            for row in table.rows() {
                let items = groups[Self.key(row.bucket, row.dimensions)] ?? []
                #expect(row.state.value(aggregate) == MeasureTests.naive(items, aggregate))
                #expect(row.state.items == Int64(items.count))
                #expect(MeasureState(row.state.columns) == row.state)
                #expect(table.state(bucket: row.bucket, dimensions: row.dimensions) == row.state)
            }
        }
    }

    static func key(_ bucket: Int64, _ dimensions: [String?]) -> String {
        "\(bucket) \(dimensions.map { Array(($0 ?? "-").utf8) })"
    }

    /// What invertible aggregates ship: deltas that may be below zero add up to the whole.
    @Test(arguments: [MeasureAggregate.count, .sum, .mean, .ratio])
    func deltasAddUp(_ aggregate: MeasureAggregate) throws {
        var random = SeededGenerator(43)
        let measure = try MeasureTests.measure(aggregate)
        var (batch, stored) = (RollupTable(measure), RollupTable(measure))
        var left: [Item] = []
        var corrected = 0
        for (index, item) in MeasureTests.items(2_000, &random).enumerated() {
            Self.add(item, aggregate, to: &batch)
            left.append(item)
            if index % 3 == 0, let gone = left.indices.randomElement(using: &random) {
                Self.remove(left.remove(at: gone), aggregate, from: &batch, isDelta: true)
            }
            if index % 100 == 99 {
                for row in batch.drainDelta() {
                    if row.state.isCorrected { corrected += 1 }
                    stored.merge(row)
                }
            }
        }
        #expect(corrected > 100)
        let groups = Dictionary(grouping: left.filter(\.isCounted)) { item in
            Self.key(RollupTable.bucket(of: item.time), item.dimensions)
        }
        for row in stored.rows() {
            let items = groups[Self.key(row.bucket, row.dimensions)] ?? []
            #expect(
                row.state.count == Int64(items.count { aggregate == .count || aggregate == .ratio || $0.amount != nil })
            )
            if row.state.count > 0 { #expect(row.state.value(aggregate) == MeasureTests.naive(items, aggregate)) }
        }
    }

    static func number(_ value: Int) -> MeasureOperand { .number(MeasureDecimal(Int64(value))) }

    /// More different operands than are kept: right as long as a kept one is left, then null with the reason, and right
    /// again once nothing is left that was only counted.
    @Test func exhaustedExtremesSaySo() {
        let count = MeasureLimits.extremesKept + 10
        var state = MeasureState()
        for value in (0..<count).reversed() { state.add(Self.number(value), isNumerator: false, aggregate: .min) }
        for value in 0..<MeasureLimits.extremesKept {
            #expect(state.value(.min) == .decimal(MeasureDecimal(Int64(value))))
            state.remove(Self.number(value), isNumerator: false, aggregate: .min)
        }
        #expect(state.value(.min) == .null(.correctionUnresolved))
        #expect(state.minimum == nil)
        var other = MeasureState()
        other.add(Self.number(-5), isNumerator: false, aggregate: .min)
        other.merge(state)
        // The other row's operand may or may not be the smallest of all.
        #expect(other.value(.min) == .null(.correctionUnresolved))
        for value in MeasureLimits.extremesKept..<count {
            state.remove(Self.number(value), isNumerator: false, aggregate: .min)
        }
        #expect(state.value(.min) == .null(.noData) && state.items == 0)
        state.add(Self.number(3), isNumerator: false, aggregate: .min)
        #expect(state.value(.min) == .decimal(MeasureDecimal(3)))
    }

    /// Merging rows keeps what each of them knows, and forgets what one of them cannot tell.
    @Test func mergedReservesAreNeverWrong() {
        var random = SeededGenerator(47)
        for _ in 0..<30 {
            var parts = (0..<3).map { _ in MeasureState() }
            var values: [Int] = []
            for _ in 0..<Int.random(in: 0...260, using: &random) {
                let value = Int.random(in: -400...400, using: &random)
                let part = Int.random(in: 0..<3, using: &random)
                parts[part].add(Self.number(value), isNumerator: false, aggregate: .max)
                values.append(value)
            }
            var merged = MeasureState()
            for part in parts { merged.merge(part) }
            values.sort()
            while let largest = values.popLast() {
                let value = merged.value(.max)
                if value == .null(.correctionUnresolved) { break }
                #expect(value == .decimal(MeasureDecimal(Int64(largest))))
                merged.remove(Self.number(largest), isNumerator: false, aggregate: .max)
            }
            if values.isEmpty { #expect(merged.items == 0) }
        }
    }

    /// Taking back what was never there is told, not guessed.
    @Test func unmatchedRemovalsSaySo() {
        for aggregate in [MeasureAggregate.min, .max, .distinct] {
            var state = MeasureState()
            state.add(Self.number(5), isNumerator: false, aggregate: aggregate)
            state.remove(Self.number(6), isNumerator: false, aggregate: aggregate)
            #expect(state.value(aggregate) == .null(.correctionUnresolved))
        }
    }
}
