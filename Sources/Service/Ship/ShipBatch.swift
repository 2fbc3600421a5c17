import JSON
import Journal
import Measures
import Postgres

/// The rows of one shipped transaction, built from frames in seq order.
struct ShipBatch {
    private(set) var events = CopyTextWriter(capacityBytes: 1 << 20)
    private(set) var corrections = CopyTextWriter(capacityBytes: 1 << 12)
    private(set) var decisions = CopyTextWriter(capacityBytes: 1 << 16)
    private(set) var outcomes = CopyTextWriter(capacityBytes: 1 << 12)
    private(set) var access = CopyTextWriter(capacityBytes: 1 << 12)
    private(set) var quarantine = CopyTextWriter(capacityBytes: 1 << 12)
    private(set) var rollups = CopyTextWriter(capacityBytes: 1 << 14)
    private(set) var keys: [(seq: UInt64, key: KeyFrame)] = []
    private(set) var activations: [(seq: UInt64, activation: ActivationFrame)] = []
    private(set) var stages: [(seq: UInt64, stage: ModelStageFrame)] = []
    /// Outcomes whose decision was not known when they were accepted.
    private(set) var unresolved: [(seq: UInt64, outcome: OutcomeFrame)] = []
    private(set) var frames = 0
    private(set) var firstSeq: UInt64 = 0
    private(set) var lastSeq: UInt64 = 0
    /// Where the last frame lies.
    private(set) var lastPosition: JournalPosition?
    /// The oldest and the newest time of a row, for partitions.
    private(set) var oldestMicros = Int64.max
    private(set) var newestMicros = Int64.min
    /// Ingest times of the events with how many followed each other with the same one, for latencies.
    private(set) var ingestRuns: [IngestRun] = []
    private(set) var unreadable = 0
    private let journal: UInt128
    private let parser = JSONParser()
    /// For the event that a correction supersedes, beside the correction's own.
    private let supersededParser = JSONParser()
    private var slots = StreamSlots()
    private var recordHead: [UInt8] = []
    private var tables: [MeasureFold] = []
    /// The contract of the last event, and which folds take its events.
    private var contract: (name: String, folds: [Int])?

    /// Columns of the tables, in the order written.
    static let eventTarget = CopyTarget(
        schema: "decisiond", table: "event",
        columns: [
            "journal_id", "seq", "ingest_us", "event_us", "contract", "contract_version", "source", "id", "type",
            "subject", "data", "extensions",
        ])
    /// Corrections apart, so that ordinary events do not carry empty columns.
    static let correctionTarget = CopyTarget(
        schema: "decisiond", table: "event",
        columns: eventTarget.columns + ["corrects", "corrects_seq", "retracts"])
    static let decisionTarget = CopyTarget(
        schema: "decisiond", table: "decision_record",
        columns: [
            "journal_id", "seq", "decided_us", "id", "decision", "version", "entity", "outputs", "fallback_step",
            "record", "principal",
        ])
    static let outcomeTarget = CopyTarget(
        schema: "decisiond", table: "outcome",
        columns: [
            "journal_id", "seq", "ingest_us", "event_us", "source", "id", "kind", "decision_id", "value", "principal",
        ])
    static let accessTarget = CopyTarget(
        schema: "decisiond", table: "access_log",
        columns: [
            "journal_id", "seq", "at_us", "principal", "action", "resource_type", "resource_id", "effect", "masked",
        ])
    static let quarantineTarget = CopyTarget(
        schema: nil, table: "quarantine_stage",
        columns: [
            "key", "code", "class", "pointer", "message", "contract", "source", "id", "raw", "count", "first_seen_us",
            "last_seen_us", "state", "journal_id", "seq", "principal",
        ])
    static let rollupTarget = CopyTarget(
        schema: nil, table: "rollup_stage",
        columns: [
            "measure", "version", "bucket_us", "dimensions", "journal_id", "count", "sum", "min", "max", "through_seq",
            "is_absolute", "is_corrected",
        ])

    /// - Parameters:
    ///   - journal: the journal's id.
    ///   - tables: one fold per measure version that may be active in the batch.
    init(journal: UInt128, tables: [MeasureFold]) {
        self.journal = journal
        self.tables = tables
    }

