import Access
import FEEL
import HTTP
import JSON
import Journal
import Synchronization
import Telemetry

/// What routing found out about a request before its body was read.
struct RequestRoute: Sendable {
    let plan: OperationPlan
    /// Path parameters in the order of the plan's names.
    let parameters: [String]
    let subject: AccessSubject
    /// The definitions that this request is answered with, from start to end.
    let snapshot: Snapshot
    let traceID: String?
    /// When the answer is owed.
    var ack = AckParameters()
    /// The refusal that stands unless the record itself (its principal, its decision), or the resources that the body
    /// names, make a policy permit the action.
    var pendingRefusal: Problem?

    /// What was asked for.
    var operation: Operation { plan.operation }

    /// A path parameter of the operation's template.
    func parameter(_ name: String) -> String {
        plan.parameterNames.firstIndex(of: name).map { parameters[$0] } ?? ""
    }

    /// Who calls, for records and logs.
    var principal: String { subject.id }
}

/// Reads subjects' attributes from the reference tables.
struct ReferenceAttributes: AttributeSource {
    let references: ReferenceTables

    func attributes(table: String, subjectID: String) -> Context? {
        guard let row = references.row(table: table, key: subjectID), case .context(let context)? = Value(row, as: .any)
        else { return nil }
        return context
    }
}

/// Routes, authenticates, authorizes, and hands over to the operation's own file.
final class ServiceHandler: HTTPHandler {
    typealias Route = RequestRoute

    let service: ServiceCore
    private let routes: RouteTable<OperationPlan>
    private let ingestWorkspaces = Pool<IngestWorkspace> { IngestWorkspace() }
    private let decideWorkspaces = Pool<DecideWorkspace> { DecideWorkspace() }
    /// For small bodies of rows to score; larger ones have a parser each, whose memory goes with it.
    let scoringParsers = Pool<JSONParser> { JSONParser() }
    /// The same for a protocol whose clients write NaN.
    let lenientParsers = Pool<JSONParser> { JSONParser(limits: JSONLimits(allowsNaN: true)) }

    init(service: ServiceCore) {
        self.service = service
        var routes = RouteTable<OperationPlan>()
        for operation in Operation.allCases {
            let route = operation.route
            let plan = OperationPlan(operation, metrics: service.metrics)
            for path in [route.path] + operation.aliases { routes.add(route.method, path, plan) }
        }
        self.routes = routes
    }

    func route(_ head: RequestHead) -> RouteDecision<RequestRoute> {
        let plan: OperationPlan
        let parameters: [String]
        switch routes.match(head) {
        case .found(let found, let values): (plan, parameters) = (found, values)
        case .notFound:
            return .refuse(Problem(404, "unknown_path", "There is no such path; see /openapi.yaml.").response)
        case .methodNotAllowed(let methods): return .methodNotAllowed(methods)
        }
        let traceID = head.known(.traceparent).flatMap { TraceContext(header: $0) }?.traceID
        if let problem = Self.shapeProblem(head, plan) { return .refuse(plan.errorShape.response(problem)) }
        guard let action = plan.action else {
            return .accept(
                RequestRoute(
                    plan: plan, parameters: parameters, subject: AccessSubject(.anonymous),
                    snapshot: service.state.snapshot, traceID: traceID), .standard)
        }
        switch authenticate(head) {
        case .failure(let problem): return .refuse(plan.errorShape.response(problem))
        case .success(let subject):
            var route = RequestRoute(
                plan: plan, parameters: parameters, subject: subject, snapshot: service.state.snapshot,
                traceID: traceID)
            if head.hasQuery, plan.queryParameters?.contains("ack") == true {
                do throws(Problem) {
                    route.ack = try AckParameters(head, hasDatabase: service.configuration.databaseURL != nil)
                } catch {
                    return .refuse(error.response)
                }
            }
            let resource = AccessResource(type: plan.resourceType, id: resourceName(head, route))
            guard plan.operation.isAboutOneRecord || plan.operation.namesResourcesInBody else {
                if let problem = authorize(route, action, resource) { return .refuse(route.response(problem)) }
                return .accept(route, bodyPolicy(plan.operation))
            }
            var waiting = route
            waiting.pendingRefusal = refusal(route, action, resource)
            return .accept(waiting, bodyPolicy(plan.operation))
        }
    }

