import Synchronization

/// Lets go of events that no window of their view can reach any more, by the watermark of the view's sources and never by
/// the wall clock. Runs on a thread of its own: a pass over all entities must not hold up the journal's.
final class Retention: Sendable {
    private let state: ServiceState
    private let isStopping = Atomic<Bool>(false)
    /// Watermarks at the last pass, by index of the view.
    private let passed = Mutex<[Int: Int64]>([:])

    /// Between two looks at the watermarks [microseconds].
    private static let tickMicros: UInt64 = 1_000_000
    /// A pass is worth it when the watermark has moved by this part of the retention.
    private static let stepDivisor: Int64 = 64

    init(state: ServiceState) {
        self.state = state
    }

    /// Starts the thread.
    func start() {
        Threads.start("retention") {
            while !self.isStopping.load(ordering: .relaxed) {
                Threads.sleep(microseconds: Self.tickMicros)
                self.pass()
            }
        }
    }

    /// Ends the thread after its pass.
    func stop() { isStopping.store(true, ordering: .relaxed) }

    /// One look at every view that declares a retention.
    func pass() {
        for entry in state.snapshot.fedViews {
            guard let retention = entry.definition.spec.retentionMicros,
                let watermark = state.sources.watermark(contract: entry.definition.spec.contract)
            else { continue }
            let isDue = passed.withLock { passed in
                if let before = passed[entry.index], watermark - before < retention / Self.stepDivisor { return false }
                passed[entry.index] = watermark
                return true
            }
            if isDue { state.features.retire(view: entry.index, watermark: watermark) }
        }
    }
}
