import FEEL
import JSON
import Testing

@testable import Access

/// The indexed evaluation against a plain reading of the rules, one after the other, on random policies and questions.
@Suite struct IndexPropertyTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        mutating func some(_ values: [String], _ chance: Int) -> [String] {
            Int.random(in: 0..<100, using: &self) < chance ? values.filter { _ in Bool.random(using: &self) } : []
        }
    }

    static let roles = ["a", "b", "c"]
    static let ids = ["u", "v", "anonymous"]
    static let types = ["doc", "todo", "*"]
    static let actions = ["read", "x.read", "x.y.read", "read_personal", "unmask", "x.*", "x.y.*", "*"]

    static func list(_ values: [String]) -> String { "[" + values.map { "\"\($0)\"" }.joined(separator: ",") + "]" }

    static func rule(_ index: Int, _ random: inout Random) -> String {
        let effect = Int.random(in: 0..<4, using: &random) == 0 ? "forbid" : "permit"
        var types = Self.types.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
        if types.isEmpty { types = ["doc"] }
        var actions = Self.actions.filter { _ in Int.random(in: 0..<5, using: &random) == 0 }
        if actions.isEmpty { actions = ["read"] }
        var members = [
            "\"id\":\"r\(index)\"", "\"effect\":\"\(effect)\"", "\"actions\":\(list(actions))",
        ]
        var resource = ["\"type\":\(list(types))"]
        let ids = random.some(["1", "2"], 40)
        if !ids.isEmpty { resource.append("\"ids\":\(list(ids))") }
        let domains = random.some(["s", "t"], 30)
        if !domains.isEmpty { resource.append("\"domain\":\(list(domains))") }
        members.append("\"resource\":{\(resource.joined(separator: ","))}")
        for (name, values, chance) in [("roles", roles, 60), ("principals", Self.ids, 30)] {
            let chosen = random.some(values, chance)
            if !chosen.isEmpty { members.append("\"\(name)\":\(list(chosen))") }
        }
        if effect == "forbid" {
            let chosen = random.some(roles, 40)
            if !chosen.isEmpty { members.append("\"unless_roles\":\(list(chosen))") }
        }
        if Int.random(in: 0..<2, using: &random) == 0 { members.append("\"when\":\"subject.attributes.n > 1\"") }
        if Int.random(in: 0..<5, using: &random) == 0 { members.append("\"valid_to\":\"1970-01-02\"") }
        return "{\(members.joined(separator: ","))}"
    }

    static func request(_ random: inout Random) -> AccessRequest {
        let id = ids.randomElement(using: &random) ?? "u"
        let attributes: Context =
            switch Int.random(in: 0..<3, using: &random) {
            case 0: Context()
            case 1: Context([("n", .number(0))])
            default: Context([("n", .number(2))])
            }
        return ask(
            id, roles: roles.filter { _ in Bool.random(using: &random) }, attributes: attributes,
            ["read", "x.read", "x.y.read", "x.y.z.read", "read_personal", "unmask", "x", "x.y"]
                .randomElement(using: &random) ?? "read",
            ["doc", "todo", "other"].randomElement(using: &random) ?? "doc",
            ["1", "2", "3"].randomElement(using: &random) ?? "1",
            domain: ["s", "t", nil].randomElement(using: &random) ?? nil,
            subjectType: Int.random(in: 0..<10, using: &random) == 0 ? "device" : "user", isAnonymous: id == "anonymous"
        )
    }

    static func speaks(_ rule: PolicyRule, of request: AccessRequest) -> Bool {
        let action = rule.actions.contains { pattern in
            switch pattern {
            case .any: rule.effect == .forbid || !["read_personal", "unmask"].contains(request.action)
            case .prefix(let stem): request.action.hasPrefix(stem + ".")
            case .exact(let name): name == request.action
            }
        }
        let subject = request.subject
        let isWhole = rule.roles.isEmpty && rule.principals.isEmpty
        let isSubject =
            isWhole
            ? (rule.effect == .forbid || !subject.isAnonymous)
            : !Set(rule.roles).isDisjoint(with: subject.roles) || rule.principals.contains(subject.id)
        return action && isSubject && subject.type == "user"
            && Set(rule.unlessRoles).isDisjoint(with: subject.roles)
            && (rule.resourceTypes.contains("*") || rule.resourceTypes.contains(request.resource.type))
            && (rule.resourceIDs.isEmpty || rule.resourceIDs.contains(request.resource.id))
            && (rule.resourceDomains.isEmpty || rule.resourceDomains.contains(request.resource.domain ?? ""))
    }

    static func linear(_ rules: [PolicyRule], _ request: AccessRequest, now: Int64) -> (Bool, String?) {
        let n = request.subject.attributes["n"]?.number
        func truth(_ rule: PolicyRule) -> Bool? { rule.condition == nil ? true : n.map { $0 > Decimal(1) } }
        let speaking = rules.filter { speaks($0, of: request) && $0.isInForce(at: now) }
        if let forbid = speaking.first(where: { $0.effect == .forbid && truth($0) != false }) {
            return (false, forbid.id)
        }
        if let permit = speaking.first(where: { $0.effect == .permit && truth($0) == true }) {
            return (true, permit.id)
        }
        return (false, nil)
    }

    @Test(arguments: 0..<150) func sameVerdictAndSameRule(seed: Int) throws {
        var random = Random(state: UInt64(seed))
        let count = Int.random(in: 0...40, using: &random)
        let source = (0..<count).map { Self.rule($0, &random) }.joined(separator: ",")
        let set = try rules(source)
        for _ in 0..<200 {
            let request = Self.request(&random)
            let now: Int64 = Bool.random(using: &random) ? 0 : 86_400_000_000
            let (permitted, rule) = Self.linear(set.policies[0].rules, request, now: now)
            let decision = set.evaluate(request, nowMicros: now)
            #expect(decision.permitted == permitted && decision.rule?.rule == rule, "\(request)")
            #expect(decision.permitted == decision.reasons.isEmpty)
        }
    }
}
