/// The first 64 bytes of every snapshot, little-endian:
///
///     0  8 bytes magic         16  16 bytes journal id      40  u64 salt                60  u32 crc32c of bytes 0..<60
///     8  u32 format version    32  u64 seq                  48  i64 when it was begun
///     12 u32 header bytes                                   56  4 bytes zero
///
/// Blocks follow, laid out as the journal's frames are (``FrameCodec``), with the block's number in the file as its
/// index in the group: a part block names a part and its position, data blocks hold its bytes, one end block proves
/// that nothing is missing. A snapshot gets its name only after all of it is durable.
public struct SnapshotHeader: Equatable, Sendable {
    /// Bytes of the header; the first block follows.
    public static let byteCount = 64
    /// The newest format that this program writes.
    public static let currentVersion: UInt32 = 1
    /// The oldest format that this program still reads (N reads N-1).
    public static let oldestVersion: UInt32 = 1

    static let magic: [UInt8] = Array("dcssnpsh".utf8)

    /// The journal that this snapshot was taken of.
    public let journalID: JournalID
    /// Every frame up to this one, and none after it, is part of what the snapshot holds; a part may be further.
    public let seq: UInt64
    /// Random per snapshot; goes into every block's checksum.
    public let salt: UInt64
    /// When it was begun: microseconds since the Unix epoch, by the caller's clock.
    public let createdMicros: Int64
    /// The format of the blocks.
    public let version: UInt32

    /// A header of the current version.
    public init(journalID: JournalID, seq: UInt64, salt: UInt64, createdMicros: Int64) {
        self.init(
            journalID: journalID, seq: seq, salt: salt, createdMicros: createdMicros, version: Self.currentVersion)
    }

    private init(journalID: JournalID, seq: UInt64, salt: UInt64, createdMicros: Int64, version: UInt32) {
        self.journalID = journalID
        self.seq = seq
        self.salt = salt
        self.createdMicros = createdMicros
        self.version = version
    }

    /// The 64 bytes.
    public var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withUnsafeMutableBytes { raw in
            raw.copyBytes(from: Self.magic)
            raw.storeBytes(of: version.littleEndian, toByteOffset: 8, as: UInt32.self)
            raw.storeBytes(of: UInt32(Self.byteCount).littleEndian, toByteOffset: 12, as: UInt32.self)
            raw.storeBytes(of: journalID.high.bigEndian, toByteOffset: 16, as: UInt64.self)
            raw.storeBytes(of: journalID.low.bigEndian, toByteOffset: 24, as: UInt64.self)
            raw.storeBytes(of: seq.littleEndian, toByteOffset: 32, as: UInt64.self)
            raw.storeBytes(of: salt.littleEndian, toByteOffset: 40, as: UInt64.self)
            raw.storeBytes(of: createdMicros.littleEndian, toByteOffset: 48, as: Int64.self)
            let crc = Self.checksum(UnsafeRawBufferPointer(raw))
            raw.storeBytes(of: crc.littleEndian, toByteOffset: 60, as: UInt32.self)
        }
        return bytes
    }

    /// Reads a header; the version is judged before the checksum, because a newer format may check itself differently.
    public static func decode(_ bytes: UnsafeRawBufferPointer) throws(SegmentHeader.Fault) -> SnapshotHeader {
        guard bytes.count >= byteCount else { throw .short }
        guard bytes.prefix(magic.count).elementsEqual(magic) else { throw .magic }
        let version = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard (oldestVersion...currentVersion).contains(version) else { throw .version(version) }
        let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 60, as: UInt32.self))
        guard stored == checksum(bytes) else { throw .checksum }
        return SnapshotHeader(
            journalID: JournalID(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))),
            seq: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)),
            salt: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 40, as: UInt64.self)),
            createdMicros: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 48, as: Int64.self)),
            version: version)
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var crc = CRC32C()
        crc.update(UnsafeRawBufferPointer(rebasing: bytes[0..<60]))
        return crc.value
    }
}

/// The names of snapshots in a journal's directory.
enum SnapshotName {
    private static let suffix = ".snapshot"
    private static let unfinishedSuffix = ".snapshot-unfinished"

    /// `%020d.snapshot`, so that names sort as their seqs do.
    static func snapshot(seq: UInt64) -> String {
        let digits = String(seq)
        return String(repeating: "0", count: 20 - digits.count) + digits + suffix
    }

    /// The seq in a snapshot's name; nil for any other file.
    static func seq(of name: String) -> UInt64? {
        guard name.hasSuffix(suffix), name.utf8.count == 20 + suffix.utf8.count else { return nil }
        return UInt64(name.dropLast(suffix.count))
    }

    /// A snapshot that is being written; what a crash leaves of it is removed by the next recovery.
    static func unfinished(_ number: UInt64) -> String { String(number) + unfinishedSuffix }

    static func isUnfinished(_ name: String) -> Bool { name.hasSuffix(unfinishedSuffix) }
}

/// What a block holds. The numbers are part of the format: never reuse one.
enum SnapshotBlock: UInt8 {
    /// A part begins: its name; the block's seq is the part's position.
    case part = 1
    /// Bytes of the part; the block's seq is their offset in it.
    case data = 2
    /// The last block: parts (u32), blocks before this one (u32), bytes before this one (u64).
    case end = 3

    /// Bytes of an end block's payload.
    static let endBytes = 16
}
