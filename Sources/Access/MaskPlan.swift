import FEEL
import JSON

/// Which fields one subject sees masked on one type of resource. Made once per request (or kept per snapshot), then
/// asked per field.
///
/// For a field with its path and classification:
/// 1. who has the right `unmask` sees it;
/// 2. else, where written mask rules cover the field and the subject, the strictest of those from which no
///    `unless_roles` exempts;
///    exempt from all of them: the field is shown;
/// 3. else, where the contract classifies the field as personal or confidential, null, unless the subject has the right
///    `read_personal`;
/// 4. else it is shown.
public struct MaskPlan: Sendable {
    /// What a plan says of one field.
    public struct Verdict: Hashable, Sendable {
        /// The mask.
        public let mask: Mask
        /// The rule that it comes from.
        public let rule: RuleReference
    }

    /// The classifications (lower case) that are masked for everybody without `read_personal`.
    public static let sensitiveClassifications: Set<String> = ["personal", "confidential"]

    /// What the covering rules say of a path or classification: nil when the subject is exempt from all.
    private struct Guard {
        var verdict: Verdict?

        mutating func add(_ other: Verdict?) {
            guard let other else { return }
            if let verdict, verdict.mask.stricter(other.mask) == verdict.mask { return }
            verdict = other
        }
    }

    private var byPath: [String: Guard] = [:]
    private var byClassification: [String: Guard] = [:]
    private let isUnmasked: Bool
    private let readsPersonal: Bool

    init(isUnmasked: Bool, readsPersonal: Bool) {
        self.isUnmasked = isUnmasked
        self.readsPersonal = readsPersonal
    }

    mutating func add(_ rule: PolicyRule, _ verdict: Verdict?) {
        for path in rule.fields { byPath[path, default: Guard()].add(verdict) }
        for classification in rule.classifications { byClassification[classification, default: Guard()].add(verdict) }
    }

    /// Whether every field is shown, so that nothing needs to be walked.
    public var showsEverything: Bool { isUnmasked || (readsPersonal && byPath.isEmpty && byClassification.isEmpty) }

    /// What is put over a field; nil when it is shown.
    /// - Parameters:
    ///   - path: names joined by dots, lists left out (`items.price`).
    ///   - classification: the contract's, in any case; nil for none.
    public func verdict(path: String, classification: String?) -> Verdict? {
        if isUnmasked { return nil }
        let lowered = classification?.lowercased()
        var found: Guard?
        if !byPath.isEmpty {
            for (index, character) in zip(path.utf8.indices, path.utf8) where character == UInt8(ascii: ".") {
                Self.combine(&found, byPath[String(path[..<index])])
            }
            Self.combine(&found, byPath[path])
        }
        if let lowered { Self.combine(&found, byClassification[lowered]) }
        if let found { return found.verdict }
        guard let lowered, !readsPersonal, Self.sensitiveClassifications.contains(lowered) else { return nil }
        return Verdict(mask: .null, rule: .personalDefault)
    }

    /// A value with its fields masked, and the paths where that changed something to hide.
    /// - Parameters:
    ///   - classifications: of property paths, from the contract; a classified object covers everything below it.
    ///   - key: for `MASK_HASH`.
    ///   - path: the path of `value` itself; empty for a whole document.
    public func apply(
        to value: JSONTree, classifications: [String: String], key: MaskKey, path: String = ""
    ) -> MaskedValue {
        guard !showsEverything else { return MaskedValue(value: value, maskedFields: []) }
        var walk = MaskWalk(plan: self, classifications: classifications, key: key)
        let masked = walk.masked(value, path: path, inherited: nil, depth: 0)
        return MaskedValue(value: masked, maskedFields: walk.fields.sorted())
    }

    private static func combine(_ found: inout Guard?, _ other: Guard?) {
        guard let other else { return }
        var combined = found ?? Guard()
        combined.add(other.verdict)
        found = combined
    }
}

