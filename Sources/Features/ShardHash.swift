/// Which shard an entity belongs to: the same in every process of one journal, so that a saved shard can be put back.
/// A keyed folded multiply; it only spreads entities, and the tables inside a shard hash by the process's own seed.
struct ShardHash: Sendable {
    private static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15
    private let seed: UInt64

    init(seed: UInt64) { self.seed = seed ^ 0xD6E8_FEB8_6659_FD93 }

    @inline(__always)
    private static func fold(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: multiplier)
        return product.high ^ product.low
    }

    /// A number below `shards`, a power of two.
    func shard(of entity: String, shards: Int) -> Int {
        var entity = entity
        return entity.withUTF8 { utf8 in
            let bytes = UnsafeRawBufferPointer(utf8)
            var state = Self.fold(seed ^ UInt64(bytes.count))
            var offset = 0
            while offset + 8 <= bytes.count {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                state = Self.fold(state ^ word)
                offset += 8
            }
            var rest: UInt64 = 0
            while offset < bytes.count {
                rest = rest << 8 | UInt64(bytes[offset])
                offset += 1
            }
            state = Self.fold(state ^ rest ^ seed)
            return Int(truncatingIfNeeded: state >> 40) & (shards - 1)
        }
    }
}
