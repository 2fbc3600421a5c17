import CMicroHTTPD
import Glibc

/// New connections, and their end on drain.
extension Loop {
    func startListening() {
        for (index, listener) in state.listeners.enumerated() {
            let tag = Self.listenerTagBase + UInt64(index)
            let status = cmhd_epoll_add_exclusive(epoll, listener.descriptor, tag)
            precondition(status == 0, "a listening socket cannot be polled")
        }
        isListening = true
    }

    private func pauseListening() {
        guard isListening else { return }
        for listener in state.listeners { cmhd_epoll_remove(epoll, listener.descriptor) }
        isListening = false
    }

    func acceptConnections(_ index: Int) {
        guard isListening, !isDraining else { return }
        var accepted = 0
        while accepted < limits.acceptsPerTurnMax {
            guard state.mayAccept else {
                pauseListening()
                acceptPausedUntil = now
                return
            }
            guard let adoption = acceptOne(state.listeners[index].descriptor) else { return }
            accepted += 1
            hand(over: adoption)
        }
    }

    /// nil when there is none, or none can be had now.
    private func acceptOne(_ listener: Int32) -> Adoption? {
        while true {
            var address = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    cmhd_accept(listener, $0, &length)
                }
            }
            if descriptor >= 0 {
                let admission = state.admit(RemoteAddress(address))
                return Adoption(descriptor: descriptor, address: address, addressLength: length, admission: admission)
            }
            switch -descriptor {
            case EINTR, ECONNABORTED: continue
            case EAGAIN: return nil
            default:
                // EMFILE, ENFILE, ENOBUFS, ENOMEM: trying again at once would spin.
                counters.acceptsFailed.add()
                if !isDraining { pauseListening() }
                acceptPausedUntil = now &+ limits.acceptRetryInterval
                return nil
            }
        }
    }

    /// To the loop with the fewest connections, so that a few busy clients do not share one loop by chance.
    private func hand(over adoption: Adoption) {
        var target = self
        var fewest = counters.assigned.load(ordering: .relaxed)
        for entry in loops where entry.loop !== self && !isDraining {
            let assigned = entry.loop.counters.assigned.load(ordering: .relaxed)
            if assigned < fewest {
                fewest = assigned
                target = entry.loop
            }
        }
        target.counters.assigned.wrappingAdd(1, ordering: .relaxed)
        if target === self { take(adoption) } else { target.adopt(adoption) }
    }

    func take(_ adoption: Adoption) {
        guard let daemon else { preconditionFailure("a connection for a loop that has ended") }
        adopting[adoption.descriptor] = adoption
        var address = adoption.address
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                MHD_add_connection(daemon, adoption.descriptor, $0, adoption.addressLength)
            }
        }
        guard result != .YES else { return }
        // The library has closed the socket; had it announced the connection, it has also announced its end.
        if adopting.removeValue(forKey: adoption.descriptor) != nil {
            counters.acceptsFailed.add()
            counters.assigned.wrappingSubtract(1, ordering: .relaxed)
            state.dismiss(RemoteAddress(adoption.address))
        }
    }

    func resumeAcceptingIfDue() {
        guard !isListening, !isDraining, now >= acceptPausedUntil, state.mayAccept else { return }
        startListening()
    }

    // MARK: Drain

    /// One turn while the server drains. Runs on the loop's own thread: nothing else can be using the listeners here.
    func drainTurn() {
        if !isDraining { beginDraining() }
        guard state.phase == .forced else { return }
        if forcedAt == nil { forcedAt = now }
        var index = 0
        while index < suspended.count {
            let connection = suspended[index]
            if connection.abandon() {
                state.abandoned.wrappingAdd(1, ordering: .relaxed)
                resumeNow(connection)
            } else {
                index += 1
            }
        }
    }

    private func beginDraining() {
        isDraining = true
        pauseListening()
        // Clients in the backlog of our own sockets have a connection already and would be reset; systemd's wait
        // for the next process.
        for listener in state.listeners where !listener.isInherited {
            while state.mayAccept, let adoption = acceptOne(listener.descriptor) { hand(over: adoption) }
        }
        for connection in connections where connection.stage == .idle || connection.stage == .fresh {
            connection.stageDeadline = min(connection.stageDeadline, now &+ limits.drainIdleTimeout)
        }
        state.loopStoppedListening()
    }

    var isFinished: Bool {
        guard isDraining, state.loopsListening.load(ordering: .acquiring) == 0 else { return false }
        switch state.phase {
        case .running, .draining: return false
        case .stopping: return connections.isEmpty && isInboxEmpty
        case .forced:
            guard let forcedAt, isInboxEmpty else { return false }
            return connections.isEmpty || now >= forcedAt &+ limits.stopTimeout
        }
    }

    /// After the last turn: nothing may be suspended when the library stops.
    func forceClose() {
        guard let daemon, !connections.isEmpty else { return }
        while let connection = suspended.last { resumeNow(connection) }
        for connection in connections { shutdown(connection.descriptor, Int32(SHUT_RDWR)) }
        MHD_run(daemon)
    }
}
