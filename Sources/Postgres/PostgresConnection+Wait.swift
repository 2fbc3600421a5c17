import CLibPQ
import Glibc

/// How a wait for the socket ended.
enum SocketWait {
    /// The socket can be used; the events that poll reported.
    case ready(Int16)
    /// Time ran out.
    case deadline
    /// poll itself failed, with its errno.
    case failed(Int32)
}

extension PostgresConnection {
    /// Waits until the socket is ready; interrupted waits go on with the time that is left.
    func waitForSocket(of handle: OpaquePointer, events: Int16, until deadline: PostgresDeadline) -> SocketWait {
        var descriptor = pollfd(fd: PQsocket(handle), events: events, revents: 0)
        if descriptor.fd < 0 { return .failed(EBADF) }
        while true {
            let count = poll(&descriptor, 1, deadline.pollMilliseconds)
            if count > 0 { return .ready(descriptor.revents) }
            if count == 0 { return .deadline }
            if errno != EINTR { return .failed(errno) }
        }
    }

    /// Sends what libpq has buffered. While sending it also reads, since a server that cannot send stops reading. False when
    /// the deadline passed; a broken connection shows when the answer is read.
    func flush(_ handle: OpaquePointer, until deadline: PostgresDeadline) -> Bool {
        while PQflush(handle) == 1 {
            switch waitForSocket(of: handle, events: Int16(POLLIN | POLLOUT), until: deadline) {
            case .ready(let events):
                if events & Int16(POLLIN) != 0, PQconsumeInput(handle) == 0 { return true }
            case .deadline: return false
            case .failed: return true
            }
        }
        return true
    }

    /// Reads all results of what was sent and returns the last good one.
    ///
    /// At the deadline the statement is cancelled and its answer awaited for a short grace; when none comes, the connection
    /// is closed. A COMMIT is never cancelled, since its answer is worth more than the time.
    func collect(
        from handle: OpaquePointer,
        phase: PostgresPhase,
        until deadline: PostgresDeadline
    ) throws(PostgresError) -> PostgresResult {
        var deadline = deadline
        var isCancelling = false
        var last: OpaquePointer?
        var failure: PostgresServerError?
        var misuse: String?
        while true {
            let isInTime = flush(handle, until: deadline) && awaitResult(of: handle, until: deadline)
            if !isInTime {
                if !isCancelling, phase != .commit, cancelStatement(on: handle) {
                    isCancelling = true
                    deadline = .after(PostgresLimits.cancelGrace)
                    continue
                }
                PQclear(last)
                disconnect()
                throw .timedOut(during: phase, isCancelled: false)
            }
            guard let result = PQgetResult(handle) else { break }
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                PQclear(last)
                last = result
                continue
            case PGRES_COPY_IN:
                PQputCopyEnd(handle, "COPY is not expected here")
                misuse = "COPY FROM STDIN needs copyIn"
            case PGRES_COPY_OUT, PGRES_COPY_BOTH:
                // Its data would have to be read to the end; a new connection is cheaper.
                PQclear(result)
                PQclear(last)
                disconnect()
                throw .unexpectedResult(message: "COPY TO STDOUT is not supported")
            default:
                if failure == nil { failure = PostgresServerError(result: result) }
            }
            PQclear(result)
        }
        return try conclude(
            handle,
            Received(result: last, failure: failure, misuse: misuse, isCancelled: isCancelling),
            phase
        )
    }

    /// Waits until a result can be taken without blocking; false when the deadline passed.
    func awaitResult(of handle: OpaquePointer, until deadline: PostgresDeadline) -> Bool {
        while PQisBusy(handle) == 1 {
            switch waitForSocket(of: handle, events: Int16(POLLIN), until: deadline) {
            case .ready:
                // On failure the connection is marked bad and the next result says so.
                if PQconsumeInput(handle) == 0 { return true }
            case .deadline: return false
            case .failed: return true
            }
        }
        return true
    }

    private struct Received {
        let result: OpaquePointer?
        let failure: PostgresServerError?
        let misuse: String?
        let isCancelled: Bool
    }

    private func conclude(
        _ handle: OpaquePointer,
        _ received: Received,
        _ phase: PostgresPhase
    ) throws(PostgresError) -> PostgresResult {
        if PQstatus(handle) != CONNECTION_OK {
            PQclear(received.result)
            let message = received.failure?.message ?? PostgresServerError.firstLine(PQerrorMessage(handle))
            // A loss noticed by libpq itself has no code of the server.
            let state = received.failure.flatMap { $0.sqlState == .unknown ? nil : $0.sqlState }
            disconnect()
            throw .connectionLost(during: phase, sqlState: state, message: message)
        }
        let status = PQtransactionStatus(handle)
        isInTransaction = status == PQTRANS_INTRANS || status == PQTRANS_INERROR
        if let failure = received.failure {
            PQclear(received.result)
            if let misuse = received.misuse { throw .unexpectedResult(message: misuse) }
            if received.isCancelled && failure.sqlState == .queryCanceled {
                throw .timedOut(during: phase, isCancelled: true)
            }
            throw .server(failure)
        }
        guard let result = received.result else {
            throw .unexpectedResult(message: "the server sent no result")
        }
        // A statement that finished before its cancellation arrived is finished; what it did is not denied.
        return PostgresResult(owning: result)
    }
}
