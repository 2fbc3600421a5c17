import Decisions
import FEEL
import Features
import HTTP
import JSON
import Journal
import Synchronization

/// Memory that one thread reuses from decision to decision.
final class DecideWorkspace {
    let parser = JSONParser(limits: JSONLimits(bytesMax: 1 << 20, depthMax: 64))
    var vector = FeatureVector()
    var scratch = DecisionScratch()
    var writer = ByteWriter()
}

/// What the caller of a decision asked for, beside the inputs.
struct DecideOptions {
    var asOfMicros: Int64
    /// Whether `as_of` was given.
    var isHistoric = false
    var knownAt: KnownAt
    var deadlineNanoseconds: UInt64
}

/// A decision on its way to the disk: answers when its record is durable.
final class DecideAck: PendingAck, @unchecked Sendable {
    // SAFETY: everything is set before the append and only read afterwards.
    private let responder: Responder
    private let body: [UInt8]
    private let claim: IdempotencyClaim?
    private let idempotency: IdempotencyTable

    /// - Parameter body: the answer up to and without the value of its last member, `"seq":`.
    init(responder: Responder, body: [UInt8], claim: IdempotencyClaim?, idempotency: IdempotencyTable) {
        self.responder = responder
        self.body = body
        self.claim = claim
        self.idempotency = idempotency
    }

    override func durable(firstSeq: UInt64, answers: inout ResponseBatch) {
        _ = answers.add(responder, Response.json(200, DecisionAnswer.complete(body, seq: firstSeq)))
    }

    override func abandoned(_ reason: AppendRefusal, answers: inout ResponseBatch) {
        if reason != .failed, let claim { idempotency.release(claim) }
        _ = answers.add(responder, Problem.journal(reason.rawValue).response)
    }
}

/// Computes a decision and hands its record to the journal.
final class DecidePipeline: Sendable {
    private let state: ServiceState
    private let journal: ServiceJournal
    private let clock: WallClock

    init(state: ServiceState, journal: ServiceJournal, clock: WallClock) {
        self.state = state
        self.journal = journal
        self.clock = clock
    }

    /// Decides one request.
    ///
    /// - Parameters:
    ///   - entry: the decision.
    ///   - inputs: one value per declared input.
    ///   - maskedInputs: inputs that the caller may not read back.
    /// - Throws: a problem, in which case nothing was recorded.
    func decide(
        _ entry: DecisionEntry, inputs: [Value], options: DecideOptions, claim: IdempotencyClaim?, principal: String,
        traceID: String?, maskedInputs: Set<String>, snapshot: Snapshot, receivedNanoseconds: UInt64,
        responder: Responder, _ workspace: DecideWorkspace
    ) throws(Problem) -> DecisionResult {
        let decision = entry.decision
        let now = clock.now()
        let (features, featuresSeq) = try assemble(entry, inputs, options, workspace)
        var steps = LiveSteps(clock: LoopClock(), deadlineNanoseconds: options.deadlineNanoseconds)
        let result = decision.evaluate(
            inputs: inputs, features: features, models: { snapshot.models[$0] ?? .withdrawn }, steps: &steps,
            scratch: &workspace.scratch)
        let inputBytes = DecisionEncoding.inputs(decision, inputs)
        let featureBytes = DecisionEncoding.features(decision, features)
        let evidence = inputBytes.withUnsafeBytes { inputs in
            featureBytes.withUnsafeBytes { DecisionEncoding.evidence(inputs: inputs, features: $0) }
        }
        let resultBytes = DecisionEncoding.result(decision, result, evidence: evidence)
        let id = RecordID(micros: now, random: (Randomness.word(), Randomness.word()))
        let entity = decision.spec.entityInput.flatMap { inputs[$0].string } ?? ""
        let record = DecisionAnswer.record(
            id: id, decision: decision, decidedMicros: now, options: options, principal: principal, entity: entity,
            traceID: traceID, featuresSeq: featuresSeq, inputs: inputBytes, features: featureBytes,
            steps: DecisionEncoding.steps(result), result: resultBytes)
        guard record.count <= ServiceLimits.recordBytesMax else {
            throw Problem(413, "record_too_large", "The DecisionRecord would be larger than the limit.")
        }
        let visible =
            maskedInputs.isEmpty
            ? resultBytes : DecisionEncoding.result(decision, result, evidence: evidence, masking: maskedInputs)
        let body = DecisionAnswer.body(
            id: id, decision: decision, result: visible, asOfMicros: options.asOfMicros, featuresSeq: featuresSeq,
            latencyNanoseconds: MonotonicClock.nanoseconds() &- receivedNanoseconds)
        try append(
            id: id, now: now, decision: decision, entity: entity, record: record, claim: claim, body: body,
            responder: responder, workspace)
        return result
    }

