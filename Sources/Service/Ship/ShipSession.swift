import Crypto
import JSON
import Journal
import Measures
import Postgres

/// The shipper's thread: carries out what its ``ShipMachine`` says, over a connection and a reader of the journal.
final class ShipSession {
    private let shipper: Shipper
    private let connection: PostgresConnection
    private let reader: JournalReader<PosixStorage>
    private var generator = SystemRandomNumberGenerator()
    private var machine: ShipMachine
    private var pace: ShipPace
    private var partitionsDay: Int64 = .min
    private var lastAnswerNanoseconds: UInt64 = 0

    /// Bytes of frames in one transaction.
    private static let batchBytesMax = 32 << 20
    /// Days for which partitions are made ahead.
    private static let partitionDays: Int64 = 14
    /// A statement of the shipper may take this long; a server that is frozen meanwhile is noticed by it.
    private static let statementTimeout: Duration = .seconds(30)
    /// After this silence the server is asked for a sign of life before anything larger [nanoseconds], and how long that
    /// sign may take.
    private static let silenceNanosecondsMax: UInt64 = 1_000_000_000
    private static let signTimeout: Duration = .seconds(3)
    /// Unshippable entries that memory shows after a restart.
    private static let restoredMax = 1_000

    init(_ shipper: Shipper, url: String) {
        self.shipper = shipper
        var configuration = PostgresConfiguration(connectionString: url, applicationName: "decisiond shipper")
        configuration.statementTimeout = Self.statementTimeout
        configuration.connectTimeout = .seconds(3)
        connection = PostgresConnection(configuration)
        reader = shipper.journal.makeReader()
        machine = ShipMachine(batchFramesMax: shipper.configuration.shipBatchFramesMax)
        pace = ShipPace(lagMicrosMax: Int64(shipper.configuration.shipGiveWaySeconds) * 1_000_000)
    }

    /// Ships until the shipper stops.
    func run() {
        while true {
            do throws(PostgresError) {
                // Read before the applied position: what is durable by then is shipped before the end.
                let isStopping = shipper.isStopping
                if connection.isConnected, machine.isSettled { try askForSign() }
                let applied = shipper.state.appliedSeq.load(ordering: .acquiring)
                let step = machine.step(
                    isConnected: connection.isConnected, isStopping: isStopping, appliedSeq: applied)
                switch step {
                case .settle: try settle()
                case .ship(let order):
                    let started = Threads.monotonicNanoseconds()
                    try ship(order, applied: applied)
                    pace.shipped(inNanoseconds: Threads.monotonicNanoseconds() - started)
                    giveWay()
                case .idle:
                    shipper.covered(untilMicros: shipper.clock.now())
                    // What the journal did not take before.
                    try resolveOutcomes()
                    shipper.idle(milliseconds: shipper.configuration.shipIntervalMilliseconds)
                case .standStill: shipper.pause(milliseconds: ShipBackoff.stoppedMilliseconds)
                case .end:
                    connection.close()
                    return
                }
            } catch {
                recover(from: error)
                if shipper.isStopping { return connection.close() }
            }
        }
    }

    /// Leaves the machine to decisions for a while.
    private func giveWay() {
        while !shipper.isStopping,
            pace.givesWay(
                decisions: shipper.state.decisionsApplied.load(ordering: .relaxed),
                nowNanoseconds: Threads.monotonicNanoseconds(), lagMicros: shipper.lagMicros(at: shipper.clock.now()),
                isWaitedFor: shipper.waits.count > 0)
        {
            shipper.pause(milliseconds: ShipPace.sliceMilliseconds)
        }
    }

    /// An idle connection says nothing when its server goes away, and a frozen one nothing at all.
    private func askForSign() throws(PostgresError) {
        let now = Threads.monotonicNanoseconds()
        guard now - lastAnswerNanoseconds > Self.silenceNanosecondsMax else { return }
        if shipper.unshippableCount > 0 {
            try countUnshippable(until: .after(Self.signTimeout))
        } else {
            try connection.query("SELECT 1", [], until: .after(Self.signTimeout))
        }
        try ensurePartitions(from: nil)
        answered()
    }

    private func answered() { lastAnswerNanoseconds = Threads.monotonicNanoseconds() }

    /// What follows an error; the next turn goes on from the settled position.
    private func recover(from error: PostgresError) {
        shipper.observe(.failed(code: error.sqlState?.description ?? error.code))
        switch machine.failed(error, using: &generator) {
        case .again: partitionsDay = .min
        case .reconnect(let pauseMilliseconds, let isStuck):
            connection.close()
            shipper.tell(isStuck ? ShipTrouble(error) : nil)
            // A server that refuses a statement answers; one that refuses the connection does not.
            var isAnswering = false
            if case .server = error { isAnswering = shipper.isConnected }
            shipper.isUp(isStuck && isAnswering)
            shipper.pause(milliseconds: pauseMilliseconds)
        }
    }

