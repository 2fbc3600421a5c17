import Access
import Features
import HTTP
import JSON

/// The body of `POST /v1/features/query`, read and checked.
private struct FeaturesQuery {
    var views: [DisclosedView]
    /// For every entity, the parts of its key by name.
    let entities: [[String: String]]
    let asOf: Int64
    let knownAt: KnownAt
    /// `known_at` as the answer tells it.
    let knownAtText: String
}

/// Views whose key has the same parts: read together, under one acquisition of the entity's shard.
private struct ViewGroup {
    let parts: [String]
    let plan: FeaturePlan
    /// Index into the query's views, and where the view's values stand in the plan's.
    var members: [(view: Int, values: Range<Int>)]
}

extension ServiceHandler {
    /// `POST /v1/features/query`: several views of several entities, each entity as of one position of its shard.
    func queryFeatures(
        _ request: Request, _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        if request.body.count <= ServiceLimits.featuresQueryInlineBytesMax {
            return try answerFeaturesQuery(request.bodyBytes, route, responder, workspaces)
        }
        let body = request.bodyBytes
        let isQueued = service.bulk.submit {
            do throws(Problem) {
                try self.answerFeaturesQuery(body, route, responder, workspaces)
            } catch {
                responder.respond(error.response)
            }
        }
        if !isQueued { throw Problem(503, "busy", "Too many large requests are waiting.", retryAfter: 1) }
    }

    private func answerFeaturesQuery(
        _ body: [UInt8], _ route: RequestRoute, _ responder: Responder, _ workspaces: Pool<DecideWorkspace>
    ) throws(Problem) {
        let query = try readFeaturesQuery(body, route)
        let groups = try group(query.views)
        let answer = workspaces.with { workspace in write(query, groups, workspace) }
        let personal = query.views.filter(\.isPersonal)
        if personal.isEmpty {
            responder.respond(Response.json(200, answer))
        } else {
            service.answerLogged(
                responder, Response.json(200, answer), route, action: "features.read",
                entries: personal.map { ($0.resource, $0.masked) })
        }
    }

