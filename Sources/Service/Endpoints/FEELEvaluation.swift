import Decisions
import FEEL
import HTTP
import JSON

/// The body of `POST /v1/feel/evaluate`, read and checked.
private struct EvaluationRequest: Sendable {
    var source = ""
    var context: [(name: String, value: Value)] = []
    var nowMicros: Int64
    var profile = Profile.dmn
}

extension ServiceHandler {
    /// `POST /v1/feel/evaluate`: one expression over one context, on the bulk pool, since it may take a while.
    func evaluateFEEL(_ request: Request, _ responder: Responder) throws(Problem) {
        let body = request.bodyBytes
        let isQueued = service.bulk.submit {
            do throws(Problem) {
                responder.respond(try self.answerFEEL(body))
            } catch {
                responder.respond(error.response)
            }
        }
        if !isQueued { throw Problem(503, "busy", "Too many large requests are waiting.", retryAfter: 1) }
    }

    private func answerFEEL(_ body: [UInt8]) throws(Problem) -> Response {
        let request = try readEvaluation(body)
        let trial: ExpressionTrial
        do {
            trial = try ExpressionTrial(
                request.source, context: request.context, nowMicros: request.nowMicros, profile: request.profile,
                zones: service.zones.offsets)
        } catch {
            let place = ExpressionTrial.place(error.offset, in: request.source)
            throw Problem.invalid([
                DocumentProblem(
                    pointer: "/expression", code: error.code.rawValue,
                    message: "\(error.message) (line \(place.line), column \(place.column))")
            ])
        }
        var writer = JSONWriter(capacity: 512)
        write(trial, asOf: request.nowMicros, &writer)
        return Response.json(200, writer.bytes)
    }

    private func readEvaluation(_ body: [UInt8]) throws(Problem) -> EvaluationRequest {
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: body)
        } catch {
            throw Problem.malformed(error)
        }
        let problems = ProblemList()
        let reader = TreeReader(tree, at: "", problems)
        var request = EvaluationRequest(nowMicros: service.clock.now())
        request.source = reader.string("expression", required: true) ?? ""
        if let context = reader.value("context") {
            switch ExpressionTrial.context(context) {
            case .success(let names): request.context = names
            case .failure(let refusal):
                let place = "/context" + (refusal.name.map { JSONPointer(tokens: [$0]).text } ?? "")
                problems.add(
                    place, "type_mismatch",
                    refusal.name == nil ? "an object is expected here" : "a number of at most 34 digits is expected")
            }
        }
        if let text = reader.string("as_of") {
            if let micros = Timestamp.parse(text) {
                request.nowMicros = micros
            } else {
                problems.add("/as_of", "type_mismatch", "a time as RFC 3339 writes it is expected")
            }
        }
        switch reader.string("profile") {
        case nil, "dmn": request.profile = .dmn
        case "strict": request.profile = .strict
        default: problems.add("/profile", "value_not_allowed", "dmn or strict")
        }
        reader.finish()
        if !problems.isEmpty { throw Problem.invalid(problems.problems) }
        return request
    }

    private func write(_ trial: ExpressionTrial, asOf: Int64, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("value")
        DecisionEncoding.write(trial.value, to: &writer)
        writer.key("type")
        writer.string(trial.value.type.name)
        writer.key("static_type")
        writer.string(trial.staticType.name)
        writer.key("as_of")
        writer.timestamp(asOf)
        writer.key("trace")
        writer.beginObject()
        writer.key("names")
        writer.beginArray()
        for reading in trial.readings {
            writer.beginObject()
            writer.key("name")
            writer.string(reading.name)
            writer.key("type")
            writer.string(reading.value.type.name)
            writer.key("value")
            DecisionEncoding.write(reading.value, to: &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.key("nulls")
        writer.beginArray()
        for reason in trial.reasons {
            let place = ExpressionTrial.place(reason.offset, in: trial.source)
            writer.beginObject()
            writer.key("code")
            writer.string(reason.code.rawValue)
            writer.key("message")
            writer.string(reason.message)
            writer.key("line")
            writer.integer(Int64(place.line))
            writer.key("column")
            writer.integer(Int64(place.column))
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        writer.endObject()
    }
}
