/// Brings the schema of a database up to date.
///
/// Each migration runs in a transaction of its own that holds one advisory lock, so any number of daemons may start at
/// once: one applies, the others wait and find it done. Applied migrations are remembered with the SHA-256 of their text.
public struct Migrator {
    /// Key of the advisory lock: the bytes of "decision" as one number.
    static let lockKey: Int64 = 0x6465_6369_7369_6F6E

    private static let existsQuery = "SELECT to_regclass('decisiond.schema_migrations') IS NOT NULL"

    private let migrations: [Migration]

    /// A migrator over migrations numbered from 1 without gaps.
    public init(_ migrations: [Migration] = Migration.all) {
        precondition(
            migrations.enumerated().allSatisfy { $0.offset + 1 == $0.element.version },
            "migrations are numbered from 1 without gaps"
        )
        self.migrations = migrations
    }

    /// Applies what is missing.
    ///
    /// - Parameter deadline: for all of it, including the wait for another daemon that is migrating; default: 5 minutes.
    /// - Returns: versions applied by this call.
    public func migrate(
        _ connection: PostgresConnection,
        until deadline: PostgresDeadline? = nil
    ) throws(MigrationError) -> [Int] {
        let deadline = deadline ?? .after(.seconds(300))
        var applied: [Int] = []
        while let step = try applyNextLocked(connection, deadline) {
            applied.append(step.version)
        }
        return applied
    }

    /// The highest version of the database; 0 for one that was never migrated. Changes nothing.
    public func currentVersion(_ connection: PostgresConnection) throws(PostgresError) -> Int {
        let exists = try connection.query(Self.existsQuery)
        if try exists.boolean(0, 0) != true { return 0 }
        let rows = try connection.query("SELECT coalesce(max(version), 0) FROM decisiond.schema_migrations")
        return Int(try rows.int64(0, 0) ?? 0)
    }

    /// Applies the first missing migration in one transaction under the lock; nil when there is none.
    private func applyNextLocked(
        _ connection: PostgresConnection,
        _ deadline: PostgresDeadline
    ) throws(MigrationError) -> Migration? {
        try wrapped { () throws(PostgresError) in try connection.begin(until: deadline) }
        let step: Migration?
        do throws(MigrationError) {
            try wrapped { () throws(PostgresError) in
                let left = deadline.remaining.settingMilliseconds
                let limits = "SET LOCAL statement_timeout = \(left); SET LOCAL lock_timeout = \(left)"
                try connection.execute(limits, until: deadline)
                _ = try connection.query("SELECT pg_advisory_xact_lock($1)", [.int64(Self.lockKey)], until: deadline)
                try createTable(connection, deadline)
            }
            step = try firstMissing(connection, deadline)
            if let step { try apply(step, connection, deadline) }
        } catch {
            connection.rollback()
            throw error
        }
        try wrapped { () throws(PostgresError) in try connection.commit(until: deadline) }
        return step
    }

    private func apply(
        _ step: Migration,
        _ connection: PostgresConnection,
        _ deadline: PostgresDeadline
    ) throws(MigrationError) {
        do throws(PostgresError) {
            try connection.execute(step.sql, until: deadline)
            _ = try connection.query(
                """
                INSERT INTO decisiond.schema_migrations (version, name, checksum)
                VALUES ($1, $2, encode(sha256($3), 'hex'))
                """,
                [.int64(Int64(step.version)), .text(step.name), .bytes(Array(step.sql.utf8))],
                until: deadline
            )
        } catch {
            throw .failed(version: step.version, name: step.name, error)
        }
    }

    /// Compares what is applied with what the binary holds and finds the first step to take. The server computes both
    /// checksums, so no hash function has to be linked for it.
    private func firstMissing(
        _ connection: PostgresConnection,
        _ deadline: PostgresDeadline
    ) throws(MigrationError) -> Migration? {
        let done = try wrapped { () throws(PostgresError) -> [Int: String] in
            let rows = try connection.query(
                "SELECT version, checksum FROM decisiond.schema_migrations",
                until: deadline
            )
            var done: [Int: String] = [:]
            for row in 0..<rows.rowCount {
                done[Int(try rows.int64(row, 0) ?? 0)] = try rows.string(row, 1) ?? ""
            }
            return done
        }
        let highest = done.keys.max() ?? 0
        if highest > migrations.count { throw .schemaNewer(version: highest) }
        for migration in migrations.prefix(highest) {
            guard let checksum = done[migration.version] else { throw .gap(version: migration.version) }
            let own = try wrapped { () throws(PostgresError) -> String? in
                let bytes = PostgresParameter.bytes(Array(migration.sql.utf8))
                let rows = try connection.query("SELECT encode(sha256($1), 'hex')", [bytes], until: deadline)
                return try rows.string(0, 0)
            }
            if own != checksum { throw .changed(version: migration.version, name: migration.name) }
        }
        return highest < migrations.count ? migrations[highest] : nil
    }

    private func createTable(_ connection: PostgresConnection, _ deadline: PostgresDeadline) throws(PostgresError) {
        let exists = try connection.query(Self.existsQuery, until: deadline)
        if try exists.boolean(0, 0) == true { return }
        // Where a DBA has made the schema, the daemon needs no right to create one.
        let schema = try connection.query("SELECT to_regnamespace('decisiond') IS NOT NULL", until: deadline)
        if try schema.boolean(0, 0) != true {
            try connection.execute("CREATE SCHEMA decisiond", until: deadline)
        }
        try connection.execute(
            """
            CREATE TABLE decisiond.schema_migrations (
                version int PRIMARY KEY,
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            );
            COMMENT ON TABLE decisiond.schema_migrations IS 'Schema steps applied, with the SHA-256 of their text';
            """,
            until: deadline
        )
    }

    private func wrapped<R>(_ body: () throws(PostgresError) -> R) throws(MigrationError) -> R {
        do throws(PostgresError) {
            return try body()
        } catch {
            throw .postgres(error)
        }
    }
}