    private func readFeaturesQuery(_ body: [UInt8], _ route: RequestRoute) throws(Problem) -> FeaturesQuery {
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: body)
        } catch {
            throw unread(Problem.malformed(error), route)
        }
        let problems = ProblemList()
        let reader = TreeReader(tree, at: "", problems)
        let names = reader.strings("views", required: true) ?? []
        let items = reader.array("entities", required: true) ?? []
        let wanted = reader.strings("features")
        let (asOfText, knownAtText) = (reader.string("as_of"), reader.string("known_at"))
        reader.finish()
        Self.check(names.count, "views", ServiceLimits.featuresQueryViewsMax, problems)
        Self.check(items.count, "entities", ServiceLimits.featuresQueryEntitiesMax, problems)
        if Set(names).count != names.count { problems.add("/views", "duplicate_name", "a view stands twice") }
        guard problems.isEmpty else { throw unread(Problem.invalid(problems.problems), route) }
        let (asOf, now) = (asOfText.flatMap { Timestamp.parse($0) }, service.clock.now())
        if asOfText != nil, asOf == nil { problems.add("/as_of", "invalid_time", "RFC 3339 with a zone") }
        if let asOf, asOf > now + ServiceLimits.futureMicrosMax {
            problems.add("/as_of", "in_the_future", "as_of lies ahead of the clock")
        }
        var times: [DocumentProblem] = []
        let knownAt = Self.knownAt(knownAtText, asOf: asOf, &times)
        for problem in times { problems.add("/known_at", problem.code, problem.message) }
        var views: [DisclosedView] = []
        for name in names { views.append(try permitted(name, route, isHistoric: asOfText != nil)) }
        if let wanted { Self.select(wanted, &views, problems) }
        let entities = Self.entities(items, views, problems)
        guard problems.isEmpty else { throw Problem.invalid(problems.problems) }
        return FeaturesQuery(
            views: views, entities: entities, asOf: asOf ?? now, knownAt: knownAt,
            knownAtText: knownAtText ?? asOf.map { Timestamp.text($0) } ?? "latest")
    }

    /// What is wrong with a body that names no views; who may not read every view is told nothing but that.
    private func unread(_ problem: Problem, _ route: RequestRoute) -> Problem {
        guard let refusal = route.pendingRefusal else { return problem }
        service.logAccess(
            route, action: "features.read", resource: AccessResource(type: "feature_view", id: "*"), permitted: false,
            masked: [])
        return refusal
    }

    private static func check(_ count: Int, _ key: String, _ limit: Int, _ problems: ProblemList) {
        if count > limit { problems.add("/" + key, "too_many", "at most \(limit)") }
        if count == 0, problems.isEmpty { problems.add("/" + key, "empty_list", "at least one") }
    }

    /// The view, once the policies permit reading it: who may not read it does not learn whether it exists.
    private func permitted(_ name: String, _ route: RequestRoute, isHistoric: Bool) throws(Problem) -> DisclosedView {
        let resource = AccessResource(type: "feature_view", id: name)
        for action in ["features.read"] + (isHistoric ? ["features.as_of"] : []) {
            if let refused = authorize(route, action, resource) { throw refused }
        }
        guard let entry = route.snapshot.views[name] else { throw Problem.unknown("feature view", "unknown_view") }
        return disclosed(entry, route)
    }

    /// Leaves only the features named: `feature`, of every view that has it, or `view.feature`.
    private static func select(_ wanted: [String], _ views: inout [DisclosedView], _ problems: ProblemList) {
        for index in views.indices { views[index].isWanted = views[index].isWanted.map { _ in false } }
        for (number, name) in wanted.enumerated() {
            var isKnown = false
            for index in views.indices {
                for (place, feature) in views[index].features.enumerated()
                where feature.name == name || "\(views[index].name).\(feature.name)" == name {
                    views[index].isWanted[place] = true
                    isKnown = true
                }
            }
            if !isKnown { problems.add("/features/\(number)", "unknown_feature", "no view has this feature") }
        }
    }

    private static func entities(
        _ items: [JSONTree], _ views: [DisclosedView], _ problems: ProblemList
    ) -> [[String: String]] {
        let needed = Set(views.flatMap { $0.entry.definition.spec.entityParts.map(\.name) })
        return items.enumerated().map { index, item in
            let reader = TreeReader(item, at: "/entities/\(index)", problems)
            var parts: [String: String] = [:]
            for name in needed.sorted() {
                guard let text = reader.string(name, required: true) else { continue }
                if text.isEmpty || text.utf8.count > ServiceLimits.identityBytesMax {
                    problems.add(
                        reader.path(name), "out_of_range", "1 to \(ServiceLimits.identityBytesMax) bytes")
                }
                parts[name] = text
            }
            reader.finish()
            return parts
        }
    }

    private func group(_ views: [DisclosedView]) throws(Problem) -> [ViewGroup] {
        var members: [(entity: String, parts: [String], views: [Int])] = []
        for (index, view) in views.enumerated() {
            let spec = view.entry.definition.spec
            if let known = members.firstIndex(where: { $0.entity == spec.entity }) {
                members[known].views.append(index)
            } else {
                members.append((spec.entity, spec.entityParts.map(\.name), [index]))
            }
        }
        var groups: [ViewGroup] = []
        for member in members {
            var items: [FeaturePlan.Item] = []
            var places: [(view: Int, values: Range<Int>)] = []
            for index in member.views {
                let entry = views[index].entry
                let start = items.count
                for feature in 0..<entry.view.featureCount {
                    items.append(FeaturePlan.Item(view: entry.index, feature: feature))
                }
                places.append((index, start..<items.count))
            }
            do {
                groups.append(
                    ViewGroup(parts: member.parts, plan: try service.state.features.plan(items), members: places))
            } catch {
                throw Problem(
                    503, "view_changed", "A view was replaced while the request was read. Send it again.", retryAfter: 1
                )
            }
        }
        return groups
    }

    private func write(_ query: FeaturesQuery, _ groups: [ViewGroup], _ workspace: DecideWorkspace) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024 * query.entities.count)
        writer.beginObject()
        writer.key("as_of")
        writer.timestamp(query.asOf)
        writer.key("known_at")
        writer.string(query.knownAtText)
        writer.key("results")
        writer.beginArray()
        for entity in query.entities {
            writer.beginObject()
            writer.key("entity")
            writer.beginObject()
            for part in entity.sorted(by: { $0.key < $1.key }) {
                writer.key(part.key)
                writer.string(part.value)
            }
            writer.endObject()
            writer.key("views")
            writer.beginArray()
            for group in groups { write(group, of: entity, query, workspace, &writer) }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// Reads a group's views of one entity at once. What memory cannot answer is null with `feature_unavailable`.
    private func write(
        _ group: ViewGroup, of entity: [String: String], _ query: FeaturesQuery, _ workspace: DecideWorkspace,
        _ writer: inout JSONWriter
    ) {
        let key = EntityKey.encode(group.parts.map { entity[$0, default: ""] })
        service.state.features.read(
            key, group.plan, asOf: query.asOf, knownAt: query.knownAt, into: &workspace.vector)
        let vector = workspace.vector
        for (ordinal, member) in group.members.enumerated() {
            let view = query.views[member.view]
            let last = vector.lastEventTimes[ordinal]
            let values = view.entry.serve(Array(vector.values[member.values]), asOf: query.asOf, lastEventTime: last)
            writer.beginObject()
            writer.key("view")
            writer.string(view.name)
            writer.key("version")
            writer.integer(view.entry.definition.spec.version)
            view.write(
                values, featuresSeq: vector.featuresSeq, lastEventTime: last, asOf: query.asOf, to: &writer)
            writer.endObject()
        }
    }
}
