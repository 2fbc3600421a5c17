import JSON
import Journal

/// Which (source, id) pairs were accepted within the dedupe horizon, and the hash of what each said.
///
/// It also knows the journal position of each accepted pair, and which correction stands in the place of a corrected one.
///
/// Partitioned by the hash: growing or capturing one partition never touches the others. Rebuilt from a snapshot and the
/// journal at start.
struct DedupeTable: Sendable {
    typealias Verdict = DedupePartition.Verdict

    /// What stands in the place of a pair: its own event, or the latest correction of it.
    struct Current: Equatable, Sendable {
        let identity: Hash128
        /// Position in the journal; nil until the frame is durable.
        let seq: UInt64?
    }

    /// A correction that was appended: `correction` stands in the place of `superseded`, and so of `target`, the pair
    /// that it names.
    struct Link: Equatable, Sendable {
        let target: Hash128
        let superseded: Hash128
        let correction: Hash128
    }

    /// Partitions; a power of two.
    static let partitionCount = 64

    private(set) var partitions: [DedupePartition]
    /// Identities on their way to the disk.
    var reservations = Reservations()
    /// How long, in microseconds of ingest time, a pair is remembered at least.
    let horizonMicros: Int64

    init(horizonMicros: Int64, nowMicros: Int64) {
        self.horizonMicros = horizonMicros
        partitions = (0..<Self.partitionCount).map { _ in DedupePartition(startMicros: nowMicros) }
    }

    /// The partition of a pair. Its slot inside follows from the low word.
    @inline(__always)
    static func partition(of key: Hash128) -> Int { Int(truncatingIfNeeded: key.high >> 58) }

    /// Pairs remembered.
    var count: Int { partitions.reduce(0) { $0 + $1.count } }

    /// Looks the pair up and reserves it when it is new.
    mutating func admit(_ key: Hash128, content: UInt64, nowMicros: Int64) -> DedupePartition.Verdict {
        partitions[Self.partition(of: key)].admit(
            key, content: content, nowMicros: nowMicros, horizonMicros: horizonMicros)
    }

    /// Takes back a reservation whose frame never reached the journal.
    mutating func release(_ key: Hash128) {
        partitions[Self.partition(of: key)].release(key)
    }

    /// Looks the pair up without reserving it.
    func verdict(_ key: Hash128, content: UInt64) -> Verdict {
        partitions[Self.partition(of: key)].verdict(key, content: content)
    }

    /// Notes where the frame of a reserved pair stands.
    mutating func settle(_ key: Hash128, seq: UInt64) {
        partitions[Self.partition(of: key)].settle(key, seq: seq)
    }

    /// What stands in the place of a pair; nil when the pair is not remembered.
    func current(_ key: Hash128) -> Current? {
        var key = key
        while let next = partitions[Self.partition(of: key)].successor(of: key) { key = next }
        return partitions[Self.partition(of: key)].current(key)
    }

    /// Puts a reserved correction in the place of what it supersedes.
    mutating func link(_ link: Link) {
        partitions[Self.partition(of: link.superseded)].put(link.correction, after: link.superseded)
    }

    /// Shortens the way from a correction's target to it, once it is durable: an event may be corrected very often.
    mutating func shorten(_ link: Link) {
        partitions[Self.partition(of: link.target)].put(link.correction, after: link.target)
    }

    /// Takes back a link whose frame never reached the journal.
    mutating func unlink(_ link: Link) {
        partitions[Self.partition(of: link.superseded)].removeSuccessor(of: link.superseded)
    }

    /// Puts a saved link back. One that would close a circle is nothing that was ever written, and is left out.
    mutating func restore(link key: Hash128, to successor: Hash128) {
        var end = successor
        while let next = partitions[Self.partition(of: end)].successor(of: end), end != key { end = next }
        if end != key { partitions[Self.partition(of: key)].put(successor, after: key) }
    }

    /// Puts a saved partition's generation back.
    mutating func restore(_ number: Int, _ generation: DedupePartition.Saved) {
        partitions[number].restore(generation)
    }
}

/// The pairs of one partition: two generations of flat open addressing. The older is dropped whole once the younger is a
/// horizon old, so an entry is remembered for at least one horizon of ingest time and at most two.
struct DedupePartition: Sendable {
    /// What is known of a pair.
    enum Verdict: Equatable, Sendable {
        /// Never seen within the horizon: reserved by this call.
        case new
        /// Accepted before with the same content.
        case duplicate
        /// Accepted before with other content; the first stays.
        case contentDiffers
    }

