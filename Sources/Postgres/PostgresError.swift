/// What was under way when a connection or a deadline was lost; it decides what is known about the outcome.
public enum PostgresPhase: String, Sendable, Equatable {
    /// Nothing had been sent.
    case idle
    /// A statement outside a transaction block, which commits by itself.
    case statement
    /// A statement inside a transaction block: without its COMMIT nothing of it stays.
    case transaction
    /// The COMMIT itself.
    case commit
}

/// An error that the server reported. It carries no values: the detail and context of the server are dropped, and quoted
/// text in messages about data (class 22) is replaced, since it repeats what was sent.
public struct PostgresServerError: Error, Equatable, Sendable {
    /// The code to decide by; messages are for people.
    public let sqlState: SQLState
    /// `ERROR`, `FATAL`, `PANIC`, `WARNING` or lower.
    public let severity: String
    /// The primary message without values.
    public let message: String
    /// Table concerned, where the server names one.
    public let table: String?
    /// Column concerned, where the server names one.
    public let column: String?
    /// Constraint concerned, where the server names one.
    public let constraint: String?
    /// One-based line of a COPY at which the server stopped. A hint to be verified, since it is read from text.
    public let copyLine: Int?
}

/// Every way in which an operation on a connection fails.
public enum PostgresError: Error, Equatable, Sendable {
    /// No connection came about. `sqlState` is known when a server answered.
    case connectFailed(sqlState: SQLState?, message: String)
    /// No host answered within the deadline.
    case connectTimedOut(message: String)
    /// An established connection broke.
    case connectionLost(during: PostgresPhase, sqlState: SQLState?, message: String)
    /// The deadline passed. `isCancelled`: the server confirmed that the statement has no effect; otherwise the connection
    /// has been closed.
    case timedOut(during: PostgresPhase, isCancelled: Bool)
    /// The server refused.
    case server(PostgresServerError)
    /// COMMIT was answered by ROLLBACK because a statement of the transaction had failed.
    case rolledBack
    /// A parameter cannot be sent; `index` counts from 1.
    case invalidParameter(index: Int, message: String)
    /// The answer has not the shape that was asked for.
    case unexpectedResult(message: String)

    /// Stable snake_case name of the case.
    public var code: String {
        switch self {
        case .connectFailed: "postgres_connect_failed"
        case .connectTimedOut: "postgres_connect_timed_out"
        case .connectionLost: isUnknownOutcome ? "postgres_outcome_unknown" : "postgres_connection_lost"
        case .timedOut: isUnknownOutcome ? "postgres_outcome_unknown" : "postgres_timed_out"
        case .server: "postgres_server_error"
        case .rolledBack: "postgres_rolled_back"
        case .invalidParameter: "postgres_invalid_parameter"
        case .unexpectedResult: "postgres_unexpected_result"
        }
    }

    /// One line for a log; carries no values.
    public var message: String {
        switch self {
        case .connectFailed(let state, let message): "cannot connect\(Self.spelled(state)): \(message)"
        case .connectTimedOut(let message): "cannot connect in time: \(message)"
        case .connectionLost(let phase, let state, let message):
            "connection lost during \(phase.rawValue)\(Self.spelled(state)): \(message)"
        case .timedOut(let phase, let isCancelled):
            "deadline passed during \(phase.rawValue), \(isCancelled ? "statement cancelled" : "connection closed")"
        case .server(let error): "\(error.severity) \(error.sqlState): \(error.message)"
        case .rolledBack: "COMMIT was answered by ROLLBACK"
        case .invalidParameter(let index, let message): "parameter \(index): \(message)"
        case .unexpectedResult(let message): message
        }
    }

    /// The server's code, where there is one.
    public var sqlState: SQLState? {
        switch self {
        case .connectFailed(let state, _), .connectionLost(_, let state, _): state
        case .server(let error): error.sqlState
        default: nil
        }
    }

    private static func spelled(_ state: SQLState?) -> String {
        state.map { " (\($0))" } ?? ""
    }
}

/// What a caller does about an error; one table for the whole service.
public enum PostgresRecovery: String, Sendable, Equatable {
    /// Try again later, with backoff: connections, overload, locks, deadlocks, failover, time.
    case retry
    /// Read back what the server holds (the ship position) before deciding.
    case resolveOutcome
    /// A row is unacceptable: find it, take it out, go on.
    case isolateRow
    /// Create partitions for the rows' days, then try again.
    case ensurePartitions
    /// Another writer owns the journal, or its position is not what we hold: read it again, never force.
    case rereadPosition
    /// Schema, privileges, configuration or our own fault: stop and tell.
    case stop
}

extension PostgresError {
    /// What to do, by code and never by message.
    public var recovery: PostgresRecovery {
        if isUnknownOutcome { return .resolveOutcome }
        switch self {
        case .connectTimedOut, .connectionLost, .timedOut: return .retry
        case .connectFailed(let state, _):
            // Without a code no server has answered. Codes of class 28 or 3D are configuration, which a retry cannot heal.
            guard let state else { return .retry }
            return state.isTransient ? .retry : .stop
        case .rolledBack, .invalidParameter, .unexpectedResult: return .stop
        case .server(let error): return error.recovery
        }
    }

    /// Whether the same work may succeed later without change.
    public var isTransient: Bool { recovery == .retry }

    /// Whether a row of the statement can never be stored.
    public var isPoison: Bool { recovery == .isolateRow }

    /// Whether the work may have been committed although no answer arrived.
    public var isUnknownOutcome: Bool {
        switch self {
        case .connectionLost(let phase, _, _): phase == .commit || phase == .statement
        case .timedOut(let phase, let isCancelled): !isCancelled && (phase == .commit || phase == .statement)
        default: false
        }
    }
}

extension PostgresServerError {
    /// What to do about this error.
    public var recovery: PostgresRecovery {
        if sqlState == .shipPositionMismatch || sqlState == .shipEpochFenced { return .rereadPosition }
        // The server reports a missing partition as a check violation that names the table and no constraint; one that a
        // trigger raises names neither.
        if sqlState == .checkViolation && constraint == nil && table != nil { return .ensurePartitions }
        if sqlState.isTransient { return .retry }
        return sqlState.isPoison ? .isolateRow : .stop
    }
}

extension SQLState {
    /// Connection, overload, shutdown, serialization, lock and read-only errors, and cancelled statements.
    public var isTransient: Bool {
        isInClass("08") || isInClass("53") || isInClass("57") || isInClass("58")
            || self == .serializationFailure || self == .deadlockDetected || self == .lockNotAvailable
            || self == .readOnlyTransaction
    }

    /// Errors that one row's content causes: data exceptions, constraint violations, rows too large or too deep.
    public var isPoison: Bool {
        (isInClass("22") && self != .badCopyFileFormat) || isInClass("23") || isInClass("54")
    }
}
