import FEEL
import Foundation
import JSON
import Testing

@testable import Access

@Suite struct AuthZENTests {
    /// The policy and the rows that the demo ships.
    static func todo() throws -> (PolicySet, Table) {
        let set = try PolicySet([
            try Policy.compile(try JSONTree(parsing: Array(try fixture("todo.policy.json"))), version: 3)
        ])
        var table = Table(name: "todo_users")
        for line in String(decoding: try fixture("todo_users.ndjson"), as: UTF8.self).split(separator: "\n") {
            let data = try #require(try JSONTree(parsing: String(line))["data"])
            table.rows[try #require(data["id"]?.string)] = try #require(Context(data))
        }
        return (set, table)
    }

    static func evaluate(_ json: JSONTree) throws -> (String, Bool) {
        let (set, table) = try todo()
        return try JSONDocument(json.bytes).withRoot { root in
            let decision = set.evaluate(try AuthZEN.evaluation(root), nowMicros: 0, attributes: table)
            return (text { decision.writeAuthZEN(to: &$0) }, decision.permitted)
        }
    }

    @Test(arguments: ["decisions-authorization-api-1_0-02.json", "decisions-authorization-api-1_0-01.json"])
    func todoVectors(file: String) throws {
        guard let url = SharedData.url("conformance/authzen/todo/\(file)") else {
            if SharedData.isRequired { Issue.record("\(file) is not there") }
            print("skipped: \(file) is not there")
            return
        }
        let document = try JSONTree(parsing: Array(try Data(contentsOf: url)))
        let cases = try #require(document["evaluation"]?.array)
        #expect(cases.count == 40)
        for item in cases {
            let request = try #require(item["request"])
            let (answer, permitted) = try Self.evaluate(request)
            #expect(permitted == item["expected"]?.bool, "\(String(decoding: request.bytes, as: UTF8.self)) \(answer)")
            #expect(try JSONTree(parsing: answer)["decision"]?.bool == permitted)
        }
        let (set, table) = try Self.todo()
        let batches = document["evaluations"]?.array ?? []
        #expect(batches.count == (file.contains("02") ? 3 : 0))
        for item in batches {
            let request = try #require(item["request"])
            let answer = try JSONDocument(request.bytes).withRoot { root in
                guard case .batch(let items, let semantic) = try AuthZEN.evaluations(root) else { return "" }
                let results = set.evaluate(items, semantic: semantic, nowMicros: 0, attributes: table)
                return text { AuthZEN.write(results, to: &$0) }
            }
            let decisions = try JSONTree(parsing: answer)["evaluations"]?.array?.map { $0["decision"] }
            #expect(decisions == item["expected"]?.array?.map { $0["decision"] })
        }
    }

    @Test func theAnswerNamesItsRule() throws {
        let beth = "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs"
        func ask(_ id: String, _ action: String) throws -> String {
            try Self.evaluate(
                try JSONTree(
                    parsing:
                        #"{"subject":{"type":"user","id":"\#(id)"},"action":{"name":"\#(action)"},"resource":{"type":"todo","id":"1"}}"#
                )
            ).0
        }
        #expect(
            try ask(beth, "can_read_todos")
                == #"{"decision":true,"context":{"reason_admin":{"policy":"todo","version":3,"rule":"members-read-todos","reasons":[]}}}"#
        )
        #expect(
            try ask(beth, "can_create_todo")
                == #"{"decision":false,"context":{"reason_admin":{"reasons":[{"code":"no_matching_rule"}]}}}"#)
        #expect(try ask("nobody", "can_update_todo").hasPrefix(#"{"decision":false"#))
    }

