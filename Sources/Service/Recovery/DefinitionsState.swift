import JSON
import Journal

extension DefinitionHistory {
    /// All versions, in the order of their activation. Copies nothing but references.
    func capture() -> [Entry] {
        versions.withLock { $0.values.flatMap { $0 } }.sorted { $0.fromSeq < $1.fromSeq }
    }

    /// Puts a saved version back.
    func restore(_ entry: Entry) {
        versions.withLock { $0[entry.definition.key, default: []].append(entry) }
    }

    /// Writes captured versions.
    static func encode<Store>(_ entries: [Entry], into sink: PartSink<Store>) throws(StorageError) {
        for entry in entries {
            try sink.record { writer in
                writer.nested { entry.activation.encode(into: &$0) }
                writer.integer(entry.fromSeq)
                writer.optionalInteger(entry.toSeq)
                writer.optionalInteger(entry.retiredMicros)
                entry.readiness.encode(into: &writer)
            }
        }
    }

    /// Reads one version. Nil when it was published by a binary whose definitions this one does not read: the same as
    /// when its frame is replayed.
    static func decode(_ reader: inout ByteReader) throws(FrameError) -> Entry? {
        let frame = try ActivationFrame.decode(reader.blob("saved activation"))
        let fromSeq = try reader.integer(UInt64.self, "saved activation")
        let toSeq = try reader.optionalInteger(UInt64.self, "saved activation")
        let retiredMicros = try reader.optionalInteger(Int64.self, "saved activation")
        let readiness = try ViewReadiness(restoring: &reader)
        guard let document = try? JSONTree(parsing: frame.body),
            let definition = Definition(document, at: "", ProblemList(), version: Int(frame.version))
        else { return nil }
        return Entry(
            definition: definition, activation: frame, fromSeq: fromSeq, toSeq: toSeq, retiredMicros: retiredMicros,
            readiness: readiness)
    }
}

extension ViewReadiness {
    /// Writes it.
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .building: writer.integer(UInt8(0))
        case .fromTheStart: writer.integer(UInt8(1))
        case .filled(let events):
            writer.integer(UInt8(2))
            writer.integer(Int64(events))
        }
    }

    /// Reads it back.
    init(restoring reader: inout ByteReader) throws(FrameError) {
        switch try reader.integer(UInt8.self, "saved readiness") {
        case 0: self = .building
        case 1: self = .fromTheStart
        case 2: self = .filled(events: try reader.number("saved readiness"))
        default: throw FrameError(what: "saved readiness")
        }
    }
}

extension AccessTail {
    /// The entries held, oldest first.
    func capture() -> [(seq: UInt64, frame: AccessFrame)] { entries.withLock { $0 } }

    /// Writes captured entries.
    static func encode<Store>(
        _ entries: [(seq: UInt64, frame: AccessFrame)], into sink: PartSink<Store>
    ) throws(StorageError) {
        for entry in entries {
            try sink.record { writer in
                writer.integer(entry.seq)
                writer.nested { entry.frame.encode(into: &$0) }
            }
        }
    }

    /// Reads one entry back.
    func restore(_ reader: inout ByteReader) throws(FrameError) {
        let seq = try reader.integer(UInt64.self, "saved access entry")
        add(try AccessFrame.decode(reader.blob("saved access entry")), seq: seq)
    }
}
