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
            guard activation.kind == DefinitionKind.model.rawValue else { return }
            let stage = ModelStageFrame(
                name: activation.name, version: activation.version,
                stage: (activation.isRetired ? ModelStage.retired : .champion).rawValue, atMicros: activation.atMicros,
                principal: activation.principal, reason: activation.comment, body: [])
            try insert(stage, seq, connection)
        }
        if !isIsolating {
            try put()
            return nil
        }
        let poison = try connection.isolatingPoison(in: 0..<1) { _ throws(PostgresError) in try put() }
        return poison.first.map { unshippable($0.error, table: "definition", seq: seq, raw: activation.body) }
    }

    /// Stores the stage of a model version, and what registered it.
    func store(
        _ stage: ModelStageFrame, _ seq: UInt64, _ connection: PostgresConnection
    ) throws(PostgresError) -> UnshippableRow? {
        func put() throws(PostgresError) {
            if !stage.body.isEmpty {
                let registration = ActivationFrame(
                    kind: DefinitionKind.model.rawValue, name: stage.name, version: stage.version, isRetired: false,
                    atMicros: stage.atMicros, principal: stage.principal, comment: stage.reason, body: stage.body)
                try insert(registration, connection)
            }
            try insert(stage, seq, connection)
        }
        if !isIsolating {
            try put()
            return nil
        }
        let poison = try connection.isolatingPoison(in: 0..<1) { _ throws(PostgresError) in try put() }
        return poison.first.map { unshippable($0.error, table: "model_stage", seq: seq, raw: stage.body) }
    }

    private func insert(
        _ stage: ModelStageFrame, _ seq: UInt64, _ connection: PostgresConnection
    ) throws(PostgresError) {
        try connection.query(
            """
            INSERT INTO decisiond.model_stage (journal_id, seq, name, version, stage, at_us, principal, reason)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .uuid(journal), .int64(Int64(seq)), .text(stage.name), .int64(Int64(stage.version)), .text(stage.stage),
                .int64(stage.atMicros), .text(stage.principal), .text(stage.reason),
            ])
    }

    private func insert(_ activation: ActivationFrame, _ connection: PostgresConnection) throws(PostgresError) {
        guard let document = try? JSONTree(parsing: activation.body),
            let definition = Definition(document, at: "", ProblemList(), version: Int(activation.version))
        else { return }
        try connection.query(
            """
            INSERT INTO decisiond.definition
            (kind, name, version, domain, owner, description, spec, created_at, created_by, comment)
            VALUES ($1, $2, $3, $4, $5, $6, $7, decisiond.at($8), $9, $10)
            ON CONFLICT (kind, name, version) DO UPDATE SET retired_at = NULL, retired_by = NULL
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
