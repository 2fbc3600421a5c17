import HTTP
import JSON

extension ServiceHandler {
    /// `POST /v1/events`: one CloudEvent, a JSON array of them, or NDJSON; gzip as sent.
    func postEvents(
        _ request: Request, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<IngestWorkspace>
    ) throws(Problem) {
        let encoding = request.head.known(.contentEncoding)?.lowercased()
        guard encoding == nil || encoding == "gzip" || encoding == "identity" else {
            throw Problem(415, "unsupported_encoding", "Content-Encoding is gzip, or absent.")
        }
        let detail: EventsRequest.Detail
        switch request.head.queryParameter("results") {
        case nil, "all": detail = .all
        case "problems": detail = .problems
        default:
            throw Problem.invalid([
                DocumentProblem(pointer: "/query/results", code: "value_not_allowed", message: "all, or problems")
            ])
        }
        let mediaType = request.head.known(.contentType).map {
            String($0.prefix { $0 != ";" }).trimmingSpaces.lowercased()
        }
        let service = service
        let pending = EventsRequest(
            pipeline: service.ingest, corrector: service.corrector, responder: responder, detail: detail,
            bulk: service.bulk, memory: service.memory, shipAck: route.ack.shipAck
        ) { tally in
            tally.observe(into: service.metrics, at: service.clock.now())
        }
        let principal = route.principal
        route.ack.setDeadline(request)
        if encoding != "gzip" && request.body.count <= ServiceLimits.inlineBodyBytesMax {
            try workspaces.with { (workspace) throws(Problem) in
                let slices = try Self.slices(request.body, mediaType, workspace)
                pending.run(request.body, slices, principal: principal, mayWait: false, workspace)
            }
            return
        }
        if route.ack.deadlineMilliseconds == nil {
            request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.bulkDeadlineNanoseconds
        }
        let body = request.bodyBytes
        let limit = service.configuration.eventsBodyBytesMax
        let isQueued = service.bulk.submit {
            do throws(Problem) {
                let plain = encoding == "gzip" ? try Self.inflate(body, limit) : body
                try workspaces.with { (workspace) throws(Problem) in
                    try Self.run(plain, mediaType, pending, principal, workspace)
                }
            } catch {
                responder.respond(error.response)
            }
        }
        if !isQueued { throw Problem(503, "busy", "Too many large requests are waiting.", retryAfter: 1) }
    }

    /// How long a large request may take: ten minutes.
    static let bulkDeadlineNanoseconds: UInt64 = 600_000_000_000

    private static func run(
        _ body: [UInt8], _ mediaType: String?, _ pending: EventsRequest, _ principal: String,
        _ workspace: IngestWorkspace
    ) throws(Problem) {
        var problem: Problem?
        body.withUnsafeBytes { bytes in
            do throws(Problem) {
                let slices = try slices(bytes, mediaType, workspace)
                pending.run(bytes, slices, principal: principal, mayWait: true, workspace)
            } catch {
                problem = error
            }
        }
        if let problem { throw problem }
    }

    private static func slices(
        _ body: UnsafeRawBufferPointer, _ mediaType: String?, _ workspace: IngestWorkspace
    ) throws(Problem) -> [EventSlice] {
        guard let shape = BodySplitter.shape(mediaType: mediaType, body: body) else {
            throw Problem(
                415, "unsupported_media_type",
                "Send application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson or application/json."
            )
        }
        let slices: [EventSlice]
        switch shape {
        case .single: slices = [EventSlice(range: 0..<body.count, isBlank: false)]
        case .array: slices = try BodySplitter.elements(body, workspace.bodyParser)
        case .lines: slices = BodySplitter.lines(body)
        }
        guard slices.count <= ServiceLimits.eventsPerRequestMax else {
            throw Problem(413, "too_many_events", "At most \(ServiceLimits.eventsPerRequestMax) events in one request.")
        }
        return slices
    }

    /// The plain bytes of a gzip body, at most `limit` of them.
    static func inflate(_ body: [UInt8], _ limit: Int) throws(Problem) -> [UInt8] {
        let limits = InflateLimits(bytesMax: limit, ratioMax: 200, freeBytes: 1 << 20)
        let result = body.withUnsafeBytes { bytes -> Result<[UInt8], InflateError> in
            do throws(InflateError) {
                return .success(try Gzip.inflate(bytes, limits: limits))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let plain): return plain
        case .failure(let error):
            throw Problem(error == .tooLarge ? 413 : 400, error.code, "The gzip body cannot be taken.")
        }
    }
}

extension String {
    /// Without spaces and tabs at both ends.
    var trimmingSpaces: String {
        var view = self[...]
        while let first = view.first, first == " " || first == "\t" { view.removeFirst() }
        while let last = view.last, last == " " || last == "\t" { view.removeLast() }
        return String(view)
    }
}
