/// A 128-bit keyed, non-cryptographic hash of bytes: two independent folded-multiply lanes.
///
/// It identifies (source, id) pairs and idempotency keys in memory. The key is drawn from the journal's random id, so
/// that callers cannot aim for collisions without knowing it. Quarantine keys, which outlive the process, use SHA-256.
public struct Hash128: Hashable, Sendable {
    /// The first lane.
    public var high: UInt64
    /// The second lane.
    public var low: UInt64

    /// A hash from its two lanes.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// The key of `Hash128`, fixed for the life of a journal.
public struct HashKey: Sendable {
    /// First word.
    public let first: UInt64
    /// Second word.
    public let second: UInt64

    /// Takes the key from the journal's 16 random bytes.
    public init(_ bytes: [UInt8]) {
        precondition(bytes.count >= 16, "a hash key needs 16 bytes")
        var lanes: (UInt64, UInt64) = (0, 0)
        for index in 0..<8 {
            lanes.0 = lanes.0 << 8 | UInt64(bytes[index])
            lanes.1 = lanes.1 << 8 | UInt64(bytes[index + 8])
        }
        first = lanes.0 ^ 0x9E37_79B9_7F4A_7C15
        second = lanes.1 ^ 0xC2B2_AE3D_27D4_EB4F
    }
}

/// Feeds bytes into a `Hash128`; parts are length-delimited, so ("ab","c") and ("a","bc") differ.
public struct Hasher128 {
    private var high: UInt64
    private var low: UInt64

    /// A hasher that has seen nothing.
    public init(_ key: HashKey) {
        high = key.first
        low = key.second
    }

    /// The high 64 bits of the product folded onto the low ones.
    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    @inline(__always)
    private mutating func mix(_ word: UInt64) {
        high = Self.fold(high ^ word, 0xA076_1D64_78BD_642F)
        low = Self.fold(low ^ word &+ 0xE703_7ED1_A0B4_28DB, 0x8EBC_6AF0_9C88_C6E3)
    }

    /// Adds one part.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset + 8 <= bytes.count {
            mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var tail: UInt64 = 0
        while offset < bytes.count {
            tail = tail << 8 | UInt64(bytes[offset])
            offset += 1
        }
        mix(tail)
        mix(UInt64(bytes.count) ^ 0x5851_F42D_4C95_7F2D)
    }

    /// Adds one part given as text.
    public mutating func add(_ text: String) {
        var copy = text
        copy.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// The hash of everything added so far.
    public func finish() -> Hash128 {
        Hash128(
            high: Self.fold(high ^ low, 0x5895_89E2_31F9_2E5B),
            low: Self.fold(low &+ high, 0x1D8E_4E27_C47D_124F))
    }
}
