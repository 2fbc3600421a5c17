import JSON

/// The body of `POST /v1/models/{name}/score`, read and coded for its model.
struct ScoreRequest: Sendable {
    /// The rows as the model takes them.
    var coded: ServedModel.Coded
    /// Whether contributions and reasons are told.
    let explains: Bool
    /// The most reasons told of a row; nil: what the model's definition says.
    let reasonsMax: Int?
    /// Whether one record was sent rather than a list.
    let isSingle: Bool

    /// What a body asks for before its rows are read.
    struct Head: Sendable {
        var version: Int?
        var explains = false
        var reasonsMax: Int?
    }

    /// Reads the members that are not rows.
    static func head(_ root: JSONValue) throws(Problem) -> Head {
        var head = Head()
        var problems: [DocumentProblem] = []
        guard root.kind == .object else {
            throw Problem.invalid([
                DocumentProblem(pointer: "", code: "type_mismatch", message: "an object is expected here")
            ])
        }
        for member in root.members {
            switch member.key {
            case "record", "records", "columns", "rows": break
            case "version":
                head.version = member.value.int64.flatMap { Int(exactly: $0) }
                if head.version == nil || head.version ?? 0 < 1 {
                    problems.append(
                        DocumentProblem(pointer: "/version", code: "out_of_range", message: "a version: 1 or more"))
                }
            case "explain":
                guard let flag = member.value.bool else {
                    problems.append(
                        DocumentProblem(
                            pointer: "/explain", code: "type_mismatch", message: "true or false is expected"))
                    continue
                }
                head.explains = flag
            case "reasons":
                head.reasonsMax = member.value.int64.flatMap { Int(exactly: $0) }
                if !(0...ModelReasons.limitMax).contains(head.reasonsMax ?? -1) {
                    problems.append(
                        DocumentProblem(
                            pointer: "/reasons", code: "out_of_range",
                            message: "0 to \(ModelReasons.limitMax) reasons a row"))
                }
            default:
                problems.append(
                    DocumentProblem(
                        pointer: "/" + member.key.pointerToken, code: "unknown_field",
                        message: "known fields: record, records, columns, rows, version, explain, reasons"))
            }
        }
        guard problems.isEmpty else { throw Problem.invalid(problems) }
        return head
    }

    /// Reads the rows: `record`, `records`, or `columns` with `rows`.
    init(_ root: JSONValue, _ head: Head, for served: ServedModel) throws(Problem) {
        explains = head.explains
        reasonsMax = head.reasonsMax
        let ways = ["record", "records", "rows"].filter { root.member($0) != nil }
        guard ways.count == 1, (root["columns"] != nil) == (ways[0] == "rows") else {
            throw Self.refusal("", "missing_field", "one of record, records, or columns with rows")
        }
        isSingle = ways[0] == "record"
        var reader = RecordReader(served)
        switch ways[0] {
        case "record":
            if let record = root["record"] { try reader.add(record, at: "/record") }
        case "records":
            guard let records = root["records"], records.kind == .array else {
                throw Self.refusal("/records", "type_mismatch", "a list is expected here")
            }
            try Self.checkCount(records.count, "/records")
            var index = 0
            for record in records.elements {
                try reader.add(record, at: "/records/\(index)")
                index += 1
            }
        default: try Self.readRows(root, &reader)
        }
        coded = reader.finish()
        if explains, coded.rowCount > ServiceLimits.explainedRowsMax {
            throw Self.refusal(
                "/explain", "too_many", "at most \(ServiceLimits.explainedRowsMax) rows are explained in one request")
        }
    }

    private static func readRows(_ root: JSONValue, _ reader: inout RecordReader) throws(Problem) {
        guard let columns = root["columns"], columns.kind == .array else {
            throw refusal("/columns", "type_mismatch", "a list of names is expected here")
        }
        var names: [String] = []
        for column in columns.elements {
            guard let name = column.string else {
                throw refusal("/columns/\(names.count)", "type_mismatch", "a name is expected here")
            }
            names.append(name)
        }
        guard let rows = root["rows"], rows.kind == .array else {
            throw refusal("/rows", "type_mismatch", "a list of rows is expected here")
        }
        try checkCount(rows.count, "/rows")
        try reader.setColumns(names)
        var index = 0
        for row in rows.elements {
            try reader.add(row: row, at: "/rows/\(index)")
            index += 1
        }
    }

