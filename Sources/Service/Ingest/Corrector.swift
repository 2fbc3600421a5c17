import HTTP
import JSON
import Journal

/// Takes corrections into the journal, each once what it corrects is durable.
///
/// One thread does it, in order of arrival, so that of two corrections of one event the later supersedes the earlier and
/// nothing changes between looking a target up and appending its correction. The frame carries the superseded event:
/// nobody has to look for it again.
final class Corrector: Sendable {
    private let pipeline: IngestPipeline
    private let journal: ServiceJournal
    private let events: StoredEvents
    private let thread = WorkerPool(name: "corrections", threads: 1, jobsMax: ServiceLimits.queuedJobsMax)

    init(pipeline: IngestPipeline, journal: ServiceJournal, events: StoredEvents) {
        self.pipeline = pipeline
        self.journal = journal
        self.events = events
    }

    /// Hands the corrections of a request over; when none is left open it is complete.
    ///
    /// - Returns: the problem to answer with when too many wait.
    func submit(_ corrections: [PendingCorrection], of request: EventsRequest, principal: String) -> Problem? {
        let isQueued = thread.submit {
            do throws(Problem) {
                try self.run(corrections, request, principal)
                request.complete()
            } catch {
                request.fail(error)
            }
        }
        return isQueued ? nil : Problem(503, "busy", "Too many corrections are waiting.", retryAfter: 1)
    }

    /// Takes no more requests; those handed over are still worked off.
    func stop() {
        thread.stop()
    }

    /// Corrections that go into the journal together.
    private struct Wave {
        var ready: [(correction: PendingCorrection, target: Hash128, superseded: Hash128, event: StoredEvent)] = []
        var refused: [(place: PendingCorrection.Place, frame: QuarantineFrame)] = []
        var repeated: [(correction: PendingCorrection, contentDiffers: Bool)] = []
        /// Identities that the wave brings or supersedes: who needs one of them waits for the wave.
        var touched: Set<Hash128> = []
        var byteCount = 0

        var isEmpty: Bool { ready.isEmpty && refused.isEmpty && repeated.isEmpty }
        var isFull: Bool {
            ready.count + refused.count >= ServiceLimits.eventsPerSlice || byteCount > Corrector.waveBytesMax
        }
    }

    /// Bytes of events in one wave.
    private static let waveBytesMax = 4 << 20
    /// Longest wait for a target that is on its way to the disk [microseconds].
    private static let durableMicrosecondsMax: UInt64 = 10_000_000
    /// Between two looks at such a target [microseconds].
    private static let durableStepMicroseconds: UInt64 = 100

    private func run(
        _ corrections: [PendingCorrection], _ request: EventsRequest, _ principal: String
    ) throws(Problem) {
        var wave = Wave()
        for correction in corrections {
            if request.isAnswered { return }
            try add(correction, to: &wave, request, principal)
            if wave.isFull { try append(&wave, request) }
        }
        if !wave.isEmpty { try append(&wave, request) }
    }

    private func add(
        _ correction: PendingCorrection, to wave: inout Wave, _ request: EventsRequest, _ principal: String
    ) throws(Problem) {
        let target = target(of: correction)
        if wave.touched.contains(correction.identity) || wave.touched.contains(target) { try append(&wave, request) }
        var waited: UInt64 = 0
        while true {
            let (verdict, current) = pipeline.withDedupe { dedupe in
                (dedupe.verdict(correction.identity, content: correction.content), dedupe.current(target))
            }
            if verdict != .new {
                wave.repeated.append((correction, verdict == .contentDiffers))
                return
            }
            guard let current else {
                if request.isAnswered { return }
                wave.refused.append((correction.place, refusal(of: correction, .unknown, principal)))
                return
            }
            if wave.touched.contains(current.identity) {
                try append(&wave, request)
            } else if let seq = current.seq {
                let event = try events.event(seq: seq)
                guard event.contract == correction.contract else {
                    wave.refused.append((correction.place, refusal(of: correction, .otherContract, principal)))
                    return
                }
                wave.ready.append((correction, target, current.identity, event))
                wave.touched.formUnion([correction.identity, target, current.identity])
                wave.byteCount += correction.payload.count + event.raw.count
                return
            }
            guard waited < Self.durableMicrosecondsMax, !request.isAnswered else { throw StoredEvents.unavailable }
            Threads.sleep(microseconds: Self.durableStepMicroseconds)
            waited += Self.durableStepMicroseconds
        }
    }

    private func target(of correction: PendingCorrection) -> Hash128 {
        correction.payload.withUnsafeBytes { payload in
            guard let frame = try? EventFrame.decode(payload) else {
                preconditionFailure("the pipeline encoded this frame")
            }
            var id = correction.corrects
            return id.withUTF8 { pipeline.identity(source: frame.source, id: UnsafeRawBufferPointer($0)) }
        }
    }

    /// Why a correction is not taken.
    private enum Reason {
        case unknown, otherContract

        var code: String { self == .unknown ? "corrects_unknown" : "corrects_other_contract" }
        var message: String {
            self == .unknown
                ? "no event of this source with this id is remembered" : "the event of this id is of another contract"
        }
    }

