import HTTP
import JSON
import Journal
import Postgres

/// An outcome on its way to the disk.
final class OutcomeAck: PendingAck, @unchecked Sendable {
    // SAFETY: everything is set before the append and only read afterwards.
    private let responder: Responder
    private let response: Response
    private let claim: IdempotencyClaim?
    private let idempotency: IdempotencyTable

    init(responder: Responder, response: Response, claim: IdempotencyClaim?, idempotency: IdempotencyTable) {
        self.responder = responder
        self.response = response
        self.claim = claim
        self.idempotency = idempotency
    }

    override func durable(firstSeq: UInt64, answers: inout ResponseBatch) {
        _ = answers.add(responder, response)
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
        var decision: DecisionReference?
        if let position = service.state.records.position(decisionID), let found = try record(at: position) {
            try authorize(route, record: found)
            decision = found.decision
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
        if let decision {
            // Releases the claim when the journal does not take the frame.
            try append(outcome, decisionID, .known(decision), route, claim, responder)
            return
        }
        // Not in memory: PostgreSQL knows whether there is such a decision.
        let isQueued = service.readRecords { connection in
            do throws(Problem) {
                let subject = try self.subject(decisionID, route, connection)
                try self.append(outcome, decisionID, subject, route, claim, responder)
            } catch {
                if let claim { self.service.state.idempotency.release(claim) }
                responder.respond(error.response)
            }
        }
        if isQueued { return }
        if let claim { service.state.idempotency.release(claim) }
        throw Problem(503, "busy", "Too many queries are waiting.", retryAfter: 1)
    }

    /// How long PostgreSQL may take to say whether there is a decision; after that the outcome is accepted without.
    private static let lookUpTimeout: Duration = .seconds(2)

    /// The decision of an outcome as PostgreSQL knows it; `unresolved` while it does not answer: then the ship transaction
    /// looks.
    private func subject(
        _ id: RecordID, _ route: RequestRoute, _ connection: PostgresConnection?
    ) throws(Problem) -> OutcomeSubject {
        do throws(Problem) {
            let deadline = PostgresDeadline.after(Self.lookUpTimeout)
            return .known(try findPermitted(id, route, connection, until: deadline).decision)
        } catch {
            // Without a database there is nothing that could ever say more.
            guard error.code == Problem.needsPostgres.code, service.configuration.databaseURL != nil else {
                throw error
            }
        }
        guard service.state.records.unresolvedBytes < ServiceLimits.unresolvedOutcomeBytesMax else {
            throw Problem(
                503, "too_many_unresolved_outcomes",
                "PostgreSQL is away, and too many outcomes wait to learn whether their decision exists. Retry later.",
                retryAfter: 10)
        }
        return .unresolved
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
        _ outcome: Outcome, _ decisionID: RecordID, _ subject: OutcomeSubject, _ route: RequestRoute,
        _ claim: IdempotencyClaim?, _ responder: Responder
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
            id: id, decisionID: decisionID, atMicros: now, principal: route.principal, claim: claim, body: body,
            subject: subject
        ).encode(into: &frame)
        let batch = FrameBatch(capacity: frame.bytes.count + 64)
        let pending = OutcomeAck(
            responder: responder, response: Self.response(body, subject), claim: claim,
            idempotency: service.state.idempotency)
        pending.shipAck = route.ack.oneBatch()
        batch.context = pending
        batch.add(type: FrameType.outcome.rawValue, payload: frame.bytes)
        if case .refused(let reason) = service.journal.append(batch) {
            if let claim { service.state.idempotency.release(claim) }
            throw Problem.journal(reason.rawValue)
        }
    }

    /// 202 says that nobody knows yet whether there is such a decision.
    private static func response(_ body: [UInt8], _ subject: OutcomeSubject) -> Response {
        Response.json(subject == .unresolved ? 202 : 201, body)
    }

    /// Answers with the outcome that stands: from the journal, or from PostgreSQL once its segment is recycled.
    private func answerAgain(
        _ effect: DurableEffect, outcomeOf decisionID: RecordID, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        if let (outcome, seq) = try outcome(at: effect.position) {
            respond(responder, Self.response(outcome.body, outcome.subject), route, at: seq)
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
    private func outcome(at position: JournalPosition) throws(Problem) -> (frame: OutcomeFrame, seq: UInt64)? {
        do {
            let frame = try service.journal.readFrame(at: position)
            let outcome = try frame.payload.withUnsafeBytes { bytes throws(FrameError) in
                try OutcomeFrame.decode(bytes)
            }
            return (outcome, frame.seq)
        } catch let error as JournalError where error.code == .segmentRemoved {
            return nil
        } catch {
            throw Problem(503, "journal_unreadable", "The outcome's frame cannot be read.", retryAfter: 5)
        }
    }
}
