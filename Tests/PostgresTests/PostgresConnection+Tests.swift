import Postgres

extension PostgresConnection {
    /// The integer in the only row and column of a query.
    func integer(_ sql: String, _ parameters: [PostgresParameter] = []) throws -> Int64? {
        let rows = try query(sql, parameters, format: .binary)
        return try rows.int64(0, 0)
    }

    func rowCount(_ statement: PostgresStatement, _ parameters: [PostgresParameter]) throws -> Int {
        let rows = try query(statement, parameters)
        return rows.rowCount
    }

    func columnCount(_ statement: PostgresStatement, _ parameters: [PostgresParameter]) throws -> Int {
        let rows = try query(statement, parameters)
        return rows.columnCount
    }
}
