import Postgres
import PostgresTestCluster
import Testing

@Suite struct PostgresQueryTests {
    static let integers: [Int64] = [0, 1, -1, 42, .max, .min, 1 << 53 + 1]
    static let doubles: [Double] = [
        0, -0.0, 1, 0.1, -1.5e-300, .greatestFiniteMagnitude, .leastNonzeroMagnitude, .infinity, -.infinity, 1.0 / 3,
    ]
    static let texts = ["", "plain", "tab\tnl\ncr\rbs\\", "\\N", "\\.", "'\"", "héllo €𝄞", "\u{1}\u{7F}", "a b"]

    @Test(arguments: [PostgresResultFormat.text, .binary]) func typesRoundTrip(format: PostgresResultFormat) throws {
        let connection = try TestCluster.shared.connect()
        for value in Self.integers {
            let rows = try connection.query("SELECT $1", [.int64(value)], format: format)
            #expect(try rows.int64(0, 0) == value)
        }
        for value in Self.doubles {
            let rows = try connection.query("SELECT $1", [.double(value)], format: format)
            #expect(try rows.double(0, 0)?.bitPattern == value.bitPattern)
        }
        for value in Self.texts {
            let rows = try connection.query("SELECT $1::text", [.text(value)], format: format)
            #expect(try rows.string(0, 0) == value)
        }
        let bytes = (0...255).map { UInt8($0) }
        let uuid: UInt128 = 0x0193_a0b1_c2d3_7e4f_8000_1234_5678_9abc
        let rows = try connection.query(
            "SELECT $1, $2, $3, $4::text, $5::smallint, $6::int, cardinality($7), $8",
            [
                .bytes(bytes), .boolean(true), .uuid(uuid), .null, .text("-7"), .text("-70000"),
                .textArray(["a,\"b", "", "ü"]), .bytes([]),
            ],
            format: format
        )
        #expect(try rows.bytes(0, 0) == bytes)
        #expect(try rows.boolean(0, 1) == true)
        #expect(try rows.uuid(0, 2) == uuid)
        let isNull = rows.isNull(0, 3)
        #expect(isNull)
        #expect(try rows.string(0, 3) == nil)
        #expect(try rows.int64(0, 4) == -7)
        #expect(try rows.int64(0, 5) == -70000)
        #expect(try rows.int64(0, 6) == 3)
        #expect(try rows.bytes(0, 7) == [])
        let rowsCount = rows.columnCount
        #expect(rowsCount == 8)
    }

    @Test func arraysAndTimes() throws {
        let connection = try TestCluster.shared.connect()
        let rows = try connection.query(
            """
            SELECT ($1)[2], ($2)[3], ($3)[1], cardinality($4), timestamptz '2024-12-08 14:04:26.123457+00',
                uuid '0193a0b1-c2d3-7e4f-8000-123456789abc', '{"a": 1.00}'::jsonb, real '0.1'
            """,
            [.textArray(["x", "y\\z"]), .int64Array([1, 2, -3]), .bytesArray([[0, 255]]), .textArray([])],
            format: .binary
        )
        #expect(try rows.string(0, 0) == "y\\z")
        #expect(try rows.int64(0, 1) == -3)
        #expect(try rows.bytes(0, 2) == [0, 255])
        #expect(try rows.int64(0, 3) == 0)
        #expect(try rows.microseconds(0, 4) == 1_733_666_666_123_457)
        #expect(try rows.uuid(0, 5) == 0x0193_a0b1_c2d3_7e4f_8000_1234_5678_9abc)
        #expect(try rows.string(0, 6) == "{\"a\": 1.00}")
        #expect(try rows.double(0, 7) == Double(Float(0.1)))
        let column4 = rows.column(named: "timestamptz")
        #expect(column4 == 4)
        let columnnil = rows.column(named: "nothing")
        #expect(columnnil == nil)
    }

    @Test func aWrongTypeIsAnErrorAndNotACrash() throws {
        let connection = try TestCluster.shared.connect()
        let rows = try connection.query("SELECT 'x'::text, 1.5::numeric", format: .binary)
        #expect(throws: PostgresError.self) { _ = try rows.int64(0, 0) }
        #expect(throws: PostgresError.self) { _ = try rows.bytes(0, 0) }
        #expect(throws: PostgresError.self) { _ = try rows.string(0, 1) }
        #expect(throws: PostgresError.self) { _ = try rows.microseconds(0, 0) }
    }