    /// What the action is on: what the path names, or the model that `/invocations` is about; else everything.
    private func resourceName(_ head: RequestHead, _ route: RequestRoute) -> String {
        if let index = route.plan.resourceIndex { return route.parameters[index] }
        return route.operation == .postInvocations ? Self.invokedModel(head, route.snapshot) ?? "*" : "*"
    }

    /// What is wrong with a request before anybody asks who sent it: its query and its media type.
    private static func shapeProblem(_ head: RequestHead, _ plan: OperationPlan) -> Problem? {
        if head.hasQuery, let problem = queryProblem(head, plan) { return problem }
        guard let types = plan.mediaTypes, head.method == .post || head.method == .put,
            head.known(.contentType) != nil, !types.contains(where: { head.isContentType($0) })
        else { return nil }
        let names = types.map(\.description).joined(separator: " or ")
        return Problem(415, "unsupported_media_type", "Send \(names).")
    }

    private static func queryProblem(_ head: RequestHead, _ plan: OperationPlan) -> Problem? {
        var seen: Set<String> = []
        var repeated: [DocumentProblem] = []
        head.forEachQueryParameter { key, _ in
            if !seen.insert(key).inserted {
                repeated.append(
                    DocumentProblem(
                        pointer: JSONPointer(tokens: ["query", key]).text, code: "duplicate_parameter",
                        message: "this parameter stands twice"))
            }
        }
        if !repeated.isEmpty { return Problem.invalid(repeated) }
        if let known = plan.queryParameters {
            var problems: [DocumentProblem] = []
            head.forEachQueryParameter { key, _ in
                if !known.contains(key) {
                    let names = known.isEmpty ? "none" : known.sorted().joined(separator: ", ")
                    problems.append(
                        DocumentProblem(
                            pointer: "/query", code: "unknown_parameter",
                            message: "parameters of this operation: \(names)"))
                }
            }
            if !problems.isEmpty { return Problem.invalid(problems) }
        }
        return nil
    }

    private func bodyPolicy(_ operation: Operation) -> BodyPolicy {
        let configuration = service.configuration
        switch operation {
        // Large bodies are inflated on the bulk pool, not on the event loop.
        case .postEvents: return BodyPolicy(bytesMax: configuration.eventsBodyBytesMax, inflates: false)
        case .postHistoricalFeatures:
            return BodyPolicy(
                bytesMax: min(configuration.historicalBodyBytesMax, service.training.budget.available), inflates: false,
                spoolDirectory: service.training.directory)
        case .putArtifact, .postModelVersion:
            return BodyPolicy(bytesMax: configuration.artifactBytesMax, inflates: false)
        case .scoreModel: return BodyPolicy(bytesMax: configuration.scoreBodyBytesMax)
        case .applyDefinitions: return BodyPolicy(bytesMax: YAMLReader.bytesMax)
        case .inferModel, .inferModelVersion, .postInvocations, .postModelInvocations:
            return BodyPolicy(bytesMax: configuration.scoreBodyBytesMax, inflates: false)
        default: return BodyPolicy(bytesMax: configuration.bodyBytesMax)
        }
    }

    private func authenticate(_ head: RequestHead) -> Result<AccessSubject, Problem> {
        let now = service.clock.now()
        let header = head.knownBytes(.authorization).map { $0.bindMemory(to: UInt8.self) }
        switch service.state.keyRing.authenticate(authorization: header, nowMicros: now) {
        case .accepted(let principal, _): return .success(AccessSubject(principal))
        case .refused(let refusal):
            service.observe(.denied(code: refusal.code))
            return .failure(
                Problem(401, "unauthenticated", "Send a live API key as `Authorization: Bearer dk_live_...`."))
        }
    }

