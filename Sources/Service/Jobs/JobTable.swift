import JSON
import Synchronization
import Telemetry

/// Long work, each piece with a resource of its own: what waits, what runs, and what became of the rest.
///
/// Every change of state is written to a file of the job's own before it is told, so that a restart knows all jobs; one
/// that waited or ran when the process ended is then `failed` with `interrupted`, and is to be submitted again. Jobs are
/// not in the journal: they change nothing in its order.
final class JobTable: Sendable {
    /// What a job does: on a thread of low priority, until it returns, throws, or sees that it is cancelled.
    typealias Work = @Sendable (JobContext) throws(Problem) -> JobResult

    private struct Entry: Sendable {
        var job: Job
        /// nil once it is finished.
        var context: JobContext?

        /// The job with its progress so far.
        var current: Job {
            guard let context else { return job }
            var current = job
            current.done = context.done
            current.total = context.total
            return current
        }
    }

    private let entries = Mutex<[RecordID: Entry]>([:])
    private let pool: WorkerPool
    private let directory: String
    private let databaseURL: String?
    private let clock: WallClock
    private let observe: @Sendable (Observation) -> Void

    /// Reads what an earlier process left and marks what it did not finish.
    ///
    /// - Parameters:
    ///   - directory: where state files live; made if need be.
    ///   - threads: jobs that run at once.
    ///   - databaseURL: libpq connection string for `JobContext.connect`.
    ///   - observe: is told of state files that cannot be read or written.
    init(
        directory: String, threads: Int, databaseURL: String?, clock: WallClock,
        observe: @escaping @Sendable (Observation) -> Void
    ) throws(FileError) {
        self.directory = directory
        self.databaseURL = databaseURL
        self.clock = clock
        self.observe = observe
        pool = WorkerPool(name: "job", threads: threads, jobsMax: ServiceLimits.jobsActiveMax)
        try Files.makeDirectory(directory, mode: 0o700)
        for name in try Files.names(in: directory) where name.hasSuffix(".json") {
            guard let bytes = try Files.read("\(directory)/\(name)"), var job = Job(bytes) else {
                observe(.failure(component: "jobs", code: "state_unreadable"))
                continue
            }
            if !job.state.isFinished {
                job.state = .failed
                job.error = .interrupted(job.kind)
                job.finishedMicros = clock.now()
                store(job)
            }
            entries.withLock { $0[job.id] = Entry(job: job) }
        }
        expire()
    }

    // MARK: Submitting

    /// Queues work and answers with its job, whose state file is on the disk.
    ///
    /// - Parameters:
    ///   - total: how much there is to do, in `unit`; nil when the work will say (`JobContext.expect`).
    ///   - work: gives the result, or throws why there is none.
    /// - Throws: 503 `too_many_jobs` past the limit, 503 `job_not_stored` when its file cannot be written.
    func submit(
        kind: JobKind, principal: String, total: Int64? = nil, unit: String, work: @escaping Work
    ) throws(Problem) -> Job {
        expire()
        let now = clock.now()
        let id = RecordID(micros: now, random: (Randomness.word(), Randomness.word()))
        var job = Job(id: id, kind: kind, principal: principal, createdMicros: now, unit: unit)
        job.total = total
        let context = JobContext(id: id, total: total, databaseURL: databaseURL)
        let waiting = job
        let isTaken = entries.withLock { entries in
            let active = entries.values.count { $0.context != nil && $0.job.kind != .viewBackFill }
            guard active < ServiceLimits.jobsActiveMax else { return false }
            entries[id] = Entry(job: waiting, context: context)
            return true
        }
        guard isTaken else {
            throw Problem(503, "too_many_jobs", "Too many jobs wait or run. Retry later.", retryAfter: 10)
        }
        guard store(job), pool.submit({ self.run(context, work) }) else {
            entries.withLock { $0[id] = nil }
            Files.remove(path(id))
            throw Problem(503, "job_not_stored", "The job cannot be kept now. Retry later.", retryAfter: 10)
        }
        return job
    }

    /// Adds a job that a thread of its own does: `started` says that it runs, `finish` ends it. The caller bounds how many.
    ///
    /// - Parameter done: how much of it an earlier job has done.
    /// - Returns: nil when its file cannot be written.
    func begin(
        kind: JobKind, principal: String, total: Int64, done: Int64, unit: String, subject: JobSubject
    ) -> JobContext? {
        let now = clock.now()
        let id = RecordID(micros: now, random: (Randomness.word(), Randomness.word()))
        var job = Job(id: id, kind: kind, principal: principal, createdMicros: now, unit: unit)
        (job.subject, job.total, job.done) = (subject, total, done)
        let context = JobContext(id: id, total: total, databaseURL: databaseURL)
        context.advance(by: done)
        guard store(job) else { return nil }
        entries.withLock { [job] in $0[id] = Entry(job: job, context: context) }
        return context
    }