    private func refusal(of correction: PendingCorrection, _ reason: Reason, _ principal: String) -> QuarantineFrame {
        correction.payload.withUnsafeBytes { payload in
            guard let frame = try? EventFrame.decode(payload) else {
                preconditionFailure("the pipeline encoded this frame")
            }
            let failure = IngestPipeline.Failure(
                violationClass: "contract_violation", code: reason.code, pointer: "/corrects",
                message: reason.message, contract: correction.contract,
                source: String(decoding: frame.source, as: UTF8.self), id: String(decoding: frame.id, as: UTF8.self))
            return pipeline.quarantine(failure, frame.raw, correction.ingestMicros, principal)
        }
    }

    // MARK: Append

    private func append(_ wave: inout Wave, _ request: EventsRequest) throws(Problem) {
        let number = request.beginSlice()
        for attempt in 0... {
            let pending = SliceAck(request: request, number: number)
            pending.shipAck = request.shipAck
            var outcomes: [(place: PendingCorrection.Place, outcome: EventOutcome)] = []
            guard let refusal = append(wave, number, pending, &outcomes) else {
                request.shipAck?.batchAppended()
                request.set(outcomes)
                wave = Wave()
                return
            }
            if refusal != .queueFull || attempt >= EventsRequest.queueWaitMillisecondsMax {
                throw Problem.journal(refusal.rawValue)
            }
            Threads.sleep(microseconds: 1000)
        }
    }

    private func append(
        _ wave: Wave, _ number: Int, _ pending: SliceAck,
        _ outcomes: inout [(place: PendingCorrection.Place, outcome: EventOutcome)]
    ) -> AppendRefusal? {
        let batch = FrameBatch(capacity: wave.byteCount + 128 * wave.ready.count + 256)
        batch.context = pending
        var now: Int64 = 0
        var duplicates = DuplicateCounts()
        for (correction, contentDiffers) in wave.repeated {
            now = correction.ingestMicros
            duplicates.add(correction.contract, contentDiffers: contentDiffers)
            pending.tally.add(correction.contract, .duplicate, code: contentDiffers ? "content_differs" : "")
            outcomes.append((correction.place, .duplicate(contentDiffers: contentDiffers)))
        }
        for (place, frame) in wave.refused {
            pending.tally.add(frame.contract ?? "", .quarantined, code: frame.code)
            outcomes.append(
                (
                    place,
                    .quarantined(
                        violationClass: frame.violationClass, code: frame.code, pointer: frame.pointer,
                        message: frame.message)
                ))
        }
        return pipeline.withDedupe { dedupe -> AppendRefusal? in
            for (correction, target, superseded, event) in wave.ready {
                now = correction.ingestMicros
                // An event without `corrects` may have taken the identity meanwhile.
                let verdict = dedupe.admit(
                    correction.identity, content: correction.content, nowMicros: correction.ingestMicros)
                guard verdict == .new else {
                    let differs = verdict == .contentDiffers
                    duplicates.add(correction.contract, contentDiffers: differs)
                    pending.tally.add(correction.contract, .duplicate, code: differs ? "content_differs" : "")
                    outcomes.append((correction.place, .duplicate(contentDiffers: verdict == .contentDiffers)))
                    continue
                }
                let link = DedupeTable.Link(target: target, superseded: superseded, correction: correction.identity)
                dedupe.link(link)
                pending.tally.add(correction.contract, .accepted)
                pending.reserved.append(correction.identity)
                pending.links.append(link)
                outcomes.append(
                    (correction.place, .corrected(slice: number, frame: batch.frameCount, supersedes: event.seq)))
                batch.add(type: FrameType.correction.rawValue, payload: Self.frame(correction, event))
            }
            IngestPipeline.add(wave.refused.map(\.frame), duplicates, now, to: batch)
            pipeline.send(pending, in: batch, &dedupe)
            guard case .refused(let reason) = journal.append(batch) else { return nil }
            dedupe.reservations.cancel(pending.ticket)
            for link in pending.links { dedupe.unlink(link) }
            for identity in pending.reserved { dedupe.release(identity) }
            return reason
        }
    }

    private static func frame(_ correction: PendingCorrection, _ event: StoredEvent) -> [UInt8] {
        var writer = ByteWriter()
        writer.bytes.reserveCapacity(correction.payload.count + event.raw.count + 128)
        correction.payload.withUnsafeBytes { payload in
            guard let frame = try? EventFrame.decode(payload) else {
                preconditionFailure("the pipeline encoded this frame")
            }
            var id = correction.corrects
            id.withUTF8 { id in
                event.type.withUnsafeBytes { type in
                    event.raw.withUnsafeBytes { raw in
                        CorrectionFrame(
                            event: frame, corrects: UnsafeRawBufferPointer(id), isRetraction: correction.isRetraction,
                            supersededSeq: event.seq, supersededEventMicros: event.eventMicros,
                            supersededType: type, supersededRaw: raw
                        ).encode(into: &writer)
                    }
                }
            }
        }
        return writer.bytes
    }
}