    @Test func textWithNULIsRefusedBeforeItIsSent() throws {
        let connection = try TestCluster.shared.connect()
        let error = #expect(throws: PostgresError.self) {
            _ = try connection.query("SELECT $1::int, $2::text", [.int64(1), .text("a\0b")])
        }
        #expect(error?.code == "postgres_invalid_parameter")
        #expect(connection.generation == 0)
    }

    @Test func serverErrorsCarryCodeAndNoValues() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL)")
        try connection.execute("INSERT INTO t VALUES (1, 'x')")
        let cases: [(String, String)] = [
            ("SELECT 'canary'::int", "22P02"), ("SELECT '{canary'::json", "22P02"), ("SELECT 'canary'::date", "22007"),
            ("INSERT INTO t VALUES (1, 'canary')", "23505"), ("INSERT INTO t VALUES (2, NULL)", "23502"),
            ("SELECT '99999999999canary'::int8", "22P02"), ("SELECT '9999999999'::int", "22003"),
            ("SELECT nothing FROM t", "42703"),
        ]
        for (sql, state) in cases {
            let error = #expect(throws: PostgresError.self) { try connection.execute(sql) }
            #expect(error?.sqlState?.description == state)
            #expect(error?.message.contains("canary") == false)
            #expect(error?.message.contains("9999999999") == false)
        }
        #expect(connection.isConnected)
        #expect(connection.generation == 1)
    }

    @Test func preparedStatementsSurviveReconnectAndSchemaChange() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (a bigint)")
        try connection.execute("INSERT INTO t VALUES (5)")
        let statement = PostgresStatement("pick", "SELECT * FROM t WHERE a = $1", [.int64])
        #expect(try connection.rowCount(statement, [.int64(5)]) == 1)
        #expect(try connection.rowCount(statement, [.null]) == 0)
        connection.close()
        #expect(try connection.rowCount(statement, [.int64(5)]) == 1)
        #expect(connection.generation == 2)
        // The cached plan no longer fits the table.
        try connection.execute("ALTER TABLE t ADD COLUMN b text")
        #expect(try connection.columnCount(statement, [.int64(5)]) == 2)
        // As behind a pooler: the name is gone on the server.
        try connection.execute("DEALLOCATE ALL")
        #expect(try connection.rowCount(statement, [.int64(5)]) == 1)
    }

    @Test func transactionsCommitAndRollBack() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        try connection.transaction { (connection) throws(PostgresError) in
            try connection.execute("INSERT INTO t VALUES (1)")
        }
        #expect(throws: PostgresError.self) {
            try connection.transaction { (connection) throws(PostgresError) in
                try connection.execute("INSERT INTO t VALUES (2)")
                try connection.execute("SELECT 1/0")
            }
        }
        // A failed statement that was not thrown: COMMIT answers ROLLBACK.
        try connection.begin()
        #expect(throws: PostgresError.self) { try connection.execute("SELECT 1/0") }
        #expect(throws: PostgresError.rolledBack) { try connection.commit() }
        // A COMMIT that fails is known not to have happened.
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (1)")
        let error = #expect(throws: PostgresError.self) { try connection.commit() }
        #expect(error?.sqlState == .uniqueViolation)
        #expect(error?.isUnknownOutcome == false)
        #expect(!connection.isInTransaction)
        #expect(try connection.integer("SELECT count(*) FROM t") == 1)
    }

    @Test func warningsAreKept() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("DO $$ BEGIN FOR i IN 1..20 LOOP RAISE WARNING 'w%', i; END LOOP; END $$")
        let warnings = connection.takeWarnings()
        #expect(warnings.count == PostgresLimits.warningsMax)
        #expect(warnings.first?.message == "w1")
        #expect(connection.droppedWarningCount == 4)
        #expect(connection.takeWarnings().isEmpty)
    }

    @Test func copyStatementsInExecuteDoNotHang() throws {
        let connection = try TestCluster.shared.connect()
        try connection.execute("CREATE TABLE t (a int)")
        #expect(throws: PostgresError.self) { try connection.execute("COPY t FROM STDIN") }
        #expect(throws: PostgresError.self) { try connection.execute("COPY t TO STDOUT") }
        #expect(try connection.integer("SELECT count(*) FROM t") == 0)
    }
}
