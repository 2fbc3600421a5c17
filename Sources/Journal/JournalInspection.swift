/// Looks at a journal's directory without changing or locking it: for the command line. A journal that is being
/// written may show a torn tail that is merely not finished.
public struct JournalInspection: Sendable {
    /// One segment file.
    public struct Segment: Sendable, Equatable {
        /// The file's name.
        public let name: String
        /// First seq, from the name.
        public let firstSeq: UInt64
        /// Last valid seq; nil when its frames were not read or there is none.
        public let lastSeq: UInt64?
        /// Valid frames; nil when not read.
        public let frames: UInt64?
        /// Bytes of their payloads; nil when not read.
        public let payloadBytes: UInt64?
        /// Size of the file.
        public let fileBytes: Int64
    }

    /// One snapshot file.
    public struct Snapshot: Sendable, Equatable {
        /// The position that it was taken at, from the name.
        public let seq: UInt64
        /// What it holds; nil when it was not read or does not check.
        public let summary: SnapshotSummary?
        /// What recovery would pass it over for; nil in good order.
        public let problem: JournalError?
    }

    /// Identity, from the first header that can be read.
    public private(set) var journalID: JournalID?
    /// The segments in order, up to the first problem that stops the reading.
    public private(set) var segments: [Segment] = []
    /// The snapshots, newest first.
    public private(set) var snapshots: [Snapshot] = []
    /// Bytes after the last valid frame of the last segment that recovery would cut as torn.
    public private(set) var tornBytes: Int64 = 0
    /// What recovery would refuse to start for; nil when it would start.
    public private(set) var firstProblem: JournalError?

    /// Frames in all segments that were read.
    public var frames: UInt64 { segments.reduce(0) { $0 + ($1.frames ?? 0) } }

    /// Headers, names and sizes only: quick whatever the size.
    public static func inspect<Store: JournalStorage>(_ storage: Store) -> JournalInspection {
        JournalInspection(storage, readsFrames: false)
    }

    /// Reads every frame and checks all that recovery checks.
    public static func verify<Store: JournalStorage>(_ storage: Store) -> JournalInspection {
        JournalInspection(storage, readsFrames: true)
    }

    private init<Store: JournalStorage>(_ storage: Store, readsFrames: Bool) {
        snapshots = Self.snapshots(storage, readsBlocks: readsFrames)
        do throws(JournalError) {
            let names = try journaled { () throws(StorageError) in
                try storage.names().filter { SegmentName.firstSeq(of: $0) != nil }.sorted()
            }
            var expected: UInt64?
            for (number, name) in names.enumerated() {
                let file = try journaled { () throws(StorageError) in try storage.open(name, access: .read) }
                defer { storage.close(file) }
                let isLast = number == names.count - 1
                expected = try look(at: name, file, storage, expected, isLast: isLast, readsFrames: readsFrames)
            }
        } catch {
            firstProblem = error
        }
    }

    private static func snapshots<Store: JournalStorage>(_ storage: Store, readsBlocks: Bool) -> [Snapshot] {
        // A directory that cannot be listed is told by the segments' part.
        let seqs = (try? SnapshotFiles.list(storage)) ?? []
        return seqs.map { seq in
            do throws(JournalError) {
                guard readsBlocks else {
                    _ = try SnapshotFiles.header(seq: seq, in: storage)
                    return Snapshot(seq: seq, summary: nil, problem: nil)
                }
                let summary = try SnapshotFiles.read(seq: seq, in: storage) { _, _ in }
                return Snapshot(seq: seq, summary: summary, problem: nil)
            } catch {
                return Snapshot(seq: seq, summary: nil, problem: error)
            }
        }
    }

    /// Returns the first seq that the next segment must have; nil when the frames were not read.
    private mutating func look<Store: JournalStorage>(
        at name: String, _ file: Store.File, _ storage: Store, _ expected: UInt64?, isLast: Bool, readsFrames: Bool
    ) throws(JournalError) -> UInt64? {
        let header = try SegmentSurvey.header(of: file, name: name, in: storage)
        if let id = journalID, id != header.journalID {
            throw JournalError(
                .foreignSegment, file: name, offset: 16, "belongs to journal \(header.journalID), not \(id)")
        }
        journalID = header.journalID
        if let expected { try JournalRecovery.require(header.firstSeq, toBe: expected, name) }
        guard readsFrames else {
            let size = try journaled { () throws(StorageError) in try storage.size(of: file) }
            segments.append(
                Segment(
                    name: name, firstSeq: header.firstSeq, lastSeq: nil, frames: nil, payloadBytes: nil,
                    fileBytes: size))
            return nil
        }
        let survey = try SegmentSurvey.read(header, of: file, name: name, in: storage) { _ in }
        segments.append(
            Segment(
                name: name, firstSeq: header.firstSeq, lastSeq: survey.frames > 0 ? survey.lastSeq : nil,
                frames: survey.frames, payloadBytes: survey.payloadBytes, fileBytes: survey.fileBytes))
        try JournalRecovery.judge(survey, isLast: isLast)
        if isLast, case .torn = survey.tail { tornBytes = survey.fileBytes - survey.end }
        return survey.lastSeq + 1
    }
}
