/// What a snapshot hands out while it is read: views that live until the call returns.
public enum SnapshotPiece {
    /// A part begins; it is complete up to `position`.
    case part(name: String, position: UInt64)
    /// The next bytes of the part.
    case data(UnsafeRawBufferPointer)
}

/// What one snapshot holds.
public struct SnapshotSummary: Sendable, Equatable {
    /// One part.
    public struct Part: Sendable, Equatable {
        /// Its name.
        public let name: String
        /// The position up to which it is complete.
        public let position: UInt64
        /// Bytes of it.
        public internal(set) var bytes: UInt64 = 0
    }

    /// The file's name.
    public let name: String
    /// The header.
    public let header: SnapshotHeader
    /// Size of the file.
    public let fileBytes: Int64
    /// The parts in order.
    public internal(set) var parts: [Part] = []
}

/// Snapshots in a journal's directory. Reading changes nothing and needs no lock.
public enum SnapshotFiles {
    /// Seqs of the snapshots there, newest first.
    public static func list<Store: JournalStorage>(_ storage: Store) throws(StorageError) -> [UInt64] {
        try storage.names().compactMap { SnapshotName.seq(of: $0) }.sorted(by: >)
    }

    /// See ``JournalWriter/pruneSnapshots(unusable:)``.
    static func prune<Store: JournalStorage>(
        _ storage: Store, unusable: Set<UInt64>
    ) throws(StorageError) -> [UInt64] {
        let all = try list(storage)
        let kept = Array(all.filter { !unusable.contains($0) }.prefix(JournalLimits.snapshotsKept))
        // A damaged one goes only when there is no need any more to find out what it still holds.
        guard kept.count == JournalLimits.snapshotsKept, all.count > kept.count else { return kept }
        for seq in all where !kept.contains(seq) { try storage.remove(SnapshotName.snapshot(seq: seq)) }
        try storage.synchronizeDirectory()
        return kept
    }

    /// The header of one snapshot, checked.
    public static func header<Store: JournalStorage>(
        seq: UInt64, in storage: Store
    ) throws(JournalError) -> SnapshotHeader {
        try opened(seq, storage) { (file, name) throws(JournalError) in try header(of: file, name, seq, storage) }
    }

    /// Reads one snapshot from its first byte to its last, checks every one of them, and hands out what it holds. What
    /// was handed out counts only when this returns: the last byte may be the bad one.
    ///
    /// - Throws: ``JournalError`` naming file, offset and part: `corrupt_snapshot`, `corrupt_header`, `unknown_version`,
    ///   `replay_refused` when `visit` refuses, `storage`.
    @discardableResult
    public static func read<Store: JournalStorage>(
        seq: UInt64, in storage: Store, visit: (SnapshotHeader, SnapshotPiece) throws(ReplayRefusal) -> Void
    ) throws(JournalError) -> SnapshotSummary {
        try opened(seq, storage) { (file, name) throws(JournalError) in
            let size = try journaled { () throws(StorageError) in try storage.size(of: file) }
            var pass = SnapshotPass(
                summary: SnapshotSummary(
                    name: name, header: try header(of: file, name, seq, storage), fileBytes: size))
            var scanner = SegmentScanner(
                storage: storage, file: file, crcSeed: CRC32C.seed(salt: pass.summary.header.salt), limit: size,
                offset: Int64(SnapshotHeader.byteCount))
            while !pass.isComplete {
                let start = scanner.offset
                switch try journaled({ () throws(StorageError) in try scanner.next() }) {
                case .frame(let block, let payload, _): try pass.take(block, payload, at: start, visit)
                case .bad(let fault): throw pass.corrupt(at: start, "a block does not check (\(fault.rawValue))")
                case .end: throw pass.corrupt(at: start, "the file ends before its last block")
                }
            }
            if scanner.offset != size { throw pass.corrupt(at: scanner.offset, "bytes follow the last block") }
            return pass.summary
        }
    }

    private static func opened<Store: JournalStorage, R>(
        _ seq: UInt64, _ storage: Store, _ body: (Store.File, String) throws(JournalError) -> R
    ) throws(JournalError) -> R {
        let name = SnapshotName.snapshot(seq: seq)
        let file = try journaled { () throws(StorageError) in try storage.open(name, access: .read) }
        defer { storage.close(file) }
        return try body(file, name)
    }

    private static func header<Store: JournalStorage>(
        of file: Store.File, _ name: String, _ seq: UInt64, _ storage: Store
    ) throws(JournalError) -> SnapshotHeader {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: SnapshotHeader.byteCount, alignment: 8)
        defer { buffer.deallocate() }
        let count = try journaled { () throws(StorageError) in try storage.read(into: buffer, from: file, at: 0) }
        let header: SnapshotHeader
        do throws(SegmentHeader.Fault) {
            header = try SnapshotHeader.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } catch {
            throw JournalError(error, file: name)
        }
        guard header.seq == seq else {
            throw JournalError(
                .corruptHeader, file: name, offset: 32, "the header says seq \(header.seq), the name another")
        }
        return header
    }
}

/// The state of one reading.
private struct SnapshotPass {
    var summary: SnapshotSummary
    var blocks: UInt32 = 0
    var isComplete = false

    init(summary: SnapshotSummary) { self.summary = summary }

    mutating func take(
        _ block: FrameCodec.Header, _ payload: UnsafeRawBufferPointer, at offset: Int64,
        _ visit: (SnapshotHeader, SnapshotPiece) throws(ReplayRefusal) -> Void
    ) throws(JournalError) {
        guard block.groupIndex == blocks, let kind = SnapshotBlock(rawValue: block.type) else {
            throw corrupt(at: offset, "block \(block.groupIndex) where block \(blocks) should be")
        }
        do throws(ReplayRefusal) {
            switch kind {
            case .part:
                let name = String(decoding: payload, as: UTF8.self)
                summary.parts.append(SnapshotSummary.Part(name: name, position: block.seq))
                try visit(summary.header, .part(name: name, position: block.seq))
            case .data:
                guard let last = summary.parts.indices.last, summary.parts[last].bytes == block.seq else {
                    throw ReplayRefusal("bytes out of their order")
                }
                summary.parts[last].bytes += UInt64(payload.count)
                try visit(summary.header, .data(payload))
            case .end:
                guard closes(block, payload, at: offset) else {
                    throw ReplayRefusal("the last block counts other blocks than there are")
                }
                isComplete = true
            }
        } catch {
            throw JournalError(
                .replayRefused, file: summary.name, offset: offset, "part \(part): \(error.message)")
        }
        blocks += 1
    }

    private func closes(_ block: FrameCodec.Header, _ payload: UnsafeRawBufferPointer, at offset: Int64) -> Bool {
        guard payload.count == SnapshotBlock.endBytes, block.seq == summary.header.seq else { return false }
        return UInt32(littleEndian: payload.loadUnaligned(as: UInt32.self)) == UInt32(summary.parts.count)
            && UInt32(littleEndian: payload.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) == blocks
            && UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) == UInt64(offset)
    }

    private var part: String { summary.parts.last?.name ?? "(none)" }

    func corrupt(at offset: Int64, _ what: String) -> JournalError {
        JournalError(.corruptSnapshot, file: summary.name, offset: offset, "part \(part): \(what)")
    }
}
