import Decisions
import JSON
import Measures
import Synchronization

/// Every version of every measure with the positions in which it counts, compiled for the shipper's fold.
///
/// A version that is not in force any more is compiled from what the journal and its snapshots keep of it: after a restart
/// frames that it covers may still have to be shipped.
final class MeasureSpans: Sendable {
    private let state: ServiceState
    /// Of versions that are not in force.
    private let cache = Mutex<[String: MeasureDefinition]>([:])

    init(state: ServiceState) {
        self.state = state
    }

    /// Folds for the frames from position `seq` on, each with memory's list of dimension values. What counts only before
    /// is forgotten: it is shipped.
    func folds(from seq: UInt64) -> [MeasureFold] {
        let spans = state.history.measureSpans()
        for entry in spans where entry.toSeq ?? .max <= seq {
            state.rollups.remove(entry.definition.key.name, version: entry.definition.version)
            cache.withLock { $0[Self.key(entry)] = nil }
        }
        let defined = spans.filter { $0.toSeq ?? .max > seq }.compactMap { entry -> MeasureFold? in
            guard let measure = compiled(entry) else { return nil }
            return fold(measure, from: entry.fromSeq, to: entry.toSeq)
        }
        return defined + BuiltInMeasures.all.values.sorted { $0.name < $1.name }.map { fold($0, from: 0, to: nil) }
    }

    private func fold(_ measure: MeasureDefinition, from: UInt64, to: UInt64?) -> MeasureFold {
        let registry = state.rollups.registry(measure.name, version: measure.version)
        return MeasureFold(
            measure: measure, fromSeq: from, toSeq: to, table: RollupTable(measure.measure, registry: registry),
            whole: { [state] in state.rollups.state(measure, bucket: $0, dimensions: $1) })
    }

    private static func key(_ entry: DefinitionHistory.Entry) -> String {
        "\(entry.definition.key.name)@\(entry.definition.version)"
    }

    private func compiled(_ entry: DefinitionHistory.Entry) -> MeasureDefinition? {
        if entry.toSeq == nil, let current = state.snapshot.measures[entry.definition.key.name],
            current.version == entry.definition.version
        {
            return current
        }
        if let known = cache.withLock({ $0[Self.key(entry)] }) { return known }
        let measure = state.history.measure(entry)
        if entry.toSeq != nil { cache.withLock { $0[Self.key(entry)] = measure } }
        return measure
    }
}

extension DefinitionHistory {
    /// A version of a measure, compiled against the stream's version that was in force at its end; nil when it did not
    /// compile then, either, and so counted nothing.
    func measure(_ entry: Entry) -> MeasureDefinition? {
        MeasureDefinition.parse(
            entry.definition, at: "", ProblemList(), profile: .closed, zones: zones,
            schemas: { schema(of: $0, before: entry.toSeq ?? .max) })
    }

    /// The same by name.
    func measure(_ name: String, version: Int) -> MeasureDefinition? {
        entry(DefinitionKey(kind: .measure, name: name), version: version).flatMap(measure)
    }

    private func schema(of stream: MeasureDefinition.Stream, before seq: UInt64) -> StreamSchema? {
        func definition(_ kind: DefinitionKind, _ name: String) -> Definition? {
            entries(DefinitionKey(kind: kind, name: name)).last { $0.fromSeq < seq }?.definition
        }
        func spec(_ name: String) -> DecisionSpec? {
            definition(.decision, name).flatMap { DecisionSpec.parse($0.spec, at: "", ProblemList()) }
        }
        switch stream {
        case .contract(let name):
            return definition(.dataContract, name).flatMap { contract in
                ContractEntry.isReference(contract.document) ? nil : StreamSchema(contract: contract.document)
            }
        case .featureParity, .featureMismatches: return StreamSchema(builtIn: stream)
        case .decisions(let name): return StreamSchema.decisions(name, spec)
        case .outcomes(let name): return name.map { spec($0) != nil } ?? true ? .outcomes : nil
        }
    }
}
