import Contracts
import Foundation
import JSON
import Testing
import Yams

/// YAML as the service reads it: plain scalars by YAML's core schema, dates stay text.
func tree(yaml: String) throws -> JSONTree {
    let node = try Yams.compose(yaml: yaml)
    return try convert(#require(node))
}

private func convert(_ node: Node) throws -> JSONTree {
    switch node {
    case .mapping(let mapping):
        return .object(try mapping.map { .init(key: $0.key.string ?? "", value: try convert($0.value)) })
    case .sequence(let sequence): return .array(try sequence.map(convert))
    case .scalar(let scalar):
        guard scalar.style == .plain else { return .string(scalar.string) }
        switch scalar.string {
        case "", "~", "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: return JSONNumber(parsing: scalar.string).map(JSONTree.number) ?? .string(scalar.string)
        }
    default: return .null
    }
}

struct StandardExamplesTests {
    @Test func everyExampleOfTheStandardIsAccepted() throws {
        guard let root = SharedData.url("conformance/odcs") else { return }
        let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
        var count = 0
        for case let file as URL in files where file.pathExtension == "yaml" {
            let document = try tree(yaml: String(contentsOf: file, encoding: .utf8))
            do throws(ContractError) {
                let compiled = try Contract.compile(document)
                #expect(compiled.contract.kind == .catalogue)
                #expect(compiled.contract.document == document)
                count += 1
            } catch {
                for issue in error.issues {
                    Issue.record("\(file.lastPathComponent) \(issue.pointer) \(issue.message)")
                }
            }
        }
        #expect(count == 18)
    }

    @Test func fullExample() throws {
        guard let file = SharedData.url("conformance/odcs/all/full-example.odcs.yaml") else { return }
        let contract = try Contract.compile(tree(yaml: String(contentsOf: file, encoding: .utf8))).contract
        #expect(contract.owner == "daustin" && contract.domain == "seller" && contract.version == "1.1.0")
        #expect(contract.schema.map(\.name) == ["tbl", "receivers"])
        #expect(contract.schema[0].properties[1].references.first?.table == "receivers")
        #expect(contract.qualityRules.count == 2 && contract.qualityRules[0].path == ["rcvr_cntry_code"])
        #expect(contract.qualityRules[0].rule.comparison == .mustBe(.integer(0)))
        #expect(contract.qualityRules[1].rule.comparison == .greaterThan(JSONNumber(1_000_000)))
        let latency = try #require(contract.serviceLevels.first { $0.property == .latency })
        #expect(latency.seconds == 345_600 && latency.element == "tab1.txn_ref_dt")
        #expect(contract.serviceLevels.first { $0.property == .retention }?.seconds == 94_608_000)
        #expect(contract.classifications.first?.classification == "public")
    }
}
