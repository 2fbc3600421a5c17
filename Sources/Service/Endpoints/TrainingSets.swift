import Access
import FEEL
import HTTP
import JSON
import Postgres

extension ServiceHandler {
    /// `GET /v1/training-sets`, `GET` and `DELETE /v1/training-sets/{id}`, `GET /v1/training-sets/{id}/data`.
    func trainingSets(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        switch route.operation {
        case .listTrainingSets: try listTrainingSets(request, responder)
        case .getTrainingSetData: try getTrainingSetData(request, route, responder)
        case .deleteTrainingSet: try deleteTrainingSet(route, responder)
        default:
            try withTrainingSet(route, responder) { (set, _) throws(Problem) in
                var writer = JSONWriter(capacity: 4096)
                set.write(to: &writer)
                return Response.json(200, writer.bytes)
            }
        }
    }

    private static let unknownSet = Problem(
        404, "unknown_training_set", "There is no training set of this id. GET /v1/training-sets lists what exists.")

    /// Finds the set that the path names, on a query worker; `answer` gives the response.
    private func withTrainingSet(
        _ route: RequestRoute, _ responder: Responder,
        _ answer: @escaping @Sendable (TrainingSet, PostgresConnection) throws(Problem) -> Response?
    ) throws(Problem) {
        guard let id = RecordID(route.parameter("id")) else { throw Self.unknownSet }
        service.query(responder) { (connection) throws(Problem) in
            guard let connection else { throw Problem.needsPostgres }
            let found: TrainingSet?
            do throws(PostgresError) {
                found = try TrainingSet.find(id, connection)
            } catch {
                throw Problem.needsPostgres
            }
            guard let found else { throw Self.unknownSet }
            return (try answer(found, connection), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    private func listTrainingSets(_ request: Request, _ responder: Responder) throws(Problem) {
        let page = try Page(request.head, allowing: ["name"])
        let name = request.head.queryParameter("name")
        service.query(responder) { (connection) throws(Problem) in
            guard let connection else { throw Problem.needsPostgres }
            do throws(PostgresError) {
                let sets = try TrainingSet.page(
                    name: name, before: page.cursor ?? .max, limit: page.limit, connection)
                return (Response.json(200, Self.list(sets, page)), [])
            } catch {
                throw Problem.needsPostgres
            }
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    private static func list(_ sets: [TrainingSet], _ page: Page) -> [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.key("training_sets")
        writer.beginArray()
        for set in sets { set.write(to: &writer) }
        writer.endArray()
        writer.key("next_cursor")
        if sets.count == page.limit, let last = sets.last { writer.string(String(last.number)) } else { writer.null() }
        writer.endObject()
        return writer.bytes
    }

    private func deleteTrainingSet(_ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let service = service
        let principal = route.principal
        try withTrainingSet(route, responder) { (set, connection) throws(Problem) in
            do throws(PostgresError) {
                try TrainingSet.delete(set.id, atMicros: service.clock.now(), by: principal, connection)
            } catch {
                throw Problem.needsPostgres
            }
            service.training.remove(set.id.text)
            return Response(status: 204)
        }
    }

    // MARK: Rows

    private func getTrainingSetData(
        _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        let format = try Self.wantedFormat(request.head)
        let isGzip = request.head.header("accept-encoding").map(Self.acceptsGzip) ?? false
        // What is not stored as it is asked for is made first, from up to a million rows.
        request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.bulkDeadlineNanoseconds
        let service = service
        try withTrainingSet(route, responder) { (set, _) throws(Problem) in
            guard let rows = service.training.rows(set.id) else {
                throw Problem(410, "training_set_elsewhere", "The rows are not on this machine (any more).")
            }
            let masked = Self.masked(set, route, service)
            let export = TrainingSetExport(
                set: set, rows: rows, format: format, isGzip: isGzip, masked: Set(masked.hidden))
            if export.isStored {
                Self.answer(export, rows, masked.isPersonal, route, responder, service)
                return nil
            }
            let isQueued = service.bulk.submit {
                do throws(Problem) {
                    let file = try export.make(service.training)
                    Self.answer(export, file, masked.isPersonal, route, responder, service)
                } catch {
                    responder.respond(error.response)
                }
            }
            if !isQueued { throw Problem(503, "busy", "Too many large requests are waiting.", retryAfter: 1) }
            return nil
        }
    }

    /// Sends the rows; personal data leaves only after its entry in the access log.
    private static func answer(
        _ export: TrainingSetExport, _ file: BodyFile, _ isPersonal: Bool, _ route: RequestRoute,
        _ responder: Responder, _ service: ServiceCore
    ) {
        var headers = [ResponseHeader("Vary", "Accept, Accept-Encoding")]
        if export.isGzip { headers.append(ResponseHeader("Content-Encoding", "gzip")) }
        let response = Response(
            status: 200, contentType: export.format == .csv ? .csv : .ndjson, headers: headers, file: file)
        guard isPersonal else {
            responder.respond(response)
            return
        }
        service.answerLogged(
            responder, response, route, action: "training_sets.read",
            resource: AccessResource(type: "training_set", id: export.set.id.text),
            masked: export.masked.sorted().map { export.set.columns[$0].name })
    }

    /// Which classified columns this caller does not see, and whether there are any that hold personal data.
    private static func masked(
        _ set: TrainingSet, _ route: RequestRoute, _ service: ServiceCore
    ) -> (hidden: [Int], isPersonal: Bool) {
        var plans: [String: MaskPlan] = [:]
        var hidden: [Int] = []
        var isPersonal = false
        for (index, column) in set.columns.enumerated() {
            guard let classification = column.classification, let view = column.view, let feature = column.feature,
                !column.isMasked
            else { continue }
            isPersonal = true
            let plan = plans[view] ?? service.maskPlan(route, AccessResource(type: "feature_view", id: view))
            plans[view] = plan
            if plan.verdict(path: "\(view).\(feature)", classification: classification) != nil { hidden.append(index) }
        }
        return (hidden, isPersonal)
    }

    private static func wantedFormat(_ head: RequestHead) throws(Problem) -> RowFormat {
        switch head.queryParameter("format") {
        case "csv": return .csv
        case "ndjson": return .ndjson
        case nil: return head.known(.accept)?.contains("application/x-ndjson") == true ? .ndjson : .csv
        default:
            throw Problem.invalid([
                DocumentProblem(pointer: "/query/format", code: "value_not_allowed", message: "csv, or ndjson")
            ])
        }
    }

    /// Whether `Accept-Encoding` names gzip with a weight that is not 0.
    static func acceptsGzip(_ value: String) -> Bool {
        value.lowercased().split(separator: ",").contains { item in
            let parts = item.split(separator: ";").map { String($0).trimmingSpaces }
            guard parts.first == "gzip" || parts.first == "x-gzip" || parts.first == "*" else { return false }
            return !parts.dropFirst().contains { $0.hasPrefix("q=0") && Double($0.dropFirst(2)) == 0 }
        }
    }
}

extension RowType {
    /// How values of a FEEL type stand in rows.
    init(_ type: FEELType) {
        switch type {
        case .number: self = .number
        case .string: self = .string
        case .boolean: self = .boolean
        case .dateTime, .date, .time: self = .time
        default: self = .json
        }
    }
}
