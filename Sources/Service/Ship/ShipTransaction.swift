import Crypto
import JSON
import Journal
import Postgres

/// A row that PostgreSQL refuses for good, kept in quarantine instead.
struct UnshippableRow: Sendable {
    /// Table that refused it.
    let table: String
    /// Position of its frame; for a rollup row, of the batch's last frame.
    let seq: UInt64
    /// The quarantine entry.
    let entry: QuarantineFrame
    /// The whole frame, or the row as it was written where no frame is its own.
    let raw: [UInt8]
}

/// One shipped transaction: the position moves, the rows are stored, and entries of quarantine are closed, together or not
/// at all. Nothing that shipping does to PostgreSQL happens outside of one, so that a failover takes all of it back alike.
struct ShipTransaction {
    /// A table of the batch.
    private struct Table {
        let target: CopyTarget
        let rows: CopyTextWriter
        /// The column that holds the frame's seq; nil when rows are not of one frame.
        let seqColumn: Int?
        /// What follows the COPY: a merge of the staged rows, or the look-up of decisions.
        var merge: String?
        var resolvesDecisions = false
    }

    let batch: ShipBatch
    let journal: UInt128
    /// Of the last frame.
    let fingerprint: Int64?
    let nowMicros: Int64
    /// Whether refused rows are looked for one by one and taken out.
    let isIsolating: Bool
    /// Reads a frame again, whole; nil when it cannot be read.
    let frame: (UInt64) -> (type: UInt8, payload: [UInt8])?

    /// Runs it.
    ///
    /// - Returns: rows that were taken out; none unless isolating.
    func run(_ connection: PostgresConnection) throws(PostgresError) -> [UnshippableRow] {
        // A server that does not even answer this is frozen; better to know before the rows are sent.
        try connection.begin(until: .after(Self.beginTimeout))
        let refused: [UnshippableRow]
        do {
            refused = try storeAll(connection)
        } catch {
            connection.rollback()
            throw error
        }
        try connection.commit()
        return refused
    }

    /// How long BEGIN may take.
    static let beginTimeout: Duration = .seconds(3)

    private func storeAll(_ connection: PostgresConnection) throws(PostgresError) -> [UnshippableRow] {
        // What would be refused at COMMIT is refused where the row is known.
        if isIsolating { try connection.execute("SET CONSTRAINTS ALL IMMEDIATE") }
        try connection.query(
            "SELECT decisiond.ship_advance($1, $2, $3, NULL, $4)",
            [.uuid(journal), .int64(Int64(batch.firstSeq)), .int64(Int64(batch.lastSeq)), .int64(fingerprint)])
        var refused: [UnshippableRow] = []
        for table in tables { refused += try store(table, connection) }
        try quarantineUnknown(connection)
        try closeQuarantine(connection)
        for (seq, key) in batch.keys {
            if let row = try store(key, seq, connection) { refused.append(row) }
        }
        for (seq, activation) in batch.activations {
            if let row = try store(activation, seq, connection) { refused.append(row) }
        }
        for (seq, stage) in batch.stages {
            if let row = try store(stage, seq, connection) { refused.append(row) }
        }
        for row in refused { try quarantine(row, connection) }
        return refused
    }

    private var tables: [Table] {
        [
            Table(target: ShipBatch.eventTarget, rows: batch.events, seqColumn: 1),
            Table(target: ShipBatch.correctionTarget, rows: batch.corrections, seqColumn: 1),
            Table(target: ShipBatch.decisionTarget, rows: batch.decisions, seqColumn: 1),
            Table(target: ShipBatch.outcomeTarget, rows: batch.outcomes, seqColumn: 1, resolvesDecisions: true),
            Table(target: ShipBatch.accessTarget, rows: batch.access, seqColumn: 1),
            Table(
                target: ShipBatch.quarantineTarget, rows: batch.quarantine, seqColumn: 14,
                merge: "quarantine_merge"),
            Table(target: ShipBatch.rollupTarget, rows: batch.rollups, seqColumn: nil, merge: "rollup_merge"),
        ]
    }

