import Glibc

/// A moment on the monotonic clock after which a wait is given up.
public struct PostgresDeadline: Hashable, Comparable, Sendable {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    public let nanoseconds: Int64

    /// A deadline at a reading of `CLOCK_MONOTONIC`, in nanoseconds.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The moment that lies `duration` ahead; saturates instead of overflowing.
    public static func after(_ duration: Duration) -> Self {
        let (seconds, attoseconds) = duration.components
        let (whole, isOver) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, isOverToo) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        if isOver || isOverToo { return seconds < 0 ? Self(nanoseconds: 0) : .never }
        let (moment, isOverLast) = now.addingReportingOverflow(sum)
        return isOverLast ? .never : Self(nanoseconds: moment)
    }

    /// A deadline that does not pass.
    public static let never = Self(nanoseconds: .max)

    /// Whether the moment has passed.
    public var hasPassed: Bool { Self.now >= nanoseconds }

    /// Time left; zero once passed.
    public var remaining: Duration {
        self == .never ? .seconds(Int64.max / 4) : .nanoseconds(max(0, nanoseconds - Self.now))
    }

    /// The earlier of two deadlines.
    public static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Time left in the unit of `poll`, rounded up so that a wait never ends early; -1 means without end.
    var pollMilliseconds: Int32 {
        if self == .never { return -1 }
        let left = nanoseconds - Self.now
        if left <= 0 { return 0 }
        return Int32(clamping: left / 1_000_000 + 1)
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
