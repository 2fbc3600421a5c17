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
    var joint = JointRead()
    var scratch = DecisionScratch()
    /// The record that is being written, and its features before they have their place.
    var record = JSONWriter(capacity: 4096)
    var features = JSONWriter(capacity: 2048)
    /// Its frame.
    var writer = ByteWriter()
}

/// What the caller of a decision asked for, beside the inputs.
struct DecideOptions {
    var asOfMicros: Int64
    /// Whether `as_of` was given.
    var isHistoric = false
    var knownAt: KnownAt
    var deadlineNanoseconds: UInt64
    /// Who waits for PostgreSQL.
    var shipAck: ShipAck?
}

/// What a decision reads of its views.
struct AssembledFeatures: Sendable {
    /// By the decision's feature uses, one value per feature of the view.
    var values: [[FeatureValue]]
    /// Events up to this journal position are in all of them, and none after it.
    var seq: Int64
}

/// A decision on its way to the disk: answers when its record is durable.
final class DecideAck: PendingAck, @unchecked Sendable {
    // SAFETY: everything is set before the append; afterwards only the journal thread calls it, once.
    private let responder: Responder
    private var body: [UInt8]
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
        var answer: [UInt8] = []
        swap(&answer, &body)
        _ = answers.add(responder, Response.json(200, DecisionAnswer.complete(answer, seq: firstSeq)))
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
    private let drift: DriftRecorder

    init(state: ServiceState, journal: ServiceJournal, clock: WallClock, drift: DriftRecorder) {
        self.drift = drift
        self.state = state
        self.journal = journal
        self.clock = clock
    }

    /// Decides one request.
    ///
    /// - Parameters:
    ///   - entry: the decision.
    ///   - inputs: one value per declared input.
    ///   - assembled: the features that the decision uses.
    ///   - maskedInputs: inputs that the caller may not read back.
    /// - Throws: a problem, in which case nothing was recorded.
    func decide(
        _ entry: DecisionEntry, inputs: [Value], assembled: AssembledFeatures, options: DecideOptions,
        claim: IdempotencyClaim?, principal: String, traceID: String?, maskedInputs: Set<String>, snapshot: Snapshot,
        receivedNanoseconds: UInt64,
        responder: Responder, _ workspace: DecideWorkspace
    ) throws(Problem) -> DecisionResult {
        let decision = entry.decision
        let now = clock.now()
        let (features, featuresSeq) = (assembled.values, assembled.seq)
        var steps = LiveSteps(clock: LoopClock(), deadlineNanoseconds: options.deadlineNanoseconds)
        let result = decision.evaluate(
            inputs: inputs, features: features, models: { snapshot.models[$0] ?? .withdrawn }, steps: &steps,
            now: options.asOfMicros, scratch: &workspace.scratch)
        for row in workspace.scratch.scoredRows {
            guard let served = snapshot.served[row.model.name], served.version == row.model.version else { continue }
            drift.observe(served, row)
        }
        let id = RecordID(micros: now, random: (Randomness.word(), Randomness.word()))
        let entity = decision.spec.entityInput.flatMap { inputs[$0].string } ?? ""
        let facts = RecordFacts(
            id: id, decision: decision, decidedMicros: now, asOfMicros: options.asOfMicros,
            knownAt: options.knownAt, principal: principal, entity: entity, traceID: traceID, featuresSeq: featuresSeq)
        let written = DecisionAnswer.record(facts, inputs, features, result, workspace)
        guard workspace.record.count <= ServiceLimits.recordBytesMax else {
            throw Problem(413, "record_too_large", "The DecisionRecord would be larger than the limit.")
        }
        let latency = MonotonicClock.nanoseconds() &- receivedNanoseconds
        var body = JSONWriter(capacity: written.result.count + 320)
        if maskedInputs.isEmpty {
            workspace.record.withBytes { record in
                DecisionAnswer.body(
                    facts, result: UnsafeRawBufferPointer(rebasing: record[written.result]), latency, to: &body)
            }
        } else {
            var visible = JSONWriter(capacity: written.result.count)
            DecisionEncoding.result(
                decision, result, evidence: written.evidence, masking: maskedInputs, to: &visible)
            visible.withBytes { DecisionAnswer.body(facts, result: $0, latency, to: &body) }
        }
        try append(
            facts, featuresOffset: written.featuresOffset, claim: claim, body: body.unfinished(),
            shipAck: options.shipAck, responder: responder, workspace)
        return result
    }

