/// The first 64 bytes of every segment, little-endian:
///
///     0  8 bytes magic         16  16 bytes journal id      40  u64 salt
///     8  u32 format version    32  u64 first seq            48  12 bytes zero
///     12 u32 header bytes                                   60  u32 crc32c of bytes 0..<60
///
/// A segment gets its name only after its header is durable, so a header that does not check is damage, never a crash.
public struct SegmentHeader: Equatable, Sendable {
    /// Bytes of the header; the first frame follows.
    public static let byteCount = 64
    /// The newest format that this program writes.
    public static let currentVersion: UInt32 = 1
    /// The oldest format that this program still reads (N reads N-1).
    public static let oldestVersion: UInt32 = 1

    static let magic: [UInt8] = Array("dcsnjrnl".utf8)

    /// The journal that this segment belongs to.
    public let journalID: JournalID
    /// Seq of the first frame.
    public let firstSeq: UInt64
    /// Random per segment; goes into every frame's checksum.
    public let salt: UInt64
    /// The format of the frames.
    public let version: UInt32

    /// Why bytes are no header.
    public enum Fault: Error, Equatable, Sendable {
        /// Fewer than 64 bytes.
        case short
        /// Not a segment of this program.
        case magic
        /// Written by a program of another version.
        case version(UInt32)
        /// The checksum does not match.
        case checksum
    }

    /// A header of the current version.
    public init(journalID: JournalID, firstSeq: UInt64, salt: UInt64) {
        self.init(journalID: journalID, firstSeq: firstSeq, salt: salt, version: Self.currentVersion)
    }

    private init(journalID: JournalID, firstSeq: UInt64, salt: UInt64, version: UInt32) {
        self.journalID = journalID
        self.firstSeq = firstSeq
        self.salt = salt
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
            raw.storeBytes(of: firstSeq.littleEndian, toByteOffset: 32, as: UInt64.self)
            raw.storeBytes(of: salt.littleEndian, toByteOffset: 40, as: UInt64.self)
            let crc = Self.checksum(UnsafeRawBufferPointer(raw))
            raw.storeBytes(of: crc.littleEndian, toByteOffset: 60, as: UInt32.self)
        }
        return bytes
    }

    /// Reads a header; the version is judged before the checksum, because a newer format may check itself differently.
    public static func decode(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> SegmentHeader {
        guard bytes.count >= byteCount else { throw .short }
        guard bytes.prefix(magic.count).elementsEqual(magic) else { throw .magic }
        let version = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard (oldestVersion...currentVersion).contains(version) else { throw .version(version) }
        let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 60, as: UInt32.self))
        guard stored == checksum(bytes) else { throw .checksum }
        return SegmentHeader(
            journalID: JournalID(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))),
            firstSeq: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)),
            salt: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 40, as: UInt64.self)),
            version: version)
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var crc = CRC32C()
        crc.update(UnsafeRawBufferPointer(rebasing: bytes[0..<60]))
        return crc.value
    }
}

/// The names of the files in a journal's directory.
enum SegmentName {
    static let lock = "lock"
    private static let suffix = ".segment"
    private static let spareSuffix = ".spare"

    /// `%020d.segment`, so that names sort as their first seqs do.
    static func segment(firstSeq: UInt64) -> String {
        let digits = String(firstSeq)
        return String(repeating: "0", count: 20 - digits.count) + digits + suffix
    }

    /// The first seq in a segment's name; nil for any other file.
    static func firstSeq(of name: String) -> UInt64? {
        guard name.hasSuffix(suffix), name.utf8.count == 20 + suffix.utf8.count else { return nil }
        return UInt64(name.dropLast(suffix.count))
    }

    /// A segment that is not in use yet: blocks, no header.
    static func spare(_ number: UInt64) -> String { String(number) + spareSuffix }

    static func isSpare(_ name: String) -> Bool { name.hasSuffix(spareSuffix) }
}
