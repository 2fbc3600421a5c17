import Access
import HTTP
import JSON
import Journal
import Postgres
import Synchronization

/// A change of definitions as requested.
struct DefinitionChange: Sendable {
    /// The documents, each with its pointer in the request.
    let documents: [(pointer: String, document: JSONTree)]
    let isDryRun: Bool
    let comment: String
    /// Versions that must be the current ones; 0: the name must be new.
    let expectedVersions: [DefinitionKey: Int]
    /// Only names that do not exist yet are taken, as from a start directory.
    var addsOnly = false

    /// Documents from a directory.
    init(documents: [JSONTree], comment: String, addsOnly: Bool) {
        self.documents = documents.enumerated().map { ("/definitions/\($0)", $1) }
        isDryRun = false
        self.comment = comment
        expectedVersions = [:]
        self.addsOnly = addsOnly
    }

    /// Reads `{"definitions": [...], "dry_run": false, "comment": "..."}` or YAML documents.
    init(_ head: RequestHead, _ body: UnsafeRawBufferPointer) throws(Problem) {
        if head.isContentType("application/yaml") || head.isContentType("application/x-yaml") {
            guard let text = String(validating: body, as: UTF8.self) else {
                throw Problem(400, "invalid_utf8", "The body is not UTF-8.")
            }
            do {
                let trees = try YAMLReader.documents(text)
                documents = trees.enumerated().map { ("/definitions/\($0)", $1) }
            } catch {
                throw Problem(
                    400, "malformed_yaml",
                    "The body is not YAML that this service takes: \(error.message) (line \(error.line)).")
            }
            isDryRun = try Self.dryRun(head) ?? false
            comment = ""
            expectedVersions = [:]
            guard documents.count <= ServiceLimits.definitionsPerApplyMax else { throw Self.tooMany }
            return
        }
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: [UInt8](body))
        } catch {
            throw Problem.malformed(error)
        }
        let problems = ProblemList()
        let reader = TreeReader(tree, at: "", problems)
        documents = (reader.array("definitions", required: true) ?? []).enumerated().map { ("/definitions/\($0)", $1) }
        let isDryRun = reader.bool("dry_run")
        self.isDryRun = try Self.dryRun(head) ?? isDryRun
        comment = reader.string("comment") ?? ""
        var expected: [DefinitionKey: Int] = [:]
        for item in reader.objects(
            "expected_versions",
            {
                (
                    kind: $0.string("kind", required: true), name: $0.string("name", required: true),
                    version: $0.integer("version", in: 0...Int64(Int32.max), required: true), place: $0.pointer
                )
            })
        {
            guard let kind = item.kind.flatMap(DefinitionKind.init(rawValue:)), let name = item.name,
                let version = item.version
            else {
                problems.add(item.place, "unknown_kind", "kind, name and version are expected")
                continue
            }
            expected[DefinitionKey(kind: kind, name: name)] = Int(version)
        }
        expectedVersions = expected
        reader.finish()
        guard documents.count <= ServiceLimits.definitionsPerApplyMax else { throw Self.tooMany }
        guard problems.isEmpty else { throw Problem.invalid(problems.problems) }
    }

    private static var tooMany: Problem {
        Problem.invalid([
            DocumentProblem(
                pointer: "/definitions", code: "too_many",
                message: "at most \(ServiceLimits.definitionsPerApplyMax) in one request")
        ])
    }

    /// The query's `dry_run`; nil when it is absent.
    private static func dryRun(_ head: RequestHead) throws(Problem) -> Bool? {
        switch head.queryParameter("dry_run") {
        case nil: return nil
        case "true": return true
        case "false": return false
        default:
            throw Problem.invalid([
                DocumentProblem(pointer: "/query/dry_run", code: "value_not_allowed", message: "true or false")
            ])
        }
    }
}

/// What an apply does with one definition.
private struct PlannedDefinition {
    let definition: Definition
    let isUnchanged: Bool
}

/// Puts definitions in force: compile, commit in PostgreSQL, journal, swap. One change at a time.
final class Publisher: Sendable {
    let state: ServiceState
    let journal: ServiceJournal
    let artifacts: ArtifactStore
    private let zones: ZoneFiles
    let clock: WallClock
    let prepared: PreparedSnapshot
    let turn = Mutex(())

