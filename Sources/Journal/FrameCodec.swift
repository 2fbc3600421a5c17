import CJournalShims

/// The register of a CRC32C (Castagnoli, RFC 3720 B.4), hardware-assisted where the CPU can.
public struct CRC32C: Sendable {
    /// The running state; the checksum is its complement.
    public private(set) var state: UInt32

    /// A fresh register.
    public init() { state = 0xFFFF_FFFF }

    /// A register that continues from `state`.
    init(state: UInt32) { self.state = state }

    /// Feeds bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        state = cjournal_crc32c(state, bytes.baseAddress, bytes.count)
    }

    /// The checksum so far.
    public var value: UInt32 { ~state }

    /// The register after a segment's salt: where every frame of that segment starts.
    static func seed(salt: UInt64) -> UInt32 {
        var crc = CRC32C()
        withUnsafeBytes(of: salt.littleEndian) { crc.update($0) }
        return crc.state
    }
}

/// Lays out and checks one frame. Little-endian, every frame starts on 8 bytes:
///
///     0  u32 payload length        8  u64 seq
///     4  u32 crc32c               16  u8 type, u24 zero, u32 index in its group
///     24 payload, zeros to a multiple of 8
///
/// The checksum covers the segment's salt and the whole frame except itself, padding included, so stale bytes of an
/// earlier use of the same blocks never check. The index in the group says which frames were written under the same
/// sync: a bad frame followed by valid ones of its own group is a torn write, followed by a later group it is damage.
public enum FrameCodec {
    /// Bytes before the payload.
    public static let headerBytes = 24

    /// Bytes that a frame with this payload takes.
    public static func frameBytes(payload: Int) -> Int { (headerBytes + payload + 7) & ~7 }

    /// What a frame's header says.
    public struct Header: Equatable, Sendable {
        /// Bytes of payload.
        public let length: Int
        /// The stored checksum.
        public let crc: UInt32
        /// The frame's number.
        public let seq: UInt64
        /// The caller's type byte.
        public let type: UInt8
        /// Frames of the same group before this one.
        public let groupIndex: UInt32

        /// First seq of the group that this frame was written with.
        public var groupFirstSeq: UInt64 { seq &- UInt64(groupIndex) }
    }

    /// The outcome of looking at bytes that should start with a frame.
    public enum Decoded: Equatable, Sendable {
        /// A frame that checks.
        case frame(Header)
        /// More bytes are needed: this many in all.
        case incomplete(Int)
        /// No frame.
        case bad(Fault)
    }

    /// Why bytes are no frame.
    public enum Fault: String, Sendable {
        /// The header is all zeros: nothing was ever written here.
        case blank
        /// The length is past ``JournalLimits/frameBytesMax``.
        case length
        /// The checksum does not match.
        case checksum
        /// The file ends inside the frame.
        case truncated
    }

    /// Writes the part that is known before a seq is assigned, and the padding. `frame` must be `frameBytes(payload:)`
    /// long.
    static func prepare(_ frame: UnsafeMutableRawBufferPointer, type: UInt8, length: Int) {
        frame.storeBytes(of: UInt32(length).littleEndian, toByteOffset: 0, as: UInt32.self)
        frame.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
        frame.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
        frame.storeBytes(of: UInt64(type), toByteOffset: 16, as: UInt64.self)
        for offset in (headerBytes + length)..<frame.count { frame[offset] = 0 }
    }

    /// Completes a prepared frame: seq, index in the group, checksum. Returns the frame's bytes.
    static func stamp(_ frame: UnsafeMutableRawPointer, seq: UInt64, groupIndex: UInt32, crcSeed: UInt32) -> Int {
        let length = Int(UInt32(littleEndian: frame.load(as: UInt32.self)))
        frame.storeBytes(of: seq.littleEndian, toByteOffset: 8, as: UInt64.self)
        frame.storeBytes(of: groupIndex.littleEndian, toByteOffset: 20, as: UInt32.self)
        let total = frameBytes(payload: length)
        let crc = checksum(UnsafeRawBufferPointer(start: frame, count: total), crcSeed: crcSeed)
        frame.storeBytes(of: crc.littleEndian, toByteOffset: 4, as: UInt32.self)
        return total
    }

    /// The header's fields, unchecked. `bytes` must hold `headerBytes`.
    static func header(_ bytes: UnsafeRawBufferPointer) -> Header {
        Header(
            length: Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))),
            crc: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)),
            seq: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            type: bytes[16],
            groupIndex: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self)))
    }

    /// Looks at the start of `bytes`. A zero byte string is `blank`; `incomplete` asks for the whole frame.
    public static func decode(_ bytes: UnsafeRawBufferPointer, crcSeed: UInt32) -> Decoded {
        guard bytes.count >= headerBytes else { return .incomplete(headerBytes) }
        let header = header(bytes)
        if header.seq == 0, header.crc == 0, header.length == 0, header.type == 0, header.groupIndex == 0 {
            return .bad(.blank)
        }
        guard header.length <= JournalLimits.frameBytesMax else { return .bad(.length) }
        let total = frameBytes(payload: header.length)
        guard bytes.count >= total else { return .incomplete(total) }
        let computed = checksum(UnsafeRawBufferPointer(rebasing: bytes[..<total]), crcSeed: crcSeed)
        return computed == header.crc ? .frame(header) : .bad(.checksum)
    }

    private static func checksum(_ frame: UnsafeRawBufferPointer, crcSeed: UInt32) -> UInt32 {
        var crc = CRC32C(state: crcSeed)
        crc.update(UnsafeRawBufferPointer(rebasing: frame[0..<4]))
        crc.update(UnsafeRawBufferPointer(rebasing: frame[8...]))
        return crc.value
    }
}