    /// The features that a decision uses, from memory; nil when memory does not hold them all: `HistoryReader` does.
    func assemble(
        _ entry: DecisionEntry, _ inputs: [Value], _ options: DecideOptions, _ workspace: DecideWorkspace
    ) -> AssembledFeatures? {
        workspace.joint.begin()
        var hasKey: UInt64 = 0
        for (use, view) in entry.views.enumerated() {
            guard let key = entry.decision.entityKey(ofUse: use, inputs) else { continue }
            workspace.joint.add(key, view.plan)
            hasKey |= 1 << UInt64(use)
        }
        state.features.read(&workspace.joint, asOf: options.asOfMicros, knownAt: options.knownAt)
        var values: [[FeatureValue]] = []
        var place = 0
        for (use, view) in entry.views.enumerated() {
            guard hasKey & 1 << UInt64(use) != 0 else {
                values.append(view.withoutEntity(asOf: options.asOfMicros))
                continue
            }
            guard workspace.joint.vectors[place].status == .complete else { return nil }
            values.append(
                view.serve(
                    workspace.joint.vectors[place].values, asOf: options.asOfMicros,
                    lastEventTime: workspace.joint.vectors[place].lastEventTimes.first ?? nil))
            place += 1
        }
        return AssembledFeatures(values: values, seq: workspace.joint.featuresSeq)
    }

    private func append(
        _ facts: RecordFacts, featuresOffset: Int, claim: IdempotencyClaim?, body: [UInt8], shipAck: ShipAck?,
        responder: Responder, _ workspace: DecideWorkspace
    ) throws(Problem) {
        workspace.writer.bytes.removeAll(keepingCapacity: true)
        var (name, key) = (facts.decision.name, facts.entity)
        name.withUTF8 { name in
            key.withUTF8 { key in
                workspace.record.withBytes { record in
                    DecisionFrame(
                        id: facts.id, decidedMicros: facts.decidedMicros, claim: claim,
                        decision: UnsafeRawBufferPointer(name), version: UInt32(facts.decision.version),
                        entity: UnsafeRawBufferPointer(key), record: record, featuresOffset: UInt32(featuresOffset)
                    ).encode(into: &workspace.writer)
                }
            }
        }
        let batch = FrameBatch(capacity: workspace.writer.bytes.count + 64)
        let pending = DecideAck(
            responder: responder, body: body, claim: claim, idempotency: state.idempotency)
        pending.shipAck = shipAck
        batch.context = pending
        batch.add(type: FrameType.decision.rawValue, payload: workspace.writer.bytes)
        if case .refused(let reason) = journal.append(batch) { throw Problem.journal(reason.rawValue) }
    }
}

/// The event loop's clock as decisions read it.
struct LoopClock: Decisions.MonotonicClock {
    func now() -> UInt64 { HTTP.MonotonicClock.nanoseconds() }
}

/// What a record and its answer say beside inputs, features and result.
struct RecordFacts {
    let id: RecordID
    let decision: CompiledDecision
    let decidedMicros: Int64
    let asOfMicros: Int64
    let knownAt: KnownAt
    let principal: String
    /// Empty when the decision has no entity.
    let entity: String
    let traceID: String?
    let featuresSeq: Int64
}

/// Writes DecisionRecords and answers.
enum DecisionAnswer {
    /// Where parts of a record's text stand.
    struct Written {
        let result: Range<Int>
        /// The hash over inputs and features that the result names.
        let evidence: UInt64
        /// The comma before the last member, the features.
        let featuresOffset: Int
    }

