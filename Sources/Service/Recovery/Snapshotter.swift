import JSON
import Journal
import Synchronization
import Telemetry

/// Takes snapshots of memory beside the journal, and gives back the segments that nobody needs any more.
///
/// A segment goes when every frame of it is in PostgreSQL, below the older of the two snapshots kept, and was reached
/// longer ago than the retention. Without PostgreSQL the journal is the only store of what was accepted: nothing goes.
final class Snapshotter: Sendable {
    /// How snapshots stand.
    struct Status: Sendable {
        /// Snapshots that recovery may use, newest first.
        var kept: [UInt64]
        /// Snapshots that do not check; removed once there are enough that do.
        var unusable: Set<UInt64>
        var marks: [PositionMark]
        /// When the newest was taken by this process [microseconds]; nil: not yet.
        var takenMicros: Int64?
        var nanoseconds: UInt64 = 0
        var bytes: Int64 = 0
        var failuresInARow = 0
        var lastFailure = ""
    }

    private let writer: MemoryWriter
    private let journal: ServiceJournal
    private let configuration: ServiceConfiguration
    private let clock: WallClock
    private let telemetry: Telemetry
    private let isHeld: @Sendable (ViewEntry) -> Bool
    private let shippedSeq: @Sendable () -> UInt64
    private let box: Mutex<Status>
    private let stopping = Atomic<Bool>(false)
    private let wake = Semaphore()
    private let stopped = Semaphore()

    /// Longest wait after a snapshot that failed [seconds].
    private static let retrySeconds = 30

    init(
        writer: MemoryWriter, journal: ServiceJournal, configuration: ServiceConfiguration, clock: WallClock,
        telemetry: Telemetry, recovery: RecoveryOutcome, isHeld: @escaping @Sendable (ViewEntry) -> Bool,
        shippedSeq: @escaping @Sendable () -> UInt64
    ) {
        self.writer = writer
        self.journal = journal
        self.configuration = configuration
        self.clock = clock
        self.telemetry = telemetry
        self.isHeld = isHeld
        self.shippedSeq = shippedSeq
        box = Mutex(
            Status(
                kept: recovery.snapshotSeq.map { [$0] } ?? [], unusable: Set(recovery.passedOver.map(\.seq)),
                marks: recovery.marks))
    }

    /// How snapshots stand.
    var status: Status { box.withLock { $0 } }

    /// Starts the thread.
    func start() {
        Threads.start("snapshot") { self.run() }
    }

    /// Ends the thread, and takes a last snapshot if there is enough that the next start would have to replay.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        wake.post()
        stopped.wait()
        if fresh >= framesMin, isComplete { take() }
    }

    private func run() {
        var last = Threads.monotonicNanoseconds()
        while !stopping.load(ordering: .relaxed) {
            _ = wake.wait(milliseconds: 1000)
            if stopping.load(ordering: .relaxed) { break }
            let seconds = Int((Threads.monotonicNanoseconds() - last) / 1_000_000_000)
            if isDue(afterSeconds: seconds) {
                take()
                last = Threads.monotonicNanoseconds()
            }
            recycle()
        }
        stopped.post()
    }

    /// Frames since the newest snapshot.
    private var fresh: UInt64 {
        let applied = writer.state.appliedSeq.load(ordering: .acquiring)
        return applied - min(applied, status.kept.first ?? 0)
    }

    private var framesMin: UInt64 {
        let frames = UInt64(configuration.snapshotFrames)
        return frames == 0 ? ServiceLimits.snapshotFramesMin : min(frames, ServiceLimits.snapshotFramesMin)
    }

    /// While a view is filled its rows are neither all here nor all in the tail: after a restart it is filled anew, and a
    /// version before it that still answers is gone. One whose filling was cancelled nobody waits for.
    private var isComplete: Bool { writer.state.snapshot.building.values.allSatisfy(isHeld) }

    private func isDue(afterSeconds seconds: Int) -> Bool {
        let fresh = fresh
        guard fresh >= framesMin, isComplete else { return false }
        if status.failuresInARow > 0 {
            return seconds >= min(Self.retrySeconds, max(1, configuration.snapshotIntervalSeconds))
        }
        if configuration.snapshotFrames > 0, fresh >= UInt64(configuration.snapshotFrames) { return true }
        return configuration.snapshotIntervalSeconds > 0 && seconds >= configuration.snapshotIntervalSeconds
    }

    /// Takes one snapshot; what goes wrong is told and tried again later.
    private func take() {
        let started = Threads.monotonicNanoseconds()
        let now = clock.now()
        let capture = writer.capture()
        var marks = status.marks
        marks.append(PositionMark(seq: capture.seq, micros: now))
        if marks.count > ServiceLimits.positionMarksMax { marks = Self.thinned(marks) }
        do throws(StorageError) {
            let file = try journal.makeSnapshot(seq: capture.seq, createdMicros: now)
            do throws(StorageError) {
                try writer.write(capture, marks: marks, into: PartSink(file))
                try file.finish()
            } catch {
                file.abandon()
                throw error
            }
            let kept = try journal.pruneSnapshots(unusable: status.unusable)
            let took = Threads.monotonicNanoseconds() - started
            box.withLock { [marks] status in
                status.kept = kept
                status.marks = marks
                status.takenMicros = now
                status.nanoseconds = took
                status.bytes = file.byteCount
                status.failuresInARow = 0
                if kept.count == JournalLimits.snapshotsKept { status.unusable = [] }
            }
            telemetry.observe(
                .snapshotTaken(seq: capture.seq, bytes: file.byteCount, nanoseconds: Int64(took)), at: clock.now())
        } catch {
            box.withLock { [error] status in
                status.failuresInARow += 1
                status.lastFailure = "\(error)"
            }
            telemetry.observe(
                .failure(component: "snapshot", code: "\(error.operation.rawValue)_\(error.number)"), at: clock.now())
        }
    }

    /// Every second mark of the older half: old positions need no fine clock.
    private static func thinned(_ marks: [PositionMark]) -> [PositionMark] {
        let half = marks.count / 2
        return marks[..<half].enumerated().filter { $0.offset % 2 == 0 }.map(\.element) + marks[half...]
    }

    /// The position up to which nobody needs the journal any more.
    private var disposableSeq: UInt64 {
        let status = status
        guard configuration.databaseURL != nil, status.kept.count == JournalLimits.snapshotsKept,
            let older = status.kept.last
        else { return 0 }
        let oldest = clock.now() - Int64(configuration.journalRetentionHours) * 3_600_000_000
        guard let aged = status.marks.last(where: { $0.micros <= oldest }) else { return 0 }
        return min(older, shippedSeq(), aged.seq)
    }

    private func recycle() {
        let disposable = disposableSeq
        guard disposable > 0, journal.removableSegments(below: disposable + 1) > 0 else { return }
        do throws(JournalError) {
            let count = try journal.removeSegments(below: disposable + 1)
            writer.state.marks.forget(below: journal.firstSeq)
            telemetry.observe(.segmentsRecycled(count: count, firstSeq: journal.firstSeq), at: clock.now())
        } catch {
            telemetry.observe(.failure(component: "journal_recycling", code: error.code.rawValue), at: clock.now())
        }
    }
}
