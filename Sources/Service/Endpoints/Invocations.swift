import HTTP
import JSON

extension ServiceHandler {
    /// MLflow's scoring server: `/ping` and `/health` say whether a model can score, `/version` which server this is.
    func scoringServer(_ route: RequestRoute) -> Response {
        if route.operation == .getScoringVersion {
            return Response(status: 200, contentType: .text, body: Array(ServiceVersion.text.utf8))
        }
        return Response(
            status: route.snapshot.served.isEmpty ? 404 : 200, contentType: .text, body: [UInt8(ascii: "\n")])
    }

    /// `POST /invocations` and `POST /v1/models/{name}/invocations`: rows in one of MLflow's forms, predictions out.
    func invoke(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let isCSV = try Self.isCSV(request.head.known(.contentType))
        var name: String? = route.parameter("name")
        if route.operation == .postInvocations { name = Self.invokedModel(request.head, route.snapshot) }
        guard let name else {
            throw Problem(
                400, "model_not_named",
                "There is not exactly one model that can score; name one by ?model=, by the header Decisiond-Model or by the path /v1/models/{name}/invocations."
            )
        }
        let version = try request.head.queryParameter("version").map { (text) throws(Problem) in
            guard let version = Self.modelVersion(text) else {
                throw Problem(400, "invalid_version", "version is a whole number from 1.")
            }
            return version
        }
        // MLflow's own client writes missing numbers as NaN.
        let call = ScoringCall(model: name, version: version, allowsNaN: true) {
            (bytes, model, parser) throws(Problem) in
            let table =
                isCSV
                ? try InvocationCSV(model: model).rows(bytes)
                : try InvocationReader(model: model).rows(parser.body(bytes))
            return ScoringRequest(table: table) { (scores, model) throws(Problem) in
                try Self.predictions(scores, model)
            }
        }
        try score(call, request, route, responder)
    }

    /// The model that a request to `/invocations` is about: MLflow serves one model at a URL, so none is named in the path.
    static func invokedModel(_ head: RequestHead, _ snapshot: Snapshot) -> String? {
        if let name = head.queryParameter("model") ?? head.header("decisiond-model") { return name }
        return snapshot.served.count == 1 ? snapshot.served.keys.first : nil
    }

    /// Whether the body is CSV, else it is JSON. MLflow takes no parameter but `charset=utf-8`.
    static func isCSV(_ contentType: String?) throws(Problem) -> Bool {
        let parts = (contentType ?? "").lowercased().split(separator: ";", omittingEmptySubsequences: false)
            .map { String($0).trimmingSpaces }
        guard parts.dropFirst().allSatisfy({ $0 == "charset=utf-8" || $0 == "charset=\"utf-8\"" }),
            let type = parts.first, type == "application/json" || type == "text/csv"
        else {
            throw Problem(
                415, "unsupported_media_type",
                "Send application/json or text/csv, with no parameter but charset=utf-8.")
        }
        return type == "text/csv"
    }

    /// `{"predictions": [...]}`: a number a row, or a list where the model predicts several.
    private static func predictions(_ scores: RowScores, _ model: ServedModel) throws(Problem) -> [UInt8] {
        let width = model.model.predictionCount
        var writer = JSONWriter(capacity: 32 + 24 * scores.values.count)
        writer.beginObject()
        writer.key("predictions")
        writer.beginArray()
        for (index, value) in scores.values.enumerated() {
            guard value.isFinite else { throw RowScores.notFinite(row: index / width) }
            if width > 1, index % width == 0 { writer.beginArray() }
            model.write(value, model.floatType, to: &writer)
            if width > 1, index % width == width - 1 { writer.endArray() }
        }
        writer.endArray()
        writer.endObject()
        return writer.finish()
    }
}
