import CMicroHTTPD
import Glibc

/// Suspended exchanges and slow clients.
///
/// Both are dense arrays that are scanned: a scan of some hundred entries costs about a microsecond, and the bound
/// on the next
/// deadline makes it rare, so that suspending and resuming stay a store and a swap.
extension Loop {
    func suspend(_ connection: Connection) {
        connection.suspendedIndex = suspended.count
        suspended.append(connection)
        nextDeadline = min(nextDeadline, connection.request.deadlineNanoseconds)
        counters.suspended.add()
        counters.suspendedNow.set(UInt64(suspended.count))
    }

    /// The connection's answer is there: the library calls the access handler again in its next run.
    func resumeNow(_ connection: Connection) {
        let index = connection.suspendedIndex
        precondition(index >= 0, "an answer for a connection that is not suspended")
        let last = suspended.removeLast()
        if last !== connection {
            suspended[index] = last
            last.suspendedIndex = index
        }
        connection.suspendedIndex = -1
        counters.suspendedNow.set(UInt64(suspended.count))
        if let library = connection.library { MHD_resume_connection(library) }
    }

    func expireDeadlines() {
        var next = UInt64.max
        var index = 0
        while index < suspended.count {
            let connection = suspended[index]
            let deadline = connection.request.deadlineNanoseconds
            if deadline > now {
                next = min(next, deadline)
                index += 1
            } else if connection.responder.isWaiting, connection.expire() {
                // Another connection takes this place in the array.
                resumeNow(connection)
            } else {
                // Answered a moment ago: it comes through the inbox.
                index += 1
            }
        }
        nextDeadline = next
    }

    /// Ends what has been too long in one stage, however its bytes drip.
    func reap() {
        nextReap = now &+ limits.reapInterval
        for connection in connections where now >= connection.stageDeadline { end(connection) }
        if now >= nextHangupCheck { closeAbandoned() }
        resumeAcceptingIfDue()
    }

    /// A client that shuts its side together with its last bytes goes unnoticed by the library; what it began cannot
    /// end well.
    private func closeAbandoned() {
        nextHangupCheck = now &+ limits.hangupCheckInterval
        for connection in connections {
            switch connection.stage {
            case .handling, .answering: continue
            case .fresh, .idle, .header, .body, .discarding, .lingering:
                guard connection.stageDeadline != .max, cmhd_peer_has_ended(connection.descriptor) == 1 else {
                    continue
                }
                connection.stageDeadline = .max
                shutdown(connection.descriptor, Int32(SHUT_RDWR))
            }
        }
    }

    private func end(_ connection: Connection) {
        switch connection.stage {
        case .handling: return
        case .fresh, .header:
            connection.sendRaw(connection.problem(Refusal(.headerTimeout)))
        case .body, .discarding:
            connection.sendRaw(connection.problem(Refusal(.bodyTimeout)))
        case .idle, .lingering, .answering:
            counters.connectionsTimedOut.add()
        }
        // The library sees the end of input and closes; its descriptor is open until it has told us (libraryClosed).
        connection.stageDeadline = .max
        shutdown(connection.descriptor, Int32(SHUT_RDWR))
    }
}
