import Access
import HTTP
import JSON

extension ServiceHandler {
    /// `POST /v1/features/{view}/verify`: a job that compares served features with PostgreSQL's.
    func verifyFeatures(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        guard service.configuration.databaseURL != nil else { throw Problem.needsPostgres }
        guard let view = route.snapshot.views[route.parameter("view")] else {
            throw Problem.unknown("feature view", "unknown_view")
        }
        var sample = Int64(ServiceLimits.verifyPointsDefault)
        var seed = Int64(Randomness.word() >> 12)
        if !request.body.isEmpty {
            let tree: JSONTree
            do {
                tree = try JSONTree(parsing: request.bodyBytes)
            } catch {
                throw Problem.malformed(error)
            }
            let problems = ProblemList()
            let reader = TreeReader(tree, at: "", problems)
            sample = reader.integer("sample", in: 1...Int64(ServiceLimits.verifyPointsMax)) ?? sample
            seed = reader.integer("seed", in: 0...Int64.max) ?? seed
            reader.finish()
            guard problems.isEmpty else { throw Problem.invalid(problems.problems) }
        }
        let shipper = service.shipper
        let work = FeatureVerificationJob(
            view: view, sample: Int(sample), seed: UInt64(seed), history: service.history,
            journal: service.journal.uuid, clock: service.clock, shippedSeq: { shipper.shippedSeq })
        let job = try service.jobs.submit(
            kind: .featureVerification, principal: route.principal, total: sample, unit: "points"
        ) { (context) throws(Problem) in try work.run(context) }
        responder.respond(Self.accepted(job))
    }
}
