import Features
import JSON
import Postgres

/// Compares served features of random entities and times with what PostgreSQL computes.
struct FeatureVerificationJob: Sendable {
    let view: ViewEntry
    let sample: Int
    let seed: UInt64
    let history: HistoryReader
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
        var check = ParityCheck(view.definition, view.view, journal: journal)
        var total = ParityOutcome()
        var examples: [JSONTree] = []
        for start in stride(from: 0, to: points.count, by: ServiceLimits.verifyBatchPoints) {
            let batch = points[start..<min(start + ServiceLimits.verifyBatchPoints, points.count)]
            let served = batch.map { serve($0, connection) }
            try wait(for: served.map(\.seq).max() ?? 0, context)
            for each in served {
                let outcome = try check.compare(each.point, served: each.values, seq: each.seq, connection)
                total.add(outcome)
                for mismatch in outcome.mismatches where examples.count < ServiceLimits.verifyExamplesMax {
                    examples.append(Self.example(each.point, mismatch))
                }
            }
            try context.check()
            context.advance(by: Int64(batch.count))
        }
        return result(points.count, total, examples, check)
    }

    /// Reads a point as the API does; where neither memory nor PostgreSQL can answer, the values say so.
    private func serve(_ point: ParityPoint, _ connection: PostgresConnection) -> Served {
        var vector = FeatureVector()
        try? history.read(
            view, view.definition.key(of: point.parts), asOf: point.asOfMicros,
            knownAt: point.knownMicros.map(KnownAt.ingestTime) ?? .latest, connection,
            until: PostgresDeadline.after(.milliseconds(ServiceLimits.historyMillisecondsMax)), into: &vector)
        let values = view.complete(vector.values, asOf: point.asOfMicros)
        return Served(point: point, values: values.map(ServedValue.init), seq: vector.featuresSeq)
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
            "feature": .string(mismatch.feature), "against": .string(mismatch.against.rawValue),
            "as_of": .string(Timestamp.text(point.asOfMicros)),
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
                "points": .integer(Int64(points)), "mismatches": .integer(Int64(total.mismatches.count)),
                "historical": total.historical.tree, "sql": total.sql.tree,
                "features": .array(view.definition.precisions(check.sql).map(Self.feature)),
                "examples": .array(examples),
            ]))
    }

    private static func feature(
        _ feature: (name: String, precision: FeatureSQL.Precision?, reason: String?)
    ) -> JSONTree {
        var (sql, note) = ("none", feature.reason)
        switch feature.precision {
        case .exact?: sql = "exact"
        case .within(let bound)?: (sql, note) = ("within", bound)
        case nil: break
        }
        return .members([
            "name": .string(feature.name), "sql": .string(sql), "note": note.map(JSONTree.string) ?? .null,
        ])
    }
}

extension ParityTally {
    /// The tally as the API shows it.
    var tree: JSONTree {
        .members([
            "equal": .integer(Int64(equal)), "within": .integer(Int64(within)), "different": .integer(Int64(different)),
            "limited": .integer(Int64(limited)), "absent": .integer(Int64(absent)),
        ])
    }
}
