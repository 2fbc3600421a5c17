import Synchronization

/// What one loop has counted since it started.
public struct LoopStatistics: Sendable {
    /// Connections accepted.
    public internal(set) var accepted: UInt64 = 0
    /// Connections closed.
    public internal(set) var closed: UInt64 = 0
    /// Requests whose header was complete.
    public internal(set) var requests: UInt64 = 0
    /// Answers handed to the library or, for refusals in the middle of a body, to the socket.
    public internal(set) var responses: UInt64 = 0
    /// Body bytes as sent by clients.
    public internal(set) var bodyBytesReceived: UInt64 = 0
    /// Body bytes of answers.
    public internal(set) var bodyBytesSent: UInt64 = 0
    /// Exchanges that wait for their answer now.
    public internal(set) var suspendedNow: UInt64 = 0
    /// Exchanges that ever waited.
    public internal(set) var suspended: UInt64 = 0
    /// Deadlines that passed before an answer.
    public internal(set) var deadlinesExceeded: UInt64 = 0
    /// Answers that came after another answer or after the deadline, and were ignored.
    public internal(set) var responsesIgnored: UInt64 = 0
    /// Connections closed for an idle or write timeout (header and body timeouts are under ``refused``).
    public internal(set) var connectionsTimedOut: UInt64 = 0
    /// Requests that ended without the whole answer having been sent.
    public internal(set) var requestsAborted: UInt64 = 0
    /// accept calls that failed for lack of descriptors or memory.
    public internal(set) var acceptsFailed: UInt64 = 0
    /// Lines that libmicrohttpd logged.
    public internal(set) var libraryMessages: UInt64 = 0
    /// When the loop last came round, monotonic nanoseconds: a watchdog compares it with now.
    public internal(set) var tickNanoseconds: UInt64 = 0
    /// Refusals by the server, by code; codes that never occurred are left out.
    public internal(set) var refused: [RefusalCode: UInt64] = [:]
}

/// A snapshot of a server's counters; not atomic across counters.
public struct HTTPStatistics: Sendable {
    /// One entry per loop.
    public internal(set) var loops: [LoopStatistics]

    /// A counter summed over all loops.
    public func total(_ counter: KeyPath<LoopStatistics, UInt64>) -> UInt64 {
        loops.reduce(0) { $0 + $1[keyPath: counter] }
    }

    /// Refusals by code summed over all loops.
    public var refused: [RefusalCode: UInt64] {
        loops.reduce(into: [:]) { $0.merge($1.refused, uniquingKeysWith: +) }
    }

    /// Open connections.
    public var connectionsOpen: UInt64 { total(\.accepted) &- total(\.closed) }

    /// The oldest tick of any loop, monotonic nanoseconds.
    public var oldestTickNanoseconds: UInt64 { loops.map(\.tickNanoseconds).min() ?? 0 }
}

/// A counter that one thread writes and any reads: plain load and store, no locked instruction.
struct Counter: ~Copyable, Sendable {
    private let value = Atomic<UInt64>(0)

    @inline(__always)
    func add(_ amount: UInt64 = 1) {
        value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    func set(_ newValue: UInt64) { value.store(newValue, ordering: .relaxed) }

    var current: UInt64 { value.load(ordering: .relaxed) }
}

/// The live counters of a loop.
final class LoopCounters: Sendable {
    let accepted = Counter()
    let closed = Counter()
    let requests = Counter()
    let responses = Counter()
    let bodyBytesReceived = Counter()
    let bodyBytesSent = Counter()
    let suspendedNow = Counter()
    let suspended = Counter()
    let deadlinesExceeded = Counter()
    let connectionsTimedOut = Counter()
    let requestsAborted = Counter()
    let acceptsFailed = Counter()
    let libraryMessages = Counter()
    let tick = Counter()
    /// Written by whichever thread came too late.
    let responsesIgnored = Atomic<UInt64>(0)
    /// Connections handed to this loop, from the moment it was chosen: read by the loops that choose.
    let assigned = Atomic<Int>(0)
    private let refused = Mutex([UInt64](repeating: 0, count: RefusalCode.allCases.count))

    func refuse(_ code: RefusalCode) { refused.withLock { $0[code.index] &+= 1 } }

    func snapshot() -> LoopStatistics {
        var result = LoopStatistics()
        result.closed = closed.current
        result.accepted = accepted.current
        result.requests = requests.current
        result.responses = responses.current
        result.bodyBytesReceived = bodyBytesReceived.current
        result.bodyBytesSent = bodyBytesSent.current
        result.suspendedNow = suspendedNow.current
        result.suspended = suspended.current
        result.deadlinesExceeded = deadlinesExceeded.current
        result.responsesIgnored = responsesIgnored.load(ordering: .relaxed)
        result.connectionsTimedOut = connectionsTimedOut.current
        result.requestsAborted = requestsAborted.current
        result.acceptsFailed = acceptsFailed.current
        result.libraryMessages = libraryMessages.current
        result.tickNanoseconds = tick.current
        let counts = refused.withLock { $0 }
        for (code, count) in zip(RefusalCode.allCases, counts) where count > 0 { result.refused[code] = count }
        return result
    }
}
