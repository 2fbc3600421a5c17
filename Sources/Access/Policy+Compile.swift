import FEEL
import JSON

extension Policy {
    /// Compiles a policy definition (the whole envelope: `kind: Policy`, `name`, `domain`, `owner`, `description`,
    /// `spec`).
    /// - Parameters:
    ///   - version: the version that the server assigned.
    ///   - attributeType: the type of `subject.attributes`, from the contract of the attribute table where it is known.
    ///   - zones: what conditions know of time zones.
    /// - Throws: every problem with its pointer; nothing is ignored silently, unknown fields least of all.
    public static func compile(
        _ definition: JSONTree, version: Int, attributeType: FEELType = .any, zones: ZoneOffsets = .utcOnly
    ) throws(AccessError) -> Policy {
        var reader = DefinitionReader()
        let root = JSONPointer.root
        guard reader.checkObject(definition, at: root, allowed: envelopeFields) else {
            throw reader.error() ?? AccessError(code: "wrong_type", message: "a policy is an object")
        }
        if definition["kind"]?.string != "Policy" {
            reader.report(root.appending("kind"), "wrong_kind", "kind must be Policy")
        }
        let name = reader.string(definition, "name", at: root, required: true) ?? ""
        let domain = reader.string(definition, "domain", at: root) ?? ""
        let owner = reader.string(definition, "owner", at: root) ?? ""
        let summary = reader.string(definition, "description", at: root, bytesMax: AccessLimits.conditionBytes) ?? ""

        let specPointer = root.appending("spec")
        let spec = definition["spec"] ?? .null
        var compiler = RuleCompiler(environment: PolicyConditions.environment(attributeType: attributeType, zones))
        var subjectType = principalType
        var attributeTable: String?
        var rules: [PolicyRule] = []
        if reader.checkObject(spec, at: specPointer, allowed: specFields) {
            subjectType = reader.string(spec, "subject_type", at: specPointer) ?? principalType
            attributeTable = reader.string(spec, "attributes", at: specPointer)
            rules = compiler.rules(spec["rules"] ?? .null, at: specPointer.appending("rules"), &reader)
        }
        if let error = reader.error() { throw error }
        return Policy(
            name: name, version: version, domain: domain, owner: owner, summary: summary, subjectType: subjectType,
            attributeTable: attributeTable, rules: rules, warnings: compiler.warnings)
    }

    private static let envelopeFields: Set<String> = ["kind", "name", "domain", "owner", "description", "spec"]
    private static let specFields: Set<String> = ["subject_type", "attributes", "rules"]
}

/// Compiles the rules of one policy.
struct RuleCompiler {
    let environment: Environment
    private(set) var warnings: [AccessError.Issue] = []

    init(environment: Environment) { self.environment = environment }

    private static let ruleFields: Set<String> = [
        "id", "effect", "roles", "principals", "unless_roles", "actions", "resource", "fields", "classification",
        "mask",
        "when", "valid_from", "valid_to", "reason",
    ]
    private static let resourceFields: Set<String> = ["type", "ids", "domain"]

    mutating func rules(
        _ value: JSONTree, at pointer: JSONPointer, _ reader: inout DefinitionReader
    ) -> [PolicyRule] {
        guard let elements = value.array else {
            reader.report(pointer, value.isNull ? "missing_field" : "wrong_type", "rules must be a list")
            return []
        }
        guard elements.count <= AccessLimits.rulesPerPolicy else {
            reader.report(pointer, "too_many_rules", "a policy has at most \(AccessLimits.rulesPerPolicy) rules")
            return []
        }
        var rules: [PolicyRule] = []
        var ids: Set<String> = []
        for (index, element) in elements.enumerated() {
            guard let rule = rule(element, at: pointer.appending(index), &reader) else { continue }
            if !ids.insert(rule.id).inserted {
                reader.report(pointer.appending(index).appending("id"), "duplicate_id", "\(rule.id) is used twice")
            }
            rules.append(rule)
        }
        return rules
    }

    private mutating func rule(
        _ value: JSONTree, at pointer: JSONPointer, _ reader: inout DefinitionReader
    ) -> PolicyRule? {
        guard reader.checkObject(value, at: pointer, allowed: Self.ruleFields) else { return nil }
        guard let effect = effect(value, at: pointer, &reader) else { return nil }
        let resource = value["resource"] ?? .null
        let resourcePointer = pointer.appending("resource")
        var types: [String] = []
        var ids: [String] = []
        var domains: [String] = []
        if resource.isNull {
            reader.report(pointer, "missing_field", "resource is missing; write {type: \"*\"} for any")
        } else if reader.checkObject(resource, at: resourcePointer, allowed: Self.resourceFields) {
            types = reader.strings(resource, "type", at: resourcePointer, required: true)
            ids = reader.strings(resource, "ids", at: resourcePointer)
            domains = reader.strings(resource, "domain", at: resourcePointer)
        }
        let period = period(value, at: pointer, &reader)
        let unlessRoles = reader.strings(value, "unless_roles", at: pointer)
        if effect == .permit, !unlessRoles.isEmpty {
            reader.report(
                pointer.appending("unless_roles"), "not_applicable", "a permit lists whom it permits; use a forbid rule"
            )
        }
        let fields = reader.strings(value, "fields", at: pointer)
        let classifications = reader.strings(value, "classification", at: pointer).map { $0.lowercased() }
        checkMaskFields(effect, fields, classifications, at: pointer, &reader)
        return PolicyRule(
            id: reader.string(value, "id", at: pointer, required: true) ?? "", effect: effect,
            roles: reader.strings(value, "roles", at: pointer),
            principals: reader.strings(value, "principals", at: pointer), unlessRoles: unlessRoles,
            actions: actions(value, effect, at: pointer, &reader), resourceTypes: types, resourceIDs: ids,
            resourceDomains: domains, fields: fields, classifications: classifications,
            condition: condition(value, effect, at: pointer, &reader), validFromMicros: period.from,
            validToMicros: period.to,
            reason: reader.string(value, "reason", at: pointer, bytesMax: AccessLimits.conditionBytes) ?? "")
    }

