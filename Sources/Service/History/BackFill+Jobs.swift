import JSON

extension ViewEntry {
    /// Name and version, as one word.
    var versionedName: String { Self.versionedName(definition.spec.name, definition.spec.version) }

    static func versionedName(_ name: String, _ version: Int) -> String { "\(name)@\(version)" }

    fileprivate var subject: JobSubject {
        JobSubject(kind: .featureView, name: definition.spec.name, version: definition.spec.version)
    }
}

extension BackFill {
    /// Gives every view that is being filled a job, and ends the jobs of those that are not any more.
    func updateJobs(_ building: [ViewEntry]) {
        for view in building where progress(of: view) == nil { begin(view) }
        let wanted = Set(building.map(\.versionedName))
        let gone = fills.withLock { fills in
            let gone = fills.filter { !wanted.contains($0.key) }
            for key in gone.keys { fills[key] = nil }
            return gone
        }
        for fill in gone.values {
            jobs.finish(
                fill.context,
                .failure(Problem(409, "view_replaced", "The view was replaced or retired before it was filled.")))
        }
        // Cancelled while it waited or ran: from now on it is held. Stopped with the daemon: the next one fills anew.
        let ended = fills.withLock { fills in
            let ended = fills.filter { $0.value.context.isCancelled && !$0.value.progress.isHeld }
            for (key, fill) in ended where !fill.context.isInterrupted { fills[key]?.progress.isHeld = true }
            return ended
        }
        for fill in ended.values { jobs.finish(fill.context, .failure(Self.cancelled)) }
    }

    private static let cancelled = Problem(409, "cancelled", "The job was cancelled.")

    /// Position up to which stored events are read into a view.
    private func through(_ view: ViewEntry) -> Int64? {
        let spec = view.definition.spec
        let key = DefinitionKey(kind: .featureView, name: spec.name)
        guard let entry = state.history.entry(key, version: spec.version) else { return nil }
        if let position = rebuilt.withLock({ $0[view.versionedName] }) { return position }
        return max(Int64(entry.fromSeq), restoredThrough)
    }

    private func begin(_ view: ViewEntry) {
        guard let through = through(view), let context = job(of: view, through, done: 0) else { return }
        let progress = FillProgress(through: through, job: context.id)
        fills.withLock { $0[view.versionedName] = Fill(progress: progress, context: context) }
    }

    /// A fresh job of a view; nil when it cannot be stored now.
    private func job(of view: ViewEntry, _ through: Int64, done: Int64) -> JobContext? {
        let spec = view.definition.spec
        let entry = state.history.entry(DefinitionKey(kind: .featureView, name: spec.name), version: spec.version)
        return jobs.begin(
            kind: .viewBackFill, principal: entry?.activation.principal ?? "decisiond", total: through, done: done,
            unit: "journal_positions", subject: view.subject)
    }

    /// The view is served: its job is done.
    func endJob(_ view: ViewEntry) {
        guard let fill = fills.withLock({ $0.removeValue(forKey: view.versionedName) }) else { return }
        rebuilt.withLock { $0[view.versionedName] = nil }
        let spec = view.definition.spec
        let body = JSONTree.members([
            "kind": .string(JobKind.viewBackFill.rawValue), "view": .string(spec.name),
            "version": .integer(Int64(spec.version)), "events": .integer(Int64(fill.progress.events)),
        ])
        jobs.finish(fill.context, .success(JobResult(link: "/v1/features/\(spec.name)", body: body)))
    }

    /// Goes on with a view whose job was cancelled, from where it stopped, under a new job.
    ///
    /// - Throws: 409 when the job is of another kind, or its view does not wait for that.
    func retry(_ job: Job) throws(Problem) -> Job {
        guard job.kind == .viewBackFill, let subject = job.subject else {
            throw Problem(409, "not_retryable", "Only the back-fill of a view is retried; submit other work again.")
        }
        let key = ViewEntry.versionedName(subject.name, subject.version)
        guard let view = state.snapshot.building[subject.name], view.versionedName == key,
            let fill = fills.withLock({ $0[key] }), fill.progress.isHeld
        else {
            throw Problem(409, "nothing_to_retry", "The view is filled, being filled, or not there any more.")
        }
        var progress = fill.progress
        guard let context = self.job(of: view, progress.through, done: progress.position) else {
            throw Problem(503, "job_not_stored", "The job cannot be kept now. Retry later.", retryAfter: 10)
        }
        progress.isHeld = false
        progress.job = context.id
        let isTaken = fills.withLock { [progress] fills in
            guard fills[key]?.progress.isHeld == true else { return false }
            fills[key] = Fill(progress: progress, context: context)
            return true
        }
        guard isTaken, let made = jobs.job(context.id) else {
            jobs.finish(context, .failure(Self.cancelled))
            throw Problem(409, "nothing_to_retry", "The view is being filled already.")
        }
        return made
    }
}
