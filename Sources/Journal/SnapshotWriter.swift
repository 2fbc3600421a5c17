/// Writes one snapshot beside the segments: into a file without a snapshot's name, made durable, then renamed. For one
/// thread. Whatever happens before ``finish()`` returns, older snapshots and the journal itself are untouched.
public final class SnapshotWriter<Store: JournalStorage> {
    /// The header as it stands in the file.
    public let header: SnapshotHeader
    private let storage: Store
    private let file: Store.File
    private let temporary: String
    private let crcSeed: UInt32
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var end = Int64(SnapshotHeader.byteCount)
    private var synchronizedEnd: Int64 = 0
    private var blocks: UInt32 = 0
    private var parts: UInt32 = 0
    private var partBytes: UInt64 = 0
    private var isOpen = true

    /// Begins a snapshot of the journal `journalID` at `seq`.
    ///
    /// - Parameter createdMicros: the caller's clock, microseconds since the Unix epoch.
    public init(_ storage: Store, journalID: JournalID, seq: UInt64, createdMicros: Int64) throws(StorageError) {
        self.storage = storage
        header = SnapshotHeader(
            journalID: journalID, seq: seq, salt: storage.randomBits(), createdMicros: createdMicros)
        crcSeed = CRC32C.seed(salt: header.salt)
        temporary = SnapshotName.unfinished(storage.randomBits())
        file = try storage.create(temporary, bytes: Int64(SnapshotHeader.byteCount), preallocation: .allocate)
        do throws(StorageError) {
            try header.bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
                try storage.write(UnsafeRawBufferPointer(bytes), to: file, at: 0)
            }
        } catch {
            storage.close(file)
            try? storage.remove(temporary)
            throw error
        }
    }

    deinit {
        abandon()
        memory.deallocate()
    }

    /// Bytes written so far.
    public var byteCount: Int64 { end }

    /// Begins a part: its name (at most ``JournalLimits/snapshotPartNameBytesMax`` bytes of UTF-8) and the position up
    /// to which it is complete.
    public func begin(part name: String, position: UInt64) throws(StorageError) {
        precondition(name.utf8.count <= JournalLimits.snapshotPartNameBytesMax, "a part's name is short")
        parts += 1
        partBytes = 0
        try block(.part, seq: position, Array(name.utf8))
    }

    /// Adds bytes to the part. Each call's bytes come back as one piece up to ``JournalLimits/snapshotBlockBytes``;
    /// longer ones are cut there.
    public func add(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        precondition(parts > 0, "bytes belong to a part")
        var offset = 0
        while offset < bytes.count {
            let count = min(JournalLimits.snapshotBlockBytes, bytes.count - offset)
            try block(
                .data, seq: partBytes, UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)]))
            partBytes += UInt64(count)
            offset += count
        }
    }

    /// Makes the snapshot durable and gives it its name.
    public func finish() throws(StorageError) {
        precondition(isOpen, "a snapshot is finished once")
        var payload = [UInt8](repeating: 0, count: SnapshotBlock.endBytes)
        payload.withUnsafeMutableBytes { raw in
            raw.storeBytes(of: parts.littleEndian, toByteOffset: 0, as: UInt32.self)
            raw.storeBytes(of: blocks.littleEndian, toByteOffset: 4, as: UInt32.self)
            raw.storeBytes(of: UInt64(end).littleEndian, toByteOffset: 8, as: UInt64.self)
        }
        try block(.end, seq: header.seq, payload)
        try storage.synchronizeData(file)
        try storage.rename(temporary, to: SnapshotName.snapshot(seq: header.seq))
        isOpen = false
        storage.close(file)
        try storage.synchronizeDirectory()
    }

    /// Gives up and removes the file; what cannot be removed now is removed by the next recovery.
    public func abandon() {
        guard isOpen else { return }
        isOpen = false
        storage.close(file)
        try? storage.remove(temporary)
    }

    private func block(_ kind: SnapshotBlock, seq: UInt64, _ payload: [UInt8]) throws(StorageError) {
        try payload.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            try block(kind, seq: seq, UnsafeRawBufferPointer(bytes))
        }
    }

    private func block(_ kind: SnapshotBlock, seq: UInt64, _ payload: UnsafeRawBufferPointer) throws(StorageError) {
        let total = FrameCodec.frameBytes(payload: payload.count)
        if memory.count < total {
            memory.deallocate()
            memory = .allocate(byteCount: total, alignment: 8)
        }
        let frame = UnsafeMutableRawBufferPointer(rebasing: memory[..<total])
        FrameCodec.prepare(frame, type: kind.rawValue, length: payload.count)
        UnsafeMutableRawBufferPointer(rebasing: frame[FrameCodec.headerBytes...]).copyMemory(from: payload)
        if let base = frame.baseAddress {
            _ = FrameCodec.stamp(base, seq: seq, groupIndex: blocks, crcSeed: crcSeed)
        }
        try storage.write(UnsafeRawBufferPointer(frame), to: file, at: end)
        end += Int64(total)
        blocks += 1
        // In steps, so that the journal's own syncs never wait for all of it at once.
        if end - synchronizedEnd >= JournalLimits.snapshotSyncBytes {
            try storage.synchronizeData(file)
            synchronizedEnd = end
        }
    }
}

extension JournalWriter {
    /// Begins a snapshot of this journal at `seq`, which must be durable. For one thread at a time.
    public func makeSnapshot(seq: UInt64, createdMicros: Int64) throws(StorageError) -> SnapshotWriter<Store> {
        precondition(seq <= durableSeq, "a snapshot holds nothing that is not durable")
        return try SnapshotWriter(core.storage, journalID: journalID, seq: seq, createdMicros: createdMicros)
    }

    /// Keeps the newest ``JournalLimits/snapshotsKept`` snapshots that are not `unusable`, and removes all others once
    /// there are so many. Returns the seqs of those kept, newest first.
    public func pruneSnapshots(unusable: Set<UInt64> = []) throws(StorageError) -> [UInt64] {
        try SnapshotFiles.prune(core.storage, unusable: unusable)
    }

    /// Segments whose every frame is below `seq`; the newest never counts. Any thread.
    public func removableSegments(below seq: UInt64) -> Int { core.index.removable(below: seq) }
}
