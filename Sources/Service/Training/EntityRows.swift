import HTTP
import JSON

/// How the rows of an upload are written.
enum RowFormat: Sendable {
    /// A header line and one record a row.
    case csv
    /// One JSON object a line.
    case ndjson
}

/// What a column of rows holds.
enum RowType: String, Sendable {
    case string, number, boolean, time, json
}

/// A value that an upload carries besides entity and time.
enum CarriedValue: Sendable, Equatable {
    case null
    case text(String)
    /// A number or boolean as it was written.
    case raw([UInt8])
}

/// One row of an upload.
struct EntityRow: Sendable, Equatable {
    /// Line on which it begins, from 1.
    var line: Int
    /// The entity's key, part by part.
    var parts: [String]
    /// The time as it was written, and what it means [microseconds].
    var asOfText: String
    var asOfMicros: Int64
    /// The other columns, in their order.
    var carried: [CarriedValue]
}

/// Reads rows of entities with times piece by piece, as CSV or NDJSON. The first line says which columns there are; every
/// wrong row is noted with its line.
struct EntityRowReader {
    /// Name of the time's column.
    static let asOfName = "as_of"

    let keyNames: [String]
    let format: RowFormat
    /// Latest time that is taken [microseconds].
    let latestMicros: Int64
    /// The columns besides entity and time; known once the first line was read.
    private(set) var carried: [(name: String, type: RowType)] = []
    /// Whether the first line was read.
    private(set) var hasColumns = false
    /// Wrong rows so far, at most the named limit.
    private(set) var problems: [DocumentProblem] = []
    /// Rows read so far, wrong ones included.
    private(set) var rows = 0
    private var csv = CSVReader()
    private var lines = LineReader()
    /// CSV: position of each key, of the time, of each carried column.
    private var keyPositions: [Int] = []
    private var asOfPosition = 0
    private var carriedPositions: [Int] = []
    private var columnCount = 0

    init(keyNames: [String], format: RowFormat, latestMicros: Int64) {
        self.keyNames = keyNames
        self.format = format
        self.latestMicros = latestMicros
    }

    /// Reads a piece and hands on the good rows that end in it.
    ///
    /// - Throws: `invalid_rows` when nothing after this place can be read, or too many rows are wrong; whatever `body`
    ///   throws.
    mutating func append(
        _ piece: UnsafeRawBufferPointer, _ body: (EntityRow) throws(Problem) -> Void
    ) throws(Problem) {
        try guarded { (reader) throws in
            switch reader.format {
            case .csv:
                var csv = reader.csv
                defer { reader.csv = csv }
                try csv.append(piece) { try reader.take($0, body) }
            case .ndjson:
                var lines = reader.lines
                defer { reader.lines = lines }
                try lines.append(piece) { try reader.take($0, line: $1, body) }
            }
        }
    }

    /// The upload has ended.
    ///
    /// - Throws: as `append`, and `invalid_rows` when there was any wrong row or none at all.
    mutating func finish(_ body: (EntityRow) throws(Problem) -> Void) throws(Problem) {
        try guarded { (reader) throws in
            switch reader.format {
            case .csv:
                var csv = reader.csv
                try csv.finish { try reader.take($0, body) }
            case .ndjson:
                var lines = reader.lines
                try lines.finish { try reader.take($0, line: $1, body) }
            }
        }
        if rows == 0 && problems.isEmpty { note("", "no_rows", "there is no row") }
        if !problems.isEmpty { throw refusal }
    }

    /// What is wrong with the rows so far.
    var refusal: Problem {
        Problem(422, "invalid_rows", "Rows of the upload are wrong; each has its line.", errors: problems)
    }

    private mutating func guarded(_ body: (inout Self) throws -> Void) throws(Problem) {
        do {
            try body(&self)
        } catch let error as CSVError {
            note("/lines/\(error.line)", error.code, Self.message(error.code))
            throw refusal
        } catch let problem as Problem {
            throw problem
        } catch {
            throw refusal
        }
    }

