import FEEL

/// All active policies together, compiled for evaluation. Immutable: a new one replaces it when a policy is applied or
/// retired.
///
/// Deny by default; a forbid wins over every permit; the role `admin` of a `principal` permits everything that nothing
/// forbids.
public struct PolicySet: Sendable {
    let rules: CompiledRules

    /// The role that permits everything.
    public static let adminRole = "admin"

    /// Puts policies together.
    /// - Throws: `duplicate_policy`, `too_many_rules`, and `attributes_conflict` when two policies of one subject type
    ///   take its attributes from different tables.
    public init(_ policies: [Policy] = []) throws(AccessError) {
        rules = try CompiledRules(policies)
    }

    /// The policies, ordered by name.
    public var policies: [Policy] { rules.policies }

    /// The reference table that supplies the attributes of subjects of a type; nil for none.
    public func attributeTable(subjectType: String) -> String? { rules.attributeTables[subjectType] }
}

/// The rules of all policies, indexed. A class, so that an evaluation holds it for one retain.
final class CompiledRules: Sendable {
    /// A rule with what it takes from its policy; a class, since copying a rule would retain all of its lists.
    final class Entry: Sendable {
        let rule: PolicyRule
        let subjectType: String
        let policy: Int32

        init(rule: PolicyRule, subjectType: String, policy: Int32) {
            self.rule = rule
            self.subjectType = subjectType
            self.policy = policy
        }

        /// Whether the rule speaks of a request's subject and resource, its period and condition aside.
        func covers(_ request: AccessRequest, roles: [String]) -> Bool {
            guard subjectType == request.subject.type else { return false }
            if !rule.resourceIDs.isEmpty, !rule.resourceIDs.contains(request.resource.id) { return false }
            if !rule.resourceDomains.isEmpty {
                guard let domain = request.resource.domain, rule.resourceDomains.contains(domain) else { return false }
            }
            for role in rule.unlessRoles where roles.contains(role) { return false }
            if rule.roles.isEmpty, rule.principals.isEmpty {
                return rule.effect == .permit ? !request.subject.isAnonymous : true
            }
            for role in rule.roles where roles.contains(role) { return true }
            return rule.principals.contains(request.subject.id)
        }
    }

    let policies: [Policy]
    let entries: [Entry]
    let permits: PolicyIndex
    let forbids: PolicyIndex
    let masks: [String: [Int32]]
    let attributeTables: [String: String]

    init(_ unordered: [Policy]) throws(AccessError) {
        let policies = unordered.sorted { $0.name < $1.name }
        guard policies.reduce(0, { $0 + $1.rules.count }) <= AccessLimits.rules else {
            throw AccessError(
                code: "too_many_rules", message: "active policies have at most \(AccessLimits.rules) rules")
        }
        attributeTables = try Self.tables(policies)
        var entries: [Entry] = []
        var permits: [(PolicyRule, Int32)] = []
        var forbids: [(PolicyRule, Int32)] = []
        var masks: [String: [Int32]] = [:]
        for (index, policy) in policies.enumerated() {
            if index > 0, policies[index - 1].name == policy.name {
                throw AccessError(code: "duplicate_policy", message: "the policy \(policy.name) is given twice")
            }
            for rule in policy.rules {
                let position = Int32(entries.count)
                entries.append(Entry(rule: rule, subjectType: policy.subjectType, policy: Int32(index)))
                switch rule.effect {
                case .permit: permits.append((rule, position))
                case .forbid: forbids.append((rule, position))
                case .mask: for type in rule.resourceTypes { masks[type, default: []].append(position) }
                }
            }
        }
        self.policies = policies
        self.entries = entries
        self.permits = PolicyIndex(permits)
        self.forbids = PolicyIndex(forbids)
        self.masks = masks
    }

    private static func tables(_ policies: [Policy]) throws(AccessError) -> [String: String] {
        var tables: [String: String] = [:]
        for policy in policies {
            guard let table = policy.attributeTable else { continue }
            if let other = tables.updateValue(table, forKey: policy.subjectType), other != table {
                throw AccessError(
                    pointer: "/spec/attributes", code: "attributes_conflict",
                    message: "subjects of type \(policy.subjectType) take their attributes from \(other) already")
            }
        }
        return tables
    }

    func reference(_ position: Int32) -> RuleReference {
        let entry = entries[Int(position)]
        let policy = policies[Int(entry.policy)]
        return RuleReference(policy: policy.name, version: policy.version, rule: entry.rule.id)
    }
}
