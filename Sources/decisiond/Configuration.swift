import Foundation
import JSON
import Service

/// One key of the configuration: its name, its default and what it means. The README's table is made from this list.
struct ConfigurationKey {
    let name: String
    let fallback: String
    let meaning: String

    /// The environment variable that overrides it.
    var environment: String { "DECISIOND_" + name.uppercased() }

    static let all: [ConfigurationKey] = [
        .init(
            name: "listen", fallback: "127.0.0.1:8080",
            meaning: "Address: host:port, unix:/path, or systemd for an inherited socket."),
        .init(
            name: "data_directory", fallback: "",
            meaning:
                "Journal, artifacts and the first key. Default: $STATE_DIRECTORY, else /var/lib/decisiond for root, else ~/.local/share/decisiond."
        ),
        .init(
            name: "database_url", fallback: "",
            meaning:
                "libpq connection string or URL; several hosts with target_session_attrs=read-write for failover. Empty: no database; decisions and ingest work, the journal keeps everything."
        ),
        .init(
            name: "definitions_directory", fallback: "",
            meaning: "Definitions read at start; only names that do not exist yet are added."),
        .init(
            name: "bootstrap_key", fallback: "",
            meaning:
                "The first API key (role admin). Empty: made once, kept in data_directory/bootstrap.key, mode 0600."),
        .init(name: "log_level", fallback: "info", meaning: "debug, info, warning or error."),
        .init(name: "http_threads", fallback: "0", meaning: "Event loops; 0: one a core, at least 2."),
        .init(name: "bulk_threads", fallback: "1", meaning: "Threads for large bodies."),
        .init(name: "query_threads", fallback: "2", meaning: "Threads that ask PostgreSQL, one connection each."),
        .init(name: "job_threads", fallback: "1", meaning: "Jobs that run at once, at low priority."),
        .init(name: "connections_max", fallback: "4096", meaning: "Connections served; more are answered 503."),
        .init(name: "header_timeout_ms", fallback: "10000", meaning: "From the first byte to the end of the headers."),
        .init(name: "body_timeout_ms", fallback: "60000", meaning: "From the headers to the end of the body."),
        .init(
            name: "idle_timeout_ms", fallback: "75000", meaning: "A connection without a request is closed after this."),
        .init(name: "drain_timeout_ms", fallback: "10000", meaning: "How long a stop waits for requests in flight."),
        .init(
            name: "events_body_bytes_max", fallback: "134217728", meaning: "Largest body of POST /v1/events, inflated."),
        .init(
            name: "historical_body_bytes_max", fallback: "1073741824",
            meaning: "Largest body of POST /v1/features/historical, inflated."),
        .init(
            name: "training_bytes_max", fallback: "10737418240",
            meaning: "Training sets and what is made of them on the disk, together."),
        .init(name: "artifact_bytes_max", fallback: "268435456", meaning: "Largest model artifact."),
        .init(name: "score_body_bytes_max", fallback: "268435456", meaning: "Largest body of rows to score, inflated."),
        .init(name: "body_bytes_max", fallback: "1048576", meaning: "Largest body of every other operation."),
        .init(
            name: "quarantine_entries_max", fallback: "100000",
            meaning: "Quarantine entries in memory; older ones are in PostgreSQL only."),
        .init(
            name: "features_memory_bytes_max", fallback: "4294967296",
            meaning:
                "Bytes of features in memory. Past it entities not used lately go to PostgreSQL and are fetched back when read; a quarter above it events are refused."
        ),
        .init(name: "journal_segment_bytes", fallback: "67108864", meaning: "Size of a journal segment."),
        .init(
            name: "journal_bytes_max", fallback: "68719476736",
            meaning: "Bytes of all segments; at it writes are refused with journal_full."),
        .init(
            name: "snapshot_interval_s", fallback: "300",
            meaning: "Seconds between two snapshots of memory, if there is enough new; 0: never by time."),
        .init(
            name: "snapshot_frames", fallback: "1000000",
            meaning: "Frames between two snapshots of memory; 0: never by number."),
        .init(
            name: "journal_retention_hours", fallback: "24",
            meaning:
                "Hours that a segment is kept once all of it is in PostgreSQL; PostgreSQL may go back this far in a failover."
        ),
        .init(name: "journal_linger_us", fallback: "0", meaning: "Microseconds a group commit waits for company."),
        .init(
            name: "dedupe_horizon_days", fallback: "30",
            meaning: "Days of ingest time for which (source, id) is remembered."),
        .init(name: "ship_interval_ms", fallback: "200", meaning: "Longest wait before a batch goes to PostgreSQL."),
        .init(name: "ship_batch_frames_max", fallback: "20000", meaning: "Frames in one shipped transaction."),
        .init(
            name: "ship_give_way_s", fallback: "60",
            meaning: "Lag in seconds up to which shipping gives way to a burst of decisions; 0: never."),
        .init(
            name: "parity_sample_per_minute", fallback: "6",
            meaning: "Served feature vectors, and as many decisions, computed again from PostgreSQL; 0: none."),
        .init(name: "zoneinfo_directory", fallback: "/usr/share/zoneinfo", meaning: "IANA time zones."),
    ]
}

