/// Where a frame lies: the segment (by its first seq) and the byte offset of the frame's header.
public struct JournalPosition: Hashable, Sendable {
    /// First seq of the segment; also its file's name.
    public let segment: UInt64
    /// Byte offset of the frame in the file.
    public let offset: UInt32

    /// A position.
    public init(segment: UInt64, offset: UInt32) {
        self.segment = segment
        self.offset = offset
    }
}

/// One frame as the journal's own memory holds it. A view: valid only during the call that received it.
public struct JournalFrame {
    /// Dense number from 1; the order of everything.
    public let seq: UInt64
    /// The caller's type byte.
    public let type: UInt8
    /// The caller's bytes, 8-byte aligned.
    public let payload: UnsafeRawBufferPointer
    /// Where to read it again.
    public let position: JournalPosition
}

/// One frame, copied out.
public struct OwnedFrame: Sendable, Equatable {
    /// Dense number from 1.
    public let seq: UInt64
    /// The caller's type byte.
    public let type: UInt8
    /// The caller's bytes.
    public let payload: [UInt8]
}

/// Identity of a journal: 16 random bytes made once, when the directory is first used. In every segment's header.
public struct JournalID: Hashable, Sendable, CustomStringConvertible {
    /// First eight bytes, big-endian.
    public let high: UInt64
    /// Last eight bytes, big-endian.
    public let low: UInt64

    /// An identity from its two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// As a UUID (RFC 9562, version 4 and variant bits set).
    static func random(_ first: UInt64, _ second: UInt64) -> JournalID {
        JournalID(
            high: (first & ~0xF000) | 0x4000, low: (second & ~(0xC000_0000_0000_0000)) | 0x8000_0000_0000_0000)
    }

    /// The UUID's text form, lower case.
    public var description: String {
        let digits = paddedHex(high) + paddedHex(low)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index == 8 || index == 12 || index == 16 || index == 20 { text.append("-") }
            text.append(digit)
        }
        return text
    }

    private func paddedHex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
