import Decisions
import FEEL
import HTTP
import JSON
import Testing

@testable import Service

/// `openapi.yaml` read as lines: enough for what its operations are called and what they need.
private struct ScannedContract {
    struct Operation: Hashable {
        let id: String
        let method: String
        let path: String
        var action: String?
        var isPublic = false
    }

    private(set) var operations: [Operation] = []
    private(set) var schemas: Set<String> = []
    private(set) var references: Set<String> = []
    private(set) var statuses: [String: [String]] = [:]

    init(_ text: String) {
        var section = ""
        var subsection = ""
        var path = ""
        var method = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            let indentation = line.prefix { $0 == " " }.count
            let content = String(line.dropFirst(indentation))
            if content.isEmpty || content.hasPrefix("#") { continue }
            for piece in content.split(separator: "\"") where piece.hasPrefix("#/components/schemas/") {
                references.insert(String(piece.dropFirst("#/components/schemas/".count)))
            }
            let key = content.split(separator: ":", maxSplits: 1).first.map(String.init) ?? ""
            switch indentation {
            case 0: section = key
            case 2:
                subsection = key
                if section == "paths" { path = key.filter { $0 != "\"" } }
            case 4:
                if section == "paths" { method = key }
                if section == "components", subsection == "schemas" { schemas.insert(key) }
            case 6 where section == "paths": readOperation(content, method, path)
            case 8 where section == "paths" && content.hasPrefix("\""):
                guard let id = operations.last?.id else { continue }
                statuses[id, default: []].append(String(content.dropFirst().prefix(3)))
            default: break
            }
        }
    }

    private mutating func readOperation(_ content: String, _ method: String, _ path: String) {
        if let id = value(content, of: "operationId") {
            operations.append(Operation(id: id, method: method, path: path))
        } else if let action = value(content, of: "x-required-action") {
            operations[operations.count - 1].action = action
        } else if content == "security: []" {
            operations[operations.count - 1].isPublic = true
        }
    }

    private func value(_ content: String, of key: String) -> String? {
        content.hasPrefix(key + ": ") ? String(content.dropFirst(key.count + 2)) : nil
    }
}

@Suite("openapi.yaml")
struct OpenAPITests {
    private let base = ScannedContract(OpenAPIDocument.base)

    @Test("every operation stands in it with its method, path and action, and nothing else does")
    func operations() {
        let served = Operation.allCases.map { operation in
            ScannedContract.Operation(
                id: operation.rawValue, method: "\(operation.route.method.token)".lowercased(),
                path: operation.route.path, action: operation.action, isPublic: operation.action == nil)
        }
        #expect(base.operations.count == served.count)
        let described = Set(base.operations)
        for operation in served {
            #expect(described.contains(operation), "\(operation) is served, but not described so")
        }
        for operation in described.subtracting(served) {
            #expect(Bool(false), "\(operation) is described, but not served so")
        }
    }

    @Test("every schema that is named exists, and every one is named")
    func schemas() {
        #expect(base.references.subtracting(base.schemas) == [])
        #expect(base.schemas.subtracting(base.references) == [])
    }

    @Test("there is no catch-all response")
    func responses() {
        #expect(!OpenAPIDocument.base.contains("default:\n"))
        for operation in base.operations { #expect(base.statuses[operation.id]?.isEmpty == false) }
    }

    @Test("it has the version of the source tree")
    func version() {
        #expect(OpenAPIDocument.base.contains("\n  version: \(ServiceVersion.text)\n"))
    }

    @Test("every kind of definition has a schema and a place in the discriminator")
    func kinds() {
        for kind in DefinitionKind.allCases {
            #expect(base.schemas.contains(kind.rawValue))
            let mapping = "          \(kind.rawValue): \"#/components/schemas/\(kind.rawValue)\"\n"
            #expect(OpenAPIDocument.base.contains(mapping))
        }
    }
}

@Suite("openapi.yaml with typed paths")
struct OpenAPIRenderingTests {
    private static let spec = """
        {
          "inputs": [
            {"name": "purpose", "type": "string", "values": ["car", "say \\"no\\"", "yes"]},
            {"name": "amount", "type": "number", "minimum": 0.5, "maximum": 1000000},
            {"name": "day", "type": "date", "optional": true, "description": "first: day, # of all"},
            {"name": "note", "type": "string", "optional": true, "classification": "personal"}
          ],
          "nodes": [
            {"name": "tier", "table": {
              "inputs": [{"expression": "amount", "type": "number"}],
              "outputs": [{"name": "tier", "type": "string", "values": ["low", "high"]}],
              "rules": [
                {"when": ["< 10"], "then": ["\\"low\\""], "reason": "SMALL"},
                {"when": [">= 10"], "then": ["\\"high\\""], "reason": "LARGE"}
              ]}}
          ],
          "outputs": [
            {"name": "approve", "type": "boolean", "expression": "amount < 10"},
            {"name": "tier", "type": "string", "values": ["low", "high"], "expression": "tier"}
          ],
          "reasons": {"mode": "rules", "codes": {"SMALL": "A small amount.", "LARGE": "A large amount."}}
        }
        """

