import JSON
import Journal

extension QuarantineTable {
    /// Everything held; a copy on write.
    func capture() -> State { state.withLock { $0 } }

    /// Writes what was captured: totals first, then entries, oldest first.
    static func encode<Store>(_ state: State, into sink: PartSink<Store>) throws(StorageError) {
        try sink.record { writer in
            writer.integer(Int64(state.total))
            writer.integer(Int64(state.dropped))
        }
        try sink.flush()
        for key in state.order {
            guard let entry = state.entries[key] else { continue }
            try sink.record { writer in
                writer.nested { entry.frame.encode(into: &$0) }
                writer.integer(entry.seq)
                writer.integer(Int64(entry.count))
                writer.integer(entry.lastMicros)
                writer.integer(UInt8(entry.isOpen ? 1 : 0))
            }
        }
    }

    /// Reads the totals back.
    func restoreTotals(_ reader: inout ByteReader) throws(FrameError) {
        let (total, dropped) = (try reader.number("quarantine totals"), try reader.number("quarantine totals"))
        state.withLock { state in
            state.total = total
            state.dropped = dropped
        }
    }

    /// Reads one entry back. What no longer fits, because the limit was lowered, leaves memory as usual.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let frame = try QuarantineFrame.decode(reader.blob("saved quarantine entry"))
        let entry = QuarantineEntry(
            frame: frame, seq: try reader.integer(UInt64.self, "saved quarantine entry"),
            count: try reader.number("saved quarantine entry"),
            lastMicros: try reader.integer(Int64.self, "saved quarantine entry"),
            isOpen: try reader.integer(UInt8.self, "saved quarantine entry") != 0)
        restore(entry)
    }
}

extension RecordIndex {
    /// Everything held; a copy on write.
    func capture() -> State { state.withLock { $0 } }

    private enum Record {
        static let record: UInt8 = 0
        static let outcome: UInt8 = 1
        /// An outcome that waits for its verdict, shipped or not.
        static let unresolved: UInt8 = 2
    }

    /// Writes what was captured: records with their positions, then outcomes, then those that wait for their verdict.
    static func encode<Store>(_ state: State, into sink: PartSink<Store>) throws(StorageError) {
        for entry in state.order[state.head...] {
            guard let position = state.records[entry.id] else { continue }
            try sink.record { writer in
                writer.integer(Record.record)
                writer.integer(entry.seq)
                writer.recordID(entry.id)
                writer.position(position)
            }
        }
        for (seq, id) in state.outcomeOrder {
            guard let outcome = state.outcomes[id]?.first(where: { $0.seq == seq }) else { continue }
            try sink.record { writer in
                writer.integer(Record.outcome)
                writer.integer(seq)
                writer.nested { outcome.frame.encode(into: &$0) }
            }
        }
        for (seq, outcome) in state.unresolved.sorted(by: { $0.key < $1.key }) {
            try sink.record { writer in
                writer.integer(Record.unresolved)
                writer.integer(seq)
                writer.nested { outcome.encode(into: &$0) }
            }
        }
    }

    /// Reads one record's position, or one outcome, back.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let kind = try reader.integer(UInt8.self, "saved record")
        let seq = try reader.integer(UInt64.self, "saved record")
        switch kind {
        case Record.record:
            add(try reader.recordID("saved record"), at: try reader.position("saved record"), seq: seq)
        // One that the database has taken back may have had its verdict: only what says so waits for one.
        case Record.outcome: list(try OutcomeFrame.decode(reader.blob("saved outcome")), seq: seq)
        case Record.unresolved: addUnresolved(try OutcomeFrame.decode(reader.blob("saved outcome")), seq: seq)
        default: throw FrameError(what: "saved record")
        }
    }
}

extension IdempotencyTable {
    /// Everything held; a copy on write.
    func capture() -> State { state.withLock { $0 } }

    /// Writes the claims whose effect is durable, oldest first. A claim in flight is not: its request has no answer yet.
    static func encode<Store>(_ state: State, into sink: PartSink<Store>) throws(StorageError) {
        for item in state.order[state.head...] {
            // A key stands in the order once when it was claimed and once when its effect was durable.
            guard let entry = state.entries[item.key], let effect = entry.effect, entry.atMicros == item.atMicros else {
                continue
            }
            try sink.record { writer in
                writer.integer(item.key.high)
                writer.integer(item.key.low)
                writer.integer(entry.payload)
                writer.position(effect.position)
                writer.recordID(effect.id)
                writer.integer(entry.atMicros)
            }
        }
    }

    /// Reads one claim back.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let key = Hash128(
            high: try reader.integer(UInt64.self, "saved claim"), low: try reader.integer(UInt64.self, "saved claim"))
        let claim = IdempotencyClaim(key: key, payload: try reader.integer(UInt64.self, "saved claim"))
        let effect = DurableEffect(
            position: try reader.position("saved claim"), id: try reader.recordID("saved claim"))
        complete(claim, effect, atMicros: try reader.integer(Int64.self, "saved claim"))
    }
}

extension ReferenceTables {
    /// Every table; copies on write, a part at a time.
    func capture() -> [String: Table] { tables.withLock { $0 } }

    /// Writes captured tables.
    static func encode<Store>(_ tables: [String: Table], into sink: PartSink<Store>) throws(StorageError) {
        for (table, rows) in tables {
            for (key, row) in rows.parts.joined() {
                try sink.record { writer in
                    writer.text(table)
                    writer.text(key)
                    writer.integer(row.eventMicros)
                    writer.blob(row.row.bytes)
                }
            }
        }
    }

    /// Reads one row back.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let (table, key) = (try reader.text("saved reference row"), try reader.text("saved reference row"))
        let eventMicros = try reader.integer(Int64.self, "saved reference row")
        guard let row = try? JSONTree(parsing: [UInt8](reader.blob("saved reference row"))) else {
            throw FrameError(what: "saved reference row")
        }
        upsert(table: table, key: key, row: row, eventMicros: eventMicros)
    }
}
