import HTTP
import Journal
import Synchronization
import Telemetry

/// The journal as the service writes it.
typealias ServiceJournal = JournalWriter<CommitObserver, PosixStorage>

extension JournalWriter {
    /// The journal's id as PostgreSQL's uuid.
    var uuid: UInt128 { UInt128(journalID.high) << 64 | UInt128(journalID.low) }
}

/// Somebody who waits for a batch to become durable. The batch carries it as its context.
class PendingAck: @unchecked Sendable {
    // SAFETY: subclasses keep mutable state behind a lock or hand it from the producer to the journal thread once.

    /// Whom `ack=postgres` makes wait until the shipper has committed the batch; set before the append.
    var shipAck: ShipAck?

    /// The batch is durable and applied, and memory is not captured before this returns. Called for batches that have a
    /// token only.
    func applied(firstSeq: UInt64) {}

    /// The batch is durable and applied, whoever still waits. Journal thread only.
    func settled() {}

    /// The batch is durable and applied, and its caller may be told.
    ///
    /// - Parameters:
    ///   - firstSeq: position of its first frame.
    ///   - answers: takes the answer, to be sent with the whole group's.
    func durable(firstSeq: UInt64, answers: inout ResponseBatch) {}

    /// The batch will not be made durable by this process.
    func abandoned(_ reason: AppendRefusal, answers: inout ResponseBatch) {}
}

/// Told by the journal what became durable: applies it, then answers everybody who waited.
final class CommitObserver: JournalObserver {
    private let applier: Applier
    private let state: ServiceState
    private let waits: ShipWaits
    private let clock: WallClock
    private let onState: @Sendable (JournalState) -> Void
    private let onGroup:
        @Sendable (_ frames: Int, _ bytes: Int, _ writeNanoseconds: UInt64, _ syncNanoseconds: UInt64) -> Void

    private let onEvents: @Sendable (_ runs: [IngestRun], _ stage: Observation.Stage, _ nowMicros: Int64) -> Void

    init(
        applier: Applier, state: ServiceState, waits: ShipWaits, clock: WallClock,
        onState: @escaping @Sendable (JournalState) -> Void,
        onEvents:
            @escaping @Sendable (_ runs: [IngestRun], _ stage: Observation.Stage, _ nowMicros: Int64) -> Void,
        onGroup:
            @escaping @Sendable (_ frames: Int, _ bytes: Int, _ writeNanoseconds: UInt64, _ syncNanoseconds: UInt64) ->
            Void
    ) {
        self.applier = applier
        self.state = state
        self.waits = waits
        self.clock = clock
        self.onEvents = onEvents
        applier.keepsIngestRuns = true
        self.onState = onState
        self.onGroup = onGroup
    }

    func groupDurable(_ group: DurableGroup) {
        let durableMicros = clock.now()
        var answers = ResponseBatch()
        apply(group)
        let runs = applier.takeIngestRuns()
        if !runs.isEmpty {
            onEvents(runs, .durable, durableMicros)
            onEvents(runs, .applied, clock.now())
        }
        for durable in group {
            guard let pending = durable.batch.context as? PendingAck else { continue }
            pending.settled()
            if let ack = pending.shipAck {
                ack.batchDurable()
                let lastSeq = durable.firstSeq + UInt64(durable.batch.frameCount) - 1
                waits.hold(pending, ack, firstSeq: durable.firstSeq, lastSeq: lastSeq, answers: &answers)
            } else {
                pending.durable(firstSeq: durable.firstSeq, answers: &answers)
            }
        }
        answers.send()
        onGroup(group.frameCount, group.byteCount, group.writeNanoseconds, group.syncNanoseconds)
    }

    private func apply(_ group: DurableGroup) {
        guard group.frameCount > 0 else { return }
        state.applying.withLock { _ in
            var ticket: UInt64 = 0
            for durable in group {
                ticket = max(ticket, durable.batch.token)
                for frame in durable {
                    applier.apply(seq: frame.seq, type: frame.type, payload: frame.payload, position: frame.position)
                }
            }
            for durable in group where durable.batch.token > 0 {
                (durable.batch.context as? PendingAck)?.applied(firstSeq: durable.firstSeq)
            }
            applier.finish(through: group.firstSeq + UInt64(group.frameCount) - 1)
            if ticket > 0 { state.appliedTicket.store(ticket, ordering: .releasing) }
        }
    }

    func batchesAbandoned(_ batches: ArraySlice<FrameBatch>, reason: AppendRefusal) {
        var answers = ResponseBatch()
        for batch in batches {
            (batch.context as? PendingAck)?.abandoned(reason, answers: &answers)
        }
        answers.send()
    }

    func journalStateChanged(_ state: JournalState) {
        onState(state)
    }
}

/// Waits on the calling thread until a batch is durable: for operations that are rare and run on a query worker.
final class BlockingAck: PendingAck, @unchecked Sendable {
    // SAFETY: the outcome is behind the mutex.
    private let outcome = Mutex<Result<UInt64, AppendRefusalError>?>(nil)

    override func durable(firstSeq: UInt64, answers: inout ResponseBatch) {
        outcome.withLock { $0 = .success(firstSeq) }
    }

    override func abandoned(_ reason: AppendRefusal, answers: inout ResponseBatch) {
        outcome.withLock { $0 = .failure(AppendRefusalError(reason: reason)) }
    }

    /// Appends the batch and waits; the first seq, or the problem to answer with.
    func append(_ batch: FrameBatch, to journal: ServiceJournal) throws(Problem) -> UInt64 {
        batch.context = self
        if case .refused(let reason) = journal.append(batch) { throw Problem.journal(reason.rawValue) }
        while true {
            if let outcome = outcome.withLock({ $0 }) {
                switch outcome {
                case .success(let seq): return seq
                case .failure(let error): throw Problem.journal(error.reason.rawValue)
                }
            }
            Threads.sleep(microseconds: 100)
        }
    }
}

/// Why an accepted batch did not become durable.
struct AppendRefusalError: Error, Sendable {
    let reason: AppendRefusal
}