/// A value after masking.
public struct MaskedValue: Hashable, Sendable {
    /// The value that may be shown.
    public let value: JSONTree
    /// Paths of the fields that were masked, sorted; goes into the access log.
    public let maskedFields: [String]

    /// A value with what was hidden in it.
    public init(value: JSONTree, maskedFields: [String]) {
        self.value = value
        self.maskedFields = maskedFields
    }
}

private struct MaskWalk {
    let plan: MaskPlan
    let classifications: [String: String]
    let key: MaskKey
    var fields: Set<String> = []

    mutating func masked(_ value: JSONTree, path: String, inherited: String?, depth: Int) -> JSONTree {
        let classification = classifications[path] ?? inherited
        if !path.isEmpty, let verdict = plan.verdict(path: path, classification: classification) {
            fields.insert(path)
            return verdict.mask.apply(value, key: key)
        }
        switch value {
        case .null, .bool, .number, .string: return value
        case .array, .object:
            // What is too deep to be checked is not shown.
            guard depth < AccessLimits.valueDepth else {
                fields.insert(path)
                return .null
            }
        }
        if case .array(let elements) = value {
            return .array(
                elements.map { masked($0, path: path, inherited: classification, depth: depth + 1) })
        }
        let members = value.object ?? []
        return .object(
            members.map { member in
                let inner = path.isEmpty ? member.key : "\(path).\(member.key)"
                return JSONTree.Member(
                    key: member.key,
                    value: masked(member.value, path: inner, inherited: classification, depth: depth + 1))
            })
    }
}

extension PolicySet {
    /// Which fields a subject sees masked on a type of resource. The rights `unmask` and `read_personal` are asked of
    /// that resource. A mask rule whose condition is null masks. With the resource id `*` a mask rule for certain ids
    /// covers as well, since any of them may come.
    public func maskPlan(
        for subject: AccessSubject, resource: AccessResource, nowMicros: Int64, attributes: some AttributeSource
    ) -> MaskPlan {
        func evaluation(_ action: String) -> Evaluation {
            Evaluation(
                set: rules, request: AccessRequest(subject: subject, action: action, resource: resource),
                nowMicros: nowMicros, source: attributes)
        }
        let unmask = evaluation(DataRight.unmask)
        if unmask.isPermitted() { return MaskPlan(isUnmasked: true, readsPersonal: true) }
        let readPersonal = evaluation(DataRight.readPersonal)
        var plan = MaskPlan(isUnmasked: false, readsPersonal: readPersonal.isPermitted())
        let roles = readPersonal.roles
        for position in rules.maskPositions(resourceType: resource.type) {
            let entry = rules.entries[Int(position)]
            let rule = entry.rule
            guard
                case .mask(let mask) = rule.effect, entry.subjectType == subject.type, rule.isInForce(at: nowMicros),
                coversForMasking(rule, subject: subject, roles: roles, resource: resource),
                readPersonal.holds(rule) != false
            else { continue }
            let isExempt = rule.unlessRoles.contains { roles.contains($0) }
            plan.add(rule, isExempt ? nil : MaskPlan.Verdict(mask: mask, rule: rules.reference(position)))
        }
        return plan
    }

    private func coversForMasking(
        _ rule: PolicyRule, subject: AccessSubject, roles: [String], resource: AccessResource
    ) -> Bool {
        if resource.id != "*", !rule.resourceIDs.isEmpty, !rule.resourceIDs.contains(resource.id) { return false }
        if let domain = resource.domain, !rule.resourceDomains.isEmpty, !rule.resourceDomains.contains(domain) {
            return false
        }
        if rule.roles.isEmpty, rule.principals.isEmpty { return true }
        return rule.roles.contains { roles.contains($0) } || rule.principals.contains(subject.id)
    }
}

extension CompiledRules {
    /// Positions of the mask rules of a resource type, in policy order.
    func maskPositions(resourceType: String) -> [Int32] {
        switch (masks[resourceType], masks["*"]) {
        case (let own?, nil): own
        case (nil, let any?): any
        case (let own?, let any?): Set(own + any).sorted()
        case (nil, nil): []
        }
    }
}
