import CMicroHTTPD
import Glibc
import Synchronization

/// How a stop went.
public struct StopResult: Sendable, Equatable {
    /// Whether every connection ended by itself before the deadline.
    public let drained: Bool
    /// Exchanges that had to be answered 503 `shutting_down`.
    public let abandoned: Int
}

/// An HTTP/1.1 server: some loop threads, one handler.
///
/// ```
/// let server = try HTTPServer(configuration: HTTPConfiguration(listen: [.tcp(host: "127.0.0.1", port: 8080)]),
/// handler: handler)
/// try server.start()
/// ...
/// server.stop(deadlineNanoseconds: MonotonicClock.nanoseconds() + 10_000_000_000)
/// ```
public final class HTTPServer: Sendable {
    private let state: ServerState
    private let loops: [Loop]
    private let threads = Mutex<[pthread_t]>([])
    private let started = Atomic<Bool>(false)
    private let stopped = Atomic<Bool>(false)

    /// Binds the addresses; connections wait in the backlog until ``start()``.
    public init<Handler: HTTPHandler>(
        configuration: HTTPConfiguration, handler: Handler
    ) throws(HTTPServerError) {
        precondition(configuration.loops > 0, "a server needs a loop")
        var listeners: [Listener] = []
        var made: [Loop] = []
        do {
            for address in configuration.listen {
                listeners += try Listener.open(address, backlog: configuration.limits.backlog)
            }
            let state = ServerState(limits: configuration.limits, listeners: listeners)
            for number in 0..<configuration.loops {
                let loop = try Loop(number: number, state: state, handler: handler)
                made.append(loop)
                try loop.prepare()
            }
            self.state = state
        } catch {
            for loop in made { loop.tearDown() }
            for listener in listeners { close(listener.descriptor) }
            throw error
        }
        for loop in made { loop.loops = made.map { Loop.Unowned(loop: $0) } }
        loops = made
    }

    deinit {
        if !started.load(ordering: .acquiring) {
            for loop in loops { loop.tearDown() }
            for listener in state.listeners { close(listener.descriptor) }
        } else {
            precondition(stopped.load(ordering: .acquiring), "an HTTP server must be stopped before it is released")
        }
    }

    /// Starts the loop threads. SIGPIPE is ignored for the whole process: a client that hangs up is no reason to die.
    public func start() throws(HTTPServerError) {
        guard !started.exchange(true, ordering: .acquiringAndReleasing) else { throw .alreadyStarted }
        signal(SIGPIPE, SIG_IGN)
        state.loopsListening.store(loops.count, ordering: .releasing)
        state.loopsRunning.store(loops.count, ordering: .releasing)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, state.limits.threadStackBytes)
        for (number, loop) in loops.enumerated() {
            var thread = pthread_t()
            let held = Unmanaged.passRetained(loop)
            let status = pthread_create(&thread, &attributes, HTTPServer.entry, held.toOpaque())
            guard status == 0 else {
                held.release()
                // Those that run can end without those that never will.
                for missing in loops[number...] {
                    missing.tearDown()
                    state.loopStoppedListening()
                    state.loopsRunning.wrappingSubtract(1, ordering: .acquiringAndReleasing)
                }
                throw .loopFailed(call: "pthread_create", errno: status)
            }
            threads.withLock { $0.append(thread) }
        }
    }

    private static let entry: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument else { return nil }
        let loop = Unmanaged<Loop>.fromOpaque(argument).takeRetainedValue()
        cmhd_name_thread("http-\(loop.number)")
        loop.run()
        return nil
    }

    /// The port of the first TCP address, as the kernel chose it.
    public var port: UInt16? { state.listeners.lazy.compactMap(\.port).first }

    /// All addresses as bound.
    public var addresses: [String] { state.listeners.map(\.address) }

    /// Whether ``beginDrain()`` or ``stop(deadlineNanoseconds:)`` was called.
    public var isDraining: Bool { state.phase != .running }

    /// Stops accepting. Open exchanges go on; every answer from now on carries `Connection: close`, and idle
    /// connections are
    /// closed after ``HTTPLimits/drainIdleTimeout``. Returns at once.
    public func beginDrain() {
        state.advance(to: .draining)
        for loop in loops { loop.nudge() }
    }

    /// Drains until all connections have ended or the deadline (monotonic nanoseconds) passes; then answers what
    /// waits with
    /// 503 `shutting_down` and closes the rest. Blocks; must not be called from a handler. Later calls return at
    /// once.
    @discardableResult
    public func stop(deadlineNanoseconds: UInt64) -> StopResult {
        precondition(!loops.contains { $0.isOnLoopThread }, "a handler cannot stop its own server")
        state.advance(to: .stopping)
        for loop in loops { loop.nudge() }
        let joined = threads.withLock { threads in
            let copy = threads
            threads = []
            return copy
        }
        while state.loopsRunning.load(ordering: .acquiring) > 0, MonotonicClock.nanoseconds() < deadlineNanoseconds {
            usleep(Self.stopPollMicroseconds)
        }
        let drained = state.loopsRunning.load(ordering: .acquiring) == 0
        state.advance(to: .forced)
        for loop in loops { loop.nudge() }
        for thread in joined { pthread_join(thread, nil) }
        stopped.store(true, ordering: .releasing)
        return StopResult(drained: drained, abandoned: state.abandoned.load(ordering: .relaxed))
    }

    /// How often `stop` looks whether the loops have ended.
    private static let stopPollMicroseconds: UInt32 = 1000

    /// Counters of all loops.
    public func statistics() -> HTTPStatistics {
        HTTPStatistics(loops: loops.map { $0.counters.snapshot() })
    }
}
