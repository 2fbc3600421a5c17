/// When shipping gives way to decisions: while many are made, each transaction is followed by a pause, so that a burst gets
/// the machine and the rows follow when it is over. A lag past its target, or a caller that waits for PostgreSQL, ends
/// that at once.
///
/// A value without clock or thread: the shipper asks it after each transaction and between the slices of a pause.
struct ShipPace: Sendable {
    /// Decisions a second from which shipping gives way.
    static let busyRate: UInt64 = 2_000
    /// How many times as long as a transaction took the pause after it lasts at the most.
    static let pauseFactor: UInt64 = 9
    /// The longest pause [nanoseconds].
    static let pauseNanosecondsMax: UInt64 = 5_000_000_000
    /// A pause is looked at again after this [milliseconds].
    static let sliceMilliseconds = 50

    /// Oldest age of what is not shipped up to which shipping gives way [microseconds]; 0: it never does.
    private let lagMicrosMax: Int64
    private var seen: (decisions: UInt64, nanoseconds: UInt64)?
    private var remaining: UInt64 = 0

    /// - Parameter lagMicrosMax: up to this lag shipping gives way; 0: never.
    init(lagMicrosMax: Int64) {
        self.lagMicrosMax = lagMicrosMax
    }

    /// A transaction took this long.
    mutating func shipped(inNanoseconds spent: UInt64) {
        remaining = min(Self.pauseNanosecondsMax, spent * Self.pauseFactor)
    }

    /// Whether to wait another slice before the next transaction.
    ///
    /// - Parameters:
    ///   - decisions: decisions made so far.
    ///   - nowNanoseconds: the monotonic clock.
    ///   - lagMicros: age of the oldest frame that is not shipped.
    ///   - isWaitedFor: whether a caller waits for PostgreSQL.
    mutating func givesWay(decisions: UInt64, nowNanoseconds: UInt64, lagMicros: Int64, isWaitedFor: Bool) -> Bool {
        let before = seen
        seen = (decisions, nowNanoseconds)
        guard let before, remaining > 0, lagMicros < lagMicrosMax, !isWaitedFor else {
            remaining = 0
            return false
        }
        let elapsed = nowNanoseconds &- before.nanoseconds
        let rate = elapsed == 0 ? 0 : (decisions &- before.decisions) * 1_000_000_000 / elapsed
        guard rate >= Self.busyRate else {
            remaining = 0
            return false
        }
        remaining -= min(remaining, UInt64(Self.sliceMilliseconds) * 1_000_000)
        return true
    }
}
