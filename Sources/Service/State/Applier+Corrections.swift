import Features
import JSON

extension Applier {
    /// Applies a correction: what it supersedes is taken back, what it carries stands in its place.
    func applyCorrection(_ frame: CorrectionFrame, seq: UInt64) throws(FrameError) {
        let contractName = String(decoding: frame.event.contract, as: UTF8.self)
        noteTimes(of: frame.event, contractName)
        guard let contract = current.contracts[contractName] else { return }
        guard let root = try? parser.parse(frame.event.raw) else { throw FrameError(what: "correction bytes") }
        var superseded: JSONValue?
        if !frame.supersededRaw.isEmpty {
            superseded = try? supersededParser.parse(frame.supersededRaw)
            if superseded == nil { throw FrameError(what: "superseded bytes") }
        }
        let replacement = frame.isRetraction ? nil : root
        if contract.isReference {
            correctReference(contract, frame, superseded, replacement)
        }
        if let feeds = current.feeds[contractName] {
            for view in feeds.views { correct(view, frame, superseded, replacement, seq: seq) }
            applyChanges()
            for measure in feeds.measures { correct(measure, frame, superseded, replacement) }
        }
        state.quality.addCorrection(contract, replacement, frame.event)
        closeQuarantine(of: frame.event)
    }

    private func correct(
        _ view: ViewEntry, _ frame: CorrectionFrame, _ superseded: JSONValue?, _ replacement: JSONValue?, seq: UInt64
    ) {
        let definition = view.definition
        let old = superseded.flatMap { root in
            definition.entity(of: root, type: frame.supersededType).map { entity in
                SupersededEvent(entity: entity, time: frame.supersededEventMicros, seq: Int64(frame.supersededSeq))
            }
        }
        let event = replacement.flatMap { root in
            definition.entity(of: root, type: frame.event.type).map { entity in
                definition.event(of: root, frame.event, entity: entity, seq: seq)
            }
        }
        let end = Supersession(seq: Int64(seq), ingestTime: frame.event.ingestMicros)
        changes.append(FeatureChange(view: view.index, superseded: old.map { ($0, end) }, event: event))
    }

    private func correct(
        _ measure: MeasureDefinition, _ frame: CorrectionFrame, _ superseded: JSONValue?, _ replacement: JSONValue?
    ) {
        // A version counts what came after its activation: an earlier event was never part of it.
        let isCounted = state.history.countsFrom(measure) < frame.supersededSeq
        let old = isCounted ? superseded.flatMap { contribution(measure, of: $0) } : nil
        let new = replacement.flatMap { contribution(measure, of: $0) }
        state.rollups.correct(
            measure, removing: old.map { ($0, frame.supersededEventMicros) },
            adding: new.map { ($0, frame.event.eventMicros) })
    }

    private func correctReference(
        _ contract: ContractEntry, _ frame: CorrectionFrame, _ superseded: JSONValue?, _ replacement: JSONValue?
    ) {
        let old = superseded.flatMap { contract.key(of: $0) }
        var row: (key: String, row: JSONTree)?
        if let replacement, let key = contract.key(of: replacement), let data = replacement["data"] {
            row = (key, data.tree())
        }
        state.references.correct(
            table: contract.name, removing: old.map { ($0, frame.supersededEventMicros) },
            adding: row.map { ($0.key, $0.row, frame.event.eventMicros) })
    }
}

extension DefinitionHistory {
    /// Position of the activation of a measure's version.
    fileprivate func countsFrom(_ measure: MeasureDefinition) -> UInt64 {
        let key = DefinitionKey(kind: .measure, name: measure.name)
        return entry(key, version: measure.version)?.fromSeq ?? 0
    }
}
