/// What recovery found.
public struct RecoveryReport: Sendable, Equatable {
    /// The journal's identity.
    public var journalID: JournalID
    /// Segments on disk.
    public var segments = 0
    /// Frames handed to the replay.
    public var framesReplayed: UInt64 = 0
    /// First seq that is still on disk.
    public var firstSeq: UInt64 = 1
    /// Last durable seq; 0 for a new journal.
    public var lastSeq: UInt64 = 0
    /// Where a torn write was cut off, and how many bytes went with it; nil when the journal ended cleanly.
    public var cut: (position: JournalPosition, bytes: Int64)?

    /// Equal in every field.
    public static func == (one: RecoveryReport, other: RecoveryReport) -> Bool {
        one.journalID == other.journalID && one.segments == other.segments
            && one.framesReplayed == other.framesReplayed && one.firstSeq == other.firstSeq
            && one.lastSeq == other.lastSeq && one.cut?.position == other.cut?.position
            && one.cut?.bytes == other.cut?.bytes
    }
}

/// A journal that was read back, locked, and is ready for a writer. Used once.
public final class RecoveredJournal<Store: JournalStorage>: Sendable {
    /// What was found.
    public let report: RecoveryReport
    let storage: Store
    let options: JournalOptions
    let index: SegmentIndex<Store>

    init(report: RecoveryReport, storage: Store, options: JournalOptions, index: SegmentIndex<Store>) {
        self.report = report
        self.storage = storage
        self.options = options
        self.index = index
    }

    /// Gives the directory back when no writer will be started.
    public func abandon() { storage.unlock() }
}

/// Opens a journal's directory: takes its lock, checks every segment, cuts a torn tail, replays.
public enum JournalRecovery {
    /// Replays every durable frame with seq >= `replayFrom`, in order, and returns the journal ready for its writer.
    ///
    /// Segments wholly below `replayFrom` are checked by their headers only. What `replay` sees is durable: the last
    /// segment is synchronized, and read past the page cache, before its first frame is shown. A write that was torn by
    /// a crash is cut off; damage to anything that had been durable is an error that names file and offset.
    ///
    /// - Throws: ``JournalError``; the directory is unlocked again then.
    public static func open<Store: JournalStorage>(
        _ storage: Store, options: JournalOptions = JournalOptions(), replayFrom: UInt64 = 1,
        replay: (JournalFrame) throws(ReplayRefusal) -> Void
    ) throws(JournalError) -> RecoveredJournal<Store> {
        if let problem = options.firstProblem() { throw JournalError(.invalidOptions, problem) }
        try journaled { () throws(StorageError) in try storage.lock() }
        do throws(JournalError) {
            return try recover(storage, options: options, replayFrom: replayFrom, replay: replay)
        } catch {
            storage.unlock()
            throw error
        }
    }

    private static func recover<Store: JournalStorage>(
        _ storage: Store, options: JournalOptions, replayFrom: UInt64,
        replay: (JournalFrame) throws(ReplayRefusal) -> Void
    ) throws(JournalError) -> RecoveredJournal<Store> {
        let names = try journaled { () throws(StorageError) in
            let names = try storage.names()
            for name in names where SegmentName.isSpare(name) || SnapshotName.isUnfinished(name) {
                try storage.remove(name)
            }
            // Whatever a killed predecessor renamed or removed is made durable before anything is built on it.
            try storage.synchronizeDirectory()
            return names.filter { SegmentName.firstSeq(of: $0) != nil }.sorted()
        }
        let index = SegmentIndex(storage: storage)
        guard let oldest = names.first else {
            let id = JournalID.random(storage.randomBits(), storage.randomBits())
            return RecoveredJournal(
                report: RecoveryReport(journalID: id), storage: storage, options: options, index: index)
        }
        var report = RecoveryReport(
            journalID: try opened(oldest, in: storage, .read) { file, header in header.journalID })
        report.firstSeq = SegmentName.firstSeq(of: oldest) ?? 1
        report.lastSeq = report.firstSeq - 1
        report.segments = names.count
        for (number, name) in names.enumerated() {
            let next = number + 1 < names.count ? SegmentName.firstSeq(of: names[number + 1]) : nil
            let entry = try opened(name, in: storage, next == nil ? .readWrite : .read) {
                (file, header) throws(JournalError) in
                try follow(header, name, &report)
                if let next, next <= replayFrom { return try skip(header, file, name, next, &report, storage) }
                return try read(header, file, name, next, replayFrom, &report, storage, replay)
            }
            index.append(entry)
        }
        index.setDurableSeq(report.lastSeq)
        return RecoveredJournal(report: report, storage: storage, options: options, index: index)
    }

