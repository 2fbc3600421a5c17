import CMicroHTTPD
import Glibc
import Synchronization

/// One thread with its own libmicrohttpd daemon in external polling mode: our epoll holds the library's epoll, an
/// eventfd for
/// the inbox, and the shared listening sockets. Everything that touches the library happens on this thread, so
/// there is no
/// race between suspending, resuming, draining and stopping.
///
/// SAFETY: the fields below belong to the loop's thread from `run` on (before that to the thread that builds the
/// server).
/// Other threads use only `inbox` (locked), `counters` and `threadID` (atomic), and the `let` descriptors.
final class Loop: @unchecked Sendable {
    /// A connection accepted by some loop for this one.
    struct Adoption {
        var descriptor: Int32
        var address: sockaddr_storage
        var addressLength: socklen_t
        var admission: Connection.Admission
    }

    private struct Inbox {
        var answered: [Connection] = []
        var adopted: [Adoption] = []
        var isWakePending = false
    }

    private static let unixNoise = [
        "Setting TCP_NODELAY option", "Setting TCP_CORK option", "Failed to push the data from buffers to the network",
    ]
    static let wakeTag: UInt64 = 1
    static let libraryTag: UInt64 = 2
    static let listenerTagBase: UInt64 = 16

    let number: Int
    let state: ServerState
    let limits: HTTPLimits
    let counters = LoopCounters()
    let epoll: Int32
    let wake: Int32
    let makeConnection: @Sendable (Loop, Int32, RemoteAddress, Connection.Admission, UInt64) -> Connection
    let noteMessage: @Sendable (String) -> Void
    private let hasUnixListener: Bool
    private let inbox = Mutex(Inbox())
    private let threadID = Atomic<UInt>(0)

    var loops: [Unowned] = []
    var daemon: OpaquePointer?
    var settings = cmhd_settings()
    var now: UInt64 = 0
    var current: Connection?
    var connections: [Connection] = []
    var suspended: [Connection] = []
    var nextDeadline = UInt64.max
    var nextReap: UInt64 = 0
    var nextHangupCheck: UInt64 = 0
    var isListening = false
    var isDraining = false
    var acceptPausedUntil: UInt64 = 0
    var forcedAt: UInt64?
    var adopting: [Int32: Adoption] = [:]
    private var spare = Inbox()

    /// Loops know each other to hand connections over; the server owns them all.
    struct Unowned {
        unowned let loop: Loop
    }

    init<Handler: HTTPHandler>(number: Int, state: ServerState, handler: Handler) throws(HTTPServerError) {
        self.number = number
        self.state = state
        limits = state.limits
        hasUnixListener = state.hasUnixListener
        makeConnection = { loop, descriptor, address, admission, now in
            HandledConnection(
                handler: handler, loop: loop, descriptor: descriptor, address: address, admission: admission, now: now)
        }
        noteMessage = { handler.libraryMessage($0) }
        epoll = cmhd_epoll_create()
        guard epoll >= 0 else { throw .loopFailed(call: "epoll_create1", errno: -epoll) }
        wake = cmhd_wake_create()
        guard wake >= 0 else {
            close(epoll)
            throw .loopFailed(call: "eventfd", errno: -wake)
        }
    }

    deinit {
        close(epoll)
        close(wake)
    }

    /// Starts the library's daemon. `self` must stay where it is and outlive the daemon: the server keeps it.
    func prepare() throws(HTTPServerError) {
        settings.cls = Unmanaged.passUnretained(self).toOpaque()
        settings.access = Callbacks.access
        settings.target = Callbacks.target
        settings.completed = Callbacks.completed
        settings.connection = Callbacks.notify
        settings.log = Callbacks.log
        settings.refusal = Callbacks.refusal
        // Above our own bound, which is the one that answers 503.
        settings.connections_max = UInt32(
            limits.connectionsMax + limits.refusedConnectionsMax + limits.acceptsPerTurnMax)
        settings.memory_per_connection = limits.memoryPerConnectionBytes
        let held = UnsafeMutablePointer<cmhd_settings>.allocate(capacity: 1)
        held.initialize(to: settings)
        settingsHeld = held
        daemon = cmhd_start(held)
        guard let daemon else { throw .libraryFailed }
        var status = cmhd_epoll_add(epoll, cmhd_epoll_descriptor(daemon), Self.libraryTag)
        if status == 0 { status = cmhd_epoll_add(epoll, wake, Self.wakeTag) }
        guard status == 0 else { throw .loopFailed(call: "epoll_ctl", errno: -status) }
    }

    private var settingsHeld: UnsafeMutablePointer<cmhd_settings>?

