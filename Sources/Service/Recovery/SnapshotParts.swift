import JSON
import Journal

/// The parts of a snapshot, in the order in which they are written and read back. A name is part of the format.
enum SnapshotPart: String, CaseIterable, Sendable {
    /// Format, hash key, shards, and when positions were reached.
    case state
    /// Every version of every definition.
    case definitions
    /// Versions of models and their stages.
    case models
    /// API keys, never their secrets.
    case keys
    /// Rows of reference tables.
    case references
    /// Quarantine entries in memory.
    case quarantine
    /// Where records lie that PostgreSQL may not have.
    case records
    /// Claims of Idempotency-Keys.
    case idempotency
    /// Rollups of measures.
    case measures
    /// Counters of data quality.
    case quality
    /// The clocks of sources.
    case sources
    /// The end of the access log.
    case access
    /// Identities of accepted events.
    case dedupe
    /// Which corrections stand in the place of which events.
    case corrections
    /// One part a shard of the feature store: `features/0`...
    case features

    /// Whether snapshots of earlier versions are without it; it is empty then.
    var isNew: Bool { self == .models }

    /// Format of all parts; a snapshot of another one is passed over.
    static let format: UInt32 = 1

    /// The part that a name in a snapshot means, and its shard.
    static func named(_ name: String) -> (part: SnapshotPart, shard: Int)? {
        let pieces = name.split(separator: "/", omittingEmptySubsequences: false)
        guard let part = pieces.first.flatMap({ SnapshotPart(rawValue: String($0)) }) else { return nil }
        if part != .features { return pieces.count == 1 ? (part, 0) : nil }
        guard pieces.count == 2, let shard = Int(pieces[1]), shard >= 0 else { return nil }
        return (part, shard)
    }
}

/// A position and the time at which memory had reached it.
struct PositionMark: Sendable, Equatable {
    let seq: UInt64
    /// Microseconds since the Unix epoch.
    let micros: Int64
}

/// Writes records into parts of a snapshot; a record is never split between two blocks.
final class PartSink<Store: JournalStorage> {
    private let file: SnapshotWriter<Store>
    private var block = ByteWriter()
    /// A block is written once it has this many bytes.
    private static var blockBytes: Int { 256 << 10 }

    init(_ file: SnapshotWriter<Store>) {
        self.file = file
        block.bytes.reserveCapacity(Self.blockBytes + 4_096)
    }

    /// Begins a part that is complete up to `position`.
    func begin(_ part: SnapshotPart, position: UInt64) throws(StorageError) {
        try flush()
        try file.begin(part: part.rawValue, position: position)
    }

    /// Writes one shard of the feature store.
    func shard(_ number: Int, _ bytes: [UInt8], position: UInt64) throws(StorageError) {
        try flush()
        try file.begin(part: "\(SnapshotPart.features.rawValue)/\(number)", position: position)
        try bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            try file.add(UnsafeRawBufferPointer(bytes))
        }
    }

    /// Adds one record.
    func record(_ fill: (inout ByteWriter) -> Void) throws(StorageError) {
        fill(&block)
        if block.bytes.count >= Self.blockBytes { try flush() }
    }

    /// Writes what is buffered.
    func flush() throws(StorageError) {
        guard !block.bytes.isEmpty else { return }
        try block.bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            try file.add(UnsafeRawBufferPointer(bytes))
        }
        block.bytes.removeAll(keepingCapacity: true)
    }
}

extension ByteWriter {
    /// A frame's own encoding with its length in front.
    mutating func nested(_ encode: (inout ByteWriter) -> Void) {
        var inner = ByteWriter()
        encode(&inner)
        blob(inner.bytes)
    }

    mutating func optionalInteger<T: FixedWidthInteger>(_ value: T?) {
        integer(UInt8(value == nil ? 0 : 1))
        if let value { integer(value) }
    }
}

extension ByteReader {
    mutating func optionalInteger<T: FixedWidthInteger>(_ type: T.Type, _ what: StaticString) throws(FrameError) -> T? {
        try integer(UInt8.self, what) == 0 ? nil : try integer(type, what)
    }

    mutating func hash(_ what: StaticString) throws(FrameError) -> Hash128 {
        Hash128(high: try integer(UInt64.self, what), low: try integer(UInt64.self, what))
    }

    mutating func recordID(_ what: StaticString) throws(FrameError) -> RecordID {
        RecordID(high: try integer(UInt64.self, what), low: try integer(UInt64.self, what))
    }

    mutating func position(_ what: StaticString) throws(FrameError) -> JournalPosition {
        JournalPosition(segment: try integer(UInt64.self, what), offset: try integer(UInt32.self, what))
    }

    /// A number that is used as an Int.
    mutating func number(_ what: StaticString) throws(FrameError) -> Int { Int(try integer(Int64.self, what)) }
}

extension ByteWriter {
    mutating func recordID(_ id: RecordID) {
        integer(id.high)
        integer(id.low)
    }

    mutating func position(_ position: JournalPosition) {
        integer(position.segment)
        integer(position.offset)
    }
}
