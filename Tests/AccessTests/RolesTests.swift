import FEEL
import JSON
import Testing

@testable import Access

/// The demo's policy of the service's own API, as a table of who may do what.
@Suite struct RolesTests {
    static func set() throws -> PolicySet {
        try PolicySet([try Policy.compile(try JSONTree(parsing: Array(try fixture("roles.policy.json"))), version: 1)])
    }

    /// Action, the resource type it is asked of, and the roles that may.
    static let matrix: [(String, String, Set<String>)] = [
        ("decide", "decision", ["crm"]), ("decision_records.replay", "decision_record", ["auditor"]),
        ("outcomes.write", "decision_record", ["crm"]), ("outcomes.write", "decision", ["crm"]),
        ("events.write", "stream", ["ingest", "steward"]),
        ("features.read", "feature_view", ["crm"]), ("quarantine.read", "stream", ["steward"]),
        ("quarantine.redrive", "stream", ["steward"]), ("kpis.read", "kpi", ["analyst", "operator"]),
        ("measures.query", "measure", ["analyst"]), ("quality.read", "contract", ["analyst", "steward", "operator"]),
        ("definitions.read", "definition", ["analyst", "steward", "auditor", "operator"]),
        ("definitions.apply", "definition", []), ("keys.read", "key", ["operator"]), ("keys.write", "key", []),
        ("access.evaluate", "access", ["crm"]), ("access_log.read", "access", ["auditor"]),
        ("models.read", "model", ["analyst", "operator"]), ("artifacts.write", "model", []),
        ("usage.read", "access", ["operator"]), ("operate.read", "access", ["operator"]),
        ("read_personal", "stream", ["steward"]), ("read_personal", "decision_record", []),
        ("unmask", "decision_record", []), ("decision_records.read", "decision_record", ["auditor"]),
    ]

    @Test(arguments: RolesTests.matrix) func whoMay(action: String, type: String, allowed: Set<String>) throws {
        let set = try Self.set()
        for role in ["operator", "crm", "ingest", "analyst", "steward", "auditor", "admin", "stranger"] {
            let subject = AccessSubject(Principal(id: "p-\(role)", roles: [role]))
            let request = AccessRequest(
                subject: subject, action: action, resource: AccessResource(type: type, id: "x"))
            let permitted = set.evaluate(request, nowMicros: 0).permitted
            #expect(permitted == (role == "admin" || allowed.contains(role)), "\(role)")
        }
        let nobody = AccessRequest(
            subject: AccessSubject(.anonymous), action: action, resource: AccessResource(type: type, id: "x"))
        #expect(!set.evaluate(nobody, nowMicros: 0).permitted)
    }

    @Test func aCRMReadsOnlyItsOwnRecords() throws {
        let set = try Self.set()
        for (owner, expected) in [("crm-1", true), ("crm-2", false), (nil, false)] as [(String?, Bool)] {
            let properties = Context(owner.map { [("principal", .string($0))] } ?? [])
            let request = AccessRequest(
                subject: AccessSubject(Principal(id: "crm-1", roles: ["crm"])), action: "decision_records.read",
                resource: AccessResource(type: "decision_record", id: "1", properties: properties))
            #expect(set.evaluate(request, nowMicros: 0).permitted == expected)
        }
    }

    @Test func anAuditorWhoIsAlsoAStewardSeesNoPersonalData() throws {
        let set = try Self.set()
        func plan(_ roles: [String]) -> MaskPlan {
            set.maskPlan(
                for: AccessSubject(Principal(id: "p", roles: roles)), resource: AccessResource(type: "stream", id: "*"),
                nowMicros: 0, attributes: NoAttributes())
        }
        #expect(plan(["steward"]).verdict(path: "email", classification: "personal") == nil)
        #expect(plan(["steward", "auditor"]).verdict(path: "email", classification: "personal")?.mask == .null)
        #expect(plan(["auditor", "admin"]).showsEverything)
        #expect(plan(["crm"]).verdict(path: "email", classification: "personal")?.rule == .personalDefault)
    }
}
