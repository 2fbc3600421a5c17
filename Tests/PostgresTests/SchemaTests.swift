import Foundation
import Postgres
import PostgresTestCluster
import Synchronization
import Testing

@Suite struct SchemaTests {
    private static let journal = "00000000-0000-0000-0000-000000000001"
    private static let columns = [
        "journal_id", "seq", "ingest_us", "event_us", "contract", "contract_version", "source", "id", "type", "subject",
        "data",
    ]
    private static let events = CopyTarget(schema: "decisiond", table: "event", columns: columns)
    private static let dayMicroseconds: Int64 = 86_400_000_000

    private func advance(_ connection: PostgresConnection, _ from: Int64, _ to: Int64, epoch: Int64? = nil) throws {
        _ = try connection.query(
            "SELECT decisiond.ship_advance($1::uuid, $2, $3, $4)",
            [.text(Self.journal), .int64(from), .int64(to), .int64(epoch)]
        )
    }

    private func position(_ connection: PostgresConnection) throws -> Int64? {
        try connection.integer("SELECT decisiond.ship_position($1::uuid)", [.text(Self.journal)])
    }

    private func write(_ writer: inout CopyTextWriter, seq: Int64, ingestMicroseconds: Int64) {
        writer.uuid(1)
        for integer in [seq, ingestMicroseconds, ingestMicroseconds - 5] { writer.integer(integer) }
        writer.text("orders")
        writer.integer(1)
        for text in ["/shop", "id-\(seq)", "com.example.order", "customer-1", "{\"amount\": 1.50,\n \"x\":\"\\\\\"}"] {
            writer.text(text)
        }
        writer.endRow()
    }

    private func now(_ connection: PostgresConnection) throws -> Int64 {
        try #require(try connection.integer("SELECT decisiond.us(now())"))
    }

    @Test func positionsAdvanceDenselyOrRaise() throws {
        let connection = try TestCluster.shared.connectMigrated()
        func mismatch(_ from: Int64, _ to: Int64, _ expected: SQLState = .shipPositionMismatch, epoch: Int64? = nil) {
            let error = #expect(throws: PostgresError.self) { try advance(connection, from, to, epoch: epoch) }
            #expect(error?.sqlState == expected)
            #expect(error?.recovery == .rereadPosition)
        }
        mismatch(2, 5)
        mismatch(0, 5)
        mismatch(1, 0)
        try advance(connection, 1, 10)
        mismatch(1, 10)
        mismatch(10, 12)
        mismatch(12, 13)
        try advance(connection, 11, 11)
        #expect(try position(connection) == 12)
        let fingerprint = "SELECT last_fingerprint FROM decisiond.ship_state"
        #expect(try connection.integer(fingerprint) == nil, "a writer that gives none leaves none of an older frame")
        try connection.execute("BEGIN")
        _ = try connection.query(
            "SELECT decisiond.ship_advance($1::uuid, 12, 12, NULL, -77)", [.text(Self.journal)])
        #expect(try connection.integer(fingerprint) == -77)
        try connection.execute("ROLLBACK")
        let claim = try connection.query(
            "SELECT next_seq, epoch FROM decisiond.ship_claim($1::uuid, $2)",
            [.text(Self.journal), .text("b")]
        )
        #expect(try claim.int64(0, 0) == 12)
        #expect(try claim.int64(0, 1) == 1)
        mismatch(12, 12, .shipEpochFenced, epoch: 0)
        try advance(connection, 12, 12, epoch: 1)
    }

    /// What the reader's own thread found; nil until it has.
    private final class Finding: Sendable {
        let value = Mutex<Result<Int64?, any Error>?>(nil)
    }

    @Test func aTransactionInFlightIsWaitedFor() throws {
        let connection = try TestCluster.shared.connectMigrated()
        try connection.begin()
        try advance(connection, 1, 7)
        var configuration = connection.configuration
        // The lock is held until the watcher has seen the wait, however busy the machine is.
        configuration.lockTimeout = .seconds(300)
        configuration.statementTimeout = .seconds(300)
        let settings = configuration
        let finding = Finding()
        // A thread of its own: the pool of the tests may be as small as the number of tests that block.
        // The very first transaction of a journal, whose row no other session can see yet.
        Thread.detachNewThread {
            let other = PostgresConnection(settings)
            let found: Result<Int64?, any Error>
            do {
                found = .success(
                    try other.integer("SELECT decisiond.ship_position($1::uuid)", [.text(Self.journal)]))
            } catch {
                found = .failure(error)
            }
            finding.value.withLock { $0 = found }
        }
        let watcher = PostgresConnection(settings)
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        while finding.value.withLock({ $0 == nil }), try watcher.integer(waiting) == 0 {
            Thread.sleep(forTimeInterval: 0.01)
        }
        try connection.commit()
        while finding.value.withLock({ $0 == nil }) { Thread.sleep(forTimeInterval: 0.01) }
        #expect(try finding.value.withLock { try $0?.get() } == 8)
    }

