/// Reads the protocol buffers wire format (varint, 64-bit, length-delimited, 32-bit) of one message.
///
/// Nothing here recurses: nested messages are ranges of bytes that the caller reads with a reader of their own, so
/// depth is bounded by the caller's code and not by the file. Every declared length is checked against the bytes left.
struct ProtobufReader {
    /// One field's content.
    enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case bytes(Range<Int>)
        case fixed32(UInt32)
    }

    /// One field of the message.
    struct Field {
        let number: Int
        let value: Value
        /// Where the field begins, for messages.
        let offset: Int
    }

    let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int
    private let end: Int

    init(_ bytes: UnsafeRawBufferPointer, in range: Range<Int>) {
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    static func fail(_ message: String, at offset: Int) -> ModelError {
        ModelError(.invalidProtobuf, message, at: "byte \(offset)")
    }

    /// The next field, or nil at the end of the message.
    mutating func next() throws(ModelError) -> Field? {
        guard offset < end else { return nil }
        let start = offset
        let tag = try varint()
        guard tag >> 3 >= 1, tag >> 3 < 1 << 29 else { throw Self.fail("invalid field number", at: start) }
        let number = Int(tag >> 3)
        switch tag & 7 {
        case 0: return Field(number: number, value: .varint(try varint()), offset: start)
        case 1: return Field(number: number, value: .fixed64(try fixed(UInt64.self)), offset: start)
        case 2:
            let length = try varint()
            guard length <= UInt64(end - offset) else {
                throw Self.fail("length \(length) is past the end of its message", at: start)
            }
            let range = offset..<(offset + Int(length))
            offset = range.upperBound
            return Field(number: number, value: .bytes(range), offset: start)
        case 5: return Field(number: number, value: .fixed32(try fixed(UInt32.self)), offset: start)
        default: throw Self.fail("wire type \(tag & 7) is not supported", at: start)
        }
    }

    /// A varint of at most 10 bytes.
    mutating func varint() throws(ModelError) -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard offset < end else { throw Self.fail("the message ends inside a number", at: offset) }
            let byte = bytes[offset]
            offset += 1
            guard shift < 63 || byte <= 1 else { throw Self.fail("a number has more than 64 bits", at: offset) }
            result |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return result }
        }
        throw Self.fail("a number has more than 10 bytes", at: offset)
    }

    /// Whether the whole message has been read.
    var isAtEnd: Bool { offset >= end }

    /// A little-endian integer of the type's width.
    mutating func fixed<I: FixedWidthInteger>(_ type: I.Type) throws(ModelError) -> I {
        let width = MemoryLayout<I>.size
        guard end - offset >= width else { throw Self.fail("the message ends inside a number", at: offset) }
        defer { offset += width }
        return I(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: I.self))
    }
}

extension ProtobufReader.Field {
    private func wrongType() -> ModelError {
        ModelError(.wrongType, "field \(number) has another wire type", at: "byte \(offset)")
    }

    /// The content of a message, a string or bytes.
    func range() throws(ModelError) -> Range<Int> {
        guard case .bytes(let range) = value else { throw wrongType() }
        return range
    }

    /// A signed integer, an enum or a bool.
    func integer() throws(ModelError) -> Int64 {
        guard case .varint(let bits) = value else { throw wrongType() }
        return Int64(bitPattern: bits)
    }

    func float() throws(ModelError) -> Float {
        guard case .fixed32(let bits) = value else { throw wrongType() }
        return Float(bitPattern: bits)
    }

    /// Text, which must be UTF-8.
    func text(_ bytes: UnsafeRawBufferPointer) throws(ModelError) -> String {
        guard let text = String(validating: bytes[try range()], as: UTF8.self) else {
            throw ProtobufReader.fail("invalid UTF-8", at: offset)
        }
        return text
    }

    /// Appends one integer, or a packed list of them.
    func appendIntegers(
        _ bytes: UnsafeRawBufferPointer, to list: inout [Int64], budget: inout OnnxBudget
    ) throws(ModelError) {
        guard case .bytes(let range) = value else {
            try budget.spend(1, at: offset)
            list.append(try integer())
            return
        }
        var reader = ProtobufReader(bytes, in: range)
        while !reader.isAtEnd {
            try budget.spend(1, at: offset)
            list.append(Int64(bitPattern: try reader.varint()))
        }
    }

    /// Appends one float, or a packed list of them.
    func appendFloats(
        _ bytes: UnsafeRawBufferPointer, to list: inout [Float], budget: inout OnnxBudget
    ) throws(ModelError) {
        guard case .bytes(let range) = value else {
            try budget.spend(1, at: offset)
            list.append(try float())
            return
        }
        guard range.count % 4 == 0 else { throw ProtobufReader.fail("a list of floats is not whole", at: offset) }
        try budget.spend(range.count / 4, at: offset)
        var reader = ProtobufReader(bytes, in: range)
        while !reader.isAtEnd { list.append(Float(bitPattern: try reader.fixed(UInt32.self))) }
    }

    /// Appends one float64, or a packed list of them.
    func appendDoubles(
        _ bytes: UnsafeRawBufferPointer, to list: inout [Double], budget: inout OnnxBudget
    ) throws(ModelError) {
        guard case .bytes(let range) = value else {
            guard case .fixed64(let bits) = value else { throw wrongType() }
            try budget.spend(1, at: offset)
            list.append(Double(bitPattern: bits))
            return
        }
        guard range.count % 8 == 0 else { throw ProtobufReader.fail("a list of floats is not whole", at: offset) }
        try budget.spend(range.count / 8, at: offset)
        var reader = ProtobufReader(bytes, in: range)
        while !reader.isAtEnd { list.append(Double(bitPattern: try reader.fixed(UInt64.self))) }
    }
}
