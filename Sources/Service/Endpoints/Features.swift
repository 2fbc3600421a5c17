import Access
import Features
import HTTP
import JSON

extension ServiceHandler {
    /// `GET /v1/features/{view}?customer=...&as_of=&known_at=`: every feature of one entity.
    func getFeatures(
        _ request: Request, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        let name = route.parameter("view")
        guard let view = route.snapshot.views[name] else { throw Problem.unknown("feature view", "unknown_view") }
        let parts = view.definition.spec.entityParts.map(\.name)
        var keys: [String: String] = [:]
        var asOf: Int64?
        var knownAtText: String?
        var problems: [DocumentProblem] = []
        request.head.forEachQueryParameter { key, value in
            switch key {
            case "as_of":
                asOf = Timestamp.parse(value)
                if asOf == nil { problems.append(Self.timeProblem("as_of")) }
            case "known_at": knownAtText = value
            case _ where parts.contains(key): keys[key] = value
            default:
                problems.append(
                    DocumentProblem(
                        pointer: "/query/\(key)", code: "unknown_parameter",
                        message: "parameters are \(parts.joined(separator: ", ")), as_of and known_at"))
            }
        }
        for part in parts where keys[part, default: ""].isEmpty {
            problems.append(
                DocumentProblem(
                    pointer: "/query/\(part)", code: "missing_parameter", message: "the entity's key is required"))
        }
        let now = service.clock.now()
        let time = asOf ?? now
        if time > now + ServiceLimits.futureMicrosMax {
            problems.append(
                DocumentProblem(
                    pointer: "/query/as_of", code: "in_the_future", message: "as_of lies ahead of the clock"))
        }
        let knownAt = Self.knownAt(knownAtText, asOf: asOf, &problems)
        guard problems.isEmpty else { throw Problem.invalid(problems) }
        let entity = parts.map { keys[$0, default: ""] }
        if asOf != nil, let refused = authorize(route, "features.as_of", AccessResource(type: "feature_view", id: name))
        {
            throw refused
        }
        let disclosed = disclosed(view, route)
        let body = try workspaces.with { (workspace) throws(Problem) in
            service.state.features.read(
                EntityKey.encode(entity), view.plan, asOf: time, knownAt: knownAt, into: &workspace.vector)
            if case .historyUnavailable = workspace.vector.status {
                throw Problem(
                    503, "history_unavailable", "Memory does not reach back to as_of for this entity.", retryAfter: 5)
            }
            let known = knownAtText ?? asOf.map { Timestamp.text($0) } ?? "latest"
            return Self.body(disclosed, workspace.vector, entity, time, known)
        }
        if disclosed.isPersonal {
            service.answerLogged(
                responder, Response.json(200, body), route, action: "features.read",
                entries: [(disclosed.resource, disclosed.masked)])
        } else {
            responder.respond(Response.json(200, body))
        }
    }

    /// Reads `known_at`: `latest`, a time, or absent: `as_of` where that is given, else everything.
    static func knownAt(_ text: String?, asOf: Int64?, _ problems: inout [DocumentProblem]) -> KnownAt {
        guard let text else { return asOf.map(KnownAt.ingestTime) ?? .latest }
        if text == "latest" { return .latest }
        guard let micros = Timestamp.parse(text) else {
            problems.append(timeProblem("known_at"))
            return .latest
        }
        return .ingestTime(micros)
    }

    static func timeProblem(_ name: String) -> DocumentProblem {
        DocumentProblem(
            pointer: "/query/\(name)", code: "invalid_time",
            message: "RFC 3339 with a zone, such as 2026-01-31T12:00:00Z")
    }

    private static func body(
        _ view: DisclosedView, _ vector: FeatureVector, _ entity: [String], _ asOf: Int64, _ knownAt: String
    ) -> [UInt8] {
        let spec = view.entry.definition.spec
        let last = vector.lastEventTimes.first ?? nil
        var writer = JSONWriter(capacity: 2048)
        writer.beginObject()
        writer.key("view")
        writer.string(spec.name)
        writer.key("version")
        writer.integer(spec.version)
        writer.key("entity")
        writer.beginObject()
        for (part, value) in zip(spec.entityParts, entity) {
            writer.key(part.name)
            writer.string(value)
        }
        writer.endObject()
        writer.key("as_of")
        writer.timestamp(asOf)
        writer.key("known_at")
        writer.string(knownAt)
        view.write(
            view.entry.serve(vector.values, asOf: asOf, lastEventTime: last), featuresSeq: vector.featuresSeq,
            lastEventTime: last, asOf: asOf, to: &writer)
        writer.endObject()
        return writer.bytes
    }
}
