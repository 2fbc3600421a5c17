internal import CSimdJSON

/// The Swift face of `csj_node`: one value or object key on the tape, read without a call.
@usableFromInline
@frozen
struct TapeNode {
    /// First source byte; of a string the byte after its quote.
    @usableFromInline let offset: UInt32
    /// Source bytes; of a string without its quotes.
    @usableFromInline let length: UInt32
    /// Kind, flags and child count.
    @usableFromInline let info: UInt32
    /// Node after this subtree; of a key its fingerprint.
    @usableFromInline let next: UInt32

    @usableFromInline static let escapedFlag: UInt32 = 8
    @usableFromInline static let integerFlag: UInt32 = 16
    @usableFromInline static let specialFlag: UInt32 = 32
    @usableFromInline static let trueFlag: UInt32 = 64
    @usableFromInline static let negativeFlag: UInt32 = 128
    /// A stored count of this size means "this many or more".
    @usableFromInline static let countMax = 0xFF_FFFF

    @inlinable var kindBits: UInt8 { UInt8(truncatingIfNeeded: info & 7) }
    @inlinable func has(_ flag: UInt32) -> Bool { info & flag != 0 }

    /// The same mix of length, first, middle and last byte that the tape builder stores for a key.
    @inlinable
    static func fingerprint(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
        if count == 0 { return 0 }
        return UInt32(count & 0xFF) | UInt32(bytes[0]) << 8 | UInt32(bytes[count / 2]) << 16
            | UInt32(bytes[count - 1]) << 24
    }
}

/// Byte equality without a call into the C library for the short keys that dominate.
@inlinable
func equalBytes(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    var index = 0
    let leftRaw = UnsafeRawPointer(left)
    let rightRaw = UnsafeRawPointer(right)
    while index + 8 <= count {
        let difference =
            leftRaw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            ^ rightRaw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        if difference != 0 { return false }
        index += 8
    }
    while index < count {
        if left[index] != right[index] { return false }
        index += 1
    }
    return true
}
