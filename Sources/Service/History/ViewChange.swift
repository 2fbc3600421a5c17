import Features
import JSON
import Journal

/// What one frame of the journal, or its row in PostgreSQL, means for a feature view.
enum ViewChange: Sendable {
    /// One more event.
    case event(FeatureEvent)
    /// An earlier event is ended, and another may stand in its place.
    case correction(old: SupersededEvent?, by: Supersession, with: FeatureEvent?)

    /// The event that it adds.
    var event: FeatureEvent? {
        switch self {
        case .event(let event): event
        case .correction(_, _, let event): event
        }
    }
}

extension FeatureStore {
    /// Adds what a back-fill brings to a view.
    func apply(view index: Int, _ change: ViewChange) {
        switch change {
        case .event(let event): _ = apply(view: index, event)
        case .correction(let old, let end, let event): _ = correct(view: index, old, by: end, with: event)
        }
    }
}

/// Reads a view's events from the journal. For one thread.
struct TailReader {
    private let reader: JournalReader<PosixStorage>
    private let parser = JSONParser()

    init(_ journal: ServiceJournal) {
        reader = journal.makeReader()
    }

    /// What the frames of positions (after, through] mean for a view, as many as one page takes.
    ///
    /// - Returns: the changes in order, and the position up to which the page goes.
    mutating func page(
        _ view: FeatureViewDefinition, after: Int64, through: Int64
    ) throws(JournalError) -> (changes: [ViewChange], through: Int64) {
        var changes: [ViewChange] = []
        let parser = parser
        let progress = try reader.read(
            from: UInt64(after) + 1, maxFrames: min(Int(through - after), ServiceLimits.fillFramesMax),
            maxBytes: ServiceLimits.historyReadBytes
        ) { frame in
            if let change = Self.change(frame, view, parser) { changes.append(change) }
        }
        return (changes, Int64(progress.nextSeq) - 1)
    }

    private static func change(
        _ frame: JournalFrame, _ view: FeatureViewDefinition, _ parser: JSONParser
    ) -> ViewChange? {
        switch FrameType(rawValue: frame.type) {
        case .event:
            guard let event = try? EventFrame.decode(frame.payload) else { return nil }
            return Self.event(event, frame.seq, view, parser).map(ViewChange.event)
        case .correction:
            guard let correction = try? CorrectionFrame.decode(frame.payload),
                correction.event.contract.elementsEqual(view.spec.contract.utf8)
            else { return nil }
            var old: SupersededEvent?
            if !correction.supersededRaw.isEmpty, let root = try? parser.parse(correction.supersededRaw),
                let entity = view.entity(of: root, type: correction.supersededType)
            {
                old = SupersededEvent(
                    entity: entity, time: correction.supersededEventMicros, seq: Int64(correction.supersededSeq))
            }
            let event = correction.isRetraction ? nil : Self.event(correction.event, frame.seq, view, parser)
            let end = Supersession(seq: Int64(frame.seq), ingestTime: correction.event.ingestMicros)
            return .correction(old: old, by: end, with: event)
        default: return nil
        }
    }

    private static func event(
        _ frame: EventFrame, _ seq: UInt64, _ view: FeatureViewDefinition, _ parser: JSONParser
    ) -> FeatureEvent? {
        guard frame.contract.elementsEqual(view.spec.contract.utf8), let root = try? parser.parse(frame.raw),
            let entity = view.entity(of: root, type: frame.type)
        else { return nil }
        return view.event(of: root, frame, entity: entity, seq: seq)
    }
}
