import FEEL
import Testing

@testable import DMN

@Suite struct DecisionTableTests {
    static let environment = Environment([
        TypedName(name: "amount", type: .number, isNullable: true),
        TypedName(name: "country", type: .string, isNullable: true),
    ])

    private func table(
        _ rules: [(String, String, String)], _ policy: HitPolicy, aggregation: Aggregation? = nil,
        allowed: String? = nil, defaultValue: String? = nil, profile: Profile = .dmn
    ) throws -> DecisionTable {
        let spec = DecisionTableSpec(
            inputs: [
                .init(name: "amount", expression: "amount", type: .number),
                .init(name: "country", expression: "country", type: .string),
            ], outputs: [.init(name: "result", allowedValues: allowed, defaultValue: defaultValue)],
            rules: rules.map { .init(tests: [$0.0, $0.1], outputs: [$0.2]) }, hitPolicy: policy,
            aggregation: aggregation)
        return try DecisionTable.compile(spec, environment: DecisionTableTests.environment, profile: profile)
    }

    private func slots(_ amount: Int?, _ country: String?) -> [Value] {
        [amount.map { .number($0) } ?? .null, country.map { .string($0) } ?? .null]
    }

    private let overlapping = [("< 10", "-", "1"), ("-", "\"DE\"", "2"), (">= 5", "not(\"FR\")", "3")]

    @Test func uniqueConflicts() throws {
        let table = try table(overlapping, .unique)
        let conflict = table.evaluate(slots(7, "DE"))
        #expect(conflict.outcome == .conflict)
        #expect(conflict.matchedRules == [1, 2, 3])
        #expect(conflict.inputs == slots(7, "DE"))
        #expect(table.value(of: conflict) == .null)
        #expect(table.evaluate(slots(7, "FR")).outcome == .matched([[.number(1)]]))
        #expect(table.evaluate(slots(20, "FR")).outcome == .noMatch([.null]))
    }

    @Test func firstStopsAtTheFirst() throws {
        let table = try table(overlapping, .first)
        let result = table.evaluate(slots(7, "DE"))
        #expect(result.outcome == .matched([[.number(1)]]))
        #expect(result.matchedRules == [1])
        #expect(table.value(of: result) == .number(1))
    }

