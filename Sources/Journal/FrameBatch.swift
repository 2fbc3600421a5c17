/// Frames on their way to the journal: one growing byte buffer, filled by a producer and handed over whole.
///
/// A producer builds it, passes it to ``JournalWriter/append(_:)`` and must not touch it until the observer has been
/// told about it; then it can be emptied with ``removeAll()`` and used again. An empty batch is a barrier: it completes
/// when everything appended before it is durable.
///
/// SAFETY: `@unchecked Sendable` because exactly one thread owns a batch at any time. Ownership moves with the
/// writer's lock (append) and back with the observer's call; `isQueued` traps when that rule is broken.
public final class FrameBatch: @unchecked Sendable {
    /// Whatever the observer needs to answer the producer.
    public var context: (any AnyObject & Sendable)?
    /// A number for the observer; not interpreted.
    public var token: UInt64 = 0
    /// Frames added.
    public private(set) var frameCount = 0
    /// Bytes of all frames, headers and padding included.
    public private(set) var byteCount = 0
    /// True when a payload past ``JournalLimits/frameBytesMax`` was added (and left out): the batch will be refused.
    public private(set) var hasOversizedFrame = false

    var isQueued = false
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int

    /// An empty batch with room for about `capacity` bytes.
    public init(capacity: Int = 1024) {
        self.capacity = max(64, (capacity + 7) & ~7)
        memory = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 8)
    }

    deinit { memory.deallocate() }

    /// Adds one frame, copying `payload`.
    public func add(type: UInt8, payload: UnsafeRawBufferPointer) {
        add(type: type, reserving: payload.count) { room in
            room.copyMemory(from: payload)
            return payload.count
        }
    }

    /// Adds one frame, copying `payload`.
    public func add(type: UInt8, payload: [UInt8]) {
        payload.withUnsafeBytes { add(type: type, payload: $0) }
    }

    /// Adds one frame whose payload `fill` writes in place: it gets `count` bytes of room and returns how many it used.
    /// When it throws, nothing is added.
    public func add<Failure: Error>(
        type: UInt8, reserving count: Int,
        fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        precondition(!isQueued, "a batch is the journal's until the observer was told about it")
        guard count <= JournalLimits.frameBytesMax else {
            hasOversizedFrame = true
            return
        }
        reserve(byteCount + FrameCodec.frameBytes(payload: count))
        let start = memory + byteCount
        let used = try fill(UnsafeMutableRawBufferPointer(start: start + FrameCodec.headerBytes, count: count))
        precondition(used >= 0 && used <= count, "fill wrote past its room")
        let total = FrameCodec.frameBytes(payload: used)
        FrameCodec.prepare(UnsafeMutableRawBufferPointer(start: start, count: total), type: type, length: used)
        byteCount += total
        frameCount += 1
    }

    /// Empties the batch and keeps its memory; context and token are cleared.
    public func removeAll() {
        precondition(!isQueued, "a batch is the journal's until the observer was told about it")
        frameCount = 0
        byteCount = 0
        hasOversizedFrame = false
        context = nil
        token = 0
    }

    /// All frames as they go to the disk.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: byteCount) }

    /// Gives every frame its seq, group index and checksum.
    func stamp(firstSeq: UInt64, groupIndex: UInt32, crcSeed: UInt32) {
        var offset = 0
        for index in 0..<frameCount {
            offset += FrameCodec.stamp(
                memory + offset, seq: firstSeq + UInt64(index), groupIndex: groupIndex + UInt32(index),
                crcSeed: crcSeed)
        }
        precondition(offset == byteCount, "a batch's frames do not add up")
    }

    private func reserve(_ needed: Int) {
        guard needed > capacity else { return }
        let larger = max(needed, capacity * 2)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
        grown.copyMemory(from: memory, byteCount: byteCount)
        memory.deallocate()
        memory = grown
        capacity = larger
    }
}
