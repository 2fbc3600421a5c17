import Synchronization

/// Counters, gauges and latency histograms of the process. Updates are atomic adds; only the look-up of a label
/// combination takes a short lock.
public final class Metrics: ObservationSink {
    /// One metric family; the order is the order of exposition.
    enum Family: Int, CaseIterable {
        case requests, requestSeconds, requestBytes, responseBytes
        case events, decisions, decisionSeconds, decisionsRefused
        case journalFrames, journalBytes, journalFlushSeconds, journalFailures
        case recoverySeconds, recoveryFrames, snapshots, snapshotSeconds, snapshotBytes, segmentsRecycled
        case shippedRows, shipSeconds, shipFailures, unshippable, shipRewound, eventStageSeconds
        case sourceEvents, sourceWatermarkAge, sourceLag
        case databaseUp, breakerState, limitHits, denials, activations, failures, ready
        case connections, suspendedRequests, shipBacklog, shipLagSeconds, journalFree, entities, resident, jobs
        case featuresServed, featureAgeSeconds
        case journalSegmentBytes, journalSegments, snapshotSeq, snapshotAgeSeconds
        case parityPoints, parityChecked, parityMismatches, parityFeatureMismatches, paritySkipped
        case seriesOverflow
    }

    /// Up to three label values, empty where the family has fewer labels.
    struct Labels: Hashable, Comparable {
        var first = ""
        var second = ""
        var third = ""

        static func < (left: Labels, right: Labels) -> Bool {
            (left.first, left.second, left.third) < (right.first, right.second, right.third)
        }
    }

    /// The numbers of one label combination: a total, and buckets for histograms.
    final class Series: Sendable {
        let total = Atomic<Int64>(0)
        let count = Atomic<Int64>(0)
        let buckets: InlineArray<16, Atomic<Int64>> = InlineArray { _ in Atomic(0) }

        func add(_ amount: Int64) { total.wrappingAdd(amount, ordering: .relaxed) }
        func set(_ value: Int64) { total.store(value, ordering: .relaxed) }

        func record(nanoseconds: Int64, times: Int64 = 1) {
            let value = max(0, nanoseconds)
            total.wrappingAdd(value.multipliedReportingOverflow(by: times).partialValue, ordering: .relaxed)
            for index in buckets.indices where value <= Metrics.bucketNanoseconds[index] {
                buckets[index].wrappingAdd(times, ordering: .relaxed)
                return
            }
            count.wrappingAdd(times, ordering: .relaxed)
        }
    }

    /// Upper bounds of the latency buckets, in nanoseconds: 50 us to 10 s.
    static let bucketNanoseconds: [Int64] = [
        50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000,
        100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 10_000_000_000,
    ]

    private let tables = Mutex([[Labels: Series]](repeating: [:], count: Family.allCases.count))

    /// Metrics at zero.
    public init() {}

    /// The series of a label combination, made on first use; past the bound the one of ``TelemetryLimits/otherLabel``.
    private func series(_ family: Family, _ labels: Labels = Labels()) -> Series {
        tables.withLock { tables in
            if let known = tables[family.rawValue][labels] { return known }
            var labels = labels
            if tables[family.rawValue].count >= TelemetryLimits.seriesPerFamilyMax {
                let other = TelemetryLimits.otherLabel
                labels = Labels(
                    first: labels.first.isEmpty ? "" : other, second: labels.second.isEmpty ? "" : other,
                    third: labels.third.isEmpty ? "" : other)
                let overflow = tables[Family.seriesOverflow.rawValue][Labels()] ?? Series()
                overflow.add(1)
                tables[Family.seriesOverflow.rawValue][Labels()] = overflow
                if let known = tables[family.rawValue][labels] { return known }
            }
            let made = Series()
            tables[family.rawValue][labels] = made
            return made
        }
    }

    /// The series of one route, found once: what a server counts on every request.
    public func requests(method: String, route: String) -> RequestSeries {
        RequestSeries(
            answered: series(.requests, Labels(first: method, second: route, third: "200")),
            seconds: series(.requestSeconds, Labels(first: route)), bytesIn: series(.requestBytes),
            bytesOut: series(.responseBytes)
        ) { status in
            self.series(.requests, Labels(first: method, second: route, third: String(status)))
        }
    }

