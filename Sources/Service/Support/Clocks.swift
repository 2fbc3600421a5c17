import Glibc
import Synchronization

/// The wall clock in microseconds since the Unix epoch, never going back while the process lives: a step of the system
/// clock can hold it still, not turn it round, so that ingest times follow the journal's order.
final class WallClock: Sendable {
    private let last = Atomic<Int64>(0)

    init() {}

    /// Now.
    func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let micros = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
        let before = last.max(micros, ordering: .relaxed).oldValue
        return max(before, micros)
    }
}

/// 64 random bits from the kernel.
enum Randomness {
    /// Fresh bytes for keys and ids.
    static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// A fresh word.
    static func word() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
