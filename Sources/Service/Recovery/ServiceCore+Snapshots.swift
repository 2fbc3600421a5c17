import Telemetry

extension ServiceCore {
    /// What is not as it should be with snapshots and the journal's beginning, for `/readyz`.
    func snapshotDegradations() -> [Degradation] {
        var found: [Degradation] = []
        let status = snapshots.status
        if !status.unusable.isEmpty {
            found.append(
                Degradation(
                    component: "snapshot", code: "passed_over",
                    detail: recovery.passedOver.map { "\($0.seq): \($0.problem)" }.joined(separator: "; ")))
        }
        if status.failuresInARow >= ServiceLimits.snapshotFailuresMax {
            found.append(
                Degradation(
                    component: "snapshot", code: "failing",
                    detail: "\(status.failuresInARow) in a row: \(status.lastFailure); a restart replays more frames"))
        }
        for view in recovery.unavailableViews
        where state.snapshot.building[view]?.definition.spec.version == recoveredVersion(of: view) {
            found.append(
                Degradation(
                    component: "FeatureView/\(view)", code: "not_restored",
                    detail: "its saved rows are of another make; PostgreSQL answers for it until it is filled again"))
        }
        for (name, view) in state.snapshot.building.sorted(by: { $0.key < $1.key }) {
            guard let progress = backFill.progress(of: view), progress.isHeld, let job = progress.job else { continue }
            found.append(
                Degradation(
                    component: "FeatureView/\(name)", code: "back_fill_cancelled",
                    detail: "it is not served; POST /v1/jobs/\(job.text)/retry goes on"))
        }
        if shipper.knowsPosition, !shipper.isDatabaseAhead, journal.firstSeq > shipper.shippedSeq + 1 {
            found.append(
                Degradation(
                    component: "postgres", code: "behind_journal",
                    detail: "PostgreSQL asks for frame \(shipper.shippedSeq + 1), the journal begins at "
                        + "\(journal.firstSeq): it went back further than journal_retention_hours; nothing is shipped"))
        }
        return found
    }

    private func recoveredVersion(of view: String) -> Int? {
        state.history.entries(DefinitionKey(kind: .featureView, name: view))
            .last { $0.fromSeq <= recovery.journal.lastSeq }?.definition.version
    }

    /// Brings the gauges of snapshots and segments up to date.
    func sampleSnapshots(_ now: Int64) {
        let status = snapshots.status
        metrics.observe(.level(.journalSegmentBytes, journal.diskBytes), at: now)
        metrics.observe(.level(.journalSegments, Int64(journal.segmentCount)), at: now)
        metrics.observe(.level(.snapshotSeq, Int64(clamping: status.kept.first ?? 0)), at: now)
        if let mark = status.marks.last {
            metrics.observe(.level(.snapshotAgeSeconds, max(0, now - mark.micros) / 1_000_000), at: now)
        }
    }
}
