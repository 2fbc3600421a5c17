extension JournalWriter {
    /// Reads one durable frame back by its seq and checks it. Any thread.
    ///
    /// - Parameters:
    ///   - seq: the frame.
    ///   - mark: position of an earlier frame, or of this one: the search starts there when it is of the same segment,
    ///     else at the segment's start.
    /// - Throws: ``JournalError``: `segment_removed` when the frame is older than the first segment, `no_such_frame` when
    ///   it is not durable yet, `corrupt_frame`, `storage`.
    public func readFrame(seq: UInt64, from mark: JournalPosition? = nil) throws(JournalError) -> OwnedFrame {
        try core.index.readFrame(seq: seq, from: mark)
    }
}

extension SegmentIndex {
    /// One durable frame by seq, checked, as all those before it from `mark` on.
    func readFrame(seq: UInt64, from mark: JournalPosition?) throws(JournalError) -> OwnedFrame {
        guard let located = try locate(seq: seq) else {
            if seq < firstSeq {
                throw JournalError(.segmentRemoved, "frame \(seq) is older than the first segment (\(firstSeq))")
            }
            throw JournalError(.noSuchFrame, "frame \(seq) is not durable")
        }
        let entry = located.entry
        var offset = Int64(SegmentHeader.byteCount)
        if let mark, mark.segment == entry.firstSeq { offset = Int64(mark.offset) }
        var scanner = SegmentScanner(
            storage: storage, file: located.file.file, crcSeed: entry.crcSeed, limit: entry.end, offset: offset)
        while true {
            let step = try journaled { () throws(StorageError) in try scanner.next() }
            guard case .frame(let header, let payload, _) = step, header.seq <= seq else {
                throw JournalError(
                    .corruptFrame, file: SegmentName.segment(firstSeq: entry.firstSeq), offset: scanner.offset,
                    "durable frame \(seq) does not check")
            }
            if header.seq == seq { return OwnedFrame(seq: seq, type: header.type, payload: Array(payload)) }
        }
    }
}
