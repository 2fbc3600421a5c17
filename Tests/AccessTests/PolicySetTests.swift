import FEEL
import JSON
import Testing

@testable import Access

@Suite struct PolicySetTests {
    /// A condition over one attribute: true for 2, false for 0, null when absent.
    static func rule(_ id: String, _ effect: String, conditional: Bool) -> String {
        let when = conditional ? #","when":"subject.attributes.\#(id) > 1""# : ""
        return
            #"{"id":"\#(id)","effect":"\#(effect)","actions":["read"],"resource":{"type":"doc"}\#(when),"reason":"because"}"#
    }

    static let truths: [Bool?] = [true, false, nil]

    @Test func everyPairOfTruths() throws {
        let set = try rules(
            Self.rule("f", "forbid", conditional: true) + "," + Self.rule("p", "permit", conditional: true))
        for permit in Self.truths {
            for forbid in Self.truths {
                var attributes = Context()
                if let permit { attributes["p"] = .number(permit ? 2 : 0) }
                if let forbid { attributes["f"] = .number(forbid ? 2 : 0) }
                let decision = set.evaluate(ask(attributes: attributes), nowMicros: 0)
                #expect(
                    decision.permitted == (permit == true && forbid == false),
                    "permit \(permit as Any) forbid \(forbid as Any)")
                let reason: String? =
                    switch (forbid, permit) {
                    case (true?, _): "forbidden:because"
                    case (nil, _): "forbid_undetermined:missing_attribute:subject.attributes.f"
                    case (false?, true?): nil
                    case (false?, false?): "condition_false:because"
                    case (false?, nil): "missing_attribute:subject.attributes.p"
                    }
                #expect(decision.reasons.first?.text == reason)
                let rule = forbid != false ? "f" : (permit == true ? "p" : nil)
                #expect(decision.rule?.rule == rule)
            }
        }
    }

    @Test func denyByDefault() throws {
        let empty = try PolicySet()
        #expect(empty.evaluate(ask(), nowMicros: 0).reasons.map(\.code) == [.noMatchingRule])
        let set = try rules(Self.rule("p", "permit", conditional: false))
        #expect(set.evaluate(ask(), nowMicros: 0).permitted)
        for request in [
            ask("u", "write"), ask("u", "read", "docs"), ask("u", "Read"), ask("u", "read.all"),
            ask("u", subjectType: "device"), ask("u", subjectType: "principal"), ask("u", isAnonymous: true),
        ] {
            #expect(!set.evaluate(request, nowMicros: 0).permitted, "\(request)")
        }
    }

    @Test func theOrderOfRulesDoesNotMatter() throws {
        let permit = Self.rule("p", "permit", conditional: false)
        let forbid = Self.rule("f", "forbid", conditional: false)
        for source in ["\(permit),\(forbid)", "\(forbid),\(permit)"] {
            let decision = try rules(source).evaluate(ask(), nowMicros: 0)
            #expect(!decision.permitted && decision.rule?.rule == "f")
        }
    }

    @Test func admin() throws {
        let set = try rules(
            #"{"id":"f","effect":"forbid","actions":["keys.write"],"resource":{"type":"*"}}"#, subjectType: "principal")
        func decide(_ action: String, roles: [String], type: String = "principal") -> AccessDecision {
            set.evaluate(ask(roles: roles, action, subjectType: type), nowMicros: 0)
        }
        #expect(decide("anything", roles: ["admin"]).rule == .admin)
        #expect(decide("unmask", roles: ["admin"]).permitted)
        #expect(!decide("keys.write", roles: ["admin"]).permitted)
        #expect(!decide("anything", roles: ["administrator"]).permitted)
        #expect(!decide("anything", roles: ["admin"], type: "user").permitted, "an outside admin is nobody here")
        #expect(PolicySet.adminRole == "admin")
    }

    static let subjects: [(String, AccessRequest, Bool)] = [
        (#""roles":["a","b"]"#, ask(roles: ["b"]), true),
        (#""roles":["a","b"]"#, ask(roles: ["c"]), false),
        (#""roles":["a"]"#, ask(), false),
        (#""principals":["u"]"#, ask("u"), true),
        (#""principals":["u"]"#, ask("v"), false),
        (#""principals":["u"],"roles":["a"]"#, ask("v", roles: ["a"]), true),
        (#""principals":["anonymous"]"#, ask("anonymous", isAnonymous: true), true),
        (#""roles":["a"]"#, ask("anonymous", roles: [], isAnonymous: true), false),
    ]

    @Test(arguments: PolicySetTests.subjects) func whom(scope: String, request: AccessRequest, expected: Bool) throws {
        let set = try rules(#"{"id":"r","effect":"permit","actions":["read"],"resource":{"type":"doc"},\#(scope)}"#)
        #expect(set.evaluate(request, nowMicros: 0).permitted == expected)
    }

    static let resources: [(String, AccessRequest, Bool)] = [
        (#"{"type":["a","doc"]}"#, ask(), true),
        (#"{"type":"*"}"#, ask(), true),
        (#"{"type":"doc","ids":["2","1"]}"#, ask(), true),
        (#"{"type":"doc","ids":["2"]}"#, ask(), false),
        (#"{"type":"*","ids":["1"]}"#, ask(), true),
        (#"{"type":"doc","domain":"sales"}"#, ask(domain: "sales"), true),
        (#"{"type":"doc","domain":"sales"}"#, ask(domain: "hr"), false),
        (#"{"type":"doc","domain":"sales"}"#, ask(), false),
    ]

    @Test(arguments: PolicySetTests.resources) func what(scope: String, request: AccessRequest, expected: Bool) throws {
        let set = try rules(#"{"id":"r","effect":"permit","actions":["read"],"resource":\#(scope)}"#)
        #expect(set.evaluate(request, nowMicros: 0).permitted == expected)
    }

    static let actions: [(String, String, Bool)] = [
        ("definitions.*", "definitions.read", true), ("definitions.*", "definitions.a.b", true),
        ("definitions.*", "definitions", false), ("definitions.*", "definitionsX.read", false),
        ("a.b.*", "a.b.c", true),
        ("a.b.*", "a.c", false), ("*", "anything", true), ("*", "read_personal", false), ("*", "unmask", false),
        ("read_personal", "read_personal", true), ("read", "read", true), ("read", "reads", false),
    ]

    @Test(arguments: PolicySetTests.actions) func which(pattern: String, action: String, expected: Bool) throws {
        let set = try rules(#"{"id":"r","effect":"permit","actions":["\#(pattern)"],"resource":{"type":"doc"}}"#)
        #expect(set.evaluate(ask("u", action), nowMicros: 0).permitted == expected)
    }

    @Test func aForbidWildcardReachesDataRights() throws {
        let set = try rules(
            #"{"id":"p","effect":"permit","actions":["unmask"],"resource":{"type":"*"}},{"id":"f","effect":"forbid","actions":["*"],"unless_roles":["boss"],"resource":{"type":"doc"}}"#
        )
        #expect(!set.evaluate(ask("u", "unmask"), nowMicros: 0).permitted)
        #expect(set.evaluate(ask("u", roles: ["boss"], "unmask"), nowMicros: 0).permitted)
    }

    @Test func period() throws {
        let set = try rules(
            #"{"id":"r","effect":"permit","actions":["read"],"resource":{"type":"doc"},"valid_from":"1970-01-02","valid_to":"1970-01-03T02:00:00+02:00"}"#
        )
        let day: Int64 = 86_400_000_000
        for (now, expected) in [(day - 1, false), (day, true), (2 * day - 1, true), (2 * day, false)] {
            let decision = set.evaluate(ask(), nowMicros: now)
            #expect(decision.permitted == expected, "\(now)")
            if !expected { #expect(decision.reasons.map(\.text) == ["not_in_force"]) }
        }
        let forbid = try rules(
            #"{"id":"p","effect":"permit","actions":["read"],"resource":{"type":"doc"}},{"id":"f","effect":"forbid","actions":["read"],"resource":{"type":"doc"},"valid_to":"1970-01-02"}"#
        )
        #expect(!forbid.evaluate(ask(), nowMicros: 0).permitted)
        #expect(forbid.evaluate(ask(), nowMicros: day).permitted)
    }

    @Test func attributesComeFromTheTableAndRolesNeverFromTheRequest() throws {
        let source = #"""
            {"kind":"Policy","name":"p","spec":{"subject_type":"user","attributes":"users","rules":[
            {"id":"r","effect":"permit","roles":["editor"],"actions":["read"],"resource":{"type":"doc"},
            "when":"subject.attributes.level >= 2 and \"editor\" in subject.roles"}]}}
            """#
        let set = try PolicySet([try policy(source)])
        func decide(_ row: Context?, claims: Context = Context()) -> AccessDecision {
            let request = AccessRequest(
                subject: AccessSubject(type: "user", id: "u", properties: claims), action: "read",
                resource: AccessResource(type: "doc", id: "1"))
            return set.evaluate(request, nowMicros: 0, attributes: Table(rows: row.map { ["u": $0] } ?? [:]))
        }
        let editor = Value.list([.string("editor")])
        #expect(decide(Context([("roles", editor), ("level", .number(2))])).permitted)
        #expect(decide(Context([("roles", .string("editor")), ("level", .number(2))])).permitted)
        #expect(!decide(Context([("roles", editor), ("level", .number(1))])).permitted)
        #expect(
            decide(Context([("roles", editor)])).reasons.map(\.text) == ["missing_attribute:subject.attributes.level"])
        #expect(!decide(nil, claims: Context([("roles", editor), ("level", .number(9))])).permitted)
        #expect(!decide(nil).permitted)
    }

    @Test func reasonsAreBounded() throws {
        let many = (0..<40).map {
            #"{"id":"r\#($0)","effect":"permit","actions":["read"],"resource":{"type":"doc"},"when":"subject.attributes.a = 1"}"#
        }
        #expect(
            try rules(many.joined(separator: ",")).evaluate(ask(), nowMicros: 0).reasons.count == AccessLimits.reasons)
    }
}
