import JSON
import Postgres

/// What a column of a training set is.
enum ColumnRole: String, Sendable {
    case entity
    case asOf = "as_of"
    /// Taken over from the upload.
    case carried
    case feature
    case nullReasons = "null_reasons"
}

/// One column of a training set.
struct TrainingColumn: Sendable, Equatable {
    var name: String
    var role: ColumnRole
    var type: RowType
    /// The feature view, for features.
    var view: String?
    /// The feature, for features.
    var feature: String?
    /// The contract's word for how private the field is that a feature shows.
    var classification: String?
    /// Null for everybody, since whoever asked for the set might not see it.
    var isMasked = false

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("role")
        writer.string(role.rawValue)
        writer.key("type")
        writer.string(type.rawValue)
        for (key, text) in [("view", view), ("feature", feature), ("classification", classification)] {
            writer.key(key)
            if let text { writer.string(text) } else { writer.null() }
        }
        writer.key("masked")
        writer.bool(isMasked)
        writer.endObject()
    }

    init(name: String, role: ColumnRole, type: RowType) {
        self.name = name
        self.role = role
        self.type = type
    }

    init?(_ tree: JSONTree) {
        guard let name = tree["name"]?.string, let role = tree["role"]?.string.flatMap(ColumnRole.init),
            let type = tree["type"]?.string.flatMap(RowType.init)
        else { return nil }
        self.init(name: name, role: role, type: type)
        view = tree["view"]?.string
        feature = tree["feature"]?.string
        classification = tree["classification"]?.string
        isMasked = tree["masked"]?.bool ?? false
    }
}

/// A version of a definition that a training set was made with.
struct UsedVersion: Sendable, Equatable {
    var name: String
    var version: Int
}

/// What is known of a training set besides its rows; never changed once it is written.
struct TrainingSet: Sendable, Equatable {
    let id: RecordID
    let name: String
    var version: Int
    let views: [UsedVersion]
    /// What was known: `as_of`, `latest` or a time.
    let knownAt: String
    /// Journal position up to which events count.
    let position: Int64
    let columns: [TrainingColumn]
    let rows: Int64
    /// Of the rows as CSV.
    let bytes: Int64
    let sha256: String
    let createdMicros: Int64
    let createdBy: String
    /// Identity in the listing's order.
    var number: Int64 = 0

