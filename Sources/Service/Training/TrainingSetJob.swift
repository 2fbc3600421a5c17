import Decisions
import Features
import HTTP
import JSON
import Postgres

/// Makes one training set: reads the rows, has PostgreSQL order them and their events by entity, computes every row with
/// the code that serves features, and writes them in the order in which they came. What it holds in memory does not grow
/// with the events; with the rows it grows by twelve bytes each.
struct TrainingSetJob: Sendable {
    let request: HistoricalRequest
    let store: TrainingStore
    let journal: UInt128
    let clock: WallClock
    /// Position up to which PostgreSQL has everything.
    let shippedSeq: @Sendable () -> UInt64

    /// The work of the job.
    func run(_ context: JobContext) throws(Problem) -> JobResult {
        var reservation = DiskReservation(store.budget)
        try reservation.add(request.upload.file.count)
        let connection = try context.connect()
        defer { connection.close() }
        do {
            try store.sweep(connection, journal: journal)
            let loaded = try load(context, connection)
            try waitForShipping(context)
            let cells = try RowCells(store, rows: loaded.rows)
            try compute(into: cells, loaded, context, connection)
            return try write(cells, loaded, context, connection)
        } catch let problem as Problem {
            throw problem
        } catch let error as PostgresError {
            throw Problem(
                503, "postgres_\(error.code)", "PostgreSQL failed while the rows were computed. Submit the job again.",
                retryAfter: 10)
        } catch {
            throw TrainingStore.unwritable
        }
    }

    /// What loading found out.
    private struct Loaded {
        var rows = 0
        var latestMicros = Int64.min
        var carried: [(name: String, type: RowType)] = []
    }

    // MARK: Rows to PostgreSQL

    private func load(_ context: JobContext, _ connection: PostgresConnection) throws -> Loaded {
        let parts = request.keyNames.indices.map { "part_\($0)" }
        let columns = parts.map { ", \($0) text NOT NULL" }.joined()
        try connection.execute(
            """
            SET work_mem = '64MB';
            CREATE TEMP TABLE historical_row (line bigint NOT NULL, as_of_us bigint NOT NULL, entity text NOT NULL\(columns))
            """)
        let target = CopyTarget(schema: nil, table: "historical_row", columns: ["line", "as_of_us", "entity"] + parts)
        let definition = request.views[0].entry.definition
        var reader = request.reader()
        var batch = CopyTextWriter(capacityBytes: 1 << 20)
        var loaded = Loaded()
        let add = { (row: EntityRow) throws(Problem) -> Void in
            batch.integer(Int64(loaded.rows))
            batch.integer(row.asOfMicros)
            batch.text(definition.key(of: row.parts))
            for part in row.parts { batch.text(part) }
            batch.endRow()
            loaded.rows += 1
            loaded.latestMicros = max(loaded.latestMicros, row.asOfMicros)
            if loaded.rows > ServiceLimits.trainingRowsMax {
                throw Problem(
                    413, "too_many_rows", "At most \(ServiceLimits.trainingRowsMax) rows in one training set.")
            }
        }
        var failure: PostgresError?
        try request.upload.read { (piece) throws(Problem) in
            try context.check()
            try reader.append(piece, add)
            failure = Self.send(&batch, target, connection, atLeast: ServiceLimits.trainingBatchRows)
            return failure == nil
        }
        if failure == nil {
            try reader.finish(add)
            failure = Self.send(&batch, target, connection, atLeast: 1)
        }
        if let failure { throw failure }
        loaded.carried = reader.carried
        context.expect(Int64(loaded.rows))
        let names = (["entity"] + parts).joined(separator: ", ")
        try connection.execute(
            """
            CREATE TEMP TABLE historical_entity AS SELECT DISTINCT \(names) FROM historical_row;
            ANALYZE historical_row; ANALYZE historical_entity
            """)
        return loaded
    }

    private static func send(
        _ batch: inout CopyTextWriter, _ target: CopyTarget, _ connection: PostgresConnection, atLeast count: Int
    ) -> PostgresError? {
        guard batch.rowCount >= count else { return nil }
        do throws(PostgresError) {
            try connection.copyIn(into: target, rows: batch)
            batch.removeAll()
            return nil
        } catch {
            return error
        }
    }