    @Test func eventsAreStoredVerbatimOrTheDayIsNamed() throws {
        let connection = try TestCluster.shared.connectMigrated()
        let now = try now(connection)
        var writer = CopyTextWriter()
        write(&writer, seq: 1, ingestMicroseconds: now)
        #expect(try connection.copyIn(into: Self.events, rows: writer) == 1)
        let row = try connection.query("SELECT data, event_time, subject FROM decisiond.event_flat")
        #expect(try row.string(0, 0) == "{\"amount\": 1.50,\n \"x\":\"\\\\\"}")
        writer.removeAll()
        write(&writer, seq: 2, ingestMicroseconds: now - 40 * Self.dayMicroseconds)
        let error = #expect(throws: PostgresError.self) { try connection.copyIn(into: Self.events, rows: writer) }
        #expect(error?.recovery == .ensurePartitions)
        let old: PostgresParameter = .int64(now - 40 * Self.dayMicroseconds)
        #expect((try connection.integer("SELECT decisiond.ensure_partitions(14, $1)", [old]) ?? 0) >= 39 * 4)
        #expect(try connection.copyIn(into: Self.events, rows: writer) == 1)
        #expect(try connection.integer("SELECT decisiond.ensure_partitions(14, $1)", [old]) == 0)
    }

    @Test func partitionsAreMadeWhileEventsArriveAndDroppedWhole() throws {
        let connection = try TestCluster.shared.connectMigrated()
        let other = PostgresConnection(connection.configuration)
        let now = try now(connection)
        var writer = CopyTextWriter()
        write(&writer, seq: 1, ingestMicroseconds: now)
        try connection.begin()
        try connection.copyIn(into: Self.events, rows: writer)
        // The open transaction holds its locks; attaching must not wait for them.
        #expect(try other.integer("SELECT decisiond.ensure_partitions(20)") == 6 * 4)
        try connection.commit()
        let dropped = try other.query("SELECT * FROM decisiond.drop_partitions('event', $1)", [.int64(now)])
        let droppedCount = dropped.rowCount
        #expect(droppedCount == 1)
        #expect(try other.integer("SELECT count(*) FROM decisiond.event") == 1)
        #expect(throws: PostgresError.self) { try other.execute("SELECT decisiond.ensure_partitions(-1)") }
    }

    @Test func quarantineCountsResends() throws {
        let connection = try TestCluster.shared.connectMigrated()
        let columns = [
            "key", "code", "class", "message", "source", "id", "raw", "count", "first_seen_us", "last_seen_us",
            "journal_id",
            "seq",
        ]
        let stage = CopyTarget(schema: nil, table: "quarantine_stage", columns: columns)
        try connection.execute("SELECT decisiond.ship_stage()")
        for round in Int64(0)..<2 {
            var writer = CopyTextWriter()
            for (key, seq) in [(UInt8(1), Int64(1)), (1, 2), (2, 3)] {
                writer.binary([key])
                for text in ["contract_violation", "contract", "m", "/s", "i\(key)"] { writer.text(text) }
                writer.binary([0, 0x5C, 255])
                for integer in [1, 100 + seq, 100 + seq] { writer.integer(integer) }
                writer.uuid(1)
                writer.integer(seq + 10 * round)
                writer.endRow()
            }
            try connection.transaction { (connection) throws(PostgresError) in
                try connection.copyIn(into: stage, rows: writer)
                try connection.execute("SELECT decisiond.quarantine_merge()")
            }
        }
        #expect(try connection.integer("SELECT count FROM decisiond.quarantine WHERE key = '\\x01'") == 4)
        #expect(try connection.integer("SELECT first_seen_us FROM decisiond.quarantine WHERE key = '\\x01'") == 101)
        #expect(try connection.integer("SELECT count FROM decisiond.quarantine WHERE key = '\\x02'") == 2)
        let closed = try connection.integer(
            "SELECT decisiond.quarantine_close($1, $2, 5, 'accepted')",
            [.textArray(["/s", "/t"]), .textArray(["i1", "i2"])]
        )
        #expect(closed == 1)
        #expect(try connection.integer("SELECT entries FROM decisiond.quarantine_open") == 1)
    }

