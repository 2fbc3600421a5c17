import FEEL
import JSON
import Measures
import Testing

@testable import Service

@Suite struct MeasureDefinitionTests {
    static let good = """
        {"stream":"orders","aggregate":"sum","of":"data.amount","filter":"data.quantity > 0",
         "dimensions":[{"name":"product","expression":"data.product"}]}
        """
    static let ratio =
        #"{"stream":"orders","aggregate":"ratio","numerator":"data.gift = true","denominator":"data.quantity > 0"}"#

    static func parse(
        _ tree: JSONTree, _ problems: ProblemList, profile: Profile = .strict, zones: ZoneOffsets = .utcOnly
    ) throws -> MeasureDefinition? {
        let schema = try Fixture.schema()
        return MeasureDefinition.parse(
            try Fixture.definition("Measure", tree, name: "revenue"), at: "", problems, profile: profile,
            zones: zones,
            schemas: { stream in
                switch stream {
                case .contract("orders"): schema
                case .decisions: StreamSchema(decisions: [], outputs: [])
                case .outcomes: StreamSchema.outcomes
                default: nil
                }
            })
    }

    @Test func overOutcomes() throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(
            #"""
            {"stream":"outcomes","decision":"limit","aggregate":"sum","of":"value.number",
             "filter":"name = \"repaid\"",
             "dimensions":[{"name":"decision","expression":"decision"},
                           {"name":"text","expression":"value.text"}]}
            """#)
        let measure = try #require(try Self.parse(tree, problems), "\(problems.problems)")
        #expect(measure.stream == .outcomes("limit") && measure.measure.spec.stream == .outcomes)
        var slots = StreamSlots()
        let counted = try [
            #"{"name":"repaid","value":12.5,"decision":"limit"}"#,
            #"{"name":"repaid","value":"no","decision":"limit"}"#,
            #"{"name":"other","value":1,"decision":"limit"}"#,
            #"{"name":"repaid","value":1,"decision":"offer"}"#,
        ].map { text in
            try JSONDocument(Array(text.utf8)).withRoot { measure.contribution(of: $0, &slots)?.dimensions }
        }
        #expect(counted == [["limit", nil], ["limit", "no"], nil, nil])
    }

    static let refusals = [
        Refusal("/stream", nil, "/spec/stream missing_field", "/spec/stream unknown_stream"),
        Refusal("/stream", #""others""#, "/spec/stream unknown_stream"),
        Refusal("/aggregate", nil, "/spec/aggregate missing_field", "/spec/aggregate unknown_aggregate"),
        Refusal("/aggregate", #""median""#, "/spec/aggregate unknown_aggregate"),
        Refusal("/of", nil, "/spec/of operand"), Refusal("/aggregate", #""count""#, "/spec/of operand"),
        Refusal("/of", #""data.amount +""#, "/spec/of syntax"),
        Refusal("/of", #""data.amout""#, "/spec/of unknown_name"),
        Refusal("/filter", #""data.quantty > 0""#, "/spec/filter unknown_name"),
        Refusal("/filter", #""data.quantity >""#, "/spec/filter syntax"),
        Refusal("/filter", #""data.amount > 10""#, "/spec/filter nullable_unguarded"),
        Refusal("/filter", #""data.quantity""#, "/spec/filter not_boolean"),
        Refusal("/numerator", #""data.gift = true""#, "/spec/numerator numerator_not_allowed"),
        Refusal("/dimensions/0/expression", #""data.prodct""#, "/spec/dimensions/0/expression unknown_name"),
        Refusal("/dimensions/0/expression", nil, "/spec/dimensions/0/expression missing_field"),
        Refusal("/dimensions/0/name", nil, "/spec/dimensions/0/name missing_field"),
        Refusal("/dimensions/0/name", #""time""#, "/spec/dimensions/0 reserved_name"),
        Refusal("/dimensions/1", #"{"name":"product","expression":"data.day"}"#, "/spec/dimensions/1 duplicate_name"),
        Refusal("/surplus", "1", "/spec/surplus unknown_field"),
        Refusal("/decision", #""offer""#, "/spec/decision not_applicable"),
    ]

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) throws {
        let problems = ProblemList()
        #expect(try Self.parse(refusal.apply(Fixture.tree(Self.good)), problems) == nil)
        let places = { (told: [String]) in Set(told.map { $0.split(separator: " ").first ?? "" }) }
        if refusal.pointer == "/decision" || refusal.value == #""data.quantity""# {
            // The code is the service's to choose; the place is not.
            #expect(places(problems.brief) == places(refusal.told))
            return
        }
        // What was not asked for any more after a problem may be told as unknown.
        let rest = Set(problems.brief).subtracting(refusal.told)
        #expect(Set(refusal.told).isSubset(of: problems.brief), "\(problems.brief)")
        #expect(rest.allSatisfy { $0.hasSuffix(" unknown_field") }, "\(rest)")
    }

    /// Conditions are published under the strict profile; what an older version took goes on counting.
    @Test func conditionsGuardWhatMayBeNull() throws {
        let good = try Fixture.tree(Self.good)
        for (filter, isStrict) in [
            ("data.amount > 10", false), ("data.amount != null and data.amount > 10", true),
            ("data.gift = true", true), ("data.quantity > 10", true),
        ] {
            let tree = try good.replacing("/filter", with: .string(filter))
            let problems = ProblemList()
            #expect(try (Self.parse(tree, problems) != nil) == isStrict, "\(filter): \(problems.brief)")
            #expect(try Self.parse(tree, ProblemList(), profile: .closed) != nil)
        }
        let outcomes = try good.replacing("/stream", with: .string("outcomes")).replacing(
            "/of", with: .string("value.number")
        )
        .replacing("/dimensions", with: nil)
        let compared = try outcomes.replacing("/filter", with: .string("value.number > 1"))
        #expect(try Self.parse(compared, ProblemList()) == nil)
        let named = try outcomes.replacing("/filter", with: .string("version > 1 and name = \"repaid\""))
        #expect(try Self.parse(named, ProblemList()) != nil)
    }

    @Test func conditionsKnowZones() throws {
        let zones = ZoneFiles.system.offsets
        let problems = ProblemList()
        let tree = try Fixture.tree(Self.good).replacing(
            "/filter", with: .string("time > @\"2024-07-01T00:00:00@Europe/Berlin\""))
        let measure = try #require(try Self.parse(tree, problems, zones: zones), "\(problems.brief)")
        var slots = StreamSlots()
        for (time, counts) in [("2024-06-30T22:00:00Z", false), ("2024-06-30T22:00:01Z", true)] {
            let text = #"{"time":"\#(time)","data":{"product":"p","quantity":1,"amount":2}}"#
            let counted = try JSONDocument(Array(text.utf8)).withRoot { measure.contribution(of: $0, &slots) }
            #expect((counted != nil) == counts, "\(time)")
        }
    }

    @Test func aRatioNeedsItsNumerator() throws {
        let problems = ProblemList()
        #expect(try Self.parse(Fixture.tree(Self.ratio).replacing("/numerator", with: nil), problems) == nil)
        #expect(problems.brief == ["/spec/numerator missing_field"])
        let good = try Self.parse(Fixture.tree(Self.ratio), ProblemList())
        #expect(good?.aggregate == .ratio && good?.operand == nil && good?.denominator != nil)
    }

    @Test func reads() throws {
        let problems = ProblemList()
        let measure = try #require(try Self.parse(Fixture.tree(Self.good), problems), "\(problems.brief)")
        #expect(measure.name == "revenue" && measure.version == 2 && measure.stream == .contract("orders"))
        #expect(measure.aggregate == .sum && measure.scale == 2)
        #expect(measure.dimensions.map(\.name) == ["product"])
        #expect(
            measure.usedFields.map { measure.schema.fields[$0].name } == [
                "data.product", "data.quantity", "data.amount",
            ])
        #expect(measure.measure.spec.stream == .contract("orders"))
        let decisions = try Self.parse(
            Fixture.tree(#"{"stream":"decisions","decision":"offer","aggregate":"count"}"#), problems)
        #expect(decisions?.stream == .decisions("offer") && decisions?.measure.spec.stream == .decisions)
    }
}

@Suite struct KPIDefinitionTests {
    static let good = """
        {"measure":"revenue","grain":"day","timezone":"Europe/London","unit":"GBP","direction":"up","target":9000,
         "at_risk":7000.50,"review_date":"2027-03-31"}
        """

    static func parse(_ tree: JSONTree, _ problems: ProblemList) throws -> KPIDefinition? {
        KPIDefinition.parse(
            try Fixture.definition("KPI", tree, name: "sales"), at: "", problems, hasMeasure: { $0 == "revenue" },
            hasZone: { $0 == "UTC" || $0 == "Europe/London" })
    }

    static let refusals = [
        Refusal("/measure", nil, "/spec/measure missing_field", "/spec/measure unknown_measure"),
        Refusal("/measure", #""others""#, "/spec/measure unknown_measure"),
        Refusal("/grain", #""minute""#, "/spec/grain value_not_allowed"),
        Refusal("/timezone", #""Europe/Londres""#, "/spec/timezone unknown_zone"),
        Refusal("/direction", #""sideways""#, "/spec/direction value_not_allowed"),
        Refusal("/target", #""9000""#, "/spec/target type_mismatch"),
        Refusal("/at_risk", "true", "/spec/at_risk type_mismatch"),
        Refusal("/review_date", #""soon""#, "/spec/review_date invalid_date"),
        Refusal("/surplus", "1", "/spec/surplus unknown_field"),
    ]

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) throws {
        let problems = ProblemList()
        #expect(try Self.parse(refusal.apply(Fixture.tree(Self.good)), problems) == nil)
        #expect(problems.brief == refusal.told)
    }

    @Test func readsAndDefaults() throws {
        let kpi = try #require(try Self.parse(Fixture.tree(Self.good), ProblemList()))
        #expect(kpi.grain == "day" && kpi.timezone == "Europe/London" && kpi.unit == "GBP" && kpi.isUpGood)
        #expect(kpi.target?.text == "9000" && kpi.atRisk?.text == "7000.5" && kpi.owner == "ann" && kpi.version == 2)
        let least = try #require(try Self.parse(Fixture.tree(#"{"measure":"revenue"}"#), ProblemList()))
        #expect(least.grain == "day" && least.timezone == "UTC" && least.isUpGood && least.target == nil)
    }
}
