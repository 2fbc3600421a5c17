/// Told about everything that happens to appended batches, always on the journal thread and in seq order.
///
/// Every accepted batch is reported exactly once, in ``groupDurable(_:)`` or in ``batchesAbandoned(_:reason:)``.
/// The calls should be short: the next group waits for them.
public protocol JournalObserver: Sendable {
    /// These frames are durable: apply them, then answer their producers.
    func groupDurable(_ group: DurableGroup)
    /// These batches were accepted and will not be made durable by this writer. After `failed` they may still be found
    /// by the next recovery; after any other reason they are not in the journal.
    func batchesAbandoned(_ batches: ArraySlice<FrameBatch>, reason: AppendRefusal)
    /// The journal can take appends, or cannot.
    func journalStateChanged(_ state: JournalState)
}

/// Whether the journal takes appends.
public enum JournalState: Sendable, Equatable {
    /// It does.
    case running
    /// The file system has no space; the error is the first that said so. Heals by itself.
    case diskFull(StorageError)
    /// `journalBytesMax` is reached; heals when segments are removed.
    case journalFull
    /// A write or sync failed. For ever: exit and replay at the next start.
    case failed(StorageError)
    /// ``JournalWriter/stop()`` came to its end.
    case stopped
}

/// One group commit: batches in the order of their seqs. A view: valid only during the observer's call.
public struct DurableGroup: Sequence {
    /// Seq of the first frame; one past the last durable seq when the group holds barriers only.
    public let firstSeq: UInt64
    /// Frames in the group; 0 when it holds barriers only.
    public let frameCount: Int
    /// Bytes written, headers and padding included.
    public let byteCount: Int
    /// Nanoseconds of the write call.
    public let writeNanoseconds: UInt64
    /// Nanoseconds of the fdatasync call; the feed of a latency histogram.
    public let syncNanoseconds: UInt64
    /// The batches, barriers included.
    public let batches: ArraySlice<FrameBatch>
    let start: JournalPosition

    /// Walks the batches with their seqs and positions.
    public func makeIterator() -> Iterator { Iterator(group: self) }

    /// Walks the batches of a group.
    public struct Iterator: IteratorProtocol {
        private let batches: ArraySlice<FrameBatch>
        private var index: Int
        private var seq: UInt64
        private var position: JournalPosition

        init(group: DurableGroup) {
            batches = group.batches
            index = batches.startIndex
            seq = group.firstSeq
            position = group.start
        }

        /// The next batch. It may be emptied and handed on before the one after it is asked for.
        public mutating func next() -> DurableBatch? {
            guard index < batches.endIndex else { return nil }
            let batch = batches[index]
            let durable = DurableBatch(batch: batch, firstSeq: seq, position: position)
            index += 1
            seq += UInt64(batch.frameCount)
            position = JournalPosition(segment: position.segment, offset: position.offset + UInt32(batch.byteCount))
            return durable
        }
    }
}

/// One batch of a durable group; iterating it gives its frames.
public struct DurableBatch: Sequence {
    /// The batch, again the producer's once the observer lets go of it.
    public let batch: FrameBatch
    /// Seq of its first frame.
    public let firstSeq: UInt64
    /// Position of its first frame.
    public let position: JournalPosition

    /// Walks the frames.
    public func makeIterator() -> Iterator { Iterator(durable: self) }

    /// Walks the frames of a batch.
    public struct Iterator: IteratorProtocol {
        private let batch: FrameBatch
        private let segment: UInt64
        private let base: UInt32
        private var offset = 0

        init(durable: DurableBatch) {
            batch = durable.batch
            segment = durable.position.segment
            base = durable.position.offset
        }

        /// The next frame.
        public mutating func next() -> JournalFrame? {
            let bytes = batch.bytes
            guard offset < bytes.count else { return nil }
            let frame = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            let header = FrameCodec.header(frame)
            let payload = frame[FrameCodec.headerBytes..<(FrameCodec.headerBytes + header.length)]
            let position = JournalPosition(segment: segment, offset: base + UInt32(offset))
            offset += FrameCodec.frameBytes(payload: header.length)
            return JournalFrame(
                seq: header.seq, type: header.type, payload: UnsafeRawBufferPointer(rebasing: payload),
                position: position)
        }
    }
}
