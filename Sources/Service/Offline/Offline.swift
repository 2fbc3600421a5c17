import Decisions
import Features
import JSON
import Journal
import Postgres

/// What a directory of definitions comes to, compiled without a server.
public struct Offline: Sendable {
    /// One line per problem: file, pointer, code, message.
    public let problems: [String]
    /// What an author should look at, one a line: gaps of tables, rules without effect.
    public let warnings: [String]
    /// How many definitions compile.
    public let definitions: Int
    /// openapi.yaml with a typed path per decision; empty when there are problems.
    public let openAPI: [UInt8]

    /// Reads and compiles a directory.
    public static func check(_ directory: String) throws -> Offline {
        let read = try DefinitionDirectory(path: directory)
        let scratch = "/tmp/decisiond-check-\(Randomness.word())"
        defer { Files.removeTree(scratch) }
        let artifacts = try ArtifactStore(directory: scratch)
        for (hash, bytes) in read.artifacts { try artifacts.put(bytes, sha256: hash) }
        let problems = ProblemList()
        var definitions: [DefinitionKey: Definition] = [:]
        var pointers: [DefinitionKey: String] = [:]
        for (index, document) in read.documents.enumerated() {
            let place = read.origins[index] + ": "
            guard var definition = Definition(document, at: place, problems) else { continue }
            definition.version = 1
            if pointers[definition.key] != nil {
                problems.add(place + "/name", "duplicate_definition", "this kind and name stand twice")
            }
            definitions[definition.key] = definition
            pointers[definition.key] = place
        }
        var compiler = SnapshotCompiler(
            artifacts: artifacts, store: FeatureStore(shards: 1), zones: ZoneFiles.system,
            previous: Snapshot.empty(), problems: problems, pointers: pointers)
        let snapshot = compiler.compile(definitions, retired: [:], isLenient: false)
        let lines = problems.problems.map { "\($0.pointer): \($0.code): \($0.message)" }
        let document = snapshot.map { snapshot in
            OpenAPIDocument.render(
                base: OpenAPIDocument.base,
                decisions: snapshot.decisions.values.map(\.decision).sorted { $0.name < $1.name },
                models: Array(snapshot.served.values))
        }
        let warnings = (snapshot?.decisions.values.flatMap(\.decision.warnings) ?? []).map {
            "\($0.pointer): warning: \($0.code): \($0.message)"
        }
        return Offline(
            problems: lines, warnings: warnings.sorted(), definitions: definitions.count, openAPI: document ?? [])
    }
}

/// Schema migrations from the command line.
public enum Migrations {
    /// Applies what is missing; the versions applied.
    public static func run(url: String) throws -> [Int] {
        let connection = PostgresConnection(
            PostgresConfiguration(connectionString: url, applicationName: "decisiond migrate"))
        defer { connection.close() }
        return try Migrator().migrate(connection)
    }
}

/// A journal's directory in lines for people.
public struct JournalReport: Sendable {
    /// One line per segment, then what is wrong, if anything.
    public let lines: [String]
    /// Whether nothing is damaged.
    public let isSound: Bool

    /// Reads a directory; `verifies` checks every frame.
    public static func read(_ directory: String, verifies: Bool) throws -> JournalReport {
        let storage = try PosixStorage(path: directory, creating: false)
        let inspection = verifies ? JournalInspection.verify(storage) : JournalInspection.inspect(storage)
        var lines = ["journal \(inspection.journalID.map { "\($0)" } ?? "(empty)")"]
        for segment in inspection.segments {
            let last = segment.lastSeq.map { "\($0)" } ?? "?"
            let frames = segment.frames.map { "\($0)" } ?? "?"
            lines.append("\(segment.name) seq \(segment.firstSeq)..\(last) frames \(frames) bytes \(segment.fileBytes)")
        }
        for snapshot in inspection.snapshots {
            guard let summary = snapshot.summary else {
                lines.append("snapshot seq \(snapshot.seq)" + (snapshot.problem.map { " PROBLEM \($0)" } ?? ""))
                continue
            }
            lines.append("\(summary.name) seq \(snapshot.seq) bytes \(summary.fileBytes)")
            // Shards are many and alike: one line stands for all of them.
            let shards = summary.parts.filter { SnapshotPart.named($0.name)?.part == .features }
            for part in summary.parts where SnapshotPart.named(part.name)?.part != .features {
                lines.append("  part \(part.name) position \(part.position) bytes \(part.bytes)")
            }
            let last = shards.map(\.position).max() ?? 0
            lines.append(
                "  part features/0..\(shards.count - 1) position \(last) bytes \(shards.reduce(0) { $0 + $1.bytes })")
        }
        if inspection.tornBytes > 0 {
            lines.append("torn tail of \(inspection.tornBytes) bytes, cut at the next start")
        }
        if let problem = inspection.firstProblem { lines.append("PROBLEM \(problem)") }
        guard !inspection.segments.isEmpty else {
            return JournalReport(lines: lines + ["PROBLEM there is no segment in \(directory)"], isSound: false)
        }
        if verifies && inspection.firstProblem == nil { lines.append("every frame checks") }
        let isSound = inspection.firstProblem == nil && inspection.snapshots.allSatisfy { $0.problem == nil }
        return JournalReport(lines: lines, isSound: isSound)
    }
}
