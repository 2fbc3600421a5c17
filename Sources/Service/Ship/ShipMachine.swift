import Postgres

/// What the shipper does next, and what it makes of every answer: from which position, with how many frames, what to try
/// after which error.
///
/// A value without connection, thread or clock: the shipper's thread drives it against PostgreSQL, and a simulation against
/// a database that fails in every way that it can think of.
struct ShipMachine: Sendable {
    /// What is to be done now.
    enum Step: Sendable, Equatable {
        /// Connect if need be and read the settled position, which resolves a COMMIT whose answer was lost; then call
        /// ``settled(at:isOurs:)`` or ``failed(_:using:)``.
        case settle
        /// Send frames in one transaction; then call ``shipped(through:)`` or ``failed(_:using:)``.
        case ship(Order)
        /// Everything is there: wait for work.
        case idle
        /// The database has another past of this journal: nothing is shipped. Wait, and look again.
        case standStill
        /// Everything is there and the daemon stops.
        case end
    }

    /// One transaction.
    struct Order: Sendable, Equatable {
        /// The first frame.
        let from: UInt64
        /// At most so many.
        let framesMax: Int
        /// What was tried before for the same frames.
        let attempt: ShipReaction.Attempt
    }

    /// What follows an error.
    enum Recovery: Sendable, Equatable {
        /// The same frames again, over the same connection, after making the partitions or row by row.
        case again
        /// Close the connection and settle after a pause. `isStuck`: only an operator can mend it.
        case reconnect(pauseMilliseconds: Int, isStuck: Bool)
    }

    /// Fewest frames to which a batch shrinks when it does not get through in time.
    static let framesMin = 100

    /// Whether the database has another past of this journal.
    private(set) var isDatabaseAhead = false
    /// The settled position; nil: to be read.
    private var next: UInt64?
    private var attempt = ShipReaction.Attempt()
    private var backoff = ShipBackoff()
    /// Through which seq this process has seen PostgreSQL hold the journal.
    private var seenThrough: UInt64?
    private var framesMax: Int
    private let batchFramesMax: Int

    /// - Parameter batchFramesMax: frames in one transaction.
    init(batchFramesMax: Int) {
        self.batchFramesMax = batchFramesMax
        framesMax = batchFramesMax
    }

    /// What to do, given the position through which memory has applied the journal.
    ///
    /// - Parameter isStopping: read before `appliedSeq`, so that what is durable by then is shipped before the end.
    mutating func step(isConnected: Bool, isStopping: Bool, appliedSeq: UInt64) -> Step {
        guard isConnected, let next else { return .settle }
        if isDatabaseAhead {
            self.next = nil
            return isStopping ? .end : .standStill
        }
        if appliedSeq >= next { return .ship(Order(from: next, framesMax: framesMax, attempt: attempt)) }
        return isStopping ? .end : .idle
    }

    /// The settled position was read.
    ///
    /// - Parameter isOurs: whether the frame before it is the one in this journal.
    /// - Returns: the frames that a failover took back although they had been shipped; nil when there are none.
    mutating func settled(at position: UInt64, isOurs: Bool) -> ClosedRange<UInt64>? {
        next = position
        isDatabaseAhead = !isOurs
        guard isOurs else { return nil }
        defer { seenThrough = position - 1 }
        guard let seenThrough, position <= seenThrough else { return nil }
        return position...seenThrough
    }

    /// Whether the position is known.
    var isSettled: Bool { next != nil }

    /// Whether this process has not yet read a position that is its own.
    var isFirstSettlement: Bool { seenThrough == nil }

    /// The frames through `seq` are committed.
    mutating func shipped(through seq: UInt64) {
        next = seq + 1
        seenThrough = seq
        attempt = ShipReaction.Attempt()
        backoff.reset()
        framesMax = min(batchFramesMax, framesMax * 2)
    }

    /// The last step failed.
    mutating func failed(_ error: PostgresError, using generator: inout some RandomNumberGenerator) -> Recovery {
        if case .timedOut = error { framesMax = min(batchFramesMax, max(Self.framesMin, framesMax / 2)) }
        switch ShipReaction(to: error, after: attempt) {
        case .makePartitions:
            attempt.hasPartitions = true
            return .again
        case .isolate:
            attempt.isIsolating = true
            return .again
        case .retry:
            next = nil
            return .reconnect(pauseMilliseconds: backoff.pause(using: &generator), isStuck: false)
        case .stop:
            next = nil
            return .reconnect(pauseMilliseconds: ShipBackoff.stoppedMilliseconds, isStuck: true)
        }
    }
}
