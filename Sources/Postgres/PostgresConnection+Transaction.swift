import CLibPQ

extension PostgresConnection {
    /// Opens a transaction block.
    ///
    /// - Parameter mode: what follows BEGIN, such as `ISOLATION LEVEL REPEATABLE READ READ ONLY`.
    public func begin(_ mode: StaticString = "", until deadline: PostgresDeadline? = nil) throws(PostgresError) {
        precondition(!isInTransaction, "a transaction is open already")
        let deadline = deadline ?? .after(configuration.statementTimeout)
        let handle = try ready(until: deadline)
        // Nothing can have happened when BEGIN itself is lost.
        _ = try send(on: handle, phase: .idle, until: deadline) { PQsendQuery(handle, "BEGIN \(mode)") }
        isInTransaction = true
    }

    /// Commits. ``PostgresError/isUnknownOutcome`` is true when no answer came; ``PostgresError/rolledBack`` is thrown when
    /// a statement of the block had failed. The transaction is over in every case.
    public func commit(until deadline: PostgresDeadline? = nil) throws(PostgresError) {
        precondition(isInTransaction, "no transaction is open")
        let deadline = deadline ?? .after(configuration.statementTimeout)
        guard let handle, PQstatus(handle) == CONNECTION_OK else {
            close()
            throw .connectionLost(during: .transaction, sqlState: nil, message: "the transaction's connection is gone")
        }
        defer { isInTransaction = false }
        let result = try send(on: handle, phase: .commit, until: deadline) { PQsendQuery(handle, "COMMIT") }
        if result.commandTag != "COMMIT" { throw .rolledBack }
    }

    /// Gives the transaction up; never fails: when the server cannot be told, the connection is closed, which says the same.
    public func rollback(until deadline: PostgresDeadline? = nil) {
        defer { isInTransaction = false }
        guard let handle, PQstatus(handle) == CONNECTION_OK else { return disconnect() }
        let deadline = deadline ?? .after(configuration.statementTimeout)
        do {
            _ = try send(on: handle, phase: .transaction, until: deadline) { PQsendQuery(handle, "ROLLBACK") }
        } catch {
            disconnect()
        }
    }

    /// Runs `body` inside a transaction block: commits when it returns, rolls back when it throws.
    @discardableResult
    public func transaction<R>(
        _ mode: StaticString = "",
        until deadline: PostgresDeadline? = nil,
        _ body: (PostgresConnection) throws(PostgresError) -> R
    ) throws(PostgresError) -> R {
        try begin(mode, until: deadline)
        let value: R
        do {
            value = try body(self)
        } catch {
            rollback()
            throw error
        }
        try commit(until: deadline)
        return value
    }
}
