import Measures
import Testing

@Suite struct MeasureTests {
    static func measure(
        _ aggregate: MeasureAggregate, _ name: String = "m", dimensions: [String] = ["country", "tier"],
        limit: Int = 1_000
    ) throws -> Measure {
        try Measure.compile(
            MeasureSpec(
                name: name, version: 1, stream: .contract("orders"), aggregate: aggregate,
                operand: aggregate == .ratio || aggregate == .count ? nil : "amount",
                numerator: aggregate == .ratio ? "approved" : nil, dimensions: dimensions, combinationsMax: limit))
    }

    struct Item {
        var time: Int64
        var dimensions: [String?]
        var amount: Int64?
        var isCounted: Bool
        var isApproved: Bool
    }

    static func items(_ count: Int, _ random: inout SeededGenerator) -> [Item] {
        (0..<count).map { _ in
            Item(
                time: 1_711_700_000_000_000 + Int64.random(in: 0..<400_000_000_000, using: &random),
                dimensions: [
                    ["de", "fr", "gb", nil].randomElement(using: &random) ?? nil,
                    ["gold", "é", "e\u{301}"].randomElement(using: &random),
                ],
                amount: Int.random(in: 0..<6, using: &random) == 0
                    ? nil : Int64.random(in: -5_000...50_000, using: &random),
                isCounted: Int.random(in: 0..<5, using: &random) > 0, isApproved: Bool.random(using: &random))
        }
    }

    static func operand(_ item: Item, _ aggregate: MeasureAggregate) -> MeasureOperand {
        switch aggregate {
        case .count, .ratio: .none
        default: item.amount.map { .number(MeasureDecimal(significand: Int128($0), scale: 2)) } ?? .null
        }
    }

    static func naive(_ items: [Item], _ aggregate: MeasureAggregate) -> MeasureValue {
        let counted = items.filter(\.isCounted)
        let amounts = counted.compactMap(\.amount)
        func decimal(_ value: Int64?) -> MeasureValue {
            value.map { .decimal(MeasureDecimal(significand: Int128($0), scale: 2)) } ?? .null(.noData)
        }
        switch aggregate {
        case .count: return .decimal(MeasureDecimal(Int64(counted.count)))
        case .sum: return decimal(amounts.reduce(0, +))
        case .min: return decimal(amounts.min())
        case .max: return decimal(amounts.max())
        case .mean:
            return amounts.isEmpty
                ? .null(.noData) : .double(Double(amounts.reduce(0, +)) / Double(100 * amounts.count))
        case .ratio:
            return counted.isEmpty
                ? .null(.zeroDenominator) : .double(Double(counted.filter(\.isApproved).count) / Double(counted.count))
        case .distinct: return .decimal(MeasureDecimal(Int64(Set(amounts).count)))
        }
    }