    private func store(_ table: Table, _ connection: PostgresConnection) throws(PostgresError) -> [UnshippableRow] {
        let all = 0..<table.rows.rowCount
        if all.isEmpty { return [] }
        if !isIsolating {
            try put(table, all, connection)
            return []
        }
        let poison = try connection.isolatingPoison(in: all) { part throws(PostgresError) in
            try put(table, part, connection)
            // The next part must not merge these again.
            if table.merge != nil { try connection.execute("DELETE FROM pg_temp.\(table.target.table)") }
        }
        return poison.map { unshippable($0, table) }
    }

    private func put(_ table: Table, _ part: Range<Int>, _ connection: PostgresConnection) throws(PostgresError) {
        try connection.copyIn(into: table.target, rows: table.rows, range: part)
        if let merge = table.merge { try connection.query("SELECT decisiond.\(merge)()", []) }
        guard table.resolvesDecisions else { return }
        try connection.query(
            """
            UPDATE decisiond.outcome o SET decision = d.decision, decided_us = d.decided_us
            FROM decisiond.decision_record d
            WHERE d.id = o.decision_id AND o.journal_id = $1 AND o.seq BETWEEN $2 AND $3
            """,
            [
                .uuid(journal), .int64(Int64(seq(table, part.lowerBound))),
                .int64(Int64(seq(table, part.upperBound - 1))),
            ])
    }

    private func seq(_ table: Table, _ row: Int) -> UInt64 {
        table.seqColumn.flatMap { table.rows.written(row: row, column: $0) }.flatMap { UInt64($0) } ?? batch.lastSeq
    }

    private func closeQuarantine(_ connection: PostgresConnection) throws(PostgresError) {
        guard batch.events.rowCount + batch.corrections.rowCount > 0 else { return }
        let open = try connection.query(
            "SELECT EXISTS (SELECT 1 FROM decisiond.quarantine WHERE state = 'open' AND source IS NOT NULL)", [])
        guard try open.boolean(0, 0) == true else { return }
        try connection.query(
            "SELECT decisiond.quarantine_close_range($1, $2, $3, $4, $5, $6, 'accepted')",
            [
                .uuid(journal), .int64(Int64(batch.firstSeq)), .int64(Int64(batch.lastSeq)),
                .int64(batch.oldestMicros), .int64(batch.newestMicros), .int64(nowMicros),
            ])
    }

    private func store(
        _ key: KeyFrame, _ seq: UInt64, _ connection: PostgresConnection
    ) throws(PostgresError) -> UnshippableRow? {
        func insert(_ key: KeyFrame) throws(PostgresError) {
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
        if !isIsolating {
            try insert(key)
            return nil
        }
        let poison = try connection.isolatingPoison(in: 0..<1) { _ throws(PostgresError) in try insert(key) }
        // The frame holds the hash of a secret, so only the key's id is kept.
        return poison.first.map { unshippable($0.error, table: "api_key", seq: seq, raw: Array(key.id.utf8)) }
    }
}

// MARK: Refused rows

extension ShipTransaction {
    private func unshippable(_ poison: PoisonRow, _ table: Table) -> UnshippableRow {
        let seq = seq(table, poison.row)
        guard table.seqColumn != nil, let frame = frame(seq) else {
            let bytes = table.rows.bytes[table.rows.byteRange(ofRows: poison.row..<(poison.row + 1))]
            return unshippable(poison.error, table: table.target.table, seq: seq, raw: Array(bytes))
        }
        var row = unshippable(poison.error, table: table.target.table, seq: seq, raw: frame.payload)
        row = UnshippableRow(
            table: row.table, seq: row.seq, entry: Self.named(row.entry, frame.type, frame.payload), raw: row.raw)
        return row
    }

