import Features
import JSON
import Postgres

/// Compares served features of random entities and times with what PostgreSQL computes.
struct FeatureVerificationJob: Sendable {
    let view: ViewEntry
    let sample: Int
    let seed: UInt64
    let state: ServiceState
    let journal: UInt128
    let clock: WallClock
    /// Position up to which PostgreSQL has everything.
    let shippedSeq: @Sendable () -> UInt64

    /// One served vector.
    private struct Served {
        let point: ParityPoint
        let values: [ServedValue]
        let seq: Int64
    }

    /// The work of the job.
    func run(_ context: JobContext) throws(Problem) -> JobResult {
        let connection = try context.connect()
        defer { connection.close() }
        do {
            let sampler = ParitySample(
                definition: view.definition, journal: journal, seed: seed, nowMicros: clock.now())
            let points = try sampler.points(sample, connection)
            context.expect(Int64(points.count))
            return try compare(points, context, connection)
        } catch let problem as Problem {
            throw problem
        } catch let error as PostgresError {
            throw Problem(
                503, "postgres_\(error.code)", "PostgreSQL failed while features were compared. Submit the job again.",
                retryAfter: 10)
        } catch {
            throw Problem(503, "failed", "The comparison failed. Submit the job again.", retryAfter: 10)
        }
    }

    private func compare(
        _ points: [ParityPoint], _ context: JobContext, _ connection: PostgresConnection
    ) throws -> JobResult {
        let check = ParityCheck(view.definition, journal: journal)
        var total = ParityOutcome()
        var examples: [JSONTree] = []
        for start in stride(from: 0, to: points.count, by: ServiceLimits.verifyBatchPoints) {
            let batch = points[start..<min(start + ServiceLimits.verifyBatchPoints, points.count)]
            let served = batch.compactMap(serve)
            total.limited += (batch.count - served.count) * check.sql.features.count
            try wait(for: served.map(\.seq).max() ?? 0, context)
            for each in served {
                let outcome = try check.compare(each.point, served: each.values, seq: each.seq, connection)
                total.compared += outcome.compared
                total.limited += outcome.limited
                total.mismatches += outcome.mismatches
                for mismatch in outcome.mismatches where examples.count < ServiceLimits.verifyExamplesMax {
                    examples.append(Self.example(each.point, mismatch))
                }
            }
            try context.check()
            context.advance(by: Int64(batch.count))
        }
        return result(points.count, total, examples, check)
    }

    /// Reads a point from memory; nil when memory cannot answer.
    private func serve(_ point: ParityPoint) -> Served? {
        var vector = FeatureVector()
        state.features.read(
            view.definition.key(of: point.parts), view.plan, asOf: point.asOfMicros,
            knownAt: point.knownMicros.map(KnownAt.ingestTime) ?? .latest, into: &vector)
        guard vector.status == .complete else { return nil }
        return Served(point: point, values: vector.values.map(ServedValue.init), seq: vector.featuresSeq)
    }

    private func wait(for seq: Int64, _ context: JobContext) throws(Problem) {
        var waited = 0
        while shippedSeq() < UInt64(seq) {
            guard waited < ServiceLimits.jobShipWaitSeconds * 1_000 else {
                throw Problem(503, "not_shipped", "PostgreSQL does not have the events yet.", retryAfter: 60)
            }
            try context.sleep(milliseconds: 50)
            waited += 50
        }
    }

    /// One mismatch without the entity's key, which may be personal.
    private static func example(_ point: ParityPoint, _ mismatch: ParityMismatch) -> JSONTree {
        .members([
            "feature": .string(mismatch.feature), "as_of": .string(Timestamp.text(point.asOfMicros)),
            "known_at": .string(point.knownMicros.map(Timestamp.text) ?? "latest"),
        ])
    }

    private func result(
        _ points: Int, _ total: ParityOutcome, _ examples: [JSONTree], _ check: ParityCheck
    ) -> JobResult {
        let spec = view.definition.spec
        return JobResult(
            link: nil,
            body: .members([
                "kind": .string(JobKind.featureVerification.rawValue), "view": .string(spec.name),
                "version": .integer(Int64(spec.version)), "seed": .integer(Int64(seed)),
                "points": .integer(Int64(points)), "values_compared": .integer(Int64(total.compared)),
                "values_limited": .integer(Int64(total.limited)),
                "mismatches": .integer(Int64(total.mismatches.count)), "examples": .array(examples),
                "not_in_sql": .array(check.sql.omitted.map { .string(spec.features[$0].name) }),
            ]))
    }
}