    init(
        state: ServiceState, journal: ServiceJournal, artifacts: ArtifactStore, zones: ZoneFiles, clock: WallClock,
        prepared: PreparedSnapshot
    ) {
        self.state = state
        self.journal = journal
        self.artifacts = artifacts
        self.zones = zones
        self.clock = clock
        self.prepared = prepared
    }

    /// Applies a change, atomically.
    ///
    /// - Returns: the report's JSON.
    func apply(
        _ change: DefinitionChange, caller: AccessSubject, _ connection: PostgresConnection?
    ) throws(Problem) -> [UInt8] {
        let principal = caller.id
        return try turn.withLock { _ throws(Problem) in
            let problems = ProblemList()
            let (planned, pointers) = plan(change, try storedVersions(connection), problems)
            guard problems.isEmpty else { throw Self.refusal(problems) }
            try checkExpected(change, planned)
            let fresh = planned.filter { !$0.isUnchanged }
            let (active, retired) = state.history.current()
            var next = active
            for item in fresh { next[item.definition.key] = item.definition }
            let snapshot = try compile(next, retired, problems, pointers)
            try checkLockout(snapshot, caller)
            let warnings = planned.flatMap { item in
                item.definition.key.kind == .decision
                    ? snapshot.decisions[item.definition.key.name]?.decision.warnings ?? [] : []
            }
            if change.isDryRun || fresh.isEmpty {
                return Self.report(planned, warnings, isDryRun: change.isDryRun)
            }
            guard let connection else { throw Problem.needsPostgres }
            try commit(fresh.map(\.definition), change.comment, principal, connection)
            try activate(fresh.map(\.definition), change.comment, principal, snapshot)
            return Self.report(planned, warnings, isDryRun: false)
        }
    }

    /// Retires a definition.
    func retire(
        _ key: DefinitionKey, caller: AccessSubject, _ connection: PostgresConnection?
    ) throws(Problem) -> [UInt8] {
        let principal = caller.id
        return try turn.withLock { _ throws(Problem) in
            var (active, retired) = state.history.current()
            guard let gone = active.removeValue(forKey: key) else {
                throw Problem.unknown(key.kind.rawValue, "unknown_definition")
            }
            if key.kind == .model { retired[key] = gone }
            let problems = ProblemList()
            var compiler = SnapshotCompiler(
                artifacts: artifacts, store: state.features, zones: zones, previous: state.snapshot, problems: problems,
                isReady: state.history.isReady(view:version:))
            guard let snapshot = compiler.compile(active, retired: retired, isLenient: false) else {
                throw Problem(
                    409, "in_use", "Other definitions use this one; retire or change them first.",
                    errors: problems.problems)
            }
            try checkLockout(snapshot, caller)
            guard let connection else { throw Problem.needsPostgres }
            do throws(PostgresError) {
                try connection.query(
                    "UPDATE decisiond.definition SET retired_at = now(), retired_by = $4 WHERE kind = $1 AND name = $2 AND version = $3",
                    [.text(key.kind.rawValue), .text(key.name), .int64(Int64(gone.version)), .text(principal)])
            } catch {
                throw Problem.needsPostgres
            }
            let now = clock.now()
            var frame = ByteWriter()
            ActivationFrame(
                kind: key.kind.rawValue, name: key.name, version: UInt32(gone.version), isRetired: true, atMicros: now,
                principal: principal, comment: "", body: []
            ).encode(into: &frame)
            let batch = FrameBatch(capacity: frame.bytes.count + 64)
            batch.add(type: FrameType.activation.rawValue, payload: frame.bytes)
            prepared.put(snapshot)
            _ = try BlockingAck().append(batch, to: journal)
            return Self.report(
                [PlannedDefinition(definition: gone, isUnchanged: false)], isDryRun: false, verb: "retired")
        }
    }

