import Features
import Journal
import Synchronization

/// Keeps the feature store within its memory bound: spills entities that are in PostgreSQL and were not
/// used lately, and says when nothing helps. One thread.
final class MemoryKeeper: Sendable {
    private let state: ServiceState
    private let bytesMax: Int
    private let shippedSeq: @Sendable () -> UInt64
    private let full = Atomic<Bool>(false)
    private let stuck = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    /// Shipped position at which nothing more could be spilled, and when that was [monotonic nanoseconds].
    private let exhausted = Atomic<UInt64>(0)
    private let exhaustedAt = Atomic<UInt64>(0)

    /// Entities spilled since the start, summed over views.
    let spilled = Atomic<Int>(0)

    /// Milliseconds between two looks at the store.
    private static let intervalMilliseconds: UInt64 = 50
    /// Milliseconds after which spilling is tried again though PostgreSQL has not more than when nothing could go.
    private static let retryMilliseconds: UInt64 = 1_000
    /// Percent of the bound to which spilling goes down, so that it does not run at every event.
    private static let lowWaterPercent = 95

    /// - Parameters:
    ///   - bytesMax: `features_memory_bytes_max`.
    ///   - shippedSeq: position up to which PostgreSQL has every event.
    init(
        state: ServiceState, bytesMax: Int, shippedSeq: @escaping @Sendable () -> UInt64
    ) {
        self.state = state
        self.bytesMax = bytesMax
        self.shippedSeq = shippedSeq
    }

    /// The second bound: past it events are refused.
    private var hardBytesMax: Int { bytesMax / 100 * ServiceLimits.featuresMemoryHardPercent }

    /// Whether events must be refused.
    var isFull: Bool { full.load(ordering: .relaxed) }

    /// Whether the store is past its bound and nothing can be spilled.
    var isStuck: Bool { stuck.load(ordering: .relaxed) }

    /// What is not as it should be.
    var degradations: [Degradation] {
        guard isStuck else { return [] }
        return [
            Degradation(
                component: "features", code: isFull ? "features_memory" : "features_memory_high",
                detail: isFull
                    ? "events are refused: features_memory_bytes_max is passed by a quarter, and nothing more can be spilled"
                    : "features_memory_bytes_max is passed, and nothing more can be spilled before it is in PostgreSQL")
        ]
    }

    /// Starts the thread.
    func start() {
        Threads.start("memory") { self.run() }
    }

    /// Ends the thread at its next look.
    func stop() {
        stopping.store(true, ordering: .relaxed)
    }

    private func run() {
        while !stopping.load(ordering: .relaxed) {
            look()
            Threads.sleep(microseconds: Self.intervalMilliseconds * 1000)
        }
    }

    /// Brings the store back under its bound where that is possible.
    private func look() {
        state.features.removeReleased()
        var bytes = state.features.bytesUsed
        let shipped = shippedSeq()
        // Where nothing could go, nothing can before PostgreSQL has more, or what it has was applied or back-filled.
        let now = Threads.monotonicNanoseconds()
        let isDue =
            shipped > exhausted.load(ordering: .relaxed)
            || now > exhaustedAt.load(ordering: .relaxed) + Self.retryMilliseconds * 1_000_000
        if bytes > bytesMax, isDue {
            let report = state.features.spill(
                to: bytesMax / 100 * Self.lowWaterPercent, through: Int64(shipped))
            spilled.wrappingAdd(report.spilled, ordering: .relaxed)
            if report.spilled == 0 {
                exhausted.store(shipped, ordering: .relaxed)
                exhaustedAt.store(now, ordering: .relaxed)
            }
            bytes = state.features.bytesUsed
        }
        stuck.store(bytes > bytesMax, ordering: .relaxed)
        full.store(bytes > hardBytesMax, ordering: .relaxed)
    }
}
