import FEEL
import Testing

@testable import DMN

/// What a table's author is told, as a table: rules, hit policy, findings as `severity code pointer`.
@Suite struct TableAnalysisTests {
    struct Example: CustomTestStringConvertible, Sendable {
        let name: String
        var policy = HitPolicy.unique
        /// Cells of `n` (number) and `s` (text), and the output.
        let rules: [(String, String, String)]
        var allowedInput: String?
        var allowedOutput: String?
        var outputType = FEELType.any
        var aggregation: Aggregation?
        var defaultValue: String?
        let findings: [String]
        var testDescription: String { name }
    }

    private static let examples: [Example] = [
        Example(
            name: "complete", rules: [("< 10", "-", "1"), ("[10..20)", "-", "2"), (">= 20", "-", "3")], findings: []),
        Example(
            name: "overlap at one point", rules: [("<= 10", "-", "1"), (">= 10", "-", "2")],
            findings: ["error rules_overlap /rules/1"]),
        Example(
            name: "apart in the other column",
            rules: [("-", "\"a\"", "1"), ("-", "not(\"a\")", "2")], findings: []),
        Example(
            name: "a gap between and a text left out", rules: [("< 10", "-", "1"), ("> 10", "\"a\"", "2")],
            findings: ["warning rules_gap /rules", "warning rules_gap /rules"]),
        Example(
            name: "allowed values close the gap", rules: [("-", "\"a\"", "1"), ("-", "\"b\"", "2")],
            allowedInput: "\"a\", \"b\"", findings: []),
        Example(
            name: "a default closes the gap", rules: [("< 10", "-", "1")], defaultValue: "0", findings: []),
        Example(
            name: "never allowed", rules: [("-", "\"c\"", "1"), ("-", "\"a\", \"b\"", "2")],
            allowedInput: "\"a\", \"b\"", findings: ["error cell_never_matches /rules/0/tests/1"]),
        Example(
            name: "an empty cell", rules: [("> 5 and < 3", "-", "1")], findings: ["syntax"]),
        Example(
            name: "a cell that excludes itself", rules: [("? > 5 and ? < 3", "-", "1"), ("-", "-", "2")],
            findings: ["error cell_never_matches /rules/0/tests/0"]),
        Example(
            name: "wrong type", rules: [("\"x\"", "-", "1"), ("-", "-", "2")],
            findings: ["error type_mismatch /rules/0/tests/0"]),
        Example(
            name: "ANY agrees", policy: .any, rules: [("<= 10", "-", "1"), (">= 10", "-", "1")], findings: []),
        Example(
            name: "ANY differs", policy: .any, rules: [("<= 10", "-", "1"), (">= 10", "-", "2")],
            findings: ["error rules_overlap /rules/1"]),
        Example(
            name: "FIRST hides", policy: .first,
            rules: [("< 10", "-", "1"), (">= 10", "-", "2"), ("null", "-", "3"), ("5", "\"a\"", "4"), ("-", "-", "5")],
            findings: ["warning rule_unreachable /rules/3", "warning rule_unreachable /rules/4"]),
        Example(
            name: "FIRST hides in parts only", policy: .first,
            rules: [("< 10", "\"a\"", "1"), ("< 5", "-", "2"), ("-", "-", "3")], findings: []),
        Example(
            name: "PRIORITY hides", policy: .priority,
            rules: [("< 5", "-", "\"low\""), ("-", "-", "\"high\"")], allowedOutput: "\"high\", \"low\"",
            findings: ["warning rule_unreachable /rules/0"]),
        Example(
            name: "COLLECT may do all of it", policy: .collect, rules: [("< 10", "-", "1"), ("< 5", "-", "2")],
            findings: []),
        Example(
            name: "outputs are checked", policy: .collect,
            rules: [("-", "-", "\"a\""), ("-", "-", "\"c\""), ("-", "-", "7"), ("-", "-", "s")],
            allowedOutput: "\"a\", \"b\"", outputType: .string,
            findings: ["error value_not_allowed /rules/1/outputs/0", "error type_mismatch /rules/2/outputs/0"]),
        Example(
            name: "a count's outputs are only counted", policy: .collect, rules: [("-", "-", "\"a\"")],
            outputType: .number, aggregation: .count, findings: []),
        Example(
            name: "the default is checked", rules: [("-", "-", "1")], outputType: .number, defaultValue: "\"x\"",
            findings: ["error type_mismatch /outputs/0/default_value"]),
        Example(
            name: "what is not known is not blamed",
            rules: [("-", "starts with(?, \"a\")", "1"), ("-", "starts with(?, \"b\")", "2")], findings: []),
    ]

    private static let environment = Environment([
        TypedName(name: "n", type: .number, isNullable: true), TypedName(name: "s", type: .string, isNullable: true),
    ])

