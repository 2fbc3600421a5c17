import Decisions
import Features
import JSON
import Testing

@testable import Service

@Suite struct RetentionTests {
    /// A state with one view of contract `c` that keeps a second.
    static func state() throws -> (state: ServiceState, view: Int) {
        let key = KeyFrame(
            id: "k", name: "k", hash: [], roles: [], createdMicros: 0, expiresMicros: 0, revokedMicros: 0)
        let state = ServiceState(quarantineEntriesMax: 1, bootstrap: key)
        let view = try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e", columns: [],
                features: [FeatureSpec(name: "n", aggregate: .count, window: .micros(1_000_000))],
                retentionMicros: 1_000_000))
        let index = state.features.add(view)
        let definition = FeatureViewDefinition(
            spec: view.spec, eventTypes: [], entityPointers: [JSONPointer(tokens: ["subject"])], columnPointers: [],
            onDemand: OnDemandFeatures([], over: [], ProblemList()))
        let entry = ViewEntry(
            definition: definition, view: view, index: index, plan: try state.features.plan(view: index),
            store: state.features)
        state.install(
            Snapshot(
                definitions: [:], contracts: [:], views: ["v": entry], models: [:], decisions: [:], measures: [:],
                kpis: [:], policies: .none, unusable: [:]))
        return (state, index)
    }

    static func add(_ state: ServiceState, _ view: Int, seq: Int64, at time: Int64) {
        state.features.apply(
            view: view,
            FeatureEvent(
                entity: "a", source: "s", id: "\(seq)", time: time, ingestTime: time, seq: seq, values: []))
        SourceClocksTests.add(state.sources, "s", "c", event: time, ingest: 9_000_000_000)
    }

    @Test func whatNoWindowReachesLeavesMemoryByTheWatermark() throws {
        let (state, view) = try Self.state()
        let retention = Retention(state: state)
        retention.pass()
        for (index, time) in [1, 500, 1_000_000, 1_000_600].enumerated() {
            Self.add(state, view, seq: Int64(index) + 1, at: Int64(time))
        }
        #expect(state.features.counts.events == 4)
        retention.pass()
        #expect(state.features.counts.events == 2, "behind the watermark, far as the clock may be")
        Self.add(state, view, seq: 5, at: 2_000_000)
        retention.pass()
        #expect(state.features.counts.events == 2, "one came, one went")
        // A watermark that hardly moved is not worth a pass over all entities.
        Self.add(state, view, seq: 6, at: 2_000_700)
        retention.pass()
        #expect(state.features.counts.events == 3)
    }
}
