import Contracts
import Features
import JSON
import Journal
import Synchronization

/// Applies frames to memory, in seq order, on one thread: the journal's, or the one that recovers it.
///
/// The same code runs live and at recovery, so memory after a restart is what it was. It never decides anything: the
/// frame holds the outcome.
///
/// SAFETY: `@unchecked Sendable` because the journal calls its observer, and so this, from one thread only; recovery ends
/// before that thread starts.
final class Applier: @unchecked Sendable {
    let state: ServiceState
    let parser = JSONParser()
    /// For the event that a correction supersedes, beside the correction's own.
    let supersededParser = JSONParser()
    private(set) var slots = StreamSlots()
    private var recordHead: [UInt8] = []
    /// Called with a batch of activations: gives the snapshot that they make.
    private let compile: @Sendable (_ history: DefinitionHistory, _ previous: Snapshot) -> Snapshot
    private var isStale = false
    private(set) var current: Snapshot
    /// Whether ingest times are kept for latencies: live they are, at recovery not.
    var keepsIngestRuns = false
    private var ingestRuns: [IngestRun] = []
    /// What the frame at hand changes in the views: all of it becomes visible together.
    var changes: [FeatureChange] = []
    /// Views whose `view ready` frame was applied: after a recovery they are to be filled again.
    private(set) var filled: Set<String> = []
    /// Views activated since the last snapshot that miss nothing.
    private var whole: [String] = []
    /// Frames that did not decode; none in good order.
    let unreadable = Atomic<UInt64>(0)

    init(
        state: ServiceState,
        compile: @escaping @Sendable (_ history: DefinitionHistory, _ previous: Snapshot) -> Snapshot
    ) {
        self.state = state
        self.compile = compile
        current = state.snapshot
    }

