import FEEL
import Features
import JSON
import Testing

@testable import Service

@Suite struct FeatureViewDefinitionTests {
    static let good = """
        {"contract":"orders","event_types":["shop.order"],"entity":{"name":"customer","path":"/subject"},
         "aggregation_interval":"exact","retention":"90d","entity_events_max":100,
         "features":[{"name":"count_{window}","aggregate":"count","windows":["1h","30d"]},
          {"name":"spend","aggregate":"sum","of":"/data/amount","windows":["7d"]},
          {"name":"share","aggregate":"ratio","of":"/data/amount","denominator":"/data/quantity","windows":["7d"]},
          {"name":"weight","aggregate":"mean","of":"/data/weight","windows":["7d"]},
          {"name":"last product","aggregate":"last","of":"/data/product","windows":["7d"]},
          {"name":"seen","aggregate":"last_time"},{"name":"since","aggregate":"time_since_last","unit":"s"}]}
        """

    static func parse(_ tree: JSONTree, _ problems: ProblemList) throws -> FeatureViewDefinition? {
        let schema = try Fixture.schema()
        return FeatureViewDefinition.parse(
            try Fixture.definition("FeatureView", tree, name: "spend"), at: "/3", problems, zones: .utcOnly,
            contracts: { $0 == "orders" ? schema : nil })
    }

