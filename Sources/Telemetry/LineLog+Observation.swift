extension LineLog {
    /// Writes the line of `observation`, when it has one and its level is on.
    public func observe(_ observation: Observation, at micros: Int64) {
        switch observation {
        case .request(let method, let route, let status, let bytesIn, let bytesOut, let nanoseconds, let trace):
            guard isEnabled(.debug) else { return }
            write(
                .debug, "request answered", at: micros,
                [
                    "method": .text(method), "route": .text(route), "status": .integer(Int64(status)),
                    "bytes_in": .integer(Int64(bytesIn)), "bytes_out": .integer(Int64(bytesOut)),
                    "duration_us": .double(Double(nanoseconds) / 1000), "trace_id": .text(trace?.traceID ?? ""),
                ])
        case .events(let contract, let disposition, let code, let count):
            guard isEnabled(.debug) else { return }
            write(
                .debug, "events taken", at: micros,
                [
                    "contract": .text(contract), "disposition": .text(disposition.rawValue), "code": .text(code),
                    "count": .integer(Int64(count)),
                ])
        case .decision(let name, let step, let cause, _):
            guard step > 0 else { return }
            write(
                .info, "decision fell back", at: micros,
                ["decision": .text(name), "step": .integer(Int64(step)), "cause": .text(cause)])
        case .decisionRefused(let name, let code):
            write(.warning, "decision refused", at: micros, ["decision": .text(name), "code": .text(code)])
        case .journalFlush, .shipped, .eventStage, .sourceEvents, .sourceLag, .level, .features: return
        default: observeState(observation, at: micros)
        }
    }

    private func observeState(_ observation: Observation, at micros: Int64) {
        switch observation {
        case .journalFailed(let number):
            write(.error, "journal not durable", at: micros, ["errno": .integer(Int64(number))])
        case .recovered(let snapshotSeq, let frames, let nanoseconds):
            write(
                .info, "recovered", at: micros,
                [
                    "snapshot_seq": .integer(Int64(clamping: snapshotSeq)),
                    "frames_replayed": .integer(Int64(clamping: frames)),
                    "duration_ms": .double(Double(nanoseconds) / 1_000_000),
                ])
        case .snapshotTaken(let seq, let bytes, let nanoseconds):
            write(
                .info, "snapshot taken", at: micros,
                [
                    "seq": .integer(Int64(clamping: seq)), "bytes": .integer(bytes),
                    "duration_ms": .double(Double(nanoseconds) / 1_000_000),
                ])
        case .snapshotPassedOver(let seq, let problem):
            write(
                .error, "snapshot passed over", at: micros,
                ["seq": .integer(Int64(clamping: seq)), "problem": .text(problem)])
        case .segmentsRecycled(let count, let firstSeq):
            write(
                .info, "segments recycled", at: micros,
                ["count": .integer(Int64(count)), "first_seq": .integer(Int64(clamping: firstSeq))])
        case .shipFailed(let code): write(.warning, "ship failed", at: micros, ["code": .text(code)])
        case .unshippable(let table, let code):
            write(.warning, "row quarantined", at: micros, ["table": .text(table), "code": .text(code)])
        case .shipRewound(let frames):
            write(
                .warning, "database lost frames, shipping them again", at: micros, ["frames": .integer(Int64(frames))])
        case .parity(let view, _, let mismatches):
            if mismatches > 0 {
                write(
                    .error, "served features differ from PostgreSQL", at: micros,
                    ["view": .text(view), "mismatches": .integer(Int64(mismatches))])
            }
        case .database(let isUp):
            write(isUp ? .info : .warning, isUp ? "database connected" : "database lost", at: micros)
        case .breaker(let endpoint, let state):
            write(
                state == .open ? .warning : .info, "breaker changed", at: micros,
                ["endpoint": .text(endpoint), "state": .text(state.rawValue)])
        case .limitHit(let name): write(.warning, "limit hit", at: micros, ["limit": .text(name)])
        case .denied(let code): write(.info, "access denied", at: micros, ["code": .text(code)])
        case .activated(let kind, let name, let version):
            write(
                .info, "definition activated", at: micros,
                ["kind": .text(kind), "name": .text(name), "version": .integer(Int64(version))])
        case .failure(let component, let code):
            write(.error, "failure", at: micros, ["component": .text(component), "code": .text(code)])
        case .lifecycle(let phase): write(.info, "lifecycle", at: micros, ["phase": .text(phase.rawValue)])
        default: return
        }
    }
}
