import Models
import Postgres
import Synchronization
import Telemetry

/// Keeps what the recorder counts in PostgreSQL. One thread, which writes an hour's counts again whenever they have grown,
/// so that a row always holds all of an hour that this run of the daemon knows.
///
/// What was counted since the last write is lost when the process is killed: drift is a statistic of many rows, not a record.
final class DriftKeeper: Sendable {
    private let recorder: DriftRecorder
    private let url: String?
    private let journal: UInt128
    /// Tells this run of the daemon from others on the same journal.
    private let run: UInt128
    private let stopping = Atomic<Bool>(false)
    private let ended = Atomic<Bool>(false)
    private let wake = Semaphore()

    /// Milliseconds between two writes.
    private static let intervalMilliseconds = 5_000

    init(recorder: DriftRecorder, url: String?, journal: UInt128) {
        self.recorder = recorder
        self.url = url
        self.journal = journal
        run = UInt128(Randomness.word()) << 64 | UInt128(Randomness.word())
    }

    /// Starts the thread.
    func start() {
        guard let url else {
            ended.store(true, ordering: .relaxed)
            return
        }
        Threads.start("drift") { self.work(url) }
    }

    /// Writes what is left and ends; waits for it as long as a statement may take.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        wake.post()
        let end = Threads.monotonicNanoseconds() + Self.stopNanoseconds
        while !ended.load(ordering: .acquiring), Threads.monotonicNanoseconds() < end {
            Threads.sleep(microseconds: 5_000)
        }
    }

    /// How long a stop waits for the last write: two seconds.
    private static let stopNanoseconds: UInt64 = 2_000_000_000

    private func work(_ url: String) {
        var configuration = PostgresConfiguration(connectionString: url, applicationName: "decisiond drift")
        configuration.statementTimeout = QueryPool.statementTimeout
        configuration.connectTimeout = QueryPool.connectTimeout
        let connection = PostgresConnection(configuration)
        while true {
            let isLast = stopping.load(ordering: .relaxed)
            save(connection)
            recorder.forgetOld()
            if isLast { break }
            _ = wake.wait(milliseconds: Self.intervalMilliseconds)
        }
        ended.store(true, ordering: .releasing)
    }

    private func save(_ connection: PostgresConnection) {
        let taken = recorder.takeUnsaved()
        if taken.isEmpty { return }
        do throws(PostgresError) {
            try connection.transaction { connection throws(PostgresError) in
                for (key, hours) in taken {
                    for hour in hours.unsaved {
                        guard let windows = hours.windows[hour] else { continue }
                        for (feature, window) in windows.named(hours.served) {
                            try self.put(key, hour, feature, window, connection)
                        }
                    }
                }
            }
        } catch {
            // Away, as the shipper tells: the counts stay in memory and are written when it is back.
            recorder.putBack(taken)
        }
    }

    private func put(
        _ key: DriftRecorder.Key, _ hour: Int64, _ feature: String, _ window: DriftWindow,
        _ connection: PostgresConnection
    ) throws(PostgresError) {
        try connection.query(
            """
            INSERT INTO decisiond.model_drift
            (name, version, hour, feature, journal_id, run, fingerprint, rows, counts)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (name, version, hour, feature, journal_id, run)
            DO UPDATE SET fingerprint = excluded.fingerprint, rows = excluded.rows, counts = excluded.counts
            """,
            [
                .text(key.name), .int64(Int64(key.version)), .int64(hour), .text(feature), .uuid(journal), .uuid(run),
                .int64(Int64(bitPattern: window.reference.fingerprint)), .int64(window.rows), .bytes(window.encode()),
            ])
    }

    /// Adds what PostgreSQL has of hours `range`, without those of this run that memory has.
    func add(
        to windows: inout DriftWindows, of served: ServedModel, hours range: Range<Int64>, besides inMemory: Set<Int64>,
        _ connection: PostgresConnection
    ) throws(PostgresError) {
        let rows = try connection.query(
            """
            SELECT feature, hour, run, counts FROM decisiond.model_drift
            WHERE name = $1 AND version = $2 AND hour >= $3 AND hour < $4
            """,
            [
                .text(served.name), .int64(Int64(served.version)), .int64(range.lowerBound), .int64(range.upperBound),
            ])
        for row in 0..<rows.rowCount {
            guard let feature = try rows.string(row, 0), let hour = try rows.int64(row, 1),
                let bytes = try rows.bytes(row, 3)
            else { continue }
            if try rows.uuid(row, 2) == run, inMemory.contains(hour) { continue }
            windows.add(stored: bytes, feature: feature, of: served)
        }
    }
}

extension DriftWindows {
    /// The windows by the name under which they are stored; the score's is empty.
    func named(_ served: ServedModel) -> [(feature: String, window: DriftWindow)] {
        var found: [(String, DriftWindow)] = []
        for (index, window) in inputs.enumerated() {
            if let window, window.rows > 0 { found.append((served.inputs[index].name, window)) }
        }
        if let score, score.rows > 0 { found.append(("", score)) }
        return found
    }

    /// Adds a stored window. One of another reference is of a definition that this version does not have; it is left out.
    mutating func add(stored bytes: [UInt8], feature: String, of served: ServedModel) {
        if feature.isEmpty {
            if let reference = score?.reference, let window = try? DriftWindow.decode(bytes, reference: reference) {
                score? += window
            }
            return
        }
        guard let index = served.inputs.firstIndex(where: { $0.name == feature }),
            let reference = inputs[index]?.reference,
            let window = try? DriftWindow.decode(bytes, reference: reference)
        else { return }
        inputs[index]? += window
    }
}