    /// Asks the policies; a refusal is counted, journaled and told.
    func authorize(_ route: RequestRoute, _ action: String, _ resource: AccessResource) -> Problem? {
        guard let problem = refusal(route, action, resource) else { return nil }
        service.logAccess(route, action: action, resource: resource, permitted: false, masked: [])
        return problem
    }

    /// Decides a request that was waiting for its record. Without a record the first refusal stands, so that a caller
    /// without rights cannot learn which records exist.
    func authorize(_ route: RequestRoute, record: FoundRecord?) throws(Problem) {
        guard let pending = route.pendingRefusal, let action = route.operation.action else { return }
        let id = route.parameter("id")
        var properties = Context()
        if let record, let tree = try? JSONTree(parsing: record.bytes) {
            for key in ["principal", "decision", "entity"] {
                if let text = tree[key]?.string { properties[key] = .string(text) }
            }
            let resource = AccessResource(type: "decision_record", id: id, properties: properties)
            if refusal(route, action, resource) == nil { return }
        }
        service.logAccess(
            route, action: action, resource: AccessResource(type: "decision_record", id: id), permitted: false,
            masked: [])
        throw pending
    }

    /// Why the policies do not permit an action; nil when they do. Nothing is journaled.
    func refusal(_ route: RequestRoute, _ action: String, _ resource: AccessResource) -> Problem? {
        let decision = route.snapshot.policies.evaluate(
            AccessRequest(subject: route.subject, action: action, resource: resource),
            nowMicros: service.clock.now(), attributes: ReferenceAttributes(references: service.state.references))
        guard !decision.permitted else { return nil }
        let reasons = decision.reasons.map(\.text).joined(separator: ", ")
        return Problem(
            403, "forbidden",
            "No policy permits the action \(action) on this \(resource.type). Reasons: \(reasons).")
    }

    func allowedMethods(_ head: RequestHead) -> MethodSet? { routes.methods(head) }

    func problem(_ refusal: Refusal, for route: RequestRoute?) -> Response {
        (route?.plan.errorShape ?? .problem).response(refusal)
    }

    func libraryMessage(_ line: String) {
        service.log.write(.debug, "libmicrohttpd message", at: service.clock.now(), ["line": .text(line)])
    }

    func deadlineReached(_ request: Request, _ route: RequestRoute, _ responder: Responder) {
        answerLate(route, responder)
    }

    func answered(
        _ head: RequestHead, _ route: RequestRoute?, status: UInt16, bodyBytesIn: Int, bodyBytesOut: Int
    ) {
        let nanoseconds = HTTP.MonotonicClock.nanoseconds() &- head.receivedNanoseconds
        if let route, !head.isHead, !service.log.isEnabled(.debug) {
            route.plan.requests.record(
                status: Int(status), bytesIn: bodyBytesIn, bytesOut: bodyBytesOut, nanoseconds: Int64(nanoseconds))
            return
        }
        service.observe(
            .request(
                method: head.isHead ? "HEAD" : head.method.token.description,
                route: route?.operation.route.path ?? "(none)",
                status: Int(status), bytesIn: bodyBytesIn, bytesOut: bodyBytesOut, nanoseconds: Int64(nanoseconds),
                trace: nil))
    }

    func handle(_ request: Request, _ route: RequestRoute, _ responder: Responder) {
        do {
            try dispatch(request, route, responder)
        } catch {
            var response = route.response(error)
            if route.operation.speaksAuthzen, let id = request.head.known(.requestID), !id.isEmpty {
                response.headers.append(ResponseHeader("X-Request-ID", id))
            }
            responder.respond(response)
        }
    }

