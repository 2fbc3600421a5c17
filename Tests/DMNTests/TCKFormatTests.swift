import DMN
import FEEL
import Testing

@Suite struct TCKFormatTests {
    private static let suite = """
        <testCases xmlns="http://www.omg.org/spec/DMN/20160719/testcase"
            xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
          <modelName> m.dmn
          </modelName>
          <testCase id="passes">
            <inputNode name="a"><value xsi:type="xsd:decimal">1</value></inputNode>
            <resultNode name="d" type="decision"><expected><component name="n">
              <value xsi:type="xsd:double">2.000000001</value></component>
              <component name="l"><list><item><value xsi:type="xsd:string"> x</value></item>
              <item><value xsi:nil="true"/></item></list></component></expected></resultNode>
          </testCase>
          <testCase id="fails">
            <inputNode name="a"><value xsi:type="xsd:decimal">1.1</value></inputNode>
            <resultNode name="d"><expected><value xsi:type="xsd:date">2026-01-31</value></expected></resultNode>
          </testCase>
          <testCase id="missing"><resultNode name="nobody"><expected><value xsi:nil="true"/></expected></resultNode></testCase>
          <testCase id="error" type="bkm" invocableName="f">
            <inputNode name="x"><value xsi:type="xsd:boolean">true</value></inputNode>
            <resultNode name="f" errorResult="true"><expected><value xsi:nil="true"/></expected></resultNode>
          </testCase>
        </testCases>
        """

    @Test func casesAreReadRunAndReported() throws {
        let suite = try TCKSuite(xml: Array(TCKFormatTests.suite.utf8))
        #expect(suite.modelName == "m.dmn")
        #expect(suite.cases.map(\.expectsValue) == [true, true, false, false])
        let model = try Models.compile(
            Models.input("a", "number") + Models.decision("d", "{n: a * 2, l: [\" x\", null]}", inputs: ["a"])
                + "<businessKnowledgeModel id=\"f\" name=\"f\"><variable name=\"f\"/><encapsulatedLogic>"
                + "<formalParameter name=\"x\" typeRef=\"number\"/>\(Models.literal("x"))</encapsulatedLogic>"
                + "</businessKnowledgeModel>")
        let outcomes = TCKRunner(model, now: nil).run(suite)
        #expect(outcomes.map { $0.failure == nil } == [true, false, false, true])
        let report = TCKReport(files: [
            TCKReport.File(path: "a-test-1.xml", outcomes: outcomes),
            TCKReport.File(path: "b-test-1.xml", outcomes: [], problem: "no <model>"),
        ])
        #expect(report.lines.last == "2 passed, 3 failed")
        #expect(report.lines.contains("a-test-1.xml: 2 passed, 2 failed"))
        #expect(report.lines.contains("b-test-1.xml: no <model>"))
        #expect(report.valueCases.passed == 1 && report.valueCases.total == 2)
        #expect(report.junit.contains("<testsuite name=\"a-test-1.xml\" tests=\"4\" failures=\"2\">"))
        #expect(report.junit.contains("<failure message=\"no &lt;model&gt;\"/>"))
    }

    @Test func otherFilesAreNoTests() {
        #expect(throws: DMNError.self) { try TCKSuite(xml: Array("<testCases/>".utf8)) }
        #expect(throws: DMNError.self) { try TCKSuite(xml: Array("<other><modelName>m</modelName></other>".utf8)) }
    }
}
