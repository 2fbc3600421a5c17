import Postgres
import PostgresTestCluster
import Testing

@Suite struct PostgresCopyTests {
    @Test func everyCodePointClassAndByteRoundTrips() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (i bigint, s text, b bytea)")
        var writer = CopyTextWriter()
        var texts: [String] = []
        // Every ASCII character but NUL at every offset of the eight-byte scan, alone and in pairs.
        for byte in UInt8(1)...127 {
            for offset in 0..<9 {
                let pad = String(repeating: "x", count: offset)
                texts.append(pad + String(UnicodeScalar(byte)))
                texts.append(pad + String(UnicodeScalar(byte)) + "\\" + String(UnicodeScalar(byte)) + "é")
            }
        }
        texts += ["", "\\N", "\\.", "\n\\.\n", "€𝄞\u{80}\u{7FF}\u{800}\u{FFFF}\u{10FFFF}", "{\"a\":\"\\u0041\\n\"}"]
        let all = (0...255).map { UInt8($0) }
        for (index, text) in texts.enumerated() {
            writer.integer(Int64(index))
            index.isMultiple(of: 2) ? writer.text(text) : writer.text(utf8: Array(text.utf8))
            writer.binary(index.isMultiple(of: 3) ? nil : all)
            writer.endRow()
        }
        let target = CopyTarget(schema: nil, table: "t", columns: ["i", "s", "b"])
        #expect(try connection.copyIn(into: target, rows: writer) == texts.count)
        let rows = try connection.query("SELECT i, s, b FROM t ORDER BY i", format: .binary)
        let rowsCount = rows.rowCount
        #expect(rowsCount == texts.count)
        for row in 0..<rows.rowCount {
            #expect(try rows.string(row, 1).map { Array($0.utf8) } == Array(texts[row].utf8))
            #expect(try rows.bytes(row, 2) == (row.isMultiple(of: 3) ? nil : all))
        }
    }

    @Test func numbersRoundTrip() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE \"T \"\"q\" (i bigint, d float8, o boolean, u uuid)")
        var writer = CopyTextWriter()
        let uuid: UInt128 = 0x0003_a0b1_c2d3_7e4f_8000_1234_5678_9abc
        for integer in PostgresQueryTests.integers {
            for double in PostgresQueryTests.doubles {
                writer.integer(integer)
                writer.double(double)
                writer.boolean(integer > 0)
                writer.uuid(uuid)
                writer.endRow()
            }
        }
        for _ in 0..<4 { writer.null() }
        writer.endRow()
        let target = CopyTarget(schema: "public", table: "T \"q", columns: ["i", "d", "o", "u"])
        try connection.copyIn(into: target, rows: writer)
        let rows = try connection.query("SELECT * FROM \"T \"\"q\"", format: .binary)
        var row = 0
        for integer in PostgresQueryTests.integers {
            for double in PostgresQueryTests.doubles {
                #expect(try rows.int64(row, 0) == integer)
                #expect(try rows.double(row, 1)?.bitPattern == double.bitPattern)
                #expect(try rows.boolean(row, 2) == (integer > 0))
                #expect(try rows.uuid(row, 3) == uuid)
                row += 1
            }
        }
        let nulls = (0..<4).map { rows.isNull(row, $0) }
        #expect(nulls == [true, true, true, true])
    }

    @Test func rangesReuseAndAbandonedRows() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (i bigint)")
        var writer = CopyTextWriter()
        for round in 0..<2 {
            writer.removeAll()
            for index in 0..<10 {
                writer.integer(Int64(index + 100 * round))
                writer.endRow()
            }
            writer.integer(-1)
            writer.abandonRow()
            let target = CopyTarget(schema: nil, table: "t", columns: ["i"])
            #expect(try connection.copyIn(into: target, rows: writer, range: 3..<6) == 3)
            #expect(try connection.copyIn(into: target, rows: writer, range: 4..<4) == 0)
        }
        let rows = try connection.query("SELECT string_agg(i::text, ',' ORDER BY i) FROM t")
        #expect(try rows.string(0, 0) == "3,4,5,103,104,105")
    }

    @Test func manyChunksAreSent() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (i bigint, s text)")
        var writer = CopyTextWriter()
        let text = String(repeating: "a\\b\tc", count: 200)
        for index in 0..<8_000 {
            writer.integer(Int64(index))
            writer.text(text)
            writer.endRow()
        }
        #expect(writer.bytes.count > 5 * PostgresLimits.copyChunkBytes)
        let target = CopyTarget(schema: nil, table: "t", columns: ["i", "s"])
        #expect(try connection.copyIn(into: target, rows: writer) == 8_000)
        let rows = try connection.query("SELECT count(*) FROM t WHERE s = $1", [.text(text)])
        #expect(try rows.int64(0, 0) == 8_000)
    }

    @Test func aRefusedCopyLeavesTheConnectionUsable() throws {
        let connection = try TestCluster.shared.connect()
        let target = CopyTarget(schema: nil, table: "missing", columns: ["i"])
        var writer = CopyTextWriter()
        writer.integer(1)
        writer.endRow()
        let error = #expect(throws: PostgresError.self) { try connection.copyIn(into: target, rows: writer) }
        #expect(error?.sqlState == .undefinedTable)
        #expect(error?.recovery == .stop)
        #expect(try connection.integer("SELECT 1") == 1)
        #expect(connection.generation == 1)
    }

    @Test func poisonRowsAreTakenOutAndTheRestStays() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (i bigint PRIMARY KEY, s text, j json CHECK (j->>'a' <> 'bad'))")
        var writer = CopyTextWriter()
        func row(_ index: Int, _ text: [UInt8], _ json: String) {
            writer.integer(Int64(index))
            writer.text(utf8: text)
            writer.text(json)
            writer.endRow()
        }
        for index in 0..<50 {
            switch index {
            case 0: row(index, [0x61, 0x00], "{}")
            case 7: row(index, [0xC3, 0x28], "{}")
            case 20: row(index, [0x61], "{\"a\":\"bad\"}")
            case 21: row(index, [0x61], "{broken")
            case 30: row(29, [0x61], "{}")
            case 49: row(index, [0x61], String(repeating: "[", count: 100_000))
            default: row(index, [0x61], "{\"a\":\"\\u00e9\"}")
            }
        }
        let target = CopyTarget(schema: nil, table: "t", columns: ["i", "s", "j"])
        let plain = #expect(throws: PostgresError.self) { try connection.copyIn(into: target, rows: writer) }
        #expect(plain?.isPoison == true)
        let poison = try connection.transaction { (connection) throws(PostgresError) in
            try connection.copyInIsolatingPoison(into: target, rows: writer)
        }
        #expect(poison.map(\.row) == [0, 7, 20, 21, 30, 49])
        #expect(
            poison.map(\.error.sqlState.description) == ["22021", "22021", "23514", "22P02", "23505", "54001"]
        )
        #expect(try connection.integer("SELECT count(*) FROM t") == 44)
    }

    @Test func writtenColumnsAreFoundAgain() {
        var writer = CopyTextWriter()
        for row in 0..<3 {
            writer.integer(Int64(row))
            writer.text("a\tb\nc")
            writer.null()
            writer.endRow()
        }
        #expect((0..<3).map { writer.written(row: $0, column: 0) } == ["0", "1", "2"])
        #expect(writer.written(row: 1, column: 1) == #"a\tb\nc"#)
        #expect(writer.written(row: 2, column: 2) == #"\N"# && writer.written(row: 2, column: 3) == nil)
    }

    /// The rows of a merge, which names no line, are found in halves; what was stored before is not stored twice.
    @Test func rowsOfAMergeAreIsolated() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (i bigint CHECK (i % 7 <> 3))")
        let poison = try connection.transaction { (connection) throws(PostgresError) in
            try connection.isolatingPoison(in: 0..<40) { (part) throws(PostgresError) in
                let (first, last) = (Int64(part.lowerBound), Int64(part.upperBound - 1))
                try connection.query(
                    "INSERT INTO t SELECT generate_series($1::bigint, $2::bigint)", [.int64(first), .int64(last)])
            }
        }
        #expect(poison.map(\.row) == Array(stride(from: 3, to: 40, by: 7)))
        #expect(try connection.integer("SELECT count(DISTINCT i) FROM t") == 34)
        #expect(try connection.integer("SELECT count(*) FROM t") == 34)
    }

    @Test func errorsThatAreNotARowsFaultAreNotIsolated() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (i bigint, s text)")
        var writer = CopyTextWriter()
        for _ in 0..<5 {
            writer.integer(1)
            writer.endRow()
        }
        let target = CopyTarget(schema: nil, table: "t", columns: ["i", "s"])
        let error = #expect(throws: PostgresError.self) {
            _ = try connection.transaction { (connection) throws(PostgresError) in
                try connection.copyInIsolatingPoison(into: target, rows: writer)
            }
        }
        #expect(error?.sqlState == .badCopyFileFormat)
        #expect(error?.recovery == .stop)
    }
}
