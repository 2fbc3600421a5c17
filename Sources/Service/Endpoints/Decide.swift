import Access
import Decisions
import FEEL
import Features
import HTTP
import JSON
import Journal

/// One call of a decision, read and claimed.
struct DecideCall: Sendable {
    let entry: DecisionEntry
    let inputs: [Value]
    let options: DecideOptions
    let claim: IdempotencyClaim?
    let receivedNanoseconds: UInt64
}

extension ServiceHandler {
    /// `POST /v1/decide/{decision}`: inputs in, an answer with reasons out, its record durable before it leaves.
    func postDecision(
        _ request: Request, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        let name = route.parameter("decision")
        guard let entry = route.snapshot.decisions[name] else { throw missingDecision(name, route.snapshot) }
        try workspaces.with { (workspace) throws(Problem) in
            var (inputs, options) = try read(request, route, entry, workspace)
            request.deadlineNanoseconds = options.deadlineNanoseconds
            let claim = try claim(request, route)
            if let claim, try answerFromClaim(claim, route, entry, responder, options) { return }
            options.shipAck = route.ack.oneBatch()
            let received = request.head.receivedNanoseconds
            let call = DecideCall(
                entry: entry, inputs: inputs, options: options, claim: claim, receivedNanoseconds: received)
            guard let assembled = service.decide.assemble(entry, inputs, options, workspace) else {
                return try decideBeyondMemory(call, route, responder, workspaces)
            }
            try decide(call, assembled, route, responder, workspace)
        }
    }

    private func missingDecision(_ name: String, _ snapshot: Snapshot) -> Problem {
        guard let view = snapshot.waiting[name] else { return Problem.unknown("decision", "unknown_decision") }
        return Problem.building(view, snapshot.building[view].flatMap { service.backFill.progress(of: $0) })
    }

    private func decide(
        _ call: DecideCall, _ assembled: AssembledFeatures, _ route: RequestRoute, _ responder: Responder,
        _ workspace: DecideWorkspace
    ) throws(Problem) {
        do throws(Problem) {
            let result = try service.decide.decide(
                call.entry, inputs: call.inputs, assembled: assembled, options: call.options, claim: call.claim,
                principal: route.principal, traceID: route.traceID, maskedInputs: maskedInputs(route, call.entry),
                snapshot: route.snapshot, receivedNanoseconds: call.receivedNanoseconds, responder: responder,
                workspace)
            service.observe(
                .decision(
                    name: call.entry.decision.name, step: result.fallback?.step ?? 0,
                    cause: result.fallback?.cause ?? "",
                    nanoseconds: Int64(MonotonicClock.nanoseconds() &- call.receivedNanoseconds)))
        } catch {
            if let claim = call.claim { service.state.idempotency.release(claim) }
            throw error
        }
    }

    /// Decides on a query worker, with features that memory does not hold; the connection stays suspended.
    private func decideBeyondMemory(
        _ call: DecideCall, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        let isQueued = service.readHistory { connection in
            do throws(Problem) {
                try workspaces.with { (workspace) throws(Problem) in
                    let assembled: AssembledFeatures
                    do throws(Problem) {
                        assembled = try self.service.history.assemble(
                            call.entry, call.inputs, call.options, connection, into: &workspace.vector)
                    } catch {
                        if let claim = call.claim { self.service.state.idempotency.release(claim) }
                        throw error
                    }
                    try self.decide(call, assembled, route, responder, workspace)
                }
            } catch {
                responder.respond(error.response)
            }
        }
        if isQueued { return }
        if let claim = call.claim { service.state.idempotency.release(claim) }
        throw Problem(503, "busy", "Too many reads of history are waiting.", retryAfter: 1)
    }

