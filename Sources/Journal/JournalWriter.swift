import Synchronization

/// The journal's one writer: takes batches from any thread, makes them durable in groups on a thread of its own, and
/// tells its observer there.
///
/// A group is what was waiting when the last one was done: one write, one fdatasync, then the observer applies and
/// answers. ``append(_:)`` never blocks. Call ``stop()`` before letting go of it.
public final class JournalWriter<Observer: JournalObserver, Store: JournalStorage>: Sendable {
    struct Queue {
        var pending: [FrameBatch] = []
        var pendingBytes = 0
        /// Batches and bytes accepted and not reported yet, those being written included.
        var openBatches = 0
        var openBytes = 0
        var refusal: AppendRefusal?
        var isStopping = false
        var isWaiting = false
        var spaceWasFreed = false
        var counts = JournalStatistics()
    }

    let observer: Observer
    let core: JournalCore<Store>
    let queue = Gate(Queue())
    let preparer: SparePreparer<Store>
    let batchBytesMax: Int
    private let thread = Gate<JournalThread?>(nil)

    /// Starts the journal thread on a recovered journal. The observer's first call may come before this returns.
    public init(_ recovered: RecoveredJournal<Store>, observer: Observer) {
        self.observer = observer
        core = JournalCore(recovered)
        preparer = SparePreparer(storage: recovered.storage, options: recovered.options)
        batchBytesMax = recovered.options.batchBytesMax
        core.pulse.lastTurn.store(monotonicNanoseconds(), ordering: .relaxed)
        let started = JournalThread(name: "journal") { self.run() }
        thread.withLock { $0 = started }
    }

    /// Hands a batch over; seqs are given in the order of these calls. Never blocks.
    ///
    /// After `.accepted` the batch is the journal's until the observer was told about it. After `.refused` it is still
    /// the caller's. An empty batch is a barrier.
    public func append(_ batch: FrameBatch) -> AppendOutcome {
        let bytes = batch.byteCount
        if batch.hasOversizedFrame { return refuse(.frameTooLarge) }
        if bytes > batchBytesMax { return refuse(.batchTooLarge) }
        let options = core.options
        var wakes = false
        let outcome = queue.withLock { queue -> AppendOutcome in
            precondition(!batch.isQueued, "a batch is the journal's until the observer was told about it")
            if let refusal = queue.refusal {
                queue.counts.refused += 1
                return .refused(refusal)
            }
            if queue.openBatches >= options.queueBatchesMax || queue.openBytes + bytes > options.queueBytesMax {
                queue.counts.refused += 1
                return .refused(.queueFull)
            }
            batch.isQueued = true
            queue.pending.append(batch)
            queue.pendingBytes += bytes
            queue.openBatches += 1
            queue.openBytes += bytes
            wakes = queue.isWaiting
            return .accepted
        }
        if wakes { queue.signal() }
        return outcome
    }

    private func refuse(_ refusal: AppendRefusal) -> AppendOutcome {
        queue.withLock { $0.counts.refused += 1 }
        return .refused(refusal)
    }

    /// Refuses further appends, makes everything accepted durable, ends the journal thread and gives the directory
    /// back. Must not be called from the observer.
    public func stop() {
        queue.withLock { queue in
            queue.isStopping = true
            if queue.refusal == nil { queue.refusal = .stopped }
        }
        queue.signal()
        thread.withLock { $0 }?.join()
    }

    /// Seq of the last durable frame; 0 when there is none. Any thread.
    public var durableSeq: UInt64 { core.index.durableSeq }

    /// First seq still on disk. Any thread.
    public var firstSeq: UInt64 { core.index.firstSeq }

    /// The journal's identity.
    public var journalID: JournalID { core.journalID }

    /// Bytes of all segments on disk, the reserved ones included. Any thread.
    public var diskBytes: Int64 { core.index.totalBytes }

    /// Segments on disk. Any thread.
    public var segmentCount: Int { core.index.segmentCount }

    /// Totals since this writer started. Any thread.
    public var statistics: JournalStatistics { queue.withLock { $0.counts } }

    /// For a watchdog. Any thread.
    public var pulse: JournalHeartbeat {
        let sync = core.pulse.syncStarted.load(ordering: .relaxed)
        return JournalHeartbeat(
            lastTurnNanoseconds: core.pulse.lastTurn.load(ordering: .relaxed),
            syncStartedNanoseconds: sync == 0 ? nil : sync, nowNanoseconds: monotonicNanoseconds())
    }

    /// Removes the segments whose every frame is below `seq`; the newest always stays. Any thread but not often: it
    /// syncs the directory. Returns how many went.
    @discardableResult
    public func removeSegments(below seq: UInt64) throws(JournalError) -> Int {
        let removed = try journaled { () throws(StorageError) in try core.index.remove(below: seq) }
        queue.withLock { $0.spaceWasFreed = true }
        queue.signal()
        return removed
    }

    /// A sequential reader for one thread (the shipper); sees durable frames only.
    public func makeReader() -> JournalReader<Store> { JournalReader(index: core.index) }

    /// Reads one durable frame back by its position and checks it. Any thread.
    public func readFrame(at position: JournalPosition) throws(JournalError) -> OwnedFrame {
        try core.index.readFrame(at: position)
    }
}

/// Totals since a writer started.
public struct JournalStatistics: Sendable, Equatable {
    /// Group commits that wrote something.
    public var groups: UInt64 = 0
    /// Batches made durable, barriers included.
    public var batches: UInt64 = 0
    /// Frames made durable.
    public var frames: UInt64 = 0
    /// Bytes made durable, headers and padding included.
    public var bytes: UInt64 = 0
    /// Appends refused.
    public var refused: UInt64 = 0
    /// Batches accepted and then abandoned.
    public var abandoned: UInt64 = 0
}

/// Signs of life of the journal thread, in nanoseconds of the monotonic clock.
public struct JournalHeartbeat: Sendable {
    /// When the loop last came round; while idle never older than ``JournalLimits/idleTickNanoseconds`` by much.
    public let lastTurnNanoseconds: UInt64
    /// When the fdatasync in progress began; nil when none is.
    public let syncStartedNanoseconds: UInt64?
    /// The clock now.
    public let nowNanoseconds: UInt64
}
