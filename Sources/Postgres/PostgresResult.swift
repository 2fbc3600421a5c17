import CLibPQ

/// The rows of one statement. Owns the memory of the C result and frees it when it goes out of scope.
///
/// Rows and columns count from 0 and must exist (an index out of range is a fault of the program and stops it). A getter
/// returns nil for SQL NULL and throws ``PostgresError/unexpectedResult(message:)`` when the column has another type, so a
/// schema that differs from what the program expects is an error and never a crash.
public struct PostgresResult: ~Copyable {
    private let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        PQclear(pointer)
    }

    /// Number of rows returned.
    public var rowCount: Int { Int(PQntuples(pointer)) }

    /// Number of columns.
    public var columnCount: Int { Int(PQnfields(pointer)) }

    /// Rows inserted, updated, deleted or copied; 0 for other statements.
    public var affectedRows: Int {
        guard let text = PQcmdTuples(pointer) else { return 0 }
        return Int(String(cString: text)) ?? 0
    }

    /// Command tag without counts, such as `COMMIT`.
    public var commandTag: String {
        guard let text = PQcmdStatus(pointer) else { return "" }
        return String(cString: text)
    }

    /// Name of a column.
    public func columnName(_ column: Int) -> String {
        precondition((0..<columnCount).contains(column), "no such column")
        guard let name = PQfname(pointer, Int32(column)) else { return "" }
        return String(cString: name)
    }

    /// Position of the first column with a name, compared exactly; nil if there is none.
    public func column(named name: String) -> Int? {
        (0..<columnCount).first { columnName($0) == name }
    }

    /// Whether a value is SQL NULL.
    public func isNull(_ row: Int, _ column: Int) -> Bool {
        precondition((0..<rowCount).contains(row) && (0..<columnCount).contains(column), "no such row or column")
        return PQgetisnull(pointer, Int32(row), Int32(column)) == 1
    }

    /// Calls `body` with the value as the server sent it (text form or binary form); nil for NULL. The bytes live only
    /// during the call.
    public func withRaw<R, E: Error>(
        _ row: Int,
        _ column: Int,
        _ body: (UnsafeBufferPointer<UInt8>) throws(E) -> R
    ) throws(E) -> R? {
        if isNull(row, column) { return nil }
        let count = Int(PQgetlength(pointer, Int32(row), Int32(column)))
        guard count > 0, let value = PQgetvalue(pointer, Int32(row), Int32(column)) else {
            return try body(UnsafeBufferPointer(start: nil, count: 0))
        }
        return try value.withMemoryRebound(to: UInt8.self, capacity: count) { (start) throws(E) -> R in
            try body(UnsafeBufferPointer(start: start, count: count))
        }
    }

    /// An integer of type `smallint`, `integer`, `bigint` or `oid`.
    public func int64(_ row: Int, _ column: Int) throws(PostgresError) -> Int64? {
        let type = PQftype(pointer, Int32(column))
        guard [OID.int2, OID.int4, OID.int8, OID.oid].contains(type) else { throw mismatch(column, "an integer") }
        let isBinary = isBinary(column)
        let value = withRaw(row, column) { (bytes) -> Int64? in
            if !isBinary { return Int64(String(decoding: bytes, as: UTF8.self)) }
            switch bytes.count {
            case 2: return Int64(Int16(truncatingIfNeeded: bigEndian(bytes)))
            case 4 where type == OID.oid: return Int64(bigEndian(bytes))
            case 4: return Int64(Int32(truncatingIfNeeded: bigEndian(bytes)))
            case 8: return Int64(truncatingIfNeeded: bigEndian(bytes))
            default: return nil
            }
        }
        return try unwrapped(value, column, "an integer")
    }

    /// A `double precision` or `real` value.
    public func double(_ row: Int, _ column: Int) throws(PostgresError) -> Double? {
        let type = PQftype(pointer, Int32(column))
        guard type == OID.float8 || type == OID.float4 else { throw mismatch(column, "a float") }
        let isBinary = isBinary(column)
        let value = withRaw(row, column) { (bytes) -> Double? in
            if !isBinary {
                let text = String(decoding: bytes, as: UTF8.self)
                return type == OID.float4 ? Float(text).map(Double.init) : Double(text)
            }
            switch bytes.count {
            case 4: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: bigEndian(bytes))))
            case 8: return Double(bitPattern: UInt64(truncatingIfNeeded: bigEndian(bytes)))
            default: return nil
            }
        }
        return try unwrapped(value, column, "a float")
    }

    /// A `boolean`.
    public func boolean(_ row: Int, _ column: Int) throws(PostgresError) -> Bool? {
        guard PQftype(pointer, Int32(column)) == OID.bool else { throw mismatch(column, "a boolean") }
        let isBinary = isBinary(column)
        return withRaw(row, column) { $0.first == (isBinary ? 1 : UInt8(ascii: "t")) }
    }

    /// Any value in text form; in a binary result only types whose binary form is text (`text`, `varchar`, `name`, `json`,
    /// `jsonb`, unknown literals).
    public func string(_ row: Int, _ column: Int) throws(PostgresError) -> String? {
        if !isBinary(column) { return withRaw(row, column) { String(decoding: $0, as: UTF8.self) } }
        let type = PQftype(pointer, Int32(column))
        // Binary jsonb starts with a version byte.
        if type == OID.jsonb { return withRaw(row, column) { String(decoding: $0.dropFirst(), as: UTF8.self) } }
        guard [OID.text, OID.varchar, OID.name, OID.json, OID.unknown, OID.bpchar].contains(type) else {
            throw mismatch(column, "text")
        }
        return withRaw(row, column) { String(decoding: $0, as: UTF8.self) }
    }

    /// A `bytea`.
    public func bytes(_ row: Int, _ column: Int) throws(PostgresError) -> [UInt8]? {
        guard PQftype(pointer, Int32(column)) == OID.bytea else { throw mismatch(column, "bytes") }
        if isBinary(column) { return withRaw(row, column) { Array($0) } }
        return try unwrapped(withRaw(row, column) { decodeHexadecimal($0.dropFirst(2)) }, column, "bytes")
    }

    /// A `uuid`, as the 128-bit number that its hexadecimal digits spell.
    public func uuid(_ row: Int, _ column: Int) throws(PostgresError) -> UInt128? {
        guard PQftype(pointer, Int32(column)) == OID.uuid else { throw mismatch(column, "a uuid") }
        let isBinary = isBinary(column)
        let value = withRaw(row, column) { (raw) -> UInt128? in
            let bytes = isBinary ? Array(raw) : decodeHexadecimal(raw.filter { $0 != UInt8(ascii: "-") })
            guard let bytes, bytes.count == 16 else { return nil }
            return bytes.reduce(0) { $0 << 8 | UInt128($1) }
        }
        return try unwrapped(value, column, "a uuid")
    }

    /// A `timestamptz` of a binary result in microseconds since the Unix epoch.
    public func microseconds(_ row: Int, _ column: Int) throws(PostgresError) -> Int64? {
        guard PQftype(pointer, Int32(column)) == OID.timestamptz, isBinary(column) else {
            throw mismatch(column, "a binary timestamptz")
        }
        // PostgreSQL counts from 2000-01-01; infinity is at the ends of the range and has no such moment.
        let value = withRaw(row, column) { (bytes) -> Int64? in
            let (moment, isOver) = Int64(truncatingIfNeeded: bigEndian(bytes))
                .addingReportingOverflow(946_684_800_000_000)
            return bytes.count == 8 && !isOver ? moment : nil
        }
        return try unwrapped(value, column, "a finite timestamptz")
    }

    private func isBinary(_ column: Int) -> Bool {
        precondition((0..<columnCount).contains(column), "no such column")
        return PQfformat(pointer, Int32(column)) == 1
    }

    private func unwrapped<Value>(
        _ value: Value??,
        _ column: Int,
        _ expected: StaticString
    ) throws(PostgresError) -> Value? {
        switch value {
        case .none: return nil
        case .some(.none): throw mismatch(column, expected)
        case .some(.some(let value)): return value
        }
    }

    private func mismatch(_ column: Int, _ expected: StaticString) -> PostgresError {
        .unexpectedResult(
            message: "column \(columnName(column)) is not \(expected) (type \(PQftype(pointer, Int32(column))))"
        )
    }
}

/// Object identifiers of built-in types (`src/include/catalog/pg_type.dat`), which PostgreSQL never changes.
private enum OID {
    static let bool: UInt32 = 16
    static let bytea: UInt32 = 17
    static let name: UInt32 = 19
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let int4: UInt32 = 23
    static let text: UInt32 = 25
    static let oid: UInt32 = 26
    static let json: UInt32 = 114
    static let float4: UInt32 = 700
    static let float8: UInt32 = 701
    static let unknown: UInt32 = 705
    static let bpchar: UInt32 = 1042
    static let varchar: UInt32 = 1043
    static let timestamptz: UInt32 = 1184
    static let uuid: UInt32 = 2950
    static let jsonb: UInt32 = 3802
}

private func bigEndian(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
}

private func decodeHexadecimal(_ digits: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in digits {
        let value: UInt8
        switch digit {
        case 0x30...0x39: value = digit - 0x30
        case 0x61...0x66: value = digit - 0x61 + 10
        case 0x41...0x46: value = digit - 0x41 + 10
        default: return nil
        }
        if let first = high {
            bytes.append(first << 4 | value)
            high = nil
        } else {
            high = value
        }
    }
    return high == nil ? bytes : nil
}
