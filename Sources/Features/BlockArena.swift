/// Head of one entity's block; rows follow it.
struct BlockHeader {
    /// Time, ingest time and seq of the entity's first event; rows keep signed differences to them.
    var timeBase: Int64
    var ingestBase: Int64
    var seqBase: Int64
    /// Latest event time dropped because the entity was full; Int64.min when none was.
    var cappedThrough: Int64
    /// Slot of the entity in the table.
    var owner: UInt32
    /// Bytes of the whole block.
    var byteCount: UInt32
    /// Chunk that holds it; `BlockArena.large` for none.
    var chunk: UInt32
    /// Live rows, the first row's index, and rows that fit.
    var count: UInt32
    var head: UInt32
    var capacity: UInt32
    /// Index of the row layout.
    var layout: UInt32

    static let byteCount = MemoryLayout<BlockHeader>.stride
    /// Readable bytes past the last row, for 8-byte loads.
    static let tail = 8
}

/// Blocks of one table, bump-allocated in chunks and compacted: an entity's block grows by moving, and size-class free
/// lists would keep every outgrown size. Since each block is referenced from one place (`pointers[owner]`), a chunk
/// that is mostly garbage is emptied by moving its live blocks on.
struct BlockArena: ~Copyable {
    static let large = UInt32.max

    private struct Chunk {
        var base: UnsafeMutableRawPointer?
        var used: Int
        var live: Int
        var capacity: Int
    }

    /// Block of each entity slot.
    private(set) var pointers: [UnsafeMutableRawPointer?] = []
    private var chunks: [Chunk] = []
    private var emptyChunks: [Int] = []
    private var current = -1
    private var chunkBytes = 0
    private var liveBytes = 0
    private var largeBytes = 0

    init() {}

    deinit {
        for pointer in pointers {
            if let pointer, Self.header(pointer).pointee.chunk == Self.large { pointer.deallocate() }
        }
        for chunk in chunks { chunk.base?.deallocate() }
    }

    /// Heap bytes held.
    var bytesUsed: Int {
        chunkBytes + largeBytes + pointers.capacity * 8 + chunks.capacity * MemoryLayout<Chunk>.stride
    }

    @inline(__always)
    static func header(_ block: UnsafeMutableRawPointer) -> UnsafeMutablePointer<BlockHeader> {
        block.assumingMemoryBound(to: BlockHeader.self)
    }

    /// The block of a slot, or nil.
    @inline(__always)
    func block(_ slot: Int) -> UnsafeMutableRawPointer? {
        slot < pointers.count ? pointers[slot] : nil
    }

    /// Makes `slot` addressable.
    mutating func ensure(slot: Int) {
        while pointers.count <= slot { pointers.append(nil) }
    }

    /// A new block of at least `bytes` for `slot`, not yet installed. May move every other block of the arena.
    mutating func allocate(bytes: Int, slot: Int) -> UnsafeMutableRawPointer {
        let size = (bytes + 7) & ~7
        precondition(size <= Int(UInt32.max), "entityEventsMax and the row width bound a block")
        let block: UnsafeMutableRawPointer
        let chunk: UInt32
        if size > FeatureLimits.arenaBlockBytesMax {
            block = .allocate(byteCount: size, alignment: 8)
            chunk = Self.large
            largeBytes += size
        } else {
            if current < 0 || chunks[current].used + size > chunks[current].capacity { makeRoom(size) }
            block = bump(current, size)
            chunk = UInt32(current)
        }
        Self.header(block).initialize(
            to: BlockHeader(
                timeBase: 0, ingestBase: 0, seqBase: 0, cappedThrough: .min, owner: UInt32(slot),
                byteCount: UInt32(size), chunk: chunk, count: 0, head: 0, capacity: 0, layout: 0))
        return block
    }

    /// Makes `block` the slot's block and frees the one before.
    mutating func install(_ block: UnsafeMutableRawPointer?, slot: Int) {
        let old = pointers[slot]
        pointers[slot] = block
        guard let old else { return }
        let header = Self.header(old).pointee
        if header.chunk == Self.large {
            largeBytes -= Int(header.byteCount)
            old.deallocate()
        } else {
            let chunk = Int(header.chunk)
            chunks[chunk].live -= Int(header.byteCount)
            liveBytes -= Int(header.byteCount)
            if chunks[chunk].live == 0, chunk != current { free(chunk) }
        }
    }

