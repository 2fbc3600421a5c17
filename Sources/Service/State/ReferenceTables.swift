import JSON
import Synchronization

/// The rows of reference contracts, kept whole in memory: the last accepted event of a key wins by event time.
///
/// Filled only by the journal thread, in seq order; read by everybody who checks a reference or looks up a subject.
final class ReferenceTables: Sendable {
    struct Row: Sendable {
        let eventMicros: Int64
        let row: JSONTree
    }

    /// One table, in parts by the hash of the key: a part at a time is captured by a copy on write, so that no change
    /// ever waits for the copy of a whole table.
    struct Table: Sendable {
        var parts = [[String: Row]](repeating: [:], count: ReferenceTables.partCount)

        static func part(of key: String) -> Int {
            Int(UInt(bitPattern: key.hashValue) % UInt(ReferenceTables.partCount))
        }
    }

    static let partCount = 64

    let tables = Mutex<[String: Table]>([:])

    /// Whether the table has a row of this key. A table that no event ever filled has none.
    func contains(table: String, key: String) -> Bool {
        tables.withLock { $0[table]?.parts[Table.part(of: key)][key] != nil }
    }

    /// The row of this key.
    func row(table: String, key: String) -> JSONTree? {
        tables.withLock { $0[table]?.parts[Table.part(of: key)][key]?.row }
    }

    /// Number of rows.
    func count(table: String) -> Int {
        tables.withLock { $0[table]?.parts.reduce(0) { $0 + $1.count } ?? 0 }
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
            if let old {
                let part = Table.part(of: old.key)
                if tables[table]?.parts[part][old.key]?.eventMicros == old.eventMicros {
                    tables[table]?.parts[part][old.key] = nil
                }
            }
            if let new { Self.upsert(&tables, table, new.key, Row(eventMicros: new.eventMicros, row: new.row)) }
        }
    }

    private static func upsert(_ tables: inout [String: Table], _ table: String, _ key: String, _ row: Row) {
        let part = Table.part(of: key)
        if let known = tables[table]?.parts[part][key], known.eventMicros > row.eventMicros { return }
        tables[table, default: Table()].parts[part][key] = row
    }
}
