import FEEL

extension PolicySet {
    /// Answers a question.
    /// - Parameters:
    ///   - nowMicros: the time at which rules are in force, and of `now()` in conditions; microseconds since the Unix
    ///     epoch.
    ///   - attributes: rows of the attribute tables.
    public func evaluate(
        _ request: AccessRequest, nowMicros: Int64, attributes: some AttributeSource
    ) -> AccessDecision {
        let evaluation = Evaluation(set: rules, request: request, nowMicros: nowMicros, source: attributes)
        return evaluation.decide()
    }

    /// The same for a set whose policies name no attribute table.
    public func evaluate(_ request: AccessRequest, nowMicros: Int64) -> AccessDecision {
        evaluate(request, nowMicros: nowMicros, attributes: NoAttributes())
    }
}

/// The working state of one question; the FEEL contexts are built only when a condition has to be evaluated.
/// A class, so that the walk over candidates neither copies the question nor collects positions.
final class Evaluation {
    let set: CompiledRules
    let request: AccessRequest
    let nowMicros: Int64
    let roles: [String]
    private let attributes: Context
    private var slots: [Value] = []
    private var isBuilt: SIMD4<UInt8> = .zero

    init(set: CompiledRules, request: AccessRequest, nowMicros: Int64, source: some AttributeSource) {
        self.set = set
        self.request = request
        self.nowMicros = nowMicros
        let subject = request.subject
        guard
            !set.attributeTables.isEmpty, let table = set.attributeTables[subject.type],
            let row = source.attributes(table: table, subjectID: subject.id)
        else {
            attributes = subject.attributes
            roles = subject.roles
            return
        }
        attributes = row
        roles = Self.merged(subject.roles, row["roles"])
    }

    func decide() -> AccessDecision {
        if let refusal = forbiddance() { return refusal }
        if isAdmin { return permission(.admin) }
        if let position = permittingRule() { return permission(set.reference(position)) }
        return AccessDecision(permitted: false, rule: nil, reasons: refusalReasons(), masks: [])
    }

    /// Whether an action on the request's resource is permitted, without reasons.
    func isPermitted() -> Bool {
        if !set.forbids.isEmpty, forbiddance() != nil { return false }
        return isAdmin || permittingRule() != nil
    }

    var isAdmin: Bool {
        request.subject.type == Policy.principalType && roles.contains(PolicySet.adminRole)
    }

    /// The truth of a rule's condition; nil is null.
    func holds(_ rule: PolicyRule) -> Bool? {
        guard let condition = rule.condition else { return true }
        buildSlots(of: condition)
        return condition.truth(slots, now: nowMicros)
    }

    /// Builds the contexts that a condition reads, each once.
    private func buildSlots(of condition: Expression) {
        if slots.isEmpty { slots = [.null, .null, .null, .null] }
        for slot in condition.usedSlots where isBuilt[slot] == 0 {
            isBuilt[slot] = 1
            slots[slot] = PolicyConditions.slot(slot, request, roles: roles, attributes: attributes)
        }
    }

    /// The first forbid rule, in policy order, that is true or null.
    private func forbiddance() -> AccessDecision? {
        guard !set.forbids.isEmpty else { return nil }
        var first = Int32.max
        var isNull = false
        set.forbids.forEachCandidate(request, roles: roles, wildcards: true) { position in
            guard position < first, speaks(position) else { return }
            switch holds(set.entries[Int(position)].rule) {
            case true?: (first, isNull) = (position, false)
            case nil: (first, isNull) = (position, true)
            case false?: break
            }
        }
        guard first != .max else { return nil }
        let rule = set.reference(first)
        let detail = isNull ? nullReason(first).text : set.entries[Int(first)].rule.reason
        let reason = AccessReason(code: isNull ? .forbidUndetermined : .forbidden, detail: detail, rule: rule)
        return AccessDecision(permitted: false, rule: rule, reasons: [reason], masks: [])
    }

