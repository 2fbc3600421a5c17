import Access
import Contracts
import HTTP
import JSON
import Journal

extension ServiceHandler {
    /// AuthZEN 1.0: `/access/v1/evaluation`, `/access/v1/evaluations` and the discovery document.
    func evaluateAccess(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        let attributes = ReferenceAttributes(references: service.state.references)
        let now = service.clock.now()
        var headers: [ResponseHeader] = []
        if let id = request.head.known(.requestID), !id.isEmpty { headers.append(ResponseHeader("X-Request-ID", id)) }
        if route.operation == .getAuthzenConfiguration {
            var writer = JSONWriter()
            AuthZEN.writeMetadata(base: "http://\(request.head.known(.host) ?? "localhost")", to: &writer)
            return Response(status: 200, contentType: .json, body: writer.bytes)
        }
        guard request.head.isContentType("application/json") else {
            throw Problem(400, "unsupported_media_type", "Send application/json.")
        }
        do {
            let document = try JSONDocument(request.bodyBytes)
            let body = try document.withRoot { root throws(AuthZENError) in
                let policies = route.snapshot.policies
                var writer = JSONWriter()
                let answer = { (question: AccessRequest) in
                    policies.evaluate(question, nowMicros: now, attributes: attributes).writeAuthZEN(to: &writer)
                }
                if route.operation == .evaluateAccess {
                    answer(try AuthZEN.evaluation(root))
                    return writer.bytes
                }
                switch try AuthZEN.evaluations(root) {
                case .single(let question): answer(question)
                case .batch(let items, let semantic):
                    let results = policies.evaluate(
                        items, semantic: semantic, nowMicros: now, attributes: attributes)
                    AuthZEN.write(results, to: &writer)
                }
                return writer.bytes
            }
            return Response(status: 200, contentType: .json, headers: headers, body: body)
        } catch let error as AuthZENError {
            throw Problem(error.status, error.code, error.message)
        } catch let error as JSONError {
            throw Problem(400, "malformed_json", "The body is not JSON: \(error.message).")
        } catch {
            throw Problem(400, "malformed_request", "The request cannot be read.")
        }
    }

