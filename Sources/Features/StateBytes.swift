/// Bytes of saved state that are not what this engine wrote, or would not be safe to use. They come from a checked
/// file, so this is another version's work, or a hostile hand's.
public struct FeatureRestoreError: Error, Equatable, Sendable {
    /// What does not fit.
    public let what: String

    init(_ what: String) { self.what = what }
}

/// Appends little-endian integers and raw bytes: saved state of the engine.
struct StateWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func integer<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func raw(_ value: UnsafeRawBufferPointer) { bytes.append(contentsOf: value) }

    /// UTF-8 with a 32-bit length in front.
    mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            integer(UInt32(utf8.count))
            raw(UnsafeRawBufferPointer(utf8))
        }
    }
}

/// Reads what `StateWriter` wrote, never past the end.
struct StateReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Bytes not read yet.
    var remaining: Int { bytes.count - offset }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type, _ what: StaticString) throws(FeatureRestoreError) -> T {
        let size = MemoryLayout<T>.size
        guard size <= remaining else { throw FeatureRestoreError("\(what): the bytes end") }
        defer { offset += size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// A count of things that each take at least `bytesEach` bytes, so that no count can ask for more memory than the
    /// bytes themselves take.
    mutating func count(bytesEach: Int, _ what: StaticString) throws(FeatureRestoreError) -> Int {
        let count = Int(try integer(UInt32.self, what))
        guard count <= remaining / bytesEach else { throw FeatureRestoreError("\(what): more than there are bytes") }
        return count
    }

    mutating func raw(_ count: Int, _ what: StaticString) throws(FeatureRestoreError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw FeatureRestoreError("\(what): the bytes end") }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }

    mutating func text(_ what: StaticString) throws(FeatureRestoreError) -> String {
        let count = Int(try integer(UInt32.self, what))
        return String(decoding: try raw(count, what), as: UTF8.self)
    }
}