    private func decision(_ name: String, version: Int = 3) throws -> CompiledDecision {
        let problems = ProblemList()
        let tree = try JSONTree(parsing: Array(Self.spec.utf8))
        let spec = try #require(DecisionSpec.parse(tree, at: "/spec", problems), "\(problems.problems)")
        let compiled = DecisionCompiler.compile(
            name: name, version: version, spec: spec, at: "/spec", problems, views: { _ in nil }, models: { _ in nil })
        return try #require(compiled, "\(problems.problems)")
    }

    private func render(_ decisions: [CompiledDecision]) -> String {
        String(decoding: OpenAPIDocument.render(base: OpenAPIDocument.base, decisions: decisions), as: UTF8.self)
    }

    @Test("without decisions it is the file, byte for byte")
    func withoutDecisions() {
        #expect(render([]) == OpenAPIDocument.base)
    }

    @Test("a decision has its own path, beside the one for all")
    func typedPath() throws {
        let text = render([try decision("small-loan")])
        let contract = ScannedContract(text)
        let typed = try #require(contract.operations.first { $0.path == "/v1/decide/small-loan" })
        #expect(typed.id == "decide_small_loan")
        #expect(typed.method == "post")
        #expect(typed.action == "decide")
        #expect(contract.operations.contains { $0.id == "postDecision" && $0.path == "/v1/decide/{decision}" })
        #expect(contract.statuses["decide_small_loan"] == contract.statuses["postDecision"])
        #expect(contract.references.subtracting(contract.schemas) == [])
        for schema in ["Request", "Inputs", "Answer", "Outputs", "Reason"] {
            #expect(contract.schemas.contains("DecideSmallLoan\(schema)"))
        }
    }

    @Test(
        "types, bounds, allowed texts and reasons are in the schemas",
        arguments: [
            #"required: ["purpose", "amount"]"#,
            #""purpose": {type: string, enum: ["car", "say \"no\"", "yes"]}"#,
            #""amount": {type: number, minimum: 0.5, maximum: 1000000}"#,
            #""day": {type: [string, "null"], format: date, description: "first: day, # of all"}"#,
            #""note": {type: [string, "null"], maxLength: 65536, x-classification: "personal"}"#,
            #""approve": {type: [boolean, "null"]}"#,
            #""tier": {type: [string, "null"], enum: ["low", "high", null]}"#,
            #"code: {type: string, enum: ["SMALL", "LARGE"]}"#,
            #"decision: {type: string, const: "small-loan"}"#,
            #"score: {type: "null"}"#,
        ])
    func schemas(line: String) throws {
        #expect(render([try decision("small-loan")]).contains("  " + line + "\n"))
    }

    @Test("the order in which decisions come does not matter, and names that look alike stay apart")
    func naming() throws {
        let decisions = [try decision("b.c"), try decision("a"), try decision("b-c"), try decision("B_C")]
        let text = render(decisions)
        #expect(text == render(decisions.reversed()))
        let typed = ScannedContract(text).operations.filter { $0.id.hasPrefix("decide_") }
        #expect(typed.map(\.path) == ["/v1/decide/B_C", "/v1/decide/a", "/v1/decide/b-c", "/v1/decide/b.c"])
        #expect(Set(typed.map { $0.id.lowercased() }).count == 4)
    }

    @Test(
        "any text is quoted so that YAML and JSON readers agree",
        arguments: [
            ("plain", "\"plain\""), ("a\"b\\c", #""a\"b\\c""#), ("line\nbreak\t", #""line\nbreak\t""#),
            ("\u{7F}\u{85}\u{2028}\u{FEFF}", #""\u007F\u0085\u2028\uFEFF""#), ("\u{1}", #""\u0001""#),
            ("é 🙂", "\"é 🙂\""),
        ])
    func quoting(text: String, expected: String) {
        #expect(YAMLLines.quoted(text) == expected)
    }

    @Test(
        "numbers are numbers to readers of YAML 1.1, too",
        arguments: [("0.5", "0.5"), ("-3", "-3"), ("1E+300", "1.0e+300"), ("2.5E-200", "2.5e-200")])
    func numbers(text: String, expected: String) throws {
        #expect(FEELSchema.number(try #require(Decimal(text))) == expected)
    }
}
