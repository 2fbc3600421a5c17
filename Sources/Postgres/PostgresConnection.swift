import CLibPQ
import Glibc

/// A connection to PostgreSQL, confined to one thread.
///
/// It connects by itself when an operation needs it, and again after a loss, except inside a transaction: there the loss is
/// an error until ``rollback(until:)``, so that the second half of a transaction can never run alone. Every operation
/// waits in `poll` until its deadline (``PostgresConfiguration/statementTimeout`` unless given) and no longer than
/// ``PostgresLimits/cancelGrace`` after it.
public final class PostgresConnection {
    /// What the connection was made with.
    public let configuration: PostgresConfiguration

    /// Counts connects. Session state (temporary tables, SET) lives in one generation only.
    public private(set) var generation = 0

    /// Whether a transaction block is open, or was open when the connection was lost.
    public internal(set) var isInTransaction = false

    /// Warnings beyond ``PostgresLimits/warningsMax`` that were not kept.
    public private(set) var droppedWarningCount = 0

    var handle: OpaquePointer?
    var preparedStatements: [String: [PostgresType]] = [:]
    private var warnings: [PostgresServerError] = []
    private var cancelRequest: CancelRequest?

    /// A connection that is not made yet.
    public init(_ configuration: PostgresConfiguration) {
        self.configuration = configuration
    }

    deinit {
        if let handle { PQfinish(handle) }
    }

    /// Whether the connection stands as far as is known without asking the server.
    public var isConnected: Bool {
        handle.map { PQstatus($0) == CONNECTION_OK } ?? false
    }

    /// Major and minor version of the server, such as 150020 for 15.20; nil when not connected.
    public var serverVersion: Int? {
        handle.map { Int(PQserverVersion($0)) }
    }

    /// Process id of the server's backend; nil when not connected.
    public var backendProcessID: Int32? {
        handle.map { PQbackendPID($0) }
    }

    /// Closes the connection. A transaction that was open is rolled back by the server.
    public func close() {
        disconnect()
        isInTransaction = false
    }

    /// Hands over the warnings received since the last call, oldest first.
    public func takeWarnings() -> [PostgresServerError] {
        defer { warnings = [] }
        return warnings
    }

    /// Makes the connection, closing an existing one.
    ///
    /// - Parameter deadline: default: now plus ``PostgresConfiguration/connectTimeout``.
    public func connect(until deadline: PostgresDeadline? = nil) throws(PostgresError) {
        close()
        let deadline = deadline ?? .after(configuration.connectTimeout)
        let targets = try ConnectionTarget.all(in: configuration)
        var lastError = PostgresError.connectTimedOut(message: "no time was left to try a host")
        for (index, target) in targets.enumerated() where !deadline.hasPassed {
            // Each host gets its share of what is left, so one that does not answer cannot use up the others' time.
            let share = deadline.remaining / (targets.count - index)
            do {
                try connect(to: target, until: min(deadline, .after(share)))
                return
            } catch {
                disconnect()
                lastError = error
            }
        }
        throw lastError
    }

    /// Lets go of the C connection but remembers an open transaction.
    func disconnect() {
        preparedStatements.removeAll(keepingCapacity: true)
        guard let handle else { return }
        PQfinish(handle)
        self.handle = nil
    }

    /// The connection, made first if need be and allowed.
    func ready(until deadline: PostgresDeadline) throws(PostgresError) -> OpaquePointer {
        if let handle, PQstatus(handle) == CONNECTION_OK { return handle }
        if isInTransaction {
            disconnect()
            throw .connectionLost(during: .transaction, sqlState: nil, message: "the transaction's connection is gone")
        }
        try connect(until: min(deadline, .after(configuration.connectTimeout)))
        guard let handle else { throw .connectTimedOut(message: "connection closed at once") }
        return handle
    }

    /// Asks the server to stop the running statement; false when that cannot be asked.
    func cancelStatement(on handle: OpaquePointer) -> Bool {
        if let cancelRequest, !cancelRequest.hasFinished { return false }
        cancelRequest = CancelRequest.start(for: handle)
        return cancelRequest != nil
    }

    private func connect(to target: ConnectionTarget, until deadline: PostgresDeadline) throws(PostgresError) {
        guard let handle = target.start() else {
            throw .connectFailed(sqlState: nil, message: "out of memory")
        }
        self.handle = handle
        // The verbose form is the only one that names the code of a refusal.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        if PQstatus(handle) == CONNECTION_BAD { throw connectFailure(handle) }
        try complete(handle, until: deadline)
        PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
        PQsetNoticeReceiver(handle, noticeReceiver, Unmanaged.passUnretained(self).toOpaque())
        guard PQsetnonblocking(handle, 1) == 0 else {
            throw .connectFailed(sqlState: nil, message: "cannot make the connection nonblocking")
        }
        generation += 1
        try applySettings(on: handle, until: deadline)
    }

    private func complete(_ handle: OpaquePointer, until deadline: PostgresDeadline) throws(PostgresError) {
        // libpq asks to treat a fresh connection as if the last poll had said "writing".
        var events = Int16(POLLOUT)
        while true {
            switch waitForSocket(of: handle, events: events, until: deadline) {
            case .ready: break
            case .deadline: throw .connectTimedOut(message: "the server did not answer")
            case .failed(let code): throw .connectFailed(sqlState: nil, message: "poll failed, errno \(code)")
            }
            switch PQconnectPoll(handle) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: events = Int16(POLLIN)
            case PGRES_POLLING_WRITING: events = Int16(POLLOUT)
            default: throw connectFailure(handle)
            }
        }
    }

    private func connectFailure(_ handle: OpaquePointer) -> PostgresError {
        let message = PostgresServerError.firstLine(PQerrorMessage(handle))
        return .connectFailed(sqlState: .inVerboseMessage(message), message: message)
    }

    /// Session settings that results and time limits rely on. `client_connection_check_interval` (14 and later) lets a
    /// backend notice that its client has gone; a server on a system without it refuses, which is no reason to fail.
    private func applySettings(on handle: OpaquePointer, until deadline: PostgresDeadline) throws(PostgresError) {
        let grace = PostgresLimits.cancelGrace
        let settings = """
            SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; SET bytea_output = 'hex';
            SET standard_conforming_strings = on; SET extra_float_digits = 3; SET client_min_messages = 'warning';
            SET statement_timeout = \((configuration.statementTimeout + grace).settingMilliseconds);
            SET lock_timeout = \(configuration.lockTimeout.settingMilliseconds);
            SET idle_in_transaction_session_timeout = \(configuration.idleInTransactionTimeout.settingMilliseconds);
            DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '1000', false);
            EXCEPTION WHEN OTHERS THEN NULL; END $$;
            """
        guard PQsendQuery(handle, settings) == 1 else { throw connectFailure(handle) }
        do {
            _ = try collect(from: handle, phase: .idle, until: deadline)
        } catch {
            switch error {
            case .timedOut: throw .connectTimedOut(message: "the server did not accept the session settings in time")
            case .server(let server): throw .connectFailed(sqlState: server.sqlState, message: server.message)
            default: throw error
            }
        }
    }

    fileprivate func note(_ warning: PostgresServerError) {
        if warnings.count < PostgresLimits.warningsMax {
            warnings.append(warning)
        } else {
            droppedWarningCount += 1
        }
    }
}

/// Called by libpq, on the connection's own thread, for warnings and notices.
private let noticeReceiver: PQnoticeReceiver = { context, result in
    guard let context, let result else { return }
    Unmanaged<PostgresConnection>.fromOpaque(context).takeUnretainedValue().note(PostgresServerError(result: result))
}