    private static func message(_ code: String) -> String {
        switch code {
        case "quote_in_field": "a quote in a field that does not begin with one; put the field in quotes, quotes twice"
        case "text_after_quote": "text after the closing quote of a field"
        case "unterminated_quote": "a quoted field that does not end"
        case "too_many_columns": "at most \(ServiceLimits.trainingColumnsMax) columns"
        default: "at most \(ServiceLimits.trainingRowBytesMax) bytes a row"
        }
    }

    private mutating func note(_ pointer: String, _ code: String, _ message: String) {
        problems.append(DocumentProblem(pointer: pointer, code: code, message: message))
    }

    /// Notes a wrong row; past the limit nothing more is read.
    private mutating func note(line: Int, _ name: String?, _ code: String, _ message: String) throws(Problem) {
        let tokens = ["lines", String(line)] + (name.map { [$0] } ?? [])
        note(JSONPointer(tokens: tokens).text, code, message)
        if problems.count >= ServiceLimits.jobErrorsMax { throw refusal }
    }

    // MARK: Columns

    /// Fixes the columns by the first line.
    private mutating func setColumns(_ names: [String], line: Int) throws(Problem) {
        hasColumns = true
        columnCount = names.count
        var seen: Set<String> = []
        for (index, name) in names.enumerated() {
            if name.isEmpty { try note(line: line, nil, "empty_name", "column \(index + 1) has no name") }
            if !seen.insert(name).inserted {
                try note(line: line, name, "duplicate_column", "this column stands twice")
            }
            if name != Self.asOfName && !keyNames.contains(name) {
                carried.append((name, .string))
                carriedPositions.append(index)
            }
        }
        for name in keyNames + [Self.asOfName] where !seen.contains(name) {
            try note(line: line, name, "missing_column", "this column is required")
        }
        if names.count > ServiceLimits.trainingColumnsMax {
            try note(line: line, nil, "too_many_columns", Self.message("too_many_columns"))
        }
        if !problems.isEmpty { throw refusal }
        keyPositions = keyNames.map { names.firstIndex(of: $0) ?? 0 }
        asOfPosition = names.firstIndex(of: Self.asOfName) ?? 0
    }

    private func asOf(_ text: String) -> (micros: Int64?, code: String, message: String) {
        guard let micros = Timestamp.parse(text) else {
            return (nil, "invalid_time", "RFC 3339 with a zone, such as 2026-01-31T12:00:00Z")
        }
        return micros <= latestMicros ? (micros, "", "") : (nil, "in_the_future", "as_of lies ahead of the clock")
    }

    private static func isKey(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= ServiceLimits.identityBytesMax && !text.utf8.contains(0)
    }

    private static let keyHelp = "1 to \(ServiceLimits.identityBytesMax) bytes of text"

    // MARK: CSV

    private mutating func take(_ record: CSVRecord, _ body: (EntityRow) throws(Problem) -> Void) throws(Problem) {
        guard String(validating: record.bytes, as: UTF8.self) != nil else {
            return try note(line: record.line, nil, "invalid_utf8", "the row is not UTF-8")
        }
        guard hasColumns else {
            return try setColumns((0..<record.count).map { record.text($0) }, line: record.line)
        }
        rows += 1
        guard record.count == columnCount else {
            return try note(
                line: record.line, nil, "wrong_column_count",
                "\(record.count) fields where the header has \(columnCount)")
        }
        let parts = keyPositions.map { record.text($0) }
        for (name, part) in zip(keyNames, parts) where !Self.isKey(part) {
            return try note(line: record.line, name, "invalid_key", Self.keyHelp)
        }
        let text = record.text(asOfPosition)
        let time = asOf(text)
        guard let micros = time.micros else {
            return try note(line: record.line, Self.asOfName, time.code, time.message)
        }
        try body(
            EntityRow(
                line: record.line, parts: parts, asOfText: text, asOfMicros: micros,
                carried: carriedPositions.map { record.isNull($0) ? .null : .text(record.text($0)) }))
    }

    // MARK: NDJSON