    func unshippable(
        _ error: PostgresServerError, table: String, seq: UInt64, raw: [UInt8]
    ) -> UnshippableRow {
        let name = table.hasSuffix("_stage") ? String(table.dropLast("_stage".utf8.count)) : table
        let object = error.constraint.map { " (constraint \($0))" } ?? error.column.map { " (column \($0))" } ?? ""
        let entry = QuarantineFrame(
            key: [UInt8](SHA256.hash(data: raw)), ingestMicros: nowMicros, violationClass: Self.violationClass,
            code: "sqlstate_\(error.sqlState.description.lowercased())", pointer: "",
            message: "PostgreSQL refused the row of \(name)\(object): \(error.message). "
                + "The journal and memory keep it, and features, measures and decisions count it; the table does not.",
            principal: "decisiond", rawSize: UInt32(clamping: raw.count),
            raw: [UInt8](raw.prefix(ServiceLimits.quarantineRawBytesMax)))
        return UnshippableRow(table: name, seq: seq, entry: entry, raw: raw)
    }

    /// The class of quarantine entries that shipping makes.
    static let violationClass = "unshippable"

    /// The entry with the identity of what the frame holds.
    private static func named(_ entry: QuarantineFrame, _ type: UInt8, _ payload: [UInt8]) -> QuarantineFrame {
        var entry = entry
        payload.withUnsafeBytes { bytes in
            switch FrameType(rawValue: type) {
            case .event:
                guard let event = try? EventFrame.decode(bytes) else { return }
                entry.name(event)
            case .correction:
                guard let correction = try? CorrectionFrame.decode(bytes) else { return }
                entry.name(correction.event)
            case .decision:
                guard let decision = try? DecisionFrame.decode(bytes) else { return }
                (entry.source, entry.id) = ("decisiond", decision.id.text)
            case .outcome:
                guard let outcome = try? OutcomeFrame.decode(bytes) else { return }
                (entry.source, entry.id) = ("decisiond", outcome.id.text)
            default: return
            }
        }
        return entry
    }

    /// Stores the entry of a refused row; without names when PostgreSQL refuses those, too.
    private func quarantine(_ row: UnshippableRow, _ connection: PostgresConnection) throws(PostgresError) {
        if let source = row.entry.source, let id = row.entry.id, row.table == "event" {
            // The event was accepted, as much as one that was stored.
            _ = try connection.isolatingPoison(in: 0..<1) { _ throws(PostgresError) in
                try connection.query(
                    "SELECT decisiond.quarantine_close($1, $2, $3, 'accepted')",
                    [.textArray([source]), .textArray([id]), .int64(nowMicros)])
            }
        }
        let poison = try connection.isolatingPoison(in: 0..<1) { _ throws(PostgresError) in
            try insert(row, row.entry, connection)
        }
        if poison.isEmpty { return }
        var bare = row.entry
        (bare.contract, bare.source, bare.id) = (nil, nil, nil)
        try insert(row, bare, connection)
    }

    private func insert(
        _ row: UnshippableRow, _ entry: QuarantineFrame, _ connection: PostgresConnection
    ) throws(PostgresError) {
        try insert(entry, raw: row.raw, seq: row.seq, connection)
    }

    /// Inserts an entry with all of its bytes.
    func insert(
        _ entry: QuarantineFrame, raw: [UInt8], seq: UInt64, _ connection: PostgresConnection
    ) throws(PostgresError) {
        var writer = CopyTextWriter()
        ShipBatch.write(entry, raw: raw, journal: journal, seq: seq, into: &writer)
        try connection.copyIn(into: ShipBatch.quarantineTarget, rows: writer)
        try connection.query("SELECT decisiond.quarantine_merge()", [])
        try connection.execute("DELETE FROM pg_temp.quarantine_stage")
    }
}

extension QuarantineFrame {
    /// Takes the event's identity.
    fileprivate mutating func name(_ event: EventFrame) {
        contract = String(decoding: event.contract, as: UTF8.self)
        source = String(decoding: event.source, as: UTF8.self)
        id = String(decoding: event.id, as: UTF8.self)
    }
}