    /// Rollups in two parts, one of them through drained deltas and columns, against grouping the items themselves.
    @Test(arguments: [MeasureAggregate.count, .sum, .min, .max, .mean, .ratio, .distinct])
    func equalsNaiveRecomputation(_ aggregate: MeasureAggregate) throws {
        var random = SeededGenerator(21)
        let zone = try Zones.rules("Europe/Berlin") ?? .utc
        let measure = try Self.measure(aggregate)
        for round in 0..<6 {
            let items = Self.items([0, 1, 40, 800][round % 4], &random)
            var (head, batch) = (RollupTable(measure), RollupTable(measure))
            var stored = RollupTable(measure)
            for (index, item) in items.enumerated() {
                let passes = MeasurePass(isCounted: item.isCounted, isNumerator: item.isApproved)
                let operand = Self.operand(item, aggregate)
                if index % 3 == 0 {
                    head.add(timeMicros: item.time, dimensions: item.dimensions, operand: operand, passes: passes)
                } else {
                    batch.add(timeMicros: item.time, dimensions: item.dimensions, operand: operand, passes: passes)
                }
                if index % 50 == 49 {
                    for row in batch.drainDelta() {
                        let state = try #require(MeasureState(row.state.columns))
                        #expect(state == row.state)
                        stored.merge(RollupRow(bucket: row.bucket, dimensions: row.dimensions, state: state))
                    }
                    #expect(batch.count == 0)
                }
            }
            stored.merge(batch)
            let query = MeasureQuery(
                measures: ["m"], dimensions: ["tier"],
                filters: [.or([.member("country", .equals, ["de", nil]), .member("country", .startsWith, ["g"])])],
                grain: .day)
            let result = try query.evaluate(["m": stored.rows() + head.rows()], measures: [measure], in: zone)
            let chosen = items.filter { $0.isCounted && $0.dimensions[0] != "fr" }
            let groups = Dictionary(grouping: chosen) { item in
                "\(zone.start(of: .day, containing: item.time)) \(Array((item.dimensions[1] ?? "").utf8))"
            }
            #expect(result.rows.count == groups.count && result.total == groups.count)
            for row in result.rows {
                let key = "\(row.time ?? 0) \(Array((row.dimensions[0] ?? "").utf8))"
                #expect(row.values == [Self.naive(groups[key] ?? [], aggregate)])
            }
            #expect(result.rows.map { $0.time ?? 0 } == result.rows.map { $0.time ?? 0 }.sorted())
        }
    }

    @Test func pastTheLimitGoesToOther() throws {
        let measure = try Self.measure(.count, dimensions: ["country"], limit: 2)
        var table = RollupTable(measure)
        for country in ["a", "b", "c", "d", "a", String(repeating: "x", count: 300)] {
            table.add(timeMicros: 0, dimensions: [country])
        }
        var after = RollupTable(measure, registry: table.registry)
        after.add(timeMicros: 0, dimensions: ["z"])
        after.add(timeMicros: 0, dimensions: ["b"])
        let rows = table.drainDelta() + after.rows()
        let query = MeasureQuery(measures: ["m"], dimensions: ["country"])
        let result = try query.evaluate(["m": rows], measures: [measure])
        #expect(result.isOtherIncluded)
        #expect(result.rows.map(\.dimensions) == [["__other__"], ["a"], ["b"]])
        #expect(result.rows.map { $0.values[0].double } == [4, 2, 2])
        let narrowed = MeasureQuery(measures: ["m"], filters: [.member("country", .equals, ["a"])])
        #expect(try !narrowed.evaluate(["m": rows], measures: [measure]).isOtherIncluded)
    }