    private struct Generation: Sendable {
        var keys: [Hash128]
        var contents: [UInt64]
        /// Positions of the pairs' frames; 0 until they are durable.
        var seqs: [UInt64]
        /// Corrected pairs and what stands in their place. Kept with the correction, which is never older than they.
        var successors: [Hash128: Hash128] = [:]
        var count = 0
        var startMicros: Int64

        init(capacity: Int, startMicros: Int64) {
            keys = Array(repeating: Hash128(high: 0, low: 0), count: capacity)
            contents = Array(repeating: 0, count: capacity)
            seqs = Array(repeating: 0, count: capacity)
            self.startMicros = startMicros
        }

        /// The slot that holds `key`, or the free one where it belongs. The all-zero key marks a free slot.
        func slot(of key: Hash128) -> (index: Int, isPresent: Bool) {
            let mask = keys.count - 1
            var index = Int(truncatingIfNeeded: key.low) & mask
            while true {
                let found = keys[index]
                if found == key { return (index, true) }
                if found.high == 0 && found.low == 0 { return (index, false) }
                index = (index + 1) & mask
            }
        }

        mutating func insert(_ key: Hash128, _ content: UInt64, seq: UInt64 = 0) {
            if (count + 1) * 10 > keys.count * 7 { grow() }
            let (index, isPresent) = slot(of: key)
            if !isPresent { count += 1 }
            keys[index] = key
            contents[index] = content
            seqs[index] = seq
        }

        private mutating func grow() {
            var larger = Generation(capacity: keys.count * 2, startMicros: startMicros)
            for index in keys.indices where keys[index].high != 0 || keys[index].low != 0 {
                larger.insert(keys[index], contents[index], seq: seqs[index])
            }
            larger.successors = successors
            self = larger
        }

        /// Takes a key out again (a reservation whose append was refused), closing the probe chain behind it.
        mutating func remove(_ key: Hash128) {
            let (found, isPresent) = slot(of: key)
            guard isPresent else { return }
            let mask = keys.count - 1
            var hole = found
            var index = (found + 1) & mask
            while keys[index].high != 0 || keys[index].low != 0 {
                let home = Int(truncatingIfNeeded: keys[index].low) & mask
                if (index &- home) & mask >= (index &- hole) & mask {
                    keys[hole] = keys[index]
                    contents[hole] = contents[index]
                    seqs[hole] = seqs[index]
                    hole = index
                }
                index = (index + 1) & mask
            }
            keys[hole] = Hash128(high: 0, low: 0)
            count -= 1
        }
    }

    private var young: Generation
    private var old: Generation?
    private static let initialCapacity = 1 << 6

    init(startMicros: Int64) {
        young = Generation(capacity: Self.initialCapacity, startMicros: startMicros)
    }

    /// Pairs remembered.
    var count: Int { young.count + (old?.count ?? 0) }

    /// Looks the pair up and reserves it when it is new.
    mutating func admit(_ key: Hash128, content: UInt64, nowMicros: Int64, horizonMicros: Int64) -> Verdict {
        rotate(nowMicros, horizonMicros)
        let verdict = verdict(key, content: content)
        if verdict == .new { young.insert(Self.nonzero(key), content) }
        return verdict
    }

    /// Looks the pair up without reserving it.
    func verdict(_ key: Hash128, content: UInt64) -> Verdict {
        let key = Self.nonzero(key)
        let (index, isPresent) = young.slot(of: key)
        if isPresent { return young.contents[index] == content ? .duplicate : .contentDiffers }
        if let old {
            let (index, isPresent) = old.slot(of: key)
            if isPresent { return old.contents[index] == content ? .duplicate : .contentDiffers }
        }
        return .new
    }

    /// Notes where the frame of a reserved pair stands.
    mutating func settle(_ key: Hash128, seq: UInt64) {
        let key = Self.nonzero(key)
        let (index, isPresent) = young.slot(of: key)
        if isPresent {
            young.seqs[index] = seq
        } else if let (index, isPresent) = old?.slot(of: key), isPresent {
            old?.seqs[index] = seq
        }
    }

