import HTTP
import JSON
import Journal

/// What a write's query says about its answer: `ack` (when it is owed) and `deadline_ms` (until when).
struct AckParameters: Sendable {
    /// The names of both.
    static let names: Set<String> = ["ack", "deadline_ms"]

    /// Who waits for PostgreSQL; nil with `ack=journal`, the default.
    var shipAck: ShipAck?
    /// Milliseconds from the request's arrival; nil: the operation's own deadline.
    var deadlineMilliseconds: Int?

    /// Reads both.
    ///
    /// - Parameter hasDatabase: whether there is a PostgreSQL to wait for.
    init(_ head: RequestHead, hasDatabase: Bool) throws(Problem) {
        var problems: [DocumentProblem] = []
        switch head.queryParameter("ack") {
        case nil, "journal": break
        case "postgres" where hasDatabase: shipAck = ShipAck()
        case "postgres":
            problems.append(
                DocumentProblem(
                    pointer: "/query/ack", code: "not_configured", message: "this daemon has no database_url"))
        default:
            problems.append(
                DocumentProblem(
                    pointer: "/query/ack", code: "value_not_allowed", message: "journal, or postgres"))
        }
        if let text = head.queryParameter("deadline_ms") {
            if let milliseconds = Int(text), (1...ServiceLimits.deadlineMillisecondsMax).contains(milliseconds) {
                deadlineMilliseconds = milliseconds
            } else {
                problems.append(
                    DocumentProblem(
                        pointer: "/query/deadline_ms", code: "out_of_range",
                        message: "1 to \(ServiceLimits.deadlineMillisecondsMax) milliseconds"))
            }
        }
        guard problems.isEmpty else { throw Problem.invalid(problems) }
    }

    /// Neither was said.
    init() {}

    /// Who waits, of a request that is one batch.
    func oneBatch() -> ShipAck? {
        shipAck?.batchAppended()
        shipAck?.requestComplete()
        return shipAck
    }

    /// Makes `deadline_ms` the request's deadline.
    func setDeadline(_ request: Request) {
        guard let deadlineMilliseconds else { return }
        request.deadlineNanoseconds =
            request.head.receivedNanoseconds &+ UInt64(deadlineMilliseconds) &* 1_000_000
    }
}

extension ServiceHandler {
    /// Sends the answer of an effect that is durable already, with `ack=postgres` once PostgreSQL has its frame. A frame that
    /// is not in the journal any more was shipped before: its answer needs none of this.
    func respond(_ responder: Responder, _ response: Response, _ route: RequestRoute, at seq: UInt64) {
        guard let ack = route.ack.shipAck else {
            responder.respond(response)
            return
        }
        _ = route.ack.oneBatch()
        ack.batchDurable()
        var answers = ResponseBatch()
        service.shipper.waits.hold(
            ResponseAck(responder: responder, response: response), ack, firstSeq: seq, lastSeq: seq, answers: &answers)
        answers.send()
    }

    /// Answers a request whose deadline has passed, by what is known of its outcome.
    func answerLate(_ route: RequestRoute, _ responder: Responder) {
        if let ack = route.ack.shipAck {
            ack.abandon()
            if ack.isDurable {
                responder.respond(Self.notShippedInTime.response)
                return
            }
        }
        let problem =
            route.operation == .postDecision
            ? Problem(
                503, "record_not_durable",
                "The record was not durable within the deadline; the outcome is unknown. Retry with the same Idempotency-Key.",
                retryAfter: 1)
            : Problem(503, "deadline_exceeded", "The answer was not ready in time.", retryAfter: 1)
        responder.respond(route.response(problem))
    }

    private static let notShippedInTime = Problem(
        503, "not_shipped_in_time",
        "The journal has it, and it will be shipped; PostgreSQL did not have it within the deadline. A retry of the same events or with the same Idempotency-Key changes nothing twice and waits again.",
        retryAfter: 1)
}
