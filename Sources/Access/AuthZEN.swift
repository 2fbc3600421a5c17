import FEEL
import JSON

/// Requests of the OpenID AuthZEN Authorization API 1.0 (`/access/v1/evaluation`, `/access/v1/evaluations`).
public enum AuthZEN {
    /// Reads the body of an `evaluation` request. Unknown members are ignored, null members are absent (section 5).
    public static func evaluation(_ body: JSONValue) throws(AuthZENError) -> AccessRequest {
        guard body.kind == .object else {
            throw AuthZENError(code: "wrong_type", message: "the body must be an object")
        }
        return try request(Parts(of: body), defaults: Parts())
    }

    /// Reads the body of an `evaluations` request (section 7). Without `evaluations`, or with an empty list, it is one
    /// evaluation. An item that cannot be read is kept as an error of its own and does not spoil the others.
    public static func evaluations(_ body: JSONValue) throws(AuthZENError) -> AuthZENEvaluations {
        guard body.kind == .object else {
            throw AuthZENError(code: "wrong_type", message: "the body must be an object")
        }
        let semantic = try semantic(body)
        guard let list = body["evaluations"], !list.isNull else { return .single(try evaluation(body)) }
        guard list.kind == .array else {
            throw AuthZENError(pointer: "/evaluations", code: "wrong_type", message: "evaluations must be a list")
        }
        guard list.count > 0 else { return .single(try evaluation(body)) }
        guard list.count <= AccessLimits.evaluations else {
            throw AuthZENError(
                status: 413, pointer: "/evaluations", code: "too_many_evaluations",
                message: "at most \(AccessLimits.evaluations) evaluations in one request")
        }
        let defaults = Parts(of: body)
        try defaults.checkKinds()
        var items: [Result<AccessRequest, AuthZENError>] = []
        items.reserveCapacity(list.count)
        for (index, element) in list.elements.enumerated() {
            items.append(item(element, at: "/evaluations/\(index)", defaults: defaults))
        }
        return .batch(items, semantic)
    }

    private static func item(
        _ element: JSONValue, at pointer: String, defaults: Parts
    ) -> Result<AccessRequest, AuthZENError> {
        guard element.kind == .object else {
            return .failure(
                AuthZENError(pointer: pointer, code: "wrong_type", message: "an evaluation must be an object"))
        }
        do throws(AuthZENError) {
            return .success(try request(Parts(of: element, at: pointer), defaults: defaults))
        } catch {
            return .failure(error)
        }
    }

    private static func semantic(_ body: JSONValue) throws(AuthZENError) -> AuthZENSemantic {
        guard let options = body["options"], !options.isNull else { return .executeAll }
        guard options.kind == .object else {
            throw AuthZENError(pointer: "/options", code: "wrong_type", message: "options must be an object")
        }
        guard let value = options["evaluations_semantic"], !value.isNull else { return .executeAll }
        guard let text = value.string, let semantic = AuthZENSemantic(rawValue: text) else {
            throw AuthZENError(
                pointer: "/options/evaluations_semantic", code: "unknown_semantic",
                message: "evaluations_semantic is execute_all, deny_on_first_deny or permit_on_first_permit")
        }
        return semantic
    }

    /// The four objects of a request; absent and null are nil.
    private struct Parts {
        var subject: JSONValue?
        var action: JSONValue?
        var resource: JSONValue?
        var context: JSONValue?
        var pointer = ""

        init() {}

        init(of object: JSONValue, at pointer: String = "") {
            subject = Self.present(object["subject"])
            action = Self.present(object["action"])
            resource = Self.present(object["resource"])
            context = Self.present(object["context"])
            self.pointer = pointer
        }

        private static func present(_ value: JSONValue?) -> JSONValue? {
            guard let value, !value.isNull else { return nil }
            return value
        }

        func checkKinds() throws(AuthZENError) {
            try check(subject, "subject")
            try check(action, "action")
            try check(resource, "resource")
            try check(context, "context")
        }

