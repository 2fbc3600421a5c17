import JSON
import Journal
import Postgres
import Synchronization

/// An accepted event, read back.
struct StoredEvent: Sendable, Equatable {
    let seq: UInt64
    let contract: String
    let eventMicros: Int64
    let type: [UInt8]
    /// The event's JSON; empty for a retraction, which stands for nothing.
    let raw: [UInt8]
}

/// Accepted events by their journal position: from the journal, or from PostgreSQL once their segment is gone.
///
/// Blocks; for one thread at a time.
final class StoredEvents: Sendable {
    private let journal: ServiceJournal
    private let marks: FrameMarks
    private let url: String?
    private let connection = Mutex<PostgresConnection?>(nil)

    /// What a correction is answered with when its target cannot be read.
    static let unavailable = Problem(
        503, "correction_target_unavailable",
        "The event that is to be corrected cannot be read now. Send the request again.", retryAfter: 5)

    init(journal: ServiceJournal, marks: FrameMarks, databaseURL: String?) {
        self.journal = journal
        self.marks = marks
        url = databaseURL
    }

    /// The event of a durable frame.
    func event(seq: UInt64) throws(Problem) -> StoredEvent {
        let frame: OwnedFrame
        do throws(JournalError) {
            frame = try journal.readFrame(seq: seq, from: marks.mark(before: seq))
        } catch {
            guard error.code == .segmentRemoved else { throw Self.unavailable }
            marks.forget(below: journal.firstSeq)
            return try stored(seq: seq)
        }
        let read = frame.payload.withUnsafeBytes { Self.event(seq: seq, type: frame.type, payload: $0) }
        guard case .success(let event) = read else { throw Self.unavailable }
        return event
    }

    /// Reads an event out of its frame.
    static func event(
        seq: UInt64, type: UInt8, payload: UnsafeRawBufferPointer
    ) -> Result<StoredEvent, FrameError> {
        do throws(FrameError) {
            switch FrameType(rawValue: type) {
            case .event: return .success(StoredEvent(try EventFrame.decode(payload), seq: seq, isRetraction: false))
            case .correction:
                let correction = try CorrectionFrame.decode(payload)
                return .success(StoredEvent(correction.event, seq: seq, isRetraction: correction.isRetraction))
            default: throw FrameError(what: "event")
            }
        } catch {
            return .failure(error)
        }
    }

    // MARK: PostgreSQL

    private static let statement = PostgresStatement(
        "corrected_event",
        """
        SELECT contract, event_us, type, source, id, subject, data, extensions, coalesce(retracts, false)
        FROM decisiond.event WHERE journal_id = $1 AND seq = $2
        """, [.uuid, .int64])

    private func stored(seq: UInt64) throws(Problem) -> StoredEvent {
        guard let url else { throw Self.unavailable }
        let id = journal.journalID
        let parameters: [PostgresParameter] = [
            .uuid(UInt128(id.high) << 64 | UInt128(id.low)), .int64(Int64(seq)),
        ]
        let event = connection.withLock { connection -> StoredEvent? in
            let open = connection ?? Self.makeConnection(url)
            connection = open
            do throws(PostgresError) {
                if !open.isConnected { try open.connect(until: .after(QueryPool.connectTimeout)) }
                let rows = try open.query(Self.statement, parameters)
                return rows.rowCount == 1 ? try Self.event(rows, seq: seq) : nil
            } catch {
                open.close()
                return nil
            }
        }
        guard let event else { throw Self.unavailable }
        return event
    }

    private static func makeConnection(_ url: String) -> PostgresConnection {
        var configuration = PostgresConfiguration(connectionString: url, applicationName: "decisiond corrections")
        configuration.connectTimeout = QueryPool.connectTimeout
        configuration.statementTimeout = QueryPool.statementTimeout
        return PostgresConnection(configuration)
    }

    private static func event(_ rows: borrowing PostgresResult, seq: UInt64) throws(PostgresError) -> StoredEvent? {
        guard let contract = try rows.string(0, 0), let time = try rows.int64(0, 1), let type = try rows.string(0, 2),
            let source = try rows.string(0, 3), let id = try rows.string(0, 4)
        else { return nil }
        let attributes = StoredAttributes(
            type: type, source: source, id: id, subject: try rows.string(0, 5), eventMicros: time,
            data: try rows.string(0, 6), extensions: try rows.string(0, 7))
        let isRetraction = try rows.boolean(0, 8) ?? false
        return StoredEvent(
            seq: seq, contract: contract, eventMicros: time, type: Array(type.utf8),
            raw: isRetraction ? [] : attributes.event)
    }
}

extension StoredEvent {
    fileprivate init(_ frame: EventFrame, seq: UInt64, isRetraction: Bool) {
        self.init(
            seq: seq, contract: String(decoding: frame.contract, as: UTF8.self), eventMicros: frame.eventMicros,
            type: Array(frame.type), raw: isRetraction ? [] : Array(frame.raw))
    }
}

/// The columns of a stored event, from which it is put together again: the same values, though not byte for byte.
struct StoredAttributes {
    let type: String
    let source: String
    let id: String
    let subject: String?
    let eventMicros: Int64
    /// JSON text.
    let data: String?
    /// JSON text of an object.
    let extensions: String?

    /// The event as JSON.
    var event: [UInt8] {
        var writer = JSONWriter(capacity: 256 + (data?.utf8.count ?? 0))
        writer.beginObject()
        for (key, text) in [("specversion", "1.0"), ("id", id), ("source", source), ("type", type)] {
            writer.key(key)
            writer.string(text)
        }
        if let subject {
            writer.key("subject")
            writer.string(subject)
        }
        writer.key("time")
        writer.timestamp(eventMicros)
        if let extensions, let document = try? JSONDocument(Array(extensions.utf8)) {
            document.withRoot { root in
                for member in root.members {
                    writer.key(member.key)
                    writer.raw(member.value)
                }
            }
        }
        if let data {
            writer.key("data")
            writer.raw(Array(data.utf8))
        }
        writer.endObject()
        return writer.bytes
    }
}
