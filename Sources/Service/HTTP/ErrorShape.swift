import HTTP
import JSON

/// How an operation tells what went wrong: protocols that others have made have shapes of their own.
enum ErrorShape: Sendable {
    /// RFC 9457, this service's own.
    case problem
    /// The Open Inference Protocol: `{"error": "..."}`.
    case inference
    /// MLflow's scoring server: `{"error_code": "...", "message": "..."}`; a wrong media type is told as plain text.
    case mlflow

    /// A refusal in this shape. Neither protocol knows 422: what is wrong with a request is 400.
    func response(_ problem: Problem) -> Response {
        guard self != .problem else { return problem.response }
        let places = problem.errors.map { $0.pointer.isEmpty ? " \($0.message)." : " \($0.pointer): \($0.message)." }
        return response(
            status: problem.status == 422 ? 400 : UInt16(problem.status), detail: problem.detail + places.joined(),
            headers: problem.headers)
    }

    /// A refusal by the server itself, in this shape.
    func response(_ refusal: Refusal) -> Response {
        guard self != .problem else { return refusal.problem }
        return response(
            status: refusal.code.status, detail: refusal.code.detail.description, headers: refusal.problem.headers)
    }

    private func response(status: UInt16, detail: String, headers: [ResponseHeader]) -> Response {
        if self == .mlflow, status == 415 {
            return Response(status: status, contentType: .text, headers: headers, body: Array((detail + "\n").utf8))
        }
        var writer = JSONWriter()
        writer.beginObject()
        if self == .inference {
            writer.key("error")
            writer.string(detail)
        } else {
            writer.key("error_code")
            writer.string(Self.mlflowCode(status))
            writer.key("message")
            writer.string(detail)
        }
        writer.endObject()
        return Response(status: status, contentType: .json, headers: headers, body: writer.bytes)
    }

    /// MLflow's own name for a status.
    private static func mlflowCode(_ status: UInt16) -> String {
        switch status {
        case 401: "UNAUTHENTICATED"
        case 403: "PERMISSION_DENIED"
        case 404: "RESOURCE_DOES_NOT_EXIST"
        case 413, 429: "RESOURCE_EXHAUSTED"
        case 408, 503: "TEMPORARILY_UNAVAILABLE"
        case 500...: "INTERNAL_ERROR"
        default: "BAD_REQUEST"
        }
    }
}

extension RequestRoute {
    /// A refusal as the protocol of the operation tells it.
    func response(_ problem: Problem) -> Response { plan.errorShape.response(problem) }
}
