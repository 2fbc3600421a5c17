/// The right to answer one exchange, once, from any thread.
///
/// Of all that try (handler, journal thread, deadline, shutdown) the first wins; the others get false. A responder
/// that outlives
/// its connection stays safe: it just no longer answers anything. One that is dropped leaves the exchange to its
/// deadline.
public struct Responder: Sendable {
    let connection: Connection
    let serial: UInt64

    /// Answers. Inside `handle` on the loop's thread the answer goes out at once; from elsewhere the loop is woken.
    /// - Returns: whether this answer was taken.
    @discardableResult
    public func respond(_ response: Response) -> Bool {
        let loop = connection.loop
        guard connection.claim(serial) else { return ignored() }
        connection.outgoing = response
        if loop.isOnLoopThread, loop.current === connection {
            connection.answeredInline = true
        } else {
            loop.resume(connection)
        }
        return true
    }

    /// Whether the exchange still waits for its answer. Only a hint: it may change at once.
    public var isWaiting: Bool { connection.isWaiting(serial) }

    fileprivate func ignored() -> Bool {
        connection.loop.counters.responsesIgnored.wrappingAdd(1, ordering: .relaxed)
        return false
    }
}

/// Answers for many exchanges, sent with one lock and one wake per loop: for a thread that acknowledges hundreds at
/// once.
/// Reuse one batch: its arrays keep their room.
public struct ResponseBatch: ~Copyable {
    private var loops: [(loop: Loop, connections: [Connection])] = []

    /// An empty batch.
    public init() {}

    /// Takes the exchange's answer now and sends it with ``send()``.
    /// - Returns: whether this answer was taken; false when the exchange was answered or its deadline passed.
    @discardableResult
    public mutating func add(_ responder: Responder, _ response: Response) -> Bool {
        let connection = responder.connection
        guard connection.claim(responder.serial) else { return responder.ignored() }
        connection.outgoing = response
        for index in loops.indices where loops[index].loop === connection.loop {
            loops[index].connections.append(connection)
            return true
        }
        loops.append((connection.loop, [connection]))
        return true
    }

    /// Hands everything added so far to the loops. Answers that were added and never sent are sent when the batch
    /// ends.
    public mutating func send() {
        for index in loops.indices where !loops[index].connections.isEmpty {
            loops[index].loop.resume(contentsOf: loops[index].connections)
            loops[index].connections.removeAll(keepingCapacity: true)
        }
    }

    deinit {
        for entry in loops where !entry.connections.isEmpty { entry.loop.resume(contentsOf: entry.connections) }
    }
}