    /// Stops the daemon without ever having run, or at the end of `run`.
    func tearDown() {
        if let daemon { MHD_stop_daemon(daemon) }
        daemon = nil
        settingsHeld?.deallocate()
        settingsHeld = nil
    }

    // MARK: From any thread

    var isOnLoopThread: Bool { UInt(pthread_self()) == threadID.load(ordering: .relaxed) }

    /// Hands over a connection whose `outgoing` is set.
    func resume(_ connection: Connection) {
        let needsWake = inbox.withLock { inbox in
            inbox.answered.append(connection)
            return Self.takeWake(&inbox)
        }
        if needsWake { cmhd_wake(wake) }
    }

    func resume(contentsOf connections: [Connection]) {
        let needsWake = inbox.withLock { inbox in
            inbox.answered.append(contentsOf: connections)
            return Self.takeWake(&inbox)
        }
        if needsWake { cmhd_wake(wake) }
    }

    func adopt(_ adoption: Adoption) {
        let needsWake = inbox.withLock { inbox in
            inbox.adopted.append(adoption)
            return Self.takeWake(&inbox)
        }
        if needsWake { cmhd_wake(wake) }
    }

    /// Wakes the loop for a change of phase.
    func nudge() { cmhd_wake(wake) }

    private static func takeWake(_ inbox: inout Inbox) -> Bool {
        defer { inbox.isWakePending = true }
        return !inbox.isWakePending
    }

    // MARK: The loop

    func run() {
        threadID.store(UInt(pthread_self()), ordering: .relaxed)
        now = MonotonicClock.nanoseconds()
        startListening()
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 16) { tags in
            while !isFinished { turn(tags) }
        }
        forceClose()
        tearDown()
        state.loopsRunning.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }

    private func turn(_ tags: UnsafeMutableBufferPointer<UInt64>) {
        let count = cmhd_epoll_wait(epoll, tags.baseAddress, Int32(tags.count), timeoutMilliseconds())
        precondition(count >= 0, "epoll_wait on our own descriptors failed")
        now = MonotonicClock.nanoseconds()
        counters.tick.set(now)
        for index in 0..<Int(count) {
            switch tags[index] {
            case Self.wakeTag: cmhd_wake_clear(wake)
            case Self.libraryTag: break
            default: acceptConnections(Int(tags[index] - Self.listenerTagBase))
            }
        }
        emptyInbox()
        if now >= nextDeadline { expireDeadlines() }
        if now >= nextReap { reap() }
        if state.phase != .running { drainTurn() }
        if let daemon { MHD_run(daemon) }
    }

    private func timeoutMilliseconds() -> Int32 {
        var pending: UInt64 = 0
        if let daemon, MHD_get_timeout(daemon, &pending) == .YES, pending == 0 { return 0 }
        var wait = limits.tickIntervalMax
        if !connections.isEmpty || !isListening { wait = min(wait, limits.reapInterval) }
        let current = MonotonicClock.nanoseconds()
        if nextDeadline != .max { wait = min(wait, nextDeadline > current ? nextDeadline - current : 0) }
        return Int32((wait + 999_999) / 1_000_000)
    }

    private func emptyInbox() {
        inbox.withLock { inbox in
            swap(&inbox, &spare)
            inbox.isWakePending = false
        }
        for connection in spare.answered { resumeNow(connection) }
        for adoption in spare.adopted { take(adoption) }
        spare.answered.removeAll(keepingCapacity: true)
        spare.adopted.removeAll(keepingCapacity: true)
    }

    var isInboxEmpty: Bool { inbox.withLock { $0.answered.isEmpty && $0.adopted.isEmpty } }

    // MARK: From the library

    func libraryStarted(_ library: OpaquePointer) -> Connection? {
        let descriptor = cmhd_socket(library)
        guard let adoption = adopting.removeValue(forKey: descriptor) else { return nil }
        let connection = makeConnection(self, descriptor, RemoteAddress(adoption.address), adoption.admission, now)
        connection.library = library
        connection.index = connections.count
        connections.append(connection)
        counters.accepted.add()
        return connection
    }

    func libraryClosed(_ connection: Connection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.index] = last
            last.index = connection.index
        }
        connection.index = -1
        connection.library = nil
        counters.closed.add()
        counters.assigned.wrappingSubtract(1, ordering: .relaxed)
        state.dismiss(connection.head.remoteAddress)
    }

    func libraryLogged(_ line: String) {
        if hasUnixListener, Self.unixNoise.contains(where: { line.hasPrefix($0) }) { return }
        counters.libraryMessages.add()
        noteMessage(line)
    }
}
