import FEEL
import JSON
import Testing

@testable import Decisions
@testable import Service

@Suite struct StreamSchemaTests {
    @Test func fieldsOfAContract() throws {
        let schema = try Fixture.schema()
        let brief = schema.fields.map {
            "\($0.name) \($0.pointer.text) \($0.type.name) \($0.scale.map(String.init) ?? "-") \($0.isRequired)"
        }
        #expect(
            brief == [
                "id /id string - true", "source /source string - true", "type /type string - true",
                "subject /subject string - true", "time /time date and time - true",
                "data.product /data/product string - false", "data.quantity /data/quantity number 0 true",
                "data.weight /data/weight number - false", "data.amount /data/amount number 2 false",
                "data.gift /data/gift boolean - false", "data.day /data/day date - false",
                "data.slot /data/slot time - false", "data.tags /data/tags Any - false",
            ])
        #expect(schema.field("data.product")?.classification == "personal")
        #expect(schema.field("data.amount")?.classification == nil)
        #expect(schema.field("amount") == nil && schema.field(at: "/data/amount")?.name == "data.amount")
        #expect(schema.field(at: "/data/nothing") == nil)
    }

    @Test(arguments: [
        ("0.01", 2), ("0.010", 2), ("0.05", 2), ("1", 0), ("10", 0), ("1.0", 0), ("0.5", 1), ("1e-3", 3), ("100", 0),
    ]) func scaleOfMultipleOf(_ multiple: String, _ scale: Int) throws {
        let document = try Fixture.tree(
            """
            {"schema":[{"properties":[{"name":"a","logicalType":"number",
             "logicalTypeOptions":{"multipleOf":\(multiple)}}]}]}
            """
        )
        #expect(StreamSchema(contract: document).fields.first?.scale == scale)
    }

    private func input(
        _ name: String, _ type: FEELType, isOptional: Bool = false, _ classification: String? = nil
    ) -> InputSpec {
        InputSpec(
            name: name, type: type, isOptional: isOptional, values: nil, minimum: nil, maximum: nil,
            classification: classification, description: nil)
    }

    /// What lies in an object that may be missing may be missing.
    @Test func nestedFieldsAreRequiredIfAllAbove() throws {
        let schema = StreamSchema(
            contract: try Fixture.tree(
                """
                {"schema":[{"properties":[
                  {"name":"a","required":true,"properties":[{"name":"b","required":true},{"name":"c"}]},
                  {"name":"d","properties":[{"name":"e","required":true}]}]}]}
                """))
        #expect(schema.fields.map { "\($0.name) \($0.isRequired)" } == ["a.b true", "a.c false", "d.e false"])
    }

    @Test func fieldsOfDecisions() {
        let schema = StreamSchema(
            decisions: [input("amount", .number), input("name", .string, isOptional: true, "personal")],
            outputs: [("limit", .number)])
        #expect(schema.field("inputs.amount")?.isRequired == true && schema.field("inputs.name")?.isRequired == false)
        #expect(schema.field("inputs.name")?.pointer.text == "/inputs/name")
        #expect(schema.field("inputs.name")?.classification == "personal")
        #expect(schema.field("outputs.limit")?.pointer.text == "/result/outputs/limit")
        #expect(schema.field("fallback_step")?.pointer.text == "/result/fallback/step")
        #expect(schema.field("score")?.type == .number)
        #expect(Set(schema.fields.map(\.name)).count == schema.fields.count)
    }

    @Test func emptyDocuments() throws {
        for text in ["{}", #"{"schema":[]}"#, #"{"schema":[{}]}"#, #"{"schema":[{"properties":[{}]}]}"#] {
            #expect(StreamSchema(contract: try Fixture.tree(text)).fields.isEmpty)
        }
    }

    static let event = """
        {"id":"1","subject":"c1","time":"2024-01-02T03:04:05.5Z","data":{"product":"p","quantity":3,
         "amount":1234567890123456789012345678.90,"gift":true,"day":"2024-02-29","slot":"10:00:00","tags":["a","b"],
         "weight":null}}
        """

    static func slots(_ text: String, _ used: [Int]) throws -> [Value] {
        let document = try JSONDocument(Array(text.utf8))
        let schema = try Fixture.schema()
        var slots: [Value] = []
        document.withRoot { schema.slots($0, used: used, into: &slots) }
        return slots
    }

    @Test func valuesOfAnItem() throws {
        let all = try Self.slots(Self.event, Array(0..<13))
        #expect(all[0] == .string("1") && all[1] == .null)
        #expect(all[4] == DateTime("2024-01-02T03:04:05.5Z", zones: .utcOnly).map(Value.dateTime))
        #expect(all[6] == .number(3) && all[7] == .null)
        #expect(all[8] == Decimal("1234567890123456789012345678.9").map(Value.number))
        #expect(all[9] == .boolean(true) && all[10] == Date("2024-02-29").map(Value.date))
        #expect(all[11] == Time("10:00:00", zones: .utcOnly).map(Value.time))
        #expect(all[12] == .list([.string("a"), .string("b")]))
    }

    @Test func onlyUsedFieldsAreReadAndAbsentOnesAreNull() throws {
        #expect(try Self.slots(Self.event, [6]).filter { !$0.isNull } == [.number(3)])
        #expect(try Self.slots("{}", Array(0..<13)).allSatisfy(\.isNull))
        #expect(try Self.slots("5", [0]).allSatisfy(\.isNull))
        // A value of the wrong type is null, not another type.
        let wrong = #"{"id":5,"data":{"quantity":"3","gift":"true","day":"31.1.2024"}}"#
        #expect(try Self.slots(wrong, Array(0..<13)).allSatisfy(\.isNull))
    }

    @Test func slotsOfTheItemBeforeDoNotStay() throws {
        let schema = try Fixture.schema()
        var slots: [Value] = []
        for (text, expected) in [(Self.event, Value.number(3)), (#"{"data":{}}"#, .null), (#"{"data":5}"#, .null)] {
            let document = try JSONDocument(Array(text.utf8))
            document.withRoot { schema.slots($0, used: [6], into: &slots) }
            #expect(slots[6] == expected)
        }
    }
}