    func snapshot(_ family: Family) -> [(Labels, Series)] {
        tables.withLock { tables in
            tables[family.rawValue].sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }

    /// Counts `observation`; the time is not used.
    public func observe(_ observation: Observation, at micros: Int64) {
        switch observation {
        case .request(let method, let route, let status, let bytesIn, let bytesOut, let nanoseconds, _):
            series(.requests, Labels(first: method, second: route, third: String(status))).add(1)
            series(.requestSeconds, Labels(first: route)).record(nanoseconds: nanoseconds)
            series(.requestBytes).add(Int64(bytesIn))
            series(.responseBytes).add(Int64(bytesOut))
        case .events(let contract, let disposition, let code, let count):
            series(.events, Labels(first: contract, second: disposition.rawValue, third: code)).add(Int64(count))
        case .decision(let name, let step, let cause, let nanoseconds):
            series(.decisions, Labels(first: name, second: String(step), third: cause)).add(1)
            series(.decisionSeconds, Labels(first: name)).record(nanoseconds: nanoseconds)
        case .decisionRefused(let name, let code):
            series(.decisionsRefused, Labels(first: name, second: code)).add(1)
        case .journalFlush(let frames, let bytes, let nanoseconds):
            series(.journalFrames).add(Int64(frames))
            series(.journalBytes).add(Int64(bytes))
            series(.journalFlushSeconds).record(nanoseconds: nanoseconds)
        case .shipped(let rows, let nanoseconds):
            series(.shippedRows).add(Int64(rows))
            series(.shipSeconds).record(nanoseconds: nanoseconds)
        case .eventStage(let stage, let count, let nanoseconds):
            series(.eventStageSeconds, Labels(first: stage.rawValue))
                .record(nanoseconds: nanoseconds, times: Int64(count))
        default:
            observeState(observation)
        }
    }

    private func observeState(_ observation: Observation) {
        switch observation {
        case .journalFailed: series(.journalFailures).add(1)
        case .recovered(_, let frames, let nanoseconds):
            series(.recoverySeconds).record(nanoseconds: nanoseconds)
            series(.recoveryFrames).add(Int64(clamping: frames))
        case .snapshotTaken(_, let bytes, let nanoseconds):
            series(.snapshots).add(1)
            series(.snapshotSeconds).record(nanoseconds: nanoseconds)
            series(.snapshotBytes).set(bytes)
        case .snapshotPassedOver: series(.failures, Labels(first: "snapshot", second: "passed_over")).add(1)
        case .segmentsRecycled(let count, _): series(.segmentsRecycled).add(Int64(count))
        case .shipFailed(let code): series(.shipFailures, Labels(first: code)).add(1)
        case .unshippable(let table, let code): series(.unshippable, Labels(first: table, second: code)).add(1)
        case .shipRewound(let frames): series(.shipRewound).add(Int64(frames))
        case .sourceEvents(let source, let kind, let total):
            series(.sourceEvents, Labels(first: source, second: kind)).set(Int64(total))
        case .sourceLag(let source, let age, let median, let p99):
            series(.sourceWatermarkAge, Labels(first: source)).set(age)
            series(.sourceLag, Labels(first: source, second: "0.5")).set(median)
            series(.sourceLag, Labels(first: source, second: "0.99")).set(p99)
        case .parity(let view, let checked, let mismatches):
            series(.parityPoints, Labels(first: view)).add(1)
            series(.parityChecked, Labels(first: view)).add(Int64(checked))
            series(.parityMismatches, Labels(first: view)).add(Int64(mismatches))
        case .parityMismatch(let view, let feature, let against):
            series(.parityFeatureMismatches, Labels(first: view, second: feature, third: against)).add(1)
        case .paritySkipped(let reason): series(.paritySkipped, Labels(first: reason)).add(1)
        case .database(let isUp): series(.databaseUp).set(isUp ? 1 : 0)
        case .breaker(let endpoint, let state):
            for each in Observation.BreakerState.allCases {
                series(.breakerState, Labels(first: endpoint, second: each.rawValue)).set(each == state ? 1 : 0)
            }
        case .limitHit(let name): series(.limitHits, Labels(first: name)).add(1)
        case .denied(let code): series(.denials, Labels(first: code)).add(1)
        case .activated(let kind, _, _): series(.activations, Labels(first: kind)).add(1)
        case .failure(let component, let code): series(.failures, Labels(first: component, second: code)).add(1)
        case .level(let level, let value): series(level.family).set(value)
        case .features(let view, let served, let age):
            series(.featuresServed, Labels(first: view)).set(served)
            if let age { series(.featureAgeSeconds, Labels(first: view)).set(age) }
        case .lifecycle(let phase): series(.ready).set(phase == .ready ? 1 : 0)
        default: preconditionFailure("an observation without a metric")
        }
    }
}

extension Observation.Level {
    fileprivate var family: Metrics.Family {
        switch self {
        case .connections: .connections
        case .suspendedRequests: .suspendedRequests
        case .shipBacklogFrames: .shipBacklog
        case .shipLagSeconds: .shipLagSeconds
        case .journalFreeBytes: .journalFree
        case .journalSegmentBytes: .journalSegmentBytes
        case .journalSegments: .journalSegments
        case .snapshotSeq: .snapshotSeq
        case .snapshotAgeSeconds: .snapshotAgeSeconds
        case .entities: .entities
        case .residentBytes: .resident
        case .jobs: .jobs
        }
    }
}