    /// Adds a frame.
    mutating func add(_ frame: JournalFrame) {
        if frames == 0 { firstSeq = frame.seq }
        lastSeq = frame.seq
        lastPosition = frame.position
        frames += 1
        do throws(FrameError) {
            switch FrameType(rawValue: frame.type) {
            case .event: try addEvent(EventFrame.decode(frame.payload), frame.seq)
            case .correction: try addCorrection(CorrectionFrame.decode(frame.payload), frame.seq)
            case .quarantine: try addQuarantine(QuarantineFrame.decode(frame.payload), frame.seq)
            case .decision: try addDecision(DecisionFrame.decode(frame.payload), frame.seq)
            case .outcome: try addOutcome(OutcomeFrame.decode(frame.payload), frame.seq)
            // The outcome is where it belongs by now; it counts from here on.
            case .outcomeVerdict:
                let verdict = try OutcomeVerdictFrame.decode(frame.payload)
                if let decision = verdict.decision { try count(verdict.outcome, of: decision, frame.seq) }
            case .access: try addAccess(AccessFrame.decode(frame.payload), frame.seq)
            case .key: keys.append((frame.seq, try KeyFrame.decode(frame.payload)))
            case .activation: activations.append((frame.seq, try ActivationFrame.decode(frame.payload)))
            case .parity: try addParity(ParityFrame.decode(frame.payload), frame.seq)
            case .modelStage: stages.append((frame.seq, try ModelStageFrame.decode(frame.payload)))
            // Counted in memory only; that a view is ready follows from what is stored.
            case .duplicates, .viewReady: break
            case nil: unreadable += 1
            }
        } catch {
            unreadable += 1
        }
    }

    private mutating func addEvent(_ event: EventFrame, _ seq: UInt64) throws(FrameError) {
        guard let root = try? parser.parse(event.raw) else { throw FrameError(what: "event bytes") }
        Self.write(event, root, journal, seq, to: &events)
        events.endRow()
        accepted(event)
        for index in folds(of: event.contract) {
            tables[index].add(root, timeMicros: event.eventMicros, seq: seq, &slots)
        }
    }

    private mutating func addCorrection(_ frame: CorrectionFrame, _ seq: UInt64) throws(FrameError) {
        let event = frame.event
        guard let root = try? parser.parse(event.raw) else { throw FrameError(what: "correction bytes") }
        var superseded: JSONValue?
        if !frame.supersededRaw.isEmpty {
            superseded = try? supersededParser.parse(frame.supersededRaw)
            if superseded == nil { throw FrameError(what: "superseded bytes") }
        }
        Self.write(event, root, journal, seq, to: &corrections)
        corrections.text(utf8: frame.corrects.bindMemory(to: UInt8.self))
        corrections.integer(Int64(frame.supersededSeq))
        corrections.boolean(frame.isRetraction)
        corrections.endRow()
        accepted(event)
        for index in folds(of: event.contract) {
            tables[index].correct(
                removing: superseded.map { ($0, frame.supersededEventMicros, frame.supersededSeq) },
                adding: frame.isRetraction ? nil : (root, event.eventMicros), seq: seq, &slots)
        }
    }

    private mutating func accepted(_ event: EventFrame) {
        note(event.ingestMicros)
        ingestRuns.add(event.ingestMicros)
    }

    private mutating func note(_ micros: Int64) {
        oldestMicros = min(oldestMicros, micros)
        newestMicros = max(newestMicros, micros)
    }

    /// Which folds count events of a contract; looked up anew only when the contract changes.
    private mutating func folds(of bytes: UnsafeRawBufferPointer) -> [Int] {
        if let contract, contract.name.equals(utf8: bytes) { return contract.folds }
        let name = String(decoding: bytes, as: UTF8.self)
        let folds = tables.indices.filter { index in
            if case .contract(name) = tables[index].measure.stream { true } else { false }
        }
        contract = (name, folds)
        return folds
    }

    /// Writes the columns that all events have. Static: a method of the batch would hold a second reference to the rows, and
    /// each event would copy them all.
    private static func write(
        _ event: EventFrame, _ root: JSONValue, _ journal: UInt128, _ seq: UInt64, to rows: inout CopyTextWriter
    ) {
        rows.uuid(journal)
        rows.integer(Int64(seq))
        rows.integer(event.ingestMicros)
        rows.integer(event.eventMicros)
        rows.text(utf8: event.contract.bindMemory(to: UInt8.self))
        rows.integer(Int64(event.contractVersion))
        rows.text(utf8: event.source.bindMemory(to: UInt8.self))
        rows.text(utf8: event.id.bindMemory(to: UInt8.self))
        rows.text(utf8: event.type.bindMemory(to: UInt8.self))
        if event.subject.isEmpty { rows.null() } else { rows.text(utf8: event.subject.bindMemory(to: UInt8.self)) }
        if let data = root["data"] { rows.text(utf8: data.raw) } else { rows.null() }
        if let extensions = Self.extensions(root) { rows.text(utf8: extensions) } else { rows.null() }
    }

