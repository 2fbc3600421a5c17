import HTTP
import JSON
import Journal
import Synchronization

/// One slice of a request, waiting for the disk.
final class SliceAck: PendingAck, @unchecked Sendable {
    // SAFETY: `reserved`, `links` and `tally` are written by the producer before the append, then read by the journal
    // thread only.
    private let request: EventsRequest
    private let number: Int
    /// Identities that this slice has reserved; their frames come first in its batch, in this order.
    var reserved: [Hash128] = []
    /// Its place among the slices that passed the gate; 0 when it has reserved nothing.
    var ticket: UInt64 = 0
    /// For corrections: what each of them supersedes.
    var links: [DedupeTable.Link] = []
    /// What became of its events.
    var tally = EventTally()

    init(request: EventsRequest, number: Int) {
        self.request = request
        self.number = number
    }

    override func applied(firstSeq: UInt64) {
        request.pipeline.settle(self, firstSeq: firstSeq)
    }

    override func settled() {
        request.onOutcomes(tally)
    }

    override func durable(firstSeq: UInt64, answers: inout ResponseBatch) {
        request.sliceDurable(number, firstSeq: firstSeq, answers: &answers)
    }

    override func abandoned(_ reason: AppendRefusal, answers: inout ResponseBatch) {
        // First, so that a correction of the same request does not take its released target for unknown.
        request.fail(Problem.journal(reason.rawValue), answers: &answers)
        if reason != .failed { request.pipeline.release(self) }
    }
}

/// One `POST /v1/events`, from its first slice to its answer.
final class EventsRequest: Sendable {
    /// What the caller wants to read of the results.
    enum Detail: Sendable {
        /// Every event.
        case all
        /// Only those that were not accepted.
        case problems
    }

    private struct Progress: Sendable {
        var slices: [(firstSeq: UInt64, outcomes: [EventOutcome])] = []
        var durable = 0
        var isComplete = false
        var isAnswered = false
    }

    let pipeline: IngestPipeline
    private let corrector: Corrector
    private let responder: Responder
    private let detail: Detail
    /// Writes a large answer; the journal thread must not.
    private let bulk: WorkerPool
    private let memory: MemoryKeeper
    /// Who waits for PostgreSQL.
    let shipAck: ShipAck?
    private let progress = Mutex(Progress())
    /// Told once a slice, when it is durable.
    fileprivate let onOutcomes: @Sendable (EventTally) -> Void

    init(
        pipeline: IngestPipeline, corrector: Corrector, responder: Responder, detail: Detail, bulk: WorkerPool,
        memory: MemoryKeeper,
        shipAck: ShipAck? = nil, onOutcomes: @escaping @Sendable (EventTally) -> Void
    ) {
        self.pipeline = pipeline
        self.corrector = corrector
        self.responder = responder
        self.detail = detail
        self.bulk = bulk
        self.shipAck = shipAck
        self.memory = memory
        self.onOutcomes = onOutcomes
    }

    /// Runs all slices; returns when the last one was appended or the request has failed. Corrections are handed on: what
    /// they correct must be durable first.
    ///
    /// - Parameter mayWait: on a bulk thread a full queue is waited for; on an event loop it is an answer.
    func run(
        _ body: UnsafeRawBufferPointer, _ slices: [EventSlice], principal: String, mayWait: Bool,
        _ workspace: IngestWorkspace
    ) {
        var start = 0
        var number = 0
        workspace.newKeys.removeAll(keepingCapacity: true)
        workspace.corrections.removeAll()
        repeat {
            let end = min(slices.count, start + ServiceLimits.eventsPerSlice)
            _ = beginSlice()
            guard run(body, slices[start..<end], number, principal, mayWait, workspace) else { return }
            start = end
            number += 1
        } while start < slices.count
        if workspace.corrections.isEmpty { return complete() }
        if let problem = corrector.submit(workspace.corrections, of: self, principal: principal) { fail(problem) }
    }

    /// Makes room for a slice and gives its number.
    func beginSlice() -> Int {
        progress.withLock { progress in
            progress.slices.append((0, []))
            return progress.slices.count - 1
        }
    }

    /// Whether the answer has been given already: the request has failed.
    var isAnswered: Bool { progress.withLock { $0.isAnswered } }

    /// Fills in what became of events that their slices had left open.
    func set(_ outcomes: [(place: PendingCorrection.Place, outcome: EventOutcome)]) {
        progress.withLock { progress in
            for (place, outcome) in outcomes { progress.slices[place.slice].outcomes[place.index] = outcome }
        }
    }

    /// Says that the last slice was appended; answers when all of them are durable.
    func complete() {
        shipAck?.requestComplete()
        var answers = ResponseBatch()
        let isDone = progress.withLock { progress in
            progress.isComplete = true
            return progress.durable == progress.slices.count
        }
        if isDone { answer(&answers) }
        answers.send()
    }

    /// Milliseconds that one slice of a bulk request waits for room in the journal's queue.
    static let queueWaitMillisecondsMax = 10_000
    /// Milliseconds that it waits for room in the memory of features: for shipping to catch up and entities to be spilled.
    private static let memoryWaitMillisecondsMax = 2_000

