import JSON

/// Which (source, id) pairs were accepted within the dedupe horizon, and the hash of what each said.
///
/// It also knows the journal position of each accepted pair, and which correction stands in the place of a corrected one.
///
/// Two generations of flat open addressing; the older is dropped whole once the younger is a horizon old, so an entry is
/// remembered for at least one horizon of ingest time and at most two. Rebuilt from the journal at start.
struct DedupeTable: Sendable {
    /// What is known of a pair.
    enum Verdict: Equatable, Sendable {
        /// Never seen within the horizon: reserved by this call.
        case new
        /// Accepted before with the same content.
        case duplicate
        /// Accepted before with other content; the first stays.
        case contentDiffers
    }

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
    /// How long, in microseconds of ingest time, a pair is remembered at least.
    let horizonMicros: Int64
    private static let initialCapacity = 1 << 12

    init(horizonMicros: Int64, nowMicros: Int64) {
        self.horizonMicros = horizonMicros
        young = Generation(capacity: Self.initialCapacity, startMicros: nowMicros)
    }

    /// Pairs remembered.
    var count: Int { young.count + (old?.count ?? 0) }

    /// Looks the pair up and reserves it when it is new.
    mutating func admit(_ key: Hash128, content: UInt64, nowMicros: Int64) -> Verdict {
        rotate(nowMicros)
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

    /// What stands in the place of a pair; nil when the pair is not remembered.
    func current(_ key: Hash128) -> Current? {
        var key = Self.nonzero(key)
        while let next = young.successors[key] ?? old?.successors[key] { key = next }
        let (index, isPresent) = young.slot(of: key)
        if isPresent { return Current(identity: key, seq: young.seqs[index] == 0 ? nil : young.seqs[index]) }
        guard let old, case (let place, true) = old.slot(of: key) else { return nil }
        return Current(identity: key, seq: old.seqs[place] == 0 ? nil : old.seqs[place])
    }

    /// Puts a reserved correction in the place of what it supersedes.
    mutating func link(_ link: Link) {
        young.successors[Self.nonzero(link.superseded)] = Self.nonzero(link.correction)
    }

    /// Shortens the way from a correction's target to it, once it is durable: an event may be corrected very often.
    mutating func shorten(_ link: Link) {
        young.successors[Self.nonzero(link.target)] = Self.nonzero(link.correction)
    }

    /// Takes back a link whose frame never reached the journal.
    mutating func unlink(_ link: Link) {
        young.successors[Self.nonzero(link.superseded)] = nil
        old?.successors[Self.nonzero(link.superseded)] = nil
    }

    /// Takes back a reservation whose frame never reached the journal.
    mutating func release(_ key: Hash128) {
        // A reservation made just before a rotation stands in the older generation.
        young.remove(Self.nonzero(key))
        old?.remove(Self.nonzero(key))
    }

    private mutating func rotate(_ nowMicros: Int64) {
        guard nowMicros - young.startMicros >= horizonMicros else { return }
        // After a long silence even the younger generation is past the horizon.
        old = nowMicros - young.startMicros >= 2 * horizonMicros ? nil : young
        young = Generation(capacity: Self.initialCapacity, startMicros: nowMicros)
    }

    private static func nonzero(_ key: Hash128) -> Hash128 {
        key.high == 0 && key.low == 0 ? Hash128(high: 0, low: 1) : key
    }
}