    static let good =
        #"{"subject":{"type":"user","id":"a"},"action":{"name":"read"},"resource":{"type":"doc","id":"1"}}"#
    static let badRequests: [(String, String, String)] = [
        ("[]", "wrong_type", ""), ("3", "wrong_type", ""), ("{}", "missing_field", ""),
        (#"{"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#, "missing_field", ""),
        (#"{"subject":null,"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#, "missing_field", ""),
        (#"{"subject":{"type":"u","id":"a"},"resource":{"type":"d","id":"1"}}"#, "missing_field", ""),
        (#"{"subject":{"type":"u","id":"a"},"action":{"name":"r"}}"#, "missing_field", ""),
        (
            #"{"subject":{"id":"a"},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#, "missing_field",
            "/subject"
        ),
        (
            #"{"subject":{"type":"u"},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#, "missing_field",
            "/subject"
        ),
        (
            #"{"subject":{"type":"u","id":null},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#,
            "missing_field",
            "/subject"
        ),
        (
            #"{"subject":{"type":"u","id":"a"},"action":{},"resource":{"type":"d","id":"1"}}"#, "missing_field",
            "/action"
        ),
        (
            #"{"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"id":"1"}}"#, "missing_field",
            "/resource"
        ),
        (
            #"{"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"type":"d"}}"#, "missing_field",
            "/resource"
        ),
        (#"{"subject":"a","action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#, "wrong_type", "/subject"),
        (
            #"{"subject":{"type":"u","id":7},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#, "wrong_type",
            "/subject/id"
        ),
        (
            #"{"subject":{"type":["u"],"id":"a"},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#,
            "wrong_type",
            "/subject/type"
        ),
        (#"{"subject":{"type":"u","id":"a"},"action":"r","resource":{"type":"d","id":"1"}}"#, "wrong_type", "/action"),
        (
            #"{"subject":{"type":"u","id":"a"},"action":{"name":true},"resource":{"type":"d","id":"1"}}"#, "wrong_type",
            "/action/name"
        ),
        (#"{"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":[]}"#, "wrong_type", "/resource"),
        (
            #"{"subject":{"type":"u","id":""},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#, "empty",
            "/subject/id"
        ),
        (
            #"{"subject":{"type":"u","id":"a","properties":[]},"action":{"name":"r"},"resource":{"type":"d","id":"1"}}"#,
            "wrong_type", "/subject/properties"
        ),
        (
            #"{"subject":{"type":"u","id":"a"},"action":{"name":"r","properties":1},"resource":{"type":"d","id":"1"}}"#,
            "wrong_type", "/action/properties"
        ),
        (
            #"{"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"type":"d","id":"1","properties":"x"}}"#,
            "wrong_type", "/resource/properties"
        ),
        (
            #"{"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"type":"d","id":"1"},"context":"x"}"#,
            "wrong_type", "/context"
        ),
    ]

    @Test(arguments: AuthZENTests.badRequests) func badRequest(json: String, code: String, pointer: String) throws {
        let document = try JSONDocument(Array(json.utf8))
        for isBatch in [false, true] {
            let error = #expect(throws: AuthZENError.self) {
                try document.withRoot { root in
                    if isBatch { _ = try AuthZEN.evaluations(root) } else { _ = try AuthZEN.evaluation(root) }
                }
            }
            #expect(error?.status == 400)
            #expect(error?.code == code && error?.pointer == pointer, "\(String(describing: error))")
        }
    }

    static let badBatches: [(String, Int, String)] = [
        (#"{"evaluations":{}}"#, 400, "/evaluations"), (#"{"evaluations":"x"}"#, 400, "/evaluations"),
        (#"{"evaluations":[{}],"options":[]}"#, 400, "/options"),
        (#"{"evaluations":[{}],"options":{"evaluations_semantic":"all"}}"#, 400, "/options/evaluations_semantic"),
        (#"{"evaluations":[{}],"options":{"evaluations_semantic":1}}"#, 400, "/options/evaluations_semantic"),
        (#"{"subject":"x","evaluations":[{}]}"#, 400, "/subject"),
        (#"{"context":1,"evaluations":[{}]}"#, 400, "/context"),
        (
            "{\"evaluations\":[" + Array(repeating: "{}", count: 1_001).joined(separator: ",") + "]}", 413,
            "/evaluations"
        ),
    ]

    @Test(arguments: AuthZENTests.badBatches) func badBatch(json: String, status: Int, pointer: String) throws {
        let document = try JSONDocument(Array(json.utf8))
        let error = #expect(throws: AuthZENError.self) {
            try document.withRoot { root in _ = try AuthZEN.evaluations(root) }
        }
        #expect(error?.status == status && error?.pointer == pointer)
    }

    @Test func nullIsAbsentAndTheUnknownIsIgnored() throws {
        let json = #"""
            {"subject":{"type":"user","id":"a","properties":{"x":null,"n":1.50,"l":[1,null,{"y":true}]},"zz":1},
            "action":{"name":"read","properties":null},"resource":{"type":"doc","id":"1","extra":{}},"context":null,
            "evaluations":null,"options":null,"whatever":[]}
            """#
        let request = try JSONDocument(Array(json.utf8)).withRoot { root in
            let single = try AuthZEN.evaluation(root)
            #expect(try AuthZEN.evaluations(root) == .single(single))
            return single
        }
        let properties = request.subject.properties
        #expect(properties["x"] == nil && properties.count == 2)
        #expect(properties["n"]?.number == Decimal("1.5"))
        #expect(properties["l"]?.list?.last?.context?["y"] == .boolean(true))
        #expect(request.subject.roles.isEmpty && request.context.count == 0)
    }

    @Test func anEmptyListIsOneEvaluation() throws {
        let json = Self.good.dropLast() + #","evaluations":[]}"#
        try JSONDocument(Array(json.utf8)).withRoot { root in
            guard case .single(let request) = try AuthZEN.evaluations(root) else {
                Issue.record("not one evaluation")
                return
            }
            #expect(request.action == "read")
        }
    }

    static let semantics: [(String, [Bool])] = [
        ("", [true, false, false, true]), (#","options":{"other":1}"#, [true, false, false, true]),
        (#","options":{"evaluations_semantic":"execute_all"}"#, [true, false, false, true]),
        (#","options":{"evaluations_semantic":"deny_on_first_deny"}"#, [true, false]),
        (#","options":{"evaluations_semantic":"permit_on_first_permit"}"#, [true]),
    ]

    @Test(arguments: AuthZENTests.semantics) func semantic(options: String, expected: [Bool]) throws {
        let set = try rules(
            #"{"id":"r","effect":"permit","actions":["read"],"resource":{"type":"doc","ids":["1"]},"when":"context.ok = true"}"#
        )
        // Whole objects replace the defaults: the second item's context has no `ok`; the third has no action name.
        let json = #"""
            {"subject":{"type":"user","id":"a"},"action":{"name":"read"},"context":{"ok":true},
            "resource":{"type":"doc","id":"1"},
            "evaluations":[{},{"context":{"no":1}},{"action":{"properties":{}}},{"resource":{"type":"doc","id":"1"}}]\#(options)}
            """#
        let answer = try JSONDocument(Array(json.utf8)).withRoot { root in
            guard case .batch(let items, let semantic) = try AuthZEN.evaluations(root) else { return "" }
            let results = set.evaluate(items, semantic: semantic, nowMicros: 0, attributes: NoAttributes())
            return text { AuthZEN.write(results, to: &$0) }
        }
        let list = try #require(try JSONTree(parsing: answer)["evaluations"]?.array)
        #expect(list.map { $0["decision"]?.bool } == expected)
        if expected.count == 4 {
            #expect(list[2]["context"]?["error"]?["status"]?.int64 == 400)
            #expect(list[2]["context"]?["error"]?["message"]?.string == "name is missing (/evaluations/2/action)")
        }
    }

    @Test func aSubjectCannotClaimToBeAdmin() throws {
        let json = #"""
            {"subject":{"type":"principal","id":"root","properties":{"roles":["admin"]},"roles":["admin"]},
            "action":{"name":"keys.write"},"resource":{"type":"key","id":"1"}}
            """#
        try JSONDocument(Array(json.utf8)).withRoot { root in
            let request = try AuthZEN.evaluation(root)
            #expect(request.subject.roles.isEmpty)
            #expect(!(try PolicySet().evaluate(request, nowMicros: 0).permitted))
        }
    }

    @Test func masksAreObligations() throws {
        let set = try rules(
            #"{"id":"p","effect":"permit","actions":["read"],"resource":{"type":"doc"}},{"id":"m","effect":"mask","mask":"MASK_HASH","fields":["ssn"],"classification":"personal","unless_roles":["boss"],"resource":{"type":"doc"}}"#
        )
        let answer = try JSONTree(parsing: text { set.evaluate(ask(), nowMicros: 0).writeAuthZEN(to: &$0) })
        let obligation = answer["context"]?["obligations"]?[0]
        #expect(obligation?["type"]?.string == "custom" && obligation?["id"]?.string == "p/m")
        #expect(obligation?["properties"]?["mask"]?.string == "MASK_HASH")
        #expect(set.evaluate(ask(roles: ["boss"]), nowMicros: 0).masks.isEmpty)
        #expect(set.evaluate(ask("u", "write"), nowMicros: 0).masks.isEmpty)
    }

    @Test func metadata() throws {
        let document = try JSONTree(parsing: text { AuthZEN.writeMetadata(base: "https://d.example.com", to: &$0) })
        #expect(document["policy_decision_point"]?.string == "https://d.example.com")
        #expect(document["access_evaluation_endpoint"]?.string == "https://d.example.com/access/v1/evaluation")
        #expect(document["search_subject_endpoint"] == nil)
    }
}
