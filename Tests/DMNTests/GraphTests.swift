import FEEL
import Testing

@testable import DMN

@Suite struct GraphTests {
    @Test func namesWithSpacesAreRequirements() throws {
        let model = try Models.compile(
            Models.input("Monthly Income", "number") + Models.input("Debt - total", "number")
                + Models.decision(
                    "Debt Ratio", "Debt - total / Monthly Income", inputs: ["Monthly Income", "Debt - total"])
                + Models.decision("Is High", "Debt Ratio > 0.4", decisions: ["Debt Ratio"]), tolerant: false)
        let inputs: [String: Value] = ["Monthly Income": .number(1000), "Debt - total": .number(500)]
        #expect(model.text("Is High", inputs) == "true")
        #expect(model.inputs.map(\.name) == ["Monthly Income", "Debt - total"])
        #expect(model.decisions.map(\.type) == [.number, .boolean])
        let decision = try #require(model.decisionIndex("Is High"))
        #expect(model.inputs(ofDecision: decision) == [0, 1])
    }

    @Test func onlyRequirementsAreInScope() throws {
        let content = Models.input("a", "number") + Models.decision("d", "a")
        #expect(try Models.compile(content).text("d", ["a": .number(1)]) == "null")
        do {
            _ = try Models.compile(content, tolerant: false)
            Issue.record("published")
        } catch let error as DMNError {
            #expect(error.issues.map(\.code) == ["unknown_name"])
            #expect(error.issues.first?.pointer == "/decision/d")
            #expect(error.issues.first?.location?.line == 3)
        }
    }

    @Test func circlesAndBrokenReferencesAreRefused() throws {
        do {
            _ = try Models.compile(
                Models.decision("a", "b", decisions: ["b"]) + Models.decision("b", "c", decisions: ["c"])
                    + Models.decision("c", "a", decisions: ["a"]))
            Issue.record("compiled")
        } catch let error as DMNError {
            #expect(error.issues.first?.code == "circular_requirement")
            #expect(error.issues.first?.message.hasSuffix("a -> b -> c -> a") == true)
        }
        let dangling = try Models.compile(Models.decision("a", "1", decisions: ["nowhere"]))
        #expect(dangling.issues.map(\.code) == ["unknown_reference"])
        let typo = try Models.compile(Models.input("a", "nmber"))
        #expect(typo.issues.map(\.code) == ["unknown_type"])
        let circular = try Models.compile(
            "<itemDefinition name=\"a\"><typeRef>b</typeRef></itemDefinition>"
                + "<itemDefinition name=\"b\"><typeRef>a</typeRef></itemDefinition>")
        #expect(circular.issues.map(\.code) == ["circular_type"])
    }

    @Test func valuesAreConvertedOrNullWithAReason() throws {
        let model = try Models.compile(
            Models.input("n", "number") + Models.decision("one", "[7]", type: "number")
                + Models.decision("deep", "[[7]]", type: "number")
                + Models.decision("many", "7", type: "numbers")
                + Models.decision("day", "@\"2026-01-31\"", type: "dateTime")
                + Models.decision("clash", "\"x\"", type: "number")
                + Models.decision("input", "n = null", inputs: ["n"])
                + "<itemDefinition name=\"numbers\" isCollection=\"true\"><typeRef>number</typeRef></itemDefinition>")
        #expect(model.text("one") == "7")
        #expect(model.text("deep") == "7")
        #expect(model.text("many") == "[7]")
        #expect(model.text("day").contains("2026-01-31T00:00:00"))
        let clash = try #require(model.evaluate(decision: "clash", inputs: [:]))
        #expect(clash.value == .null)
        #expect(clash.reasons.map(\.code) == [.typeMismatch])
        let given = try #require(model.evaluate(decision: "input", inputs: ["n": .string("x")]))
        #expect(given.value == .boolean(true))
        #expect(given.reasons.first?.message == "n must be a number, not a string")
    }

