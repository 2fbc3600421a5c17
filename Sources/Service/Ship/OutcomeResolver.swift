import Journal
import Postgres

extension ShipTransaction {
    /// Takes out the outcomes whose decision was not known when they were accepted and is not in PostgreSQL either, the
    /// decisions of this transaction included: they go to quarantine.
    func quarantineUnknown(_ connection: PostgresConnection) throws(PostgresError) {
        for (seq, outcome) in batch.unresolved {
            let gone = try connection.query(
                """
                DELETE FROM decisiond.outcome
                WHERE journal_id = $1 AND seq = $2 AND ingest_us = $3 AND decision IS NULL RETURNING seq
                """,
                [.uuid(journal), .int64(Int64(seq)), .int64(outcome.atMicros)])
            if gone.rowCount == 0 { continue }
            try insert(outcome.quarantineEntry(atMicros: nowMicros), raw: outcome.body, seq: seq, connection)
        }
    }
}

/// Journals what became of outcomes that were accepted while nobody could say whether their decision exists.
///
/// The ship transaction has decided it: such an outcome stands in PostgreSQL with its decision, or it is in quarantine.
/// This reads which, and writes it down as a frame; memory and measures follow that frame alone, live, after a restart and
/// when it is shipped itself. A process that ends between the two finds the outcome waiting still, and reads the same.
struct OutcomeResolver {
    let state: ServiceState
    let journal: ServiceJournal
    let clock: WallClock

    /// Outcomes resolved in one go.
    static let batchMax = 256

    /// Resolves what waits among the frames through `seq`, which PostgreSQL has.
    ///
    /// - Returns: outcomes of unknown decisions; what the journal does not take now waits on.
    func resolve(through seq: UInt64, _ connection: PostgresConnection) throws(PostgresError) -> Int {
        var unknown = 0
        while true {
            let waiting = state.records.unresolved(through: seq, limit: Self.batchMax)
            if waiting.isEmpty { return unknown }
            var payloads: [[UInt8]] = []
            var unknownHere = 0
            for (seq, outcome) in waiting {
                let decision = try decision(of: outcome, seq, connection)
                if decision == nil { unknownHere += 1 }
                var writer = ByteWriter()
                OutcomeVerdictFrame(
                    outcomeSeq: seq, atMicros: clock.now(), decision: decision, outcome: outcome
                ).encode(into: &writer)
                payloads.append(writer.bytes)
            }
            let batch = FrameBatch(capacity: payloads.reduce(64) { $0 + $1.count + 64 })
            for payload in payloads { batch.add(type: FrameType.outcomeVerdict.rawValue, payload: payload) }
            do throws(Problem) {
                _ = try BlockingAck().append(batch, to: journal)
            } catch {
                return unknown
            }
            unknown += unknownHere
        }
    }

    /// The decision that the ship transaction found; nil when it put the outcome into quarantine. A row that PostgreSQL
    /// refused for another reason is in neither place, and its decision is looked up.
    private func decision(
        of outcome: OutcomeFrame, _ seq: UInt64, _ connection: PostgresConnection
    ) throws(PostgresError) -> DecisionReference? {
        let rows = try connection.query(
            Self.statement,
            [
                .bytes(outcome.quarantineKey), .uuid(journal.uuid), .int64(Int64(seq)), .int64(outcome.atMicros),
                .uuid(outcome.decisionID.uint128),
            ])
        guard try rows.boolean(0, 0) != true, let name = try rows.string(0, 1), let decided = try rows.int64(0, 2)
        else { return nil }
        return DecisionReference(
            decision: name, version: UInt32(clamping: try rows.int64(0, 3) ?? 0), decidedMicros: decided,
            entity: try rows.string(0, 4) ?? "")
    }

    /// One row: whether it is in quarantine, the decision's name, time, version and entity.
    private static let statement = PostgresStatement(
        "outcome_verdict",
        """
        SELECT q.key IS NOT NULL, coalesce(o.decision, d.decision), coalesce(o.decided_us, d.decided_us),
            d.version::bigint, d.entity
        FROM (SELECT) one
        LEFT JOIN decisiond.quarantine q ON q.key = $1 AND q.code = 'unknown_decision'
        LEFT JOIN LATERAL (
            SELECT decision, decided_us FROM decisiond.outcome WHERE journal_id = $2 AND seq = $3 AND ingest_us = $4
        ) o ON true
        LEFT JOIN LATERAL (
            SELECT decision, version, decided_us, entity FROM decisiond.decision_record WHERE id = $5
            ORDER BY seq LIMIT 1
        ) d ON true
        """, [.bytes, .uuid, .int64, .int64, .uuid])
}