    /// Waits until PostgreSQL has every event that was acknowledged when the job was submitted.
    private func waitForShipping(_ context: JobContext) throws(Problem) {
        var waited = 0
        while shippedSeq() < UInt64(request.position) {
            guard waited < ServiceLimits.jobShipWaitSeconds * 1_000 else {
                throw Problem(
                    503, "not_shipped",
                    "PostgreSQL does not have the events yet that the rows may need. Submit it again.",
                    retryAfter: 60)
            }
            try context.sleep(milliseconds: 100)
            waited += 100
        }
    }

    // MARK: Computing

    private func compute(
        into cells: RowCells, _ loaded: Loaded, _ context: JobContext, _ connection: PostgresConnection
    ) throws {
        try connection.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")
        defer { connection.rollback() }
        try connection.execute(
            """
            DECLARE historical_rows NO SCROLL CURSOR FOR
            SELECT line, as_of_us, entity FROM pg_temp.historical_row ORDER BY entity COLLATE "C", as_of_us, line
            """)
        var readers: [ViewRows] = []
        for (number, view) in request.views.enumerated() {
            let history = try StoredHistory(
                view.entry, number: number, journal: journal, position: request.position,
                through: loaded.latestMicros, connection)
            readers.append(ViewRows(history, view.features))
        }
        var entity: [UInt8]?
        var vector = FeatureVector()
        while true {
            let rows = try connection.query("FETCH \(ServiceLimits.trainingBatchRows) FROM historical_rows", [])
            for index in 0..<rows.rowCount {
                guard let line = try rows.int64(index, 0), let asOf = try rows.int64(index, 1),
                    let key = rows.withRaw(index, 2, { Array($0) })
                else { throw PostgresError.unexpectedResult(message: "a row of the upload with a null") }
                if key != entity {
                    entity = key
                    try context.check()
                    for reader in readers { try reader.begin(entity: key) }
                }
                try write(asOf: asOf, readers, &vector, into: cells, line: Int(line))
                context.advance()
            }
            if rows.rowCount < ServiceLimits.trainingBatchRows { return }
        }
    }

    private func write(
        asOf: Int64, _ readers: [ViewRows], _ vector: inout FeatureVector, into cells: RowCells, line: Int
    ) throws {
        var column = 0
        var reasons = JSONWriter()
        reasons.beginObject()
        cells.begin()
        for reader in readers {
            for value in reader.read(asOf: asOf, knownAt: request.knownAt.bound(asOf: asOf), &vector) {
                let about = request.featureColumns[column]
                column += 1
                if !about.isMasked { cells.append(value) }
                cells.endCell()
                if let reason = about.isMasked ? "masked" : value.nullReason?.rawValue {
                    reasons.key(about.name)
                    reasons.string(reason)
                }
            }
        }
        reasons.endObject()
        if request.wantsReasons { cells.append(json: reasons.bytes) }
        try cells.finish(line: line)
    }

    // MARK: Writing

    private func write(
        _ cells: RowCells, _ loaded: Loaded, _ context: JobContext, _ connection: PostgresConnection
    ) throws -> JobResult {
        let id = context.id
        let file = try store.begin(id)
        var isKept = false
        defer { store.settle(id, isKept: isKept) }
        let columns = request.columns(carried: loaded.carried)
        var line: [UInt8] = []
        for (index, column) in columns.enumerated() {
            if index > 0 { line.append(UInt8(ascii: ",")) }
            CSVText.append(column.name.utf8, to: &line)
        }
        line.append(UInt8(ascii: "\n"))
        try file.append(line)
        var reader = request.reader()
        var number = 0
        let add = { (row: EntityRow) throws(Problem) -> Void in
            line.removeAll(keepingCapacity: true)
            Self.append(row, to: &line)
            try cells.append(row: number, to: &line)
            line.append(UInt8(ascii: "\n"))
            try file.append(line)
            number += 1
        }
        try request.upload.read { (piece) throws(Problem) in
            try context.check()
            try reader.append(piece, add)
            return true
        }
        try reader.finish(add)
        var set = TrainingSet(
            id: id, name: request.name, version: 0,
            views: request.views.map {
                UsedVersion(name: $0.entry.definition.spec.name, version: $0.entry.definition.spec.version)
            },
            knownAt: request.knownAtText, position: request.position, columns: columns, rows: Int64(number),
            bytes: Int64(file.count), sha256: try file.finish(), createdMicros: clock.now(),
            createdBy: request.principal)
        try store.publish(id)
        // From here on only the commit decides: an error whose outcome is unknown leaves the file to the next sweep.
        do throws(PostgresError) {
            try set.insert(connection, journal: journal, job: id)
            isKept = true
        } catch {
            isKept = error.isUnknownOutcome
            throw error
        }
        return JobResult(
            link: "/v1/training-sets/\(id.text)",
            body: .members([
                "kind": .string(JobKind.historicalFeatures.rawValue), "training_set": .string(id.text),
                "rows": .integer(set.rows),
            ]))
    }