    private mutating func bump(_ chunk: Int, _ size: Int) -> UnsafeMutableRawPointer {
        guard let base = chunks[chunk].base else { preconditionFailure("the current chunk has memory") }
        let block = base + chunks[chunk].used
        chunks[chunk].used += size
        chunks[chunk].live += size
        liveBytes += size
        return block
    }

    /// A current chunk with room: emptying the worst chunk when an eighth of all is garbage, else a fresh one.
    private mutating func makeRoom(_ size: Int) {
        if (chunkBytes - liveBytes) * 8 > chunkBytes, let victim = emptiest() {
            let target = takeChunk(atLeast: chunks[victim].live + size)
            evacuate(victim, to: target)
            current = target
            return
        }
        current = takeChunk(atLeast: size)
    }

    private func emptiest(except: Int = -1) -> Int? {
        var best: Int?
        var least = FeatureLimits.arenaChunkBytes + 1
        for index in chunks.indices where index != except && chunks[index].base != nil && chunks[index].live < least {
            least = chunks[index].live
            best = index
        }
        return best
    }

    /// Bytes of the next chunk. The first ones are small, each as large as all before it: a store has many tables of few
    /// rows.
    ///
    /// - Parameter leaving: bytes of a chunk that is about to be freed.
    private func usualBytes(besides leaving: Int) -> Int {
        min(FeatureLimits.arenaChunkBytes, max(FeatureLimits.arenaChunkBytesMin, chunkBytes - leaving))
    }

    private mutating func takeChunk(atLeast needed: Int, besides leaving: Int = 0) -> Int {
        let capacity = max(needed, usualBytes(besides: leaving))
        let base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
        chunkBytes += capacity
        if let index = emptyChunks.popLast() {
            chunks[index] = Chunk(base: base, used: 0, live: 0, capacity: capacity)
            return index
        }
        chunks.append(Chunk(base: base, used: 0, live: 0, capacity: capacity))
        return chunks.count - 1
    }

    private mutating func evacuate(_ victim: Int, to target: Int) {
        guard let base = chunks[victim].base else { return }
        var offset = 0
        while offset < chunks[victim].used {
            let block = base + offset
            let header = Self.header(block).pointee
            let size = Int(header.byteCount)
            if pointers[Int(header.owner)] == block {
                let moved = bump(target, size)
                liveBytes -= size
                moved.copyMemory(from: block, byteCount: size)
                Self.header(moved).pointee.chunk = UInt32(target)
                pointers[Int(header.owner)] = moved
            }
            offset += size
        }
        free(victim)
    }

    /// Empties the emptiest chunk into another when less than half of it lives and a quarter of all is garbage; false when
    /// there is nothing to gain.
    mutating func compactChunk() -> Bool {
        guard (chunkBytes - liveBytes) * 4 > chunkBytes, let victim = emptiest(except: shrinksCurrent ? -1 : current),
            chunks[victim].live * 2 <= chunks[victim].capacity
        else { return false }
        if victim == current { current = -1 }
        if chunks[victim].live == 0 {
            free(victim)
            return true
        }
        if current < 0 || chunks[current].used + chunks[victim].live > chunks[current].capacity {
            current = takeChunk(atLeast: chunks[victim].live, besides: chunks[victim].capacity)
        }
        evacuate(victim, to: current)
        return true
    }

    /// Whether the chunk that takes new blocks would be at most half as large if it were taken anew for what lives in it.
    private var shrinksCurrent: Bool {
        guard current >= 0 else { return false }
        let chunk = chunks[current]
        return chunk.live == 0 || max(chunk.live, usualBytes(besides: chunk.capacity)) * 2 <= chunk.capacity
    }

    private mutating func free(_ chunk: Int) {
        chunks[chunk].base?.deallocate()
        chunkBytes -= chunks[chunk].capacity
        chunks[chunk] = Chunk(base: nil, used: 0, live: 0, capacity: 0)
        emptyChunks.append(chunk)
    }
}