    /// The first permit rule, in policy order, that is true.
    private func permittingRule() -> Int32? {
        guard !set.permits.isEmpty else { return nil }
        var first = Int32.max
        set.permits.forEachCandidate(request, roles: roles, wildcards: grantsByWildcard) { position in
            guard position < first, speaks(position) else { return }
            if holds(set.entries[Int(position)].rule) == true { first = position }
        }
        return first == .max ? nil : first
    }

    private var grantsByWildcard: Bool { !DataRight.isDataRight(request.action) }

    /// Whether a rule is in force and speaks of this subject and resource.
    private func speaks(_ position: Int32) -> Bool {
        let entry = set.entries[Int(position)]
        return entry.rule.isInForce(at: nowMicros) && entry.covers(request, roles: roles)
    }

    /// Why no permit rule applied: each that could have, in policy order.
    private func refusalReasons() -> [AccessReason] {
        var reasons: [AccessReason] = []
        var last: Int32 = -1
        var candidates: [Int32] = []
        set.permits.forEachCandidate(request, roles: roles, wildcards: grantsByWildcard) { candidates.append($0) }
        candidates.sort()
        for position in candidates where position != last {
            last = position
            let entry = set.entries[Int(position)]
            guard reasons.count < AccessLimits.reasons, entry.covers(request, roles: roles) else { continue }
            let rule = set.reference(position)
            if !entry.rule.isInForce(at: nowMicros) {
                reasons.append(AccessReason(code: .notInForce, rule: rule))
            } else if holds(entry.rule) == nil {
                reasons.append(nullReason(position))
            } else {
                reasons.append(AccessReason(code: .conditionFalse, detail: entry.rule.reason, rule: rule))
            }
        }
        return reasons.isEmpty ? [AccessReason(code: .noMatchingRule)] : reasons
    }

    /// Why a rule's condition is null: the first path found missing, else what FEEL says.
    private func nullReason(_ position: Int32) -> AccessReason {
        let rule = set.reference(position)
        guard let condition = set.entries[Int(position)].rule.condition else {
            return AccessReason(code: .conditionNull, rule: rule)
        }
        buildSlots(of: condition)
        var causes: [NullReason] = []
        let result = condition.evaluate(slots, now: nowMicros, reasons: &causes)
        if let missing = causes.first(where: { $0.code == .missing }) {
            return AccessReason(code: .missingAttribute, detail: missing.message, rule: rule)
        }
        if let cause = causes.first {
            return AccessReason(code: .conditionNull, detail: "\(cause.code.rawValue): \(cause.message)", rule: rule)
        }
        return AccessReason(code: .conditionNull, detail: "the condition gives \(result.type.name)", rule: rule)
    }

    private func permission(_ rule: RuleReference) -> AccessDecision {
        AccessDecision(permitted: true, rule: rule, reasons: [], masks: maskObligations())
    }

    private func maskObligations() -> [MaskObligation] {
        if set.masks.isEmpty || isAdmin { return [] }
        var obligations: [MaskObligation] = []
        for position in set.maskPositions(resourceType: request.resource.type) {
            let entry = set.entries[Int(position)]
            guard case .mask(let mask) = entry.rule.effect, entry.rule.isInForce(at: nowMicros),
                entry.covers(request, roles: roles)
            else {
                continue
            }
            guard holds(entry.rule) != false else { continue }
            obligations.append(
                MaskObligation(
                    rule: set.reference(position), mask: mask, fields: entry.rule.fields,
                    classifications: entry.rule.classifications))
        }
        return obligations
    }

    /// The trusted roles with those of the attribute row: a list of texts, or one text.
    private static func merged(_ roles: [String], _ value: Value?) -> [String] {
        var merged = roles
        switch value {
        case .string(let role)?: if !merged.contains(role) { merged.append(role) }
        case .list(let elements)?:
            for element in elements.prefix(AccessLimits.roles) {
                if let role = element.string, !merged.contains(role) { merged.append(role) }
            }
        default: break
        }
        return merged
    }
}
