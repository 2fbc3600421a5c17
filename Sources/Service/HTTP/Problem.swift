import HTTP
import JSON

/// A refusal as RFC 9457 tells it. The code is stable; the text is for people and never holds a value that was sent.
struct Problem: Error, Sendable {
    /// HTTP status.
    var status: Int
    /// Stable snake_case code.
    var code: String
    /// What happened and what to do about it.
    var detail: String
    /// Places in the request that are wrong.
    var errors: [DocumentProblem] = []
    /// Seconds after which a retry makes sense.
    var retryAfterSeconds: Int?

    init(_ status: Int, _ code: String, _ detail: String, errors: [DocumentProblem] = [], retryAfter: Int? = nil) {
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        retryAfterSeconds = retryAfter
    }

    /// The answer: `application/problem+json`.
    var response: Response {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("type")
        writer.string("about:blank")
        writer.key("title")
        writer.string(Self.title(status))
        writer.key("status")
        writer.integer(Int64(status))
        writer.key("code")
        writer.string(code)
        writer.key("detail")
        writer.string(detail)
        if !errors.isEmpty {
            writer.key("errors")
            writer.beginArray()
            for error in errors {
                writer.beginObject()
                writer.key("code")
                writer.string(error.code)
                writer.key("pointer")
                writer.string(error.pointer)
                writer.key("detail")
                writer.string(error.message)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
        return Response(status: UInt16(status), contentType: .problemJSON, headers: headers, body: writer.bytes)
    }

    /// Header fields that go with it, whatever the shape of the body.
    var headers: [ResponseHeader] {
        var headers: [ResponseHeader] = []
        if let retryAfterSeconds { headers.append(ResponseHeader("Retry-After", "\(retryAfterSeconds)")) }
        if status == 401 { headers.append(ResponseHeader("WWW-Authenticate", "Bearer realm=\"decisiond\"")) }
        return headers
    }

    private static func title(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 410: "Gone"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 503: "Service Unavailable"
        default: "Error"
        }
    }
}

extension Problem {
    /// The body is not JSON.
    static func malformed(_ error: JSONError) -> Problem {
        Problem(
            400, "malformed_json", "The body is not JSON that this service takes: \(error.message).",
            errors: [DocumentProblem(pointer: "", code: error.code.rawValue, message: "at byte \(error.offset)")])
    }

    /// Nothing of this name.
    static func unknown(_ what: String, _ code: String) -> Problem {
        Problem(404, code, "There is no \(what) of this name. GET /v1/definitions lists what exists.")
    }

    /// The request's fields are wrong.
    static func invalid(_ errors: [DocumentProblem]) -> Problem {
        Problem(422, "invalid_request", "The request does not have the shape that openapi.yaml gives.", errors: errors)
    }

    /// The database is needed and not there.
    static let needsPostgres = Problem(
        503, "postgres_unavailable", "This operation needs PostgreSQL, which does not answer. Retry later.",
        retryAfter: 5)

    /// Features fill their memory and nothing can be spilled.
    static let featuresMemory = Problem(
        503, "features_memory",
        "The memory of features is full until PostgreSQL has more of the events; nothing of this slice was taken.",
        retryAfter: 5)

    /// A view, or the view of a decision, is not filled yet.
    static func building(_ view: String, _ progress: FillProgress?) -> Problem {
        if let progress, progress.isHeld, let job = progress.job {
            return Problem(
                503, "view_building",
                "The back-fill of the feature view \(view) was cancelled. POST /v1/jobs/\(job.text)/retry goes on with it."
            )
        }
        let known = progress.map { " \($0.events) events so far, journal position \($0.position) of \($0.through)." }
        return Problem(
            503, "view_building", "The feature view \(view) is being filled from stored events.\(known ?? "")",
            retryAfter: 1)
    }

    /// The journal does not take more.
    static func journal(_ reason: String) -> Problem {
        switch reason {
        case "queue_full":
            Problem(503, "queue_full", "More is waiting to be made durable than the limit allows.", retryAfter: 1)
        case "disk_full", "journal_full":
            Problem(
                503, reason, "The journal's disk is full; nothing can be made durable until there is room.",
                retryAfter: 10)
        default:
            Problem(503, reason, "The journal does not take writes.", retryAfter: 10)
        }
    }
}
