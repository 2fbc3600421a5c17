import JSON
import Testing

@testable import Access

@Suite struct AccessLogEntryTests {
    @Test func everyMember() {
        let key = KeyID(value: 5)
        let decision = AccessDecision(
            permitted: false, rule: RuleReference(policy: "p", version: 2, rule: "r"),
            reasons: [AccessReason(code: .missingAttribute, detail: "context.x")], masks: [])
        let entry = AccessLogEntry(
            principal: Principal(id: "crm-1", roles: []), keyID: key, action: "decide",
            resource: AccessResource(type: "decision", id: "credit-limit"), decision: decision,
            maskedFields: ["a.b", "c"], purpose: "renewal", traceID: String(repeating: "a", count: 32),
            timeMicros: 1_767_225_600_000_042)
        #expect(
            text { entry.write(to: &$0) } == """
                {"time":"2026-01-01T00:00:00.000042Z","principal":"crm-1","key_id":"000000000005","action":"decide",\
                "resource_type":"decision","resource_id":"credit-limit","permitted":false,"policy":"p","version":2,"rule":"r",\
                "reasons":["missing_attribute:context.x"],"masked_fields":["a.b","c"],"purpose":"renewal",\
                "trace_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
                """)
    }

    @Test func absentMembersAreLeftOut() {
        let entry = AccessLogEntry(
            principal: .anonymous, keyID: nil, action: "decide", resource: AccessResource(type: "decision", id: "*"),
            decision: AccessDecision(permitted: true, rule: nil, reasons: [], masks: []), timeMicros: -1)
        #expect(
            text { entry.write(to: &$0) } == """
                {"time":"1969-12-31T23:59:59.999999Z","principal":"anonymous","action":"decide","resource_type":"decision",\
                "resource_id":"*","permitted":true}
                """)
    }
}