    /// Keeps an artifact on this machine and in PostgreSQL.
    func keep(
        _ bytes: [UInt8], hash: String, principal: String, _ connection: PostgresConnection?
    ) throws(Problem) {
        guard let connection else { throw Problem.needsPostgres }
        do throws(PostgresError) {
            try connection.query(
                "INSERT INTO decisiond.artifact (sha256, bytes, created_by) VALUES (sha256($1), $1, $2) ON CONFLICT DO NOTHING",
                [.bytes(bytes), .text(principal)])
        } catch {
            throw Problem.needsPostgres
        }
        do throws(FileError) {
            try artifacts.put(bytes, sha256: hash)
        } catch {
            throw Problem(503, "artifact_not_kept", "The artifact cannot be written to this machine's disk.")
        }
    }

    private func plan(
        _ change: DefinitionChange, _ stored: [DefinitionKey: Int], _ problems: ProblemList
    ) -> (planned: [PlannedDefinition], pointers: [DefinitionKey: String]) {
        var planned: [PlannedDefinition] = []
        var pointers: [DefinitionKey: String] = [:]
        for (pointer, document) in change.documents {
            guard var definition = Definition(document, at: pointer, problems) else { continue }
            let key = definition.key
            if pointers[key] != nil {
                problems.add(pointer + "/name", "duplicate_definition", "this kind and name stand twice in the request")
                continue
            }
            let entries = state.history.entries(key)
            if change.addsOnly && !entries.isEmpty { continue }
            pointers[key] = pointer
            let current = entries.last.flatMap { $0.toSeq == nil ? $0.definition : nil }
            let isUnchanged = current?.document.canonicalBytes == document.canonicalBytes
            definition.version =
                isUnchanged ? current?.version ?? 1 : nextVersion(key, stored)
            planned.append(PlannedDefinition(definition: definition, isUnchanged: isUnchanged))
        }
        return (planned, pointers)
    }

    /// The number of a new version.
    func nextVersion(_ key: DefinitionKey, _ stored: [DefinitionKey: Int]) -> Int {
        let known = state.history.entries(key).map(\.definition.version).max() ?? 0
        let registered = key.kind == .model ? state.registry.lastVersion(key.name) : 0
        return max(known, registered, stored[key] ?? 0) + 1
    }

    /// The highest version of every name that the database has. It may know more than this journal: another journal's, or
    /// a commit whose frame was lost in a crash; a number is never given twice.
    func storedVersions(_ connection: PostgresConnection?) throws(Problem) -> [DefinitionKey: Int] {
        guard let connection else { return [:] }
        do throws(PostgresError) {
            let rows = try connection.query(
                "SELECT kind, name, max(version)::bigint FROM decisiond.definition GROUP BY kind, name", [])
            var versions: [DefinitionKey: Int] = [:]
            for row in 0..<rows.rowCount {
                guard let kind = try rows.string(row, 0).flatMap(DefinitionKind.init(rawValue:)),
                    let name = try rows.string(row, 1), let version = try rows.int64(row, 2)
                else { continue }
                versions[DefinitionKey(kind: kind, name: name)] = Int(version)
            }
            return versions
        } catch {
            throw Problem.needsPostgres
        }
    }

    private func checkExpected(_ change: DefinitionChange, _ planned: [PlannedDefinition]) throws(Problem) {
        for (key, version) in change.expectedVersions {
            let entry = state.history.entries(key).last
            let current = entry.flatMap { $0.toSeq == nil ? $0.definition.version : nil } ?? 0
            guard current == version else {
                throw Problem(
                    412, "version_conflict",
                    "\(key.kind.rawValue) \(key.name) is at version \(current), not \(version). Read it again.")
            }
        }
    }

    func compile(
        _ next: [DefinitionKey: Definition], _ retired: [DefinitionKey: Definition], _ problems: ProblemList,
        _ pointers: [DefinitionKey: String], promoting promoted: String? = nil
    ) throws(Problem) -> Snapshot {
        var compiler = SnapshotCompiler(
            artifacts: artifacts, store: state.features, zones: zones, previous: state.snapshot, problems: problems,
            pointers: pointers, promoted: promoted, isReady: state.history.isReady(view:version:))
        guard let snapshot = compiler.compile(next, retired: retired, isLenient: false) else {
            throw Self.refusal(problems)
        }
        return snapshot
    }

