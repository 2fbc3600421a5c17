import JSON

/// One record of a CSV file: its fields without their quotes.
struct CSVRecord {
    /// The fields' bytes, one after the other.
    fileprivate(set) var bytes: [UInt8] = []
    /// Where each field ends in `bytes`.
    fileprivate(set) var ends: [Int] = []
    fileprivate var quoted: [Bool] = []
    /// Line on which the record begins, from 1.
    fileprivate(set) var line = 1

    /// Fields.
    var count: Int { ends.count }

    /// A field's bytes.
    func field(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    /// A field's text; the bytes must have been found to be UTF-8.
    func text(_ index: Int) -> String { String(decoding: field(index), as: UTF8.self) }

    /// Whether a field is empty and was written without quotes: null, as in PostgreSQL's CSV.
    func isNull(_ index: Int) -> Bool { !quoted[index] && field(index).isEmpty }

    fileprivate mutating func begin(line: Int) {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        quoted.removeAll(keepingCapacity: true)
        self.line = line
    }

    fileprivate mutating func endField(isQuoted: Bool) {
        ends.append(bytes.count)
        quoted.append(isQuoted)
    }
}

/// Why a CSV file cannot be read, and on which line.
struct CSVError: Error, Equatable {
    /// `quote_in_field`, `text_after_quote`, `unterminated_quote`, `row_too_long`, `too_many_columns`.
    let code: String
    let line: Int
}

/// Reads CSV (RFC 4180) piece by piece: commas, double quotes, line ends CRLF, LF or CR, line breaks inside quotes, a byte
/// order mark at the start. Blank lines are skipped.
struct CSVReader {
    private enum Stage {
        case fieldStart, plain, quoted
        /// A quote inside quotes: the end of the field, or the first of two.
        case quote
    }

    private var record = CSVRecord()
    private var stage = Stage.fieldStart
    private var isFieldQuoted = false
    private var line = 1
    private var wasReturn = false
    private let columnsMax: Int
    private let recordBytesMax: Int

    /// - Parameters:
    ///   - columnsMax: most fields of a record.
    ///   - recordBytesMax: most bytes of a record's fields together.
    init(
        columnsMax: Int = ServiceLimits.trainingColumnsMax, recordBytesMax: Int = ServiceLimits.trainingRowBytesMax
    ) {
        self.columnsMax = columnsMax
        self.recordBytesMax = recordBytesMax
    }

    /// Reads a piece and hands on each record that ends in it.
    mutating func append<E: Error>(
        _ piece: UnsafeRawBufferPointer, _ body: (CSVRecord) throws(E) -> Void
    ) throws {
        for byte in piece { try take(byte, body) }
    }

    /// The file has ended: hands on the last record when no line end follows it.
    mutating func finish<E: Error>(_ body: (CSVRecord) throws(E) -> Void) throws {
        if stage == .quoted { throw CSVError(code: "unterminated_quote", line: record.line) }
        if record.count > 0 || !record.bytes.isEmpty || stage != .fieldStart { try endRecord(body) }
    }

    private mutating func take<E: Error>(_ byte: UInt8, _ body: (CSVRecord) throws(E) -> Void) throws {
        let afterReturn = wasReturn
        wasReturn = false
        if stage != .quoted {
            switch byte {
            case UInt8(ascii: "\n") where afterReturn: return
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                wasReturn = byte == UInt8(ascii: "\r")
                line += 1
                return try endRecord(body)
            case UInt8(ascii: ","): return try endField()
            default: break
            }
        }
        try takeContent(byte)
        if record.bytes.count > recordBytesMax {
            throw CSVError(code: "row_too_long", line: record.line)
        }
    }

    private mutating func takeContent(_ byte: UInt8) throws(CSVError) {
        let isQuote = byte == UInt8(ascii: "\"")
        switch stage {
        case .fieldStart where isQuote:
            isFieldQuoted = true
            stage = .quoted
        case .fieldStart, .plain:
            if isQuote {
                guard isByteOrderMark else { throw CSVError(code: "quote_in_field", line: line) }
                record.bytes.removeAll(keepingCapacity: true)
                isFieldQuoted = true
                stage = .quoted
                return
            }
            stage = .plain
            record.bytes.append(byte)
        case .quoted:
            if isQuote {
                stage = .quote
                return
            }
            if byte == UInt8(ascii: "\n") { line += 1 }
            record.bytes.append(byte)
        case .quote:
            guard isQuote else { throw CSVError(code: "text_after_quote", line: line) }
            stage = .quoted
            record.bytes.append(byte)
        }
    }

    /// Whether all that was read so far is the mark that some programs put in front of UTF-8.
    private var isByteOrderMark: Bool {
        record.line == 1 && record.count == 0 && record.bytes == CSVText.byteOrderMark
    }

    private mutating func endField() throws(CSVError) {
        if record.line == 1, record.count == 0, !isFieldQuoted, record.bytes.starts(with: CSVText.byteOrderMark) {
            record.bytes.removeFirst(CSVText.byteOrderMark.count)
        }
        record.endField(isQuoted: isFieldQuoted)
        isFieldQuoted = false
        stage = .fieldStart
        if record.count > columnsMax {
            throw CSVError(code: "too_many_columns", line: record.line)
        }
    }

    private mutating func endRecord<E: Error>(_ body: (CSVRecord) throws(E) -> Void) throws {
        let isBlank = record.count == 0 && record.bytes.isEmpty && !isFieldQuoted
        if !isBlank {
            try endField()
            try body(record)
        }
        stage = .fieldStart
        record.begin(line: line)
    }
}

/// Writes CSV fields the way `CSVReader` reads them.
enum CSVText {
    static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Appends a text: in quotes where it must be, or where it would read as null.
    static func append(_ text: some Collection<UInt8>, to bytes: inout [UInt8]) {
        let needsQuotes =
            text.isEmpty || text.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D || $0 == 0x00 }
        guard needsQuotes else {
            bytes.append(contentsOf: text)
            return
        }
        bytes.append(0x22)
        for byte in text {
            if byte == 0x22 { bytes.append(0x22) }
            bytes.append(byte)
        }
        bytes.append(0x22)
    }

    /// Appends a JSON value: null as nothing, a string as its text, everything else as it is written.
    static func append(json: [UInt8], to bytes: inout [UInt8]) {
        if json == [0x6E, 0x75, 0x6C, 0x6C] { return }
        guard json.first == 0x22 else { return append(json, to: &bytes) }
        if json.contains(0x5C), let text = (try? JSONTree(parsing: json))?.string {
            return append(text.utf8, to: &bytes)
        }
        append(json[1..<(json.count - 1)], to: &bytes)
    }
}
