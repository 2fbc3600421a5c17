/// Appends little-endian integers and length-prefixed byte strings: the body of every journal frame.
struct ByteWriter {
    /// What was written so far.
    var bytes: [UInt8] = []

    mutating func integer<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// A byte string with a 32-bit length in front.
    mutating func blob(_ value: UnsafeRawBufferPointer) {
        integer(UInt32(value.count))
        bytes.append(contentsOf: value)
    }

    /// A byte string with a 32-bit length in front.
    mutating func blob(_ value: [UInt8]) {
        integer(UInt32(value.count))
        bytes.append(contentsOf: value)
    }

    /// UTF-8 text with a 32-bit length in front.
    mutating func text(_ value: String) {
        var copy = value
        copy.withUTF8 { blob(UnsafeRawBufferPointer($0)) }
    }

    /// Absent, or UTF-8 text: one flag byte, then the text.
    mutating func optionalText(_ value: String?) {
        if let value {
            bytes.append(1)
            text(value)
        } else {
            bytes.append(0)
        }
    }
}

/// A journal frame whose body does not decode: its CRC held, so this is a version this binary does not know.
struct FrameError: Error, Sendable, Equatable {
    /// What was being read.
    let what: String
}

/// Reads what `ByteWriter` wrote. Slices point into the buffer and live as long as it does.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Whether everything was read.
    var isAtEnd: Bool { offset == bytes.count }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type, _ what: StaticString) throws(FrameError) -> T {
        let size = MemoryLayout<T>.size
        guard offset + size <= bytes.count else { throw FrameError(what: "\(what)") }
        defer { offset += size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    mutating func blob(_ what: StaticString) throws(FrameError) -> UnsafeRawBufferPointer {
        let length = Int(try integer(UInt32.self, what))
        guard length <= bytes.count - offset else { throw FrameError(what: "\(what)") }
        defer { offset += length }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
    }

    mutating func text(_ what: StaticString) throws(FrameError) -> String {
        String(decoding: try blob(what), as: UTF8.self)
    }

    mutating func optionalText(_ what: StaticString) throws(FrameError) -> String? {
        try integer(UInt8.self, what) == 0 ? nil : try text(what)
    }
}
