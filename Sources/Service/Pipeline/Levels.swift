import HTTP
import Telemetry

extension ServiceCore {
    /// Brings the gauges up to date, when somebody looks.
    func sampleLevels() {
        let now = clock.now()
        let durable = Int64(journal.durableSeq)
        var levels: [(Observation.Level, Int64)] = [
            (.shipBacklogFrames, max(0, durable - Int64(shipper.shippedSeq))),
            (.shipLagSeconds, shipper.lagMicros(at: now) / 1_000_000),
            (.residentBytes, ProcessStatus.residentBytes()),
            (.jobs, Int64(bulk.load + jobs.activeCount)),
            (.entities, Int64(state.features.counts.entities)),
        ]
        if let free = Files.freeBytes(configuration.dataDirectory + "/journal") {
            // What is left to the journal: of the disk, and of its own limit.
            levels.append((.journalFreeBytes, min(free, configuration.journalBytesMax - journal.diskBytes)))
        }
        if let statistics = httpStatistics.withLock({ $0 })?() {
            levels.append((.connections, Int64(statistics.connectionsOpen)))
            levels.append((.suspendedRequests, Int64(statistics.total(\.suspendedNow))))
        }
        for (level, value) in levels { metrics.observe(.level(level, value), at: now) }
        for (name, view) in state.snapshot.views {
            metrics.observe(
                .features(
                    view: name, served: Int64(view.statistics.servedCount),
                    medianAgeSeconds: view.statistics.ages().map { Int64($0.p50) }), at: now)
        }
        sampleSnapshots(now)
        sampleSources(now)
    }

    /// The first sources by name, all others together: labels must stay few.
    private func sampleSources(_ now: Int64) {
        var others = (accepted: 0, late: 0, tooLate: 0, future: 0)
        for (index, entry) in state.sources.page(from: 0, limit: SourceClocks.sourcesMax + 1).enumerated() {
            let clock = entry.clock
            guard index < ServiceLimits.sourcesInMetricsMax else {
                others.accepted += clock.accepted
                others.late += clock.late
                others.tooLate += clock.tooLate
                others.future += clock.future
                continue
            }
            sample(clock.source, clock.accepted, clock.late, clock.tooLate, clock.future, now)
            guard clock.watermarkMicros != .min else { continue }
            metrics.observe(
                .sourceLag(
                    source: clock.source, watermarkAgeMilliseconds: max(0, now - clock.watermarkMicros) / 1_000,
                    p50Milliseconds: clock.lag.quantile(0.5) ?? 0, p99Milliseconds: clock.lag.quantile(0.99) ?? 0),
                at: now)
        }
        if others != (0, 0, 0, 0) {
            sample(TelemetryLimits.otherLabel, others.accepted, others.late, others.tooLate, others.future, now)
        }
    }

    private func sample(_ source: String, _ accepted: Int, _ late: Int, _ tooLate: Int, _ future: Int, _ now: Int64) {
        for (kind, count) in [("accepted", accepted), ("late", late), ("too_late", tooLate), ("future", future)] {
            metrics.observe(.sourceEvents(source: source, kind: kind, total: count), at: now)
        }
    }
}
