import FEEL
import Testing

@testable import DMN

/// What each box gives, as a table: box, value.
@Suite struct BoxTests {
    private static let rows =
        "<list>" + Models.literal("{a: 1, b: \"x\"}") + Models.literal("{a: 2, b: \"y\"}") + "</list>"

    private static let boxes: [(box: String, value: String)] = [
        (Models.literal("1 + 1"), "2"),
        ("<literalExpression><text/></literalExpression>", "null"),
        ("<literalExpression typeRef=\"string\"><text>1</text></literalExpression>", "null"),
        ("<list>\(Models.literal("1"))\(Models.literal("\"a\""))</list>", "[1, \"a\"]"),
        (
            "<context><contextEntry><variable name=\"first part\"/>\(Models.literal("20"))</contextEntry>"
                + "<contextEntry><variable name=\"b\"/>\(Models.literal("first part + 1"))</contextEntry></context>",
            "{first part: 20, b: 21}"
        ),
        (
            "<context><contextEntry><variable name=\"a\" typeRef=\"number\"/>\(Models.literal("[20]"))</contextEntry>"
                + "<contextEntry>\(Models.literal("a + 1"))</contextEntry></context>", "21"
        ),
        (
            "<relation><column name=\"a\"/><column name=\"b\" typeRef=\"number\"/>"
                + "<row>\(Models.literal("1"))\(Models.literal("2"))</row>"
                + "<row>\(Models.literal("3"))\(Models.literal("\"x\""))</row></relation>",
            "[{a: 1, b: 2}, {a: 3, b: null}]"
        ),
        (
            "<invocation>\(Models.literal("add"))<binding><parameter name=\"b\"/>\(Models.literal("2"))</binding>"
                + "<binding><parameter name=\"a\"/>\(Models.literal("40"))</binding></invocation>", "42"
        ),
        (
            "<invocation>\(Models.literal("add"))<binding><parameter name=\"z\"/>\(Models.literal("2"))</binding></invocation>",
            "null"
        ),
        ("<invocation>\(Models.literal("1"))</invocation>", "null"),
        (conditional("1 < 2"), "yes"), (conditional("1 > 2"), "no"), (conditional("null"), "no"),
        (conditional("\"abc\""), "null"),
        (filter("[1, 2, 3]", "item > 1"), "[2, 3]"), (filter("[1, 2, 3]", "2"), "null"),
        (filter("[1, 2, 3]", "true] + [1"), "null"), (filter("null", "true"), "null"),
        ("<filter><in>\(rows)</in><match>\(Models.literal("a > 1"))</match></filter>", "[{a: 2, b: \"y\"}]"),
        (
            "<filter><in>\(rows)</in><match>\(conditional("a = 1", "true", "b = \"y\""))</match></filter>",
            "[{a: 1, b: \"x\"}, {a: 2, b: \"y\"}]"
        ),
        (iteration("for", "[1..3]", "x * 2"), "[2, 4, 6]"), (iteration("for", "[]", "x"), "[]"),
        (iteration("for", "null", "x"), "null"),
        (iteration("for", "[1, 2, 3]", "x + sum(partial)"), "[null, null, null]"),
        (iteration("for", "[1, 2, 3]", "count(partial)"), "[0, 1, 2]"),
        (iteration("some", "[1, 2]", "x > 1"), "true"), (iteration("some", "[]", "true"), "false"),
        (iteration("some", "[null, 2]", "x > 1"), "true"), (iteration("some", "[null, 1]", "x > 1"), "null"),
        (iteration("every", "[1, 2]", "x > 0"), "true"), (iteration("every", "[1, 2]", "x > 1"), "false"),
        (iteration("every", "[]", "false"), "true"), (iteration("every", "[1]", "\"no boolean\""), "null"),
        (
            "<context><contextEntry><variable name=\"f\"/><functionDefinition><formalParameter name=\"x\" typeRef=\"number\"/>"
                + "<functionDefinition><formalParameter name=\"y\"/>\(Models.literal("x - y"))</functionDefinition>"
                + "</functionDefinition></contextEntry><contextEntry>\(Models.literal("[f(5)(3), f(\"a\")]"))</contextEntry></context>",
            "[2, null]"
        ),
    ]

    private static func conditional(_ condition: String, _ then: String = "\"yes\"", _ otherwise: String = "\"no\"")
        -> String
    {
        "<conditional><if>\(Models.literal(condition))</if><then>\(Models.literal(then))</then>"
            + "<else>\(Models.literal(otherwise))</else></conditional>"
    }

    private static func filter(_ list: String, _ match: String) -> String {
        "<filter><in>\(Models.literal(list))</in><match>\(Models.literal(match))</match></filter>"
    }

    private static func iteration(_ kind: String, _ domain: String, _ body: String) -> String {
        let part = kind == "for" ? "return" : "satisfies"
        return "<\(kind) iteratorVariable=\"x\"><in>\(Models.literal(domain))</in>"
            + "<\(part)>\(Models.literal(body))</\(part)></\(kind)>"
    }

    @Test(arguments: boxes)
    func value(box: String, value: String) throws {
        let add = """
            <businessKnowledgeModel id="add" name="add"><variable name="add"/><encapsulatedLogic>
            <formalParameter name="a" typeRef="number"/><formalParameter name="b" typeRef="number"/>
            \(Models.literal("a + b"))</encapsulatedLogic></businessKnowledgeModel>
            """
        let model = try Models.compile(add + Models.decision("d", box, knowledge: ["add"]))
        #expect(model.text("d") == value, "\(box)")
    }
}
