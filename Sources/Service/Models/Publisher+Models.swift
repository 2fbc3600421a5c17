import Access
import JSON
import Journal
import Models
import Postgres

/// A version of a model that was registered.
struct RegisteredModel: Sendable {
    let served: ServedModel
    let stage: ModelStage
    /// How the golden rows compared; nil without any.
    let golden: GoldenReport?
}

extension Publisher {
    /// Registers a version: keeps its file, checks everything that can be checked, and commits it. It is used by no
    /// decision before it is promoted.
    func register(
        _ upload: ModelUpload, name: String, caller: AccessSubject, _ connection: PostgresConnection?
    ) throws(Problem) -> RegisteredModel {
        guard let connection else { throw Problem.needsPostgres }
        return try turn.withLock { _ throws(Problem) in
            let problems = ProblemList()
            let key = DefinitionKey(kind: .model, name: name)
            let version = nextVersion(key, try storedVersions(connection))
            var model: Model?
            func read(_ document: JSONTree) throws(Problem) -> (Definition, ServedModel) {
                guard let definition = Definition(document, at: "", problems, version: version),
                    let parsed = ModelDefinition.parse(definition, at: "", problems)
                else { throw Self.refusal(problems) }
                let loaded: Model
                if let model {
                    loaded = model
                } else {
                    loaded = try artifact(parsed, upload.artifact, principal: caller.id, connection)
                }
                model = loaded
                guard let served = parsed.served(name: name, version: version, loaded, problems) else {
                    throw Self.refusal(problems)
                }
                return (definition, served)
            }
            var (definition, served) = try read(upload.document)
            let golden = served.definition.compareGolden(served, problems)
            guard problems.isEmpty else { throw Self.refusal(problems) }
            if let csv = upload.reference {
                let reference = try ModelReference(csv: csv, of: served)
                (definition, served) = try read(
                    upload.document.setting(["spec", "card", "reference"], reference.tree))
            }
            try commit([definition], upload.comment, caller.id, connection)
            try append(
                ModelStageFrame(
                    name: name, version: UInt32(definition.version), stage: upload.stage.rawValue,
                    atMicros: clock.now(), principal: caller.id, reason: upload.comment,
                    body: definition.document.bytes))
            return RegisteredModel(served: served, stage: upload.stage, golden: golden)
        }
    }

    /// Loads the artifact; a file that came with the request is kept once it is known to be a model.
    private func artifact(
        _ definition: ModelDefinition, _ bytes: [UInt8]?, principal: String, _ connection: PostgresConnection
    ) throws(Problem) -> Model {
        if let bytes {
            do throws(ModelError) {
                _ = try Model.load(bytes, iterations: definition.usesBestIteration ? .best : .all)
            } catch {
                throw Self.refusal("model_\(error.code.rawValue)", error.description)
            }
            try keep(bytes, hash: definition.artifact, principal: principal, connection)
        }
        switch artifacts.model(sha256: definition.artifact, usesBestIteration: definition.usesBestIteration) {
        case .loaded(let model): return model
        case .missing:
            throw Self.refusal(
                "artifact_missing", "send the file with the request, or PUT /v1/artifacts/{sha256} first")
        case .corrupt(let code, let message): throw Self.refusal(code, message)
        }
    }

    private static func refusal(_ code: String, _ message: String) -> Problem {
        let problems = ProblemList()
        problems.add("/artifact", code, message)
        return refusal(problems)
    }

    private func append(_ stage: ModelStageFrame) throws(Problem) {
        var frame = ByteWriter()
        stage.encode(into: &frame)
        let batch = FrameBatch(capacity: frame.bytes.count + 64)
        batch.add(type: FrameType.modelStage.rawValue, payload: frame.bytes)
        _ = try BlockingAck().append(batch, to: journal)
    }

