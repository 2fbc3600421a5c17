import HTTP
import Journal
import Synchronization

/// The journal as the service writes it.
typealias ServiceJournal = JournalWriter<CommitObserver, PosixStorage>

extension JournalWriter {
    /// The journal's id as PostgreSQL's uuid.
    var uuid: UInt128 { UInt128(journalID.high) << 64 | UInt128(journalID.low) }
}

/// Somebody who waits for a batch to become durable. The batch carries it as its context.
class PendingAck: @unchecked Sendable {
    // SAFETY: subclasses keep mutable state behind a lock or hand it from the producer to the journal thread once.

    /// The batch is durable and applied.
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
    private let onState: @Sendable (JournalState) -> Void
    private let onGroup:
        @Sendable (_ frames: Int, _ bytes: Int, _ writeNanoseconds: UInt64, _ syncNanoseconds: UInt64) -> Void

    init(
        applier: Applier, onState: @escaping @Sendable (JournalState) -> Void,
        onGroup:
            @escaping @Sendable (_ frames: Int, _ bytes: Int, _ writeNanoseconds: UInt64, _ syncNanoseconds: UInt64) ->
            Void
    ) {
        self.applier = applier
        self.onState = onState
        self.onGroup = onGroup
    }

    func groupDurable(_ group: DurableGroup) {
        var answers = ResponseBatch()
        for durable in group {
            for frame in durable {
                applier.apply(seq: frame.seq, type: frame.type, payload: frame.payload, position: frame.position)
            }
        }
        if group.frameCount > 0 { applier.finish(through: group.firstSeq + UInt64(group.frameCount) - 1) }
        for durable in group {
            if let pending = durable.batch.context as? PendingAck {
                pending.durable(firstSeq: durable.firstSeq, answers: &answers)
            }
        }
        answers.send()
        onGroup(group.frameCount, group.byteCount, group.writeNanoseconds, group.syncNanoseconds)
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
