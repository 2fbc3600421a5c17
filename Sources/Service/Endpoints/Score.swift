import HTTP
import JSON
import Models
import Synchronization

extension ServiceHandler {
    /// `POST /v1/models/{name}/score`: scores of one record or of many, with what moved them when `explain` is asked for.
    /// Small requests are answered where they are read, others in turns on the bulk pool.
    func scoreModel(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        if request.body.count <= ServiceLimits.scoreInlineBodyBytesMax {
            let work = try readScore(request.body, route, isInline: true)
            if let work {
                work.finish()
                responder.respond(work.response)
                return
            }
        }
        let body = request.bodyBytes
        request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.bulkDeadlineNanoseconds
        let isQueued = service.bulk.submit {
            do throws(Problem) {
                let work = try body.withUnsafeBufferPointer { (bytes) throws(Problem) in
                    try self.readScore(UnsafeRawBufferPointer(bytes), route, isInline: false)
                }
                if let work { self.takeTurn(work, responder) }
            } catch {
                responder.respond(error.response)
            }
        }
        if !isQueued { throw Problem(503, "busy", "Too many large requests are waiting.", retryAfter: 1) }
    }

    /// One turn; then the job stands behind what waited meanwhile.
    private func takeTurn(_ work: ScoreWork, _ responder: Responder) {
        guard work.turn() else {
            responder.respond(work.response)
            return
        }
        if service.bulk.submit({ self.takeTurn(work, responder) }) { return }
        // A full queue or a stop: this request ends first.
        work.finish()
        responder.respond(work.response)
    }

    /// Reads and codes the rows; nil when the request is not for this place: it has many rows, is to be explained, or needs
    /// a model that is not loaded.
    private func readScore(
        _ body: UnsafeRawBufferPointer, _ route: RequestRoute, isInline: Bool
    ) throws(Problem) -> ScoreWork? {
        let parser = JSONParser(limits: JSONLimits(bytesMax: service.configuration.scoreBodyBytesMax))
        let root: JSONValue
        do {
            root = try parser.parse(body)
        } catch {
            throw Problem.malformed(error)
        }
        let head = try ScoreRequest.head(root)
        let rows = root["records"]?.count ?? root["rows"]?.count ?? 1
        if isInline, head.version != nil || head.explains || rows > ServiceLimits.scoreInlineRowsMax { return nil }
        let served = try usable(route.parameter("name"), version: head.version, route.snapshot)
        return ScoreWork(served, try ScoreRequest(root, head, for: served), observe: service.drift)
    }
}

/// Rows being scored. One thread at a time: a turn ends before the next begins.
///
/// SAFETY: `@unchecked Sendable` because turns of one request follow one another; each is submitted when the one before
/// has ended, and the pool's queue orders them.
final class ScoreWork: @unchecked Sendable {
    private let served: ServedModel
    private let request: ScoreRequest
    private let drift: DriftRecorder
    private var prediction: Prediction
    private var scores = RowScores()
    private var explanations: [ModelExplanation] = []
    private var next = 0

    init(_ served: ServedModel, _ request: ScoreRequest, observe drift: DriftRecorder) {
        self.served = served
        self.request = request
        self.drift = drift
        prediction = served.model.makePrediction()
    }

    /// Scores the next rows; false when all are done.
    func turn() -> Bool {
        let count = request.coded.rowCount
        let size = request.explains ? ServiceLimits.explainedRowsPerSlice : ServiceLimits.scoreRowsPerSlice
        let range = next..<min(count, next + size)
        served.score(request.coded, rows: range, using: &prediction, into: &scores)
        if request.explains {
            for row in range { explanations.append(explanation(row)) }
        }
        next = range.upperBound
        if next < count { return true }
        drift.observe(served, request.coded, scores)
        return false
    }

    /// Scores all that is left.
    func finish() {
        while turn() {}
    }

    private func explanation(_ row: Int) -> ModelExplanation {
        let width = served.inputs.count
        let (outputs, values) = (served.model.outputCount, served.model.predictionCount)
        return ModelExplanation(
            served, row: Array(request.coded.numbers[(row * width)..<((row + 1) * width)]),
            margins: Array(scores.margins[(row * outputs)..<((row + 1) * outputs)]),
            values: Array(scores.values[(row * values)..<((row + 1) * values)]), reasonsMax: request.reasonsMax)
    }

    // MARK: The answer

    /// The answer; once every row is scored.
    var response: Response {
        var writer = JSONWriter(capacity: 256 + 64 * request.coded.rowCount)
        writer.beginObject()
        writer.key("model")
        writer.beginObject()
        writer.key("name")
        writer.string(served.name)
        writer.key("version")
        writer.integer(served.version)
        writer.endObject()
        if request.isSingle {
            writer.key("result")
            writeResult(0, &writer)
        } else {
            writer.key("results")
            writer.beginArray()
            for row in 0..<request.coded.rowCount { writeResult(row, &writer) }
            writer.endArray()
        }
        writer.key("data_quality")
        writeQuality(&writer)
        writer.endObject()
        return Response.json(200, writer.bytes)
    }

    private func writeResult(_ row: Int, _ writer: inout JSONWriter) {
        let model = served.model
        let values = scores.values[(row * model.predictionCount)..<((row + 1) * model.predictionCount)]
        let margins = scores.margins[(row * model.outputCount)..<((row + 1) * model.outputCount)]
        writer.beginObject()
        writer.key("score")
        write(values[values.startIndex + served.outputIndex], &writer)
        if values.count > 1 {
            writer.key("values")
            writer.beginArray()
            for value in values { write(value, &writer) }
            writer.endArray()
        }
        writer.key("margin")
        if margins.count == 1 {
            write(margins[margins.startIndex], &writer)
        } else {
            writer.beginArray()
            for margin in margins { write(margin, &writer) }
            writer.endArray()
        }
        if model.hasPoints {
            writer.key("points")
            writer.double(scores.points[row])
        }
        if request.explains { explanations[row].write(served, &writer) }
        writer.endObject()
    }

    /// A number of the model in the width that it computes in; null where it is none.
    private func write(_ value: Double, _ writer: inout JSONWriter) {
        if !value.isFinite { return writer.null() }
        switch served.model.outputWidth {
        case .float32: writer.float(Float(value))
        case .float64: writer.double(value)
        }
    }

    private func writeQuality(_ writer: inout JSONWriter) {
        let quality = request.coded.quality
        writer.beginObject()
        writer.key("ignored")
        writer.beginArray()
        for name in quality.ignored { writer.string(name) }
        writer.endArray()
        for (key, counts) in [("missing", quality.missing), ("unknown", quality.unknown)] {
            writer.key(key)
            writer.beginObject()
            for (index, count) in counts.enumerated() where count > 0 {
                writer.key(served.inputs[index].name)
                writer.integer(count)
            }
            writer.endObject()
        }
        writer.endObject()
    }
}
