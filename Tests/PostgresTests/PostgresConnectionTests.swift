import Foundation
import Postgres
import PostgresTestCluster
import Testing

/// Tests that stop, restart or freeze a server have one of their own.
@Suite(.serialized) struct PostgresConnectionTests {
    static let cluster = TestCluster()

    private func waitUntil(_ what: Comment, _ condition: () throws -> Bool) rethrows {
        let end = PostgresDeadline.after(.seconds(20))
        while try !condition() {
            if end.hasPassed {
                Issue.record(what)
                return
            }
            usleep(10_000)
        }
    }

    @Test func reconnectsAfterAnImmediateRestart() throws {
        let connection = try Self.cluster.connect()
        let statement = PostgresStatement("one", "SELECT 1 WHERE $1 = 1", [.int64])
        try connection.execute("CREATE TABLE t (a int)")
        #expect(try connection.rowCount(statement, [.int64(1)]) == 1)
        Self.cluster.stop(mode: "immediate")
        let lost = #expect(throws: PostgresError.self) { try connection.execute("SELECT 1") }
        #expect(lost?.code == "postgres_outcome_unknown" || lost?.code == "postgres_connection_lost")
        let refused = #expect(throws: PostgresError.self) { try connection.execute("SELECT 1") }
        #expect(refused?.code == "postgres_connect_failed")
        #expect(refused?.isTransient == true)
        Self.cluster.start()
        #expect(try connection.rowCount(statement, [.int64(1)]) == 1)
        #expect(connection.generation == 2)
    }

    @Test func aLostTransactionNeverGoesOnAlone() throws {
        let connection = try Self.cluster.connect()
        try connection.execute("CREATE TABLE t (a int)")
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (1)")
        let pid = try #require(connection.backendProcessID)
        let other = PostgresConnection(connection.configuration)
        _ = try other.query("SELECT pg_terminate_backend($1::int)", [.int64(Int64(pid))])
        let first = #expect(throws: PostgresError.self) { try connection.execute("INSERT INTO t VALUES (2)") }
        #expect(first?.sqlState == .adminShutdown)
        #expect(first?.isUnknownOutcome == false)
        #expect(first?.isTransient == true)
        for _ in 0..<2 {
            let next = #expect(throws: PostgresError.self) { try connection.execute("INSERT INTO t VALUES (3)") }
            #expect(next?.code == "postgres_connection_lost")
        }
        #expect(connection.isInTransaction)
        let commit = #expect(throws: PostgresError.self) { try connection.commit() }
        #expect(commit?.isUnknownOutcome == false)
        try connection.execute("INSERT INTO t VALUES (4)")
        #expect(try connection.integer("SELECT sum(a) FROM t") == 4)
    }

    @Test func aCommitWithoutAnswerIsUnknown() throws {
        let connection = try Self.cluster.connect()
        // A deferred trigger makes COMMIT itself slow.
        try connection.execute(
            """
            CREATE TABLE t (a int);
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION slow();
            """
        )
        try connection.begin()
        try connection.execute("INSERT INTO t VALUES (1)")
        let error = #expect(throws: PostgresError.self) { try connection.commit(until: .after(.milliseconds(200))) }
        #expect(error == .timedOut(during: .commit, isCancelled: false))
        #expect(error?.recovery == .resolveOutcome)
        #expect(!connection.isInTransaction)
        #expect(try connection.integer("SELECT count(*) FROM t") == 0)
    }

