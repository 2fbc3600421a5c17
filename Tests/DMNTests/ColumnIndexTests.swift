import FEEL
import Testing

@testable import DMN

/// The index must answer exactly as evaluating every cell does, for cells and values of every kind.
@Suite struct ColumnIndexTests {
    private struct Random {
        var state: UInt64
        mutating func below(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
    }

    private static let constants: [String: [String]] = [
        "number": ["0", "1", "1.0", "2.5", "-3", "1e30", "9.999999999999999999999999999999999e6144"],
        "string": ["\"\"", "\"a\"", "\"ab\"", "\"b\"", "\"\u{e9}\"", "\"e\u{301}\""],
        "boolean": ["true", "false"],
        "date": ["@\"2026-01-31\"", "date(\"2026-02-01\")", "date(2026, 2, 2)", "@\"-0004-01-01\""],
        "dateTime": ["@\"2026-01-31T12:00:00Z\"", "@\"2026-01-31T13:00:00.5+01:00\"", "@\"2026-01-31T12:00:00\""],
        "time": ["@\"12:00:00\"", "@\"12:00:00Z\""],
        "durations": ["@\"P1D\"", "@\"PT24H1S\"", "-@\"P1D\""],
        "months": ["@\"P1Y\"", "@\"P13M\"", "-@\"P1M\""],
    ]

    private static func cell(_ random: inout Random, _ kinds: [String]) -> String {
        func constant() -> String { random.pick(constants[random.pick(kinds)] ?? ["0"]) }
        func test() -> String {
            switch random.below(9) {
            case 0: return constant()
            case 1: return "\(random.pick(["<", "<=", ">", ">=", "=", "!="])) \(constant())"
            case 2: return "\(random.pick(["[", "("]))\(constant())..\(constant())\(random.pick(["]", ")"]))"
            case 3: return "null"
            case 4: return "? > \(constant()) and ? < \(constant())"
            case 5: return "[\(constant()), \(constant())]"
            case 6: return "? between \(constant()) and \(constant())"
            case 7: return "starts with(?, \"a\")"
            default: return constant()
            }
        }
        let tests = (0...random.below(3)).map { _ in test() }.joined(separator: ", ")
        switch random.below(8) {
        case 0: return "-"
        case 1, 2: return "not(\(tests))"
        default: return tests
        }
    }

    private static let values: [Value] = {
        let sources =
            constants.values.flatMap { $0 } + [
                "null", "0.5", "1.5", "-1e40", "1e40", "\"aa\"", "\"\u{1}\"", "\"zz\"", "@\"2026-01-30\"",
                "@\"2026-02-03\"", "@\"2026-01-31T12:00:00.1Z\"", "@\"2026-01-31T11:59:59Z\"",
                "@\"2030-01-01T00:00:00\"",
                "@\"PT1S\"", "@\"P2D\"", "@\"P2M\"", "@\"P9Y\"", "@\"13:00:00\"", "[1]", "{a: 1}", "[1..2]", "[]",
            ]
        return sources.compactMap { try? Expression($0, in: Environment([])).evaluate([]) }
    }()

    @Test(arguments: [
        ["number"], ["string"], ["boolean"], ["date"], ["dateTime"], ["durations", "months"], ["number", "string"],
        ["boolean", "number", "date"], ["time", "dateTime"],
        ["number", "string", "boolean", "date", "dateTime", "time", "durations", "months"],
    ])
    func agreesWithCells(kinds: [String]) throws {
        var random = Random(state: UInt64(kinds.count) &+ UInt64(kinds[0].utf8.count) &* 977)
        let environment = Environment([TypedName(name: "x", type: .any, isNullable: true)])
        for size in [1, 7, 64, 65, 130] {
            let spec = DecisionTableSpec(
                inputs: [.init(name: "x", expression: "x")], outputs: [.init(name: "o")],
                rules: (0..<size).map { _ in .init(tests: [ColumnIndexTests.cell(&random, kinds)], outputs: ["1"]) },
                hitPolicy: .collect)
            let table = try DecisionTable.compile(spec, environment: environment)
            for value in ColumnIndexTests.values {
                let expected = table.columns[0].cells.indices.filter { rule in
                    table.columns[0].cells[rule].matches(value, []) == true
                }
                let found = table.evaluate([value]).matchedRules.map { $0 - 1 }
                let wrong = Set(found).symmetricDifference(expected).sorted().map { spec.rules[$0].tests[0] }
                #expect(wrong.isEmpty, "\(value.text)")
            }
        }
    }

    /// Most cells of real tables are known to the index: nothing of them is evaluated.
    @Test(arguments: [
        "1", "\"a\", \"b\"", "< 5", "[1..3)", "not(\"a\")", "true", "null", "null, < 5", "@\"2026-01-31\"",
        "> date(\"2026-01-31\")", "[@\"P1D\"..@\"P2D\"]", "? > 5 and ? < 7", "[1, 2]", "!= 5",
    ])
    func isKnown(cell: String) throws {
        let tests = try UnaryTests(cell, inputType: .any, in: Environment([]))
        #expect(!ColumnIndex(cells: [tests]).isOpaque(0))
        let call = try UnaryTests("starts with(?, \"a\")", inputType: .any, in: Environment([]))
        #expect(ColumnIndex(cells: [call]).isOpaque(0))
    }

    @Test func nearMissesNameTheCells() throws {
        let spec = DecisionTableSpec(
            inputs: [.init(name: "n", expression: "n"), .init(name: "s", expression: "s")], outputs: [.init(name: "o")],
            rules: [
                .init(tests: ["> 10", "\"a\""], outputs: ["1"]), .init(tests: ["> 10", "\"b\""], outputs: ["2"]),
                .init(tests: ["< 5", "\"b\""], outputs: ["3"]), .init(tests: ["< 5", "\"a\""], outputs: ["4"]),
            ], hitPolicy: .unique)
        let names = ["n", "s"].map { TypedName(name: $0, type: .any, isNullable: true) }
        let table = try DecisionTable.compile(spec, environment: Environment(names))
        let slots: [Value] = [.number(20), .string("a")]
        let result = table.evaluate(slots)
        #expect(result.matchedRules == [1])
        let misses = table.nearMisses(result, slots)
        #expect(misses.map(\.rule) == [2, 4])
        #expect(misses.map { $0.cells.map(\.column) } == [[1], [0]])
        #expect(misses[0].cells[0].test == "\"b\"" && misses[0].cells[0].input == .string("a"))
        #expect(table.nearMisses(result, slots, cells: 2).map(\.rule) == [2, 4, 3])
        let unknown = table.evaluate([.null, .string("a")])
        #expect(table.nearMisses(unknown, [.null, .string("a")]).allSatisfy { $0.cells[0].isUnknown })
    }
}
