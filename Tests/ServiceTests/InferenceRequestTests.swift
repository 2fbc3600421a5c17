import JSON
import Testing

@testable import Service

@Suite("Open Inference Protocol") struct InferenceRequestTests {
    private static func scores(_ json: String) throws -> [Double] {
        let model = try ScoringFixture.model()
        let request = try ScoringFixture.with(json) { try InferenceRequest($0, for: model) }
        return try ScoringFixture.scores(request.table, model).values
    }

    @Test(
        "both forms of rows, both ways of data",
        arguments: [
            (#"{"name":"x","datatype":"FP64","shape":[2,3],"data":[5,1,0,7,0,1]}"#, [1105.0, 1007]),
            (#"{"name":"x","datatype":"FP64","shape":[2,3],"data":[[5,1,0],[7,0,1]]}"#, [1105, 1007]),
            (#"{"name":"x","datatype":"INT64","shape":[3],"data":[5,2,0]}"#, [1205]),
            (#"{"name":"amount","datatype":"FP64","shape":[1,3],"data":[5,null,0]}"#, [1005]),
            (#"{"name":"amount","datatype":"FP64","shape":[2],"data":[5,null]}"#, [1005, 1000]),
            (#"{"name":"amount","datatype":"FP64","shape":[2,1],"data":[[5],[6]]}"#, [1005, 1006]),
            (
                #"{"name":"colour","datatype":"BYTES","shape":[3,1],"data":["green","7","beige"]}"#, [1100, 1200, 1000]
            ),
            (#"{"name":"colour","datatype":"UINT8","shape":[2],"data":[2,99]}"#, [1200, 1000]),
            (
                #"{"name":"amount","datatype":"FP32","shape":[1],"data":[1]},{"name":"flag","datatype":"BOOL","shape":[1,1],"data":[true]}"#,
                [1001]
            ),
            (#"{"name":"x","datatype":"FP64","shape":[0,3],"data":[]}"#, []),
            (#"{"name":"amount","datatype":"FP64","shape":[1],"data":[3],"parameters":{"content_type":"np"}}"#, [1003]),
        ])
    func rows(inputs: String, expected: [Double]) throws {
        #expect(try Self.scores(#"{"inputs":[\#(inputs)]}"#) == expected)
    }

    @Test("the request's content type chooses the form")
    func contentType() throws {
        let wide = #"[{"name":"amount","datatype":"FP64","shape":[3],"data":[5,1,0]}]"#
        #expect(try Self.scores(#"{"parameters":{"content_type":"np"},"inputs":\#(wide)}"#) == [1105])
        #expect(try Self.scores(#"{"parameters":{"content_type":"pd"},"inputs":\#(wide)}"#) == [1005, 1001, 1000])
    }

    @Test(
        "of a model with one input a flat tensor is one row an element",
        arguments: [#"[2]"#, #"[2,1]"#])
    func narrow(shape: String) throws {
        let model = try ScoringFixture.narrowModel()
        for name in ["x", "anything"] {
            let text = #"{"inputs":[{"name":"\#(name)","datatype":"FP64","shape":\#(shape),"data":[1.5,2]}]}"#
            let request = try ScoringFixture.with(text) { try InferenceRequest($0, for: model) }
            #expect(try ScoringFixture.scores(request.table, model).values == [3, 4])
        }
    }

    @Test(
        "elements by datatype",
        arguments: [
            ("INT8", "-128", RowCell.number(-128)), ("INT8", "128", nil), ("UINT8", "255", .number(255)),
            ("UINT8", "-1", nil), ("INT16", "32768", nil), ("UINT16", "65535", .number(65535)),
            ("INT32", "2147483648", nil), ("UINT32", "4294967295", .number(4_294_967_295)),
            ("INT64", "9223372036854775807", .number(9_223_372_036_854_775_807)), ("INT64", "9223372036854775808", nil),
            ("UINT64", "18446744073709551615", .number(18_446_744_073_709_551_615)),
            ("UINT64", "18446744073709551616", nil), ("UINT64", "1.5", nil), ("INT32", "1.5", nil),
            ("INT32", "3e2", .number(300)), ("INT32", "\"3\"", nil), ("FP16", "0.1", .number(0.0999755859375)),
            ("FP16", "65520", nil), ("FP32", "0.1", .number(0.10000000149011612)), ("FP32", "1e39", nil),
            ("FP64", "0.1", .number(0.1)), ("FP64", "1e400", nil), ("FP64", "true", nil), ("BOOL", "true", .bool(true)),
            ("BOOL", "1", nil), ("BYTES", "\"a\"", .text("a")), ("BYTES", "1", nil), ("FP64", "null", .missing),
            ("INT8", "null", .missing), ("BYTES", "null", .missing), ("BOOL", "null", .missing), ("FP64", "[1]", nil),
        ] as [(String, String, RowCell?)])
    func elements(datatype: String, json: String, expected: RowCell?) throws {
        let type = try #require(InferenceDatatype(rawValue: datatype))
        let cell = try ScoringFixture.with("[\(json)]") { array in array.elements.map { type.cell($0) }[0] }
        #expect(cell == expected)
    }

    @Test(
        "a refusal names the tensor and the index, and no value",
        arguments: [
            (#"{"name":"amount","datatype":"FP64","shape":[2],"data":[1,"secret"]}"#, "input amount, index 1: "),
            (#"{"name":"x","datatype":"FP64","shape":[2,3],"data":[[1,2,3],[4,5,"secret"]]}"#, "input x, index 5: "),
            (
                #"{"name":"x","datatype":"FP64","shape":[2,3],"data":[[1,2,3],4,5,6]}"#,
                "input x: the data does not have"
            ),
            (#"{"name":"x","datatype":"FP64","shape":[2,3],"data":[1,2,3,4,5]}"#, "input x: the data does not have"),
            (#"{"name":"x","datatype":"FP64","shape":[1,1,3],"data":[1,2,3]}"#, "input x: shape is [rows]"),
            (#"{"name":"x","datatype":"FP64","shape":[2,2],"data":[1,2,3,4]}"#, "input x: no input of the model"),
            (#"{"name":"x","datatype":"FP64","shape":[9999999999,9999999999],"data":[]}"#, "At most 4000000 elements"),
            (#"{"name":"x","datatype":"FP64","shape":[200000,3],"data":[]}"#, "At most 100000 rows"),
            (#"7"#, "input 0: an object with a name"),
            (#"{"name":"x","datatype":"FP64","shape":[3],"data":[1,2,3],"shared":1}"#, "input x: name, shape"),
            (
                #"{"name":"x","datatype":"FP64","shape":[3],"data":[1,2,3],"parameters":{"a":[]}}"#,
                "input x: a parameter"
            ),
        ])
    func refusals(tensor: String, told: String) throws {
        let refusal = try #require(ScoringFixture.refusal { _ = try Self.scores(#"{"inputs":[\#(tensor)]}"#) })
        #expect(refusal.contains(told), "\(refusal)")
        #expect(!refusal.contains("secret"))
    }

    @Test("a name that is told is cut")
    func longNames() throws {
        let name = String(repeating: "n", count: 5000)
        let tensor = #"{"name":"\#(name)","datatype":"FP64","shape":[1],"data":[1]}"#
        let refusal = try #require(ScoringFixture.refusal { _ = try Self.scores(#"{"inputs":[\#(tensor)]}"#) })
        #expect(refusal.utf8.count < 300)
    }

    @Test("the answer, byte for byte")
    func answer() throws {
        let model = try ScoringFixture.model()
        let text =
            #"{"id":"7","outputs":[{"name":"margin"},{"name":"score"}],"inputs":[{"name":"amount","datatype":"FP64","shape":[2],"data":[0.5,2]}]}"#
        let request = try ScoringFixture.with(text) { try InferenceRequest($0, for: model) }
        let answer = try request.answer(ScoringFixture.scores(request.table, model), model)
        #expect(
            String(decoding: answer, as: UTF8.self) == """
                {"model_name":"price","model_version":"3","id":"7","outputs":[\
                {"name":"margin","datatype":"FP64","shape":[2],"data":[1000.5,1002]},\
                {"name":"score","datatype":"FP64","shape":[2],"data":[1000.5,1002]}]}
                """)
    }

    @Test("what is no number is never sent")
    func notFinite() throws {
        let model = try ScoringFixture.narrowModel()
        let text = #"{"inputs":[{"name":"x","datatype":"FP64","shape":[2],"data":[1,1e308]}]}"#
        let request = try ScoringFixture.with(text) { try InferenceRequest($0, for: model) }
        let refusal = ScoringFixture.refusal {
            _ = try request.answer(ScoringFixture.scores(request.table, model), model)
        }
        #expect(refusal?.hasPrefix("Row 1: ") == true)
    }

    @Test("metadata, byte for byte")
    func metadata() throws {
        var writer = JSONWriter()
        try ScoringFixture.model().writeMetadata(versions: [2, 3], to: &writer)
        #expect(
            String(decoding: writer.finish(), as: UTF8.self) == """
                {"name":"price","versions":["2","3"],"platform":"decisiond_coefficients","inputs":[\
                {"name":"amount","datatype":"FP64","shape":[-1]},{"name":"colour","datatype":"BYTES","shape":[-1]},\
                {"name":"flag","datatype":"BOOL","shape":[-1]}],"outputs":[\
                {"name":"predict","datatype":"FP64","shape":[-1]},{"name":"score","datatype":"FP64","shape":[-1]},\
                {"name":"margin","datatype":"FP64","shape":[-1]}],"properties":{"version":"3",\
                "objective":"linear_regression","score_index":"0"}}
                """)
    }
}
