import Access
import Decisions
import Features
import HTTP
import JSON

extension ServiceHandler {
    /// `GET /v1/features/{view}?customer=...&as_of=&known_at=`: every feature of one entity.
    func getFeatures(
        _ request: Request, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        let name = route.parameter("view")
        guard let view = route.snapshot.views[name] else { throw Problem.unknown("feature view", "unknown_view") }
        let entityName = view.definition.spec.entity
        var entity: String?
        var asOf: Int64?
        var knownAtText: String?
        var problems: [DocumentProblem] = []
        request.head.forEachQueryParameter { key, value in
            switch key {
            case "as_of":
                asOf = Timestamp.parse(value)
                if asOf == nil { problems.append(Self.timeProblem("as_of")) }
            case "known_at": knownAtText = value
            case entityName: entity = value
            default:
                problems.append(
                    DocumentProblem(
                        pointer: "/query/\(key)", code: "unknown_parameter",
                        message: "parameters are \(entityName), as_of and known_at"))
            }
        }
        if entity == nil || entity?.isEmpty == true {
            problems.append(
                DocumentProblem(
                    pointer: "/query/\(entityName)", code: "missing_parameter", message: "the entity's key is required")
            )
        }
        let now = service.clock.now()
        let time = asOf ?? now
        if time > now + ServiceLimits.futureMicrosMax {
            problems.append(
                DocumentProblem(
                    pointer: "/query/as_of", code: "in_the_future", message: "as_of lies ahead of the clock"))
        }
        let knownAt = Self.knownAt(knownAtText, asOf: asOf, &problems)
        guard problems.isEmpty, let entity else { throw Problem.invalid(problems) }
        if asOf != nil, let refused = authorize(route, "features.as_of", AccessResource(type: "feature_view", id: name))
        {
            throw refused
        }
        let contract = route.snapshot.contracts[view.definition.spec.contract]
        let plan = service.maskPlan(route, AccessResource(type: "feature_view", id: name))
        let body = try workspaces.with { (workspace) throws(Problem) in
            service.state.features.read(entity, view.plan, asOf: time, knownAt: knownAt, into: &workspace.vector)
            if case .historyUnavailable = workspace.vector.status {
                throw Problem(
                    503, "history_unavailable", "Memory does not reach back to as_of for this entity.", retryAfter: 5)
            }
            service.parity.offer(view, [entity], asOf: time, knownAt: knownAt, workspace.vector, now: now)
            let known = knownAtText ?? asOf.map { Timestamp.text($0) } ?? "latest"
            return Self.body(view, contract, workspace.vector, entity, time, known, plan)
        }
        if body.isPersonal {
            service.answerLogged(
                responder, Response.json(200, body.bytes), route, action: "features.read",
                resource: AccessResource(type: "feature_view", id: name), masked: body.masked)
        } else {
            responder.respond(Response.json(200, body.bytes))
        }
    }

    /// Reads `known_at`: `latest`, a time, or absent: `as_of` where that is given, else everything.
    static func knownAt(_ text: String?, asOf: Int64?, _ problems: inout [DocumentProblem]) -> KnownAt {
        guard let text else { return asOf.map(KnownAt.ingestTime) ?? .latest }
        if text == "latest" { return .latest }
        guard let micros = Timestamp.parse(text) else {
            problems.append(timeProblem("known_at"))
            return .latest
        }
        return .ingestTime(micros)
    }

    static func timeProblem(_ name: String) -> DocumentProblem {
        DocumentProblem(
            pointer: "/query/\(name)", code: "invalid_time",
            message: "RFC 3339 with a zone, such as 2026-01-31T12:00:00Z")
    }

    private static func body(
        _ view: ViewEntry, _ contract: ContractEntry?, _ vector: FeatureVector, _ entity: String, _ asOf: Int64,
        _ knownAt: String, _ plan: MaskPlan
    ) -> (bytes: [UInt8], isPersonal: Bool, masked: [String]) {
        var writer = JSONWriter(capacity: 2048)
        var masked: [String] = []
        var isPersonal = false
        writer.beginObject()
        writer.key("view")
        writer.string(view.definition.spec.name)
        writer.key("version")
        writer.integer(view.definition.spec.version)
        writer.key("entity")
        writer.beginObject()
        writer.key(view.definition.spec.entity)
        writer.string(entity)
        writer.endObject()
        writer.key("as_of")
        writer.timestamp(asOf)
        writer.key("known_at")
        writer.string(knownAt)
        writer.key("features_seq")
        writer.integer(vector.featuresSeq)
        writer.key("last_event_time")
        if let last = vector.lastEventTimes.first, let last {
            writer.timestamp(last)
            writer.key("age_s")
            writer.integer((asOf - last) / 1_000_000)
        } else {
            writer.null()
            writer.key("age_s")
            writer.null()
        }
        var reasons: [(String, String)] = []
        writer.key("values")
        writer.beginObject()
        for (feature, value) in zip(view.definition.spec.features, vector.values) {
            writer.key(feature.name)
            let classification = view.definition.classification(of: feature, contract)
            if let classification {
                isPersonal = true
                if plan.verdict(path: "\(view.definition.spec.name).\(feature.name)", classification: classification)
                    != nil
                {
                    masked.append(feature.name)
                    writer.null()
                    reasons.append((feature.name, "masked"))
                    continue
                }
            }
            DecisionEncoding.write(value, to: &writer)
            if let reason = value.nullReason { reasons.append((feature.name, reason.rawValue)) }
        }
        writer.endObject()
        writer.key("null_reasons")
        writer.beginObject()
        for (name, reason) in reasons {
            writer.key(name)
            writer.string(reason)
        }
        writer.endObject()
        writer.endObject()
        return (writer.bytes, isPersonal, masked)
    }
}

extension FeatureViewDefinition {
    /// The classification of the field that a feature shows as it is; counts and sums of it are not the field.
    func classification(of feature: FeatureSpec, _ contract: ContractEntry?) -> String? {
        switch feature.aggregate {
        case .first, .last, .min, .max:
            guard let column = feature.column else { return nil }
            return contract?.schema.field(column)?.classification
        default: return nil
        }
    }
}