    private func read(
        _ request: Request, _ route: RequestRoute, _ entry: DecisionEntry, _ workspace: DecideWorkspace
    ) throws(Problem) -> (inputs: [Value], options: DecideOptions) {
        let root: JSONValue
        do {
            root = try workspace.parser.parse(request.body)
        } catch {
            throw Problem.malformed(error)
        }
        guard root.kind == .object else {
            throw Problem(400, "not_an_object", "The body is an object with `inputs`.")
        }
        let problems = ProblemList()
        let now = service.clock.now()
        var options = DecideOptions(
            asOfMicros: now, knownAt: .latest,
            deadlineNanoseconds: request.head.receivedNanoseconds &+ UInt64(entry.decision.spec.deadlineMicros) &* 1000)
        var inputs: [Value]?
        var knownAt: String?
        for member in root.members {
            switch member.key {
            case "inputs": inputs = entry.decision.readInputs(member.value, problems)
            case "as_of":
                if let micros = member.value.string.flatMap({ Timestamp.parse($0) }) {
                    options.asOfMicros = micros
                    options.isHistoric = true
                } else {
                    problems.add("/as_of", "invalid_time", "RFC 3339 with a zone")
                }
            case "known_at":
                knownAt = member.value.string
                if knownAt == nil { problems.add("/known_at", "type_mismatch", "text is expected") }
            case "deadline_ms":
                guard let millis = member.value.int64, (1...DecisionLimits.deadlineMillisecondsMax).contains(millis)
                else {
                    problems.add(
                        "/deadline_ms", "out_of_range", "1 to \(DecisionLimits.deadlineMillisecondsMax) milliseconds")
                    continue
                }
                options.deadlineNanoseconds = request.head.receivedNanoseconds &+ UInt64(millis) &* 1_000_000
            default:
                problems.add("/\(member.key)", "unknown_field", "fields are inputs, as_of, known_at and deadline_ms")
            }
        }
        if root["inputs"] == nil { problems.add("/inputs", "missing_field", "the decision's inputs are required") }
        if options.asOfMicros > now + ServiceLimits.futureMicrosMax {
            problems.add("/as_of", "in_the_future", "as_of lies ahead of the clock")
        }
        var times: [DocumentProblem] = []
        if options.isHistoric || knownAt != nil {
            options.knownAt = Self.knownAt(knownAt, asOf: options.isHistoric ? options.asOfMicros : nil, &times)
            for problem in times { problems.add("/known_at", problem.code, problem.message) }
        }
        let spec = entry.decision.spec
        for index in Set([spec.entityInput].compactMap { $0 } + entry.decision.entityInputs.flatMap { $0 }) {
            if let key = inputs?[index].string, key.utf8.count > ServiceLimits.identityBytesMax {
                problems.add(
                    "/inputs/\(spec.inputs[index].name)", "too_long",
                    "an entity's key has at most \(ServiceLimits.identityBytesMax) bytes")
            }
        }
        guard problems.isEmpty, let inputs else { throw Problem.invalid(problems.problems) }
        if options.isHistoric || knownAt != nil {
            let resource = AccessResource(type: "decision", id: entry.decision.name)
            if let refused = authorize(route, "decide.as_of", resource) { throw refused }
        }
        return (inputs, options)
    }

    /// The request's claim of an `Idempotency-Key`; nil when it has none.
    func claim(_ request: Request, _ route: RequestRoute) throws(Problem) -> IdempotencyClaim? {
        guard let key = request.head.known(.idempotencyKey) else { return nil }
        guard request.head.count(.idempotencyKey) == 1, !key.isEmpty,
            key.utf8.count <= ServiceLimits.idempotencyKeyBytesMax
        else {
            throw Problem(
                400, "invalid_idempotency_key",
                "One key of 1 to \(ServiceLimits.idempotencyKeyBytesMax) bytes is expected.")
        }
        var hasher = Hasher128(service.hashKey)
        hasher.add(route.principal)
        hasher.add(route.operation.rawValue)
        for parameter in route.parameters { hasher.add(parameter) }
        hasher.add(key)
        var payload = Hasher128(service.hashKey)
        payload.add(request.body)
        let hash = payload.finish()
        return IdempotencyClaim(key: hasher.finish(), payload: hash.high ^ hash.low)
    }