    static let place = "/3/spec"
    static let refusals = [
        Refusal("/contract", nil, "\(place)/contract missing_field", "\(place)/contract unknown_contract"),
        Refusal("/contract", #""others""#, "\(place)/contract unknown_contract"),
        Refusal("/event_types", #""shop.order""#, "\(place)/event_types type_mismatch"),
        Refusal("/entity", nil, "\(place)/entity missing_field"),
        Refusal("/entity/name", nil, "\(place)/entity/name missing_field"),
        Refusal("/entity/path", #""subject""#, "\(place)/entity/path invalid_pointer"),
        Refusal("/entity/path", #""/nobody""#, "\(place)/entity/path unknown_field"),
        Refusal("/entity/surplus", "1", "\(place)/entity/surplus unknown_field"),
        Refusal("/aggregation_interval", #""often""#, "\(place)/aggregation_interval invalid_duration"),
        Refusal("/retention", #""long""#, "\(place)/retention invalid_duration"),
        Refusal("/entity_events_max", "0", "\(place)/entity_events_max out_of_range"),
        Refusal("/features", nil, "\(place)/features missing_field"),
        Refusal(
            "/features/0/name", nil, "\(place)/features/0/name ambiguous_name", "\(place)/features/0/name missing_field"
        ),
        Refusal("/features/0/name", #""count""#, "\(place)/features/0/name ambiguous_name"),
        Refusal("/features/0/aggregate", #""median""#, "\(place)/features/0/aggregate unknown_aggregate"),
        Refusal("/features/0/windows/1", #""30 days""#, "\(place)/features/0/windows/1 invalid_duration"),
        Refusal("/features/0/windows", #""1h""#, "\(place)/features/0/windows type_mismatch"),
        Refusal("/features/1/of", #""/data/nothing""#, "\(place)/features/1/of unknown_field"),
        Refusal("/features/1/of", #""/data/gift""#, "\(place)/features/1/of type_mismatch"),
        Refusal("/features/1/surplus", "1", "\(place)/features/1/surplus unknown_field"),
        Refusal("/features/2/denominator", nil, "\(place)/features/2/denominator missing_field"),
        Refusal("/features/6/unit", #""h""#, "\(place)/features/6/unit value_not_allowed"),
        Refusal("/surplus", "1", "\(place)/surplus unknown_field"),
    ]

    static let wide = """
        {"contract":"orders","entity":{"name":"pair","paths":[{"name":"who","path":"/subject"},
          {"name":"what","path":"/data/product"}]},"aggregation_interval":"5m","ttl":"30d",
         "features":[{"name":"top","aggregate":"top_k","k":3,"of":"/data/product","windows":["1d"]},
          {"name":"median","aggregate":"quantile","q":0.5,"of":"/data/weight","windows":["1d"]},
          {"name":"level","aggregate":"ewma","half_life":"7d","of":"/data/amount"},
          {"name":"sum","aggregate":"decayed_sum","half_life":"1h","of":"/data/quantity","windows":["1d"]},
          {"name":"gift","aggregate":"attribute","of":"/data/gift"},{"name":"day","aggregate":"max","of":"/data/day"},
          {"name":"first_at","aggregate":"first_time"},{"name":"gift_at","aggregate":"last_time","of":"/data/gift"},
          {"name":"when","aggregate":"attribute","of":"/time"}],
         "on_demand":[{"name":"ratio","expression":"level / median"},{"name":"best","expression":"top[1].value"}]}
        """

    static let wideRefusals = [
        Refusal("/entity/path", #""/subject""#, "\(place)/entity/path unknown_field"),
        Refusal("/entity/paths", "[]", "\(place)/entity/paths empty_list"),
        Refusal("/entity/paths/1/name", #""who""#, "\(place)/entity/paths/1/name duplicate_name"),
        Refusal("/entity/paths/1/name", #""as_of""#, "\(place)/entity/paths/1/name reserved_name"),
        Refusal("/entity/paths/1/path", #""/nothing""#, "\(place)/entity/paths/1/path unknown_field"),
        Refusal("/ttl", #""long""#, "\(place)/ttl invalid_duration"),
        Refusal("/features/0/k", nil, "\(place)/features/0/k missing_field"),
        Refusal("/features/0/k", "101", "\(place)/features/0/k out_of_range"),
        Refusal("/features/0/of", #""/data/weight""#, "\(place)/features/0/of type_mismatch"),
        Refusal("/features/1/q", "1", "\(place)/features/1/q out_of_range"),
        Refusal("/features/1/k", "1", "\(place)/features/1/k unknown_field"),
        Refusal("/features/2/half_life", nil, "\(place)/features/2/half_life missing_field"),
        Refusal("/features/2/half_life", #""0d""#, "\(place)/features/2/half_life invalid_duration"),
        Refusal("/features/3/of", #""/data/day""#, "\(place)/features/3/of type_mismatch"),
        Refusal("/features/4/windows", #"["1d"]"#, "\(place)/features/4/windows not_applicable"),
        Refusal("/features/4/of", #""/data/slot""#, "\(place)/features/4/of type_mismatch"),
        Refusal("/on_demand/0/expression", #""level / nothing""#, "\(place)/on_demand/0/expression unknown_name"),
        Refusal("/on_demand/0/name", #""level""#, "\(place)/on_demand/0/name duplicate_name"),
        Refusal("/on_demand/0/surplus", "1", "\(place)/on_demand/0/surplus unknown_field"),
    ]

    @Test(arguments: wideRefusals) func refusesOfTheWholeVocabulary(_ refusal: Refusal) throws {
        let problems = ProblemList()
        #expect(try Self.parse(refusal.apply(Fixture.tree(Self.wide)), problems) == nil)
        #expect(Set(refusal.told).isSubset(of: problems.brief), "\(problems.brief)")
    }

    @Test func readsTheWholeVocabulary() throws {
        let problems = ProblemList()
        let view = try #require(try Self.parse(Fixture.tree(Self.wide), problems), "\(problems.brief)")
        #expect(view.spec.entity == "pair" && view.spec.entityParts.map(\.name) == ["who", "what"])
        #expect(view.entityPointers.map(\.text) == ["/subject", "/data/product"])
        #expect(view.spec.aggregationInterval == .tiles(seconds: 300) && view.spec.ttlMicros == 30 * 86_400_000_000)
        #expect(
            view.spec.features.map(\.aggregate) == [
                .topK(3), .quantile(0.5), .decayedMean(halfLifeMicros: 604_800_000_000),
                .decayedSum(halfLifeMicros: 3_600_000_000), .attribute, .max, .firstTime, .lastTime, .attribute,
            ])
        #expect(
            view.spec.columns.map(\.kind) == [
                .string, .double, .decimal(scale: 2), .integer, .boolean, .date, .timestamp,
            ])
        let types = view.interface.features.map(\.type)
        #expect(types[0] == .list(.context(["value": .string, "count": .number])))
        #expect(
            types[1...] == [
                .number, .number, .number, .boolean, .date, .dateTime, .dateTime, .dateTime, .number, .string,
            ])
        #expect(view.interface.entityParts == ["who", "what"])
        _ = try FeatureView.compile(view.spec)
        let event = try JSONDocument(
            Array(
                #"{"subject":"12748","time":"1970-01-01T00:00:01Z","data":{"product":"85123A","gift":true,"day":"1970-01-03"}}"#
                    .utf8))
        #expect(view.entityKey(of: event.root) == "5:127486:85123A")
        #expect(
            view.values(of: event.root) == [
                .string("85123A"), .null, .null, .null, .scaled(1), .scaled(2), .scaled(1_000_000),
            ])
        let other = try JSONDocument(Array(#"{"subject":"12748","data":{"product":null}}"#.utf8))
        #expect(view.entityKey(of: other.root) == nil)
    }

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) throws {
        let problems = ProblemList()
        #expect(try Self.parse(refusal.apply(Fixture.tree(Self.good)), problems) == nil)
        // After a problem, fields of the same feature that were not asked for may be told as unknown, and without its
        // contract no field of the view can be told.
        let rest = Set(problems.brief).subtracting(refusal.told)
        #expect(Set(refusal.told).isSubset(of: problems.brief), "\(problems.brief)")
        if refusal.pointer == "/contract" { return }
        #expect(rest.allSatisfy { $0.hasSuffix("/windows unknown_field") }, "\(rest)")
    }

    /// No feature vanishes: an empty list of windows is refused, not taken as no feature.
    @Test func noWindowsAtAllIsRefused() throws {
        let problems = ProblemList()
        let tree = try Fixture.tree(Self.good).replacing("/features/0/windows", with: .array([]))
        #expect(try Self.parse(tree, problems) == nil)
        #expect(problems.problems.contains { $0.pointer == "/3/spec/features/0/windows" })
    }

    @Test func reads() throws {
        let problems = ProblemList()
        let view = try #require(try Self.parse(Fixture.tree(Self.good), problems), "\(problems.brief)")
        #expect(view.spec.name == "spend" && view.spec.version == 2 && view.spec.contract == "orders")
        #expect(view.eventTypes == ["shop.order"] && view.entityPointers.map(\.text) == ["/subject"])
        #expect(view.spec.entityEventsMax == 100 && view.spec.retentionMicros == 90 * 86_400_000_000)
        #expect(
            view.spec.features.map(\.name) == [
                "count_1h", "count_30d", "spend", "share", "weight", "last product", "seen", "since",
            ])
        #expect(view.columnPointers.map(\.text) == ["/data/amount", "/data/quantity", "/data/weight", "/data/product"])
        #expect(view.spec.columns.map(\.kind) == [.decimal(scale: 2), .integer, .double, .string])
        #expect(
            view.spec.features.map { view.spec.type(of: $0) } == [
                .number, .number, .number, .number, .number, .string, .dateTime, .number,
            ])
        #expect(view.spec.features[6].window == .allHistory)
        _ = try FeatureView.compile(view.spec)
    }

    @Test(arguments: [
        ("1s", 1), ("90m", 5_400), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600),
    ]) func durations(_ text: String, _ seconds: Int64) {
        #expect(FeatureViewDefinition.duration(text) == seconds * 1_000_000)
    }

    @Test(arguments: ["", "d", "0d", "-1d", "1.5d", "1 d", "1y", "1D", "d1", "9223372036854775807w", "1e3s", "+1d"])
    func otherDurations(_ text: String) {
        #expect(FeatureViewDefinition.duration(text) == nil)
    }
}
