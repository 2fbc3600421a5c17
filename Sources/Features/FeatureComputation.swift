/// Features of one entity over events that the caller holds, such as history read from PostgreSQL: the same tables and
/// the same pass as the store, so the answers are the same bits. Events may be added in any order.
public struct FeatureComputation: ~Copyable {
    private var table: ViewTable
    private var scratch = ReadScratch()
    private let program: ReadProgram
    private let view: FeatureView

    /// All features of a view; `features` narrows and orders them. `entityEventsMax` bounds the events held.
    public init(
        _ view: FeatureView, features: [Int]? = nil, entityEventsMax: Int = FeatureLimits.entityEventsMax
    ) {
        self.view = view
        table = ViewTable(view: view, entityEventsMax: entityEventsMax)
        program = FeaturePlan.program(view, features ?? Array(view.features.indices))
    }

    /// Adds one event, with what superseded it if anything has; its `entity` is not looked at.
    @discardableResult
    public mutating func add(_ event: FeatureEvent) -> ApplyOutcome {
        table.insert(event, slot: 0)
    }

    /// Forgets all events, for the next entity.
    public mutating func reset() {
        table.erase(slot: 0)
    }

    /// Computes the features.
    ///
    /// - Parameter featuresSeq: up to which journal position the events added are complete, as the caller knows.
    public mutating func read(
        asOf: Int64, knownAt: KnownAt = .latest, featuresSeq: Int64 = 0, into vector: inout FeatureVector
    ) {
        let count = program.stages.reduce(0) { $0 + $1.emissions.count }
        vector.begin(count: count, views: 1)
        vector.featuresSeq = featuresSeq
        table.arena.ensure(slot: 0)
        let reading = table.read(
            program, slot: 0, asOf: asOf, knownAt: knownAt, scratch: &scratch, into: &vector.values)
        vector.lastEventTimes[0] = reading.lastEventTime
        if !reading.isAvailable { vector.status = .historyUnavailable }
    }
}
