import Access
import HTTP
import JSON
import Models

extension ServiceHandler {
    /// The Open Inference Protocol (version 2) about the server: `/v2`, `/v2/health/...`, `/v2/repository/index`.
    func inferenceServer(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        var writer = JSONWriter()
        var status: UInt16 = 200
        switch route.operation {
        case .listInferenceModels: try writeIndex(request, route, &writer)
        case .getInferenceServer:
            writer.beginObject()
            writer.key("name")
            writer.string("decisiond")
            writer.key("version")
            writer.string(ServiceVersion.text)
            writer.key("extensions")
            writer.beginArray()
            writer.endArray()
            writer.endObject()
        default:
            writer.beginObject()
            if route.operation == .getInferenceReadiness {
                let isReady = !service.degradations().contains { $0.isBlocking }
                status = isReady ? 200 : 503
                writer.key("ready")
                writer.bool(isReady)
            }
            // The protocol's text calls readiness `live`, too; liveness is what this always is.
            writer.key("live")
            writer.bool(true)
            writer.endObject()
        }
        return Response.json(status, writer.finish())
    }

    /// Every version of every model that the caller may read, as model servers with a repository tell it.
    private func writeIndex(_ request: Request, _ route: RequestRoute, _ writer: inout JSONWriter) throws(Problem) {
        let onlyReady = try scoringParsers.with { (parser) throws(Problem) in
            try request.body.isEmpty ? false : Self.onlyReady(parser.body(request.body))
        }
        writer.beginArray()
        for name in service.library.names() {
            guard refusal(route, "models.read", AccessResource(type: "model", id: name)) == nil else { continue }
            let versions = usableVersions(name, route.snapshot)
            for version in versions { Self.writeIndex(name, version, nil, &writer) }
            if versions.isEmpty, !onlyReady {
                Self.writeIndex(name, nil, route.snapshot.models[name]?.unusableCause ?? "version_retired", &writer)
            }
        }
        writer.endArray()
    }

    private static func onlyReady(_ body: JSONValue) throws(Problem) -> Bool {
        let problem = Problem(400, "invalid_request", "The body is an object that holds ready, a boolean, or nothing.")
        guard body.kind == .object else { throw problem }
        for member in body.members where !member.keyEquals("ready") { throw problem }
        guard let ready = body["ready"], !ready.isNull else { return false }
        guard let flag = ready.bool else { throw problem }
        return flag
    }

    private static func writeIndex(_ name: String, _ version: Int?, _ cause: String?, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        if let version {
            writer.key("version")
            writer.string(String(version))
        }
        writer.key("state")
        writer.string(version == nil ? "UNAVAILABLE" : "READY")
        writer.key("reason")
        writer.string(cause ?? "")
        writer.endObject()
    }

    /// Metadata and readiness of a model, or of one version of it.
    func inferenceModel(_ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let name = route.parameter("model")
        let isReadiness =
            route.operation == .getInferenceModelReadiness || route.operation == .getInferenceModelVersionReadiness
        let version = try Self.version(route)
        let answer = { @Sendable () throws(Problem) -> Response? in
            let model = try self.usable(name, version: version, route.snapshot)
            var writer = JSONWriter(capacity: 1024)
            if isReadiness {
                writer.beginObject()
                writer.key("name")
                writer.string(model.name)
                writer.key("ready")
                writer.bool(true)
                writer.endObject()
            } else {
                model.writeMetadata(versions: self.usableVersions(name, route.snapshot), to: &writer)
            }
            return Response.json(200, writer.finish())
        }
        if version == nil || version == route.snapshot.served[name]?.version {
            if let response = try answer() { responder.respond(response) }
        } else {
            try onBulk(nil, route, responder, answer)
        }
    }

    /// `POST /v2/models/{model}[/versions/{version}]/infer`.
    func infer(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        guard request.head.header("inference-header-content-length") == nil else {
            throw Problem(
                400, "binary_tensors",
                "The binary tensor extension is not offered; send the data of every tensor as JSON.")
        }
        let call = ScoringCall(model: route.parameter("model"), version: try Self.version(route)) {
            (bytes, model, parser) throws(Problem) in
            let read = try InferenceRequest(parser.body(bytes), for: model)
            return ScoringRequest(table: read.table) { (scores, model) throws(Problem) in
                try read.answer(scores, model)
            }
        }
        try score(call, request, route, responder)
    }

    /// The version that the path names; nil where it names none.
    private static func version(_ route: RequestRoute) throws(Problem) -> Int? {
        guard route.plan.parameterNames.contains("version") else { return nil }
        guard let version = modelVersion(route.parameter("version")) else {
            throw Problem(404, "unknown_version", "A version is a whole number from 1.")
        }
        return version
    }

    /// A version as callers write it: digits only.
    static func modelVersion(_ text: String) -> Int? {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(text).flatMap { $0 > 0 ? $0 : nil }
    }
}

extension ServedModel {
    /// The metadata of the Open Inference Protocol: what the model takes, one tensor a column, and what it gives.
    func writeMetadata(versions: [Int], to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("versions")
        writer.beginArray()
        for version in versions { writer.string(String(version)) }
        writer.endArray()
        writer.key("platform")
        writer.string("decisiond_\(model.format.rawValue)")
        writer.key("inputs")
        writer.beginArray()
        for input in inputs { Self.write(input.name, input.datatype(self), [-1], &writer) }
        writer.endArray()
        writer.key("outputs")
        writer.beginArray()
        for output in InferenceOutput.offered(by: self) {
            Self.write(output.rawValue, output.datatype(self), output.shape(self, rows: -1), &writer)
        }
        writer.endArray()
        writer.key("properties")
        writer.beginObject()
        writer.key("version")
        writer.string(String(version))
        writer.key("objective")
        writer.string(model.objective)
        writer.key("score_index")
        writer.string(String(outputIndex))
        writer.endObject()
        writer.endObject()
    }

    private static func write(
        _ name: String, _ datatype: InferenceDatatype, _ shape: [Int], _ writer: inout JSONWriter
    ) {
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("datatype")
        writer.string(datatype.rawValue)
        writer.key("shape")
        writer.beginArray()
        for size in shape { writer.integer(size) }
        writer.endArray()
        writer.endObject()
    }
}