    @Test func allowedValuesAndConstraints() throws {
        let types = """
            <itemDefinition name="grade"><typeRef>string</typeRef>
              <allowedValues><text>"A", "B"</text></allowedValues></itemDefinition>
            <itemDefinition name="grades" isCollection="true"><typeRef>grade</typeRef>
              <typeConstraint><text>count(?) &lt; 3</text></typeConstraint></itemDefinition>
            <itemDefinition name="pupil"><itemComponent name="name"><typeRef>string</typeRef></itemComponent>
              <itemComponent name="last"><typeRef>grade</typeRef></itemComponent></itemDefinition>
            """
        let model = try Models.compile(
            types + Models.input("g", "grade") + Models.input("gs", "grades") + Models.input("p", "pupil")
                + Models.decision("d", "[g, gs, p]", inputs: ["g", "gs", "p"]))
        #expect(model.issues.isEmpty)
        func result(_ name: String, _ value: Value) -> String { model.text("d", [name: value]) }
        #expect(result("g", .string("A")) == "[\"A\", null, null]")
        #expect(result("g", .string("C")) == "[null, null, null]")
        let (a, c) = (Value.string("A"), Value.string("C"))
        #expect(result("gs", .list([a, a])) == "[null, [\"A\", \"A\"], null]")
        #expect(result("gs", .list([a, c])) == "[null, null, null]")
        #expect(result("gs", .list([a, a, a])) == "[null, null, null]")
        let refused = model.evaluate(
            decision: "d", inputs: ["p": .context(Context([("name", .string("x")), ("last", c)]))])
        #expect(refused?.value.list?.last == .null)
        #expect(refused?.reasons.first?.code == .notAllowed)
    }

