import FEEL
import Testing

@testable import DMN

@Suite struct XMLTests {
    private func refusal(_ text: String) -> DMNError.Issue? {
        do throws(DMNError) {
            _ = try Models.read(text)
            return nil
        } catch {
            return error.issues.first
        }
    }

    @Test func entitiesAreRefused() {
        let bomb = """
            <?xml version="1.0"?>
            <!DOCTYPE definitions [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>
            <definitions xmlns="\(DMNNamespace.current)" name="&b;" namespace="n"/>
            """
        #expect(refusal(bomb)?.code == "doctype_refused")
        #expect(refusal(bomb)?.location?.line == 2)
        let outside = "<!DOCTYPE d SYSTEM \"file:///etc/passwd\"><d>&x;</d>"
        #expect(refusal(outside)?.code == "doctype_refused")
    }

    @Test func errorsTellLineAndColumn() {
        let open = refusal("<definitions\n  xmlns=\"\(DMNNamespace.current)\">\n  <a></b>\n</definitions>")
        #expect(open?.code == "malformed_xml")
        #expect(open?.location?.line == 3)
        #expect(refusal("")?.code == "malformed_xml")
        #expect(refusal("<x:definitions/>")?.code == "unbound_prefix")
        #expect(refusal("<definitions/>")?.code == "not_dmn")
        let nameless = refusal(Models.file("\n<decision id=\"x\"/>"))
        #expect(nameless?.code == "invalid_model")
        #expect(nameless?.location == SourceLocation(line: 4, column: 1))
        #expect(
            refusal(Models.file("<decision name=\"d\"><decisionTable hitPolicy=\"NEVER\"/></decision>"))?.code
                == "invalid_model")
    }

    @Test func limitsHold() {
        let depth = DMNLimits.documentDepth
        let deep = String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
        #expect(refusal(Models.file(deep))?.code == "too_complex")
        let attributes = (0...DMNLimits.elementAttributes).map { " a\($0)=\"\"" }.joined()
        #expect(refusal(Models.file("<a\(attributes)/>"))?.code == "too_complex")
        let nested = DMNLimits.expressionDepth + 1
        let lists = String(repeating: "<list>", count: nested) + String(repeating: "</list>", count: nested)
        #expect(refusal(Models.file("<decision name=\"d\">\(lists)</decision>"))?.code == "too_complex")
        let huge = Array(repeating: UInt8(ascii: " "), count: DMNLimits.documentBytes + 1)
        #expect(throws: DMNError.self) { try DMNModel(xml: huge) }
    }

    @Test(arguments: [
        "http://www.omg.org/spec/DMN/20151101/dmn.xsd", "http://www.omg.org/spec/DMN/20180521/MODEL/",
        "https://www.omg.org/spec/DMN/20191111/MODEL/", "https://www.omg.org/spec/DMN/20211108/MODEL/",
        "https://www.omg.org/spec/DMN/20230324/MODEL/",
    ])
    func everyVersionIsReadAndWrittenAsTheLast(namespace: String) throws {
        let content = Models.input("a", "number") + Models.decision("d", "a + 1", inputs: ["a"])
        let model = try Models.read(Models.file(content, dmn: namespace))
        let text = model.xml()
        #expect(text.contains("xmlns=\"\(DMNNamespace.current)\""))
        #expect(namespace == DMNNamespace.current || !text.contains(namespace))
        let compiled = try CompiledModel.compile(Models.read(text))
        #expect(compiled.text("d", ["a": .number(41)]) == "42")
    }

    @Test func prefixedTypesOfOldVersions() throws {
        let text = """
            <dmn:definitions xmlns:dmn="http://www.omg.org/spec/DMN/20151101/dmn.xsd" name="m" namespace="n"
                xmlns:feel="http://www.omg.org/spec/FEEL/20140401">
              <dmn:inputData id="a" name="a"><dmn:variable name="a" typeRef="feel:number"/></dmn:inputData>
            </dmn:definitions>
            """
        let model = try Models.read(text)
        #expect(try CompiledModel.compile(model).inputs.map(\.type) == [.number])
        #expect(model.xml().contains("<dmn:inputData id=\"a\" name=\"a\">"))
    }

    /// Layout keeps its bytes, extensions, artifacts and attributes of tools their content.
    @Test func whatIsNotUnderstoodIsKept() throws {
        let layout = """
            <dmndi:DMNDI><dmndi:DMNDiagram   id='q'><!-- here --><di:extension a="1"/>
              </dmndi:DMNDiagram></dmndi:DMNDI>
            """
        let extensions = "<extensionElements><t:x  y='&lt;'><![CDATA[<raw>]]></t:x></extensionElements>"
        let content = """
            <decision id="d" name="d" t:color="red">\(extensions)<question>why?</question><variable id="v" name="d"/>
              <usingTask href="#t"/>\(Models.literal("1 < 2 and \"a&b\" = \"a&b\""))</decision>
            <textAnnotation id="n" textFormat="text/plain"><text>  note  </text></textAnnotation>
            \(layout)
            """
        let attributes = """
            xmlns:t="urn:tool" xmlns:di="http://www.omg.org/spec/DMN/20180521/DI/" \
            xmlns:dmndi="https://www.omg.org/spec/DMN/20230324/DMNDI/"
            """
        let text = try Models.read(Models.file(content, attributes: attributes)).xml()
        for piece in [
            layout, extensions, "t:color=\"red\"", "<variable name=\"d\" id=\"v\"/>", "<usingTask href=\"#t\"/>",
            "<text>  note  </text>", "<question>why?</question>",
        ] {
            #expect(text.contains(piece), "lost \(piece)")
        }
        let again = try Models.read(text)
        #expect(again.xml() == text)
        #expect(try CompiledModel.compile(again).text("d") == "true")
    }

    /// A model that was never a file becomes one.
    @Test func modelsMadeInCodeAreWritten() throws {
        let table = BoxedTable(
            inputs: [.init(expression: FEELText("amount"), typeRef: "number")], outputs: [.init()],
            rules: [.init(id: "r", tests: [FEELText("> 10")], outputs: [FEELText("\"high\"")], annotations: ["why"])],
            hitPolicy: .first)
        let model = DMNModel(
            name: "made", namespace: "n",
            elements: [
                .inputData(InputData(name: "amount", id: "a", variable: .init(name: "amount", typeRef: "number"))),
                .decision(
                    Decision(
                        name: "tier", id: "t", variable: .init(name: "tier", typeRef: "string"),
                        requirements: [.init(kind: .input, href: "#a")], expression: .init(.decisionTable(table)))),
            ])
        let compiled = try CompiledModel.compile(Models.read(model.xml()))
        #expect(compiled.text("tier", ["amount": .number(11)]) == "high")
    }
}
