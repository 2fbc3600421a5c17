import Access
import Crypto
import HTTP
import JSON
import Journal
import Postgres

extension ServiceHandler {
    /// Applying, reading and retiring definitions, and uploading artifacts.
    func definitions(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        switch route.operation {
        case .applyDefinitions: try applyDefinitions(request, route, responder)
        case .retireDefinition: try retireDefinition(request, route, responder)
        case .putArtifact: try putArtifact(request, route, responder)
        case .getDefinition, .listDefinitionVersions: responder.respond(try getDefinition(request, route))
        default: responder.respond(try listDefinitions(request, route))
        }
    }

    private func applyDefinitions(
        _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.applyDeadlineNanoseconds
        let change = try DefinitionChange(request.head, request.body)
        logChange(route, AccessResource(type: "definition", id: "*"))
        let caller = route.subject
        service.query(responder) { (connection) throws(Problem) in
            let report = try self.service.publisher.apply(change, caller: caller, connection)
            return (Response.json(200, report), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    /// How long an apply may take: two minutes, since it may load large models.
    static let applyDeadlineNanoseconds: UInt64 = 120_000_000_000

    private func key(_ route: RequestRoute) throws(Problem) -> DefinitionKey {
        guard let kind = DefinitionKind(rawValue: route.parameter("kind")) else {
            throw Problem(
                404, "unknown_kind", "Kinds are \(DefinitionKind.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return DefinitionKey(kind: kind, name: route.parameter("name"))
    }

    private func retireDefinition(
        _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        let key = try key(route)
        guard route.snapshot.definitions[key] != nil else {
            throw Problem.unknown(key.kind.rawValue, "unknown_definition")
        }
        request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.applyDeadlineNanoseconds
        logChange(route, AccessResource(type: "definition", id: "\(key.kind.rawValue)/\(key.name)"))
        let caller = route.subject
        service.query(responder) { (connection) throws(Problem) in
            let report = try self.service.publisher.retire(key, caller: caller, connection)
            return (Response.json(200, report), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    private func putArtifact(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        guard request.head.known(.contentEncoding) == nil else {
            throw Problem(415, "unsupported_encoding", "An artifact is sent as it is, without Content-Encoding.")
        }
        let bytes = request.bodyBytes
        let wanted = route.parameter("sha256").lowercased()
        let principal = route.principal
        request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.applyDeadlineNanoseconds
        service.query(responder) { (connection) throws(Problem) in
            let hash = ArtifactStore.hash(bytes)
            guard hash == wanted else {
                throw Problem(422, "hash_mismatch", "The bytes do not have the SHA-256 that the path names.")
            }
            try self.service.publisher.keep(bytes, hash: hash, principal: principal, connection)
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("sha256")
            writer.string(hash)
            writer.key("bytes")
            writer.integer(bytes.count)
            writer.endObject()
            return (Response.json(200, writer.bytes), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    private func listDefinitions(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        var kind: DefinitionKind?
        if let text = request.head.queryParameter("kind") {
            kind = DefinitionKind(rawValue: text)
            if kind == nil {
                throw Problem.invalid([
                    DocumentProblem(pointer: "/query/kind", code: "unknown_kind", message: "no such kind")
                ])
            }
        }
        var writer = JSONWriter(capacity: 2048)
        writer.beginObject()
        writer.key("definitions")
        writer.beginArray()
        let all = route.snapshot.definitions.values.filter { kind == nil || $0.key.kind == kind }
        for definition in all.sorted(by: { ($0.key.kind.rawValue, $0.key.name) < ($1.key.kind.rawValue, $1.key.name) })
        {
            Self.writeEnvelope(definition, &writer)
        }
        writer.endArray()
        writer.endObject()
        return Response.json(200, writer.bytes)
    }

    private static func writeEnvelope(
        _ definition: Definition, _ writer: inout JSONWriter, document: Bool = false,
        fill: (isReady: Bool, progress: FillProgress)? = nil
    ) {
        writer.beginObject()
        writer.key("kind")
        writer.string(definition.key.kind.rawValue)
        writer.key("name")
        writer.string(definition.key.name)
        writer.key("version")
        writer.integer(definition.version)
        for (key, text) in [
            ("domain", definition.domain), ("owner", definition.owner), ("description", definition.description),
        ] {
            writer.key(key)
            if let text { writer.string(text) } else { writer.null() }
        }
        if document {
            writer.key("document")
            definition.document.write(to: &writer)
        }
        if let fill {
            writer.key("fill")
            writer.beginObject()
            writer.key("state")
            writer.string(fill.isReady ? "ready" : "building")
            writer.key("events")
            writer.integer(fill.progress.events)
            writer.key("position")
            writer.integer(fill.progress.position)
            writer.key("through")
            writer.integer(fill.progress.through)
            writer.endObject()
        }
        writer.endObject()
    }

    /// Whether a view has every stored event, and how far it is.
    private func fill(_ entry: DefinitionHistory.Entry) -> (isReady: Bool, progress: FillProgress) {
        let through = Int64(entry.fromSeq)
        let building = service.state.snapshot.building[entry.definition.key.name]
        let progress = building.flatMap { service.backFill.progress(of: $0) } ?? FillProgress(through: through)
        // The snapshot says what is served; the history may be a moment ahead of it.
        if building != nil { return (false, progress) }
        switch entry.readiness {
        case .building: return (false, progress)
        case .fromTheStart: return (true, FillProgress(events: 0, position: through, through: through))
        case .filled(let events): return (true, FillProgress(events: events, position: through, through: through))
        }
    }

    private func getDefinition(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        let key = try key(route)
        let entries = service.state.history.entries(key)
        guard let last = entries.last else { throw Problem.unknown(key.kind.rawValue, "unknown_definition") }
        var writer = JSONWriter(capacity: 2048)
        if route.operation == .getDefinition {
            guard last.toSeq == nil else {
                throw Problem(404, "retired_definition", "The definition is retired; its versions are still listed.")
            }
            Self.writeEnvelope(
                last.definition, &writer, document: true, fill: key.kind == .featureView ? fill(last) : nil)
            return Response(
                status: 200, contentType: .json,
                headers: [ResponseHeader("ETag", "\"\(last.definition.version)\"")], body: writer.bytes)
        }
        writer.beginObject()
        writer.key("versions")
        writer.beginArray()
        for entry in entries {
            writer.beginObject()
            writer.key("version")
            writer.integer(entry.definition.version)
            writer.key("activated_at")
            writer.timestamp(entry.activation.atMicros)
            writer.key("activated_by")
            writer.string(entry.activation.principal)
            writer.key("comment")
            writer.string(entry.activation.comment)
            writer.key("seq")
            writer.integer(Int64(entry.fromSeq))
            writer.key("retired_at")
            if let retired = entry.retiredMicros { writer.timestamp(retired) } else { writer.null() }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return Response.json(200, writer.bytes)
    }
}