    /// Writes the record's JSON over what the workspace held. Its own position is not in it: the journal gives it when
    /// the record is already on its way.
    static func record(
        _ facts: RecordFacts, _ inputs: [Value], _ features: [[FeatureValue]], _ result: DecisionResult,
        _ workspace: DecideWorkspace
    ) -> Written {
        workspace.features.removeAll()
        DecisionEncoding.features(facts.decision, features, to: &workspace.features)
        return workspace.features.withBytes { record(facts, inputs, $0, result, to: &workspace.record) }
    }

    private static func record(
        _ facts: RecordFacts, _ inputs: [Value], _ features: UnsafeRawBufferPointer, _ result: DecisionResult,
        to writer: inout JSONWriter
    ) -> Written {
        let decision = facts.decision
        writer.removeAll()
        writer.beginObject()
        begin(facts, &writer)
        DecisionEncoding.tzdata(decision, to: &writer)
        writer.key("decided_at")
        writer.timestamp(facts.decidedMicros)
        writer.key("as_of")
        writer.timestamp(facts.asOfMicros)
        writer.key("known_at")
        switch facts.knownAt {
        case .ingestTime(let micros): writer.timestamp(micros)
        case .latest: writer.string("latest")
        case .seq: preconditionFailure("no caller names a position")
        }
        writer.key("principal")
        writer.string(facts.principal)
        writer.key("entity")
        if decision.spec.entityInput == nil { writer.null() } else { writer.string(facts.entity) }
        writer.key("trace_id")
        if let traceID = facts.traceID { writer.string(traceID) } else { writer.null() }
        writer.key("features_seq")
        writer.integer(facts.featuresSeq)
        writer.key("inputs")
        let inputsStart = writer.count
        DecisionEncoding.inputs(decision, inputs, to: &writer)
        let inputsEnd = writer.count
        let evidence = writer.withBytes { bytes in
            DecisionEncoding.evidence(
                inputs: UnsafeRawBufferPointer(rebasing: bytes[inputsStart..<inputsEnd]), features: features)
        }
        writer.key("steps")
        DecisionEncoding.steps(result, to: &writer)
        writer.key("result")
        let resultStart = writer.count
        DecisionEncoding.result(decision, result, evidence: evidence, to: &writer)
        let resultEnd = writer.count
        writer.key("features")
        writer.raw(features.bindMemory(to: UInt8.self))
        writer.endObject()
        return Written(result: resultStart..<resultEnd, evidence: evidence, featuresOffset: resultEnd)
    }

    private static func begin(_ facts: RecordFacts, _ writer: inout JSONWriter) {
        writer.key("id")
        writer.quoted(room: RecordID.textBytes) { room in
            facts.id.write(at: room)
            return RecordID.textBytes
        }
        DecisionEncoding.identity(facts.decision, to: &writer)
    }

    /// Writes the answer up to the value of its last member, the position.
    ///
    /// - Parameter result: the result as the record has it; its evidence is left out.
    static func body(
        _ facts: RecordFacts, result: UnsafeRawBufferPointer, _ latencyNanoseconds: UInt64,
        to writer: inout JSONWriter
    ) {
        writer.beginObject()
        begin(facts, &writer)
        let members = result[1..<(result.count - DecisionEncoding.evidenceSuffixBytes)]
        writer.raw(UnsafeRawBufferPointer(rebasing: members).bindMemory(to: UInt8.self))
        writer.key("experiment")
        writer.null()
        writer.key("as_of")
        writer.timestamp(facts.asOfMicros)
        writer.key("features_seq")
        writer.integer(facts.featuresSeq)
        writer.key("latency_ms")
        writer.decimal(isNegative: false, coefficient: latencyNanoseconds / 1000, exponent: -3)
        writer.key("seq")
    }

    /// Puts the position in and closes the object; the bytes have room for both.
    static func complete(_ body: consuming [UInt8], seq: UInt64) -> [UInt8] {
        JSONWriter.completing(body, with: seq)
    }
}
