import Telemetry

/// Events in a row that came in with the same ingest time, as those of one request do.
struct IngestRun: Sendable, Equatable {
    /// Their ingest time [microseconds].
    let micros: Int64
    /// How many they are.
    var count: Int
}

extension [IngestRun] {
    /// One more event.
    mutating func add(_ ingestMicros: Int64) {
        if let last = indices.last, self[last].micros == ingestMicros {
            self[last].count += 1
        } else {
            append(IngestRun(micros: ingestMicros, count: 1))
        }
    }
}

extension Metrics {
    /// Counts events that reached a stage now, by how long ago they came in.
    func observe(_ runs: [IngestRun], stage: Observation.Stage, nowMicros: Int64) {
        for run in runs {
            observe(
                .eventStage(stage, count: run.count, nanoseconds: (nowMicros - run.micros) * 1_000), at: nowMicros)
        }
    }
}