    /// Answers a repeated key from what the first request left; false when the key is new and now claimed.
    private func answerFromClaim(
        _ claim: IdempotencyClaim, _ route: RequestRoute, _ entry: DecisionEntry, _ responder: Responder,
        _ options: DecideOptions
    ) throws(Problem) -> Bool {
        switch service.state.idempotency.claim(claim, nowMicros: service.clock.now()) {
        case .claimed: return false
        case .payloadDiffers: throw Self.payloadDiffers
        case .done(let effect):
            try answerAgain(effect, route, responder)
            return true
        case .inFlight:
            waitForClaim(claim, responder, until: options.deadlineNanoseconds) { effect throws(Problem) in
                try self.answerAgain(effect, route, responder)
            }
            return true
        }
    }

    static let payloadDiffers = Problem(
        422, "idempotency_key_reused", "This Idempotency-Key was used with another payload. Use a new key.")

    /// Waits on a bulk thread until the first request with the key is durable, then answers from it.
    func waitForClaim(
        _ claim: IdempotencyClaim, _ responder: Responder, until deadline: UInt64,
        _ answer: @escaping @Sendable (DurableEffect) throws(Problem) -> Void
    ) {
        let service = service
        let isQueued = service.bulk.submit {
            while MonotonicClock.nanoseconds() < deadline {
                if case .done(let effect) = service.state.idempotency.claim(claim, nowMicros: service.clock.now()) {
                    do throws(Problem) {
                        try answer(effect)
                    } catch {
                        responder.respond(error.response)
                    }
                    return
                }
                Threads.sleep(microseconds: 500)
            }
        }
        if !isQueued {
            responder.respond(
                Problem(503, "busy", "The first request with this key is still running.", retryAfter: 1).response)
        }
    }

    /// What the caller may not read back: classified inputs of the decision, and the table inputs that show them.
    func maskedInputs(_ route: RequestRoute, _ entry: DecisionEntry) -> Set<String> {
        let classified = entry.classifiedInputs
        guard !classified.isEmpty else { return [] }
        let plan = service.maskPlan(route, AccessResource(type: "decision", id: entry.decision.name))
        if plan.showsEverything { return [] }
        let hidden = classified.filter {
            plan.verdict(path: "\(entry.decision.name).\($0.name)", classification: $0.classification) != nil
        }
        guard !hidden.isEmpty else { return [] }
        let names = Set(hidden.map(\.name))
        return entry.decision.tableInputs(reading: names).union(names)
    }

    /// `GET /v1/decide/{decision}/health`: which step of every model node would answer now.
    func decisionHealth(_ route: RequestRoute) throws(Problem) -> Response {
        let name = route.parameter("decision")
        guard let entry = route.snapshot.decisions[name] else { throw missingDecision(name, route.snapshot) }
        var isDegraded = false
        var nodes = JSONWriter()
        nodes.beginArray()
        for item in entry.decision.nodes {
            guard case .model(let steps, _) = item.node else { continue }
            for (index, step) in steps.enumerated() {
                guard case .model(let model, _, _) = step else { continue }
                let state = route.snapshot.models[model] ?? .withdrawn
                if state.unusableCause != nil { isDegraded = true }
                nodes.beginObject()
                nodes.key("node")
                nodes.string(item.name)
                nodes.key("step")
                nodes.integer(index + 1)
                nodes.key("model")
                nodes.string(model)
                nodes.key("cause")
                if let cause = state.unusableCause { nodes.string(cause) } else { nodes.null() }
                nodes.endObject()
            }
        }
        nodes.endArray()
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("decision")
        writer.string(name)
        writer.key("version")
        writer.integer(entry.decision.version)
        writer.key("status")
        writer.string(isDegraded ? "degraded" : "ok")
        writer.key("steps")
        writer.raw(nodes.bytes)
        writer.endObject()
        return Response.json(200, writer.bytes)
    }
}