    /// A job that waited runs.
    func started(_ context: JobContext) {
        guard job(context.id)?.state == .queued else { return }
        _ = update(context.id) { job in
            job.state = .running
            job.startedMicros = self.clock.now()
        }
    }

    private func run(_ context: JobContext, _ work: Work) {
        Threads.lowerPriority(by: ServiceLimits.jobNiceness)
        started(context)
        // Cancelled while it waited.
        guard job(context.id)?.state == .running else { return }
        let outcome: Result<JobResult, Problem>
        do throws(Problem) {
            try context.check()
            outcome = .success(try work(context))
        } catch {
            outcome = .failure(error)
        }
        finish(context, outcome)
    }

    /// A job has ended.
    func finish(_ context: JobContext, _ outcome: Result<JobResult, Problem>) {
        _ = update(context.id, isLast: true) { job in
            job.done = context.done
            job.total = context.total
            job.finishedMicros = self.clock.now()
            switch outcome {
            case .success(let result):
                job.state = .done
                job.result = result
            case .failure where context.isInterrupted:
                job.state = .failed
                job.error = .interrupted(job.kind)
            case .failure where context.isCancelled: job.state = .cancelled
            case .failure(let problem):
                job.state = .failed
                job.error = JobError(problem)
            }
        }
    }

    /// Changes an unfinished job, stores it, then shows it; nil when there is none.
    private func update(_ id: RecordID, isLast: Bool = false, _ change: (inout Job) -> Void) -> Job? {
        let found = entries.withLock { $0[id] }
        guard let found, found.context != nil else { return nil }
        var job = found.job
        change(&job)
        store(job)
        let changed = job
        let isShown = entries.withLock { entries in
            guard entries[id]?.context != nil else { return false }
            entries[id]?.job = changed
            if isLast { entries[id]?.context = nil }
            return true
        }
        if isShown { return job }
        // Cancelled in between: its file is to say so again.
        if let ended = self.job(id) { store(ended) }
        return nil
    }

    // MARK: Asking

    /// One job with its progress; nil when there is none.
    func job(_ id: RecordID) -> Job? {
        entries.withLock { $0[id]?.current }
    }

    /// All jobs, newest first.
    func jobs() -> [Job] {
        expire()
        return entries.withLock { $0.values.map(\.current) }.sorted { $0.id.text > $1.id.text }
    }

    /// Jobs that wait or run.
    var activeCount: Int { entries.withLock { $0.values.count { $0.context != nil } } }

    /// Asks a job to stop: one that waits ends at once, one that runs when its work notices.
    ///
    /// - Throws: 404 when there is none, 409 `job_finished` when it has ended.
    func cancel(_ id: RecordID) throws(Problem) -> Job {
        let now = clock.now()
        let found = entries.withLock { entries -> Entry? in
            guard let entry = entries[id] else { return nil }
            entry.context?.cancel()
            if entry.context != nil, entry.job.state == .queued {
                entries[id]?.job.state = .cancelled
                entries[id]?.job.finishedMicros = now
                entries[id]?.context = nil
                var ended = entry
                ended.job = entries[id]?.job ?? entry.job
                return ended
            }
            return entry
        }
        guard let found else { throw Self.unknown }
        guard found.context != nil else {
            throw Problem(409, "job_finished", "The job has ended; there is nothing to cancel.")
        }
        if found.job.state == .cancelled { store(found.job) }
        return found.job.state == .cancelled ? found.job : found.current
    }

    /// Nothing has this id.
    static let unknown = Problem(404, "unknown_job", "There is no job of this id; finished ones are kept for a while.")

    /// Takes no more jobs and asks those that run to stop; they end as `interrupted`.
    func stop() {
        pool.stop()
        entries.withLock { entries in
            for entry in entries.values { entry.context?.cancel(interrupting: true) }
        }
    }

    // MARK: Files

    private func path(_ id: RecordID) -> String { "\(directory)/\(id.text).json" }

    @discardableResult
    private func store(_ job: Job) -> Bool {
        do throws(FileError) {
            try Files.replace(path(job.id), with: job.bytes, mode: 0o600)
            return true
        } catch {
            observe(.failure(component: "jobs", code: "state_not_written"))
            return false
        }
    }

    /// Forgets finished jobs past their time, and the oldest past their number.
    private func expire() {
        let oldest = clock.now() - ServiceLimits.jobKeptMicros
        let gone = entries.withLock { entries -> [RecordID] in
            let finished = entries.values.filter { $0.context == nil }.map(\.job)
                .sorted { ($0.finishedMicros ?? 0) < ($1.finishedMicros ?? 0) }
            let surplus = max(0, entries.count - ServiceLimits.jobsKeptMax)
            var gone: [RecordID] = []
            for (index, job) in finished.enumerated() where index < surplus || (job.finishedMicros ?? 0) < oldest {
                entries[job.id] = nil
                gone.append(job.id)
            }
            return gone
        }
        for id in gone { Files.remove(path(id)) }
    }
}
