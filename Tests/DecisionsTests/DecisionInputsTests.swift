import FEEL
import JSON
import Testing

@testable import Decisions

@Suite struct DecisionInputsTests {
    static let inputs = """
        {"name":"text","type":"string"},
        {"name":"number","type":"number","minimum":-1.5,"maximum":1e30},
        {"name":"word","type":"string","values":["web","phone"],"optional":true},
        {"name":"flag","type":"boolean","optional":true},{"name":"day","type":"date","optional":true},
        {"name":"clock","type":"time","optional":true},{"name":"moment","type":"date and time","optional":true},
        {"name":"words","type":"list<string>","optional":true},
        {"name":"matrix","type":"list<list<number>>","optional":true},
        {"name":"free","type":"Any","optional":true}
        """

    static func decision() throws -> CompiledDecision {
        try Fixture.decision(
            nodes: "", outputs: #"{"name":"o","type":"number","expression":"number"}"#, inputs: inputs)
    }

    struct Case: CustomTestStringConvertible, Sendable {
        let body: String
        let told: [String]
        var testDescription: String { body }

        init(_ body: String, _ told: String...) {
            self.body = body
            self.told = told
        }
    }

    static let fewDigits = "1234567890123456789012345678.901234"
    static let manyDigits = "1234567890123456789012345678.9012345"

    static let refusals: [Case] = [
        Case("[]", "/inputs type_mismatch"), Case("null", "/inputs type_mismatch"), Case("5", "/inputs type_mismatch"),
        Case("{}", "/inputs/number missing_input", "/inputs/text missing_input"),
        Case(#"{"text":null,"number":null}"#, "/inputs/number missing_input", "/inputs/text missing_input"),
        Case(#"{"text":"","number":1,"other":1}"#, "/inputs/other unknown_input"),
        Case(#"{"text":"","number":1,"a/b~c":1}"#, "/inputs/a~1b~0c unknown_input"),
        Case(#"{"text":1,"number":"1"}"#, "/inputs/number type_mismatch", "/inputs/text type_mismatch"),
        Case(#"{"text":"","number":-1.6}"#, "/inputs/number out_of_range"),
        Case(#"{"text":"","number":1.1e30}"#, "/inputs/number out_of_range"),
        Case(#"{"text":"","number":1000000000000000000000000000001}"#, "/inputs/number out_of_range"),
        Case(#"{"text":"","number":-1.500000000000000000000000000000001}"#, "/inputs/number out_of_range"),
        Case(#"{"text":"","number":1e9999}"#, "/inputs/number type_mismatch"),
        Case(#"{"text":"","number":\#(manyDigits)}"#, "/inputs/number type_mismatch"),
        Case(#"{"text":"","number":true}"#, "/inputs/number type_mismatch"),
        Case(#"{"text":"","number":[1]}"#, "/inputs/number type_mismatch"),
        Case(#"{"text":"","number":1,"word":"Web"}"#, "/inputs/word value_not_allowed"),
        Case(#"{"text":"","number":1,"word":""}"#, "/inputs/word value_not_allowed"),
        Case(#"{"text":"","number":1,"flag":1}"#, "/inputs/flag type_mismatch"),
        Case(#"{"text":"","number":1,"flag":"true"}"#, "/inputs/flag type_mismatch"),
        Case(#"{"text":"","number":1,"day":"2026-02-29"}"#, "/inputs/day type_mismatch"),
        Case(#"{"text":"","number":1,"day":20260228}"#, "/inputs/day type_mismatch"),
        Case(#"{"text":"","number":1,"clock":"25:00:00"}"#, "/inputs/clock type_mismatch"),
        Case(#"{"text":"","number":1,"moment":"2026-02-28 10:00"}"#, "/inputs/moment type_mismatch"),
        Case(#"{"text":"","number":1,"words":"a"}"#, "/inputs/words type_mismatch"),
        Case(#"{"text":"","number":1,"words":["a",1]}"#, "/inputs/words type_mismatch"),
        Case(#"{"text":"","number":1,"matrix":[1]}"#, "/inputs/matrix type_mismatch"),
        Case(#"{"text":"","number":1,"free":[1,\#(manyDigits)]}"#, "/inputs/free type_mismatch"),
        Case(#"{"text":"","number":1,"free":{"a":\#(manyDigits)}}"#, "/inputs/free type_mismatch"),
    ]

    @Test(arguments: refusals) func refuses(_ test: Case) throws {
        let problems = ProblemList()
        #expect(try Self.decision().read(test.body, problems) == nil)
        #expect(problems.brief == test.told)
    }

    @Test func textsAreBounded() throws {
        for (bytes, isTaken) in [(65_536, true), (65_537, false)] {
            let problems = ProblemList()
            let body = "{\"number\":1,\"text\":\"\(String(repeating: "x", count: bytes))\"}"
            #expect((try Self.decision().read(body, problems) != nil) == isTaken)
            #expect(problems.brief == (isTaken ? [] : ["/inputs/text too_long"]))
        }
    }

    @Test(arguments: [
        ("\"number\":\(fewDigits)", 1, Decimal(fewDigits).map(Value.number)),
        ("\"number\":-1.5", 1, Decimal("-1.5").map(Value.number)),
        ("\"number\":1E+3", 1, Value.number(1000)),
        ("\"number\":-0", 1, Value.number(0)),
        ("\"number\":1,\"word\":\"web\"", 2, Value.string("web")),
        ("\"number\":1,\"word\":null", 2, Value.null),
        ("\"number\":1,\"flag\":false", 3, Value.boolean(false)),
        ("\"number\":1,\"day\":\"2024-02-29\"", 4, Date("2024-02-29").map(Value.date)),
        ("\"number\":1,\"clock\":\"10:20:30\"", 5, Time("10:20:30", zones: .utcOnly).map(Value.time)),
        (
            "\"number\":1,\"moment\":\"2024-02-29T10:00:00.5+02:00\"", 6,
            DateTime("2024-02-29T10:00:00.5+02:00", zones: .utcOnly).map(Value.dateTime)
        ),
        ("\"number\":1,\"words\":[]", 7, Value.list([])),
        ("\"number\":1,\"words\":[\"a\",null]", 7, Value.list([.string("a"), .null])),
        (
            "\"number\":1,\"matrix\":[[1],[2,3]]", 8,
            Value.list([.list([.number(1)]), .list([.number(2), .number(3)])])
        ),
        ("\"number\":1,\"free\":{\"a\":[true]}", 9, Value.context(Context([("a", .list([.boolean(true)]))]))),
    ]) func reads(_ members: String, _ index: Int, _ expected: Value?) throws {
        let problems = ProblemList()
        let values = try Self.decision().read("{\"text\":\"t\",\(members)}", problems)
        #expect(problems.brief == [])
        #expect(values?[index] == expected && expected != nil)
        #expect(values?[0] == .string("t"))
    }

    @Test func everyProblemIsTold() throws {
        let problems = ProblemList()
        let body = #"{"number":"x","word":"y","nobody":1,"flag":0}"#
        #expect(try Self.decision().read(body, problems) == nil)
        #expect(
            problems.brief == [
                "/inputs/flag type_mismatch", "/inputs/nobody unknown_input", "/inputs/number type_mismatch",
                "/inputs/text missing_input", "/inputs/word value_not_allowed",
            ])
    }
}
