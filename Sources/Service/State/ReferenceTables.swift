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
        tables.withLock { tables in
            if let known = tables[table]?[key], known.eventMicros > eventMicros { return }
            tables[table, default: [:]][key] = Row(eventMicros: eventMicros, row: row)
        }
    }
}