    private static func isAttribute(_ member: JSONMember) -> Bool {
        for name in attributes where member.keyEquals(name) { return true }
        return false
    }

    /// Attributes with a column or a meaning of their own; everything else is an extension.
    private static let attributes: [StaticString] = [
        "specversion", "id", "source", "type", "subject", "time", "data", "datacontenttype", "dataschema",
        "data_base64", "corrects",
    ]

    private static func extensions(_ root: JSONValue) -> [UInt8]? {
        var writer: JSONWriter?
        for member in root.members where !isAttribute(member) {
            if writer == nil {
                writer = JSONWriter()
                writer?.beginObject()
            }
            writer?.key(member.key)
            writer?.raw(member.value)
        }
        writer?.endObject()
        return writer?.bytes
    }

    private mutating func addDecision(_ frame: DecisionFrame, _ seq: UInt64) throws(FrameError) {
        let record = try frame.head(parser, &recordHead)
        note(frame.decidedMicros)
        decisions.uuid(journal)
        decisions.integer(Int64(seq))
        decisions.integer(frame.decidedMicros)
        decisions.uuid(frame.id.uint128)
        decisions.text(utf8: frame.decision.bindMemory(to: UInt8.self))
        decisions.integer(Int64(frame.version))
        if frame.entity.isEmpty {
            decisions.null()
        } else {
            decisions.text(utf8: frame.entity.bindMemory(to: UInt8.self))
        }
        let result = record["result"]
        if let outputs = result?["outputs"] { decisions.text(utf8: outputs.raw) } else { decisions.null() }
        decisions.integer(result?["fallback"]?["step"]?.int64)
        decisions.text(utf8: frame.record.bindMemory(to: UInt8.self))
        decisions.text(record["principal"]?.string)
        decisions.endRow()
        for index in tables.indices {
            guard case .decisions = tables[index].measure.stream else { continue }
            tables[index].add(record, timeMicros: frame.decidedMicros, seq: seq, &slots)
        }
    }

    private mutating func addParity(_ frame: ParityFrame, _ seq: UInt64) throws(FrameError) {
        for (stream, json) in frame.items() {
            guard let item = try? json.withUnsafeBytes({ try parser.parse($0) }) else {
                throw FrameError(what: "parity item")
            }
            for index in tables.indices where tables[index].measure.stream == stream {
                tables[index].add(item, timeMicros: frame.atMicros, seq: seq, &slots)
            }
        }
    }

    private mutating func addOutcome(_ frame: OutcomeFrame, _ seq: UInt64) throws(FrameError) {
        guard let tree = try? JSONTree(parsing: frame.body) else { throw FrameError(what: "outcome body") }
        note(frame.atMicros)
        outcomes.uuid(journal)
        outcomes.integer(Int64(seq))
        outcomes.integer(frame.atMicros)
        outcomes.integer(tree["occurred_at"]?.string.flatMap { Timestamp.parse($0) } ?? frame.atMicros)
        outcomes.text("decisiond")
        outcomes.text(frame.id.text)
        outcomes.text(tree["name"]?.string ?? "outcome")
        outcomes.uuid(frame.decisionID.uint128)
        outcomes.text(utf8: frame.body)
        outcomes.text(frame.principal)
        outcomes.endRow()
        switch frame.subject {
        case .notRecorded: break
        case .known(let decision): try count(frame, of: decision, seq)
        case .unresolved: unresolved.append((seq, frame))
        }
    }

    private mutating func count(
        _ outcome: OutcomeFrame, of decision: DecisionReference, _ seq: UInt64
    ) throws(FrameError) {
        let folds = tables.indices.filter { if case .outcomes = tables[$0].measure.stream { true } else { false } }
        if folds.isEmpty { return }
        try outcome.withItem(of: decision, parser) { item in
            for index in folds { tables[index].add(item, timeMicros: decision.decidedMicros, seq: seq, &slots) }
        }
    }

    private mutating func addAccess(_ frame: AccessFrame, _ seq: UInt64) throws(FrameError) {
        note(frame.atMicros)
        access.uuid(journal)
        access.integer(Int64(seq))
        access.integer(frame.atMicros)
        access.text(frame.principal)
        access.text(frame.action)
        access.text(frame.resourceType)
        access.text(frame.resourceID)
        access.text(frame.permitted ? "permit" : "forbid")
        access.text(utf8: frame.body)
        access.endRow()
    }

