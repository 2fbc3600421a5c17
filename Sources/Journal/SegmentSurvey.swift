/// What one segment holds, found by reading it from its first frame. Recovery and inspection share it.
struct SegmentSurvey {
    /// The header.
    let header: SegmentHeader
    /// The file's name.
    let name: String
    /// Size of the file.
    let fileBytes: Int64
    /// Valid frames in order.
    var frames: UInt64 = 0
    /// Bytes of their payloads.
    var payloadBytes: UInt64 = 0
    /// Where the valid frames end.
    var end = Int64(SegmentHeader.byteCount)
    /// What follows them.
    var tail = Tail.blank

    enum Tail: Equatable {
        /// Zeros, or the end of the file.
        case blank
        /// The remains of a write that was never acknowledged.
        case torn(FrameCodec.Fault)
        /// Frames that were durable do not check: a valid frame of a later sync lies at `laterFrame`.
        case damaged(FrameCodec.Fault, laterFrame: Int64)
    }

    /// Seq of the last valid frame; one less than the first seq when there is none.
    var lastSeq: UInt64 { header.firstSeq + frames - 1 }
}

/// Runs storage calls inside code that throws the journal's own error.
func journaled<R>(_ body: () throws(StorageError) -> R) throws(JournalError) -> R {
    do throws(StorageError) {
        return try body()
    } catch {
        throw JournalError(error)
    }
}

extension SegmentSurvey {
    /// Reads and checks the header of an open segment.
    static func header<Store: JournalStorage>(
        of file: Store.File, name: String, in storage: Store
    ) throws(JournalError) -> SegmentHeader {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: SegmentHeader.byteCount, alignment: 8)
        defer { buffer.deallocate() }
        let count = try journaled { () throws(StorageError) in try storage.read(into: buffer, from: file, at: 0) }
        let header: SegmentHeader
        do throws(SegmentHeader.Fault) {
            header = try SegmentHeader.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } catch {
            throw JournalError(error, file: name)
        }
        guard SegmentName.firstSeq(of: name) == header.firstSeq, header.firstSeq > 0 else {
            throw JournalError(
                .corruptHeader, file: name, offset: 0, "the header says first seq \(header.firstSeq), the name another")
        }
        return header
    }

    /// Reads every frame, hands it to `visit`, and judges what follows the last valid one.
    static func read<Store: JournalStorage>(
        _ header: SegmentHeader, of file: Store.File, name: String, in storage: Store,
        visit: (JournalFrame) throws(ReplayRefusal) -> Void
    ) throws(JournalError) -> SegmentSurvey {
        let size = try journaled { () throws(StorageError) in try storage.size(of: file) }
        var survey = SegmentSurvey(header: header, name: name, fileBytes: size)
        var scanner = SegmentScanner(
            storage: storage, file: file, crcSeed: CRC32C.seed(salt: header.salt), limit: size)
        while true {
            switch try journaled({ () throws(StorageError) in try scanner.next() }) {
            case .end: return survey
            case .frame(let frame, let payload, let offset):
                try survey.take(frame, payload, at: offset, visit: visit)
            case .bad(let fault):
                survey.tail = try journaled { () throws(StorageError) in
                    if try scanner.restIsBlank() { return .blank }
                    let later = try scanner.laterGroup(than: survey.lastSeq + 1)
                    return later.map { .damaged(fault, laterFrame: $0) } ?? .torn(fault)
                }
                return survey
            }
        }
    }

    private mutating func take(
        _ frame: FrameCodec.Header, _ payload: UnsafeRawBufferPointer, at offset: Int64,
        visit: (JournalFrame) throws(ReplayRefusal) -> Void
    ) throws(JournalError) {
        guard frame.seq == lastSeq + 1 else {
            throw JournalError(
                .sequenceGap, file: name, offset: offset, "seq \(lastSeq + 1) expected, \(frame.seq) found")
        }
        let position = JournalPosition(segment: header.firstSeq, offset: UInt32(offset))
        do throws(ReplayRefusal) {
            try visit(JournalFrame(seq: frame.seq, type: frame.type, payload: payload, position: position))
        } catch {
            throw JournalError(
                .replayRefused, file: name, offset: offset, "frame \(frame.seq) type \(frame.type): \(error.message)")
        }
        frames += 1
        payloadBytes += UInt64(frame.length)
        end = offset + Int64(FrameCodec.frameBytes(payload: frame.length))
    }
}

extension JournalError {
    /// A header that does not decode, in words.
    init(_ fault: SegmentHeader.Fault, file: String) {
        switch fault {
        case .version(let version):
            self.init(
                .unknownVersion, file: file, offset: 8,
                "format version \(version); this program reads \(SegmentHeader.oldestVersion) to "
                    + "\(SegmentHeader.currentVersion)")
        case .short: self.init(.corruptHeader, file: file, offset: 0, "shorter than a header")
        case .magic: self.init(.corruptHeader, file: file, offset: 0, "does not start as such a file does")
        case .checksum: self.init(.corruptHeader, file: file, offset: 60, "header checksum mismatch")
        }
    }
}