    @Test func emptyBucketsAreFilled() throws {
        guard let zone = try Zones.rules("Europe/Berlin") else { return }
        let (sum, ratio) = (try Self.measure(.sum, "s"), try Self.measure(.ratio, "r"))
        var table = RollupTable(sum)
        let range = try #require(TimeRange(from: "2024-03-30", through: "2024-04-01", in: zone))
        table.add(
            timeMicros: range.start + 86_400_000_000, dimensions: ["de", "x"], operand: .number(MeasureDecimal(5)))
        let query = MeasureQuery(measures: ["s", "r"], grain: .day, range: range, fillsEmptyBuckets: true)
        let result = try query.evaluate(["s": table.rows()], measures: [sum, ratio], in: zone)
        #expect(
            result.rows.map { zone.label($0.time ?? 0) } == [
                "2024-03-30T00:00:00", "2024-03-31T00:00:00", "2024-04-01T00:00:00",
            ])
        #expect(
            result.rows.map(\.values) == [
                [.decimal(.zero), .null(.zeroDenominator)], [.decimal(MeasureDecimal(5)), .null(.zeroDenominator)],
                [.decimal(.zero), .null(.zeroDenominator)],
            ])
    }

    @Test(arguments: [
        (FilterOperator.equals, ["de"] as [String?], ["de"] as [String]), (.equals, [nil], ["null"]),
        (.notEquals, ["de"], ["fr", "null", "usa"]), (.notEquals, ["de", nil], ["fr", "usa"]),
        (.contains, ["s"], ["usa"]), (.notContains, ["s"], ["de", "fr", "null"]),
        (.startsWith, ["d", "f"], ["de", "fr"]),
        (.notStartsWith, ["d"], ["fr", "null", "usa"]), (.endsWith, ["e"], ["de"]),
        (.notEndsWith, ["e"], ["fr", "null", "usa"]),
        (.set, [], ["de", "fr", "usa"]), (.notSet, [], ["null"]),
    ])
    func dimensionFilters(_ comparison: FilterOperator, _ values: [String?], _ expected: [String]) throws {
        let measure = try Self.measure(.count, dimensions: ["country"])
        var table = RollupTable(measure)
        for country in ["de", "fr", "usa", nil] { table.add(timeMicros: 0, dimensions: [country]) }
        let query = MeasureQuery(
            measures: ["m"], dimensions: ["country"], filters: [.member("country", comparison, values)],
            order: [.init("country")])
        let result = try query.evaluate(["m": table.rows()], measures: [measure])
        #expect(result.rows.map { $0.dimensions[0] ?? "null" }.sorted() == expected)
    }

    @Test func havingOrderAndPaging() throws {
        let measure = try Self.measure(.sum, dimensions: ["country"])
        var table = RollupTable(measure)
        for (index, country) in ["a", "b", "c", "d"].enumerated() {
            table.add(timeMicros: 0, dimensions: [country], operand: .number(MeasureDecimal(Int64(index))))
        }
        var query = MeasureQuery(
            measures: ["m"], dimensions: ["country"], filters: [.member("m", .gte, ["1"])], limit: 2, offset: 1)
        let result = try query.evaluate(["m": table.rows()], measures: [measure])
        #expect(result.total == 3)
        #expect(result.rows.map(\.dimensions) == [["c"], ["b"]])
        query.filters = [.member("time", .inDateRange, ["1970-01-02", "1970-01-03"])]
        #expect(try query.evaluate(["m": table.rows()], measures: [measure]).total == 0)
        query.filters = [.member("time", .beforeDate, ["1970-01-02"])]
        #expect(try query.evaluate(["m": table.rows()], measures: [measure]).total == 4)
    }

    @Test func badQueriesAreRefused() throws {
        let measure = try Self.measure(.count, dimensions: ["country"])
        let query = MeasureQuery(
            measures: ["m", "zz"], dimensions: ["city"],
            filters: [
                .or([.member("m", .gt, ["1"]), .member("country", .equals, ["x"])]), .member("m", .gt, ["x"]),
                .member("time", .inDateRange, ["yesterday"]), .member("country", .inDateRange, ["2024-01-01"]),
                .member("m", .contains, ["1"]), .member("country", .equals, []),
            ], range: TimeRange(start: 1, end: 2), order: [.init("country")], limit: -1, offset: -1,
            fillsEmptyBuckets: true)
        let error = try #require(throws: MeasureError.self) { try query.evaluate([:], measures: [measure]) }
        let found = Set(error.issues.map { "\($0.code.rawValue) \($0.pointer)" })
        #expect(
            found == [
                "unknown_member /measures/1", "unknown_member /dimensions/0", "mixed_filter /filters/0",
                "bad_value /filters/1",
                "bad_value /filters/2", "bad_operator /filters/3", "bad_operator /filters/4", "bad_value /filters/5",
                "unknown_member /order/0", "limit_out_of_range /limit", "limit_out_of_range /offset",
                "bad_range /range",
            ])
    }

    @Test func badMeasuresAreRefused() throws {
        var spec = MeasureSpec(
            name: "", version: 1, stream: .decisions, aggregate: .ratio, operand: "x", dimensions: ["a", "a", "time"])
        spec.combinationsMax = 0
        let error = try #require(throws: MeasureError.self) { try Measure.compile(spec) }
        #expect(
            error.issues.map { "\($0.code.rawValue) \($0.pointer)" } == [
                "empty_name /name", "operand_not_allowed /operand", "numerator_required /numerator",
                "duplicate_name /dimensions/1",
                "reserved_name /dimensions/2", "limit_out_of_range /combinations_max",
            ])
    }

    @Test func crowdedAndOverflowingStatesSaySo() throws {
        var state = MeasureState()
        for index in 0...MeasureLimits.distinctMax {
            state.add(.text("\(index)"), isNumerator: false, aggregate: .distinct)
        }
        #expect(state.value(.distinct) == .null(.tooManyDistinct))
        var sum = MeasureState()
        let huge = MeasureDecimal(significand: .max, scale: 0)
        sum.add(.number(huge), isNumerator: false, aggregate: .sum)
        sum.add(.number(huge), isNumerator: false, aggregate: .sum)
        #expect(sum.value(.sum) == .null(.overflow))
        var columns = MeasureState().columns
        columns.sum = String(repeating: "9", count: 60)
        #expect(MeasureState(columns)?.isOverflow == true)
        columns.sum = "abc"
        #expect(MeasureState(columns) == nil)
    }
}

