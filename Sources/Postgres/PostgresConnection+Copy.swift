import CLibPQ

/// A table and its columns as the target of COPY.
public struct CopyTarget: Sendable, Hashable {
    /// Schema; nil for the search path (temporary tables).
    public let schema: String?
    /// Table.
    public let table: String
    /// Columns in the order in which rows are written.
    public let columns: [String]

    /// A target by its names, which are quoted when used.
    public init(schema: String?, table: String, columns: [String]) {
        self.schema = schema
        self.table = table
        self.columns = columns
    }

    var statement: String {
        let name = (schema.map { quoted($0) + "." } ?? "") + quoted(table)
        return "COPY \(name) (\(columns.map(quoted).joined(separator: ", "))) FROM STDIN"
    }

    private func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}

/// A row that the server can never store, found by ``PostgresConnection/isolatingPoison(in:until:_:)``.
public struct PoisonRow: Sendable, Equatable {
    /// Index of the row in the writer.
    public let row: Int
    /// Why it was refused.
    public let error: PostgresServerError
}

extension PostgresConnection {
    /// Copies rows into a table.
    ///
    /// - Parameters:
    ///   - rows: what to send.
    ///   - range: the rows to send; default: all.
    /// - Returns: the number of rows that the server has taken.
    @discardableResult
    public func copyIn(
        into target: CopyTarget,
        rows: borrowing CopyTextWriter,
        range: Range<Int>? = nil,
        until deadline: PostgresDeadline? = nil
    ) throws(PostgresError) -> Int {
        let deadline = deadline ?? .after(configuration.statementTimeout)
        let phase: PostgresPhase = isInTransaction ? .transaction : .statement
        let handle = try ready(until: deadline)
        try startCopy(target, on: handle, phase, deadline)
        let byteRange = rows.byteRange(ofRows: range ?? 0..<rows.rowCount)
        let isSent = rows.bytes.withUnsafeBytes { all in
            sendCopy(UnsafeRawBufferPointer(rebasing: all[byteRange]), on: handle, until: deadline)
        }
        if isSent {
            PQputCopyEnd(handle, nil)
        } else {
            PQputCopyEnd(handle, "deadline passed")
        }
        do {
            let result = try collect(from: handle, phase: phase, until: deadline)
            return result.affectedRows
        } catch {
            // Our own refusal to go on comes back as a cancellation by the server.
            if !isSent, error.sqlState == .queryCanceled { throw .timedOut(during: phase, isCancelled: true) }
            throw error
        }
    }

    /// Copies rows inside the open transaction and takes out those that can never be stored, so that one bad row does not
    /// hold up the others. Errors that are not a row's fault are thrown.
    ///
    /// - Returns: the refused rows in order; all others have been copied.
    public func copyInIsolatingPoison(
        into target: CopyTarget,
        rows: borrowing CopyTextWriter,
        range: Range<Int>? = nil,
        until deadline: PostgresDeadline? = nil
    ) throws(PostgresError) -> [PoisonRow] {
        try isolatingPoison(in: range ?? 0..<rows.rowCount, until: deadline) { part throws(PostgresError) in
            try self.copyIn(into: target, rows: rows, range: part, until: deadline)
        }
    }