        private func check(_ value: JSONValue?, _ name: String) throws(AuthZENError) {
            guard let value, value.kind != .object else { return }
            throw AuthZENError(pointer: "\(pointer)/\(name)", code: "wrong_type", message: "\(name) must be an object")
        }
    }

    /// Whole objects of an item replace those of the defaults (section 7.1.1); they are not merged.
    private static func request(_ parts: Parts, defaults: Parts) throws(AuthZENError) -> AccessRequest {
        try parts.checkKinds()
        let at = parts.pointer
        let subject = try required(parts.subject ?? defaults.subject, "subject", at: at)
        let action = try required(parts.action ?? defaults.action, "action", at: at)
        let resource = try required(parts.resource ?? defaults.resource, "resource", at: at)
        let context = parts.context ?? defaults.context
        return AccessRequest(
            subject: AccessSubject(
                type: try text(subject, "type", at: "\(at)/subject"), id: try text(subject, "id", at: "\(at)/subject"),
                properties: try properties(subject, at: "\(at)/subject")),
            action: try text(action, "name", at: "\(at)/action"),
            actionProperties: try properties(action, at: "\(at)/action"),
            resource: AccessResource(
                type: try text(resource, "type", at: "\(at)/resource"),
                id: try text(resource, "id", at: "\(at)/resource"),
                properties: try properties(resource, at: "\(at)/resource")),
            context: context.map { Context($0) } ?? Context())
    }

    private static func required(
        _ value: JSONValue?, _ name: String, at pointer: String
    ) throws(AuthZENError) -> JSONValue {
        guard let value else {
            throw AuthZENError(pointer: pointer, code: "missing_field", message: "\(name) is missing")
        }
        return value
    }

    private static func text(
        _ object: JSONValue, _ key: StaticString, at pointer: String
    ) throws(AuthZENError) -> String {
        guard let value = object[key], !value.isNull else {
            throw AuthZENError(pointer: pointer, code: "missing_field", message: "\(key) is missing")
        }
        guard let text = value.string else {
            throw AuthZENError(pointer: "\(pointer)/\(key)", code: "wrong_type", message: "\(key) must be text")
        }
        guard !text.isEmpty else {
            throw AuthZENError(pointer: "\(pointer)/\(key)", code: "empty", message: "\(key) must not be empty")
        }
        return text
    }

    private static func properties(_ object: JSONValue, at pointer: String) throws(AuthZENError) -> Context {
        guard let value = object["properties"], !value.isNull else { return Context() }
        guard value.kind == .object else {
            throw AuthZENError(
                pointer: "\(pointer)/properties", code: "wrong_type", message: "properties must be an object")
        }
        return Context(value)
    }
}

/// Why an AuthZEN request was refused.
public struct AuthZENError: Error, Equatable, Sendable {
    /// The HTTP status: 400, or 413 for too many evaluations. A denial is no error: it is 200 with `decision: false`.
    public let status: Int
    /// RFC 6901 pointer into the body.
    public let pointer: String
    /// Stable snake_case code.
    public let code: String
    /// What is wrong; the AuthZEN error body.
    public let message: String

    /// Makes an error.
    public init(status: Int = 400, pointer: String = "", code: String, message: String) {
        self.status = status
        self.pointer = pointer
        self.code = code
        self.message = message
    }
}

/// When a batch stops (AuthZEN 1.0, section 7.1.2.1).
public enum AuthZENSemantic: String, Sendable, CaseIterable {
    /// Every item is answered.
    case executeAll = "execute_all"
    /// The first denial is the last answer.
    case denyOnFirstDeny = "deny_on_first_deny"
    /// The first permission is the last answer.
    case permitOnFirstPermit = "permit_on_first_permit"
}

/// A read `evaluations` request.
public enum AuthZENEvaluations: Equatable, Sendable {
    /// No list of evaluations: answered in the shape of one evaluation.
    case single(AccessRequest)
    /// The items in order, each readable or not.
    case batch([Result<AccessRequest, AuthZENError>], AuthZENSemantic)
}
