/// Reads the subset of UBJSON (draft 12, big-endian) that XGBoost writes: objects without counts, strings and keys
/// with an `L` length, and arrays with `[$type#L` or `[#L` headers or plain `[ ... ]`.
/// Every declared length is checked against the bytes that are left before anything is reserved.
struct UBJSONReader {
    private let bytes: UnsafeRawBufferPointer
    private let limits: ModelLimits
    private var offset = 0
    private var values = 0

    static func read(_ bytes: UnsafeRawBufferPointer, limits: ModelLimits) throws(ModelError) -> Document {
        var reader = UBJSONReader(bytes: bytes, limits: limits)
        let document = try reader.value(marker: reader.byte(), depth: 0)
        guard reader.offset == bytes.count else { throw reader.fail("bytes after the document") }
        return document
    }

    private init(bytes: UnsafeRawBufferPointer, limits: ModelLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    private func fail(_ message: String) -> ModelError {
        ModelError(.invalidUBJSON, message, at: "byte \(offset)")
    }

    private mutating func byte() throws(ModelError) -> UInt8 {
        guard offset < bytes.count else { throw fail("the file ends inside a value") }
        defer { offset += 1 }
        return bytes[offset]
    }

    /// A big-endian integer of the type's width.
    private mutating func integer<I: FixedWidthInteger>(_ type: I.Type) throws(ModelError) -> I {
        let width = MemoryLayout<I>.size
        guard bytes.count - offset >= width else { throw fail("the file ends inside a value") }
        defer { offset += width }
        return I(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: I.self))
    }

    /// A length: an integer marker and a value from 0 to the number of bytes left.
    private mutating func length(marker: UInt8) throws(ModelError) -> Int {
        let length: Int64
        switch marker {
        case UInt8(ascii: "i"): length = Int64(try integer(Int8.self))
        case UInt8(ascii: "U"): length = Int64(try integer(UInt8.self))
        case UInt8(ascii: "I"): length = Int64(try integer(Int16.self))
        case UInt8(ascii: "l"): length = Int64(try integer(Int32.self))
        case UInt8(ascii: "L"): length = try integer(Int64.self)
        default: throw fail("marker \(marker) is not a length")
        }
        guard length >= 0 else { throw fail("negative length \(length)") }
        guard length <= bytes.count - offset else { throw fail("length \(length) is past the end of the file") }
        return Int(length)
    }

    private mutating func text(marker: UInt8) throws(ModelError) -> String {
        let length = try length(marker: marker)
        let slice = bytes[offset..<(offset + length)]
        guard let text = String(validating: slice, as: UTF8.self) else { throw fail("invalid UTF-8") }
        offset += length
        return text
    }

    private mutating func value(marker: UInt8, depth: Int) throws(ModelError) -> Document {
        values += 1
        guard values <= limits.documentValuesMax else {
            throw ModelError(.limitExceeded, "more than \(limits.documentValuesMax) values", at: "byte \(offset)")
        }
        guard depth <= limits.nestingMax else {
            throw ModelError(.limitExceeded, "nesting deeper than \(limits.nestingMax)", at: "byte \(offset)")
        }
        switch marker {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "S"): return .string(try text(marker: byte()))
        case UInt8(ascii: "C"): return .string(String(UnicodeScalar(try byte() & 0x7F)))
        case UInt8(ascii: "Z"), UInt8(ascii: "N"): return .null
        case UInt8(ascii: "T"): return .bool(true)
        case UInt8(ascii: "F"): return .bool(false)
        default: return .number(try number(marker: marker))
        }
    }

    private mutating func number(marker: UInt8) throws(ModelError) -> Double {
        switch marker {
        case UInt8(ascii: "d"): return Double(Float(bitPattern: try integer(UInt32.self)))
        case UInt8(ascii: "D"): return Double(bitPattern: try integer(UInt64.self))
        case UInt8(ascii: "i"): return Double(try integer(Int8.self))
        case UInt8(ascii: "U"): return Double(try integer(UInt8.self))
        case UInt8(ascii: "I"): return Double(try integer(Int16.self))
        case UInt8(ascii: "l"): return Double(try integer(Int32.self))
        case UInt8(ascii: "L"): return Double(try integer(Int64.self))
        default: throw fail("unknown marker \(marker)")
        }
    }

    private mutating func object(depth: Int) throws(ModelError) -> Document {
        var members: [String: Document] = [:]
        while true {
            let marker = try byte()
            if marker == UInt8(ascii: "}") { return .object(members) }
            let key = try text(marker: marker)
            let member = try value(marker: byte(), depth: depth + 1)
            guard members.updateValue(member, forKey: key) == nil else { throw fail("duplicate key '\(key)'") }
        }
    }

    private mutating func array(depth: Int) throws(ModelError) -> Document {
        let marker = try byte()
        if marker == UInt8(ascii: "$") { return try typedArray() }
        var elements: [Document] = []
        if marker == UInt8(ascii: "#") {
            let count = try length(marker: byte())
            for _ in 0..<count { elements.append(try value(marker: byte(), depth: depth + 1)) }
        } else {
            var next = marker
            while next != UInt8(ascii: "]") {
                elements.append(try value(marker: next, depth: depth + 1))
                next = try byte()
            }
        }
        return Self.flattened(elements)
    }

    private mutating func typedArray() throws(ModelError) -> Document {
        let type = try byte()
        let width: Int
        switch type {
        case UInt8(ascii: "i"), UInt8(ascii: "U"): width = 1
        case UInt8(ascii: "I"): width = 2
        case UInt8(ascii: "l"), UInt8(ascii: "d"): width = 4
        case UInt8(ascii: "L"), UInt8(ascii: "D"): width = 8
        default: throw fail("unknown or unsupported type \(type) of array elements")
        }
        guard try byte() == UInt8(ascii: "#") else { throw fail("typed array without a count") }
        let count = try length(marker: byte())
        guard count <= (bytes.count - offset) / width else {
            throw fail("\(count) elements are past the end of the file")
        }
        var numbers: [Double] = []
        numbers.reserveCapacity(count)
        for _ in 0..<count { numbers.append(try number(marker: type)) }
        return .numbers(numbers)
    }

    /// Arrays of single numbers become flat, as in JSON.
    private static func flattened(_ elements: [Document]) -> Document {
        var numbers: [Double] = []
        for element in elements {
            guard case .number(let number) = element else { return .array(elements) }
            numbers.append(number)
        }
        return .numbers(numbers)
    }
}
