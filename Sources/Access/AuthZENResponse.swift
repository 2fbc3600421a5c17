import JSON

/// One answer of a batch: a decision, or the error of an item that could not be read, which counts as a denial.
public enum AuthZENResult: Equatable, Sendable {
    /// Evaluated.
    case decided(AccessDecision)
    /// Not readable.
    case invalid(AuthZENError)

    /// Whether access is granted.
    public var isPermitted: Bool {
        if case .decided(let decision) = self { return decision.permitted }
        return false
    }
}

extension PolicySet {
    /// Answers a batch in order, and stops where its semantic says so; the answers are then fewer than the items.
    public func evaluate(
        _ items: [Result<AccessRequest, AuthZENError>], semantic: AuthZENSemantic, nowMicros: Int64,
        attributes: some AttributeSource
    ) -> [AuthZENResult] {
        var results: [AuthZENResult] = []
        results.reserveCapacity(items.count)
        for item in items {
            let result: AuthZENResult =
                switch item {
                case .success(let request):
                    .decided(evaluate(request, nowMicros: nowMicros, attributes: attributes))
                case .failure(let error): .invalid(error)
                }
            results.append(result)
            switch semantic {
            case .executeAll: continue
            case .denyOnFirstDeny: if !result.isPermitted { return results }
            case .permitOnFirstPermit: if result.isPermitted { return results }
            }
        }
        return results
    }
}

extension AccessDecision {
    /// Writes `{"decision":..,"context":{"reason_admin":{..},"obligations":[..]}}`. Masks are obligations of type
    /// `custom`.
    public func writeAuthZEN(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("decision")
        writer.bool(permitted)
        writer.key("context")
        writer.beginObject()
        writer.key("reason_admin")
        writeReason(to: &writer)
        if !masks.isEmpty {
            writer.key("obligations")
            writer.beginArray()
            for mask in masks { mask.write(to: &writer) }
            writer.endArray()
        }
        writer.endObject()
        writer.endObject()
    }

    private func writeReason(to writer: inout JSONWriter) {
        writer.beginObject()
        if let rule { rule.writeMembers(to: &writer) }
        writer.key("reasons")
        writer.beginArray()
        for reason in reasons {
            writer.beginObject()
            writer.key("code")
            writer.string(reason.code.rawValue)
            if !reason.detail.isEmpty {
                writer.key("detail")
                writer.string(reason.detail)
            }
            if let rule = reason.rule { rule.writeMembers(to: &writer) }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }
}

extension RuleReference {
    /// Writes `policy`, `version` and `rule` into the open object.
    func writeMembers(to writer: inout JSONWriter) {
        writer.key("policy")
        writer.string(policy)
        writer.key("version")
        writer.integer(version)
        writer.key("rule")
        writer.string(rule)
    }
}

extension MaskObligation {
    /// Writes an obligation of the AuthZEN obligations profile.
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("id")
        writer.string("\(rule.policy)/\(rule.rule)")
        writer.key("type")
        writer.string("custom" as StaticString)
        writer.key("properties")
        writer.beginObject()
        writer.key("vendor")
        writer.string("decisiond" as StaticString)
        writer.key("action")
        writer.string("mask" as StaticString)
        writer.key("mask")
        writer.string(mask.rawValue)
        writer.key("fields")
        writer.beginArray()
        for field in fields { writer.string(field) }
        writer.endArray()
        writer.key("classifications")
        writer.beginArray()
        for classification in classifications { writer.string(classification) }
        writer.endArray()
        writer.endObject()
        writer.endObject()
    }
}

extension AuthZENResult {
    /// Writes one item of an `evaluations` answer; an unreadable item is a denial with `context.error`.
    public func write(to writer: inout JSONWriter) {
        switch self {
        case .decided(let decision): decision.writeAuthZEN(to: &writer)
        case .invalid(let error):
            writer.beginObject()
            writer.key("decision")
            writer.bool(false)
            writer.key("context")
            writer.beginObject()
            writer.key("error")
            writer.beginObject()
            writer.key("status")
            writer.integer(error.status)
            writer.key("message")
            writer.string("\(error.message) (\(error.pointer))")
            writer.endObject()
            writer.endObject()
            writer.endObject()
        }
    }
}

extension AuthZEN {
    /// Writes `{"evaluations":[..]}`.
    public static func write(_ results: [AuthZENResult], to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("evaluations")
        writer.beginArray()
        for result in results { result.write(to: &writer) }
        writer.endArray()
        writer.endObject()
    }

    /// Writes the document of `/.well-known/authzen-configuration`; an endpoint that is not named is not supported.
    /// - Parameter base: the service's public origin without a trailing slash, e.g. `https://decisions.example.com`.
    public static func writeMetadata(base: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("policy_decision_point")
        writer.string(base)
        writer.key("access_evaluation_endpoint")
        writer.string("\(base)/access/v1/evaluation")
        writer.key("access_evaluations_endpoint")
        writer.string("\(base)/access/v1/evaluations")
        writer.endObject()
    }
}
