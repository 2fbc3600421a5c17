/// Every bound of the journal, in one place. The sizes that an operator may choose are in ``JournalOptions``.
public enum JournalLimits {
    /// Longest payload of one frame, in bytes.
    public static let frameBytesMax = 16 << 20
    /// Longest batch (frames with headers and padding), in bytes; a segment too small for it lowers it further.
    public static let batchBytesMax = 32 << 20
    /// Smallest segment that may be configured, in bytes.
    public static let segmentBytesMin: Int64 = 4096
    /// Largest segment that may be configured, in bytes; keeps every offset within 32 bits.
    public static let segmentBytesMax: Int64 = 2 << 30
    /// Bytes fetched per read while scanning a segment; a longer frame grows the window to its own size.
    public static let scanWindowBytes = 1 << 20
    /// First read of one frame by position, in bytes; a longer frame costs a second read.
    public static let frameReadBytes = 4096
    /// Longest sleep of the idle journal thread, in nanoseconds: its watchdog timestamp is never older while it lives.
    public static let idleTickNanoseconds: UInt64 = 500_000_000
    /// Pause after a spare segment could not be prepared, in nanoseconds.
    public static let spareRetryNanoseconds: UInt64 = 1_000_000_000
    /// Segments held open for readers. The one that is read beyond is opened again when it is needed.
    public static let openSegmentsMax = 8
    /// Zeros written and made durable per step when a segment is filled ahead, in bytes: what a group commit beside it
    /// may have to wait for.
    public static let zeroFillBytes = 1 << 20
    /// Snapshots kept: the newest, and the one before it in case the newest is damaged.
    public static let snapshotsKept = 2
    /// Longest payload of one block of a snapshot, in bytes.
    public static let snapshotBlockBytes = 4 << 20
    /// Bytes of a snapshot that are written between two syncs.
    public static let snapshotSyncBytes: Int64 = 8 << 20
    /// Longest name of a part of a snapshot, in bytes.
    public static let snapshotPartNameBytesMax = 64
}

/// What the operator may choose. Checked once, by ``JournalRecovery``.
public struct JournalOptions: Sendable {
    /// Size that a segment is preallocated to, in bytes.
    public var segmentBytes: Int64 = 64 << 20
    /// Most bytes that all segments together may take on disk; at it appends are refused with `journal_full`.
    public var journalBytesMax: Int64 = 64 << 30
    /// Most bytes accepted and not yet durable; past it appends are refused with `queue_full`.
    public var queueBytesMax = 64 << 20
    /// Most batches accepted and not yet durable; past it appends are refused with `queue_full`.
    public var queueBatchesMax = 65_536
    /// A group is closed when the next batch would take it past this many bytes; one larger batch is a group of its
    /// own.
    public var groupBytesMax = 1 << 20
    /// A group is closed when the next batch would take it past this many frames.
    public var groupFramesMax = 16_384
    /// Microseconds to wait for company before a group is written; 0 takes what is there.
    public var lingerMicroseconds: UInt64 = 0
    /// Milliseconds between two attempts to find space again while the disk or the journal is full.
    public var probeIntervalMilliseconds: UInt64 = 1000
    /// How a new segment gets its blocks.
    public var preallocation: Preallocation = .zeroFill

    /// The defaults.
    public init() {}

    /// Longest batch that fits these options, in bytes.
    public var batchBytesMax: Int {
        min(JournalLimits.batchBytesMax, Int(segmentBytes) - SegmentHeader.byteCount)
    }

    /// The first option out of its range, in words; nil when all are in order.
    func firstProblem() -> String? {
        if segmentBytes < JournalLimits.segmentBytesMin || segmentBytes > JournalLimits.segmentBytesMax {
            return "segmentBytes must lie in \(JournalLimits.segmentBytesMin)...\(JournalLimits.segmentBytesMax)"
        }
        if segmentBytes % 8 != 0 { return "segmentBytes must be a multiple of 8" }
        if journalBytesMax < segmentBytes { return "journalBytesMax must hold at least one segment" }
        if queueBytesMax < batchBytesMax { return "queueBytesMax must hold the longest batch (\(batchBytesMax) bytes)" }
        if queueBatchesMax < 1 || groupFramesMax < 1 || groupBytesMax < 1 { return "queue and group limits start at 1" }
        if probeIntervalMilliseconds < 1 { return "probeIntervalMilliseconds starts at 1" }
        return nil
    }
}

/// How a new file gets its blocks before its first use.
public enum Preallocation: Sendable {
    /// posix_fallocate(3): quick; on ext4 and xfs the first write to a block also converts its extent. When the file
    /// system shuts down in that moment, because its own journal cannot be written, ext4 (seen with Linux 6.18) lets
    /// fdatasync(2) succeed although the conversion, and the data with it, is lost.
    case allocate
    /// posix_fallocate(3), then zeros written ahead and made durable: twice the writes, but an fdatasync then carries
    /// data only, which takes about half the time and leaves nothing to convert.
    case zeroFill
}
