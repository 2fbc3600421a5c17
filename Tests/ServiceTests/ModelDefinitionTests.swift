import Decisions
import JSON
import Models
import Testing

@testable import Service

@Suite struct ModelDefinitionTests {
    static let hash = String(repeating: "0a", count: 32)
    static let good =
        #"{"artifact":{"sha256":"\#(hash)"},"categories":{"purpose":["a","b"]},"output":1,"iterations":"best"}"#

    static let refusals = [
        Refusal("/artifact", nil, "/spec/artifact missing_field"),
        Refusal(
            "/artifact", #""x""#, "/spec/artifact type_mismatch", "/spec/artifact/sha256 invalid_hash",
            "/spec/artifact/sha256 missing_field"),
        Refusal("/artifact/sha256", #""\#(hash.dropLast())""#, "/spec/artifact/sha256 invalid_hash"),
        Refusal("/artifact/sha256", #""\#(hash.uppercased())""#, "/spec/artifact/sha256 invalid_hash"),
        Refusal("/artifact/sha256", #""\#(hash.dropLast())g""#, "/spec/artifact/sha256 invalid_hash"),
        Refusal("/artifact/sha256", #""\#(hash.dropLast(2))é""#, "/spec/artifact/sha256 invalid_hash"),
        Refusal("/artifact/file", #""x""#, "/spec/artifact/file unknown_field"),
        Refusal("/categories", "[]", "/spec/categories type_mismatch"),
        Refusal("/categories/purpose", #""a""#, "/spec/categories/purpose type_mismatch"),
        Refusal("/categories/purpose", "[]", "/spec/categories/purpose type_mismatch"),
        Refusal("/categories/purpose", #"["a","a"]"#, "/spec/categories/purpose duplicate_value"),
        Refusal("/categories/purpose", #"["a",1]"#, "/spec/categories/purpose type_mismatch"),
        Refusal("/output", "-1", "/spec/output out_of_range"), Refusal("/output", "1.5", "/spec/output out_of_range"),
        Refusal("/output", "1001", "/spec/output out_of_range"),
        Refusal("/iterations", #""some""#, "/spec/iterations value_not_allowed"),
        Refusal("/surplus", "1", "/spec/surplus unknown_field"),
        Refusal("/features", #"[{"name":"a"}]"#, "/spec/features/0/type missing_field"),
        Refusal("/features", #"[{"name":"a","type":"weight"}]"#, "/spec/features/0/type value_not_allowed"),
        Refusal(
            "/features", #"[{"name":"a","type":"number","categories":["x"],"unknown":"refuse"}]"#,
            "/spec/features/0/categories value_not_allowed", "/spec/features/0/unknown value_not_allowed"),
        Refusal(
            "/features", #"[{"name":"a","type":"number"},{"name":"a","type":"number"}]"#,
            "/spec/features/1/name duplicate_value"),
        Refusal("/reasons", "{}", "/spec/reasons/codes missing_field"),
        Refusal(
            "/reasons", #"{"adverse":"left","limit":21,"codes":[{"feature":"a"}]}"#,
            "/spec/reasons/adverse value_not_allowed", "/spec/reasons/codes/0/code missing_field",
            "/spec/reasons/codes/0/text missing_field", "/spec/reasons/limit out_of_range"),
        Refusal("/card", #"{"review_date":"2026-02-30"}"#, "/spec/card/review_date type_mismatch"),
        Refusal("/card", #"{"metrics":{"auc":[1]}}"#, "/spec/card/metrics/auc type_mismatch"),
        Refusal("/card", #"{"training_data":7}"#, "/spec/card/training_data type_mismatch"),
        Refusal("/card", #"{"approval":{"at":"today"}}"#, "/spec/card/approval/by missing_field"),
        Refusal(
            "/card", #"{"reference":{"features":{"a":{"kind":"fuzzy"}}}}"#,
            "/spec/card/reference/features/a/kind value_not_allowed"),
        Refusal(
            "/card",
            #"{"reference":{"features":{"a":{"kind":"numeric","edges":[2],"points":[1],"cells":[0,1,0],"missing":0}}}}"#,
            "/spec/card/reference/features/a count_mismatch"),
    ]

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) throws {
        let problems = ProblemList()
        let definition = try Fixture.definition("Model", refusal.apply(Fixture.tree(Self.good)))
        #expect(ModelDefinition.parse(definition, at: "", problems) == nil)
        #expect(problems.brief == refusal.told)
    }

    @Test func reads() throws {
        let problems = ProblemList()
        let model = try #require(
            ModelDefinition.parse(Fixture.definition("Model", Fixture.tree(Self.good)), at: "", problems))
        #expect(model.artifact == Self.hash && model.output == 1 && model.usesBestIteration)
        #expect(model.categories == ["purpose": ["a", "b"]])
        let least = try Fixture.tree(#"{"artifact":{"sha256":"\#(Self.hash)"}}"#)
        let plain = try #require(ModelDefinition.parse(Fixture.definition("Model", least), at: "", problems))
        #expect(plain.output == nil && !plain.usesBestIteration && plain.categories.isEmpty)
    }

    /// A model of one category input and one number, and its definition.
    private static func served(_ spec: String, _ problems: ProblemList) throws -> ServedModel? {
        let model = try Model.load(
            Array(
                """
                {"type":"linear_regression","version":1,"features":["channel","amount"],"impute":{"values":[-5,0]},
                 "scale":{"mean":[0,0],"scale":[1,1]},"coef":[[1,10]],"intercept":[0],"link":"identity"}
                """.utf8))
        let text = #"{"artifact":{"sha256":"\#(hash)"},"categories":{"channel":["web","phone"]}\#(spec)}"#
        let definition = try #require(
            ModelDefinition.parse(Fixture.definition("Model", Fixture.tree(text)), at: "", problems))
        return definition.served(name: "m", version: 2, model, problems)
    }

    static let cells: [(ModelInput.Kind, RowCell, ModelInput.Coded)] = [
        (.number, .number(1.5), .value(1.5)), (.number, .number(.nan), .missing(.nan)),
        (.number, .missing, .missing(.nan)),
        (.number, .text("1"), .refused(code: "type_mismatch", message: "number is expected")),
        (.number, .bool(true), .refused(code: "type_mismatch", message: "number is expected")),
        (.integer, .number(-3), .value(-3)),
        (.integer, .number(1.5), .refused(code: "type_mismatch", message: "a whole number is expected")),
        (.integer, .number(.infinity), .value(.infinity)),
        (.boolean, .bool(true), .value(1)), (.boolean, .bool(false), .value(0)), (.boolean, .number(1), .value(1)),
        (.boolean, .number(2), .refused(code: "type_mismatch", message: "true or false is expected")),
        (.category, .text("phone"), .value(1)), (.category, .text("fax"), .unknown(.nan)),
        (.category, .number(1), .value(1)),
        (.category, .number(2), .unknown(.nan)), (.category, .number(-1), .unknown(.nan)),
        (
            .category, .number(0.5),
            .refused(code: "type_mismatch", message: "a category is its name, or its code: a whole number")
        ),
        (.category, .bool(true), .refused(code: "type_mismatch", message: "category is expected")),
    ]

    @Test(arguments: cells) func codes(_ kind: ModelInput.Kind, _ cell: RowCell, _ wanted: ModelInput.Coded) {
        let input = ModelInput(
            name: "a", kind: kind, isDeclared: true, categories: kind == .category ? ["web", "phone"] : [])
        #expect("\(input.code(cell))" == "\(wanted)")
    }

    @Test func fitsItsArtifact() throws {
        let problems = ProblemList()
        let served = try #require(
            try Self.served(
                #","features":[{"name":"channel","type":"category","categories":["a","b"],"unknown":{"default":"b"}}]"#,
                problems))
        #expect(served.inputs.map(\.kind) == [.category, .number])
        #expect(served.inputs[0].categories == ["a", "b"])
        #expect(served.inputs[0].rule == ModelInputRule(missing: .missing, unknown: .value(1)))
        #expect(served.interface.rules == ["channel": served.inputs[0].rule])
        var table = RowTable(columns: ["amount", "shoe", "channel"])
        table.append([.number(2), .text("x"), .text("z")])
        let coded = try served.code(table)
        #expect(coded.numbers == [1, 2] && coded.marks == [.unknown, .value])
        #expect(coded.quality == RowQuality(ignored: ["shoe"], missing: [0, 0], unknown: [1, 0]))
    }

    @Test func doesNotFitItsArtifact() throws {
        let problems = ProblemList()
        let told = try Self.served(
            """
            ,"output":1,"features":[{"name":"shoe","type":"number"},
             {"name":"channel","type":"category","missing":{"default":"fax"}}],
             "reasons":{"codes":[{"feature":"shoe","code":"S","text":"Shoes"}]},
             "card":{"reference":{"features":{"shoe":{"kind":"categorical","categories":["a"],"counts":[1],"missing":0},
              "channel":{"kind":"numeric","edges":[],"points":[1],"cells":[0,1,0],"missing":0}}}}
            """, problems)
        #expect(told == nil)
        #expect(
            problems.brief == [
                "/spec/card/reference/features/channel value_not_allowed",
                "/spec/card/reference/features/shoe unknown_input",
                "/spec/features/0/name unknown_input", "/spec/features/1/missing/default type_mismatch",
                "/spec/output out_of_range", "/spec/reasons/codes/0/feature unknown_input",
            ])
    }
}