    private static func checkCount(_ count: Int, _ place: String) throws(Problem) {
        guard (1...ServiceLimits.scoredRowsMax).contains(count) else {
            throw refusal(place, "out_of_range", "1 to \(ServiceLimits.scoredRowsMax) rows in one request")
        }
    }

    static func refusal(_ pointer: String, _ code: String, _ message: String) -> Problem {
        Problem.invalid([DocumentProblem(pointer: pointer, code: code, message: message)])
    }
}

/// Codes records one by one as they are read, without keeping them.
struct RecordReader {
    private let served: ServedModel
    private let indexes: [String: Int]
    private var cells: [RowCell]
    /// Per column of `rows` the input that it holds.
    private var columns: [Int?] = []
    private var ignored: Set<String> = []
    private var coder: RowCoder

    init(_ served: ServedModel) {
        self.served = served
        indexes = Dictionary(served.inputs.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        cells = [RowCell](repeating: .missing, count: served.inputs.count)
        coder = RowCoder(served.inputs)
    }

    /// Adds a record: an object of inputs by name.
    mutating func add(_ record: JSONValue, at place: String) throws(Problem) {
        guard record.kind == .object else {
            throw ScoreRequest.refusal(place, "type_mismatch", "an object of inputs by name is expected here")
        }
        for index in cells.indices { cells[index] = .missing }
        for member in record.members {
            let key = member.key
            guard let index = indexes[key] else {
                ignored.insert(key)
                continue
            }
            cells[index] = try Self.cell(member.value, "\(place)/\(key.pointerToken)")
        }
        try code(place, columns: nil)
    }

    /// Says which inputs the cells of rows are.
    mutating func setColumns(_ names: [String]) throws(Problem) {
        var seen: Set<String> = []
        for (index, name) in names.enumerated() where !seen.insert(name).inserted {
            throw ScoreRequest.refusal("/columns/\(index)", "duplicate_value", "each column once")
        }
        columns = names.map { indexes[$0] }
        ignored = Set(names.filter { indexes[$0] == nil })
    }

    /// Adds a row: a list with a cell per column.
    mutating func add(row: JSONValue, at place: String) throws(Problem) {
        guard row.kind == .array, row.count == columns.count else {
            throw ScoreRequest.refusal(
                place, "wrong_width", "a list with one cell per column is expected: \(columns.count)")
        }
        for index in cells.indices { cells[index] = .missing }
        var column = 0
        for value in row.elements {
            if let index = columns[column] { cells[index] = try Self.cell(value, "\(place)/\(column)") }
            column += 1
        }
        try code(place, columns: columns)
    }

    private mutating func code(_ place: String, columns: [Int?]?) throws(Problem) {
        do throws(RowRefusal) {
            try coder.append(cells)
        } catch {
            let input = error.column.flatMap { indexes[$0] }
            let column = columns?.firstIndex { $0 == input }.map(String.init) ?? (error.column ?? "").pointerToken
            throw ScoreRequest.refusal("\(place)/\(column)", error.code, error.message)
        }
    }

    private static func cell(_ value: JSONValue, _ place: String) throws(Problem) -> RowCell {
        switch value.kind {
        case .null: return .missing
        case .bool: return .bool(value.bool ?? false)
        case .number: return value.double.map(RowCell.number) ?? .missing
        case .string: return .text(value.string ?? "")
        case .array, .object:
            throw ScoreRequest.refusal(place, "type_mismatch", "a number, a text, true, false or null is expected here")
        }
    }

    /// What was read.
    consuming func finish() -> ServedModel.Coded {
        var coded = coder.coded
        coded.quality.ignored = ignored.sorted()
        return coded
    }
}
