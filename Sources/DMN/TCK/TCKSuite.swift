public import FEEL

/// A test file in the format of the DMN Technology Compatibility Kit.
public struct TCKSuite: Sendable {
    /// What a case evaluates.
    public enum Kind: String, Sendable {
        case decision
        case businessKnowledgeModel = "bkm"
        case decisionService
    }

    /// A value that a case supplies.
    public struct Input: Sendable {
        /// The name of the input, parameter or input decision.
        public let name: String
        /// The namespace of its model; nil for any.
        public let namespace: String?
        /// The value.
        public let value: Value
    }

    /// A result that a case expects.
    public struct Expectation: Sendable {
        /// The decision, or for a service the output decision.
        public let name: String
        /// The expected value.
        public let value: Value
        /// Whether an error is expected; an error is null here.
        public let isError: Bool
    }

    /// One case.
    public struct Case: Sendable {
        /// The author's identifier.
        public let id: String
        /// What it evaluates.
        public let kind: Kind
        /// The service or knowledge model; nil for decisions.
        public let invocable: String?
        /// What is supplied.
        public let inputs: [Input]
        /// What is expected.
        public let expectations: [Expectation]

        /// Whether a value other than null is expected: an engine that always answers null passes no such case.
        public var expectsValue: Bool { expectations.contains { !$0.isError && !$0.value.isNull } }
    }

    /// The `.dmn` file under test, beside the test file.
    public let modelName: String
    /// The cases in order.
    public let cases: [Case]

    /// Reads a test file.
    /// - Throws: `DMNError` with one issue: an `XMLError.Code`, or `not_a_test` when the file is something else.
    public init(xml bytes: [UInt8]) throws(DMNError) {
        let root: XMLElement
        do throws(XMLError) {
            root = try XMLReader.parse(bytes)
        } catch {
            throw DMNError(issues: [
                DMNError.Issue(pointer: "", code: error.code.rawValue, message: error.message, location: error.location)
            ])
        }
        guard root.localName == "testCases", let modelName = root.first("modelName")?.text else {
            throw DMNReader.error("not_a_test", "the root is not testCases with a modelName", root)
        }
        self.modelName = TCKSuite.trimmed(modelName)
        var cases: [Case] = []
        for element in root.all("testCase") { cases.append(try TCKSuite.read(element)) }
        self.cases = cases
    }

    private static func read(_ element: XMLElement) throws(DMNError) -> Case {
        guard let kind = Kind(rawValue: element.attribute("type") ?? "decision") else {
            throw DMNReader.error("not_a_test", "a case is of type decision, bkm or decisionService", element)
        }
        return Case(
            id: element.attribute("id") ?? "", kind: kind, invocable: element.attribute("invocableName"),
            inputs: element.all("inputNode").map { input in
                Input(
                    name: DMNReader.normalized(input.attribute("name") ?? ""),
                    namespace: input.attribute("namespace"), value: value(input))
            },
            expectations: element.all("resultNode").map { result in
                Expectation(
                    name: DMNReader.normalized(result.attribute("name") ?? ""),
                    value: result.first("expected").map { value($0) } ?? .null,
                    isError: result.attribute("errorResult") == "true")
            })
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    /// A value as the format spells it: `value` with a schema type, `component`s or a `list`.
    private static func value(_ element: XMLElement) -> Value {
        if let list = element.first("list") { return .list(list.all("item").map { value($0) }) }
        let components = element.all("component")
        if !components.isEmpty {
            return .context(Context(components.map { (DMNReader.normalized($0.attribute("name") ?? ""), value($0)) }))
        }
        guard let scalar = element.first("value") else { return .null }
        let schema = "http://www.w3.org/2001/XMLSchema-instance"
        func attribute(_ name: String) -> String? {
            scalar.attributes.first { $0.namespace == schema && $0.localName == name }?.value
        }
        if attribute("nil") == "true" { return .null }
        let type = attribute("type").map { String(XMLElement.local($0)) } ?? "string"
        let text = type == "string" ? scalar.text : trimmed(scalar.text)
        switch type {
        case "decimal", "double", "integer", "int", "float", "long": return Decimal(text).map { .number($0) } ?? .null
        case "boolean": return .boolean(text == "true" || text == "1")
        case "date", "time", "dateTime", "duration": return Value(temporal: text) ?? .null
        default: return .string(text)
        }
    }
}