    /// The pair itself, whatever stands in its place; nil when it is not remembered.
    func current(_ key: Hash128) -> DedupeTable.Current? {
        let key = Self.nonzero(key)
        let (index, isPresent) = young.slot(of: key)
        if isPresent { return .init(identity: key, seq: young.seqs[index] == 0 ? nil : young.seqs[index]) }
        guard let old, case (let place, true) = old.slot(of: key) else { return nil }
        return .init(identity: key, seq: old.seqs[place] == 0 ? nil : old.seqs[place])
    }

    /// What stands in the place of a pair; nil when it stands itself.
    func successor(of key: Hash128) -> Hash128? {
        let key = Self.nonzero(key)
        return young.successors[key] ?? old?.successors[key]
    }

    /// Notes what stands in the place of a pair.
    mutating func put(_ successor: Hash128, after key: Hash128) {
        young.successors[Self.nonzero(key)] = Self.nonzero(successor)
    }

    /// Forgets it.
    mutating func removeSuccessor(of key: Hash128) {
        young.successors[Self.nonzero(key)] = nil
        old?.successors[Self.nonzero(key)] = nil
    }

    /// Every pair that something stands in the place of, and what.
    var successors: [(key: Hash128, successor: Hash128)] {
        var all = old?.successors ?? [:]
        all.merge(young.successors) { $1 }
        return all.map { ($0.key, $0.value) }
    }

    /// Takes back a reservation whose frame never reached the journal.
    mutating func release(_ key: Hash128) {
        // A reservation made just before a rotation stands in the older generation.
        young.remove(Self.nonzero(key))
        old?.remove(Self.nonzero(key))
    }

    private mutating func rotate(_ nowMicros: Int64, _ horizonMicros: Int64) {
        guard nowMicros - young.startMicros >= horizonMicros else { return }
        // After a long silence even the younger generation is past the horizon.
        old = nowMicros - young.startMicros >= 2 * horizonMicros ? nil : young
        young = Generation(capacity: Self.initialCapacity, startMicros: nowMicros)
    }

    private static func nonzero(_ key: Hash128) -> Hash128 {
        key.high == 0 && key.low == 0 ? Hash128(high: 0, low: 1) : key
    }

    // MARK: Saved state

    /// One accepted pair.
    struct Pair: Sendable {
        let key: Hash128
        let content: UInt64
        let seq: UInt64
    }

    /// One generation, or a piece of one, as a snapshot holds it.
    struct Saved: Sendable {
        let isOld: Bool
        let startMicros: Int64
        /// Pairs in the whole generation, for the size of its table.
        let total: Int
        var pairs: [Pair]
    }

    /// The generations, older first, without the pairs of `excluded`, in pieces of at most `pieceMax` pairs. A
    /// generation without pairs is one empty piece: its start counts.
    func saved(excluding excluded: Set<Hash128>, pieceMax: Int, _ body: (Saved) throws(StorageError) -> Void)
        throws(StorageError)
    {
        for (generation, isOld) in [(old, true), (young, false)] {
            guard let generation else { continue }
            var piece = Saved(isOld: isOld, startMicros: generation.startMicros, total: generation.count, pairs: [])
            for (index, key) in generation.keys.enumerated() where key.high != 0 || key.low != 0 {
                if excluded.contains(key) { continue }
                piece.pairs.append(Pair(key: key, content: generation.contents[index], seq: generation.seqs[index]))
                if piece.pairs.count == pieceMax {
                    try body(piece)
                    piece.pairs.removeAll(keepingCapacity: true)
                }
            }
            if !piece.pairs.isEmpty || generation.count <= pieceMax { try body(piece) }
        }
    }

    /// Puts a piece back.
    mutating func restore(_ piece: Saved) {
        var generation =
            (piece.isOld ? old : young.startMicros == piece.startMicros && young.count > 0 ? young : nil)
            ?? Generation(capacity: Self.capacity(for: piece), startMicros: piece.startMicros)
        // Neither generation keeps a reference while the other is filled, so that filling copies nothing.
        if piece.isOld { old = nil } else { young = Generation(capacity: 1, startMicros: 0) }
        for pair in piece.pairs { generation.insert(Self.nonzero(pair.key), pair.content, seq: pair.seq) }
        if piece.isOld { old = generation } else { young = generation }
    }

    /// What the generation will need, as far as this piece can be believed: a count in a file is no reason to take memory.
    private static func capacity(for piece: Saved) -> Int {
        let pairs = min(max(piece.total, piece.pairs.count), 8 * piece.pairs.count)
        var capacity = initialCapacity
        while (pairs + 1) * 10 > capacity * 7 { capacity *= 2 }
        return capacity
    }
}
