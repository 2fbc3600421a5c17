import Access
import FEEL
import HTTP
import JSON

extension ServiceHandler {
    /// `GET /v1/jobs`, `GET /v1/jobs/{id}`, `DELETE /v1/jobs/{id}`, `POST /v1/jobs/{id}/retry`.
    func jobs(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        if route.operation == .listJobs {
            responder.respond(Response.json(200, try listJobs(request)))
            return
        }
        let job = RecordID(route.parameter("id")).flatMap { service.jobs.job($0) }
        try authorize(route, job: job)
        guard let job else { throw JobTable.unknown }
        switch route.operation {
        case .getJob: responder.respond(Response.json(200, job.bytes))
        case .retryJob: responder.respond(Self.accepted(try service.backFill.retry(job)))
        default: responder.respond(Response.json(200, try service.jobs.cancel(job.id).bytes))
        }
    }

    private func listJobs(_ request: Request) throws(Problem) -> [UInt8] {
        var state: JobState?
        if let text = request.head.queryParameter("state") {
            state = JobState(rawValue: text)
            if state == nil {
                let known = JobState.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem.invalid([
                    DocumentProblem(pointer: "/query/state", code: "value_not_allowed", message: "one of \(known)")
                ])
            }
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("jobs")
        writer.beginArray()
        for job in service.jobs.jobs() where state == nil || job.state == state { job.write(to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// Decides a request that was waiting for its job: policies may permit it by the job's own principal. Without a job
    /// the first refusal stands, so that a caller without rights cannot learn which jobs exist.
    private func authorize(_ route: RequestRoute, job: Job?) throws(Problem) {
        guard let pending = route.pendingRefusal, let action = route.operation.action else { return }
        let id = route.parameter("id")
        if let job {
            var properties = Context()
            properties["principal"] = .string(job.principal)
            properties["kind"] = .string(job.kind.rawValue)
            let resource = AccessResource(type: "job", id: id, properties: properties)
            if refusal(route, action, resource) == nil { return }
        }
        service.logAccess(
            route, action: action, resource: AccessResource(type: "job", id: id), permitted: false, masked: [])
        throw pending
    }

    /// Answers 202 with the job and where to ask for it.
    static func accepted(_ job: Job) -> Response {
        Response(
            status: 202, contentType: .json, headers: [ResponseHeader("Location", job.path)], body: job.bytes)
    }
}