    /// Refuses policies under which the caller could not take them back.
    private func checkLockout(_ snapshot: Snapshot, _ caller: AccessSubject) throws(Problem) {
        let question = AccessRequest(
            subject: caller, action: "definitions.apply", resource: AccessResource(type: "definition", id: "*"))
        let attributes = ReferenceAttributes(references: state.references)
        let now = clock.now()
        guard state.snapshot.policies.evaluate(question, nowMicros: now, attributes: attributes).permitted,
            !snapshot.policies.evaluate(question, nowMicros: now, attributes: attributes).permitted
        else { return }
        throw Problem(
            422, "locks_caller_out",
            "Under these policies you could not apply definitions any more; nothing was applied.")
    }

    func commit(
        _ definitions: [Definition], _ comment: String, _ principal: String, _ connection: PostgresConnection
    ) throws(Problem) {
        do throws(PostgresError) {
            try connection.transaction { connection throws(PostgresError) in
                for definition in definitions {
                    try connection.query(
                        """
                        INSERT INTO decisiond.definition
                        (kind, name, version, domain, owner, description, spec, created_by, comment)
                        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                        """,
                        [
                            .text(definition.key.kind.rawValue), .text(definition.key.name),
                            .int64(Int64(definition.version)), definition.domain.map { .text($0) } ?? .null,
                            definition.owner.map { .text($0) } ?? .null,
                            definition.description.map { .text($0) } ?? .null,
                            .text(String(decoding: definition.document.bytes, as: UTF8.self)), .text(principal),
                            .text(comment),
                        ])
                }
            }
        } catch {
            throw Problem.needsPostgres
        }
    }

    func activate(
        _ definitions: [Definition], _ comment: String, _ principal: String, _ snapshot: Snapshot
    ) throws(Problem) {
        let now = clock.now()
        let batch = FrameBatch()
        for definition in definitions {
            var frame = ByteWriter()
            ActivationFrame(
                kind: definition.key.kind.rawValue, name: definition.key.name, version: UInt32(definition.version),
                isRetired: false, atMicros: now, principal: principal, comment: comment,
                body: definition.document.bytes
            ).encode(into: &frame)
            batch.add(type: FrameType.activation.rawValue, payload: frame.bytes)
        }
        prepared.put(snapshot)
        _ = try BlockingAck().append(batch, to: journal)
    }

    static func refusal(_ problems: ProblemList) -> Problem {
        Problem(
            422, "invalid_definition", "Nothing was applied: the definitions have problems.", errors: problems.problems)
    }

    private static func report(
        _ planned: [PlannedDefinition], _ warnings: [DocumentProblem] = [], isDryRun: Bool, verb: String = "applied"
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("dry_run")
        writer.bool(isDryRun)
        writer.key("definitions")
        writer.beginArray()
        for item in planned {
            writer.beginObject()
            writer.key("kind")
            writer.string(item.definition.key.kind.rawValue)
            writer.key("name")
            writer.string(item.definition.key.name)
            writer.key("version")
            writer.integer(item.definition.version)
            writer.key("status")
            writer.string(item.isUnchanged ? "unchanged" : verb)
            writer.endObject()
        }
        writer.endArray()
        writer.key("warnings")
        writer.beginArray()
        for warning in warnings {
            writer.beginObject()
            writer.key("pointer")
            writer.string(warning.pointer)
            writer.key("code")
            writer.string(warning.code)
            writer.key("detail")
            writer.string(warning.message)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }
}

/// The snapshot that the next activation frames will make, compiled before they were journaled.
final class PreparedSnapshot: Sendable {
    private let snapshot = Mutex<Snapshot?>(nil)

    /// Leaves it for the applier.
    func put(_ snapshot: Snapshot) {
        self.snapshot.withLock { $0 = snapshot }
    }

    /// Takes it if it is made of exactly these versions.
    func take(matching active: [DefinitionKey: Definition]) -> Snapshot? {
        snapshot.withLock { held in
            guard let found = held else { return nil }
            held = nil
            guard found.definitions.count == active.count,
                found.definitions.allSatisfy({ active[$0.key]?.version == $0.value.version })
            else { return nil }
            return found
        }
    }
}
