import HTTP
import JSON
import Journal

/// An outcome on its way to the disk.
final class OutcomeAck: PendingAck, @unchecked Sendable {
    // SAFETY: everything is set before the append and only read afterwards.
    private let responder: Responder
    private let body: [UInt8]
    private let claim: IdempotencyClaim?
    private let idempotency: IdempotencyTable

    init(responder: Responder, body: [UInt8], claim: IdempotencyClaim?, idempotency: IdempotencyTable) {
        self.responder = responder
        self.body = body
        self.claim = claim
        self.idempotency = idempotency
    }

    override func durable(firstSeq: UInt64, answers: inout ResponseBatch) {
        _ = answers.add(responder, Response.json(201, body))
    }

    override func abandoned(_ reason: AppendRefusal, answers: inout ResponseBatch) {
        if reason != .failed, let claim { idempotency.release(claim) }
        _ = answers.add(responder, Problem.journal(reason.rawValue).response)
    }
}

extension ServiceHandler {
    /// `POST /v1/decision-records/{id}/outcomes`: what happened later. `{"name": ..., "value": ..., "occurred_at": ...}`.
    func postOutcome(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        guard let decisionID = RecordID(route.parameter("id")) else {
            throw Problem(404, "unknown_record", "A record's id is a UUID.")
        }
        route.ack.setDeadline(request)
        let outcome = try readOutcome(request)
        if let position = service.state.records.position(decisionID), let found = try record(at: position) {
            try authorize(route, record: found)
        }
        let claim = try claim(request, route)
        if let claim {
            switch service.state.idempotency.claim(claim, nowMicros: service.clock.now()) {
            case .claimed: break
            case .payloadDiffers: throw Self.payloadDiffers
            case .done(let effect):
                try answerAgain(effect, outcomeOf: decisionID, route, responder)
                return
            case .inFlight:
                waitForClaim(claim, responder, until: request.deadlineNanoseconds) { effect throws(Problem) in
                    try self.answerAgain(effect, outcomeOf: decisionID, route, responder)
                }
                return
            }
        }
        if service.state.records.position(decisionID) != nil {
            // Releases the claim when the journal does not take the frame.
            try append(outcome, decisionID, route, claim, responder)
            return
        }
        // Not in memory: PostgreSQL knows whether there is such a decision.
        service.query(responder) { (connection) throws(Problem) in
            do throws(Problem) {
                _ = try self.findPermitted(decisionID, route, connection)
                try self.append(outcome, decisionID, route, claim, responder)
                return (nil, [])
            } catch {
                if let claim { self.service.state.idempotency.release(claim) }
                throw error
            }
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    private struct Outcome: Sendable {
        let name: String
        let value: JSONTree
        let occurredMicros: Int64
    }

    private func readOutcome(_ request: Request) throws(Problem) -> Outcome {
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: request.bodyBytes)
        } catch {
            throw Problem.malformed(error)
        }
        let problems = ProblemList()
        let reader = TreeReader(tree, at: "", problems)
        let name = reader.string("name", required: true) ?? ""
        if name.isEmpty || name.utf8.count > 128 { problems.add("/name", "out_of_range", "1 to 128 bytes") }
        let value = reader.value("value") ?? .null
        var occurred = service.clock.now()
        if let text = reader.string("occurred_at") {
            if let micros = Timestamp.parse(text) {
                occurred = micros
            } else {
                problems.add("/occurred_at", "invalid_time", "RFC 3339 with a zone")
            }
        }
        reader.finish()
        guard problems.isEmpty else { throw Problem.invalid(problems.problems) }
        return Outcome(name: name, value: value, occurredMicros: occurred)
    }

    private func append(
        _ outcome: Outcome, _ decisionID: RecordID, _ route: RequestRoute, _ claim: IdempotencyClaim?,
        _ responder: Responder
    ) throws(Problem) {
        let now = service.clock.now()
        let id = RecordID(micros: now, random: (Randomness.word(), Randomness.word()))
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("id")
        writer.string(id.text)
        writer.key("decision_id")
        writer.string(decisionID.text)
        writer.key("name")
        writer.string(outcome.name)
        writer.key("value")
        outcome.value.write(to: &writer)
        writer.key("occurred_at")
        writer.timestamp(outcome.occurredMicros)
        writer.key("recorded_at")
        writer.timestamp(now)
        writer.endObject()
        let body = writer.bytes
        var frame = ByteWriter()
        OutcomeFrame(
            id: id, decisionID: decisionID, atMicros: now, principal: route.principal, claim: claim, body: body
        ).encode(into: &frame)
        let batch = FrameBatch(capacity: frame.bytes.count + 64)
        let pending = OutcomeAck(
            responder: responder, body: body, claim: claim, idempotency: service.state.idempotency)
        pending.shipAck = route.ack.oneBatch()
        batch.context = pending
        batch.add(type: FrameType.outcome.rawValue, payload: frame.bytes)
        if case .refused(let reason) = service.journal.append(batch) {
            if let claim { service.state.idempotency.release(claim) }
            throw Problem.journal(reason.rawValue)
        }
    }

    /// Answers with the outcome that stands: from the journal, or from PostgreSQL once its segment is recycled.
    private func answerAgain(
        _ effect: DurableEffect, outcomeOf decisionID: RecordID, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        if let (body, seq) = try outcome(at: effect.position) {
            respond(responder, Response.json(201, body), route, at: seq)
            return
        }
        service.query(responder) { (connection) throws(Problem) in
            guard connection != nil else { throw Problem.needsPostgres }
            let outcomes = try self.outcomes(of: decisionID, connection)
            guard let outcome = outcomes.first(where: { $0["id"]?.string == effect.id.text }) else {
                throw Problem(410, "outcome_gone", "The first request's outcome is not kept any more.")
            }
            return (Response.json(201, outcome.bytes), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    /// The outcome of a frame in the journal; nil when its segment is recycled.
    private func outcome(at position: JournalPosition) throws(Problem) -> (body: [UInt8], seq: UInt64)? {
        do {
            let frame = try service.journal.readFrame(at: position)
            let outcome = try frame.payload.withUnsafeBytes { bytes throws(FrameError) in
                try OutcomeFrame.decode(bytes)
            }
            return (outcome.body, frame.seq)
        } catch let error as JournalError where error.code == .segmentRemoved {
            return nil
        } catch {
            throw Problem(503, "journal_unreadable", "The outcome's frame cannot be read.", retryAfter: 5)
        }
    }
}
