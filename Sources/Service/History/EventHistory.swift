import Features
import JSON
import Postgres

/// Which of an entity's stored events are wanted.
struct EventSpan {
    /// Event times (after, through] [microseconds].
    var after = Int64.min
    var through = Int64.max
    /// Highest journal position.
    var seqThrough: Int64
    /// Latest ingest time [microseconds].
    var ingestThrough = Int64.max
    /// At most this many, the latest by (time, source, id).
    var limit: Int
    /// Corrections up to this position end events.
    var correctionsThrough = Int64.max
}

/// Reads this journal's events from PostgreSQL as feature views see them. For one thread.
struct EventHistory {
    private let journal: UInt128
    private var row = EventRow()
    /// Whether any event of this journal was ever corrected.
    private var hasCorrections = true

    /// - Parameter journal: id of the journal whose events are wanted.
    init(journal: UInt128) {
        self.journal = journal
    }

    /// Every frame up to this position is in PostgreSQL.
    mutating func shippedThrough(
        _ connection: PostgresConnection, until deadline: PostgresDeadline? = nil
    ) throws(PostgresError) -> Int64 {
        let rows = try connection.query(Self.position, [.uuid(journal)], until: deadline)
        guard rows.rowCount == 1 else { return 0 }
        hasCorrections = try rows.boolean(0, 1) ?? true
        return try (rows.int64(0, 0) ?? 1) - 1
    }

    /// The latest events of one entity within a span, ascending by (time, source, id).
    mutating func events(
        of entity: String, _ view: FeatureViewDefinition, _ span: EventSpan, _ connection: PostgresConnection,
        until deadline: PostgresDeadline? = nil
    ) throws(PostgresError) -> [FeatureEvent] {
        var parameters: [PostgresParameter] = [
            .uuid(journal), .text(view.spec.contract), .int64(span.after), .int64(span.through),
            .int64(span.seqThrough), .int64(span.ingestThrough), .textArray(view.eventTypes), .int64(Int64(span.limit)),
        ]
        var types: [PostgresType] = [.uuid, .inferred, .int64, .int64, .int64, .int64, .textArray, .int64]
        var (conditions, shape) = ("", "")
        for part in view.keyParts(of: entity) {
            let place = Self.column(of: part.pointer)
            if let path = place.path {
                parameters.append(.textArray(path))
                types.append(.textArray)
                conditions += " AND (e.\(place.column) #>> $\(parameters.count)"
                parameters.append(.text(part.value))
                conditions += ") = $\(parameters.count)"
            } else {
                parameters.append(.text(part.value))
                conditions += " AND e.\(place.column) = $\(parameters.count)"
            }
            types.append(.inferred)
            shape += "_\(place.column)"
        }
        let statement = PostgresStatement(
            "history_entity\(shape)",
            """
            SELECT \(EventRow.columns) FROM decisiond.event e
            WHERE e.journal_id = $1 AND e.contract = $2 AND e.event_us > $3 AND e.event_us <= $4 AND e.seq <= $5
            AND e.ingest_us <= $6 AND e.retracts IS NOT TRUE AND (cardinality($7::text[]) = 0 OR e.type = ANY ($7))\(conditions)
            ORDER BY e.event_us DESC, e.source COLLATE "C" DESC, e.id COLLATE "C" DESC LIMIT $8
            """, types)
        let rows = try connection.query(statement, parameters, until: deadline)
        var events: [FeatureEvent] = []
        events.reserveCapacity(rows.rowCount)
        for index in (0..<rows.rowCount).reversed() {
            if let event = try row.event(rows, index, view) { events.append(event) }
        }
        if hasCorrections, !events.isEmpty { try end(&events, span, connection, deadline) }
        return events
    }

    /// Notes what corrected the events.
    private func end(
        _ events: inout [FeatureEvent], _ span: EventSpan, _ connection: PostgresConnection,
        _ deadline: PostgresDeadline?
    ) throws(PostgresError) {
        let rows = try connection.query(
            Self.corrections, [.uuid(journal), .int64Array(events.map(\.seq)), .int64(span.correctionsThrough)],
            until: deadline)
        var ends: [Int64: Supersession] = [:]
        for index in 0..<rows.rowCount {
            guard let old = try rows.int64(index, 0), let seq = try rows.int64(index, 1),
                let ingest = try rows.int64(index, 2)
            else { continue }
            ends[old] = Supersession(seq: seq, ingestTime: ingest)
        }
        for index in events.indices { events[index].superseded = ends[events[index].seq] }
    }

    /// A page of a contract's events, in the order of the journal, with positions (after, through].
    ///
    /// - Returns: what they mean for the view, and the position up to which the page goes.
    mutating func page(
        _ view: FeatureViewDefinition, after: Int64, through: Int64, limit: Int, _ connection: PostgresConnection
    ) throws(PostgresError) -> (changes: [ViewChange], through: Int64) {
        let rows = try connection.query(
            Self.pages,
            [.uuid(journal), .text(view.spec.contract), .int64(after), .int64(through), .int64(Int64(limit))])
        var corrected: [Int64] = []
        for index in 0..<rows.rowCount {
            if let seq = try rows.int64(index, EventRow.columnCount) { corrected.append(seq) }
        }
        let old = corrected.isEmpty ? [:] : try superseded(corrected, view, connection)
        var changes: [ViewChange] = []
        changes.reserveCapacity(rows.rowCount)
        for index in 0..<rows.rowCount {
            let isRetraction = try rows.boolean(index, EventRow.columnCount + 1) ?? false
            let event = isRetraction ? nil : try row.event(rows, index, view)
            guard let corrects = try rows.int64(index, EventRow.columnCount) else {
                if let event { changes.append(.event(event)) }
                continue
            }
            guard let seq = try rows.int64(index, 0), let ingest = try rows.int64(index, 1) else { continue }
            changes.append(
                .correction(old: old[corrects], by: Supersession(seq: seq, ingestTime: ingest), with: event))
        }
        guard rows.rowCount == limit else { return (changes, through) }
        return (changes, try rows.int64(rows.rowCount - 1, 0) ?? through)
    }

