import HTTP
import JSON
import Synchronization

/// The rows of a training set as one caller asks for them: as CSV or NDJSON, as they are or gzip, without the columns that
/// the caller may not see.
struct TrainingSetExport: Sendable {
    let set: TrainingSet
    /// The rows as they are stored: CSV.
    let rows: BodyFile
    let format: RowFormat
    let isGzip: Bool
    /// Indexes of columns that are null for this caller.
    let masked: Set<Int>

    /// Whether the stored file is the answer.
    var isStored: Bool { format == .csv && !isGzip && masked.isEmpty }

    /// What is wrong with a stored file that does not read.
    private static let unreadable = Problem(
        503, "training_set_unreadable", "The rows cannot be read or written now; the disk may be full.", retryAfter: 60)

    /// Writes the answer to a file without a name, whose bytes count towards the budget until it was sent.
    func make(_ store: TrainingStore) throws(Problem) -> BodyFile {
        let held = HeldBytes(store.budget)
        do {
            let file = try BodyFile(temporaryIn: store.directory) { held.release() }
            var deflater = try DeflateStream()
            let put = { (bytes: UnsafeRawBufferPointer) throws in
                try held.add(bytes.count)
                try file.append(bytes)
            }
            try pieces { bytes in
                if isGzip { try deflater.append(bytes, put) } else { try put(bytes) }
            }
            if isGzip { try deflater.finish(put) }
            return file
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Self.unreadable
        }
    }

    /// The answer piece by piece, before it is compressed.
    private func pieces(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let upload = UploadReader(file: rows, isGzip: false, bytesMax: .max)
        var failure: (any Error)?
        var reader = CSVReader()
        var isHeader = true
        var output: [UInt8] = []
        output.reserveCapacity(ServiceLimits.trainingPieceBytes * 2)
        func convert(_ record: CSVRecord) throws {
            if format == .csv {
                appendCSV(record, isHeader: isHeader, &output)
            } else if !isHeader {
                appendJSON(record, &output)
            }
            isHeader = false
            if output.count >= ServiceLimits.trainingPieceBytes {
                try output.withUnsafeBytes(body)
                output.removeAll(keepingCapacity: true)
            }
        }
        try upload.read { (piece) throws(Problem) in
            do {
                if format == .csv && masked.isEmpty { try body(piece) } else { try reader.append(piece, convert) }
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        try reader.finish(convert)
        if !output.isEmpty { try output.withUnsafeBytes(body) }
    }

    private func appendCSV(_ record: CSVRecord, isHeader: Bool, _ output: inout [UInt8]) {
        for index in 0..<record.count {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            if isHeader {
                CSVText.append(record.field(index), to: &output)
            } else if set.columns[index].role == .nullReasons {
                CSVText.append(reasons(record, index), to: &output)
            } else if !masked.contains(index), !record.isNull(index) {
                CSVText.append(record.field(index), to: &output)
            }
        }
        output.append(UInt8(ascii: "\n"))
    }

    private func appendJSON(_ record: CSVRecord, _ output: inout [UInt8]) {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        for (index, column) in set.columns.enumerated() where index < record.count {
            writer.key(column.name)
            if column.role == .nullReasons {
                writer.raw(reasons(record, index))
            } else if masked.contains(index) || record.isNull(index) {
                writer.null()
            } else if column.type == .string || column.type == .time {
                record.field(index).withUnsafeBufferPointer { writer.string(utf8: $0) }
            } else {
                record.field(index).withUnsafeBufferPointer { writer.raw($0) }
            }
        }
        writer.endObject()
        output.append(contentsOf: writer.bytes)
        output.append(UInt8(ascii: "\n"))
    }

    /// The reasons of a row with the caller's own masks among them.
    private func reasons(_ record: CSVRecord, _ index: Int) -> [UInt8] {
        let stored = Array(record.field(index))
        guard !masked.isEmpty, case .object(var members)? = try? JSONTree(parsing: stored) else { return stored }
        for column in masked.sorted() {
            members.removeAll { $0.key == set.columns[column].name }
            members.append(JSONTree.Member(key: set.columns[column].name, value: .string("masked")))
        }
        return JSONTree.object(members).bytes
    }
}

/// Bytes of the budget that a file holds while it exists.
private final class HeldBytes: Sendable {
    private let budget: DiskBudget
    private let count = Atomic<Int>(0)

    init(_ budget: DiskBudget) {
        self.budget = budget
    }

    func add(_ bytes: Int) throws(Problem) {
        try budget.reserve(bytes)
        count.wrappingAdd(bytes, ordering: .relaxed)
    }

    func release() {
        budget.release(count.exchange(0, ordering: .relaxed))
    }
}
