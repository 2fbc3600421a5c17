import JSON
import Journal
import Measures
import Postgres
import Synchronization

/// Carries durable frames to PostgreSQL, each exactly once: one transaction moves the journal's stored position and stores
/// the rows, so the two can never disagree.
final class Shipper: Sendable {
    private let state: ServiceState
    private let journal: ServiceJournal
    private let configuration: ServiceConfiguration
    private let clock: WallClock
    private let observe: @Sendable (ShipObservation) -> Void
    private let shipped = Atomic<UInt64>(0)
    private let connected = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let ahead = Atomic<Bool>(false)
    private let stopped = Semaphore()
    private let wake = Semaphore()
    /// Compiles measure versions for folding; set once before the start.
    private let spans: @Sendable () -> [MeasureFold]

    /// What the shipper tells.
    enum ShipObservation: Sendable {
        /// Rows reached PostgreSQL.
        case shipped(frames: Int, nanoseconds: Int64)
        /// A batch did not; the stable code.
        case failed(code: String)
        /// The connection came up or went down.
        case database(isUp: Bool)
        /// The connection is up for the first time since it was down: definitions may be read and written again.
        case ready
    }

    /// Longest pause between two tries while PostgreSQL does not answer [milliseconds].
    private static let retryMillisecondsMax = 5_000
    /// Bytes of frames in one transaction.
    private static let batchBytesMax = 32 << 20
    /// Days for which partitions are made ahead.
    private static let partitionDays: Int64 = 14

    init(
        state: ServiceState, journal: ServiceJournal, configuration: ServiceConfiguration, clock: WallClock,
        spans: @escaping @Sendable () -> [MeasureFold], observe: @escaping @Sendable (ShipObservation) -> Void
    ) {
        self.state = state
        self.journal = journal
        self.configuration = configuration
        self.clock = clock
        self.spans = spans
        self.observe = observe
    }

    /// Position up to which PostgreSQL has everything.
    var shippedSeq: UInt64 { shipped.load(ordering: .acquiring) }
    /// Whether PostgreSQL answers the shipper.
    var isConnected: Bool { connected.load(ordering: .relaxed) }

    /// Whether the database holds more of this journal than this machine's disk: an old data directory was put back.
    var isDatabaseAhead: Bool { ahead.load(ordering: .relaxed) }

    /// Starts the thread; without a database it does nothing.
    func start() {
        guard let url = configuration.databaseURL else { return }
        Threads.start("shipper") { self.run(url) }
    }

    /// Ships what is durable and ends, at most within the deadline.
    func stop(milliseconds: Int) {
        guard configuration.databaseURL != nil else { return }
        stopping.store(true, ordering: .relaxed)
        wake.post()
        _ = stopped.wait(milliseconds: milliseconds)
    }

    private func run(_ url: String) {
        var configuration = PostgresConfiguration(connectionString: url, applicationName: "decisiond shipper")
        configuration.statementTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(3)
        let connection = PostgresConnection(configuration)
        let reader = journal.makeReader()
        var next: UInt64?
        var pause = 50
        while true {
            do throws(PostgresError) {
                if !connection.isConnected || next == nil { next = try prepare(connection) }
                guard let position = next else { continue }
                let isFinal = stopping.load(ordering: .relaxed)
                if state.appliedSeq.load(ordering: .acquiring) >= position {
                    next = try ship(from: position, connection, reader)
                    pause = 50
                    continue
                }
                if isFinal { break }
                // An idle connection says nothing when its server goes away.
                try connection.query("SELECT 1", [])
                _ = wake.wait(milliseconds: self.configuration.shipIntervalMilliseconds)
            } catch {
                failed(error, connection)
                next = nil
                if stopping.load(ordering: .relaxed) { break }
                _ = wake.wait(milliseconds: pause)
                pause = min(pause * 2, Self.retryMillisecondsMax)
            }
        }
        connection.close()
        stopped.post()
    }

    private func failed(_ error: PostgresError, _ connection: PostgresConnection) {
        observe(.failed(code: error.code))
        if connected.exchange(false, ordering: .relaxed) { observe(.database(isUp: false)) }
        connection.close()
    }

    private var journalUUID: UInt128 { journal.uuid }

    /// Connects, migrates, and reads the settled position: that resolves a COMMIT whose answer was lost.
    private func prepare(_ connection: PostgresConnection) throws(PostgresError) -> UInt64 {
        try connection.connect(until: .after(.seconds(3)))
        do throws(MigrationError) {
            _ = try Migrator().migrate(connection)
        } catch {
            guard case .postgres(let cause) = error else {
                throw PostgresError.unexpectedResult(message: "the schema is not this binary's: \(error)")
            }
            throw cause
        }
        try connection.execute("SELECT decisiond.ship_stage()")
        try connection.query(
            "SELECT decisiond.ensure_partitions($1::int, NULL)", [.int64(Self.partitionDays)])
        let rows = try connection.query("SELECT decisiond.ship_position($1)", [.uuid(journalUUID)])
        let position = try (rows.rowCount == 1 ? rows.int64(0, 0) : nil) ?? 1
        if !connected.exchange(true, ordering: .relaxed) {
            observe(.database(isUp: true))
            observe(.ready)
        }
        ahead.store(UInt64(position) > journal.durableSeq + 1, ordering: .relaxed)
        finished(through: UInt64(position) - 1)
        return UInt64(position)
    }

