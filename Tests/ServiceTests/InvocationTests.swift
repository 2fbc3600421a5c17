import HTTP
import JSON
import Testing

@testable import Service

@Suite("MLflow's scoring server") struct InvocationTests {
    private static func scores(_ json: String) throws -> [Double] {
        let model = try ScoringFixture.model()
        let table = try ScoringFixture.with(json, allowsNaN: true) { try InvocationReader(model: model).rows($0) }
        return try ScoringFixture.scores(table, model).values
    }

    private static func scores(csv: String) throws -> [Double] {
        let model = try ScoringFixture.model()
        let table = try Array(csv.utf8).withUnsafeBytes { try InvocationCSV(model: model).rows($0) }
        return try ScoringFixture.scores(table, model).values
    }

    @Test(
        "every form",
        arguments: [
            (
                #"{"dataframe_split":{"columns":["colour","amount"],"data":[["green",5],[null,6]],"index":[0,1]}}"#,
                [1105, 1006]
            ),
            (#"{"dataframe_split":{"columns":[0,1,2],"data":[[5,1,null]]}}"#, [1105]),
            (#"{"dataframe_split":{"data":[[5,1,true]]}}"#, [1105]),
            (#"{"dataframe_records":[{"amount":5,"other":{}},{"colour":"7"}]}"#, [1005, 1200]),
            (#"{"dataframe_records":[]}"#, []),
            (#"{"instances":[[5,"red",false],[6,2,null]],"params":{"x":1}}"#, [1005, 1206]),
            (#"{"instances":[{"amount":5}]}"#, [1005]),
            (#"{"instances":[5,1,0]}"#, [1105]),
            (#"{"instances":[]}"#, []),
            (#"{"inputs":[[5,1,0]]}"#, [1105]),
            (#"{"inputs":{"amount":[5,6],"colour":[["green"],["red"]],"other":[1,2]}}"#, [1105, 1006]),
            (#"{"inputs":{"amount":[NaN,6]}}"#, [1000, 1006]),
        ] as [(String, [Double])])
    func forms(body: String, expected: [Double]) throws {
        #expect(try Self.scores(body) == expected)
    }

    @Test("of a model with one input a flat list is one row an element")
    func narrow() throws {
        let model = try ScoringFixture.narrowModel()
        for form in ["instances", "inputs"] {
            let table = try ScoringFixture.with(#"{"\#(form)":[1,2,null]}"#) {
                try InvocationReader(model: model).rows($0)
            }
            #expect(try ScoringFixture.scores(table, model).values == [2, 4, 0])
        }
    }

    @Test(
        "CSV: the inputs say what a cell is",
        arguments: [
            ("amount,colour,flag\n5,green,true\n6,,0\n", [1105, 1006]),
            ("\u{FEFF}amount\r\n5\r\n\r\n1e1", [1005, 1010]),
            (",colour,amount\n0,7,5\n1,2,6\n2,1,7\n", [1205, 1206, 1107]),
            ("colour\n\"green\"\n\"beige\"\n", [1100, 1000]),
            ("amount\n", []),
        ] as [(String, [Double])])
    func csv(text: String, expected: [Double]) throws {
        #expect(try Self.scores(csv: text) == expected)
    }

    @Test(
        "CSV that is refused",
        arguments: [
            ("", "no header"), ("amount\n1,2\n", "line 2 "),
            ("amount\n\"1", "line 2 of the CSV text: unterminated_quote"),
            ("amount\n1\"2\n", "line 2 of the CSV text: quote_in_field"),
        ])
    func csvRefusals(text: String, told: String) throws {
        let refusal = try #require(ScoringFixture.refusal { _ = try Self.scores(csv: text) })
        #expect(refusal.contains(told), "\(refusal)")
    }

    @Test(
        "CSV cells that are no such thing",
        arguments: ["amount\nnan\n", "amount\ninf\n", "amount\n0x1p3\n", "amount\n1e999\n", "flag\nyes\n", "flag\n2\n"])
    func csvCells(text: String) {
        #expect(throws: RowRefusal.self) { try Self.scores(csv: text) }
    }

    @Test(
        "media types",
        arguments: [
            ("application/json", false), ("text/csv", true), ("TEXT/CSV; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", false), ("application/json; charset=latin-1", nil),
            ("text/plain", nil),
            ("application/json; x=y", nil), (nil, nil), ("", nil),
        ] as [(String?, Bool?)])
    func mediaTypes(header: String?, isCSV: Bool?) {
        #expect((try? ServiceHandler.isCSV(header)) == isCSV)
    }

    @Test(
        "versions are digits",
        arguments: [("1", 1), ("12", 12), ("0", nil), ("+1", nil), ("-1", nil), ("", nil), ("1.0", nil)])
    func versions(text: String, version: Int?) {
        #expect(ServiceHandler.modelVersion(text) == version)
    }
}

@Suite("Shapes of errors") struct ErrorShapeTests {
    private static func text(_ response: Response) -> String {
        "\(response.status) \(String(decoding: response.body, as: UTF8.self))"
    }

    @Test func shapes() {
        let problem = Problem(404, "unknown_model", "No \"such\" model.")
        #expect(Self.text(ErrorShape.inference.response(problem)) == #"404 {"error":"No \"such\" model."}"#)
        #expect(
            Self.text(ErrorShape.mlflow.response(problem))
                == #"404 {"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No \"such\" model."}"#)
        #expect(Self.text(ErrorShape.problem.response(problem)) == Self.text(problem.response))
        #expect(Self.text(ErrorShape.mlflow.response(Problem(415, "x", "Send JSON."))) == "415 Send JSON.\n")
    }

    @Test func placesAreTold() {
        let problem = Problem.invalid([DocumentProblem(pointer: "/query/x", code: "y", message: "not this")])
        #expect(Self.text(ErrorShape.inference.response(problem)).hasSuffix(#" /query/x: not this."}"#))
        #expect(ErrorShape.inference.response(problem).status == 400)
        #expect(ErrorShape.mlflow.response(problem).status == 400)
    }

    @Test func headersStay() {
        let unauthenticated = Problem(401, "unauthenticated", "x")
        let late = Problem(503, "busy", "x", retryAfter: 3)
        for shape in [ErrorShape.inference, .mlflow] {
            #expect(shape.response(unauthenticated).headers == unauthenticated.response.headers)
            #expect(shape.response(late).headers == late.response.headers)
        }
    }

    @Test func refusalsOfTheServer() {
        let refusal = HTTP.Refusal(.bodyTooLarge)
        #expect(
            Self.text(ErrorShape.inference.response(refusal))
                == #"413 {"error":"The body is larger than this operation allows."}"#)
        #expect(
            Self.text(ErrorShape.mlflow.response(refusal))
                == #"413 {"error_code":"RESOURCE_EXHAUSTED","message":"The body is larger than this operation allows."}"#
        )
        #expect(ErrorShape.problem.response(refusal).status == 413)
    }
}