    @Test func rollupsReplaceOrAdd() throws {
        let connection = try TestCluster.shared.connectMigrated()
        let stage = CopyTarget(
            schema: nil,
            table: "rollup_stage",
            columns: [
                "measure", "version", "bucket_us", "dimensions", "journal_id", "count", "sum", "min", "max",
                "through_seq",
                "is_absolute",
            ]
        )
        try connection.execute("SELECT decisiond.ship_stage()")
        // (count, sum, min, max, absolute) one after the other on one key.
        let steps: [(Int64, String?, String, String, Bool)] = [
            (2, "3.50", "1", "2.5", true), (3, "10.00", "0.5", "4", true), (1, "0.25", "0.25", "0.25", false),
            (1, nil, "9", "9", false),
        ]
        for (index, step) in steps.enumerated() {
            var writer = CopyTextWriter()
            writer.text("revenue")
            writer.integer(1)
            writer.integer(900_000_000)
            writer.text("{\"country\":\"DE\"}")
            writer.uuid(1)
            writer.integer(step.0)
            for text in [step.1, step.2, step.3] { writer.text(text) }
            writer.integer(Int64(index))
            writer.boolean(step.4)
            writer.endRow()
            try connection.transaction { (connection) throws(PostgresError) in
                try connection.copyIn(into: stage, rows: writer)
                try connection.execute("SELECT decisiond.rollup_merge()")
            }
        }
        let row = try connection.query("SELECT count, sum, min, max, through_seq FROM decisiond.rollup")
        let rowCount = row.rowCount
        #expect(rowCount == 1)
        let values = try (0..<5).map { try row.string(0, $0) }
        #expect(values == ["5", "10.25", "0.25", "9", "3"])
    }

    /// What a correction takes back: counts and sums go down, extremes are given whole, and a row without items goes.
    @Test func correctedRollups() throws {
        let connection = try TestCluster.shared.connectMigrated()
        let stage = CopyTarget(
            schema: nil, table: "rollup_stage",
            columns: [
                "measure", "version", "bucket_us", "dimensions", "journal_id", "count", "sum", "min", "max",
                "through_seq", "is_absolute", "is_corrected",
            ])
        try connection.execute("SELECT decisiond.ship_stage()")
        // (count, sum, min, max, corrected), and what the row is afterwards.
        let steps: [(Int64, String, String?, String?, Bool, [String?])] = [
            (3, "6", "1", "3", false, ["3", "6", "1", "3"]), (-1, "-3", "1", "2", true, ["2", "3", "1", "2"]),
            (0, "0", "2", "2", true, ["2", "3", "2", "2"]), (-2, "-3", nil, nil, true, []),
            (1, "5", "5", "5", false, ["1", "5", "5", "5"]), (0, "0", nil, nil, true, ["1", "5", nil, nil]),
        ]
        for (index, step) in steps.enumerated() {
            var writer = CopyTextWriter()
            writer.text("largest")
            writer.integer(1)
            writer.integer(0)
            writer.text("{}")
            writer.uuid(1)
            writer.integer(step.0)
            for text in [step.1, step.2, step.3] { writer.text(text) }
            writer.integer(Int64(index))
            writer.boolean(false)
            writer.boolean(step.4)
            writer.endRow()
            try connection.transaction { (connection) throws(PostgresError) in
                try connection.copyIn(into: stage, rows: writer)
                try connection.execute("SELECT decisiond.rollup_merge()")
            }
            let row = try connection.query(
                "SELECT count, sum, min, max FROM decisiond.rollup WHERE measure = 'largest'")
            let values = try row.rowCount == 0 ? [] : (0..<4).map { try row.string(0, $0) }
            #expect(values == step.5, "step \(index)")
        }
    }

    @Test func artifactsAreWhatTheirNameSays() throws {
        let connection = try TestCluster.shared.connectMigrated()
        let bytes: PostgresParameter = .bytes([1, 2, 3])
        _ = try connection.query("INSERT INTO decisiond.artifact (sha256, bytes) VALUES (sha256($1), $1)", [bytes])
        let error = #expect(throws: PostgresError.self) {
            _ = try connection.query("INSERT INTO decisiond.artifact (sha256, bytes) VALUES (sha256('x'), $1)", [bytes])
        }
        #expect(error?.sqlState == .checkViolation)
    }
}
