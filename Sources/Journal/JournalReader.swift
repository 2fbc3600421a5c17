/// Reads durable frames in order while the writer goes on: the shipper's view. For one thread; sequential reads are
/// cheap, a jump to another seq scans its segment from the start.
public final class JournalReader<Store: JournalStorage> {
    /// How far one read came.
    public struct Progress: Sendable, Equatable {
        /// Frames handed out.
        public var frames = 0
        /// Bytes of their payloads.
        public var payloadBytes = 0
        /// The seq to ask for next.
        public var nextSeq: UInt64
    }

    private let index: SegmentIndex<Store>
    private let window = ScanWindow()
    private var place: (segment: UInt64, offset: Int64, seq: UInt64)?

    init(index: SegmentIndex<Store>) { self.index = index }

    /// Hands out durable frames from `seq` on, in order, until one of the bounds or the durable end is reached. The
    /// first frame is handed out whatever its size. No frame: `seq` is not durable yet.
    ///
    /// - Throws: ``JournalError``: `segment_removed` when `seq` is older than the first segment, `corrupt_frame` when
    ///   what lies there does not check, `storage`.
    public func read(
        from seq: UInt64, maxFrames: Int, maxBytes: Int, _ body: (JournalFrame) -> Void
    ) throws(JournalError) -> Progress {
        var progress = Progress(nextSeq: seq)
        while progress.frames < maxFrames, progress.nextSeq <= index.durableSeq {
            guard let located = try index.locate(seq: progress.nextSeq) else {
                throw JournalError(
                    .segmentRemoved, "frame \(progress.nextSeq) is older than the first segment (\(index.firstSeq))")
            }
            guard try read(located, &progress, maxFrames, maxBytes, body) else { break }
        }
        return progress
    }

    /// Reads within one segment; false when a bound was reached.
    private func read(
        _ located: SegmentIndex<Store>.Located, _ progress: inout Progress, _ maxFrames: Int, _ maxBytes: Int,
        _ body: (JournalFrame) -> Void
    ) throws(JournalError) -> Bool {
        let entry = located.entry
        var seq = entry.firstSeq
        var offset = Int64(SegmentHeader.byteCount)
        if let place, place.segment == entry.firstSeq, place.seq <= progress.nextSeq {
            (seq, offset) = (place.seq, place.offset)
        }
        var scanner = SegmentScanner(
            storage: index.storage, file: located.file.file, crcSeed: entry.crcSeed, limit: entry.end, offset: offset,
            window: window)
        while seq <= entry.lastSeq {
            let step = try journaled { () throws(StorageError) in try scanner.next() }
            guard case .frame(let header, let payload, let start) = step, header.seq == seq else {
                throw JournalError(
                    .corruptFrame, file: SegmentName.segment(firstSeq: entry.firstSeq), offset: scanner.offset,
                    "durable frame \(seq) does not check")
            }
            if seq >= progress.nextSeq {
                if progress.frames > 0, progress.payloadBytes + header.length > maxBytes { return false }
                body(
                    JournalFrame(
                        seq: seq, type: header.type, payload: payload,
                        position: JournalPosition(segment: entry.firstSeq, offset: UInt32(start))))
                progress.frames += 1
                progress.payloadBytes += header.length
                progress.nextSeq = seq + 1
            }
            seq += 1
            place = (entry.firstSeq, scanner.offset, seq)
            if progress.frames >= maxFrames { return false }
        }
        return true
    }
}

extension SegmentIndex {
    /// One durable frame by position, checked.
    func readFrame(at position: JournalPosition) throws(JournalError) -> OwnedFrame {
        let name = SegmentName.segment(firstSeq: position.segment)
        guard let located = try segment(firstSeq: position.segment) else {
            throw JournalError(.segmentRemoved, file: name, "the segment is not there any more")
        }
        let room = located.entry.end - Int64(position.offset)
        guard position.offset >= SegmentHeader.byteCount, position.offset % 8 == 0,
            room >= Int64(FrameCodec.headerBytes)
        else {
            throw JournalError(.noSuchFrame, file: name, offset: Int64(position.offset), "no durable frame starts here")
        }
        var wanted = Int(min(Int64(JournalLimits.frameReadBytes), room))
        for _ in 0..<2 {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: wanted, alignment: 8)
            defer { buffer.deallocate() }
            let count = try journaled { () throws(StorageError) in
                try storage.read(into: buffer, from: located.file.file, at: Int64(position.offset))
            }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            switch FrameCodec.decode(bytes, crcSeed: located.entry.crcSeed) {
            case .frame(let header):
                let payload = bytes[FrameCodec.headerBytes..<(FrameCodec.headerBytes + header.length)]
                return OwnedFrame(seq: header.seq, type: header.type, payload: Array(payload))
            case .incomplete(let total) where Int64(total) <= room && total > wanted: wanted = total
            case .incomplete, .bad:
                throw JournalError(
                    .corruptFrame, file: name, offset: Int64(position.offset), "the frame does not check")
            }
        }
        throw JournalError(.corruptFrame, file: name, offset: Int64(position.offset), "the frame does not check")
    }
}
