import HTTP
import Synchronization

/// What a caller with `ack=postgres` is owed: how much of its request the journal has, and whether it still waits.
final class ShipAck: Sendable {
    private let appended = Atomic<Int>(0)
    private let durable = Atomic<Int>(0)
    private let complete = Atomic<Bool>(false)
    private let gone = Atomic<Bool>(false)

    /// One more batch of the request was given to the journal.
    func batchAppended() { appended.wrappingAdd(1, ordering: .relaxed) }

    /// The last batch of the request was given to the journal.
    func requestComplete() { complete.store(true, ordering: .releasing) }

    /// One of its batches is durable.
    func batchDurable() { durable.wrappingAdd(1, ordering: .releasing) }

    /// Whether the journal has all of the request.
    var isDurable: Bool {
        complete.load(ordering: .acquiring)
            && durable.load(ordering: .acquiring) == appended.load(ordering: .relaxed)
    }

    /// The caller was answered otherwise.
    func abandon() { gone.store(true, ordering: .relaxed) }

    /// Whether nobody waits any more.
    var isAbandoned: Bool { gone.load(ordering: .relaxed) }
}

/// Durable batches whose callers wait for PostgreSQL, until the shipper has committed past them. Nothing blocks: the
/// callers' connections are suspended.
final class ShipWaits: Sendable {
    private struct Waiter: Sendable {
        let pending: PendingAck
        let ack: ShipAck
        let firstSeq: UInt64
        let lastSeq: UInt64
    }

    private struct State: Sendable {
        var waiters: [Waiter] = []
        var shippedSeq: UInt64 = 0
        /// Size at which waiters that gave up are dropped.
        var sweepAt = 1_024
    }

    private let state = Mutex(State())
    private let isWoken = Atomic<Bool>(false)
    /// On which the idle shipper waits.
    let wake = Semaphore()

    /// Keeps a durable batch until everything up to `lastSeq` is in PostgreSQL; answers at once when it is.
    func hold(
        _ pending: PendingAck, _ ack: ShipAck, firstSeq: UInt64, lastSeq: UInt64, answers: inout ResponseBatch
    ) {
        let isShipped = state.withLock { state in
            if state.shippedSeq >= lastSeq { return true }
            if state.waiters.count >= state.sweepAt {
                // Each caller that still waits holds a connection, which bounds what is left.
                state.waiters.removeAll { $0.ack.isAbandoned }
                state.sweepAt = max(1_024, state.waiters.count * 2)
            }
            state.waiters.append(Waiter(pending: pending, ack: ack, firstSeq: firstSeq, lastSeq: lastSeq))
            return false
        }
        if isShipped {
            pending.durable(firstSeq: firstSeq, answers: &answers)
        } else if !isWoken.exchange(true, ordering: .acquiringAndReleasing) {
            wake.post()
        }
    }

    /// PostgreSQL has everything up to `seq`, which a failover may have moved back.
    func shipped(through seq: UInt64) {
        let done = state.withLock { state in
            state.shippedSeq = seq
            guard !state.waiters.isEmpty else { return [Waiter]() }
            let done = state.waiters.filter { $0.lastSeq <= seq }
            state.waiters.removeAll { $0.lastSeq <= seq || $0.ack.isAbandoned }
            return done
        }
        guard !done.isEmpty else { return }
        var answers = ResponseBatch()
        for waiter in done { waiter.pending.durable(firstSeq: waiter.firstSeq, answers: &answers) }
        answers.send()
    }

    /// The shipper looks for work now.
    func taken() { isWoken.store(false, ordering: .releasing) }

    /// Batches that wait.
    var count: Int { state.withLock { $0.waiters.count } }
}
