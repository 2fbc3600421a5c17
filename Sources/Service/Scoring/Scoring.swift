import HTTP
import JSON

/// Rows of one request, and how their scores are answered.
struct ScoringRequest: Sendable {
    let table: RowTable
    /// The body of the answer in the protocol of the request.
    let answer: @Sendable (RowScores, ServedModel) throws(Problem) -> [UInt8]
}

/// What one scoring operation asks for: a model, and how the body is read for it.
struct ScoringCall: Sendable {
    let model: String
    /// A version of the model; nil for its champion.
    let version: Int?
    /// Whether JSON may hold NaN and the infinities, as some clients write them.
    var allowsNaN = false
    /// Reads a body, in the shape of the protocol, for the model that was found.
    let read: @Sendable (UnsafeRawBufferPointer, ServedModel, JSONParser) throws(Problem) -> ScoringRequest
}

extension ServiceHandler {
    /// Answers a scoring operation: a few rows on the event loop, more on the bulk pool in slices.
    func score(
        _ call: ScoringCall, _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        let encoding = request.head.known(.contentEncoding)?.lowercased()
        guard encoding == nil || encoding == "gzip" || encoding == "identity" else {
            throw Problem(415, "unsupported_encoding", "Content-Encoding is gzip, or absent.")
        }
        let isChampion = call.version == nil || call.version == route.snapshot.served[call.model]?.version
        let isSmall = encoding != "gzip" && request.body.count <= ServiceLimits.scoreInlineBodyBytesMax
        guard isChampion, isSmall else {
            let (body, limit) = (request.bodyBytes, service.configuration.scoreBodyBytesMax)
            return try onBulk(request, route, responder) { () throws(Problem) in
                let plain = encoding == "gzip" ? try Self.inflate(body, limit) : body
                let model = try self.usable(call.model, version: call.version, route.snapshot)
                let parser = JSONParser(limits: JSONLimits(bytesMax: limit, allowsNaN: call.allowsNaN))
                let read = plain.withUnsafeBytes { bytes in
                    Result { () throws(Problem) in try call.read(bytes, model, parser) }
                }
                return try self.answer(read.get(), model, responder)
            }
        }
        let model = try usable(call.model, version: nil, route.snapshot)
        let parsers = call.allowsNaN ? lenientParsers : scoringParsers
        let read = try parsers.with { (parser) throws(Problem) in try call.read(request.body, model, parser) }
        if read.table.rowCount <= ServiceLimits.scoreInlineRowsMax {
            if let response = try answer(read, model, responder) { responder.respond(response) }
            return
        }
        try onBulk(request, route, responder) { () throws(Problem) in
            try self.answer(read, model, responder)
        }
    }

    /// Runs `work` on the bulk pool, for as long as large requests may take, and answers with what it gives.
    func onBulk(
        _ request: Request?, _ route: RequestRoute, _ responder: Responder,
        _ work: @escaping @Sendable () throws(Problem) -> Response?
    ) throws(Problem) {
        if let request {
            request.deadlineNanoseconds = request.head.receivedNanoseconds &+ Self.bulkDeadlineNanoseconds
        }
        let isQueued = service.bulk.submit {
            do throws(Problem) {
                if responder.isWaiting, let response = try work() { responder.respond(response) }
            } catch {
                responder.respond(route.response(error))
            }
        }
        if !isQueued { throw Problem(503, "busy", "Too many large requests are waiting.", retryAfter: 1) }
    }

    /// A model that can score, or why there is none.
    func usable(_ name: String, version: Int?, _ snapshot: Snapshot) throws(Problem) -> ServedModel {
        switch service.model(name, version: version, in: snapshot) {
        case .served(let model): return model
        case .unknownModel: throw Self.unknownModel
        case .unknownVersion: throw Problem(404, "unknown_version", "The model has no such version.")
        case .unusable(let code):
            // Waiting helps with a file that is not here yet, not with a version that is out of use.
            throw Problem(
                code == "version_retired" || code == "no_champion" ? 404 : 503, code,
                "The model cannot score now (\(code)); GET /v1/models/{name} shows its versions and their stages.")
        }
    }

    /// The versions of a model that a caller may name, ascending: those that are not retired, but for a champion whose file
    /// is missing or broken.
    func usableVersions(_ name: String, _ snapshot: Snapshot) -> [Int] {
        let versions = service.library.usableVersions(name)
        guard snapshot.models[name]?.unusableCause != nil else { return versions }
        let champion = snapshot.definitions[DefinitionKey(kind: .model, name: name)]?.version
        return versions.filter { $0 != champion }
    }

    /// The answer; nil when nobody waits for it any more.
    private func answer(
        _ request: ScoringRequest, _ model: ServedModel, _ responder: Responder
    ) throws(Problem) -> Response? {
        let coded: ServedModel.Coded
        do throws(RowRefusal) {
            coded = try model.code(request.table)
        } catch {
            throw error.problem
        }
        var scores = RowScores()
        var prediction = model.model.makePrediction()
        var row = 0
        while row < coded.rowCount {
            guard responder.isWaiting else { return nil }
            let end = min(row + ServiceLimits.scoreRowsPerSlice, coded.rowCount)
            model.score(coded, rows: row..<end, using: &prediction, into: &scores)
            row = end
        }
        service.drift.observe(model, coded, scores)
        return Response.json(200, try request.answer(scores, model))
    }
}

extension RowRefusal {
    /// The refusal of a whole request for this.
    var problem: Problem {
        let row = row.map { "row \($0)" }
        let column = column.map { "input \(InferenceRequest.clipped($0))" }
        let place = [row, column].compactMap { $0 }.joined(separator: ", ")
        return Problem(400, code, place.isEmpty ? "\(message)." : "\(place): \(message).")
    }
}

extension JSONParser {
    /// The value of a body.
    func body(_ bytes: UnsafeRawBufferPointer) throws(Problem) -> JSONValue {
        do throws(JSONError) {
            return try parse(bytes)
        } catch {
            throw Problem.malformed(error)
        }
    }
}