    /// `GET /v1/access-log`: who saw or was refused what, newest first.
    func listAccessLog(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let page = try Page(request.head, allowing: ["principal", "action"])
        let principal = request.head.queryParameter("principal")
        let action = request.head.queryParameter("action")
        let before = page.cursor.map { UInt64($0) } ?? UInt64.max
        let entries = service.state.accessLog.page(before: before, limit: page.limit) { frame in
            (principal == nil || frame.principal == principal) && (action == nil || frame.action == action)
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("entries")
        writer.beginArray()
        for entry in entries {
            writer.beginObject()
            writer.key("seq")
            writer.integer(Int64(entry.seq))
            writer.key("at")
            writer.timestamp(entry.frame.atMicros)
            writer.key("principal")
            writer.string(entry.frame.principal)
            writer.key("action")
            writer.string(entry.frame.action)
            writer.key("resource_type")
            writer.string(entry.frame.resourceType)
            writer.key("resource_id")
            writer.string(entry.frame.resourceID)
            writer.key("permitted")
            writer.bool(entry.frame.permitted)
            writer.key("details")
            writer.raw(entry.frame.body)
            writer.endObject()
        }
        writer.endArray()
        writer.key("next_cursor")
        if entries.count == page.limit, let last = entries.last {
            writer.string(String(last.seq))
        } else {
            writer.null()
        }
        writer.endObject()
        service.answerLogged(
            responder, Response.json(200, writer.bytes), route, action: "access_log.read",
            resource: AccessResource(type: "access", id: "*"), masked: [])
    }

    /// `POST /v1/keys`, `GET /v1/keys`, `DELETE /v1/keys/{id}`.
    func keys(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        switch route.operation {
        case .createKey: try createKey(request, route, responder)
        case .revokeKey: try revokeKey(route, responder)
        default:
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("keys")
            writer.beginArray()
            for key in service.state.keys { Self.write(key, nil, &writer) }
            writer.endArray()
            writer.endObject()
            responder.respond(Response.json(200, writer.bytes))
        }
    }

    private func createKey(
        _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: request.bodyBytes)
        } catch {
            throw Problem.malformed(error)
        }
        let problems = ProblemList()
        let reader = TreeReader(tree, at: "", problems)
        let name = reader.string("name", required: true) ?? ""
        if !Definition.isName(name) { problems.add("/name", "invalid_name", "letters, digits, _ . and -") }
        let roles = reader.strings("roles", required: true) ?? []
        if roles.isEmpty || roles.count > 32 || !roles.allSatisfy(Definition.isName) {
            problems.add("/roles", "out_of_range", "1 to 32 role names")
        }
        var expires: Int64 = 0
        if let text = reader.string("expires_at") {
            if let micros = Timestamp.parse(text), micros > service.clock.now() {
                expires = micros
            } else {
                problems.add("/expires_at", "invalid_time", "a time ahead, RFC 3339 with a zone")
            }
        }
        reader.finish()
        guard problems.isEmpty else { throw Problem.invalid(problems.problems) }
        guard service.state.keys.count < ServiceLimits.keysMax else {
            throw Problem(409, "too_many_keys", "At most \(ServiceLimits.keysMax) keys; revoke some first.")
        }
        let key = APIKey(idBytes: Randomness.bytes(APIKey.idBytes), secret: Randomness.bytes(APIKey.secretBytes))
        let frame = KeyFrame(
            id: key.id.description, name: name, hash: Array(key.hash.hex.utf8), roles: roles,
            createdMicros: service.clock.now(), expiresMicros: expires, revokedMicros: 0)
        var writer = JSONWriter()
        Self.write(frame, key.text, &writer)
        logChange(route, AccessResource(type: "key", id: frame.id))
        try append(frame, Response.json(201, writer.bytes), responder)
    }

    private func revokeKey(_ route: RequestRoute, _ responder: Responder) throws(Problem) {
        guard var frame = service.state.keys.first(where: { $0.id == route.parameter("id") }) else {
            throw Problem(404, "unknown_key", "There is no key of this id.")
        }
        if frame.revokedMicros == 0 { frame.revokedMicros = service.clock.now() }
        var writer = JSONWriter()
        Self.write(frame, nil, &writer)
        logChange(route, AccessResource(type: "key", id: frame.id))
        try append(frame, Response.json(200, writer.bytes), responder)
    }

    private func append(_ frame: KeyFrame, _ response: Response, _ responder: Responder) throws(Problem) {
        var writer = ByteWriter()
        frame.encode(into: &writer)
        try service.append(type: .key, writer.bytes, answering: responder, with: response)
    }

    /// A change is an access too: who made or revoked a key, or changed a definition.
    func logChange(_ route: RequestRoute, _ resource: AccessResource) {
        service.logAccess(route, action: route.operation.action ?? "", resource: resource, permitted: true, masked: [])
    }

    private static func write(_ key: KeyFrame, _ secret: String?, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("id")
        writer.string(key.id)
        if let secret {
            writer.key("key")
            writer.string(secret)
        }
        writer.key("name")
        writer.string(key.name)
        writer.key("roles")
        writer.beginArray()
        for role in key.roles { writer.string(role) }
        writer.endArray()
        for (name, micros) in [
            ("created_at", key.createdMicros), ("expires_at", key.expiresMicros), ("revoked_at", key.revokedMicros),
        ] {
            writer.key(name)
            if micros == 0 { writer.null() } else { writer.timestamp(micros) }
        }
        writer.endObject()
    }

    /// `GET /v1/quarantine`: what was refused, oldest first; the bytes only for who may read personal data.
    func listQuarantine(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let page = try Page(request.head, allowing: ["contract", "class", "code", "state"])
        let contract = request.head.queryParameter("contract")
        let violationClass = request.head.queryParameter("class")
        let code = request.head.queryParameter("code")
        let state = request.head.queryParameter("state") ?? "open"
        guard state == "open" || state == "closed" else {
            throw Problem.invalid([
                DocumentProblem(pointer: "/query/state", code: "value_not_allowed", message: "open, or closed")
            ])
        }
        let wantsOpen = state == "open"
        let classes = Violation.Class.allCases.map(\.rawValue) + [ShipTransaction.violationClass]
        guard violationClass.map({ classes.contains($0) }) ?? true else {
            let known = classes.joined(separator: ", ")
            throw Problem.invalid([
                DocumentProblem(pointer: "/query/class", code: "value_not_allowed", message: "one of \(known)")
            ])
        }
        let plan = service.maskPlan(route, AccessResource(type: "stream", id: contract ?? "*"))
        // Raw bytes may hold any field of any contract, and malformed ones cannot be masked field by field.
        let showsRaw = plan.verdict(path: "raw", classification: "personal") == nil
        let after = page.cursor.map { UInt64($0) } ?? 0
        let entries = service.state.quarantine.page(after: after, limit: page.limit) { entry in
            entry.isOpen == wantsOpen && (contract == nil || entry.frame.contract == contract)
                && (violationClass == nil || entry.frame.violationClass == violationClass)
                && (code == nil || entry.frame.code == code)
        }
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.key("entries")
        writer.beginArray()
        for entry in entries { Self.write(entry, showsRaw: showsRaw, &writer) }
        writer.endArray()
        let counts = service.state.quarantine.counts
        writer.key("total")
        writer.integer(counts.entries)
        writer.key("arrivals")
        writer.integer(counts.arrivals)
        writer.key("next_cursor")
        if entries.count == page.limit, let last = entries.last {
            writer.string(String(last.seq))
        } else {
            writer.null()
        }
        writer.endObject()
        service.answerLogged(
            responder, Response.json(200, writer.bytes), route, action: "quarantine.read",
            resource: AccessResource(type: "stream", id: contract ?? "*"), masked: showsRaw ? [] : ["raw"])
    }

    private static func write(_ entry: QuarantineEntry, showsRaw: Bool, _ writer: inout JSONWriter) {
        let frame = entry.frame
        writer.beginObject()
        writer.key("id")
        writer.string(hexadecimal(frame.key))
        writer.key("seq")
        writer.integer(Int64(entry.seq))
        writer.key("class")
        writer.string(frame.violationClass)
        writer.key("code")
        writer.string(frame.code)
        writer.key("pointer")
        writer.string(frame.pointer)
        writer.key("message")
        writer.string(frame.message)
        for (name, text) in [
            ("contract", frame.contract), ("source", showsRaw ? frame.source : nil),
            ("event_id", showsRaw ? frame.id : nil),
        ] {
            writer.key(name)
            if let text { writer.string(text) } else { writer.null() }
        }
        writer.key("state")
        writer.string(entry.isOpen ? "open" : "closed")
        writer.key("count")
        writer.integer(entry.count)
        writer.key("first_seen")
        writer.timestamp(frame.ingestMicros)
        writer.key("last_seen")
        writer.timestamp(entry.lastMicros)
        writer.key("size")
        writer.integer(Int64(frame.rawSize))
        writer.key("raw")
        if showsRaw { writer.string(String(decoding: frame.raw, as: UTF8.self)) } else { writer.null() }
        writer.endObject()
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits: [Character] = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
