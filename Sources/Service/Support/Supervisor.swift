import Glibc
import HTTP
import Journal
import Synchronization

/// Tells systemd how the daemon is (sd_notify's protocol: datagrams to `$NOTIFY_SOCKET`), and feeds its watchdog only
/// while every event loop and the journal make progress.
final class Supervisor: Sendable {
    private let journal: ServiceJournal
    private let server: HTTPServer
    private let socketPath: String?
    private let watchdogMicros: UInt64?
    private let isStopping = Atomic<Bool>(false)

    /// An fdatasync that lasts longer than this counts as a hang [nanoseconds].
    private static let syncNanosecondsMax: UInt64 = 30_000_000_000

    init(journal: ServiceJournal, server: HTTPServer, clock: WallClock) {
        self.journal = journal
        self.server = server
        socketPath = getenv("NOTIFY_SOCKET").map { String(cString: $0) }
        watchdogMicros = getenv("WATCHDOG_USEC").flatMap { UInt64(String(cString: $0)) }
    }

    /// READY=1, and the watchdog starts.
    func ready() {
        notify("READY=1\nSTATUS=serving")
        guard socketPath != nil, let watchdogMicros, watchdogMicros > 0 else { return }
        Threads.start("watchdog") {
            while !self.isStopping.load(ordering: .relaxed) {
                if self.makesProgress(within: watchdogMicros * 1000) { self.notify("WATCHDOG=1") }
                Threads.sleep(microseconds: watchdogMicros / 2)
            }
        }
    }

    /// STOPPING=1.
    func stopping() {
        isStopping.store(true, ordering: .relaxed)
        notify("STOPPING=1")
    }

    private func makesProgress(within nanoseconds: UInt64) -> Bool {
        let now = HTTP.MonotonicClock.nanoseconds()
        let oldestLoop = server.statistics().oldestTickNanoseconds
        if now > oldestLoop, now - oldestLoop > nanoseconds { return false }
        let pulse = journal.pulse
        if let started = pulse.syncStartedNanoseconds {
            return pulse.nowNanoseconds - started < Self.syncNanosecondsMax
        }
        return pulse.nowNanoseconds - pulse.lastTurnNanoseconds < nanoseconds
    }

    private func notify(_ message: String) {
        guard let socketPath, !socketPath.isEmpty, socketPath.utf8.count < 107 else { return }
        let file = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard file >= 0 else { return }
        defer { close(file) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(socketPath.utf8)
        // An abstract socket is written with @ for its leading NUL.
        if path.first == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
        let bytes = Array(message.utf8)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(file, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