    private func assemble(
        _ entry: DecisionEntry, _ inputs: [Value], _ options: DecideOptions, _ workspace: DecideWorkspace
    ) throws(Problem) -> (values: [[FeatureValue]], seq: Int64) {
        var values: [[FeatureValue]] = []
        var seq: Int64 = 0
        for (use, view) in zip(entry.decision.spec.features, entry.views) {
            guard let key = inputs[use.entityInput].string else {
                values.append(Array(repeating: .null(.noEvent), count: view.definition.spec.features.count))
                continue
            }
            state.features.read(
                key, view.plan, asOf: options.asOfMicros, knownAt: options.knownAt, into: &workspace.vector)
            if case .historyUnavailable = workspace.vector.status {
                throw Problem(
                    503, "history_unavailable",
                    "Memory does not reach back to as_of for this entity, and history cannot be read.", retryAfter: 5)
            }
            values.append(workspace.vector.values)
            seq = max(seq, workspace.vector.featuresSeq)
        }
        return (values, seq)
    }

    private func append(
        id: RecordID, now: Int64, decision: CompiledDecision, entity: String, record: [UInt8],
        claim: IdempotencyClaim?, body: [UInt8], responder: Responder, _ workspace: DecideWorkspace
    ) throws(Problem) {
        workspace.writer.bytes.removeAll(keepingCapacity: true)
        var (name, key) = (decision.name, entity)
        name.withUTF8 { name in
            key.withUTF8 { key in
                record.withUnsafeBytes { record in
                    DecisionFrame(
                        id: id, decidedMicros: now, claim: claim, decision: UnsafeRawBufferPointer(name),
                        version: UInt32(decision.version), entity: UnsafeRawBufferPointer(key), record: record
                    ).encode(into: &workspace.writer)
                }
            }
        }
        let batch = FrameBatch(capacity: workspace.writer.bytes.count + 64)
        batch.context = DecideAck(
            responder: responder, body: body, claim: claim, idempotency: state.idempotency)
        batch.add(type: FrameType.decision.rawValue, payload: workspace.writer.bytes)
        if case .refused(let reason) = journal.append(batch) { throw Problem.journal(reason.rawValue) }
    }
}

/// The event loop's clock as decisions read it.
struct LoopClock: Decisions.MonotonicClock {
    func now() -> UInt64 { HTTP.MonotonicClock.nanoseconds() }
}

/// Writes DecisionRecords and answers.
enum DecisionAnswer {
    /// The record's JSON. Its own position is not in it: the journal gives it when the record is already on its way.
    static func record(
        id: RecordID, decision: CompiledDecision, decidedMicros: Int64, options: DecideOptions, principal: String,
        entity: String, traceID: String?, featuresSeq: Int64, inputs: [UInt8], features: [UInt8], steps: [UInt8],
        result: [UInt8]
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: inputs.count + features.count + result.count + 512)
        writer.beginObject()
        writer.key("id")
        writer.string(id.text)
        writer.key("decision")
        writer.string(decision.name)
        writer.key("version")
        writer.integer(decision.version)
        writer.key("decided_at")
        writer.timestamp(decidedMicros)
        writer.key("as_of")
        writer.timestamp(options.asOfMicros)
        writer.key("principal")
        writer.string(principal)
        writer.key("entity")
        if decision.spec.entityInput == nil { writer.null() } else { writer.string(entity) }
        writer.key("trace_id")
        if let traceID { writer.string(traceID) } else { writer.null() }
        writer.key("features_seq")
        writer.integer(featuresSeq)
        writer.key("inputs")
        writer.raw(inputs)
        writer.key("features")
        writer.raw(features)
        writer.key("steps")
        writer.raw(steps)
        writer.key("result")
        writer.raw(result)
        writer.endObject()
        return writer.bytes
    }

    /// The answer without the value of its last member.
    static func body(
        id: RecordID, decision: CompiledDecision, result: [UInt8], asOfMicros: Int64, featuresSeq: Int64,
        latencyNanoseconds: UInt64
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: result.count + 256)
        writer.beginObject()
        writer.key("id")
        writer.string(id.text)
        writer.key("decision")
        writer.string(decision.name)
        writer.key("version")
        writer.integer(decision.version)
        var bytes = writer.bytes
        bytes.append(UInt8(ascii: ","))
        bytes.append(contentsOf: result[1..<(result.count - DecisionEncoding.evidenceSuffixBytes)])
        bytes.append(contentsOf: ",\"experiment\":null,\"as_of\":\"".utf8)
        Timestamp.append(asOfMicros, to: &bytes)
        bytes.append(contentsOf: "\",\"features_seq\":".utf8)
        bytes.append(contentsOf: String(featuresSeq).utf8)
        bytes.append(contentsOf: ",\"latency_ms\":".utf8)
        let micros = latencyNanoseconds / 1000
        let fraction = String(micros % 1000)
        bytes.append(contentsOf: "\(micros / 1000).".utf8)
        bytes.append(contentsOf: String(repeating: "0", count: 3 - fraction.utf8.count).utf8)
        bytes.append(contentsOf: fraction.utf8)
        bytes.append(contentsOf: ",\"seq\":".utf8)
        return bytes
    }

    /// Puts the position in and closes the object.
    static func complete(_ body: [UInt8], seq: UInt64) -> [UInt8] {
        var bytes = body
        bytes.append(contentsOf: String(seq).utf8)
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}