    /// The set as the API shows it.
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        for (key, text) in [("id", id.text), ("name", name)] {
            writer.key(key)
            writer.string(text)
        }
        writer.key("version")
        writer.integer(version)
        writer.key("created_at")
        writer.timestamp(createdMicros)
        writer.key("created_by")
        writer.string(createdBy)
        writer.key("rows")
        writer.integer(rows)
        writer.key("bytes")
        writer.integer(bytes)
        writer.key("sha256")
        writer.string(sha256)
        writer.key("known_at")
        writer.string(knownAt)
        writer.key("position")
        writer.integer(position)
        writer.key("views")
        writeViews(to: &writer)
        writer.key("columns")
        writeColumns(to: &writer)
        writer.key("links")
        writer.beginObject()
        writer.key("self")
        writer.string("/v1/training-sets/\(id.text)")
        writer.key("data")
        writer.string("/v1/training-sets/\(id.text)/data")
        writer.endObject()
        writer.endObject()
    }

    private func writeViews(to writer: inout JSONWriter) {
        writer.beginArray()
        for view in views {
            writer.beginObject()
            writer.key("name")
            writer.string(view.name)
            writer.key("version")
            writer.integer(view.version)
            writer.endObject()
        }
        writer.endArray()
    }

    private func writeColumns(to writer: inout JSONWriter) {
        writer.beginArray()
        for column in columns { column.write(to: &writer) }
        writer.endArray()
    }

    private static func json(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        write(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

// MARK: In PostgreSQL

extension TrainingSet {
    private static let fields = """
        id, name, version::bigint, views::text, known_at, position, columns::text, rows, bytes, encode(sha256, 'hex'),
        created_us, created_by, number
        """

    /// Stores the set as the next version of its name.
    ///
    /// - Parameters:
    ///   - journal: id of the journal beside whose data directory the rows are.
    ///   - job: id of the job that made it.
    mutating func insert(
        _ connection: PostgresConnection, journal: UInt128, job: RecordID
    ) throws(PostgresError) {
        let rows = try connection.query(
            """
            INSERT INTO decisiond.training_set (
                id, name, version, journal_id, job_id, views, known_at, position, columns, rows, bytes, sha256, created_us,
                created_by
            )
            SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5::json, $6, $7, $8::json, $9, $10, decode($11, 'hex'),
                $12, $13
            FROM decisiond.training_set WHERE name = $2
            RETURNING version::bigint, number
            """,
            [
                .uuid(id.uint128), .text(name), .uuid(journal), .uuid(job.uint128), .text(Self.json(writeViews)),
                .text(knownAt), .int64(position), .text(Self.json(writeColumns)), .int64(self.rows), .int64(bytes),
                .text(sha256), .int64(createdMicros), .text(createdBy),
            ])
        version = try Int(rows.int64(0, 0) ?? 1)
        number = try rows.int64(0, 1) ?? 0
    }

    /// One set; nil when there is none or it was deleted.
    static func find(_ id: RecordID, _ connection: PostgresConnection) throws(PostgresError) -> TrainingSet? {
        let rows = try connection.query(
            "SELECT \(fields) FROM decisiond.training_set WHERE id = $1 AND deleted_us IS NULL", [.uuid(id.uint128)])
        return rows.rowCount == 1 ? try TrainingSet(rows, 0) : nil
    }

    /// A page of sets, newest first.
    static func page(
        name: String?, before: Int64, limit: Int, _ connection: PostgresConnection
    ) throws(PostgresError) -> [TrainingSet] {
        let rows = try connection.query(
            """
            SELECT \(fields) FROM decisiond.training_set
            WHERE deleted_us IS NULL AND number < $1 AND ($2::text IS NULL OR name = $2) ORDER BY number DESC LIMIT $3
            """, [.int64(before), .text(name), .int64(Int64(limit))])
        var page: [TrainingSet] = []
        for index in 0..<rows.rowCount { page.append(try TrainingSet(rows, index)) }
        return page
    }

    /// Marks a set as deleted; its row stays, so that models that were trained on it can still be explained.
    static func delete(
        _ id: RecordID, atMicros: Int64, by principal: String, _ connection: PostgresConnection
    ) throws(PostgresError) {
        try connection.query(
            "UPDATE decisiond.training_set SET deleted_us = $2, deleted_by = $3 WHERE id = $1 AND deleted_us IS NULL",
            [.uuid(id.uint128), .int64(atMicros), .text(principal)])
    }

    /// Ids of all sets whose rows are beside this journal.
    static func ids(journal: UInt128, _ connection: PostgresConnection) throws(PostgresError) -> Set<String> {
        let rows = try connection.query(
            "SELECT id::text FROM decisiond.training_set WHERE journal_id = $1 AND deleted_us IS NULL", [.uuid(journal)]
        )
        var ids: Set<String> = []
        for index in 0..<rows.rowCount { if let id = try rows.string(index, 0) { ids.insert(id) } }
        return ids
    }

    private init(_ rows: borrowing PostgresResult, _ index: Int) throws(PostgresError) {
        guard let id = try rows.string(index, 0).flatMap({ RecordID($0) }),
            let views = (try? JSONTree(parsing: try rows.string(index, 3) ?? ""))?.array,
            let columns = (try? JSONTree(parsing: try rows.string(index, 6) ?? ""))?.array
        else { throw PostgresError.unexpectedResult(message: "a training set's row does not read") }
        self.init(
            id: id, name: try rows.string(index, 1) ?? "", version: Int(try rows.int64(index, 2) ?? 0),
            views: views.map {
                UsedVersion(name: $0["name"]?.string ?? "", version: Int($0["version"]?.int64 ?? 0))
            },
            knownAt: try rows.string(index, 4) ?? "", position: try rows.int64(index, 5) ?? 0,
            columns: columns.compactMap(TrainingColumn.init), rows: try rows.int64(index, 7) ?? 0,
            bytes: try rows.int64(index, 8) ?? 0, sha256: try rows.string(index, 9) ?? "",
            createdMicros: try rows.int64(index, 10) ?? 0, createdBy: try rows.string(index, 11) ?? "")
        number = try rows.int64(index, 12) ?? 0
    }
}
