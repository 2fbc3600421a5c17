import JSON
import Synchronization

/// The rows of reference contracts, kept whole in memory: the last accepted event of a key wins by event time.
///
/// Filled only by the journal thread, in seq order; read by everybody who checks a reference or looks up a subject.
final class ReferenceTables: Sendable {
    private struct Row: Sendable {
        let eventMicros: Int64
        let row: JSONTree
    }

    private let tables = Mutex<[String: [String: Row]]>([:])

    /// Whether the table has a row of this key. A table that no event ever filled has none.
    func contains(table: String, key: String) -> Bool {
        tables.withLock { $0[table]?[key] != nil }
    }

    /// The row of this key.
    func row(table: String, key: String) -> JSONTree? {
        tables.withLock { $0[table]?[key]?.row }
    }

    /// Number of rows.
    func count(table: String) -> Int {
        tables.withLock { $0[table]?.count ?? 0 }
    }

    /// Takes a row; an event older than the row's is ignored.
    func upsert(table: String, key: String, row: JSONTree, eventMicros: Int64) {
        tables.withLock { Self.upsert(&$0, table, key, Row(eventMicros: eventMicros, row: row)) }
    }

    /// Takes back the row that a superseded event brought, unless a later event has replaced it, and takes the row that
    /// stands in its place.
    func correct(
        table: String, removing old: (key: String, eventMicros: Int64)?,
        adding new: (key: String, row: JSONTree, eventMicros: Int64)?
    ) {
        tables.withLock { tables in
            if let old, let known = tables[table]?[old.key], known.eventMicros == old.eventMicros {
                tables[table]?[old.key] = nil
            }
            if let new { Self.upsert(&tables, table, new.key, Row(eventMicros: new.eventMicros, row: new.row)) }
        }
    }

    private static func upsert(_ tables: inout [String: [String: Row]], _ table: String, _ key: String, _ row: Row) {
        if let known = tables[table]?[key], known.eventMicros > row.eventMicros { return }
        tables[table, default: [:]][key] = row
    }
}
