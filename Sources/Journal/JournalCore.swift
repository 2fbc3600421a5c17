import Synchronization

/// What a watchdog reads from other threads. Nanoseconds of the monotonic clock.
final class JournalPulse: Sendable {
    let lastTurn = Atomic<UInt64>(0)
    let syncStarted = Atomic<UInt64>(0)
}

/// The journal thread's own part: segments, writing, syncing, running out of space. One thread, no queue, no waiting,
/// so that a simulation can drive it call by call.
///
/// SAFETY: `@unchecked Sendable` because after init only the journal thread (or a single-threaded test) calls it.
final class JournalCore<Store: JournalStorage>: @unchecked Sendable {
    struct Active {
        let file: Store.File
        let firstSeq: UInt64
        let crcSeed: UInt32
        var end: Int64
    }

    struct Spare: Sendable {
        let name: String
        let file: Store.File
    }

    /// What became of a group.
    enum Commit {
        case durable(Place)
        case refused(AppendRefusal)
    }

    struct Place {
        let firstSeq: UInt64
        let start: JournalPosition
        var frames = 0
        var bytes = 0
        var writeNanoseconds: UInt64 = 0
        var syncNanoseconds: UInt64 = 0
    }

    let storage: Store
    let options: JournalOptions
    let journalID: JournalID
    let index: SegmentIndex<Store>
    let pulse = JournalPulse()
    private(set) var state = JournalState.running
    private(set) var nextSeq: UInt64
    var active: Active?
    var spare: Spare?
    /// One is being prepared beside this thread; its bytes count already.
    var isSpareReserved = false
    private var gather: UnsafeMutableRawBufferPointer

    init(_ recovered: RecoveredJournal<Store>) {
        storage = recovered.storage
        options = recovered.options
        journalID = recovered.report.journalID
        index = recovered.index
        nextSeq = recovered.report.lastSeq + 1
        gather = .allocate(byteCount: recovered.options.groupBytesMax, alignment: 4096)
    }

    deinit { gather.deallocate() }

    /// Bytes that a group may take, given that its first batch takes `first`: what is left here, or a new segment.
    func room(first: Int) -> Int {
        let whole = Int(options.segmentBytes) - SegmentHeader.byteCount
        guard let active else { return whole }
        let left = Int(options.segmentBytes - active.end)
        return first <= left ? left : whole
    }

    /// Makes one group durable with one write and one sync, or leaves the journal as it was, or fails for ever.
    func commit(_ batches: ArraySlice<FrameBatch>) -> Commit {
        let bytes = batches.reduce(0) { $0 + $1.byteCount }
        let here = JournalPosition(segment: active?.firstSeq ?? nextSeq, offset: UInt32(active?.end ?? 0))
        if let refusal { return .refused(refusal) }
        if bytes == 0 { return .durable(Place(firstSeq: nextSeq, start: here)) }
        if active.map({ Int(options.segmentBytes - $0.end) < bytes }) ?? true, !roll() {
            return .refused(refusal ?? .failed)
        }
        guard var segment = active else { return .refused(.failed) }
        var place = Place(
            firstSeq: nextSeq, start: JournalPosition(segment: segment.firstSeq, offset: UInt32(segment.end)))
        place.bytes = bytes
        for batch in batches {
            batch.stamp(
                firstSeq: nextSeq + UInt64(place.frames), groupIndex: UInt32(place.frames), crcSeed: segment.crcSeed)
            place.frames += batch.frameCount
        }
        guard write(batches, bytes, to: segment, &place) else { return .refused(refusal ?? .failed) }
        segment.end += Int64(bytes)
        active = segment
        nextSeq += UInt64(place.frames)
        index.publish(lastSeq: nextSeq - 1, end: segment.end)
        return .durable(place)
    }

    private func write(_ batches: ArraySlice<FrameBatch>, _ bytes: Int, to segment: Active, _ place: inout Place)
        -> Bool
    {
        let started = monotonicNanoseconds()
        do throws(StorageError) {
            if batches.count == 1, let only = batches.first {
                try storage.write(only.bytes, to: segment.file, at: segment.end)
            } else {
                try storage.write(gathered(batches, bytes), to: segment.file, at: segment.end)
            }
        } catch {
            if error.isNoSpace { rollBack(segment, error) } else { fail(error) }
            return false
        }
        let written = monotonicNanoseconds()
        pulse.syncStarted.store(written, ordering: .relaxed)
        defer { pulse.syncStarted.store(0, ordering: .relaxed) }
        do throws(StorageError) {
            try storage.synchronizeData(segment.file)
        } catch {
            // Never again on this descriptor: the kernel reports a lost write once and then calls the pages clean.
            fail(error)
            return false
        }
        place.writeNanoseconds = written - started
        place.syncNanoseconds = monotonicNanoseconds() - written
        return true
    }

    private func gathered(_ batches: ArraySlice<FrameBatch>, _ bytes: Int) -> UnsafeRawBufferPointer {
        if gather.count < bytes {
            gather.deallocate()
            gather = .allocate(byteCount: bytes, alignment: 4096)
        }
        var offset = 0
        for batch in batches where batch.byteCount > 0 {
            UnsafeMutableRawBufferPointer(rebasing: gather[offset..<(offset + batch.byteCount)])
                .copyMemory(from: batch.bytes)
            offset += batch.byteCount
        }
        return UnsafeRawBufferPointer(rebasing: gather[..<bytes])
    }

    /// Why nothing can be appended now; nil while running.
    var refusal: AppendRefusal? {
        switch state {
        case .running: return nil
        case .diskFull: return .diskFull
        case .journalFull: return .journalFull
        case .failed: return .failed
        case .stopped: return .stopped
        }
    }

    func becomeFull(_ error: StorageError) { state = .diskFull(error) }
    func becomeJournalFull() { state = .journalFull }
    func becomeRunning() { state = .running }

    func fail(_ error: StorageError) {
        if case .failed = state { return }
        state = .failed(error)
    }

    /// Ends the writer's life: cuts the reserved rest of the last segment, removes the spare, gives the lock back.
    func finish() {
        if case .failed = state {
            if let active { storage.close(active.file) }
            if let spare { storage.close(spare.file) }
        } else {
            if let spare { discard(spare) }
            if sealActive() { state = .stopped }
        }
        active = nil
        spare = nil
        storage.unlock()
    }
}
