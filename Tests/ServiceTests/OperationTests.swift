import Foundation
import JSON
import Testing

@testable import HTTP
@testable import Service

@Suite struct OperationTests {
    @Test func methodAndPathAreUnique() {
        let routes = Service.Operation.allCases.map { "\($0.route.method) \($0.route.path)" }
        #expect(Set(routes).count == routes.count)
        for operation in Service.Operation.allCases {
            #expect(operation.route.path.hasPrefix("/") && !operation.route.path.hasSuffix("/"))
            #expect(!operation.resourceType.isEmpty)
        }
    }

    /// Two templates that differ only in the names of their parameters would be one route.
    @Test func pathsAreUniqueWithoutTheirNames() {
        let shapes = Service.Operation.allCases.map { operation in
            let segments = operation.route.path.split(separator: "/").map { $0.hasPrefix("{") ? "{}" : String($0) }
            return "\(operation.route.method) \(segments.joined(separator: "/"))"
        }
        #expect(Set(shapes).count == shapes.count)
    }

    @Test(arguments: Service.Operation.allCases) func parameters(_ operation: Service.Operation) {
        let names = operation.parameterNames
        #expect(Set(names).count == names.count && names.allSatisfy { !$0.isEmpty })
        #expect(names.count == operation.route.path.filter { $0 == "{" }.count)
        if let resource = operation.resourceParameter {
            #expect(names.contains(resource))
        } else {
            #expect(names.isEmpty, "nobody names the resource of \(operation)")
        }
    }

    /// Deny by default: only these are public.
    @Test func publicOperations() {
        let open = Service.Operation.allCases.filter { $0.action == nil }.map(\.route.path).sorted()
        #expect(open == ["/.well-known/authzen-configuration", "/healthz", "/openapi.yaml", "/readyz"])
    }

    @Test func authzenPathsSpeakAuthzen() {
        for operation in Service.Operation.allCases {
            #expect(operation.speaksAuthzen == operation.route.path.hasPrefix("/access/v1/"))
        }
    }

    /// `openapi.yaml` is the contract: it has exactly these operations.
    @Test func theDocumentHasTheSameOperations() throws {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        let text = try String(
            contentsOf: root.appendingPathComponent("Sources/Service/openapi.yaml"), encoding: .utf8)
        let document = try #require(try YAMLReader.documents(text).first)
        var found: Set<String> = []
        for path in document["paths"]?.object ?? [] {
            for member in path.value.object ?? [] {
                guard let id = member.value["operationId"]?.string else { continue }
                found.insert("\(id) \(member.key.uppercased()) \(path.key)")
            }
        }
        let served = Service.Operation.allCases.map { "\($0.rawValue) \($0.route.method.token) \($0.route.path)" }
        #expect(found.symmetricDifference(served).sorted() == [])
    }
}
