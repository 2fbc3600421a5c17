import Glibc

/// The clock of every deadline in this module: it never steps, unlike the wall clock.
public enum MonotonicClock {
    /// Nanoseconds since an arbitrary start (CLOCK_MONOTONIC).
    public static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(bitPattern: Int64(time.tv_sec)) &* 1_000_000_000 &+ UInt64(bitPattern: Int64(time.tv_nsec))
    }
}