    private mutating func take(
        _ bytes: [UInt8], line: Int, _ body: (EntityRow) throws(Problem) -> Void
    ) throws(Problem) {
        // The tree is small; what it costs is small beside the row's events.
        guard let tree = try? JSONTree(parsing: bytes), case .object(let members) = tree else {
            rows += 1
            return try note(line: line, nil, "malformed_json", "each line is a JSON object")
        }
        if !hasColumns { try setColumns(members.map(\.key), line: line) }
        rows += 1
        var parts: [String] = []
        for name in keyNames {
            guard let part = Self.keyText(tree[name]), Self.isKey(part) else {
                return try note(line: line, name, "invalid_key", Self.keyHelp)
            }
            parts.append(part)
        }
        guard let text = tree[Self.asOfName]?.string else {
            return try note(line: line, Self.asOfName, "invalid_time", "RFC 3339 text with a zone")
        }
        let time = asOf(text)
        guard let micros = time.micros else { return try note(line: line, Self.asOfName, time.code, time.message) }
        var values = [CarriedValue](repeating: .null, count: carried.count)
        for member in members where member.key != Self.asOfName && !keyNames.contains(member.key) {
            guard let index = carried.firstIndex(where: { $0.name == member.key }) else {
                return try note(line: line, member.key, "unknown_column", "the first line does not have it")
            }
            guard let value = carry(member.value, index) else {
                return try note(
                    line: line, member.key, "mixed_types", "a column holds texts, or numbers, or booleans, or nulls")
            }
            values[index] = value
        }
        try body(EntityRow(line: line, parts: parts, asOfText: text, asOfMicros: micros, carried: values))
    }

    /// A text, or a number by its digits, as events spell the same key.
    private static func keyText(_ value: JSONTree?) -> String? {
        switch value {
        case .string(let text): text
        case .number(let number): number.text
        default: nil
        }
    }

    /// A scalar of its column's type; the first one that is not null fixes the type.
    private mutating func carry(_ value: JSONTree, _ index: Int) -> CarriedValue? {
        let type: RowType
        let made: CarriedValue
        switch value {
        case .null: return .null
        case .string(let text): (type, made) = (.string, .text(text))
        case .number(let number): (type, made) = (.number, .raw(Array(number.text.utf8)))
        case .bool(let flag): (type, made) = (.boolean, .raw(Array((flag ? "true" : "false").utf8)))
        default: return nil
        }
        if typed.insert(index).inserted { carried[index].type = type }
        return carried[index].type == type ? made : nil
    }

    /// Carried columns whose type is fixed.
    private var typed: Set<Int> = []
}

/// Splits bytes into lines, piece by piece; blank ones are skipped.
struct LineReader {
    private var bytes: [UInt8] = []
    private var line = 0

    /// Hands on each line that ends in the piece, with its number from 1.
    mutating func append<E: Error>(_ piece: UnsafeRawBufferPointer, _ body: ([UInt8], Int) throws(E) -> Void) throws {
        var start = 0
        while let newline = piece[start...].firstIndex(of: UInt8(ascii: "\n")) {
            bytes.append(contentsOf: piece[start..<newline])
            start = newline + 1
            try endLine(body)
        }
        bytes.append(contentsOf: piece[start...])
        try check()
    }

    /// The last line, when no line end follows it.
    mutating func finish<E: Error>(_ body: ([UInt8], Int) throws(E) -> Void) throws {
        if !bytes.isEmpty { try endLine(body) }
    }

    private mutating func endLine<E: Error>(_ body: ([UInt8], Int) throws(E) -> Void) throws {
        line += 1
        if line == 1, bytes.starts(with: CSVText.byteOrderMark) { bytes.removeFirst(CSVText.byteOrderMark.count) }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        try check()
        defer { bytes.removeAll(keepingCapacity: true) }
        if bytes.contains(where: { $0 != 0x20 && $0 != 0x09 }) { try body(bytes, line) }
    }

    private func check() throws(CSVError) {
        if bytes.count > ServiceLimits.trainingRowBytesMax { throw CSVError(code: "row_too_long", line: line + 1) }
    }
}
