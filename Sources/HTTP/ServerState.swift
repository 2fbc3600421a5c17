import Glibc
import Synchronization

/// What the loops of one server share.
final class ServerState: Sendable {
    enum Phase: Int {
        case running
        /// No new connections; every answer closes its connection.
        case draining
        /// As draining, and loops end once they have no connections.
        case stopping
        /// The time is over: what waits is answered 503, then everything is closed.
        case forced
    }

    let limits: HTTPLimits
    let listeners: [Listener]
    /// Connections accepted and not closed, of all loops.
    let connectionsOpen = Atomic<Int>(0)
    /// Loops that may still accept: a loop ends only after the last of them, since they hand connections to each
    /// other.
    let loopsListening = Atomic<Int>(0)
    /// Loops whose thread has not ended.
    let loopsRunning = Atomic<Int>(0)
    /// Exchanges that a forced stop answered.
    let abandoned = Atomic<Int>(0)
    /// Bytes of large bodies in memory, of all loops.
    let bodyBytes = Atomic<Int>(0)
    private let phaseValue = Atomic<Int>(0)
    private let perAddress = Mutex<[RemoteAddress: Int]>([:])

    init(limits: HTTPLimits, listeners: [Listener]) {
        self.limits = limits
        self.listeners = listeners
    }

    /// The library sets TCP options on every socket that is handed to it and complains for a Unix one, three lines
    /// an answer.
    var hasUnixListener: Bool { listeners.contains { $0.port == nil } }

    var phase: Phase { Phase(rawValue: phaseValue.load(ordering: .acquiring)) ?? .forced }

    /// Only forward.
    func advance(to phase: Phase) {
        var current = phaseValue.load(ordering: .acquiring)
        while current < phase.rawValue {
            let result = phaseValue.weakCompareExchange(
                expected: current, desired: phase.rawValue, ordering: .acquiringAndReleasing)
            if result.exchanged { return }
            current = result.original
        }
    }

    /// Counts a new connection and says whether it will be served.
    func admit(_ address: RemoteAddress) -> Connection.Admission {
        let open = connectionsOpen.wrappingAdd(1, ordering: .relaxed).newValue
        var fromAddress = 0
        if limits.connectionsPerAddressMax > 0, !address.isUnix {
            fromAddress = perAddress.withLock { counts in
                counts[address.host, default: 0] += 1
                return counts[address.host, default: 0]
            }
        }
        if open > limits.connectionsMax { return .refused(.tooManyConnections) }
        let addressMax = limits.connectionsPerAddressMax
        if addressMax > 0, fromAddress > addressMax { return .refused(.tooManyConnectionsFromAddress) }
        return .served
    }

    func dismiss(_ address: RemoteAddress) {
        connectionsOpen.wrappingSubtract(1, ordering: .relaxed)
        guard limits.connectionsPerAddressMax > 0, !address.isUnix else { return }
        perAddress.withLock { counts in
            let left = counts[address.host, default: 1] - 1
            counts[address.host] = left == 0 ? nil : left
        }
    }

    var mayAccept: Bool {
        connectionsOpen.load(ordering: .relaxed) < limits.connectionsMax + limits.refusedConnectionsMax
    }

    /// Called by each loop when it has left all listeners alone; the last one closes them.
    func loopStoppedListening() {
        guard loopsListening.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        for listener in listeners {
            close(listener.descriptor)
            if let path = listener.path { unlink(path) }
        }
    }
}