    private func dispatch(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        switch route.operation {
        case .getHealth, .getReadiness, .getMetrics, .getOpenAPI, .getUsage:
            responder.respond(try operate(request, route))
        case .getAuthzenConfiguration, .evaluateAccess, .evaluateAccessBatch:
            responder.respond(try evaluateAccess(request, route))
        case .postEvents: try postEvents(request, route, responder, ingestWorkspaces)
        case .listQuarantine: try listQuarantine(request, route, responder)
        case .listSources: responder.respond(try listSources(request))
        case .getFeatures: try getFeatures(request, route, responder, decideWorkspaces)
        case .queryFeatures: try queryFeatures(request, route, responder, decideWorkspaces)
        case .getFeatureStatistics: try getFeatureStatistics(route, responder)
        case .postDecision: try postDecision(request, route, responder, decideWorkspaces)
        case .getDecisionHealth: responder.respond(try decisionHealth(route))
        case .getDecisionRecord, .listDecisionRecords, .replayDecisionRecord:
            try decisionRecords(request, route, responder)
        case .postOutcome: try postOutcome(request, route, responder)
        case .getKPI, .listKPIs, .queryMeasures: responder.respond(try measures(request, route))
        case .getQuality, .listQuality: responder.respond(try quality(request, route))
        case .applyDefinitions, .listDefinitions, .getDefinition, .listDefinitionVersions, .retireDefinition,
            .putArtifact:
            try definitions(request, route, responder)
        case .createKey, .listKeys, .revokeKey: try keys(request, route, responder)
        case .listAccessLog: try listAccessLog(request, route, responder)
        case .verifyFeatures: try verifyFeatures(request, route, responder)
        case .postHistoricalFeatures: try postHistoricalFeatures(request, route, responder)
        case .listTrainingSets, .getTrainingSet, .deleteTrainingSet, .getTrainingSetData:
            try trainingSets(request, route, responder)
        case .listJobs, .getJob, .cancelJob, .retryJob: try jobs(request, route, responder)
        case .evaluateFEEL: try evaluateFEEL(request, responder)
        case .listModels, .getModel, .getModelVersion, .getModelCard, .postModelVersion, .promoteModel, .rollbackModel:
            try models(request, route, responder)
        case .getModelDrift: try getModelDrift(request, route, responder)
        case .scoreModel: try scoreModel(request, route, responder)
        case .getInferenceServer, .getInferenceLiveness, .getInferenceReadiness, .listInferenceModels:
            responder.respond(try inferenceServer(request, route))
        case .getInferenceModel, .getInferenceModelVersion, .getInferenceModelReadiness,
            .getInferenceModelVersionReadiness:
            try inferenceModel(route, responder)
        case .inferModel, .inferModelVersion: try infer(request, route, responder)
        case .postInvocations, .postModelInvocations: try invoke(request, route, responder)
        case .getScoringPing, .getScoringHealth, .getScoringVersion: responder.respond(scoringServer(route))
        }
    }
}

/// Objects of one kind that threads borrow and give back.
final class Pool<Element: AnyObject>: Sendable {
    // SAFETY: `@unchecked Sendable` because an element is reached through the list, which is behind the mutex, or by the one
    // thread that took it out, never by both.
    private struct Taken: @unchecked Sendable {
        let element: Element
    }
    private let idle = Mutex<[Taken]>([])
    private let make: @Sendable () -> Element

    init(_ make: @escaping @Sendable () -> Element) {
        self.make = make
    }

    /// Runs `body` with an element of this pool.
    func with<R, E: Error>(_ body: (Element) throws(E) -> R) throws(E) -> R {
        let element = take()
        defer { give(element) }
        return try body(element)
    }

    private func take() -> Element {
        idle.withLock { $0.popLast() }?.element ?? make()
    }

    private func give(_ element: Element) {
        let taken = Taken(element: element)
        idle.withLock { $0.append(taken) }
    }
}
