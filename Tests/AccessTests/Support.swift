import FEEL
import Foundation
import JSON
import Testing

@testable import Access

func policy(_ json: String, version: Int = 1) throws -> Policy {
    try Policy.compile(try JSONTree(parsing: json), version: version)
}

/// A policy of bare rules for subjects of type `user`.
func rules(_ rules: String, subjectType: String = "user") throws -> PolicySet {
    let source = """
        {"kind":"Policy","name":"p","spec":{"subject_type":"\(subjectType)","rules":[\(rules)]}}
        """
    return try PolicySet([try policy(source)])
}

func fixture(_ name: String) throws -> Data {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/\(name)", withExtension: nil))
    return try Data(contentsOf: url)
}

func ask(
    _ id: String = "u", roles: [String] = [], attributes: Context = Context(), _ action: String = "read",
    _ type: String = "doc", _ resource: String = "1", domain: String? = nil, properties: Context = Context(),
    subjectType: String = "user", isAnonymous: Bool = false
) -> AccessRequest {
    AccessRequest(
        subject: AccessSubject(
            type: subjectType, id: id, roles: roles, attributes: attributes, isAnonymous: isAnonymous),
        action: action, resource: AccessResource(type: type, id: resource, domain: domain, properties: properties))
}

func text(_ body: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    body(&writer)
    return String(decoding: writer.finish(), as: UTF8.self)
}

struct Table: AttributeSource {
    var rows: [String: Context] = [:]
    var name = "users"

    func attributes(table: String, subjectID: String) -> Context? { table == name ? rows[subjectID] : nil }
}

let maskKey = MaskKey(Array(repeating: 7, count: 32))
