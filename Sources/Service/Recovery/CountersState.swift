import JSON
import Journal
import Measures

extension QualityLedger {
    /// One contract's counters in one hour.
    struct SavedHour: Sendable {
        let contract: String
        let start: Int64
        let hour: Hour
    }

    /// Every hour of every contract, copied out of its cell.
    func capture() -> [SavedHour] {
        state.withLock { state in
            var hours: [SavedHour] = []
            for (contract, cells) in state.contracts {
                for (start, cell) in cells {
                    hours.append(SavedHour(contract: contract, start: start, hour: cell.hour))
                }
            }
            return hours
        }
    }

    /// Writes captured hours.
    static func encode<Store>(_ hours: [SavedHour], into sink: PartSink<Store>) throws(StorageError) {
        for saved in hours {
            try sink.record { writer in
                writer.text(saved.contract)
                writer.integer(saved.start)
                let hour = saved.hour
                for count in [
                    hour.accepted, hour.duplicates, hour.contentDiffers, hour.corrections, hour.retractions,
                ] {
                    writer.integer(Int64(count))
                }
                writer.integer(UInt32(hour.quarantined.count))
                for (code, count) in hour.quarantined {
                    writer.text(code)
                    writer.integer(Int64(count))
                }
                writer.integer(UInt32(hour.nulls.count))
                for count in hour.nulls { writer.integer(Int64(count)) }
                writer.integer(hour.lastEventMicros)
                writer.integer(hour.lastIngestMicros)
            }
        }
    }

    /// Reads one hour back.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let contract = try reader.text("saved quality")
        let start = try reader.integer(Int64.self, "saved quality")
        var hour = Hour(nulls: [])
        hour.accepted = try reader.number("saved quality")
        hour.duplicates = try reader.number("saved quality")
        hour.contentDiffers = try reader.number("saved quality")
        hour.corrections = try reader.number("saved quality")
        hour.retractions = try reader.number("saved quality")
        for _ in 0..<(try reader.integer(UInt32.self, "saved quality")) {
            hour.quarantined[try reader.text("saved quality")] = try reader.number("saved quality")
        }
        for _ in 0..<(try reader.integer(UInt32.self, "saved quality")) {
            hour.nulls.append(try reader.number("saved quality"))
        }
        hour.lastEventMicros = try reader.integer(Int64.self, "saved quality")
        hour.lastIngestMicros = try reader.integer(Int64.self, "saved quality")
        put(hour, contract: contract, start: start)
    }
}

extension MeasureRollups {
    private enum Record {
        static let measure: UInt8 = 0
        static let combination: UInt8 = 1
        static let row: UInt8 = 2
    }

    /// Every table; a copy on write.
    func capture() -> [String: [Entry]] { entries.withLock { $0 } }

    /// Writes captured tables: each a head, its combinations in the order of their admission, its rows.
    static func encode<Store>(_ entries: [String: [Entry]], into sink: PartSink<Store>) throws(StorageError) {
        for (name, entry) in entries.flatMap({ name, versions in versions.map { (name, $0) } }) {
            try sink.record { writer in
                writer.integer(Record.measure)
                writer.text(name)
                writer.integer(UInt32(entry.version))
            }
            let registry = entry.table.registry
            for number in 0..<registry.count {
                try sink.record { writer in
                    writer.integer(Record.combination)
                    writer.dimensions(registry.dimensions(number + 1))
                }
            }
            for row in entry.table.rows() {
                try sink.record { writer in
                    writer.integer(Record.row)
                    writer.integer(row.bucket)
                    writer.dimensions(row.dimensions)
                    writer.columns(row.state.columns)
                }
            }
        }
    }

    /// The measure whose records are being read back.
    struct Restoration {
        fileprivate var measure: MeasureDefinition?
        fileprivate var registry: DimensionRegistry?
        fileprivate var table: RollupTable?
    }

