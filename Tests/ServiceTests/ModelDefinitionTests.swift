import JSON
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
}
