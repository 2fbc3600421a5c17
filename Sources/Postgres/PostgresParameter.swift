/// Type under which a prepared statement receives a parameter.
public enum PostgresType: Sendable, Equatable {
    /// The server decides from the statement; the value is sent as text.
    case inferred
    /// `boolean`.
    case boolean
    /// `bigint`.
    case int64
    /// `double precision`.
    case double
    /// `bytea`.
    case bytes
    /// `uuid`.
    case uuid
    /// `text[]`.
    case textArray
    /// `bigint[]`.
    case int64Array
    /// `bytea[]`.
    case bytesArray

    var oid: UInt32 {
        switch self {
        case .inferred: 0
        case .boolean: 16
        case .int64: 20
        case .double: 701
        case .bytes: 17
        case .uuid: 2950
        case .textArray: 1009
        case .int64Array: 1016
        case .bytesArray: 1001
        }
    }
}

/// A value for `$1`, `$2`, ... of a statement. Numbers, bytes and arrays travel in binary, text as text.
public enum PostgresParameter: Sendable, Equatable {
    /// SQL NULL, of whatever type the statement wants.
    case null
    /// Text, or any value in its text form; the server infers the type. Must not hold NUL.
    case text(String)
    /// A `boolean`.
    case boolean(Bool)
    /// A `bigint`; cast in the statement (`$1::int`) where a function wants a narrower type.
    case int64(Int64)
    /// A `double precision`.
    case double(Double)
    /// A `bytea`.
    case bytes([UInt8])
    /// A `uuid`, as the 128-bit number that its hexadecimal digits spell.
    case uuid(UInt128)
    /// A `text[]`.
    case textArray([String])
    /// A `bigint[]`.
    case int64Array([Int64])
    /// A `bytea[]`.
    case bytesArray([[UInt8]])

    /// The type under which the value travels.
    public var type: PostgresType {
        switch self {
        case .null, .text: .inferred
        case .boolean: .boolean
        case .int64: .int64
        case .double: .double
        case .bytes: .bytes
        case .uuid: .uuid
        case .textArray: .textArray
        case .int64Array: .int64Array
        case .bytesArray: .bytesArray
        }
    }

    /// An optional integer, NULL for nil.
    public static func int64(_ value: Int64?) -> Self { value.map { .int64($0) } ?? .null }

    /// An optional text, NULL for nil.
    public static func text(_ value: String?) -> Self { value.map { .text($0) } ?? .null }

    func fits(_ wanted: PostgresType) -> Bool {
        self == .null || type == wanted
    }
}

/// The parameters of one call laid out as libpq wants them: one buffer, and for each value where it starts, how long it is
/// and whether it is binary.
struct EncodedParameters {
    private(set) var bytes: [UInt8] = []
    private(set) var offsets: [Int?] = []
    private(set) var lengths: [Int32] = []
    private(set) var formats: [Int32] = []
    private(set) var oids: [UInt32] = []

    init(_ parameters: [PostgresParameter]) throws(PostgresError) {
        if parameters.count > PostgresLimits.parametersMax {
            throw .invalidParameter(index: PostgresLimits.parametersMax + 1, message: "too many parameters")
        }
        for (index, parameter) in parameters.enumerated() {
            let start = bytes.count
            switch parameter {
            case .null: break
            case .text(let text):
                bytes.append(contentsOf: text.utf8)
                if bytes[start...].contains(0) {
                    throw .invalidParameter(index: index + 1, message: "text holds NUL, which PostgreSQL cannot store")
                }
                bytes.append(0)
            case .boolean(let value): bytes.append(value ? 1 : 0)
            case .int64(let value): append(value)
            case .double(let value): append(value.bitPattern)
            case .bytes(let value): bytes.append(contentsOf: value)
            case .uuid(let value): append(value)
            case .textArray(let values):
                appendArray(of: 25, count: values.count)
                for value in values { appendElement(Array(value.utf8)) }
            case .int64Array(let values):
                appendArray(of: 20, count: values.count)
                for value in values {
                    append(Int32(8))
                    append(value)
                }
            case .bytesArray(let values):
                appendArray(of: 17, count: values.count)
                for value in values { appendElement(value) }
            }
            finish(parameter, start, index)
            if bytes.count - start > Int(Int32.max) {
                throw .invalidParameter(index: index + 1, message: "value is larger than the protocol allows")
            }
        }
        // An empty buffer has no address to point into.
        if bytes.isEmpty { bytes.append(0) }
    }

    private mutating func finish(_ parameter: PostgresParameter, _ start: Int, _ index: Int) {
        offsets.append(parameter == .null ? nil : start)
        lengths.append(Int32(clamping: bytes.count - start))
        formats.append(parameter.type == .inferred ? 0 : 1)
        oids.append(parameter.type.oid)
    }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    // Header of a one-dimensional array without NULLs: dimensions, flags, element type, length, lower bound.
    private mutating func appendArray(of elementOID: UInt32, count: Int) {
        append(Int32(count == 0 ? 0 : 1))
        append(Int32(0))
        append(elementOID)
        if count == 0 { return }
        append(Int32(clamping: count))
        append(Int32(1))
    }

    private mutating func appendElement(_ element: [UInt8]) {
        append(Int32(clamping: element.count))
        bytes.append(contentsOf: element)
    }

    /// Calls `body` with the four C arrays and the count.
    func withPointers<R>(
        _ body: (
            Int32, UnsafePointer<UInt32>?, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?,
            UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        bytes.withUnsafeBytes { buffer in
            let values: [UnsafePointer<CChar>?] = offsets.map { offset in
                guard let offset, let base = buffer.baseAddress else { return nil }
                return (base + offset).assumingMemoryBound(to: CChar.self)
            }
            return values.withUnsafeBufferPointer { values in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        oids.withUnsafeBufferPointer { oids in
                            body(
                                Int32(values.count),
                                oids.baseAddress,
                                values.baseAddress,
                                lengths.baseAddress,
                                formats.baseAddress
                            )
                        }
                    }
                }
            }
        }
    }
}