    private static func append(_ row: EntityRow, to line: inout [UInt8]) {
        for part in row.parts {
            CSVText.append(part.utf8, to: &line)
            line.append(UInt8(ascii: ","))
        }
        CSVText.append(row.asOfText.utf8, to: &line)
        line.append(UInt8(ascii: ","))
        for value in row.carried {
            switch value {
            case .null: break
            case .text(let text): CSVText.append(text.utf8, to: &line)
            case .raw(let bytes): CSVText.append(bytes, to: &line)
            }
            line.append(UInt8(ascii: ","))
        }
    }
}

/// The features of one view, entity after entity.
private final class ViewRows {
    private let history: StoredHistory
    private let definition: FeatureViewDefinition
    private var computation: FeatureComputation
    /// Where the wanted features are among all that are served; nil when what is computed is what is wanted.
    private let wanted: [Int]?

    /// - Parameter features: as `HistoricalRequest.View.features`.
    init(_ history: StoredHistory, _ features: [Int]) {
        self.history = history
        definition = history.view.definition
        // On-demand features may be made from any other.
        let stored = definition.spec.features.count
        let needsAll = features.contains { $0 >= stored }
        wanted = needsAll ? features : nil
        computation = FeatureComputation(history.view.view, features: needsAll ? nil : features)
    }

    /// Takes the events of the next entity.
    func begin(entity: [UInt8]) throws(PostgresError) {
        computation.reset()
        try history.events(of: entity) { computation.add($0) }
    }

    /// The wanted features; an on-demand one by the code that serves it, with the row's time as its present.
    func read(asOf: Int64, knownAt: KnownAt, _ vector: inout FeatureVector) -> [FeatureValue] {
        computation.read(asOf: asOf, knownAt: knownAt, into: &vector)
        guard let wanted else { return vector.values }
        var values = vector.values
        definition.onDemand.append(to: &values, asOf: asOf)
        return wanted.map { values[$0] }
    }
}

/// The computed cells of all rows, in a file without a name, found again by the row's number.
final class RowCells {
    private let file: BodyFile
    private var reservation: DiskReservation
    private var buffer: [UInt8] = []
    private var row: [UInt8] = []
    private var offsets: [UInt64]
    private var lengths: [UInt32]
    private var cell = JSONWriter()

    init(_ store: TrainingStore, rows: Int) throws(BodyFileError) {
        file = try BodyFile(temporaryIn: store.directory)
        reservation = DiskReservation(store.budget)
        offsets = Array(repeating: 0, count: rows)
        lengths = Array(repeating: 0, count: rows)
    }

    func begin() {
        row.removeAll(keepingCapacity: true)
    }

    /// Appends a value; null is nothing.
    func append(_ value: FeatureValue) {
        cell.removeAll()
        DecisionEncoding.write(value, to: &cell)
        CSVText.append(json: cell.bytes, to: &row)
    }

    /// Appends JSON as it is.
    func append(json: [UInt8]) {
        CSVText.append(json, to: &row)
        endCell()
    }

    func endCell() {
        row.append(UInt8(ascii: ","))
    }

    /// Keeps the row.
    func finish(line: Int) throws {
        if row.last == UInt8(ascii: ",") { row.removeLast() }
        offsets[line] = UInt64(file.count + buffer.count)
        lengths[line] = UInt32(row.count)
        buffer.append(contentsOf: row)
        if buffer.count >= ServiceLimits.trainingPieceBytes { try flush() }
    }

    private func flush() throws {
        try reservation.add(buffer.count)
        try buffer.withUnsafeBytes { try file.append($0) }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Appends the cells of a row to its line.
    func append(row: Int, to line: inout [UInt8]) throws(Problem) {
        let (offset, length) = (Int(offsets[row]), Int(lengths[row]))
        if offset >= file.count {
            line.append(contentsOf: buffer[(offset - file.count)..<(offset - file.count + length)])
            return
        }
        let start = line.count
        line.append(contentsOf: repeatElement(0, count: length))
        let got = line.withUnsafeMutableBytes { bytes in
            (try? file.read(UnsafeMutableRawBufferPointer(rebasing: bytes[start...]), at: offset)) ?? 0
        }
        guard got == length else {
            throw TrainingStore.unwritable
        }
    }
}