    /// Stores rows inside the open transaction part by part, each under a savepoint, and finds by bisection those that can
    /// never be stored: a refused row's content (``PostgresError/isPoison``), or a row that no partition takes.
    ///
    /// - Parameters:
    ///   - range: all rows.
    ///   - store: stores a part of them; called again with smaller parts of a part that was refused.
    /// - Returns: the refused rows in order; all others have been stored.
    /// - Throws: what is no row's fault; and, when more than ``PostgresLimits/poisonRowsMax`` rows are refused, the last
    ///   refusal.
    public func isolatingPoison(
        in range: Range<Int>,
        until deadline: PostgresDeadline? = nil,
        _ store: (Range<Int>) throws(PostgresError) -> Void
    ) throws(PostgresError) -> [PoisonRow] {
        precondition(isInTransaction, "rows are isolated inside a transaction")
        var poison: [PoisonRow] = []
        // Parts still to store, the next one last. Order within the table is kept.
        var pending = [range]
        while let next = pending.popLast() {
            if next.isEmpty { continue }
            try execute("SAVEPOINT decisiond_rows", until: deadline)
            do {
                try store(next)
                try execute("RELEASE SAVEPOINT decisiond_rows", until: deadline)
            } catch {
                guard error.isPoison || error.recovery == .ensurePartitions, case .server(let server) = error else {
                    throw error
                }
                try execute("ROLLBACK TO SAVEPOINT decisiond_rows; RELEASE SAVEPOINT decisiond_rows", until: deadline)
                if next.count == 1 {
                    poison.append(PoisonRow(row: next.lowerBound, error: server))
                    if poison.count > PostgresLimits.poisonRowsMax { throw error }
                    continue
                }
                pending.append(contentsOf: split(next, hint: server.copyLine))
            }
        }
        return poison
    }

    /// Cuts a range so that the suspected row stands alone; without a hint, in halves. The last part is copied first.
    private func split(_ range: Range<Int>, hint: Int?) -> [Range<Int>] {
        if let hint, hint >= 1, hint <= range.count {
            let row = range.lowerBound + hint - 1
            return [(row + 1)..<range.upperBound, row..<(row + 1), range.lowerBound..<row]
        }
        let middle = range.lowerBound + range.count / 2
        return [middle..<range.upperBound, range.lowerBound..<middle]
    }

    private func startCopy(
        _ target: CopyTarget,
        on handle: OpaquePointer,
        _ phase: PostgresPhase,
        _ deadline: PostgresDeadline
    ) throws(PostgresError) {
        guard PQsendQuery(handle, target.statement) == 1 else {
            let message = PostgresServerError.firstLine(PQerrorMessage(handle))
            disconnect()
            throw .connectionLost(during: phase, sqlState: nil, message: message)
        }
        guard flush(handle, until: deadline), awaitResult(of: handle, until: deadline) else {
            // The statement waits for a lock or the server is frozen; collecting cancels it.
            _ = try collect(from: handle, phase: phase, until: deadline)
            throw .unexpectedResult(message: "COPY ended before it began")
        }
        guard let result = PQgetResult(handle) else {
            throw .unexpectedResult(message: "COPY was not answered")
        }
        if PQresultStatus(result) == PGRES_COPY_IN {
            PQclear(result)
            return
        }
        try refuse(result, handle, phase, deadline)
    }

    /// Turns a refused COPY into its error, reading the protocol to its end first.
    private func refuse(
        _ result: OpaquePointer,
        _ handle: OpaquePointer,
        _ phase: PostgresPhase,
        _ deadline: PostgresDeadline
    ) throws(PostgresError) {
        let error = PostgresServerError(result: result)
        PQclear(result)
        do {
            _ = try collect(from: handle, phase: phase, until: deadline)
        } catch {
            if case .unexpectedResult = error {} else { throw error }
        }
        throw .server(error)
    }

    /// Sends bytes in pieces; false when the deadline passed. When the server has ended the COPY or the connection is gone,
    /// sending stops and the answer tells.
    private func sendCopy(
        _ bytes: UnsafeRawBufferPointer,
        on handle: OpaquePointer,
        until deadline: PostgresDeadline
    ) -> Bool {
        var start = 0
        while start < bytes.count {
            let count = min(PostgresLimits.copyChunkBytes, bytes.count - start)
            let piece = bytes.baseAddress?.advanced(by: start).assumingMemoryBound(to: CChar.self)
            guard PQputCopyData(handle, piece, Int32(count)) == 1 else { return true }
            if !flush(handle, until: deadline) { return false }
            start += count
        }
        return true
    }
}