    private func effect(
        _ value: JSONTree, at pointer: JSONPointer, _ reader: inout DefinitionReader
    ) -> PolicyRule.Effect? {
        let maskText = reader.string(value, "mask", at: pointer)
        let text = reader.string(value, "effect", at: pointer, required: true)
        if text != "mask", text != nil, maskText != nil {
            reader.report(pointer.appending("mask"), "not_applicable", "only a mask rule has a mask")
        }
        switch text {
        case "permit": return .permit
        case "forbid": return .forbid
        case "mask":
            guard let maskText else {
                reader.report(pointer, "missing_field", "mask is missing: the kind of mask")
                return nil
            }
            guard let mask = Mask(rawValue: maskText) else {
                let known = Mask.allCases.map(\.rawValue).joined(separator: ", ")
                reader.report(pointer.appending("mask"), "unknown_mask", "\(maskText) is none of \(known)")
                return nil
            }
            return .mask(mask)
        case nil: return nil
        default:
            reader.report(pointer.appending("effect"), "unknown_effect", "effect is permit, forbid or mask")
            return nil
        }
    }

    private func actions(
        _ value: JSONTree, _ effect: PolicyRule.Effect, at pointer: JSONPointer, _ reader: inout DefinitionReader
    ) -> [ActionPattern] {
        if case .mask = effect {
            if value["actions"] != nil {
                reader.report(
                    pointer.appending("actions"), "not_applicable", "a mask holds on every read; it has no actions")
            }
            return []
        }
        var patterns: [ActionPattern] = []
        for (index, text) in reader.strings(value, "actions", at: pointer, required: true).enumerated() {
            if let pattern = ActionPattern(text) {
                patterns.append(pattern)
            } else {
                reader.report(
                    pointer.appending("actions").appending(index), "wrong_action",
                    "\(text): a star stands alone or after the last dot")
            }
        }
        return patterns
    }

    private func checkMaskFields(
        _ effect: PolicyRule.Effect, _ fields: [String], _ classifications: [String], at pointer: JSONPointer,
        _ reader: inout DefinitionReader
    ) {
        if case .mask = effect {
            if fields.isEmpty, classifications.isEmpty {
                reader.report(pointer, "missing_field", "a mask rule needs fields or classification")
            }
        } else {
            if !fields.isEmpty {
                reader.report(pointer.appending("fields"), "not_applicable", "only a mask rule has fields")
            }
            if !classifications.isEmpty {
                reader.report(
                    pointer.appending("classification"), "not_applicable", "only a mask rule has a classification")
            }
        }
    }

    private func period(
        _ value: JSONTree, at pointer: JSONPointer, _ reader: inout DefinitionReader
    ) -> (from: Int64?, to: Int64?) {
        let from = time(value, "valid_from", at: pointer, &reader)
        let to = time(value, "valid_to", at: pointer, &reader)
        if let from, let to, from >= to {
            reader.report(pointer.appending("valid_to"), "empty_period", "valid_to must be after valid_from")
        }
        return (from, to)
    }

    /// RFC 3339, or a day, which means its midnight UTC.
    private func time(
        _ value: JSONTree, _ key: String, at pointer: JSONPointer, _ reader: inout DefinitionReader
    ) -> Int64? {
        guard let text = reader.string(value, key, at: pointer) else { return nil }
        if let day = FEEL.Date(text), abs(day.daysSinceEpoch) < 1_000_000 {
            return day.daysSinceEpoch * 86_400_000_000
        }
        if let moment = DateTime(text), moment.zone != .local, abs(moment.utcSeconds) < 86_400_000_000 {
            return moment.utcSeconds * 1_000_000 + Int64(moment.nanosecond / 1_000)
        }
        reader.report(
            pointer.appending(key), "wrong_time", "\(key) must be a day or an RFC 3339 time with its offset")
        return nil
    }

    private mutating func condition(
        _ value: JSONTree, _ effect: PolicyRule.Effect, at pointer: JSONPointer, _ reader: inout DefinitionReader
    ) -> Expression? {
        guard let source = reader.string(value, "when", at: pointer, bytesMax: AccessLimits.conditionBytes) else {
            return nil
        }
        let field = pointer.appending("when")
        do throws(FEELError) {
            let expression = try Expression(source, in: environment, profile: .strict)
            switch expression.resultType {
            case .boolean, .any: break
            default:
                reader.report(
                    field, "condition_not_boolean",
                    "the condition gives \(expression.resultType.name), not true or false")
            }
            if let pair = PolicyConditions.unguardedComparison(in: source) {
                reader.report(
                    field, "null_equals_null",
                    "\(pair.0) and \(pair.1) may both be absent, and null = null is true; "
                        + "write \(pair.0) != null and ...")
            }
            if effect == .permit, PolicyConditions.holdsWhenAbsent(expression) {
                warnings.append(
                    AccessError.Issue(
                        pointer: field.text, code: "permits_when_absent",
                        message: "the condition is true when every attribute and property is absent"))
            }
            return expression
        } catch {
            reader.report(
                field, "condition_\(error.code.rawValue)", "\(error.message) (at byte \(error.offset) of the condition)"
            )
            return nil
        }
    }
}
