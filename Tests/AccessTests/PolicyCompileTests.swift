import FEEL
import JSON
import Testing

@testable import Access

@Suite struct PolicyCompileTests {
    static let good = #"{"id":"r","effect":"permit","roles":["a"],"actions":["read"],"resource":{"type":"doc"}}"#

    func issues(rule: String) -> [AccessError.Issue] {
        do {
            _ = try rules(rule)
            return []
        } catch let error as AccessError {
            return error.issues
        } catch {
            return [AccessError.Issue(pointer: "", code: "\(error)", message: "")]
        }
    }

    static let wrongRules: [(String, String, String)] = [
        (#"{"id":"r","effect":"permit","actions":["a"]}"#, "missing_field", "/spec/rules/0"),
        (#"{"id":"r","effect":"permit","actions":["a"],"resource":{}}"#, "missing_field", "/spec/rules/0/resource"),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d","kind":1}}"#, "unknown_field",
            "/spec/rules/0/resource/kind"
        ),
        (#"{"id":"r","effect":"permit","resource":{"type":"d"}}"#, "missing_field", "/spec/rules/0"),
        (#"{"effect":"permit","actions":["a"],"resource":{"type":"d"}}"#, "missing_field", "/spec/rules/0"),
        (
            #"{"id":"r","effect":"allow","actions":["a"],"resource":{"type":"d"}}"#, "unknown_effect",
            "/spec/rules/0/effect"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a*"],"resource":{"type":"d"}}"#, "wrong_action",
            "/spec/rules/0/actions/0"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["*.b"],"resource":{"type":"d"}}"#, "wrong_action",
            "/spec/rules/0/actions/0"
        ),
        (
            #"{"id":"r","effect":"permit","actions":[],"resource":{"type":"d"}}"#, "wrong_length",
            "/spec/rules/0/actions"
        ),
        (
            #"{"id":"r","effect":"permit","actions":[1],"resource":{"type":"d"}}"#, "wrong_type",
            "/spec/rules/0/actions/0"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a","a"],"resource":{"type":"d"}}"#, "duplicate_entry",
            "/spec/rules/0/actions/1"
        ),
        (
            #"{"id":"r","effect":"permit","rolls":["a"],"actions":["a"],"resource":{"type":"d"}}"#, "unknown_field",
            "/spec/rules/0/rolls"
        ),
        (
            #"{"id":"r","effect":"permit","unless_roles":["a"],"actions":["a"],"resource":{"type":"d"}}"#,
            "not_applicable",
            "/spec/rules/0/unless_roles"
        ),
        (
            #"{"id":"r","effect":"permit","fields":["a"],"actions":["a"],"resource":{"type":"d"}}"#, "not_applicable",
            "/spec/rules/0/fields"
        ),
        (
            #"{"id":"r","effect":"permit","mask":"MASK","actions":["a"],"resource":{"type":"d"}}"#, "not_applicable",
            "/spec/rules/0/mask"
        ),
        (#"{"id":"r","effect":"mask","fields":["a"],"resource":{"type":"d"}}"#, "missing_field", "/spec/rules/0"),
        (
            #"{"id":"r","effect":"mask","mask":"MASK_X","fields":["a"],"resource":{"type":"d"}}"#, "unknown_mask",
            "/spec/rules/0/mask"
        ),
        (#"{"id":"r","effect":"mask","mask":"MASK","resource":{"type":"d"}}"#, "missing_field", "/spec/rules/0"),
        (
            #"{"id":"r","effect":"mask","mask":"MASK","fields":["a"],"actions":["x"],"resource":{"type":"d"}}"#,
            "not_applicable", "/spec/rules/0/actions"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"valid_from":"soon"}"#, "wrong_time",
            "/spec/rules/0/valid_from"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"valid_from":"2026-01-02T00:00:00"}"#,
            "wrong_time", "/spec/rules/0/valid_from"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"valid_from":"2026-01-02","valid_to":"2026-01-02"}"#,
            "empty_period", "/spec/rules/0/valid_to"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"when":"subjekt.id = \"x\""}"#,
            "condition_unknown_name", "/spec/rules/0/when"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"when":"subject.name = \"x\""}"#,
            "condition_unknown_name", "/spec/rules/0/when"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"when":"subject.id ="}"#,
            "condition_syntax", "/spec/rules/0/when"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"when":"1 + 1"}"#,
            "condition_not_boolean", "/spec/rules/0/when"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"when":"subject.id > 3"}"#,
            "condition_type_mismatch", "/spec/rules/0/when"
        ),
        (
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"when":"resource.properties.o = subject.attributes.e"}"#,
            "null_equals_null", "/spec/rules/0/when"
        ),
        (
            #"{"id":"r","effect":"forbid","actions":["a"],"resource":{"type":"d"},"when":"context.t != subject.attributes.t"}"#,
            "null_equals_null", "/spec/rules/0/when"
        ),
        ("3", "wrong_type", "/spec/rules/0"),
        (PolicyCompileTests.good + "," + PolicyCompileTests.good, "duplicate_id", "/spec/rules/1/id"),
    ]

    @Test(arguments: PolicyCompileTests.wrongRules) func refused(rule: String, code: String, pointer: String) {
        let found = issues(rule: rule)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.code == code, "\(found)")
        #expect(found.first?.pointer == pointer)
    }

    static let wrongEnvelopes: [(String, String, String)] = [
        ("[]", "wrong_type", ""),
        (#"{"kind":"Policies","name":"p","spec":{"rules":[]}}"#, "wrong_kind", "/kind"),
        (#"{"kind":"Policy","spec":{"rules":[]}}"#, "missing_field", ""),
        (#"{"kind":"Policy","name":"","spec":{"rules":[]}}"#, "wrong_length", "/name"),
        (#"{"kind":"Policy","name":3,"spec":{"rules":[]}}"#, "wrong_type", "/name"),
        (#"{"kind":"Policy","name":"p"}"#, "wrong_type", "/spec"),
        (#"{"kind":"Policy","name":"p","spec":{}}"#, "missing_field", "/spec/rules"),
        (#"{"kind":"Policy","name":"p","spec":{"rules":{}}}"#, "wrong_type", "/spec/rules"),
        (#"{"kind":"Policy","name":"p","spec":{"rules":[],"extra":1}}"#, "unknown_field", "/spec/extra"),
        (#"{"kind":"Policy","name":"p","version":2,"spec":{"rules":[]}}"#, "unknown_field", "/version"),
    ]

    @Test(arguments: PolicyCompileTests.wrongEnvelopes) func envelope(json: String, code: String, pointer: String)
        throws
    {
        let error = #expect(throws: AccessError.self) { try policy(json) }
        #expect(error?.issues.count == 1 || error?.issues.first?.code == code)
        #expect(error?.issues.first?.code == code, "\(String(describing: error))")
        #expect(error?.issues.first?.pointer == pointer)
    }

    @Test func everyProblemIsReportedAndTheListIsBounded() {
        #expect(
            issues(rule: #"{"effect":"x","bad":1},{"id":"r","effect":"permit","resource":{"type":"d"}}"#).count == 3)
        let many = Array(repeating: "1", count: 80).joined(separator: ",")
        let found = issues(rule: many)
        #expect(found.count == AccessLimits.issues)
        #expect(found.last?.code == "too_many_problems")
        #expect(found.last?.message == "31 more problems are not listed")
    }

    @Test(arguments: [
        ("resource.properties.o != null and resource.properties.o = subject.attributes.e", true),
        ("is defined(resource.properties.o) and resource.properties.o = subject.attributes.e", true),
        ("resource.properties.o = subject.id", true),
        (#"resource.properties.o = "a.b = c.d""#, true),
        ("resource.properties.o=context.e", false),
        ("not(resource.domain = subject.attributes.domain)", false),
    ])
    func nullEqualsNull(condition: String, isAccepted: Bool) {
        #expect((PolicyConditions.unguardedComparison(in: condition) == nil) == isAccepted)
    }

    @Test func warnsOfAPermitThatNeedsNothing() throws {
        let lax =
            #"{"id":"r","effect":"permit","actions":["a"],"resource":{"type":"d"},"when":"resource.properties.status != \"archived\""}"#
        let compiled = try policy(#"{"kind":"Policy","name":"p","spec":{"rules":[\#(lax)]}}"#)
        #expect(compiled.warnings.map(\.code) == ["permits_when_absent"])
        #expect(compiled.warnings.first?.pointer == "/spec/rules/0/when")
    }

    @Test func theSetRefusesWhatDoesNotGoTogether() throws {
        func with(_ name: String, _ table: String, _ type: String) throws -> Policy {
            try policy(
                #"{"kind":"Policy","name":"\#(name)","spec":{"subject_type":"\#(type)","attributes":"\#(table)","rules":[]}}"#
            )
        }
        let a = try with("a", "t1", "user")
        let codes = [
            #expect(throws: AccessError.self) { try PolicySet([a, try with("b", "t2", "user")]) }?.code,
            #expect(throws: AccessError.self) { try PolicySet([a, a]) }?.code,
        ]
        #expect(codes == ["attributes_conflict", "duplicate_policy"])
        let set = try PolicySet([try with("b", "t1", "user"), a, try with("c", "t2", "device")])
        #expect(set.attributeTable(subjectType: "device") == "t2")
        #expect(set.policies.map(\.name) == ["a", "b", "c"])
    }
}
