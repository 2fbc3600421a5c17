import JSON
import Journal
import Synchronization

/// Versions of models that were registered, and their stages, as the journal's frames tell them. The champions' stages
/// follow from the history of definitions: a version is champion from its activation to its successor's.
final class ModelRegistry: Sendable {
    /// One frame as it came.
    struct Entry: Sendable {
        let seq: UInt64
        let frame: ModelStageFrame
        /// What the frame registers, where it does.
        let definition: Definition?
    }

    private let entries = Mutex<[String: [Entry]]>([:])

    /// A version was registered, or its stage changed.
    func apply(_ frame: ModelStageFrame, seq: UInt64) throws(FrameError) {
        guard ModelStage(rawValue: frame.stage) != nil else { throw FrameError(what: "stage") }
        var definition: Definition?
        if !frame.body.isEmpty {
            guard let document = try? JSONTree(parsing: frame.body),
                let read = Definition(document, at: "", ProblemList(), version: Int(frame.version))
            else { throw FrameError(what: "stage's definition") }
            definition = read
        }
        let entry = Entry(seq: seq, frame: frame, definition: definition)
        entries.withLock { $0[frame.name, default: []].append(entry) }
    }

    /// Names with a registered version.
    var names: Set<String> { entries.withLock { Set($0.keys) } }

    /// Every version of a model, oldest first.
    func versions(_ name: String, _ history: DefinitionHistory) -> [ModelVersion] {
        let registered = entries.withLock { $0[name] ?? [] }
        let activated = history.entries(DefinitionKey(kind: .model, name: name))
        var definitions: [Int: Definition] = [:]
        var changes: [Int: [ModelStageChange]] = [:]
        for entry in registered {
            let version = Int(entry.frame.version)
            if let definition = entry.definition { definitions[version] = definition }
            changes[version, default: []].append(
                ModelStageChange(
                    stage: ModelStage(rawValue: entry.frame.stage) ?? .retired, seq: entry.seq,
                    atMicros: entry.frame.atMicros, principal: entry.frame.principal, reason: entry.frame.reason))
        }
        for (index, entry) in activated.enumerated() {
            let (definition, activation) = (entry.definition, entry.activation)
            definitions[definition.version] = definition
            changes[definition.version, default: []].append(
                ModelStageChange(
                    stage: .champion, seq: entry.fromSeq, atMicros: activation.atMicros,
                    principal: activation.principal, reason: activation.comment))
            guard let end = entry.toSeq else { continue }
            let next = activated.indices.contains(index + 1) ? activated[index + 1] : nil
            changes[definition.version, default: []].append(
                next.map {
                    ModelStageChange(
                        stage: .retired, seq: end, atMicros: $0.activation.atMicros,
                        principal: $0.activation.principal,
                        reason: "version \($0.definition.version) became champion")
                }
                    ?? ModelStageChange(
                        stage: .retired, seq: end, atMicros: entry.retiredMicros ?? activation.atMicros, principal: "",
                        reason: "the model was retired"))
        }
        return definitions.sorted { $0.key < $1.key }.map { number, definition in
            ModelVersion(definition: definition, changes: (changes[number] ?? []).sorted { $0.seq < $1.seq })
        }
    }

    /// One version.
    func version(_ name: String, _ number: Int, _ history: DefinitionHistory) -> ModelVersion? {
        versions(name, history).first { $0.number == number }
    }

    /// The highest number given to a version; 0 when there is none.
    func lastVersion(_ name: String) -> Int {
        entries.withLock { $0[name]?.map { Int($0.frame.version) }.max() ?? 0 }
    }

    // MARK: Snapshots

    /// Every frame, in the order of positions.
    func capture() -> [Entry] {
        entries.withLock { $0.values.flatMap { $0 } }.sorted { $0.seq < $1.seq }
    }

    /// Writes captured frames.
    static func encode<Store>(_ entries: [Entry], into sink: PartSink<Store>) throws(StorageError) {
        for entry in entries {
            try sink.record { writer in
                writer.integer(entry.seq)
                writer.nested { entry.frame.encode(into: &$0) }
            }
        }
    }

    /// Reads one frame back.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let seq = try reader.integer(UInt64.self, "saved stage")
        try apply(ModelStageFrame.decode(reader.blob("saved stage")), seq: seq)
    }
}
