import Access
import HTTP
import JSON
import Models

extension ServiceHandler {
    /// The registry of models: reading, registering versions, promoting them and taking them back.
    func models(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        switch route.operation {
        case .listModels: responder.respond(listModels())
        case .getModel: responder.respond(try getModel(route))
        case .getModelVersion: responder.respond(try getModelVersion(route))
        case .getModelCard: responder.respond(try getModelCard(request, route))
        case .postModelVersion: try postModelVersion(request, route, responder)
        default: try promoteModel(request, route, responder)
        }
    }

    // MARK: Reading

    private func versions(_ route: RequestRoute) throws(Problem) -> [ModelVersion] {
        let versions = service.state.registry.versions(route.parameter("name"), service.state.history)
        guard !versions.isEmpty else { throw Self.unknownModel }
        return versions
    }

    static let unknownModel = Problem(
        404, "unknown_model", "There is no model of this name. GET /v1/models lists what exists.")

    private func listModels() -> Response {
        var writer = JSONWriter(capacity: 2048)
        writer.beginObject()
        writer.key("models")
        writer.beginArray()
        for name in service.library.names() {
            let versions = service.state.registry.versions(name, service.state.history)
            writer.beginObject()
            Self.writeHead(name, versions, &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return Response.json(200, writer.bytes)
    }

    private func getModel(_ route: RequestRoute) throws(Problem) -> Response {
        let versions = try versions(route)
        var writer = JSONWriter(capacity: 2048)
        writer.beginObject()
        Self.writeHead(route.parameter("name"), versions, &writer)
        writer.key("versions")
        writer.beginArray()
        for version in versions { Self.write(version, &writer) }
        writer.endArray()
        writer.endObject()
        return Response.json(200, writer.bytes)
    }

    private func getModelVersion(_ route: RequestRoute) throws(Problem) -> Response {
        let versions = try versions(route)
        guard let number = Int(route.parameter("version")),
            let version = versions.first(where: { $0.number == number })
        else { throw Problem(404, "unknown_version", "The model has no such version.") }
        var writer = JSONWriter(capacity: 4096)
        Self.write(version, &writer) { writer in
            writer.key("document")
            version.definition.document.write(to: &writer)
            guard
                case .served(let served) = self.service.library.find(
                    route.parameter("name"), version: number, in: route.snapshot)
            else { return }
            Self.write(served, &writer)
        }
        return Response.json(200, writer.bytes)
    }

    private static func writeHead(_ name: String, _ versions: [ModelVersion], _ writer: inout JSONWriter) {
        let champion = versions.last { $0.stage == .champion }
        let definition = (champion ?? versions.last)?.definition
        writer.key("name")
        writer.string(name)
        for (key, text) in [
            ("domain", definition?.domain), ("owner", definition?.owner), ("description", definition?.description),
        ] {
            writer.key(key)
            if let text { writer.string(text) } else { writer.null() }
        }
        writer.key("champion")
        if let champion { writer.integer(champion.number) } else { writer.null() }
    }

    /// A version with its stages; `more` writes further members.
    static func write(
        _ version: ModelVersion, _ writer: inout JSONWriter, more: (inout JSONWriter) -> Void = { _ in }
    ) {
        writer.beginObject()
        writer.key("version")
        writer.integer(version.number)
        writer.key("stage")
        writer.string(version.stage.rawValue)
        writer.key("sha256")
        writer.string(version.definition.spec["artifact"]?["sha256"]?.string ?? "")
        writer.key("stages")
        writer.beginArray()
        for change in version.changes {
            writer.beginObject()
            writer.key("stage")
            writer.string(change.stage.rawValue)
            writer.key("at")
            writer.timestamp(change.atMicros)
            writer.key("by")
            writer.string(change.principal)
            writer.key("reason")
            writer.string(change.reason)
            writer.key("seq")
            writer.integer(Int64(change.seq))
            writer.endObject()
        }
        writer.endArray()
        more(&writer)
        writer.endObject()
    }

    /// What the artifact is, and its inputs.
    static func write(_ served: ServedModel, _ writer: inout JSONWriter) {
        let model = served.model
        writer.key("format")
        writer.string(model.format.rawValue)
        writer.key("objective")
        writer.string(model.objective)
        writer.key("trees")
        writer.integer(model.treeCount)
        writer.key("outputs")
        writer.integer(model.predictionCount)
        writer.key("score_output")
        writer.integer(served.outputIndex)
        writer.key("inputs")
        writer.beginArray()
        for input in served.inputs {
            writer.beginObject()
            writer.key("name")
            writer.string(input.name)
            writer.key("type")
            writer.string(input.kind.rawValue)
            if !input.categories.isEmpty {
                writer.key("categories")
                writer.beginArray()
                for category in input.categories { writer.string(category) }
                writer.endArray()
            }
            writer.endObject()
        }
        writer.endArray()
    }

    // MARK: Changing

    private func postModelVersion(
        _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        let name = route.parameter("name")
        guard Definition.isName(name) else {
            throw Problem.invalid([
                DocumentProblem(
                    pointer: "/path/name", code: "invalid_name",
                    message: "1 to \(Definition.nameBytesMax) of a-z, A-Z, 0-9, _ . and -, starting with a letter")
            ])
        }
        request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.applyDeadlineNanoseconds
        let upload = try ModelUpload(request.head, request.bodyBytes, name: name)
        logChange(route, AccessResource(type: "model", id: name))
        let caller = route.subject
        service.query(responder) { (connection) throws(Problem) in
            let registered = try self.service.publisher.register(upload, name: name, caller: caller, connection)
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("name")
            writer.string(name)
            writer.key("version")
            writer.integer(registered.served.version)
            writer.key("stage")
            writer.string(registered.stage.rawValue)
            writer.key("sha256")
            writer.string(registered.served.definition.artifact)
            Self.write(registered.served, &writer)
            writer.key("golden")
            if let golden = registered.golden {
                writer.beginObject()
                writer.key("rows")
                writer.integer(golden.rowsTotal)
                writer.key("agreeing")
                writer.integer(golden.rowsAgreeing)
                writer.key("bit_for_bit")
                writer.integer(golden.rowsExact)
                writer.endObject()
            } else {
                writer.null()
            }
            writer.endObject()
            let place = ResponseHeader("Location", "/v1/models/\(name)/versions/\(registered.served.version)")
            return (Response(status: 201, contentType: .json, headers: [place], body: writer.bytes), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    /// `POST .../promote` and `.../rollback`. The answer is the model as it is then.
    private func promoteModel(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let name = route.parameter("name")
        let change = try ModelPromotion(request.bodyBytes, isRollback: route.operation == .rollbackModel)
        request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.applyDeadlineNanoseconds
        logChange(route, AccessResource(type: "model", id: name))
        let caller = route.subject
        // Needs no database, and must not wait for one.
        let isQueued = service.bulk.submit {
            do throws(Problem) {
                try self.service.publisher.promote(change, name: name, caller: caller)
                responder.respond(try self.getModel(route))
            } catch {
                responder.respond(error.response)
            }
        }
        if !isQueued { throw Problem(503, "busy", "Too many large requests are waiting.", retryAfter: 1) }
    }

    // MARK: The card

    /// `GET /v1/models/{name}/card`: JSON, or Markdown when `Accept` or `format` asks for it.
    private func getModelCard(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        let versions = try versions(route)
        let wanted: ModelVersion?
        if let text = request.head.queryParameter("version") {
            wanted = Int(text).flatMap { number in versions.first { $0.number == number } }
        } else {
            wanted = versions.last { $0.stage == .champion } ?? versions.last
        }
        guard let version = wanted else { throw Problem(404, "unknown_version", "The model has no such version.") }
        guard let definition = ModelDefinition.parse(version.definition, at: "", ProblemList()) else {
            throw Problem(409, "unusable_version", "This version of the service cannot read the model's definition.")
        }
        var served: ServedModel?
        if case .served(let found) = service.library.find(
            route.parameter("name"), version: version.number, in: route.snapshot)
        {
            served = found
        }
        let page = ModelCardPage(
            name: route.parameter("name"), version: version, definition: definition, served: served)
        switch request.head.queryParameter("format") {
        case nil where request.head.known(.accept)?.contains("text/markdown") == true, "markdown":
            return Response(status: 200, contentType: .markdown, body: Array(page.markdown.utf8))
        case nil, "json": return Response.json(200, page.json)
        default:
            throw Problem.invalid([
                DocumentProblem(pointer: "/query/format", code: "value_not_allowed", message: "json, or markdown")
            ])
        }
    }
}
