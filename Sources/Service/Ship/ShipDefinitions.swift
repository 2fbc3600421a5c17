import JSON
import Postgres

extension ShipTransaction {
    /// Stores what an activation frame says of a definition. It was committed before the frame was written, so this changes
    /// nothing, unless a failover has lost that commit: then a version that is in force here would be missing there.
    ///
    /// - Returns: the frame's row when PostgreSQL refused it while isolating.
    func store(
        _ activation: ActivationFrame, _ seq: UInt64, _ connection: PostgresConnection
    ) throws(PostgresError) -> UnshippableRow? {
        func put() throws(PostgresError) {
            if activation.isRetired {
                try retire(activation, connection)
            } else {
                try insert(activation, connection)
            }
        }
        if !isIsolating {
            try put()
            return nil
        }
        let poison = try connection.isolatingPoison(in: 0..<1) { _ throws(PostgresError) in try put() }
        return poison.first.map { unshippable($0.error, table: "definition", seq: seq, raw: activation.body) }
    }

    private func insert(_ activation: ActivationFrame, _ connection: PostgresConnection) throws(PostgresError) {
        guard let document = try? JSONTree(parsing: activation.body),
            let definition = Definition(document, at: "", ProblemList(), version: Int(activation.version))
        else { return }
        try connection.query(
            """
            INSERT INTO decisiond.definition
            (kind, name, version, domain, owner, description, spec, created_at, created_by, comment)
            VALUES ($1, $2, $3, $4, $5, $6, $7, decisiond.at($8), $9, $10) ON CONFLICT DO NOTHING
            """,
            [
                .text(activation.kind), .text(activation.name), .int64(Int64(activation.version)),
                .text(definition.domain), .text(definition.owner), .text(definition.description),
                .text(String(decoding: activation.body, as: UTF8.self)), .int64(activation.atMicros),
                .text(activation.principal), .text(activation.comment),
            ])
    }

    private func retire(_ activation: ActivationFrame, _ connection: PostgresConnection) throws(PostgresError) {
        try connection.query(
            """
            UPDATE decisiond.definition SET retired_at = decisiond.at($4), retired_by = $5
            WHERE kind = $1 AND name = $2 AND version = $3 AND retired_at IS NULL
            """,
            [
                .text(activation.kind), .text(activation.name), .int64(Int64(activation.version)),
                .int64(activation.atMicros), .text(activation.principal),
            ])
    }
}
