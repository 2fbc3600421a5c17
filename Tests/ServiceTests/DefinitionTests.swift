import JSON
import Testing

@testable import Service

@Suite struct DefinitionTests {
    @Test(arguments: ["a", "A", "credit-limit", "a.b_c-9", "Z9", String(repeating: "x", count: 128)])
    func names(_ name: String) { #expect(Definition.isName(name)) }

    @Test(arguments: [
        "", "9a", "-a", "_a", ".a", "a b", "a/b", "é", "aé", "a\n", "a\0", "a%", String(repeating: "x", count: 129),
    ]) func otherNames(_ name: String) { #expect(!Definition.isName(name)) }

    static let good = #"{"kind":"Measure","name":"revenue","domain":"shop","owner":"ann","description":"d","spec":{}}"#

    static let refusals = [
        Refusal("/kind", nil, "/7/kind unknown_kind"), Refusal("/kind", #""Thing""#, "/7/kind unknown_kind"),
        Refusal("/kind", #""measure""#, "/7/kind unknown_kind"), Refusal("/kind", "1", "/7/kind unknown_kind"),
        Refusal("/name", nil, "/7/name invalid_name"), Refusal("/name", #""9a""#, "/7/name invalid_name"),
        Refusal("/name", "5", "/7/name invalid_name"), Refusal("/spec", nil, "/7/spec missing_field"),
        Refusal("/spec", "null", "/7/spec missing_field"), Refusal("/owner", "5", "/7/owner type_mismatch"),
        Refusal("/domain", "[]", "/7/domain type_mismatch"), Refusal("/surplus", "1", "/7/surplus unknown_field"),
        Refusal("/version", "1", "/7/version unknown_field"),
    ]

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) throws {
        let problems = ProblemList()
        #expect(Definition(try refusal.apply(Fixture.tree(Self.good)), at: "/7", problems) == nil)
        #expect(problems.brief == refusal.told)
    }

    @Test func whatIsNoObject() {
        for tree in [JSONTree.null, .array([]), .string("x")] {
            let problems = ProblemList()
            #expect(Definition(tree, at: "/0", problems) == nil)
            #expect(problems.brief == ["/0 type_mismatch"])
        }
    }

    @Test func envelope() throws {
        let problems = ProblemList()
        let definition = try #require(Definition(Fixture.tree(Self.good), at: "", problems))
        #expect(definition.key == DefinitionKey(kind: .measure, name: "revenue"))
        #expect(definition.version == 0 && definition.domain == "shop" && definition.owner == "ann")
        #expect(definition.specPointer == "/spec" && definition.spec == .object([]))
    }

    @Test func aContractIsItsOwnSpec() throws {
        let problems = ProblemList()
        let document = try Fixture.contractDocument()
        let definition = try #require(Definition(document, at: "", problems, version: 3), "\(problems.brief)")
        #expect(definition.key == DefinitionKey(kind: .dataContract, name: "orders"))
        #expect(definition.version == 3 && definition.domain == "shop" && definition.owner == "Shop platform")
        #expect(definition.description == "Orders of the shop.")
        #expect(definition.specPointer == "" && definition.spec == document)
    }

    @Test func everyKindIsCompiledOnce() {
        #expect(Set(DefinitionKind.compileOrder) == Set(DefinitionKind.allCases))
        #expect(DefinitionKind.compileOrder.count == DefinitionKind.allCases.count)
    }
}
