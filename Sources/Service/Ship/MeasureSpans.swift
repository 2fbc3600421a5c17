import JSON
import Measures
import Synchronization

/// Every version of every measure with the positions in which it counts, compiled for the shipper's fold.
final class MeasureSpans: Sendable {
    private struct Compiled: Sendable {
        let measure: MeasureDefinition
        let fromSeq: UInt64
        var toSeq: UInt64?
    }

    private let state: ServiceState
    private let cache = Mutex<[String: MeasureDefinition]>([:])

    init(state: ServiceState) {
        self.state = state
    }

    /// Folds for one batch, each with memory's list of dimension values.
    func folds() -> [MeasureFold] {
        let defined = state.history.measureSpans().compactMap { entry -> MeasureFold? in
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

    private func compiled(_ entry: DefinitionHistory.Entry) -> MeasureDefinition? {
        let key = "\(entry.definition.key.name)@\(entry.definition.version)"
        if let known = cache.withLock({ $0[key] }) { return known }
        // The version in force is compiled in the snapshot; older ones were compiled when they were in force.
        guard let current = state.snapshot.measures[entry.definition.key.name],
            current.version == entry.definition.version
        else { return nil }
        cache.withLock { $0[key] = current }
        return current
    }
}
