import Access
import Features
import HTTP
import JSON
import Postgres

/// One read of a view's features, as asked for.
struct FeatureRead: Sendable {
    let view: ViewEntry
    /// The parts of the entity's key, in the view's order.
    let entity: [String]
    let asOf: Int64
    let knownAt: KnownAt
    /// Windows that reach past `entity_events_max` are wanted, too.
    let isComplete: Bool
    /// `known_at` as the answer says it.
    let knownAtText: String

    /// The key as tables know it.
    var key: String { EntityKey.encode(entity) }
}

extension ServiceHandler {
    /// `GET /v1/features/{view}?customer=...&as_of=&known_at=`: every feature of one entity.
    func getFeatures(
        _ request: Request, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        let name = route.parameter("view")
        guard let view = route.snapshot.views[name] else { throw missingView(name, route.snapshot) }
        let parts = view.definition.spec.entityParts.map(\.name)
        var keys: [String: String] = [:]
        var asOf: Int64?
        var knownAtText: String?
        var isComplete = false
        var problems: [DocumentProblem] = []
        request.head.forEachQueryParameter { key, value in
            switch key {
            case "as_of":
                asOf = Timestamp.parse(value)
                if asOf == nil { problems.append(Self.timeProblem("as_of")) }
            case "known_at": knownAtText = value
            case "complete":
                isComplete = value == "true"
                if value != "true" && value != "false" {
                    problems.append(
                        DocumentProblem(
                            pointer: "/query/complete", code: "value_not_allowed", message: "true or false"))
                }
            case _ where parts.contains(key): keys[key] = value
            default:
                problems.append(
                    DocumentProblem(
                        pointer: "/query/\(key)", code: "unknown_parameter",
                        message: "parameters are \(parts.joined(separator: ", ")), as_of, known_at and complete"))
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
        let read = FeatureRead(
            view: view, entity: entity, asOf: time, knownAt: knownAt, isComplete: isComplete,
            knownAtText: knownAtText ?? asOf.map { Timestamp.text($0) } ?? "latest")
        try workspaces.with { (workspace) throws(Problem) in
            service.state.features.read(
                read.key, view.plan, asOf: time, knownAt: knownAt, into: &workspace.vector)
            if workspace.vector.status != .complete || (isComplete && workspace.vector.isTruncated) {
                request.deadlineNanoseconds =
                    request.head.receivedNanoseconds &+ UInt64(ServiceLimits.historyMillisecondsMax) &* 1_000_000
                return try readFromHistory(read, route, responder, workspaces)
            }
            service.parity.offer(view, entity, asOf: time, knownAt: knownAt, workspace.vector, now: now)
            answer(read, workspace.vector, route, responder)
        }
    }

    /// Reads on a query worker what memory does not hold; the connection stays suspended.
    private func readFromHistory(
        _ read: FeatureRead, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        // The rest of the time is for the answer.
        let deadline = PostgresDeadline.after(.milliseconds(ServiceLimits.historyMillisecondsMax * 9 / 10))
        let isQueued = service.readHistory { connection in
            do throws(Problem) {
                try workspaces.with { (workspace) throws(Problem) in
                    try self.service.history.read(
                        read.view, read.key, asOf: read.asOf, knownAt: read.knownAt, complete: read.isComplete,
                        connection, until: deadline, into: &workspace.vector)
                    self.answer(read, workspace.vector, route, responder)
                }
            } catch {
                responder.respond(error.response)
            }
        }
        if !isQueued { throw Problem(503, "busy", "Too many reads of history are waiting.", retryAfter: 1) }
    }

    private func answer(
        _ read: FeatureRead, _ vector: FeatureVector, _ route: RequestRoute, _ responder: Responder
    ) {
        let view = disclosed(read.view, route)
        let body = Self.body(view, vector, read.entity, read.asOf, read.knownAtText)
        if view.isPersonal {
            service.answerLogged(
                responder, Response.json(200, body), route, action: "features.read",
                entries: [(view.resource, view.masked)])
        } else {
            responder.respond(Response.json(200, body))
        }
    }

    private func missingView(_ name: String, _ snapshot: Snapshot) -> Problem {
        guard let view = snapshot.building[name] else { return Problem.unknown("feature view", "unknown_view") }
        return Problem.building(name, service.backFill.progress(of: view))
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