    /// Gives a version another stage. Its file and its definition are on this machine, so PostgreSQL is not needed: a bad
    /// champion can be taken back while the database is away.
    func promote(_ change: ModelPromotion, name: String, caller: AccessSubject) throws(Problem) {
        try turn.withLock { _ throws(Problem) in
            let key = DefinitionKey(kind: .model, name: name)
            let versions = state.registry.versions(name, state.history)
            guard !versions.isEmpty else { throw Problem.unknown("Model", "unknown_model") }
            let champion = versions.first { $0.stage == .champion }
            if let expected = change.expectedChampion, expected != champion?.number ?? 0 {
                throw Problem(
                    412, "version_conflict",
                    "The champion of \(name) is version \(champion?.number ?? 0), not \(expected). Read it again.")
            }
            let wanted: Int
            if let version = change.version { wanted = version } else { wanted = try previousChampion(key) }
            guard let version = versions.first(where: { $0.number == wanted }) else {
                throw Problem(404, "unknown_version", "The model has no version \(wanted).")
            }
            if version.stage == change.stage { return }
            if change.stage == .champion {
                try activate(version.definition, key, change.reason, caller)
                return
            }
            guard version.stage != .champion else {
                throw Problem(
                    409, "is_champion",
                    "Decisions use this version. Promote another one, or retire the model: DELETE /v1/definitions/Model/\(name)."
                )
            }
            try append(
                ModelStageFrame(
                    name: name, version: UInt32(wanted), stage: change.stage.rawValue, atMicros: clock.now(),
                    principal: caller.id, reason: change.reason, body: []))
        }
    }

    /// The champion before the one that is now, or the last one of a retired model.
    private func previousChampion(_ key: DefinitionKey) throws(Problem) -> Int {
        let entries = state.history.entries(key)
        let current = entries.last.flatMap { $0.toSeq == nil ? $0.definition.version : nil }
        guard let previous = entries.last(where: { $0.definition.version != current }) else {
            throw Problem(409, "no_previous_champion", "No other version was champion before.")
        }
        return previous.definition.version
    }

    private func activate(
        _ definition: Definition, _ key: DefinitionKey, _ reason: String, _ caller: AccessSubject
    ) throws(Problem) {
        var (active, retired) = state.history.current()
        active[key] = definition
        retired[key] = nil
        let snapshot = try compile(active, retired, ProblemList(), [:], promoting: key.name)
        try activate([definition], reason, caller.id, snapshot)
    }
}

extension Publisher {
    /// Brings files of models that this machine lost, or never had, from PostgreSQL to its disk.
    ///
    /// - Returns: whether there were any: champions among them are usable once definitions are compiled again.
    func fetchArtifacts(_ connection: PostgresConnection) throws(PostgresError) -> Bool {
        var wanted: Set<String> = []
        for name in state.registry.names.union(state.history.names(of: .model)) {
            for version in state.registry.versions(name, state.history) where version.stage != .retired {
                if let hash = version.definition.spec["artifact"]?["sha256"]?.string { wanted.insert(hash) }
            }
        }
        var isFetched = false
        for hash in wanted where !artifacts.has(hash) {
            let rows = try connection.query(
                "SELECT bytes FROM decisiond.artifact WHERE sha256 = decode($1, 'hex')", [.text(hash)])
            guard rows.rowCount == 1, let bytes = try rows.bytes(0, 0) else { continue }
            // A disk that cannot take it is told by the models that stay unusable.
            if (try? artifacts.put(bytes, sha256: hash)) != nil { isFetched = true }
        }
        return isFetched
    }
}

/// A change of stage as requested.
struct ModelPromotion: Sendable {
    /// Nil: the champion before the one that is now.
    let version: Int?
    let stage: ModelStage
    /// Why; never empty.
    let reason: String
    /// The version that must be the champion now; 0: there is none.
    let expectedChampion: Int?

    /// Longest reason [bytes].
    static let reasonBytesMax = 2_000

    /// Reads `{"version", "stage", "reason", "expected_champion"}`; without a version, as a rollback has it, only the last two.
    init(_ body: [UInt8], isRollback: Bool) throws(Problem) {
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: body)
        } catch {
            throw Problem.malformed(error)
        }
        let problems = ProblemList()
        let reader = TreeReader(tree, at: "", problems)
        var stage = ModelStage.champion
        if isRollback {
            version = nil
        } else {
            version = reader.integer("version", in: 1...Int64(Int32.max), required: true).map(Int.init)
            if let text = reader.string("stage") {
                if let named = ModelStage(rawValue: text) {
                    stage = named
                } else {
                    let names = ModelStage.allCases.map(\.rawValue).joined(separator: ", ")
                    problems.add("/stage", "value_not_allowed", "one of \(names)")
                }
            }
        }
        self.stage = stage
        reason = reader.string("reason", required: true) ?? ""
        if reason.isEmpty || reason.utf8.count > Self.reasonBytesMax {
            problems.add("/reason", "out_of_range", "1 to \(Self.reasonBytesMax) bytes: why the stage changes")
        }
        expectedChampion = reader.integer("expected_champion", in: 0...Int64(Int32.max)).map(Int.init)
        reader.finish()
        guard problems.isEmpty else { throw Problem.invalid(problems.problems) }
    }
}