    private func run(
        _ body: UnsafeRawBufferPointer, _ slices: ArraySlice<EventSlice>, _ number: Int, _ principal: String,
        _ mayWait: Bool, _ workspace: IngestWorkspace
    ) -> Bool {
        let known = workspace.corrections.count
        for attempt in 0... {
            if memory.isFull {
                if mayWait && attempt < Self.memoryWaitMillisecondsMax {
                    Threads.sleep(microseconds: 1000)
                    continue
                }
                var answers = ResponseBatch()
                fail(Problem.featuresMemory, answers: &answers)
                answers.send()
                return false
            }
            let pending = SliceAck(request: self, number: number)
            pending.shipAck = shipAck
            workspace.corrections.removeSubrange(known...)
            switch pipeline.ingest(body, slices, principal: principal, pending: pending, workspace) {
            case .success(let outcomes):
                shipAck?.batchAppended()
                // The slice may be durable by now; nobody reads outcomes before the request is complete.
                progress.withLock { $0.slices[number].outcomes = outcomes }
                for index in known..<workspace.corrections.count { workspace.corrections[index].slice = number }
                return true
            case .failure(let error):
                if error.reason == .queueFull && mayWait && attempt < Self.queueWaitMillisecondsMax {
                    Threads.sleep(microseconds: 1000)
                    continue
                }
                fail(Problem.journal(error.reason.rawValue))
                return false
            }
        }
        return false
    }

    fileprivate func sliceDurable(_ number: Int, firstSeq: UInt64, answers: inout ResponseBatch) {
        let isDone = progress.withLock { progress in
            progress.slices[number].firstSeq = firstSeq
            progress.durable += 1
            return progress.isComplete && progress.durable == progress.slices.count
        }
        if isDone { answer(&answers) }
    }

    /// Answers with a problem; what earlier slices did stays done, and a resend finds it as duplicates.
    fileprivate func fail(_ problem: Problem, answers: inout ResponseBatch) {
        let isFirst = progress.withLock { progress in
            defer { progress.isAnswered = true }
            return !progress.isAnswered
        }
        if isFirst { _ = answers.add(responder, problem.response) }
    }

    /// The same from a thread that is not answering others.
    func fail(_ problem: Problem) {
        var answers = ResponseBatch()
        fail(problem, answers: &answers)
        answers.send()
    }

    private func answer(_ answers: inout ResponseBatch) {
        let slices = progress.withLock { progress -> [(firstSeq: UInt64, outcomes: [EventOutcome])]? in
            if progress.isAnswered { return nil }
            progress.isAnswered = true
            return progress.slices
        }
        guard let slices else { return }
        if slices.reduce(0, { $0 + $1.outcomes.count }) <= ServiceLimits.eventsPerSlice {
            _ = answers.add(responder, response(slices))
        } else if !bulk.submit({ self.responder.respond(self.response(slices)) }) {
            _ = answers.add(responder, response(slices))
        }
    }

    private func response(_ slices: [(firstSeq: UInt64, outcomes: [EventOutcome])]) -> Response {
        var accepted = 0
        var duplicates = 0
        var quarantined = 0
        var skipped = 0
        var results = JSONWriter(capacity: 4096)
        results.beginArray()
        var index = 0
        for slice in slices {
            for outcome in slice.outcomes {
                switch outcome {
                case .accepted, .corrected: accepted += 1
                case .duplicate: duplicates += 1
                case .quarantined: quarantined += 1
                case .skipped: skipped += 1
                }
                if case .corrected(let taker, let frame, let supersedes) = outcome {
                    let seq = Int64(slices[taker].firstSeq) + Int64(frame)
                    if detail == .all { Self.writeAccepted(index, seq, corrects: supersedes, &results) }
                } else {
                    write(outcome, index, slice.firstSeq, &results)
                }
                index += 1
            }
        }
        results.endArray()
        var writer = JSONWriter(capacity: results.bytes.count + 128)
        writer.beginObject()
        writer.key("accepted")
        writer.integer(accepted)
        writer.key("duplicates")
        writer.integer(duplicates)
        writer.key("quarantined")
        writer.integer(quarantined)
        writer.key("skipped")
        writer.integer(skipped)
        writer.key("results")
        writer.raw(results.bytes)
        writer.endObject()
        return Response.json(200, writer.bytes)
    }

    private func write(_ outcome: EventOutcome, _ index: Int, _ firstSeq: UInt64, _ writer: inout JSONWriter) {
        switch outcome {
        case .skipped, .corrected: return
        case .accepted(let frame):
            if detail == .all { Self.writeAccepted(index, Int64(firstSeq) + Int64(frame), corrects: nil, &writer) }
            return
        case .duplicate, .quarantined: break
        }
        writer.beginObject()
        writer.key("index")
        writer.integer(index)
        writer.key("status")
        switch outcome {
        case .duplicate(let contentDiffers):
            writer.string("duplicate")
            if contentDiffers {
                writer.key("code")
                writer.string("content_differs")
            }
        case .quarantined(let violationClass, let code, let pointer, let message):
            writer.string("quarantined")
            writer.key("class")
            writer.string(violationClass)
            writer.key("code")
            writer.string(code)
            writer.key("pointer")
            writer.string(pointer)
            writer.key("message")
            writer.string(message)
        case .skipped, .accepted, .corrected: break
        }
        writer.endObject()
    }

    private static func writeAccepted(_ index: Int, _ seq: Int64, corrects: UInt64?, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("index")
        writer.integer(index)
        writer.key("status")
        writer.string("accepted")
        writer.key("seq")
        writer.integer(seq)
        if let corrects {
            writer.key("corrects_seq")
            writer.integer(Int64(corrects))
        }
        writer.endObject()
    }
}