    /// Applies one frame.
    func apply(seq: UInt64, type: UInt8, payload: UnsafeRawBufferPointer, position: JournalPosition) {
        guard let type = FrameType(rawValue: type) else {
            unreadable.wrappingAdd(1, ordering: .relaxed)
            return
        }
        if isStale && type != .activation { refresh() }
        state.marks.see(seq: seq, at: position)
        do {
            switch type {
            case .event: try applyEvent(EventFrame.decode(payload), seq: seq)
            case .correction: try applyCorrection(CorrectionFrame.decode(payload), seq: seq)
            case .quarantine: try applyQuarantine(QuarantineFrame.decode(payload), seq: seq)
            case .duplicates: state.quality.add(try DuplicatesFrame.decode(payload))
            case .decision: try applyDecision(DecisionFrame.decode(payload), seq: seq, position: position)
            case .outcome: try applyOutcome(OutcomeFrame.decode(payload), seq: seq, position: position)
            case .outcomeVerdict: try applyVerdict(OutcomeVerdictFrame.decode(payload), seq: seq)
            case .access: state.accessLog.add(try AccessFrame.decode(payload), seq: seq)
            case .activation: try applyActivation(ActivationFrame.decode(payload), seq: seq)
            case .key: state.apply(try KeyFrame.decode(payload))
            case .viewReady: applyViewReady(try ViewReadyFrame.decode(payload), seq: seq)
            case .parity: try applyParity(ParityFrame.decode(payload))
            case .modelStage: try state.registry.apply(ModelStageFrame.decode(payload), seq: seq)
            }
        } catch {
            unreadable.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// Ends a group: whatever was activated is in force, and readers see the new position.
    func finish(through seq: UInt64) {
        if isStale { refresh() }
        state.features.advance(to: Int64(seq))
        state.appliedSeq.store(seq, ordering: .releasing)
    }

    /// Hands over the ingest times of the events applied since the last call.
    func takeIngestRuns() -> [IngestRun] {
        defer { ingestRuns.removeAll(keepingCapacity: true) }
        return ingestRuns
    }

    /// Puts restored definitions in force, before anything that refers to them is restored.
    func definitionsRestored() { refresh() }

    /// Puts a snapshot in force beside the order of frames; while none is applied.
    func replace(_ snapshot: Snapshot) {
        current = snapshot
        state.install(snapshot)
    }

    /// Compiles the definitions again: what they need has come. While no frame is applied.
    func recompile() { refresh() }

    private func refresh() {
        isStale = false
        current = compile(state.history, current)
        state.install(current)
        for name in whole {
            if let view = current.views[name] { state.features.filled(view: view.index) }
        }
        whole = []
    }

    private func applyEvent(_ event: EventFrame, seq: UInt64) throws(FrameError) {
        let contractName = String(decoding: event.contract, as: UTF8.self)
        noteTimes(of: event, contractName)
        guard let contract = current.contracts[contractName] else { return }
        guard let root = try? parser.parse(event.raw) else { throw FrameError(what: "event bytes") }
        if contract.isReference {
            applyReference(root, contract, event)
        }
        if let feeds = current.feeds[contractName] {
            for view in feeds.views { feed(view, root, event, seq: seq) }
            applyChanges()
            for measure in feeds.measures {
                state.rollups.add(measure, root, timeMicros: event.eventMicros, &slots)
            }
        }
        state.quality.addAccepted(contract, root, event)
        closeQuarantine(of: event)
    }

    /// The clocks of an accepted event's source, and its ingest time for latencies.
    func noteTimes(of event: EventFrame, _ contract: String) {
        if keepsIngestRuns { ingestRuns.add(event.ingestMicros) }
        state.sources.add(
            source: event.source, contract: contract, eventMicros: event.eventMicros, ingestMicros: event.ingestMicros)
    }

    /// An event was accepted: whatever was quarantined under its identity is settled.
    func closeQuarantine(of event: EventFrame) {
        guard state.quarantine.hasIdentities else { return }
        state.quarantine.close(
            source: String(decoding: event.source, as: UTF8.self), id: String(decoding: event.id, as: UTF8.self))
    }

    private func applyReference(_ root: JSONValue, _ contract: ContractEntry, _ event: EventFrame) {
        guard let key = contract.key(of: root), let data = root["data"] else { return }
        state.references.upsert(table: contract.name, key: key, row: data.tree(), eventMicros: event.eventMicros)
    }

    private func feed(_ view: ViewEntry, _ root: JSONValue, _ event: EventFrame, seq: UInt64) {
        guard let entity = view.definition.entity(of: root, type: event.type) else { return }
        changes.append(
            FeatureChange(
                view: view.index, event: view.definition.event(of: root, event, entity: entity, seq: seq)))
    }

    /// Applies what was collected for one frame.
    func applyChanges() {
        if changes.isEmpty { return }
        state.features.apply(changes)
        changes.removeAll(keepingCapacity: true)
    }

    /// What an item adds to a measure; nil when it is no part of it.
    func contribution(_ measure: MeasureDefinition, of item: JSONValue) -> MeasureContribution? {
        measure.contribution(of: item, &slots)
    }

    private func applyQuarantine(_ frame: QuarantineFrame, seq: UInt64) throws(FrameError) {
        state.quarantine.add(frame, seq: seq)
        state.quality.add(frame)
        if let source = frame.source { state.sources.addRefused(source: source, code: frame.code) }
    }

    private func applyDecision(_ frame: DecisionFrame, seq: UInt64, position: JournalPosition) throws(FrameError) {
        state.decisionsApplied.wrappingAdd(1, ordering: .relaxed)
        state.records.add(frame.id, at: position, seq: seq)
        if let claim = frame.claim {
            state.idempotency.complete(
                claim, DurableEffect(position: position, id: frame.id), atMicros: frame.decidedMicros)
        }
        guard !current.decisionMeasures.isEmpty else { return }
        let record = try frame.head(parser, &recordHead)
        for measure in current.decisionMeasures {
            state.rollups.add(measure, record, timeMicros: frame.decidedMicros, &slots)
        }
    }

    private func applyParity(_ frame: ParityFrame) throws(FrameError) {
        for (stream, json) in frame.items() {
            guard let item = try? json.withUnsafeBytes({ try parser.parse($0) }) else {
                throw FrameError(what: "parity item")
            }
            for measure in current.parityMeasures where measure.stream == stream {
                state.rollups.add(measure, item, timeMicros: frame.atMicros, &slots)
            }
        }
    }

    private func applyOutcome(_ frame: OutcomeFrame, seq: UInt64, position: JournalPosition) throws(FrameError) {
        state.records.add(frame, seq: seq)
        if let claim = frame.claim {
            state.idempotency.complete(
                claim, DurableEffect(position: position, id: frame.id), atMicros: frame.atMicros)
        }
        if case .known(let decision) = frame.subject { try count(frame, of: decision) }
    }

    private func applyVerdict(_ frame: OutcomeVerdictFrame, seq: UInt64) throws(FrameError) {
        guard state.records.resolved(frame.outcomeSeq) else { return }
        if let decision = frame.decision {
            try count(frame.outcome, of: decision)
        } else {
            state.quarantine.show(frame.outcome.quarantineEntry(atMicros: frame.atMicros), seq: frame.outcomeSeq)
        }
    }

    /// Adds an outcome to the measures over outcomes, at the time of its decision.
    private func count(_ outcome: OutcomeFrame, of decision: DecisionReference) throws(FrameError) {
        guard !current.outcomeMeasures.isEmpty else { return }
        try outcome.withItem(of: decision, parser) { item in
            for measure in current.outcomeMeasures {
                state.rollups.add(measure, item, timeMicros: decision.decidedMicros, &slots)
            }
        }
    }

    private func applyActivation(_ frame: ActivationFrame, seq: UInt64) throws(FrameError) {
        guard let kind = DefinitionKind(rawValue: frame.kind) else { throw FrameError(what: "activation kind") }
        let key = DefinitionKey(kind: kind, name: frame.name)
        if frame.isRetired {
            state.history.retire(key, seq: seq, atMicros: frame.atMicros)
        } else {
            guard let document = try? JSONTree(parsing: frame.body),
                let definition = Definition(document, at: "", ProblemList(), version: Int(frame.version))
            else { throw FrameError(what: "activation body") }
            state.history.activate(definition, frame, seq: seq)
            // A view of a contract without any event so far misses nothing: it is servable at once.
            if kind == .featureView, let contract = definition.spec["contract"]?.string,
                state.quality.newestEventMicros(contract) == nil
            {
                state.history.set(.fromTheStart, view: frame.name, version: definition.version)
                whole.append(frame.name)
            }
        }
        isStale = true
    }

    private func applyViewReady(_ frame: ViewReadyFrame, seq: UInt64) {
        state.history.set(.filled(events: Int(frame.events)), view: frame.name, version: Int(frame.version))
        filled.insert(frame.name)
        isStale = true
    }
}

extension ContractEntry {
    /// The key of the reference row that an event carries: spelled as the referential check asks for it, a text as it is,
    /// an integer by its digits.
    func key(of root: JSONValue) -> String? {
        guard let pointer = keyPointer, let value = root.value(at: pointer) else { return nil }
        return value.string ?? value.int64.map { String($0) }
    }
}