    private var journalUUID: UInt128 {
        UInt128(shipper.journal.journalID.high) << 64 | UInt128(shipper.journal.journalID.low)
    }

    // MARK: Connecting

    /// Connects, migrates, and reads the settled position: that resolves a COMMIT whose answer was lost.
    private func settle() throws(PostgresError) {
        if !connection.isConnected {
            try connection.connect(until: .after(.seconds(3)))
            do throws(MigrationError) {
                _ = try Migrator().migrate(connection)
            } catch {
                switch error {
                case .postgres(let cause), .failed(_, _, let cause): throw cause
                default: throw PostgresError.unexpectedResult(message: "the schema is not this binary's: \(error)")
                }
            }
            try connection.execute("SELECT decisiond.ship_stage()")
            partitionsDay = .min
        }
        try ensurePartitions(from: nil)
        let rows = try connection.query("SELECT decisiond.ship_position($1)", [.uuid(journalUUID)])
        let position = UInt64(try (rows.rowCount == 1 ? rows.int64(0, 0) : nil) ?? 1)
        let isOurs = try isOurPast(position)
        shipper.databaseIsAhead(!isOurs)
        try countUnshippable(until: nil)
        if isOurs, machine.isFirstSettlement { try restoreUnshippable() }
        if let lost = machine.settled(at: position, isOurs: isOurs) { rewind(lost) }
        if isOurs {
            shipper.finished(through: position - 1)
            try resolveOutcomes()
        }
        shipper.isUp(true)
        answered()
    }

    /// Whether the frame before the stored position is the one in this journal. Another one, or none, means that the data
    /// directory was put back to an older state: its frames would take numbers that PostgreSQL has already.
    private func isOurPast(_ position: UInt64) throws(PostgresError) -> Bool {
        if position > shipper.journal.durableSeq + 1 { return false }
        let rows = try connection.query(
            "SELECT last_fingerprint FROM decisiond.ship_state WHERE journal_id = $1", [.uuid(journalUUID)])
        guard position > 1, rows.rowCount == 1, let stored = try rows.int64(0, 0) else { return true }
        var own: Int64?
        do throws(JournalError) {
            _ = try reader.read(from: position - 1, maxFrames: 1, maxBytes: Self.batchBytesMax) { frame in
                own = Self.fingerprint(frame.type, frame.payload)
            }
        } catch {
            // Recycled after it was shipped, so it was ours.
            guard error.code == .segmentRemoved else { throw Self.unreadable(error) }
            return true
        }
        return own == stored
    }

    private static func fingerprint(_ type: UInt8, _ payload: UnsafeRawBufferPointer) -> Int64 {
        var hash = SHA256()
        hash.update(data: [type])
        hash.update(bufferPointer: payload)
        return hash.finalize().prefix(8).reduce(0) { $0 << 8 | Int64($1) }
    }

    private static func unreadable(_ error: JournalError) -> PostgresError {
        .unexpectedResult(message: "the journal cannot be read: \(error.code.rawValue)")
    }

    /// After a failover that lost commits, records that had left memory are readable from the journal again.
    private func rewind(_ range: ClosedRange<UInt64>) {
        shipper.observe(.rewound(frames: range.count))
        var lost: [(id: RecordID, position: JournalPosition, seq: UInt64)] = []
        var outcomes: [(frame: OutcomeFrame, seq: UInt64)] = []
        var seq = range.lowerBound
        do throws(JournalError) {
            while seq <= range.upperBound {
                let progress = try reader.read(
                    from: seq, maxFrames: Int(range.upperBound - seq) + 1, maxBytes: Self.batchBytesMax
                ) { frame in
                    switch FrameType(rawValue: frame.type) {
                    case .decision:
                        guard let decision = try? DecisionFrame.decode(frame.payload) else { return }
                        lost.append((decision.id, frame.position, frame.seq))
                    case .outcome:
                        guard let outcome = try? OutcomeFrame.decode(frame.payload) else { return }
                        outcomes.append((outcome, frame.seq))
                    default: return
                    }
                }
                if progress.frames == 0 { break }
                seq = progress.nextSeq
            }
        } catch {
            // Shipping reads the same frames next and tells.
            shipper.observe(.failed(code: error.code.rawValue))
        }
        shipper.state.records.restore(lost, outcomes)
    }

    private func ensurePartitions(from oldestMicros: Int64?) throws(PostgresError) {
        let day = shipper.clock.now() / 86_400_000_000
        if oldestMicros == nil && day == partitionsDay { return }
        try connection.query(
            "SELECT decisiond.ensure_partitions($1::int, $2)", [.int64(Self.partitionDays), .int64(oldestMicros)])
        partitionsDay = day
    }

    // MARK: Refused rows

    private func countUnshippable(until deadline: PostgresDeadline?) throws(PostgresError) {
        let rows = try connection.query(
            """
            SELECT count(*) FROM decisiond.quarantine
            WHERE class = 'unshippable' AND state = 'open' AND journal_id = $1
            """, [.uuid(journalUUID)], until: deadline)
        shipper.unshippable(Int(try rows.int64(0, 0) ?? 0))
    }

