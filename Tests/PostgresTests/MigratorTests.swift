import Foundation
import Postgres
import PostgresTestCluster
import Testing

@Suite struct MigratorTests {
    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test func embeddedMigrationsEqualTheFiles() throws {
        let folder = Self.repository.appendingPathComponent("migrations")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(files.count == Migration.all.count)
        for (file, migration) in zip(files, Migration.all) {
            let number = String(repeating: "0", count: 4 - String(migration.version).count) + String(migration.version)
            #expect(file == "\(number)_\(migration.name).sql")
            #expect(try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8) == migration.sql)
        }
    }

    @Test func migratesOnceAndRemembers() throws {
        let connection = try TestCluster.shared.connect()
        #expect(try Migrator().currentVersion(connection) == 0)
        #expect(try Migrator().migrate(connection) == Migration.all.map(\.version))
        #expect(try Migrator().migrate(connection) == [])
        #expect(try Migrator().currentVersion(connection) == Migration.all.count)
        let described = try connection.integer(
            """
            SELECT count(*) FROM pg_class c WHERE relnamespace = 'decisiond'::regnamespace AND relkind IN ('r', 'p', 'v')
                AND NOT relispartition AND obj_description(oid, 'pg_class') IS NULL
            """
        )
        #expect(described == 0)
    }

    @Test func refusesAChangedGappedOrNewerSchema() throws {
        let connection = try TestCluster.shared.connect()
        let first = Migration(version: 1, name: "a", sql: "CREATE TABLE a (i int)")
        let second = Migration(version: 2, name: "b", sql: "CREATE TABLE b (i int)")
        #expect(try Migrator([first, second]).migrate(connection) == [1, 2])
        let edited = Migration(version: 1, name: "a", sql: "CREATE TABLE a (i bigint)")
        #expect(throws: MigrationError.changed(version: 1, name: "a")) {
            try Migrator([edited, second]).migrate(connection)
        }
        #expect(throws: MigrationError.schemaNewer(version: 2)) { try Migrator([first]).migrate(connection) }
        try connection.execute("DELETE FROM decisiond.schema_migrations WHERE version = 1")
        #expect(throws: MigrationError.gap(version: 1)) { try Migrator([first, second]).migrate(connection) }
        #expect(!connection.isInTransaction)
    }

    @Test func aFailingMigrationLeavesNothingBehind() throws {
        let connection = try TestCluster.shared.connect()
        let good = Migration(version: 1, name: "good", sql: "CREATE TABLE a (i int)")
        let bad = Migration(version: 2, name: "bad", sql: "CREATE TABLE b (i int); SELECT 1/0")
        let error = #expect(throws: MigrationError.self) { try Migrator([good, bad]).migrate(connection) }
        #expect(error?.code == "migration_failed")
        #expect(try Migrator([good]).currentVersion(connection) == 1)
        #expect(try connection.integer("SELECT count(*) FROM pg_class WHERE relname = 'b'") == 0)
    }

    @Test func concurrentMigratorsApplyEachStepOnce() async throws {
        let configuration = try TestCluster.shared.newDatabase()
        let tasks = (0..<6).map { _ in
            Task.detached { try Migrator().migrate(PostgresConnection(configuration)) }
        }
        var applied: [Int] = []
        for task in tasks { applied += try await task.value }
        #expect(applied.sorted() == Migration.all.map(\.version))
    }
}