    @Test func aSlowStatementIsCancelledAtItsDeadline() throws {
        let connection = try Self.cluster.connect()
        let error = #expect(throws: PostgresError.self) {
            try connection.execute("SELECT pg_sleep(60)", until: .after(.milliseconds(100)))
        }
        #expect(error == .timedOut(during: .statement, isCancelled: true))
        #expect(error?.isUnknownOutcome == false)
        #expect(try connection.integer("SELECT 1") == 1)
        #expect(connection.generation == 1)
    }

    @Test func aFrozenBackendEndsAtTheDeadline() throws {
        let connection = try Self.cluster.connect()
        try connection.connect()
        let pid = try #require(connection.backendProcessID)
        kill(pid, SIGSTOP)
        defer { kill(pid, SIGCONT) }
        let error = #expect(throws: PostgresError.self) {
            try connection.execute("SELECT 1", until: .after(.milliseconds(100)))
        }
        #expect(error == .timedOut(during: .statement, isCancelled: false))
        #expect(!connection.isConnected)
        // The rest of the server lives.
        #expect(try connection.integer("SELECT 1") == 1)
    }

    @Test func aFrozenServerEndsConnectsAndStatementsAtTheirDeadlines() throws {
        let connection = try Self.cluster.connect()
        try connection.execute("CREATE TABLE t (s text)")
        let pid = try #require(connection.backendProcessID)
        let postmaster = Self.cluster.postmaster
        var writer = CopyTextWriter()
        for _ in 0..<4_000 {
            writer.text(String(repeating: "x", count: 1_000))
            writer.endRow()
        }
        kill(postmaster, SIGSTOP)
        kill(pid, SIGSTOP)
        defer {
            kill(pid, SIGCONT)
            kill(postmaster, SIGCONT)
        }
        // The cancel request hangs as well: it needs the postmaster.
        let target = CopyTarget(schema: nil, table: "t", columns: ["s"])
        let copy = #expect(throws: PostgresError.self) {
            try connection.copyIn(into: target, rows: writer, until: .after(.milliseconds(100)))
        }
        #expect(copy?.code == "postgres_outcome_unknown")
        let connect = #expect(throws: PostgresError.self) { try connection.connect(until: .after(.milliseconds(100))) }
        #expect(connect?.code == "postgres_connect_timed_out")
        #expect(connect?.isTransient == true)
    }

    @Test func aCopyThatTheServerStopsReadingIsTimedOut() throws {
        let connection = try Self.cluster.connect()
        try connection.execute("CREATE TABLE t (s text)")
        let blocker = PostgresConnection(connection.configuration)
        try blocker.begin()
        try blocker.execute("LOCK TABLE t")
        var writer = CopyTextWriter()
        writer.text("x")
        writer.endRow()
        let target = CopyTarget(schema: nil, table: "t", columns: ["s"])
        let error = #expect(throws: PostgresError.self) {
            try connection.copyIn(into: target, rows: writer, until: .after(.milliseconds(100)))
        }
        #expect(error == .timedOut(during: .statement, isCancelled: true))
        blocker.rollback()
        #expect(try connection.copyIn(into: target, rows: writer) == 1)
        #expect(connection.generation == 1)
    }

    @Test func hostsAreTriedInOrderAndADeadOneTakesOnlyItsShare() throws {
        let database = try Self.cluster.newDatabase()
        let name = String(try #require(database.connectionString.split(separator: "=").last))
        // A socket that listens and never answers, a port where nothing listens, then the server.
        let mute = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(mute) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(mute, $0, length)
                _ = getsockname(mute, $0, &length)
            }
        }
        listen(mute, 4)
        let ports = "\(UInt16(bigEndian: address.sin_port)),\(TestCluster.freePort()),\(Self.cluster.port)"
        let hosts = "127.0.0.1,127.0.0.1,127.0.0.1"
        for role in ["read-write", "prefer-standby"] {
            var configuration = PostgresConfiguration(
                connectionString:
                    "host=\(hosts) port=\(ports) user=decisiond dbname=\(name) target_session_attrs=\(role)"
            )
            configuration.connectTimeout = .seconds(6)
            let connection = PostgresConnection(configuration)
            #expect(try connection.integer("SELECT 1") == 1)
        }
        let standby = PostgresConnection(
            PostgresConfiguration(connectionString: database.connectionString + " target_session_attrs=standby")
        )
        #expect(throws: PostgresError.self) { try standby.connect() }
    }

    @Test func refusalsCarryTheirCode() throws {
        let configuration = Self.cluster.configuration(database: "nothing_here")
        let error = #expect(throws: PostgresError.self) { try PostgresConnection(configuration).connect() }
        #expect(error?.sqlState?.description == "3D000")
        #expect(error?.recovery == .stop)
        let malformed = PostgresConfiguration(connectionString: "host=x passw canary")
        let other = #expect(throws: PostgresError.self) { try PostgresConnection(malformed).connect() }
        #expect(other?.message.contains("canary") == false)
    }

    @Test func sessionSettingsHold() throws {
        let connection = try Self.cluster.connect()
        let rows = try connection.query(
            """
            SELECT current_setting('client_encoding'), current_setting('statement_timeout'), current_setting('TimeZone'),
                current_setting('application_name'), current_setting('client_connection_check_interval'),
                current_setting('lock_timeout')
            """
        )
        let values = try (0..<6).map { try rows.string(0, $0) }
        #expect(values == ["UTF8", "31s", "UTC", "tests", "1s", "10s"])
    }

    @Test func anAbandonedStatementEndsOnTheServer() throws {
        let connection = try Self.cluster.connect()
        try connection.connect()
        let pid = try #require(connection.backendProcessID)
        let watcher = PostgresConnection(connection.configuration)
        let thread = Thread { [configuration = connection.configuration] in
            let other = PostgresConnection(configuration)
            _ = try? other.execute("SELECT pg_sleep(60)", until: .after(.milliseconds(50)))
        }
        thread.start()
        connection.close()
        try waitUntil("both backends end") {
            try watcher.integer(
                """
                SELECT count(*) FROM pg_stat_activity
                WHERE pid = $1 OR query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()
                """,
                [.int64(Int64(pid))]
            ) == 0
        }
    }
}
