import Access
import Decisions
import FEEL
import Features
import HTTP
import JSON
import Journal
import Postgres

/// A record as it was found, wherever it lies.
struct FoundRecord: Sendable {
    let bytes: [UInt8]
    let seq: UInt64
    /// Whether PostgreSQL gave it, or the journal.
    let isFromPostgres: Bool
    /// What its outcomes are counted by.
    let decision: DecisionReference
}

extension ServiceHandler {
    /// Reading, listing and replaying DecisionRecords.
    func decisionRecords(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        switch route.operation {
        case .listDecisionRecords: try listDecisionRecords(request, route, responder)
        case .replayDecisionRecord: try replay(request, route, responder)
        default:
            let id = try recordID(route)
            service.query(responder) { (connection) throws(Problem) in
                let record = try self.findPermitted(id, route, connection)
                let outcomes = try self.outcomes(of: id, connection)
                return try self.show(record, id, outcomes, route)
            } answer: { response, isPersonal in
                self.service.answerLogged(
                    responder, response, route, action: "decision_records.read",
                    resource: AccessResource(type: "decision_record", id: id.text), masked: isPersonal)
            }
        }
    }

    private func recordID(_ route: RequestRoute) throws(Problem) -> RecordID {
        guard let id = RecordID(route.parameter("id")) else {
            throw Problem(404, "unknown_record", "A record's id is a UUID.")
        }
        return id
    }

    /// The record, if this caller may act on it.
    func findPermitted(
        _ id: RecordID, _ route: RequestRoute, _ connection: PostgresConnection?,
        until deadline: PostgresDeadline? = nil
    ) throws(Problem) -> FoundRecord {
        let found: FoundRecord
        do throws(Problem) {
            found = try find(id, connection, until: deadline)
        } catch {
            try authorize(route, record: nil)
            throw error
        }
        try authorize(route, record: found)
        return found
    }

    /// A record that is not shipped yet is read from the journal, else from PostgreSQL.
    func find(
        _ id: RecordID, _ connection: PostgresConnection?, until deadline: PostgresDeadline? = nil
    ) throws(Problem) -> FoundRecord {
        if let position = service.state.records.position(id), let found = try record(at: position) { return found }
        guard let connection else { throw Problem.needsPostgres }
        do {
            let rows = try connection.query(ServiceStatements.record, [.uuid(id.uint128)], until: deadline)
            guard rows.rowCount == 1, let bytes = try rows.bytes(0, 1), let seq = try rows.int64(0, 0) else {
                if let record = try unshippableRecord(id, connection, until: deadline) { return record }
                throw Problem(404, "unknown_record", "There is no DecisionRecord of this id.")
            }
            let decision = DecisionReference(
                decision: try rows.string(0, 2) ?? "", version: UInt32(clamping: try rows.int64(0, 3) ?? 0),
                decidedMicros: try rows.int64(0, 4) ?? 0, entity: try rows.string(0, 5) ?? "")
            return FoundRecord(bytes: bytes, seq: UInt64(seq), isFromPostgres: true, decision: decision)
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Problem.needsPostgres
        }
    }

    /// A record whose row PostgreSQL refused: its frame is in quarantine.
    private func unshippableRecord(
        _ id: RecordID, _ connection: PostgresConnection, until deadline: PostgresDeadline?
    ) throws(PostgresError) -> FoundRecord? {
        let rows = try connection.query(ServiceStatements.unshippableRecord, [.text(id.text)], until: deadline)
        guard rows.rowCount == 1, let raw = try rows.bytes(0, 1), let seq = try rows.int64(0, 0) else { return nil }
        return raw.withUnsafeBytes { raw in
            (try? DecisionFrame.decode(raw)).map { frame in
                FoundRecord(
                    bytes: [UInt8](frame.record), seq: UInt64(seq), isFromPostgres: true,
                    decision: DecisionReference(frame))
            }
        }
    }

    /// Reads the record of a decision frame in the journal; nil when its segment is recycled, since PostgreSQL has it.
    func record(at position: JournalPosition) throws(Problem) -> FoundRecord? {
        do {
            let frame = try service.journal.readFrame(at: position)
            return try frame.payload.withUnsafeBytes { bytes throws(FrameError) in
                let decoded = try DecisionFrame.decode(bytes)
                return FoundRecord(
                    bytes: [UInt8](decoded.record), seq: frame.seq, isFromPostgres: false,
                    decision: DecisionReference(decoded))
            }
        } catch let error as JournalError where error.code == .segmentRemoved {
            return nil
        } catch {
            throw Problem(503, "journal_unreadable", "The record's frame cannot be read.", retryAfter: 5)
        }
    }