    @Test func listPolicies() throws {
        let ordered: [Value] = [.number(1), .number(2), .number(3)]
        for policy in [HitPolicy.collect, .ruleOrder] {
            let table = try table(overlapping, policy)
            #expect(table.value(of: table.evaluate(slots(7, "DE"))) == .list(ordered))
            #expect(table.value(of: table.evaluate(slots(20, "FR"))) == .list([]))
        }
        let outputOrder = try table(overlapping, .outputOrder, allowed: "3, 1, 2")
        #expect(
            outputOrder.value(of: outputOrder.evaluate(slots(7, "DE"))) == .list([.number(3), .number(1), .number(2)]))
        let priority = try table(overlapping, .priority, allowed: "3, 1, 2")
        let result = priority.evaluate(slots(7, "DE"))
        #expect(priority.value(of: result) == .number(3))
        #expect(result.matchedRules == [1, 2, 3])
    }

    @Test(arguments: [(Aggregation.sum, 6), (.count, 3), (.min, 1), (.max, 3)])
    func aggregations(aggregation: Aggregation, expected: Int) throws {
        let table = try table(overlapping, .collect, aggregation: aggregation)
        #expect(table.value(of: table.evaluate(slots(7, "DE"))) == .number(expected))
        let none = table.value(of: table.evaluate(slots(20, "FR")))
        #expect(none == (aggregation == .count ? .number(0) : .null))
    }

    @Test func anyWantsAgreement() throws {
        let agreeing = try table([("< 10", "-", "1"), ("-", "\"DE\"", "1")], .any)
        #expect(agreeing.evaluate(slots(7, "DE")).outcome == .matched([[.number(1)]]))
        let disagreeing = try table(overlapping, .any)
        #expect(disagreeing.evaluate(slots(7, "DE")).outcome == .conflict)
    }

    @Test func nullMatchesOnlyDashAndNull() throws {
        let table = try table(
            [("< 10", "-", "1"), ("-", "\"DE\"", "2"), ("null", "null", "3"), ("-", "not(\"DE\")", "4")], .collect)
        #expect(table.evaluate(slots(nil, nil)).matchedRules == [3, 4])
        #expect(table.evaluate(slots(nil, "DE")).matchedRules == [2])
    }

    @Test func defaultsApply() throws {
        let table = try table([("1", "-", "1")], .unique, defaultValue: "40 + 2")
        #expect(table.evaluate(slots(2, nil)).outcome == .noMatch([.number(42)]))
        #expect(table.value(of: table.evaluate(slots(2, nil))) == .number(42))
    }

    @Test func findingsHavePointers() {
        do {
            _ = try table([("< ", "-", "1"), ("-", "\"DE\"", "1 +")], .unique)
            Issue.record("accepted")
        } catch let error as DMNError {
            #expect(error.issues.map(\.pointer) == ["/rules/0/tests/0", "/rules/1/outputs/0"])
            #expect(error.issues.allSatisfy { $0.code == "syntax" && $0.offset != nil })
        } catch {
            Issue.record("wrong error: \(error)")
        }
        #expect(throws: DMNError.self) { try table([("\"x\"", "-", "1")], .unique, profile: .strict) }
        #expect(throws: DMNError.self) { try table([("-", "-", "1")], .first, aggregation: .sum) }
        #expect(throws: DMNError.self) { try table([("-", "-", "nosuch")], .first, profile: .strict) }
        #expect(throws: DMNError.self) { try table([("-", "-", "amount + 1")], .first, profile: .strict) }
    }

    @Test func severalOutputsGiveAContext() throws {
        let spec = DecisionTableSpec(
            inputs: [.init(name: "amount", expression: "amount * 2", type: .number)],
            outputs: [.init(name: "limit"), .init(name: "tier")],
            rules: [.init(tests: ["> 10"], outputs: ["amount + 1", "\"gold\""])], hitPolicy: .first)
        let table = try DecisionTable.compile(spec, environment: DecisionTableTests.environment)
        let result = table.evaluate(slots(6, nil))
        #expect(table.value(of: result).text == "{limit: 7, tier: \"gold\"}")
        #expect(result.inputs == [.number(12)])
        #expect(table.usedSlots == [0])
    }

    /// The index must answer exactly as evaluating every cell does.
    @Test func indexAgreesWithCells() throws {
        var state: UInt64 = 1
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        let numbers: [() -> String] = [
            { "-" }, { "\(random(20))" }, { "< \(random(20))" }, { ">= \(random(20))" },
            { "\(random(9)), \(random(20)).5" },
            { "[\(random(9))..\(9 + random(9))]" }, { "(\(random(9))..\(9 + random(9)))" }, { "not(\(random(20)))" },
            { "\(random(9)), > \(random(20))" }, { "null" }, { "? * 2 > \(random(30))" }, { "\"x\"" },
        ]
        let texts: [() -> String] = [
            { "-" }, { "\"a\"" }, { "\"a\", \"b\"" }, { "not(\"c\")" }, { "null" }, { "starts with(?, \"a\")" },
            { "< \"b\"" }, { "\"\u{E9}\"" }, { "\"e\u{301}\", \"the first seven, then more\"" },
            { "\"the first seven, then less\", \"\"" },
        ]
        let samples = [
            "a", "b", "c", "ab", "", "\u{E9}", "e\u{301}", "the first seven, then more", "the first seven, then less",
            "the first seven",
        ]
        for size in [1, 63, 64, 65, 200] {
            let rules = (0..<size).map { _ in (numbers[random(12)](), texts[random(10)](), "1") }
            let table = try table(rules, .collect)
            for _ in 0..<60 {
                let number: Value = random(9) == 0 ? .null : .number(Decimal("\(random(22)).\(random(2) * 5)") ?? .zero)
                let text: Value = random(9) == 0 ? .null : .string(samples[random(samples.count)])
                let expected = rules.indices.filter { rule in
                    table.columns[0].cells[rule].matches(number, []) == true
                        && table.columns[1].cells[rule].matches(text, []) == true
                }
                #expect(table.evaluate([number, text]).matchedRules == expected.map { $0 + 1 })
            }
        }
    }
}
