import Features
import JSON
import Postgres

/// The stored events of one view for all entities of a request, streamed in the order of the entities.
final class StoredHistory {
    let view: ViewEntry
    private let name: String
    private let connection: PostgresConnection
    private var row = EventRow()
    private var page: [(entity: [UInt8], event: FeatureEvent)] = []
    private var next = 0
    private var isAtEnd = false

    /// Opens the cursor, in the connection's transaction.
    ///
    /// - Parameters:
    ///   - number: tells this cursor from the others of the transaction.
    ///   - journal: id of the journal whose events count.
    ///   - position: journal position up to which they count.
    ///   - through: latest event time that anybody asks for [microseconds].
    init(
        _ view: ViewEntry, number: Int, journal: UInt128, position: Int64, through: Int64,
        _ connection: PostgresConnection
    ) throws(PostgresError) {
        self.view = view
        self.connection = connection
        name = "history_\(number)"
        let definition = view.definition
        let places = definition.keyPointers.enumerated().map { index, pointer in
            "\(EventSQL.text(at: pointer.tokens)) = t.part_\(index)"
        }
        try connection.query(
            """
            DECLARE \(name) NO SCROLL CURSOR FOR
            SELECT \(EventRow.columns), t.entity, c.seq, c.ingest_us
            FROM decisiond.event e JOIN pg_temp.historical_entity t ON \(places.joined(separator: " AND "))
            LEFT JOIN decisiond.event c ON c.journal_id = e.journal_id AND c.corrects_seq = e.seq AND c.seq <= $3
            WHERE e.journal_id = $1 AND e.contract = $2 AND e.seq <= $3 AND e.event_us <= $4
                AND e.retracts IS NOT TRUE AND (cardinality($5::text[]) = 0 OR e.type = ANY ($5))
            ORDER BY t.entity COLLATE "C"
            """,
            [
                .uuid(journal), .text(definition.spec.contract), .int64(position), .int64(through),
                .textArray(definition.eventTypes),
            ])
    }

    /// Hands on every event of an entity. Entities must be asked for in the order of their bytes.
    func events(of entity: [UInt8], _ body: (FeatureEvent) -> Void) throws(PostgresError) {
        while true {
            if next == page.count {
                if isAtEnd { return }
                try fetch()
                continue
            }
            guard page[next].entity == entity else { return }
            body(page[next].event)
            next += 1
        }
    }

    private func fetch() throws(PostgresError) {
        page.removeAll(keepingCapacity: true)
        next = 0
        let rows = try connection.query("FETCH \(ServiceLimits.trainingBatchRows) FROM \(name)", [])
        isAtEnd = rows.rowCount < ServiceLimits.trainingBatchRows
        for index in 0..<rows.rowCount {
            guard let entity = rows.withRaw(index, EventRow.columnCount, { Array($0) }),
                var event = try row.event(rows, index, view.definition)
            else { continue }
            if let seq = try rows.int64(index, EventRow.columnCount + 1),
                let ingest = try rows.int64(index, EventRow.columnCount + 2)
            {
                event.superseded = Supersession(seq: seq, ingestTime: ingest)
            }
            page.append((entity, event))
        }
    }
}

extension FeatureViewDefinition {
    /// Names of the parts of the entity's key, as requests spell them.
    var keyNames: [String] { spec.entityParts.map(\.name) }
    /// Where the parts lie in an event.
    var keyPointers: [JSONPointer] { entityPointers }

    /// The key as memory knows it.
    func key(of parts: [String]) -> String { parts.count == 1 ? parts[0] : EntityKey.encode(parts) }
}
