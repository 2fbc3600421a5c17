/// How wide each field of an entity's rows is. Entities whose values need the same widths share one layout.
struct RowShape: Hashable {
    /// Bytes (0...8) of: time, ingest, seq, null flags, source, end seq, end ingest, then each column.
    var widths: [UInt8]
    /// Bytes of the event id; 0 when the view needs no tie-break.
    var idWidth: UInt16
    /// Ids are canonical lower-case UUIDs, kept as 16 bytes; their byte order is their text order.
    var packsUUID: Bool

    /// The narrowest shape that holds both.
    func union(_ other: RowShape) -> RowShape {
        var result = self
        for index in widths.indices { result.widths[index] = max(widths[index], other.widths[index]) }
        if packsUUID != other.packsUUID {
            result.packsUUID = false
            result.idWidth = max(packsUUID ? 36 : idWidth, other.packsUUID ? 36 : other.idWidth)
        } else {
            result.idWidth = max(idWidth, other.idWidth)
        }
        return result
    }

    /// Whether rows of `other` fit without widening.
    func holds(_ other: RowShape) -> Bool {
        if packsUUID && !other.packsUUID && other.idWidth > 0 { return false }
        let otherWidth = !packsUUID && other.packsUUID ? 36 : other.idWidth
        if otherWidth > idWidth { return false }
        for index in widths.indices where other.widths[index] > widths[index] { return false }
        return true
    }

    /// A shape from a small family that holds this one: used once a table has very many layouts.
    var coarse: RowShape {
        var result = self
        for index in widths.indices { result.widths[index] = 8 }
        if idWidth > 0 {
            result.packsUUID = false
            result.idWidth = 64
            while result.idWidth < max(idWidth, 36) { result.idWidth *= 2 }
        }
        return result
    }
}

/// One field of a row: little-endian, `width` bytes, read as one unaligned 8-byte load.
struct RowField {
    let offset: Int
    let width: Int
    let mask: UInt64
    /// Sign bit of a signed field; 0 for an unsigned or empty one, which makes the extension below a no-op.
    let sign: UInt64

    /// The field of the row at `row`. The block has 8 readable bytes past its last row.
    @inline(__always)
    func load(_ row: UnsafeRawPointer) -> Int64 {
        let raw = UInt64(littleEndian: row.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) & mask
        return Int64(bitPattern: (raw ^ sign) &- sign)
    }

    /// Writes the low `width` bytes.
    @inline(__always)
    func store(_ value: Int64, in row: UnsafeMutableRawPointer) {
        withUnsafeBytes(of: value.littleEndian) { source in
            row.advanced(by: offset).copyMemory(
                from: UnsafeRawPointer(source.baseAddress.unsafelyUnwrapped), byteCount: width)
        }
    }
}

/// Field positions of a shape.
struct RowLayout {
    /// Fields before the first column.
    enum Fixed {
        static let time = 0
        static let ingest = 1
        static let seq = 2
        static let nulls = 3
        static let source = 4
        /// Distance from the event's seq and ingest time to those of what superseded it. The seq's is 0 while nothing
        /// has, so both take no room in the rows of an entity without corrections.
        static let endSeq = 5
        static let endIngest = 6
        static let count = 7
    }

    let shape: RowShape
    let fields: [RowField]
    let idOffset: Int
    let idWidth: Int
    let stride: Int

    /// Of no row: what a number without a layout has.
    static let none = RowLayout(RowShape(widths: [], idWidth: 0, packsUUID: false), isSigned: [])

    init(_ shape: RowShape, isSigned: [Bool]) {
        self.shape = shape
        var fields: [RowField] = []
        var offset = 0
        for (index, width) in shape.widths.enumerated() {
            let bits = Int(width) * 8
            fields.append(
                RowField(
                    offset: offset, width: Int(width), mask: width == 8 ? .max : (1 << UInt64(bits)) - 1,
                    sign: isSigned[index] && width > 0 ? 1 << UInt64(bits - 1) : 0))
            offset += Int(width)
        }
        self.fields = fields
        idOffset = offset
        idWidth = Int(shape.idWidth)
        stride = max(1, offset + idWidth)
    }

    /// Bytes that a signed value needs: 0 for 0.
    static func signedWidth(_ value: Int64) -> UInt8 {
        if value == 0 { return 0 }
        let bits = 65 - (value ^ (value >> 63)).leadingZeroBitCount
        return UInt8((bits + 7) / 8)
    }

    /// Bytes that an unsigned value needs: 0 for 0.
    static func unsignedWidth(_ value: Int64) -> UInt8 {
        UInt8((64 - value.leadingZeroBitCount + 7) / 8)
    }
}

/// Canonical lower-case UUID text to 16 bytes and back.
enum UUIDBytes {
    @inline(__always)
    private static func isHyphen(_ index: Int) -> Bool { index == 8 || index == 13 || index == 18 || index == 23 }

    /// Replaces `bytes` with the 16 bytes; false when the text is not 36 characters of canonical lower-case form.
    static func pack(_ text: UnsafeBufferPointer<UInt8>, into bytes: inout [UInt8]) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        guard text.count == 36 else { return false }
        var high: UInt8 = 0
        var isHigh = true
        for index in 0..<36 {
            let character = text[index]
            if isHyphen(index) {
                if character != UInt8(ascii: "-") { return false }
                continue
            }
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
            default: return false
            }
            if isHigh { high = digit << 4 } else { bytes.append(high | digit) }
            isHigh.toggle()
        }
        return true
    }

    /// The 36 characters of 16 bytes.
    static func unpack(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for byte in bytes {
            if isHyphen(text.count) { text.append(UInt8(ascii: "-")) }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }
}