    /// Shows open entries of an earlier life in memory's quarantine, where those of this one are.
    private func restoreUnshippable() throws(PostgresError) {
        guard shipper.unshippableCount > 0 else { return }
        let rows = try connection.query(
            """
            SELECT key, code, message, contract, source, id, octet_length(raw),
                substr(raw, 1, \(ServiceLimits.quarantineRawBytesMax)), first_seen_us, seq, principal
            FROM decisiond.quarantine
            WHERE class = 'unshippable' AND state = 'open' AND journal_id = $1 ORDER BY seq DESC LIMIT \(Self.restoredMax)
            """, [.uuid(journalUUID)], format: .binary)
        for row in (0..<rows.rowCount).reversed() {
            let frame = QuarantineFrame(
                key: try rows.bytes(row, 0) ?? [], ingestMicros: try rows.int64(row, 8) ?? 0,
                violationClass: ShipTransaction.violationClass, code: try rows.string(row, 1) ?? "", pointer: "",
                message: try rows.string(row, 2) ?? "", contract: try rows.string(row, 3),
                source: try rows.string(row, 4), id: try rows.string(row, 5),
                principal: try rows.string(row, 10) ?? "", rawSize: UInt32(try rows.int64(row, 6) ?? 0),
                raw: try rows.bytes(row, 7) ?? [])
            shipper.state.quarantine.show(frame, seq: UInt64(try rows.int64(row, 9) ?? 0))
        }
    }

    // MARK: Shipping

    private func ship(_ order: ShipMachine.Order, applied: UInt64) throws(PostgresError) {
        let started = Threads.monotonicNanoseconds()
        let startedMicros = shipper.clock.now()
        var batch = ShipBatch(journal: journalUUID, tables: shipper.spans(order.from))
        do throws(JournalError) {
            // Only what memory has applied: the batch is folded by memory's list of dimension values.
            _ = try reader.read(
                from: order.from, maxFrames: min(Int(applied - order.from) + 1, order.framesMax),
                maxBytes: Self.batchBytesMax
            ) { batch.add($0) }
        } catch {
            throw Self.unreadable(error)
        }
        guard batch.frames > 0 else { return }
        batch.foldRollups()
        if batch.oldestMicros != .max { shipper.covered(untilMicros: batch.oldestMicros) }
        if order.attempt.hasPartitions || order.attempt.isIsolating {
            try ensurePartitions(from: batch.oldestMicros == .max ? nil : batch.oldestMicros)
        }
        let refused = try transaction(batch, isIsolating: order.attempt.isIsolating).run(connection)
        machine.shipped(through: batch.lastSeq)
        shipper.tell(nil)
        answered()
        shipper.observe(
            .shipped(frames: batch.frames, nanoseconds: Int64(Threads.monotonicNanoseconds() - started)))
        shipper.observe(.events(runs: batch.ingestRuns, nowMicros: shipper.clock.now()))
        if batch.lastSeq == applied {
            shipper.covered(untilMicros: startedMicros)
        } else if batch.newestMicros != .min {
            shipper.covered(untilMicros: batch.newestMicros)
        }
        shipper.finished(through: batch.lastSeq)
        tell(of: refused)
        try resolveOutcomes()
    }

    private func resolveOutcomes() throws(PostgresError) {
        let resolver = OutcomeResolver(state: shipper.state, journal: shipper.journal, clock: shipper.clock)
        let unknown = try resolver.resolve(through: shipper.shippedSeq, connection)
        if unknown > 0 { shipper.observe(.unknownDecisions(outcomes: unknown)) }
    }

    private func transaction(_ batch: ShipBatch, isIsolating: Bool) -> ShipTransaction {
        let journal = shipper.journal
        var fingerprint: Int64?
        if let place = batch.lastPosition, let frame = try? journal.readFrame(at: place) {
            fingerprint = frame.payload.withUnsafeBytes { Self.fingerprint(frame.type, $0) }
        }
        let reader = shipper.journal.makeReader()
        return ShipTransaction(
            batch: batch, journal: journalUUID, fingerprint: fingerprint, nowMicros: shipper.clock.now(),
            isIsolating: isIsolating,
            frame: { seq in
                var found: (type: UInt8, payload: [UInt8])?
                _ = try? reader.read(from: seq, maxFrames: 1, maxBytes: Self.batchBytesMax) {
                    found = ($0.type, Array($0.payload))
                }
                return found
            })
    }

    private func tell(of refused: [UnshippableRow]) {
        for row in refused {
            shipper.observe(.unshippable(table: row.table, code: row.entry.code))
            // What was in quarantine before is shown there already.
            if row.table != "quarantine" { shipper.state.quarantine.show(row.entry, seq: row.seq) }
        }
        // An entry that was there already counts once; the next sign of life counts exactly.
        shipper.unshippable(shipper.unshippableCount + refused.count)
    }
}