    private func table(_ example: Example) throws -> DecisionTable {
        try DecisionTable.compile(
            DecisionTableSpec(
                inputs: [
                    .init(name: "n", expression: "n", type: .number),
                    .init(name: "s", expression: "s", type: .string, allowedValues: example.allowedInput),
                ],
                outputs: [
                    .init(
                        name: "o", type: example.outputType, allowedValues: example.allowedOutput,
                        defaultValue: example.defaultValue)
                ],
                rules: example.rules.map { .init(tests: [$0.0, $0.1], outputs: [$0.2]) }, hitPolicy: example.policy,
                aggregation: example.aggregation), environment: TableAnalysisTests.environment)
    }

    @Test(arguments: examples)
    func findings(example: Example) throws {
        do {
            let found = try table(example).findings()
            #expect(
                found.map { "\($0.severity.rawValue) \($0.code.rawValue) \($0.pointer)" } == example.findings,
                "\(found.map(\.message))")
        } catch let error as DMNError {
            #expect(error.issues.map(\.code) == example.findings)
        }
    }

    @Test(arguments: [
        (["< 10", "> 20"], "no rule matches n: [10..20]"), (["< 10", "(10..20]", "> 20"], "no rule matches n: 10"),
        (["10"], "no rule matches n: < 10"), (["not(10)"], "no rule matches n: 10"),
    ])
    func gapsAreWrittenAsCells(cells: [String], message: String) throws {
        let example = Example(name: "", rules: cells.map { ($0, "-", "1") }, findings: [])
        #expect(try table(example).findings().first?.message == message)
    }

    @Test func overlapsSayWhere() throws {
        let example = Example(name: "", rules: [("[1..7)", "\"a\", \"b\"", "1"), ("> 5", "\"b\"", "2")], findings: [])
        let finding = try #require(try table(example).findings().first)
        #expect(finding.message == "rules 1 and 2 match together: n: (5..7), s: \"b\"")
        #expect(finding.rules == [1, 2])
    }

    /// What the analysis says of gaps and overlaps is what evaluating every point says.
    @Test func agreesWithEvaluation() throws {
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        let numbers: [() -> String] = [
            { "-" }, { "< \(random(5))" }, { ">= \(random(5))" }, { "[\(random(3))..\(2 + random(3)))" },
            { "\(random(5)), \(random(5))" }, { "not(\(random(5)))" },
        ]
        let texts: [() -> String] = [{ "-" }, { "\"a\"" }, { "\"a\", \"b\"" }, { "not(\"a\")" }]
        let points: [[Value]] = (-2...12).flatMap { half in
            ["a", "b", "c"].map { [.number(Decimal("\(half).0") ?? .zero), .string($0)] }
                + ["a", "b", "c"].map { [.number(Decimal("\(half).5") ?? .zero), .string($0)] }
        }
        for _ in 0..<200 {
            let rules = (0..<(1 + random(5))).map { _ in (numbers[random(6)](), texts[random(4)](), "1") }
            let table = try table(Example(name: "", rules: rules, findings: []))
            let findings = table.findings()
            let counts = points.map { table.evaluate($0).matchedRules.count }
            #expect(findings.contains { $0.code == .gap } == counts.contains(0), "\(rules)")
            let overlaps = findings.contains { $0.code == .overlap }
            if counts.contains(where: { $0 > 1 }) { #expect(overlaps, "\(rules)") }
        }
    }

    @Test func largeTablesEndWithAWarning() throws {
        // Every rule leaves another point open: the search for gaps and overlaps has to stop somewhere.
        let rules = (0..<1_500).map { ("\($0)", "not(\"t\($0)\")", "1") }
        let findings = try table(Example(name: "", rules: rules, findings: [])).findings()
        #expect(findings.contains { $0.code == .incomplete })
    }

    @Test func modelsAreCheckedWhenTheyArePublished() throws {
        func content(_ first: String, _ second: String) -> String {
            Models.input("a", "number")
                + Models.decision(
                    "d",
                    """
                    <decisionTable><input><inputExpression typeRef="number"><text>a</text></inputExpression></input>
                    <output/>
                    <rule><inputEntry><text>\(first)</text></inputEntry><outputEntry><text>1</text></outputEntry></rule>
                    <rule><inputEntry><text>\(second)</text></inputEntry><outputEntry><text>2</text></outputEntry></rule>
                    </decisionTable>
                    """, inputs: ["a"])
        }
        let gap = try Models.compile(content("1", "2"), tolerant: false)
        #expect(gap.warnings.map(\.code) == ["rules_gap", "rules_gap", "rules_gap"])
        #expect(gap.warnings.first?.pointer == "/decision/d/rules")
        do {
            _ = try Models.compile(content("1", "1"), tolerant: false)
            Issue.record("published")
        } catch let error as DMNError {
            #expect(error.issues.map(\.pointer) == ["/decision/d/rules/1"])
            #expect(error.issues.first?.location?.line == 6)
        }
        #expect(try Models.compile(content("1", "1")).text("d", ["a": .number(1)]) == "null")
    }
}