@Suite struct KPIStatusTests {
    @Test(arguments: [
        (120, 100, KPIDirection.increase, KPIState.onTrack), (95, 100, .increase, .atRisk),
        (80, 100, .increase, .offTrack),
        (5, 10, .decrease, .onTrack), (12, 10, .decrease, .offTrack),
    ])
    func states(_ value: Int64, _ target: Int64, _ direction: KPIDirection, _ state: KPIState) {
        let aim = KPITarget(
            target: MeasureDecimal(target), direction: direction,
            atRisk: direction == .increase ? MeasureDecimal(90) : nil)
        let status = KPIStatus.evaluate(title: "Orders", value: .decimal(MeasureDecimal(value)), target: aim)
        #expect(status.state == state && status.change == nil)
    }

    @Test func sentence() {
        let target = KPITarget(target: MeasureDecimal(1_000), direction: .increase, unit: "GBP")
        let status = KPIStatus.evaluate(
            title: "Revenue", value: .decimal(MeasureDecimal(significand: 123_450, scale: 2)),
            previous: .decimal(MeasureDecimal(1_000)), target: target)
        #expect(status.isImproving == true)
        let words = "on track against its target of at least 1000 GBP; up 23.5 % on the period before, which is better."
        #expect(status.summary == "Revenue is 1234.5 GBP, \(words)")
        let none = KPIStatus.evaluate(title: "Approval rate", value: .null(.zeroDenominator), target: target)
        #expect(
            none.state == .noData && none.summary == "Approval rate has no value: nothing was counted in the period.")
    }
}

@Suite struct QualityTests {
    @Test func scores() {
        var table = QualityTable()
        for index in 0..<10 {
            table.update(contract: "orders", ingestTime: Int64(index) * 400_000_000) { counters in
                counters.record(
                    index == 3 ? .quarantined(code: "type") : index == 4 ? .duplicate : .accepted,
                    eventTime: Int64(index))
                if index != 3, index != 4 { counters.record(property: "amount", isPresent: index != 5) }
                counters.record(rule: "positive", index < 2 ? .failed : index == 9 ? .notEvaluated : .passed)
            }
        }
        let parts = table.drainDelta()
        #expect(parts.count == 5 && table.snapshot().isEmpty)
        var (merged, again) = (QualityCounters(), QualityCounters())
        for part in parts { merged.merge(part.counters) }
        for part in parts.reversed() { for row in part.counters.rows { again.merge(row) } }
        #expect(merged == again)
        let scores = QualityScores(merged, now: 109)
        #expect(scores.volume == 10)
        #expect(scores.completeness == 7.0 / 8 && scores.validity == 8.0 / 9 && scores.uniqueness == 8.0 / 9)
        #expect(scores.freshnessMicros == 100)
        #expect(scores.rules["positive"] == 7.0 / 9)
        #expect(merged.quarantined == ["type": 1])
        let nothing = QualityScores(QualityCounters(), now: 0)
        #expect(nothing.completeness == nil && nothing.validity == nil && nothing.freshnessMicros == nil)
    }
}
