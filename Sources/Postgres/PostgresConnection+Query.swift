import CLibPQ

/// Form in which a result's values come.
public enum PostgresResultFormat: Int32, Sendable {
    /// Text of every type.
    case text = 0
    /// Binary: exact and cheaper for numbers, bytes, uuids and timestamps; not for `numeric`.
    case binary = 1
}

/// A statement that is prepared on its first use of each connection, again after every reconnect.
public struct PostgresStatement: Sendable, Equatable {
    /// Name, unique in the program.
    public let name: String
    /// The SQL text with `$1`, `$2`, ...
    public let sql: String
    /// Types of the parameters in order.
    public let types: [PostgresType]

    /// A statement by name, text and parameter types.
    public init(_ name: String, _ sql: String, _ types: [PostgresType] = []) {
        self.name = name
        self.sql = sql
        self.types = types
    }
}

extension PostgresConnection {
    /// Runs one or several statements without parameters and drops their rows. Several statements in one text outside a
    /// transaction block are one transaction.
    ///
    /// - Returns: rows affected by the last statement.
    @discardableResult
    public func execute(_ sql: String, until deadline: PostgresDeadline? = nil) throws(PostgresError) -> Int {
        let deadline = deadline ?? .after(configuration.statementTimeout)
        let handle = try ready(until: deadline)
        let result = try send(on: handle, until: deadline) { PQsendQuery(handle, sql) }
        return result.affectedRows
    }

    /// Runs one statement with parameters and returns its rows.
    @discardableResult
    public func query(
        _ sql: String,
        _ parameters: [PostgresParameter] = [],
        format: PostgresResultFormat = .text,
        until deadline: PostgresDeadline? = nil
    ) throws(PostgresError) -> PostgresResult {
        let deadline = deadline ?? .after(configuration.statementTimeout)
        let encoded = try EncodedParameters(parameters)
        let handle = try ready(until: deadline)
        return try send(on: handle, until: deadline) {
            encoded.withPointers { count, oids, values, lengths, formats in
                PQsendQueryParams(handle, sql, count, oids, values, lengths, formats, format.rawValue)
            }
        }
    }

    /// Runs a prepared statement, preparing it first where this connection has not yet.
    @discardableResult
    public func query(
        _ statement: PostgresStatement,
        _ parameters: [PostgresParameter] = [],
        format: PostgresResultFormat = .binary,
        until deadline: PostgresDeadline? = nil
    ) throws(PostgresError) -> PostgresResult {
        precondition(
            parameters.count == statement.types.count && zip(parameters, statement.types).allSatisfy { $0.fits($1) },
            "parameters do not fit the statement's types"
        )
        let deadline = deadline ?? .after(configuration.statementTimeout)
        let encoded = try EncodedParameters(parameters)
        do {
            return try run(statement, encoded, format, deadline)
        } catch {
            // A pooler may have changed the server behind the name, or a migration the table behind the plan.
            let state = error.sqlState
            guard state == .invalidStatementName || state == .featureNotSupported else { throw error }
            preparedStatements[statement.name] = nil
            if isInTransaction { throw error }
            try execute("DEALLOCATE ALL", until: deadline)
            preparedStatements.removeAll()
            return try run(statement, encoded, format, deadline)
        }
    }

    private func run(
        _ statement: PostgresStatement,
        _ encoded: EncodedParameters,
        _ format: PostgresResultFormat,
        _ deadline: PostgresDeadline
    ) throws(PostgresError) -> PostgresResult {
        let handle = try ready(until: deadline)
        if let types = preparedStatements[statement.name] {
            precondition(types == statement.types, "two statements share a name")
        } else {
            let oids = statement.types.map(\.oid)
            _ = try send(on: handle, until: deadline) {
                PQsendPrepare(handle, statement.name, statement.sql, Int32(oids.count), oids)
            }
            preparedStatements[statement.name] = statement.types
        }
        return try send(on: handle, until: deadline) {
            encoded.withPointers { count, _, values, lengths, formats in
                PQsendQueryPrepared(handle, statement.name, count, values, lengths, formats, format.rawValue)
            }
        }
    }

    /// Hands a request to libpq and collects its answer.
    func send(
        on handle: OpaquePointer,
        phase: PostgresPhase? = nil,
        until deadline: PostgresDeadline,
        _ request: () -> Int32
    ) throws(PostgresError) -> PostgresResult {
        let phase = phase ?? (isInTransaction ? .transaction : .statement)
        guard request() == 1 else {
            let message = PostgresServerError.firstLine(PQerrorMessage(handle))
            if PQstatus(handle) == CONNECTION_OK { throw .unexpectedResult(message: message) }
            disconnect()
            // libpq tries to send at once, so part of the request may have left.
            throw .connectionLost(during: phase, sqlState: nil, message: message)
        }
        return try collect(from: handle, phase: phase, until: deadline)
    }
}