    /// Where the view has the events of these positions; those that it never took are left out.
    private mutating func superseded(
        _ seqs: [Int64], _ view: FeatureViewDefinition, _ connection: PostgresConnection
    ) throws(PostgresError) -> [Int64: SupersededEvent] {
        let rows = try connection.query(Self.originals, [.uuid(journal), .int64Array(seqs)])
        var found: [Int64: SupersededEvent] = [:]
        for index in 0..<rows.rowCount {
            guard let event = try row.event(rows, index, view) else { continue }
            found[event.seq] = SupersededEvent(entity: event.entity, time: event.time, seq: event.seq)
        }
        return found
    }

    /// Where a part of an entity's key stands in the table: a column of its own, or a path into a JSON column.
    private static func column(of pointer: JSONPointer) -> (column: String, path: [String]?) {
        switch pointer.tokens.first {
        case "subject" where pointer.tokens.count == 1: ("subject", nil)
        case "source" where pointer.tokens.count == 1: ("source", nil)
        case "data": ("data", Array(pointer.tokens.dropFirst()))
        default: ("extensions", pointer.tokens)
        }
    }

    private static let position = PostgresStatement(
        "history_position",
        """
        SELECT s.next_seq, EXISTS (
            SELECT FROM decisiond.event c WHERE c.journal_id = s.journal_id AND c.corrects_seq IS NOT NULL)
        FROM decisiond.ship_state s WHERE s.journal_id = $1
        """, [.uuid])
    private static let corrections = PostgresStatement(
        "history_corrections",
        """
        SELECT c.corrects_seq, c.seq, c.ingest_us FROM decisiond.event c
        WHERE c.journal_id = $1 AND c.corrects_seq = ANY ($2) AND c.seq <= $3
        """, [.uuid, .int64Array, .int64])
    private static let originals = PostgresStatement(
        "history_originals",
        """
        SELECT \(EventRow.columns) FROM decisiond.event e
        WHERE e.journal_id = $1 AND e.seq = ANY ($2) AND e.retracts IS NOT TRUE
        """, [.uuid, .int64Array])
    private static let pages = PostgresStatement(
        "history_page",
        """
        SELECT \(EventRow.columns), e.corrects_seq, e.retracts FROM decisiond.event e
        WHERE e.journal_id = $1 AND e.contract = $2 AND e.seq > $3 AND e.seq <= $4 ORDER BY e.seq LIMIT $5
        """, [.uuid, .inferred, .int64, .int64, .int64])
}

/// Turns a row of `decisiond.event` into the event as it came, so that the same code takes its values. The columns come
/// first in the row, in their order.
struct EventRow {
    static let columns = "e.seq, e.ingest_us, e.event_us, e.source, e.id, e.type, e.subject, e.data, e.extensions"
    static let columnCount = 9

    private let parser = JSONParser()
    private var writer = JSONWriter(capacity: 1024)

    /// The row as the view sees it; nil when it does not count there.
    mutating func event(
        _ rows: borrowing PostgresResult, _ index: Int, _ view: FeatureViewDefinition
    ) throws(PostgresError) -> FeatureEvent? {
        guard let seq = try rows.int64(index, 0), let ingest = try rows.int64(index, 1),
            let time = try rows.int64(index, 2), let source = try rows.string(index, 3),
            let id = try rows.string(index, 4), var type = try rows.string(index, 5)
        else { throw PostgresError.unexpectedResult(message: "an event row with a null") }
        write(source: source, id: id, type: type, time: time, subject: try rows.string(index, 6), rows, index)
        let result = writer.bytes.withUnsafeBytes { bytes -> FeatureEvent?? in
            guard let root = try? parser.parse(bytes) else { return nil }
            let entity = type.withUTF8 { view.entity(of: root, type: UnsafeRawBufferPointer($0)) }
            guard let entity else { return .some(nil) }
            return FeatureEvent(
                entity: entity, source: source, id: id, time: time, ingestTime: ingest, seq: seq,
                values: view.values(of: root))
        }
        guard let result else { throw PostgresError.unexpectedResult(message: "event \(seq) does not parse") }
        return result
    }

    /// Writes the event's JSON: its attributes, its data byte for byte, its extensions.
    private mutating func write(
        source: String, id: String, type: String, time: Int64, subject: String?, _ rows: borrowing PostgresResult,
        _ index: Int
    ) {
        writer.removeAll()
        writer.beginObject()
        for (key, text) in [("id", id), ("source", source), ("type", type)] {
            writer.key(key)
            writer.string(text)
        }
        if let subject {
            writer.key("subject")
            writer.string(subject)
        }
        writer.key("time")
        writer.timestamp(time)
        rows.withRaw(index, 7) { data in
            writer.key("data")
            writer.raw(data)
        }
        rows.withRaw(index, 8) { extensions in
            guard let tree = try? JSONTree(parsing: Array(extensions)), case .object(let members) = tree else { return }
            for member in members {
                writer.key(member.key)
                member.value.write(to: &writer)
            }
        }
        writer.endObject()
    }
}