    private mutating func addQuarantine(_ frame: QuarantineFrame, _ seq: UInt64) throws(FrameError) {
        Self.write(frame, raw: frame.raw, journal: journal, seq: seq, into: &quarantine)
    }

    /// Writes a row of the quarantine's stage.
    static func write(
        _ frame: QuarantineFrame, raw: [UInt8], journal: UInt128, seq: UInt64, into rows: inout CopyTextWriter
    ) {
        rows.binary(frame.key)
        rows.text(frame.code)
        rows.text(frame.violationClass)
        rows.text(frame.pointer)
        rows.text(frame.message)
        rows.text(frame.contract)
        rows.text(frame.source)
        rows.text(frame.id)
        rows.binary(raw)
        rows.integer(1)
        rows.integer(frame.ingestMicros)
        rows.integer(frame.ingestMicros)
        rows.text("open")
        rows.uuid(journal)
        rows.integer(Int64(seq))
        rows.text(frame.principal)
        rows.endRow()
    }

    /// Writes what the batch adds to the rollups; called once, after the last frame.
    mutating func foldRollups() {
        for fold in tables {
            let aggregate = fold.measure.aggregate
            for row in fold.table.rows() {
                let columns = row.state.columns
                // What was taken back, now or before, may have been the smallest or largest: memory knows what is.
                let whole = aggregate == .min || aggregate == .max ? fold.whole(row.bucket, row.dimensions) : nil
                let isCorrected = row.state.isCorrected || whole?.isCorrected ?? false
                let extremes = isCorrected ? whole : row.state
                rollups.text(fold.measure.name)
                rollups.integer(Int64(fold.measure.version))
                rollups.integer(row.bucket)
                rollups.text(Self.dimensions(fold.measure, row.dimensions))
                rollups.uuid(journal)
                rollups.integer(columns.count)
                rollups.text(aggregate == .ratio ? String(columns.numerator) : columns.sum)
                rollups.text(extremes?.minimum?.description)
                rollups.text(extremes?.maximum?.description)
                rollups.integer(Int64(lastSeq))
                rollups.boolean(false)
                rollups.boolean(isCorrected)
                rollups.endRow()
            }
        }
    }

    /// Dimension values as the canonical JSON object that the rollup table keys by.
    static func dimensions(_ measure: MeasureDefinition, _ values: [String?]) -> String {
        var members: [JSONTree.Member] = []
        for (dimension, value) in zip(measure.dimensions, values) {
            members.append(JSONTree.Member(key: dimension.name, value: value.map(JSONTree.string) ?? .null))
        }
        return String(decoding: JSONTree.object(members).canonicalBytes, as: UTF8.self)
    }
}

/// One measure version folded over one batch.
struct MeasureFold {
    let measure: MeasureDefinition
    /// Positions in which the version counts.
    let fromSeq: UInt64
    let toSeq: UInt64?
    var table: RollupTable
    /// Memory's row of a bucket and dimension values, which may be ahead of the batch; nil when it has none. Being ahead does
    /// no harm: what it has seen already is folded in again, which changes no extreme, or takes back again.
    let whole: @Sendable (_ bucket: Int64, _ dimensions: [String?]) -> MeasureState?

    /// Adds an item if the version was in force at its position.
    mutating func add(_ item: JSONValue, timeMicros: Int64, seq: UInt64, _ slots: inout StreamSlots) {
        guard seq > fromSeq, seq < toSeq ?? .max, let part = measure.contribution(of: item, &slots) else { return }
        table.add(timeMicros: timeMicros, dimensions: part.dimensions, operand: part.operand, passes: part.pass)
    }

    /// Takes back what a correction supersedes, if it was counted, and adds what stands in its place.
    mutating func correct(
        removing old: (item: JSONValue, timeMicros: Int64, seq: UInt64)?,
        adding new: (item: JSONValue, timeMicros: Int64)?, seq: UInt64, _ slots: inout StreamSlots
    ) {
        guard seq > fromSeq, seq < toSeq ?? .max else { return }
        if let old, old.seq > fromSeq, let part = measure.contribution(of: old.item, &slots) {
            table.removeFromDelta(
                timeMicros: old.timeMicros, dimensions: part.dimensions, operand: part.operand, passes: part.pass)
        }
        if let new { add(new.item, timeMicros: new.timeMicros, seq: seq, &slots) }
    }
}