    /// Answers with what a durable decision gave: from the journal, or from PostgreSQL once its segment is recycled.
    func answerAgain(_ effect: DurableEffect, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        if let record = try record(at: effect.position) {
            respond(responder, try decisionAnswer(record, route), route, at: record.seq)
            return
        }
        service.query(responder) { (connection) throws(Problem) in
            (try self.decisionAnswer(try self.find(effect.id, connection), route), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    /// The answer that a durable decision gave, as this caller may see it.
    private func decisionAnswer(_ record: FoundRecord, _ route: RequestRoute) throws(Problem) -> Response {
        guard let tree = try? JSONTree(parsing: record.bytes) else {
            throw Problem(503, "journal_unreadable", "The record does not parse.")
        }
        let shown = mask(tree, route).value
        var members: [JSONTree.Member] = []
        for key in ["id", "decision", "version"] {
            members.append(JSONTree.Member(key: key, value: shown[key] ?? .null))
        }
        members.append(contentsOf: (shown["result"]?.object ?? []).filter { $0.key != "evidence" })
        members.append(JSONTree.Member(key: "experiment", value: .null))
        for key in ["as_of", "features_seq"] {
            members.append(JSONTree.Member(key: key, value: shown[key] ?? .null))
        }
        members.append(JSONTree.Member(key: "latency_ms", value: .integer(0)))
        members.append(JSONTree.Member(key: "seq", value: .integer(Int64(record.seq))))
        return Response.json(200, JSONTree.object(members).bytes)
    }

    func outcomes(of id: RecordID, _ connection: PostgresConnection?) throws(Problem) -> [JSONTree] {
        var seen: Set<String> = []
        var trees: [JSONTree] = []
        for outcome in service.state.records.outcomes(id) {
            seen.insert(outcome.id.text)
            if let tree = try? JSONTree(parsing: outcome.body) { trees.append(tree) }
        }
        guard let connection else { return trees }
        do {
            let rows = try connection.query(ServiceStatements.outcomes, [.uuid(id.uint128)])
            for row in 0..<rows.rowCount {
                guard let text = try rows.string(row, 0), let tree = try? JSONTree(parsing: text) else { continue }
                if let outcomeID = tree["id"]?.string, !seen.contains(outcomeID) { trees.append(tree) }
            }
        } catch {
            // The record itself was found; outcomes that only PostgreSQL knows come back with it.
            service.observe(.failure(component: "decision_records", code: error.code))
        }
        return trees
    }

    /// A version of a decision as parsed; the one in force need not be parsed again, which takes long for a DMN model.
    private func decisionSpec(_ name: String, _ version: Int, _ snapshot: Snapshot) -> DecisionSpec? {
        if let current = snapshot.decisions[name]?.decision, current.version == version { return current.spec }
        return service.state.history.entry(DefinitionKey(kind: .decision, name: name), version: version).flatMap {
            DecisionSpec.parse($0.definition.spec, at: "", ProblemList())
        }
    }

    /// A record with its classified fields masked for this caller, and the fields that were.
    func mask(_ record: JSONTree, _ route: RequestRoute) -> MaskedValue {
        let name = record["decision"]?.string ?? ""
        let plan = service.maskPlan(route, AccessResource(type: "decision_record", id: record["id"]?.string ?? "*"))
        guard !plan.showsEverything else { return MaskedValue(value: record, maskedFields: []) }
        var classifications: [String: String] = [:]
        var tableInputs: Set<String> = []
        let version = record["version"]?.int64.map(Int.init) ?? 0
        if let spec = decisionSpec(name, version, route.snapshot) {
            for input in spec.inputs {
                guard let classification = input.classification else { continue }
                classifications["inputs.\(input.name)"] = classification
                for table in spec.tableInputs(reading: [input.name]) where tableInputs.insert(table).inserted {
                    classifications["result.matched_rules.inputs.\(table)"] = classification
                    classifications["near_misses.inputs.\(table).value"] = classification
                }
            }
        }
        for (view, entry) in route.snapshot.views {
            let contract = route.snapshot.contracts[entry.definition.spec.contract]
            for feature in entry.definition.spec.features {
                if let classification = entry.definition.classification(of: feature, contract) {
                    classifications["features.\(view).values.\(feature.name)"] = classification
                }
            }
        }
        if classifications.values.contains(where: { plan.verdict(path: "", classification: $0) != nil }) {
            // A hash over masked values would let them be guessed, and a reason may quote them.
            classifications["result.evidence"] = "personal"
            classifications["result.warnings.reason"] = "personal"
        }
        return plan.apply(to: record, classifications: classifications, key: service.maskKey)
    }

    private func show(
        _ record: FoundRecord, _ id: RecordID, _ outcomes: [JSONTree], _ route: RequestRoute
    ) throws(Problem) -> (response: Response, masked: [String]) {
        guard let tree = try? JSONTree(parsing: record.bytes), case .object = tree else {
            throw Problem(500, "record_unreadable", "The stored record does not parse.")
        }
        let masked = mask(tree, route)
        var shown = masked.value.object ?? []
        shown.append(JSONTree.Member(key: "seq", value: .integer(Int64(record.seq))))
        shown.append(JSONTree.Member(key: "outcomes", value: .array(outcomes)))
        shown.append(JSONTree.Member(key: "shipped", value: .bool(record.isFromPostgres)))
        return (Response.json(200, JSONTree.object(shown).bytes), masked.maskedFields)
    }

    private func listDecisionRecords(
        _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        let page = try Page(request.head, allowing: ["decision", "entity"])
        let decision = request.head.queryParameter("decision")
        let entity = request.head.queryParameter("entity")
        service.query(responder) { (connection) throws(Problem) in
            guard let connection else { throw Problem.needsPostgres }
            let before = page.cursor ?? Int64.max
            do {
                let rows = try connection.query(
                    ServiceStatements.records,
                    [
                        .int64(before), decision.map { .text($0) } ?? .null, entity.map { .text($0) } ?? .null,
                        .int64(Int64(page.limit)),
                    ])
                var writer = JSONWriter()
                writer.beginObject()
                writer.key("records")
                writer.beginArray()
                var last: Int64?
                for row in 0..<rows.rowCount {
                    writer.beginObject()
                    for (column, key) in ["id", "decision", "entity"].enumerated() {
                        writer.key(key)
                        if let text = try rows.string(row, column) { writer.string(text) } else { writer.null() }
                    }
                    writer.key("version")
                    writer.integer(try rows.int64(row, 3) ?? 0)
                    writer.key("decided_at")
                    writer.timestamp(try rows.int64(row, 4) ?? 0)
                    writer.key("seq")
                    last = try rows.int64(row, 5)
                    writer.integer(last ?? 0)
                    writer.endObject()
                }
                writer.endArray()
                writer.key("next_cursor")
                if rows.rowCount == page.limit, let last { writer.string(String(last)) } else { writer.null() }
                writer.endObject()
                return (Response.json(200, writer.bytes), [])
            } catch {
                throw Problem.needsPostgres
            }
        } answer: { response, masked in
            self.service.answerLogged(
                responder, response, route, action: "decision_records.read",
                resource: AccessResource(type: "decision_record", id: "*"), masked: masked)
        }
    }

    private func replay(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let id = try recordID(route)
        let replay = try ReplayRequest(request.body)
        service.query(responder) { (connection) throws(Problem) in
            let found = try self.findPermitted(id, route, connection)
            let replayed = try self.service.replayer.replay(found.bytes, replay)
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("id")
            writer.string(id.text)
            writer.key("identical")
            writer.bool(replayed.isIdentical)
            writer.key("recorded_from")
            writer.string(found.isFromPostgres ? "postgres" : "journal")
            let recorded = self.mask(replayed.recorded, route)
            let fresh = self.mask(replayed.replayed, route)
            writer.key("recorded_result")
            (recorded.value["result"] ?? .null).write(to: &writer)
            writer.key("replayed_result")
            (fresh.value["result"] ?? .null).write(to: &writer)
            if replay.nearMissCells != nil {
                writer.key("near_misses")
                (fresh.value["near_misses"] ?? .null).write(to: &writer)
            }
            if replay.explains {
                writer.key("explanations")
                writer.beginArray()
                for item in replayed.explanations {
                    writer.beginObject()
                    writer.key("model")
                    writer.string(item.served.name)
                    writer.key("version")
                    writer.integer(item.served.version)
                    item.explanation.write(item.served, isMasked: !fresh.maskedFields.isEmpty, &writer)
                    writer.endObject()
                }
                writer.endArray()
            }
            writer.endObject()
            return (Response.json(200, writer.bytes), recorded.maskedFields)
        } answer: { response, masked in
            self.service.answerLogged(
                responder, response, route, action: "decision_records.replay",
                resource: AccessResource(type: "decision_record", id: id.text), masked: masked)
        }
    }
}

/// One paging idiom: `limit` and `cursor`.
struct Page: Sendable {
    let limit: Int
    let cursor: Int64?

    /// Reads `limit` and `cursor`; other parameters than these and `allowing` are refused.
    init(_ head: RequestHead, allowing names: Set<String>) throws(Problem) {
        var problems: [DocumentProblem] = []
        head.forEachQueryParameter { key, _ in
            if key != "limit" && key != "cursor" && !names.contains(key) {
                let known = (names.sorted() + ["limit", "cursor"]).joined(separator: ", ")
                problems.append(
                    DocumentProblem(
                        pointer: "/query/\(key)", code: "unknown_parameter", message: "parameters are \(known)"))
            }
        }
        var limit = ServiceLimits.pageDefault
        if let text = head.queryParameter("limit") {
            if let number = Int(text), (1...ServiceLimits.pageMax).contains(number) {
                limit = number
            } else {
                problems.append(
                    DocumentProblem(
                        pointer: "/query/limit", code: "out_of_range", message: "1 to \(ServiceLimits.pageMax)"))
            }
        }
        var cursor: Int64?
        if let text = head.queryParameter("cursor") {
            cursor = Int64(text)
            if cursor == nil || text.utf8.first == UInt8(ascii: "+") || (cursor ?? 0) < 0 {
                problems.append(
                    DocumentProblem(
                        pointer: "/query/cursor", code: "invalid_cursor", message: "take next_cursor as it is"))
            }
        }
        guard problems.isEmpty else { throw Problem.invalid(problems) }
        self.limit = limit
        self.cursor = cursor
    }
}

extension RecordID {
    /// As PostgreSQL's uuid.
    var uint128: UInt128 { UInt128(high) << 64 | UInt128(low) }
}