    @Test func importsAreContextsUnderTheirName() throws {
        let base = try Models.read(
            Models.file(
                """
                <itemDefinition name="tPerson"><itemComponent name="full name"><typeRef>string</typeRef></itemComponent>
                </itemDefinition>
                <inputData id="p" name="Person"><variable name="Person" typeRef="tPerson"/></inputData>
                <decision id="h" name="Say Hello"><variable name="Say Hello"/>
                <informationRequirement><requiredInput href="#p"/></informationRequirement>
                \(Models.literal("\"Hello \" + Person.full name"))</decision>
                <businessKnowledgeModel id="s" name="Shout"><variable name="Shout"/><encapsulatedLogic>
                <formalParameter name="t" typeRef="string"/>\(Models.literal("upper case(t)"))</encapsulatedLogic>
                </businessKnowledgeModel>
                """, namespace: "urn:base"))
        let content = """
            <import name="the base" namespace="urn:base" importType="\(DMNNamespace.current)"/>
            <inputData id="o" name="Other"><variable name="Other" typeRef="the base.tPerson"/></inputData>
            <decision id="d" name="d"><variable name="d"/>
            <informationRequirement><requiredDecision href="urn:base#h"/></informationRequirement>
            <informationRequirement><requiredInput href="#o"/></informationRequirement>
            <knowledgeRequirement><requiredKnowledge href="urn:base#s"/></knowledgeRequirement>
            \(Models.literal("the base.Shout(the base.Say Hello + Other.full name)"))</decision>
            """
        let model = try Models.compile(content, imports: [base], tolerant: false)
        let person = { (name: String) in Value.context(Context([("full name", .string(name))])) }
        #expect(
            model.text("d", ["the base.Person": person("Ann"), "Other": person("Bo")]) == "HELLO ANNBO")
        #expect(model.inputs.map(\.qualifiedName) == ["Other", "the base.Person"])
        #expect(model.text("the base.Say Hello", ["Person": person("Cy")]) == "Hello Cy")
        #expect(throws: DMNError.self) { try Models.compile(content, tolerant: false) }
    }

    @Test func servicesAreFunctions() throws {
        let service = """
            <decisionService id="s" name="s"><variable name="s" typeRef="number"/>
            <outputDecision href="#sum"/><encapsulatedDecision href="#double"/>
            <inputDecision href="#given"/><inputData href="#a"/></decisionService>
            """
        let model = try Models.compile(
            Models.input("a", "number") + Models.decision("given", "1000", type: "number")
                + Models.decision("double", "a * 2", inputs: ["a"])
                + Models.decision("sum", "double + given", decisions: ["double", "given"])
                + Models.decision(
                    "call", "[s(1, 2), s(given: 20, a: 10), s(1), s(\"x\", 2), sum]",
                    inputs: ["a"], decisions: ["sum"], knowledge: ["s"]) + service)
        #expect(model.text("call", ["a": .number(3)]) == "[4, 40, null, null, 1006]")
        #expect(model.evaluate(service: "s", inputs: ["a": .number(1), "given": .number(5)])?.value == .number(7))
        #expect(model.outputs(ofService: "s") == ["sum"])
        #expect(model.evaluate(service: "nobody", inputs: [:]) == nil)
    }

    @Test func javaIsRefusedByName() throws {
        let external = """
            <businessKnowledgeModel id="f" name="f"><variable name="f"/>
            <encapsulatedLogic kind="Java"><formalParameter name="a"/><context/></encapsulatedLogic>
            </businessKnowledgeModel>
            """
        #expect(throws: DMNError.self) { try Models.compile(external, tolerant: false) }
        let model = try Models.compile(external + Models.decision("d", "f(1)", knowledge: ["f"]))
        #expect(model.issues.map(\.code) == ["external_function"])
        #expect(model.text("d") == "null")
    }

    @Test func tracesNameDecisionsAndTables() throws {
        let table = """
            <decisionTable hitPolicy="UNIQUE"><input label="amount"><inputExpression typeRef="number"><text>a</text>
            </inputExpression></input><output/>
            <rule id="r1"><inputEntry><text>&lt; 10</text></inputEntry><outputEntry><text>"low"</text></outputEntry></rule>
            <rule id="r2"><inputEntry><text>&gt;= 10</text></inputEntry><outputEntry><text>"high"</text></outputEntry></rule>
            </decisionTable>
            """
        let model = try Models.compile(
            Models.input("a", "number")
                + "<businessKnowledgeModel id=\"f\" name=\"f\"><variable name=\"f\"/><encapsulatedLogic>"
                + "<formalParameter name=\"a\"/>\(table)</encapsulatedLogic></businessKnowledgeModel>"
                + Models.decision("tier", "f(a)", inputs: ["a"], knowledge: ["f"])
                + Models.decision("text", "\"it is \" + tier", decisions: ["tier"]))
        let inputs: [String: Value] = ["a": .number(12)]
        #expect(model.evaluate(decision: "text", inputs: inputs)?.tables.isEmpty == true)
        let result = try #require(
            model.evaluate(decision: "text", inputs: inputs, trace: .nearMisses(cells: 1)))
        #expect(result.decisions.map(\.name) == ["tier", "text"])
        #expect(result.decisions.map(\.value) == [.string("high"), .string("it is high")])
        let traced = try #require(result.tables.first)
        #expect(traced.name == "f")
        #expect(traced.result.matchedRules == [2])
        #expect(traced.result.inputs == [.number(12)])
        #expect(traced.nearMisses.map(\.rule) == [1])
        #expect(traced.nearMisses.first?.cells.first?.test == "< 10")
    }

    /// Functions that call themselves through tables and boxes end with a reason, not with the stack.
    @Test func recursionIsBounded() throws {
        let model = try Models.compile(
            """
            <businessKnowledgeModel id="f" name="f"><variable name="f"/><encapsulatedLogic>
            <formalParameter name="g"/><context><contextEntry><variable name="x"/>\(Models.literal("g(g)"))</contextEntry>
            <contextEntry>\(Models.literal("x"))</contextEntry></context></encapsulatedLogic></businessKnowledgeModel>
            """ + Models.decision("d", "f(f)", knowledge: ["f"]))
        let result = try #require(model.evaluate(decision: "d", inputs: [:]))
        #expect(result.value == .null)
        #expect(result.reasons.contains { $0.code == .limit })
    }
}
