import JSON
import Journal

/// How memory came back at the start.
struct RecoveryOutcome: Sendable {
    /// What the journal's own recovery found.
    let journal: RecoveryReport
    /// The snapshot that memory was restored from; nil when the whole journal was replayed.
    let snapshotSeq: UInt64?
    /// Snapshots that could not be used, newest first, and why.
    let passedOver: [(seq: UInt64, problem: String)]
    /// When positions were reached, as far as the snapshot knows.
    let marks: [PositionMark]
    /// Views that have no rows until they are filled again.
    let unavailableViews: [String]
    /// How long it took.
    let nanoseconds: UInt64
}

/// Memory and journal, ready for a writer.
struct RecoveredService {
    let state: ServiceState
    let applier: Applier
    let journal: RecoveredJournal<PosixStorage>
    let dedupe: DedupeTable
    let outcome: RecoveryOutcome
}

/// Brings memory back: the newest snapshot that checks, then the frames after it; without one, all frames.
struct ServiceRecovery {
    let storage: PosixStorage
    let options: JournalOptions
    let hashKey: HashKey
    /// Dedupe horizon, and the clock [microseconds].
    let horizonMicros: Int64
    let nowMicros: Int64
    /// Makes empty memory and what applies frames to it; called once an attempt.
    let makeState: () -> (ServiceState, Applier)

    /// Why an attempt with one snapshot came to nothing.
    private enum Attempt {
        case recovered(RecoveredService)
        case passOver(String)
    }

    /// Recovers. The journal is locked when this returns.
    func run() throws -> RecoveredService {
        let started = Threads.monotonicNanoseconds()
        var passedOver: [(seq: UInt64, problem: String)] = []
        for seq in try SnapshotFiles.list(storage) {
            switch try attempt(seq, passedOver, started) {
            case .recovered(let service): return service
            case .passOver(let problem): passedOver.append((seq, problem))
            }
        }
        switch try attempt(nil, passedOver, started) {
        case .recovered(let service): return service
        case .passOver(let problem):
            let told = passedOver.map { "snapshot \($0.seq): \($0.problem)" } + [problem]
            throw ServiceError("journal_incomplete", told.joined(separator: "; "))
        }
    }

    private func attempt(
        _ seq: UInt64?, _ passedOver: [(seq: UInt64, problem: String)], _ started: UInt64
    ) throws -> Attempt {
        let (state, applier) = makeState()
        let empty = DedupeTable(horizonMicros: horizonMicros, nowMicros: nowMicros)
        var restorer = StateRestorer(state, applier, hashKey, dedupe: empty)
        var header: SnapshotHeader?
        if let seq {
            do throws(JournalError) {
                header = try restore(seq, &restorer)
            } catch {
                return .passOver("\(error)")
            }
            if !restorer.missingViews.isEmpty, try replaysFromTheStart() {
                return .passOver(
                    "rows of \(restorer.missingViews.sorted().joined(separator: ", ")) are of another make; "
                        + "the whole journal is there and is replayed")
            }
        }
        // Taken over, not shared: the frames to come would copy every table that they touch.
        var dedupe = restorer.takeDedupe()
        let journal: RecoveredJournal<PosixStorage>
        do throws(JournalError) {
            journal = try replay(after: seq ?? 0, applier, &dedupe)
        } catch {
            if error.code == .replayRefused { return .passOver(error.message) }
            throw error
        }
        if let problem = Self.problem(journal.report, seq ?? 0, header, restorer.furthest) {
            journal.abandon()
            return .passOver(problem)
        }
        let views = state.snapshot.views
        let unavailable = restorer.missingViews.filter { name in
            // A version that was activated after the snapshot has every one of its events from the tail.
            state.history.entries(DefinitionKey(kind: .featureView, name: name)).last { $0.toSeq == nil }
                .map { $0.fromSeq <= seq ?? 0 } ?? false && views[name] != nil
        }
        return .recovered(
            RecoveredService(
                state: state, applier: applier, journal: journal, dedupe: dedupe,
                outcome: RecoveryOutcome(
                    journal: journal.report, snapshotSeq: seq, passedOver: passedOver, marks: restorer.marks,
                    unavailableViews: unavailable.sorted(),
                    nanoseconds: Threads.monotonicNanoseconds() - started)))
    }

    private func restore(_ seq: UInt64, _ restorer: inout StateRestorer) throws(JournalError) -> SnapshotHeader {
        let summary = try SnapshotFiles.read(seq: seq, in: storage) { (_, piece) throws(ReplayRefusal) in
            try restorer.take(piece)
        }
        do throws(ReplayRefusal) {
            try restorer.finish(seq: seq)
        } catch {
            throw JournalError(.corruptSnapshot, file: summary.name, error.message)
        }
        return summary.header
    }

    private func replay(
        after seq: UInt64, _ applier: Applier, _ dedupe: inout DedupeTable
    ) throws(JournalError) -> RecoveredJournal<PosixStorage> {
        var next = seq + 1
        let journal = try JournalRecovery.open(storage, options: options, replayFrom: next) {
            (frame) throws(ReplayRefusal) in
            guard frame.seq == next else { throw ReplayRefusal(Self.gap(from: next, to: frame.seq - 1)) }
            applier.apply(seq: frame.seq, type: frame.type, payload: frame.payload, position: frame.position)
            if let identity = RecoveredIdentity(frame, hashKey) { dedupe.add(identity) }
            next += 1
        }
        applier.finish(through: next - 1)
        return journal
    }

    private static func gap(from first: UInt64, to last: UInt64) -> String {
        "frames \(first) to \(last) are not in the journal any more"
    }

    /// Why a journal does not continue a snapshot; nil when it does.
    private static func problem(
        _ report: RecoveryReport, _ seq: UInt64, _ header: SnapshotHeader?, _ furthest: UInt64
    ) -> String? {
        if report.firstSeq > seq + 1 { return gap(from: seq + 1, to: report.firstSeq - 1) }
        guard let header else { return nil }
        if report.segments == 0 { return "the journal's segments are gone" }
        if report.journalID != header.journalID { return "it is of journal \(header.journalID)" }
        if report.lastSeq < max(seq, furthest) {
            return "it knows frames up to \(max(seq, furthest)), the journal ends at \(report.lastSeq)"
        }
        return nil
    }

    private func replaysFromTheStart() throws -> Bool {
        (JournalInspection.inspect(storage).segments.first?.firstSeq ?? 1) == 1
    }
}