    /// Reads one record back; `restoration` is kept by the caller from record to record and closed with `finish`.
    /// Records about a version that does not compile are read past: nothing can ask for them any more.
    ///
    /// - Parameter measure: a version, in force or superseded.
    func restore(
        _ reader: inout ByteReader, _ restoration: inout Restoration,
        measure: (_ name: String, _ version: Int) -> MeasureDefinition?
    ) throws(FrameError) {
        switch try reader.integer(UInt8.self, "saved measure") {
        case Record.measure:
            finish(&restoration)
            let name = try reader.text("saved measure")
            let version = Int(try reader.integer(UInt32.self, "saved measure"))
            restoration.measure = measure(name, version)
            restoration.registry = restoration.measure.map { DimensionRegistry($0.measure) }
        case Record.combination:
            let dimensions = try reader.dimensions("saved combination")
            guard let measure = restoration.measure else { return }
            try Self.check(dimensions, measure)
            _ = restoration.registry?.admit(dimensions)
        case Record.row:
            let bucket = try reader.integer(Int64.self, "saved rollup")
            let dimensions = try reader.dimensions("saved rollup")
            guard let state = MeasureState(try reader.columns("saved rollup")) else {
                throw FrameError(what: "saved rollup")
            }
            guard let measure = restoration.measure else { return }
            try Self.check(dimensions, measure)
            Self.open(&restoration)
            restoration.table?.merge(RollupRow(bucket: bucket, dimensions: dimensions, state: state))
        default: throw FrameError(what: "saved measure")
        }
    }

    /// Takes over the measure that was read last.
    func finish(_ restoration: inout Restoration) {
        Self.open(&restoration)
        if let measure = restoration.measure, let table = restoration.table { put(table, of: measure) }
        restoration = Restoration()
    }

    /// Combinations come before rows: with the first row, or at the end, the table takes the registry over.
    private static func open(_ restoration: inout Restoration) {
        guard let measure = restoration.measure, let registry = restoration.registry else { return }
        restoration.registry = nil
        restoration.table = RollupTable(measure.measure, registry: registry)
    }

    private static func check(_ dimensions: [String?], _ measure: MeasureDefinition) throws(FrameError) {
        guard dimensions.count == measure.dimensions.count else { throw FrameError(what: "saved dimensions") }
    }
}

extension ByteWriter {
    fileprivate mutating func dimensions(_ values: [String?]) {
        integer(UInt16(values.count))
        for value in values { optionalText(value) }
    }

    fileprivate mutating func columns(_ columns: MeasureColumns) {
        for count in [
            columns.items, columns.count, columns.numerator, columns.leastBeyond, columns.greatestBeyond,
        ] {
            integer(count)
        }
        text(columns.sum)
        optionalText(columns.minimum)
        optionalText(columns.maximum)
        for occurrences in [columns.least, columns.greatest, columns.members] {
            integer(UInt32(occurrences.count))
            for occurrence in occurrences {
                text(occurrence.text)
                integer(occurrence.count)
            }
        }
        for flag in [columns.isOverflow, columns.isCrowded, columns.isCorrected, columns.isUnmatched] {
            integer(UInt8(flag ? 1 : 0))
        }
    }
}

extension ByteReader {
    fileprivate mutating func dimensions(_ what: StaticString) throws(FrameError) -> [String?] {
        var values: [String?] = []
        for _ in 0..<(try integer(UInt16.self, what)) { values.append(try optionalText(what)) }
        return values
    }

    fileprivate mutating func columns(_ what: StaticString) throws(FrameError) -> MeasureColumns {
        var counts: [Int64] = []
        for _ in 0..<5 { counts.append(try integer(Int64.self, what)) }
        let sum = try text(what)
        let (minimum, maximum) = (try optionalText(what), try optionalText(what))
        let (least, greatest) = (try occurrences(what), try occurrences(what))
        let members = try occurrences(what)
        var flags: [Bool] = []
        for _ in 0..<4 { flags.append(try integer(UInt8.self, what) != 0) }
        return MeasureColumns(
            items: counts[0], count: counts[1], numerator: counts[2], sum: sum, minimum: minimum, maximum: maximum,
            least: least, leastBeyond: counts[3], greatest: greatest, greatestBeyond: counts[4], members: members,
            isOverflow: flags[0], isCrowded: flags[1], isCorrected: flags[2], isUnmatched: flags[3])
    }

    private mutating func occurrences(_ what: StaticString) throws(FrameError) -> [MeasureColumns.Occurrence] {
        var occurrences: [MeasureColumns.Occurrence] = []
        for _ in 0..<(try integer(UInt32.self, what)) {
            occurrences.append(.init(try text(what), try integer(Int64.self, what)))
        }
        return occurrences
    }
}