    private static func opened<Store: JournalStorage, R>(
        _ name: String, in storage: Store, _ access: FileAccess,
        _ body: (Store.File, SegmentHeader) throws(JournalError) -> R
    ) throws(JournalError) -> R {
        let file = try journaled { () throws(StorageError) in
            let file = try storage.open(name, access: access)
            guard access == .readWrite else { return file }
            do throws(StorageError) {
                try storage.synchronize(file)
                // After a failed sync the kernel may hold clean pages that the device never got: read the device.
                storage.dropCache(file)
                return file
            } catch {
                storage.close(file)
                throw error
            }
        }
        defer { storage.close(file) }
        return try body(file, SegmentSurvey.header(of: file, name: name, in: storage))
    }

    private static func follow(
        _ header: SegmentHeader, _ name: String, _ report: inout RecoveryReport
    ) throws(JournalError) {
        guard header.journalID == report.journalID else {
            throw JournalError(
                .foreignSegment, file: name, offset: 16,
                "belongs to journal \(header.journalID), not \(report.journalID)")
        }
        try require(header.firstSeq, toBe: report.lastSeq + 1, name)
    }

    /// A segment starts where the one before it ended.
    static func require(_ firstSeq: UInt64, toBe expected: UInt64, _ name: String) throws(JournalError) {
        if firstSeq > expected {
            throw JournalError(
                .missingSegment, file: name, offset: 32, "frames \(expected) to \(firstSeq - 1) are not there")
        }
        if firstSeq < expected {
            throw JournalError(.sequenceGap, file: name, offset: 32, "starts at \(firstSeq), \(expected) expected")
        }
    }

    private static func skip<Store: JournalStorage>(
        _ header: SegmentHeader, _ file: Store.File, _ name: String, _ next: UInt64, _ report: inout RecoveryReport,
        _ storage: Store
    ) throws(JournalError) -> SegmentIndex<Store>.Entry {
        let size = try journaled { () throws(StorageError) in try storage.size(of: file) }
        report.lastSeq = next - 1
        return SegmentIndex<Store>.Entry(
            firstSeq: header.firstSeq, lastSeq: next - 1, end: size, fileBytes: size,
            crcSeed: CRC32C.seed(salt: header.salt), shared: nil)
    }

    private static func read<Store: JournalStorage>(
        _ header: SegmentHeader, _ file: Store.File, _ name: String, _ next: UInt64?, _ replayFrom: UInt64,
        _ report: inout RecoveryReport, _ storage: Store, _ replay: (JournalFrame) throws(ReplayRefusal) -> Void
    ) throws(JournalError) -> SegmentIndex<Store>.Entry {
        var replayed: UInt64 = 0
        let survey = try SegmentSurvey.read(header, of: file, name: name, in: storage) {
            (frame) throws(ReplayRefusal) in
            guard frame.seq >= replayFrom else { return }
            replayed += 1
            try replay(frame)
        }
        report.framesReplayed += replayed
        report.lastSeq = survey.lastSeq
        try judge(survey, isLast: next == nil)
        if next == nil {
            if case .torn = survey.tail {
                report.cut = (
                    JournalPosition(segment: header.firstSeq, offset: UInt32(survey.end)),
                    survey.fileBytes - survey.end
                )
            }
            // The reserved blocks of the last segment go too: a writer starts a new one.
            if survey.fileBytes > survey.end {
                try journaled { () throws(StorageError) in
                    try storage.truncate(file, to: survey.end)
                    try storage.synchronize(file)
                }
            }
        }
        return SegmentIndex<Store>.Entry(
            firstSeq: header.firstSeq, lastSeq: survey.lastSeq, end: survey.end,
            fileBytes: next == nil ? survey.end : survey.fileBytes, crcSeed: CRC32C.seed(salt: header.salt), shared: nil
        )
    }

    /// Only the last segment may end in the remains of a write.
    static func judge(_ survey: SegmentSurvey, isLast: Bool) throws(JournalError) {
        let expected = survey.lastSeq + 1
        switch survey.tail {
        case .blank: return
        case .torn(let fault):
            if isLast { return }
            throw JournalError(
                .corruptFrame, file: survey.name, offset: survey.end,
                "frame \(expected) does not check (\(fault.rawValue)) in a segment that was complete")
        case .damaged(let fault, let later):
            throw JournalError(
                .corruptFrame, file: survey.name, offset: survey.end,
                "frame \(expected) does not check (\(fault.rawValue)), frames of a later write follow at \(later)")
        }
    }
}