/// A configuration that cannot be used.
struct ConfigurationError: Error, CustomStringConvertible {
    let description: String
}

/// Reads the configuration: defaults, then one YAML file, then systemd's credentials, then `DECISIOND_*`.
struct ConfigurationReader {
    private var values: [String: String] = [:]

    /// - Parameters:
    ///   - file: path of the YAML file; nil for none.
    ///   - environment: the process's environment.
    init(file: String?, environment: [String: String]) throws {
        for key in ConfigurationKey.all { values[key.name] = key.fallback }
        if let file { try read(file) }
        if let directory = environment["CREDENTIALS_DIRECTORY"] { readCredentials(directory) }
        for (name, value) in environment where name.hasPrefix("DECISIOND_") {
            let key = name.dropFirst("DECISIOND_".count).lowercased()
            // Other DECISIOND_ variables belong to scripts and tests; only known keys are taken from the environment.
            if values[key] != nil { values[key] = value }
        }
        if text("data_directory").isEmpty { values["data_directory"] = Self.dataDirectory(environment) }
    }

    /// systemd's credentials: a file named like a key holds its value.
    private mutating func readCredentials(_ directory: String) {
        for key in ConfigurationKey.all {
            guard let bytes = FileManager.default.contents(atPath: directory + "/" + key.name) else { continue }
            values[key.name] = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    private mutating func read(_ file: String) throws {
        guard let bytes = FileManager.default.contents(atPath: file) else {
            throw ConfigurationError(description: "\(file): cannot be read")
        }
        let documents: [JSONTree]
        do {
            documents = try YAMLReader.documents(String(decoding: bytes, as: UTF8.self))
        } catch {
            throw ConfigurationError(description: "\(file):\(error.line): \(error.message)")
        }
        for document in documents {
            guard case .object(let members) = document else {
                throw ConfigurationError(description: "\(file): keys and values are expected")
            }
            for member in members {
                guard values[member.key] != nil else {
                    let known = ConfigurationKey.all.map(\.name).joined(separator: ", ")
                    throw ConfigurationError(description: "\(file): unknown key \(member.key); known: \(known)")
                }
                switch member.value {
                case .string(let text): values[member.key] = text
                case .number(let number): values[member.key] = number.text
                case .bool(let flag): values[member.key] = flag ? "true" : "false"
                case .null: break
                default: throw ConfigurationError(description: "\(file): \(member.key) takes one value")
                }
            }
        }
    }

    private static func dataDirectory(_ environment: [String: String]) -> String {
        if let state = environment["STATE_DIRECTORY"], !state.isEmpty { return state }
        if getuid() == 0 { return "/var/lib/decisiond" }
        return (environment["HOME"] ?? "/tmp") + "/.local/share/decisiond"
    }

    /// A text value.
    func text(_ key: String) -> String {
        guard let value = values[key] else { preconditionFailure("no configuration key \(key)") }
        return value
    }

    /// A whole number of at least `minimum`.
    func integer(_ key: String, minimum: Int = 0) throws -> Int {
        guard let value = Int(text(key)), value >= minimum else {
            throw ConfigurationError(description: "\(key): a whole number of at least \(minimum) is expected")
        }
        return value
    }

    /// Everything as the service takes it.
    func configuration() throws -> ServiceConfiguration {
        var configuration = ServiceConfiguration()
        configuration.listen = text("listen")
        configuration.dataDirectory = text("data_directory")
        configuration.databaseURL = text("database_url").isEmpty ? nil : text("database_url")
        configuration.definitionsDirectory =
            text("definitions_directory").isEmpty ? nil : text("definitions_directory")
        configuration.bootstrapKey = text("bootstrap_key").isEmpty ? nil : text("bootstrap_key")
        guard let level = ServiceConfiguration.LogLevel(rawValue: text("log_level")) else {
            throw ConfigurationError(description: "log_level: debug, info, warning or error is expected")
        }
        configuration.logLevel = level
        configuration.httpThreads = try integer("http_threads")
        configuration.bulkThreads = try integer("bulk_threads", minimum: 1)
        configuration.queryThreads = try integer("query_threads", minimum: 1)
        configuration.jobThreads = try integer("job_threads", minimum: 1)
        configuration.connectionsMax = try integer("connections_max", minimum: 1)
        configuration.headerTimeoutMilliseconds = try integer("header_timeout_ms", minimum: 1)
        configuration.bodyTimeoutMilliseconds = try integer("body_timeout_ms", minimum: 1)
        configuration.idleTimeoutMilliseconds = try integer("idle_timeout_ms", minimum: 1)
        configuration.drainTimeoutMilliseconds = try integer("drain_timeout_ms")
        configuration.eventsBodyBytesMax = try integer("events_body_bytes_max", minimum: 1024)
        configuration.historicalBodyBytesMax = try integer("historical_body_bytes_max", minimum: 1024)
        configuration.trainingBytesMax = try integer("training_bytes_max", minimum: 0)
        configuration.artifactBytesMax = try integer("artifact_bytes_max", minimum: 1024)
        configuration.scoreBodyBytesMax = try integer("score_body_bytes_max", minimum: 1024)
        configuration.bodyBytesMax = try integer("body_bytes_max", minimum: 1024)
        configuration.quarantineEntriesMax = try integer("quarantine_entries_max", minimum: 1)
        configuration.featuresMemoryBytesMax = try integer("features_memory_bytes_max", minimum: 1 << 20)
        configuration.journalSegmentBytes = Int64(try integer("journal_segment_bytes", minimum: 65_536))
        configuration.journalBytesMax = Int64(try integer("journal_bytes_max", minimum: 65_536))
        configuration.journalLingerMicroseconds = UInt64(try integer("journal_linger_us"))
        configuration.snapshotIntervalSeconds = try integer("snapshot_interval_s")
        configuration.snapshotFrames = try integer("snapshot_frames")
        configuration.journalRetentionHours = try integer("journal_retention_hours")
        configuration.dedupeHorizonDays = try integer("dedupe_horizon_days", minimum: 1)
        configuration.shipIntervalMilliseconds = try integer("ship_interval_ms", minimum: 1)
        configuration.shipBatchFramesMax = try integer("ship_batch_frames_max", minimum: 1)
        configuration.shipGiveWaySeconds = try integer("ship_give_way_s")
        configuration.paritySamplePerMinute = try integer("parity_sample_per_minute")
        configuration.zoneinfoDirectory = text("zoneinfo_directory")
        return configuration
    }
}