    private func ship(
        from position: UInt64, _ connection: PostgresConnection, _ reader: JournalReader<PosixStorage>
    ) throws(PostgresError) -> UInt64 {
        let started = Threads.monotonicNanoseconds()
        // Only what memory has applied: the batch is folded by memory's list of dimension values.
        let ahead = Int(state.appliedSeq.load(ordering: .acquiring) - position) + 1
        var batch = ShipBatch(journal: journalUUID, tables: spans())
        let progress: JournalReader<PosixStorage>.Progress
        do throws(JournalError) {
            progress = try reader.read(
                from: position, maxFrames: min(ahead, configuration.shipBatchFramesMax), maxBytes: Self.batchBytesMax
            ) { batch.add($0) }
        } catch {
            throw PostgresError.unexpectedResult(message: "the journal cannot be read: \(error.code.rawValue)")
        }
        guard progress.frames > 0 else { return position }
        batch.foldRollups()
        do throws(PostgresError) {
            try commit(batch, connection)
        } catch {
            try recover(error, batch, connection)
            return position
        }
        observe(.shipped(frames: batch.frames, nanoseconds: Int64(Threads.monotonicNanoseconds() - started)))
        finished(through: batch.lastSeq)
        return batch.lastSeq + 1
    }

    private func finished(through seq: UInt64) {
        shipped.store(seq, ordering: .releasing)
        state.records.shipped(through: seq)
    }

    private func commit(_ batch: ShipBatch, _ connection: PostgresConnection) throws(PostgresError) {
        try connection.transaction { connection throws(PostgresError) in
            try connection.query(
                "SELECT decisiond.ship_advance($1, $2, $3)",
                [.uuid(journalUUID), .int64(Int64(batch.firstSeq)), .int64(Int64(batch.lastSeq))])
            try Self.copy(batch.events, ShipBatch.eventTarget, connection)
            try Self.copy(batch.decisions, ShipBatch.decisionTarget, connection)
            try Self.copy(batch.outcomes, ShipBatch.outcomeTarget, connection)
            if batch.outcomes.rowCount > 0 {
                try connection.query(
                    """
                    UPDATE decisiond.outcome o SET decision = d.decision, decided_us = d.decided_us
                    FROM decisiond.decision_record d
                    WHERE d.id = o.decision_id AND o.journal_id = $1 AND o.seq BETWEEN $2 AND $3
                    """, [.uuid(journalUUID), .int64(Int64(batch.firstSeq)), .int64(Int64(batch.lastSeq))])
            }
            try Self.copy(batch.access, ShipBatch.accessTarget, connection)
            if batch.quarantine.rowCount > 0 {
                try Self.copy(batch.quarantine, ShipBatch.quarantineTarget, connection)
                try connection.query("SELECT decisiond.quarantine_merge()", [])
            }
            if batch.rollups.rowCount > 0 {
                try Self.copy(batch.rollups, ShipBatch.rollupTarget, connection)
                try connection.query("SELECT decisiond.rollup_merge()", [])
            }
            try closeQuarantine(batch, connection)
            for key in batch.keys { try Self.store(key, connection) }
        }
    }

    private static func copy(
        _ rows: CopyTextWriter, _ target: CopyTarget, _ connection: PostgresConnection
    ) throws(PostgresError) {
        if rows.rowCount > 0 { _ = try connection.copyIn(into: target, rows: rows, range: 0..<rows.rowCount) }
    }

    private func closeQuarantine(_ batch: ShipBatch, _ connection: PostgresConnection) throws(PostgresError) {
        guard !batch.acceptedSources.isEmpty else { return }
        let open = try connection.query(
            "SELECT EXISTS (SELECT 1 FROM decisiond.quarantine WHERE state = 'open' AND source IS NOT NULL)", [])
        guard try open.boolean(0, 0) == true else { return }
        try connection.query(
            "SELECT decisiond.quarantine_close($1, $2, $3, 'accepted')",
            [.textArray(batch.acceptedSources), .textArray(batch.acceptedIDs), .int64(clock.now())])
    }

    private static func store(_ key: KeyFrame, _ connection: PostgresConnection) throws(PostgresError) {
        try connection.query(
            """
            INSERT INTO decisiond.api_key (id, name, hash, roles, created_at, expires_at, revoked_at)
            VALUES ($1, $2, $3, $4, decisiond.at($5), decisiond.at(nullif($6, 0)), decisiond.at(nullif($7, 0)))
            ON CONFLICT (id) DO UPDATE SET revoked_at = excluded.revoked_at
            """,
            [
                .text(key.id), .text(key.name), .bytes(key.hash), .textArray(key.roles), .int64(key.createdMicros),
                .int64(key.expiresMicros), .int64(key.revokedMicros),
            ])
    }

    /// Mends what can be mended; everything else is thrown on and tried again from the settled position.
    private func recover(
        _ error: PostgresError, _ batch: ShipBatch, _ connection: PostgresConnection
    ) throws(PostgresError) {
        guard case .ensurePartitions = error.recovery else { throw error }
        let oldest = batch.oldestMicros == .max ? clock.now() : batch.oldestMicros
        try connection.query(
            "SELECT decisiond.ensure_partitions($1::int, $2)", [.int64(Self.partitionDays), .int64(oldest)])
    }
}
