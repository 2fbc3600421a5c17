/// One step of the schema, forward only.
public struct Migration: Sendable, Equatable {
    /// Position, from 1, without gaps.
    public let version: Int
    /// What it does, in snake_case.
    public let name: String
    /// The statements; all of them run in one transaction.
    public let sql: String

    /// A migration by its parts.
    public init(version: Int, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
    }

    /// The files of the folder `migrations`, in order. SwiftPM embeds the folder in the binary and derives the names below
    /// from the file names, with the first character replaced.
    public static let all: [Migration] = [
        Migration(1, "ship", PackageResources._001_ship_sql),
        Migration(2, "streams", PackageResources._002_streams_sql),
        Migration(3, "measures", PackageResources._003_measures_sql),
        Migration(4, "definitions", PackageResources._004_definitions_sql),
        Migration(5, "operator_views", PackageResources._005_operator_views_sql),
        Migration(6, "corrections", PackageResources._006_corrections_sql),
        Migration(7, "ship_recovery", PackageResources._007_ship_recovery_sql),
        Migration(8, "training_sets", PackageResources._008_training_sets_sql),
        Migration(9, "models", PackageResources._009_models_sql),
    ]

    private init(_ version: Int, _ name: String, _ bytes: [UInt8]) {
        self.init(version: version, name: name, sql: String(decoding: bytes, as: UTF8.self))
    }
}

/// Why the schema was not brought up to date.
public enum MigrationError: Error, Equatable, Sendable {
    /// An applied migration is not what the binary holds under the same version.
    case changed(version: Int, name: String)
    /// The database has migrations that this binary does not know.
    case schemaNewer(version: Int)
    /// The database lacks a version although it has later ones.
    case gap(version: Int)
    /// A migration failed and was rolled back whole.
    case failed(version: Int, name: String, PostgresError)
    /// The database could not be asked.
    case postgres(PostgresError)

    /// Stable snake_case name of the case.
    public var code: String {
        switch self {
        case .changed: "migration_changed"
        case .schemaNewer: "schema_newer"
        case .gap: "migration_gap"
        case .failed: "migration_failed"
        case .postgres(let error): error.code
        }
    }

    /// One line for a person, with what to do.
    public var message: String {
        switch self {
        case .changed(let version, let name):
            "migration \(version) (\(name)) was applied with other contents; migrations are never edited, add a new one"
        case .schemaNewer(let version):
            "the database is at schema version \(version), newer than this binary; run the newer binary"
        case .gap(let version): "migration \(version) was never applied although later ones were"
        case .failed(let version, let name, let error):
            "migration \(version) (\(name)) failed and was rolled back: \(error.message)"
        case .postgres(let error): error.message
        }
    }
}
