import Synchronization

/// The segments of an open journal and how far they are durable: written by the journal thread, read by every reader.
final class SegmentIndex<Store: JournalStorage>: Sendable {
    struct Entry: Sendable {
        let firstSeq: UInt64
        /// Seq of the last durable frame; `firstSeq - 1` when there is none.
        var lastSeq: UInt64
        /// Where the durable frames end.
        var end: Int64
        /// Size on disk.
        var fileBytes: Int64
        let crcSeed: UInt32
        /// Opened by the first reader, closed when the last user lets go; see `State.opened`.
        var shared: SharedFile<Store>?
    }

    struct Located {
        let entry: Entry
        let file: SharedFile<Store>
    }

    private struct State {
        var entries: [Entry] = []
        var spareBytes: Int64 = 0
        /// First seqs of the segments that are held open for readers, the one used last at the end. Shipping reads every
        /// segment once, so without a bound there would be a descriptor for each that is kept.
        var opened: [UInt64] = []

        /// Notes the use of a segment, and lets go of the one not used for longest if there are too many.
        mutating func noteUse(of firstSeq: UInt64) {
            if opened.last == firstSeq { return }
            opened.removeAll { $0 == firstSeq }
            opened.append(firstSeq)
            guard opened.count > JournalLimits.openSegmentsMax else { return }
            let unused = opened.removeFirst()
            if let index = entries.firstIndex(where: { $0.firstSeq == unused }) { entries[index].shared = nil }
        }
    }

    let storage: Store
    private let gate = Gate(State())
    /// Held by the one thread that removes segments.
    private let removal = Gate(())
    private let durable: Atomic<UInt64>

    init(storage: Store, durableSeq: UInt64 = 0) {
        self.storage = storage
        durable = Atomic(durableSeq)
    }

    var durableSeq: UInt64 { durable.load(ordering: .acquiring) }

    func setDurableSeq(_ seq: UInt64) { durable.store(seq, ordering: .releasing) }

    /// First seq that is still there; `durableSeq + 1` when no frame is.
    var firstSeq: UInt64 { gate.withLock { $0.entries.first?.firstSeq } ?? 1 }

    var segmentCount: Int { gate.withLock { $0.entries.count } }

    /// Bytes on disk, the spare included.
    var totalBytes: Int64 { gate.withLock { state in state.entries.reduce(state.spareBytes) { $0 + $1.fileBytes } } }

    func setSpareBytes(_ bytes: Int64) { gate.withLock { $0.spareBytes = bytes } }

    /// Adds the newest segment; one of the same first seq, which then holds no frame, is replaced.
    func append(_ entry: Entry) {
        gate.withLock { state in
            if let last = state.entries.last {
                if last.firstSeq == entry.firstSeq { state.entries.removeLast() }
                precondition(last.lastSeq + 1 == entry.firstSeq, "segments must follow each other")
            }
            state.entries.append(entry)
        }
    }

    /// Moves the end of the newest segment after a sync.
    func publish(lastSeq: UInt64, end: Int64) {
        gate.withLock { state in
            let last = state.entries.count - 1
            state.entries[last].lastSeq = lastSeq
            state.entries[last].end = end
        }
        setDurableSeq(lastSeq)
    }

    /// Notes the size of a segment that was cut.
    func setFileBytes(_ bytes: Int64, ofSegment firstSeq: UInt64) {
        gate.withLock { state in
            for index in state.entries.indices.reversed() where state.entries[index].firstSeq == firstSeq {
                state.entries[index].fileBytes = bytes
            }
        }
    }

    /// The segment that holds the durable frame `seq`, open for reading.
    func locate(seq: UInt64) throws(JournalError) -> Located? {
        try located { entries in
            var low = 0
            var high = entries.count
            while low < high {
                let middle = (low + high) / 2
                if entries[middle].lastSeq < seq { low = middle + 1 } else { high = middle }
            }
            return low < entries.count && entries[low].firstSeq <= seq ? low : nil
        }
    }

    /// The segment of that first seq, open for reading.
    func segment(firstSeq: UInt64) throws(JournalError) -> Located? {
        try located { entries in entries.firstIndex { $0.firstSeq == firstSeq } }
    }

    private func located(_ choose: ([Entry]) -> Int?) throws(JournalError) -> Located? {
        try gate.withLock { (state) throws(JournalError) -> Located? in
            guard let index = choose(state.entries) else { return nil }
            let shared: SharedFile<Store>
            if let known = state.entries[index].shared {
                shared = known
            } else {
                let name = SegmentName.segment(firstSeq: state.entries[index].firstSeq)
                let file = try journaled { () throws(StorageError) in try storage.open(name, access: .read) }
                shared = SharedFile(storage: storage, file: file)
                state.entries[index].shared = shared
            }
            state.noteUse(of: state.entries[index].firstSeq)
            return Located(entry: state.entries[index], file: shared)
        }
    }

    /// Removes, oldest first, the segments whose every frame is below `seq`; the newest always stays. Each removal is
    /// durable before the next, so a crash can never leave a hole. Returns how many went.
    func remove(below seq: UInt64) throws(StorageError) -> Int {
        try removal.withLock { (_) throws(StorageError) -> Int in
            var removed = 0
            // The disk is touched outside the state's lock: the journal thread publishes through it after every group.
            while let oldest = takeOldest(below: seq) {
                do throws(StorageError) {
                    try storage.remove(SegmentName.segment(firstSeq: oldest.firstSeq))
                } catch {
                    gate.withLock { $0.entries.insert(oldest, at: 0) }
                    throw error
                }
                removed += 1
                try storage.synchronizeDirectory()
            }
            return removed
        }
    }

    /// How many segments ``remove(below:)`` would remove.
    func removable(below seq: UInt64) -> Int {
        gate.withLock { state in state.entries.dropLast().prefix { $0.lastSeq < seq }.count }
    }

    private func takeOldest(below seq: UInt64) -> Entry? {
        gate.withLock { state in
            guard state.entries.count > 1, state.entries[0].lastSeq < seq else { return nil }
            return state.entries.removeFirst()
        }
    }
}

/// A file open for reading, closed with its last user.
final class SharedFile<Store: JournalStorage>: Sendable {
    let storage: Store
    let file: Store.File

    init(storage: Store, file: Store.File) {
        self.storage = storage
        self.file = file
    }

    deinit { storage.close(file) }
}
