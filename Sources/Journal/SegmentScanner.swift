import Glibc

/// Walks the frames of one segment through a window of memory. The views it returns live until its next call.
struct SegmentScanner<Store: JournalStorage> {
    enum Step {
        /// A frame that checks, its payload, and the offset of its header.
        case frame(FrameCodec.Header, payload: UnsafeRawBufferPointer, offset: Int64)
        /// The limit is reached.
        case end
        /// Something else starts at the current offset.
        case bad(FrameCodec.Fault)
    }

    let storage: Store
    let file: Store.File
    let crcSeed: UInt32
    /// Bytes at and past it are not looked at.
    let limit: Int64
    /// Where the next frame should start.
    private(set) var offset: Int64
    private let window: ScanWindow

    init(
        storage: Store, file: Store.File, crcSeed: UInt32, limit: Int64,
        offset: Int64 = Int64(SegmentHeader.byteCount), window: ScanWindow = ScanWindow()
    ) {
        self.storage = storage
        self.file = file
        self.crcSeed = crcSeed
        self.limit = limit
        self.offset = offset
        self.window = window
        window.forget()
    }

    mutating func next() throws(StorageError) -> Step {
        if offset >= limit { return .end }
        var bytes = try view(atLeast: FrameCodec.headerBytes)
        if bytes.count < FrameCodec.headerBytes {
            return .bad(isBlank(bytes) ? .blank : .truncated)
        }
        var decoded = FrameCodec.decode(bytes, crcSeed: crcSeed)
        if case .incomplete(let total) = decoded {
            if Int64(total) > limit - offset { return .bad(.truncated) }
            bytes = try view(atLeast: total)
            decoded = FrameCodec.decode(bytes, crcSeed: crcSeed)
        }
        switch decoded {
        case .incomplete: return .bad(.truncated)
        case .bad(let fault): return .bad(fault)
        case .frame(let header):
            let start = offset
            offset += Int64(FrameCodec.frameBytes(payload: header.length))
            let payload = bytes[FrameCodec.headerBytes..<(FrameCodec.headerBytes + header.length)]
            return .frame(header, payload: UnsafeRawBufferPointer(rebasing: payload), offset: start)
        }
    }

    /// True when nothing but zeros lies between the current offset and the limit.
    func restIsBlank() throws(StorageError) -> Bool {
        var probe = SegmentScanner(
            storage: storage, file: file, crcSeed: crcSeed, limit: limit, offset: offset, window: ScanWindow())
        while probe.offset < limit {
            let bytes = try probe.view(atLeast: 1)
            if bytes.isEmpty { return true }
            if !isBlank(bytes) { return false }
            probe.offset += Int64(bytes.count)
        }
        return true
    }

    /// After a bad frame where `expectedSeq` should be: the offset of a valid frame that was written by a later sync.
    ///
    /// Frames of the group that `expectedSeq` belongs to do not count: the device may keep any part of an unfinished
    /// write. A frame of a later group proves that the bad one had been durable.
    func laterGroup(than expectedSeq: UInt64) throws(StorageError) -> Int64? {
        var probe = SegmentScanner(
            storage: storage, file: file, crcSeed: crcSeed, limit: limit, offset: offset + 8, window: ScanWindow())
        let lastPossible = expectedSeq + UInt64(limit - offset) / UInt64(FrameCodec.headerBytes)
        while probe.offset + Int64(FrameCodec.headerBytes) <= limit {
            let bytes = try probe.view(atLeast: FrameCodec.headerBytes)
            if bytes.count < FrameCodec.headerBytes { return nil }
            let header = FrameCodec.header(bytes)
            if header.seq > expectedSeq, header.seq <= lastPossible, header.groupFirstSeq > expectedSeq,
                case .frame(_, _, let found) = try probe.next()
            {
                return found
            }
            probe.offset += 8
        }
        return nil
    }

    private mutating func view(atLeast count: Int) throws(StorageError) -> UnsafeRawBufferPointer {
        if let bytes = window.bytes(from: offset, atLeast: count) { return bytes }
        let wanted = Int(min(Int64(max(count, JournalLimits.scanWindowBytes)), limit - offset))
        let room = window.prepare(at: offset, count: wanted)
        window.filled(try storage.read(into: room, from: file, at: offset))
        return window.bytes(from: offset, atLeast: 0) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }
}

/// True when every byte is zero. A block equals itself shifted by one byte exactly when all its bytes are equal, which
/// lets memcmp(3) do the walking.
func isBlank(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress, let first = bytes.first else { return true }
    return first == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
}

/// The memory of a scanner; kept and reused by a reader.
final class ScanWindow {
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var start: Int64 = 0
    private var count = 0

    deinit { memory.deallocate() }

    func forget() { count = 0 }

    func bytes(from offset: Int64, atLeast needed: Int) -> UnsafeRawBufferPointer? {
        let skip = offset - start
        guard skip >= 0, skip <= Int64(count), count - Int(skip) >= needed, count > 0 else { return nil }
        return UnsafeRawBufferPointer(rebasing: memory[Int(skip)..<count])
    }

    func prepare(at offset: Int64, count wanted: Int) -> UnsafeMutableRawBufferPointer {
        if memory.count < wanted {
            memory.deallocate()
            memory = .allocate(byteCount: wanted, alignment: 8)
        }
        start = offset
        count = 0
        return UnsafeMutableRawBufferPointer(rebasing: memory[..<wanted])
    }

    func filled(_ count: Int) { self.count = count }
}
