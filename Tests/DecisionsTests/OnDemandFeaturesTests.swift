import FEEL
import Features
import JSON
import Testing

@testable import Decisions

@Suite struct OnDemandFeaturesTests {
    static let stored: [(name: String, type: FEELType)] = [
        ("count", .number), ("spend", .number), ("seen", .dateTime), ("vip", .boolean), ("since", .date),
        ("products", .list(.context(["value": .string, "count": .number]))),
    ]

    static let values: [FeatureValue] = [
        .integer(4), .decimal(significand: 1_050, scale: 2), .timestamp(1_000_000), .boolean(true), .date(20_000),
        .frequencies([ValueCount(value: .string("tea"), count: 3)]),
    ]

    static func compile(_ sources: [String], _ problems: ProblemList) -> OnDemandFeatures {
        OnDemandFeatures(
            sources.enumerated().map { (name: "f\($0)", source: $1, pointer: "/\($0)") }, over: stored, problems)
    }

    @Test(
        arguments: [
            ("spend / count", .decimal(significand: 2_625, scale: 3)), ("spend * 200", .integer(2_100)),
            ("if vip then \"gold\" else \"none\"", .string("gold")), ("spend > 10", .boolean(true)),
            ("since", .date(20_000)), ("seen", .timestamp(1_000_000)),
            ("now()", .timestamp(86_400_000_000)), ("products[1].count", .integer(3)),
            ("products[1].value", .string("tea")),
            ("spend / 0", .null(.expressionNull)),
            ("10 ** 37", .decimal(significand: Int128("1" + String(repeating: "0", count: 37)) ?? 0, scale: 0)),
        ] as [(String, FeatureValue)]) func evaluates(_ source: String, _ expected: FeatureValue)
    {
        let problems = ProblemList()
        let features = Self.compile([source], problems)
        #expect(problems.brief == [])
        var values = Self.values
        features.append(to: &values, asOf: 86_400_000_000)
        #expect(values.count == 7 && values[6] == expected, "\(values)")
    }

    /// A recorded value reads back as what FEEL and models saw.
    @Test func recordsReadBack() throws {
        let problems = ProblemList()
        let features = Self.compile(
            ["spend / 3", "spend * 10 ** 30", "vip", "since", "now()", "spend / 10 ** 37"], problems)
        var values = Self.values
        features.append(to: &values, asOf: 5)
        for (value, type) in zip(values, Self.stored.map(\.type) + features.features.map(\.type)) {
            let text = Fixture.json { DecisionEncoding.write(value, to: &$0) }
            let back = FeatureValue(try JSONTree(parsing: text), as: type)
            #expect(Value(back) == Value(value), "\(text)")
            #expect(back.double == value.double || value.double.isNaN)
        }
    }

    @Test func oneReadsAnother() {
        let problems = ProblemList()
        let features = Self.compile(["spend / count", "f0 * 2"], problems)
        var values = Self.values
        features.append(to: &values, asOf: 0)
        #expect(problems.isEmpty && values[7] == .decimal(significand: 525, scale: 2))
        #expect(features.features.map(\.sources) == [[0, 1], [6]])
        values = Array(repeating: .null(.expired), count: 6)
        features.append(to: &values, asOf: 0)
        #expect(values.allSatisfy { $0 == .null(.expired) } && values.count == 8)
    }

    @Test(arguments: [
        ("spend +", "/0/expression"), ("unknown + 1", "/0/expression"), ("products", "/0/expression"),
        ("{a: 1}", "/0/expression"), ("since + duration(\"P1D\")", "/0/expression"), ("null", "/0/expression"),
        ("if vip then 1 else \"a\"", "/0/expression"),
    ]) func refuses(_ source: String, _ place: String) {
        let problems = ProblemList()
        _ = Self.compile([source], problems)
        #expect(problems.problems.map(\.pointer) == [place])
    }

    @Test func namesStandOnce() {
        let problems = ProblemList()
        _ = OnDemandFeatures(
            [("count", "spend", "/0"), ("a", "spend", "/1"), ("a", "spend", "/2")], over: Self.stored, problems)
        #expect(problems.brief == ["/0/name duplicate_name", "/2/name duplicate_name"])
    }
}

@Suite struct EntityBindingTests {
    static func compile(_ features: String, _ parts: [String], _ problems: ProblemList) throws -> CompiledDecision? {
        let text = """
            {"entity":"a","inputs":[{"name":"a","type":"string"},{"name":"b","type":"string"},{"name":"c","type":"number"}],
             "features":[\(features)],"outputs":[{"name":"n","type":"number","expression":"v.n"}]}
            """
        guard let spec = DecisionSpec.parse(try JSONTree(parsing: text), at: "", problems) else { return nil }
        return DecisionCompiler.compile(
            name: "d", version: 1, spec: spec, at: "", problems,
            views: { _ in ViewInterface(version: 1, features: [("n", .number)], entityParts: parts) },
            models: { _ in nil })
    }

    /// The key's parts stand in the view's order, however the decision writes them.
    @Test func joinsTheParts() throws {
        let problems = ProblemList()
        let found = try Self.compile(#"{"view":"v","entity":{"y":"b","x":"a","z":"c"}}"#, ["x", "y", "z"], problems)
        let decision = try #require(found, "\(problems.brief)")
        #expect(decision.entityInputs == [[0, 1, 2]])
        #expect(decision.entityKey(ofUse: 0, [.string("p"), .string("qr"), .number(7)]) == "1:p2:qr1:7")
        #expect(decision.entityKey(ofUse: 0, [.string("p"), .null, .number(7)]) == nil)
    }

    @Test func onePartIsTheKey() throws {
        for features in [#"{"view":"v"}"#, #"{"view":"v","entity":"a"}"#, #"{"view":"v","entity":{"x":"a"}}"#] {
            let decision = try #require(try Self.compile(features, ["x"], ProblemList()))
            #expect(decision.entityKey(ofUse: 0, [.string("p"), .null, .null]) == "p")
        }
    }

    @Test(arguments: [
        (#"{"view":"v"}"#, "/features/0/entity entity_parts_differ"),
        (#"{"view":"v","entity":{"x":"a"}}"#, "/features/0/entity entity_parts_differ"),
        (#"{"view":"v","entity":{"x":"a","y":"b","z":"c"}}"#, "/features/0/entity entity_parts_differ"),
        (#"{"view":"v","entity":{"x":"a","w":"b"}}"#, "/features/0/entity entity_parts_differ"),
        (#"{"view":"v","entity":{"x":"a","y":"nobody"}}"#, "/features/0/entity/y unknown_name"),
        (#"{"view":"v","entity":{"x":"a","y":1}}"#, "/features/0/entity/y type_mismatch"),
        (#"{"view":"v","entity":{}}"#, "/features/0/entity empty_list"),
        (#"{"view":"v","entity":5}"#, "/features/0/entity type_mismatch"),
    ]) func refuses(_ features: String, _ told: String) throws {
        let problems = ProblemList()
        #expect(try Self.compile(features, ["x", "y"], problems) == nil)
        #expect(problems.brief.contains(told), "\(problems.brief)")
    }
}
