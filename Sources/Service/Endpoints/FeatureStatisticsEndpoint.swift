import Access
import HTTP
import JSON

extension ServiceHandler {
    /// `GET /v1/features/{view}/statistics`: what the view served lately, feature by feature.
    func getFeatureStatistics(_ route: RequestRoute, _ responder: Responder) throws(Problem) {
        guard let entry = route.snapshot.views[route.parameter("view")] else {
            throw Problem.unknown("feature view", "unknown_view")
        }
        let view = disclosed(entry, route)
        let response = Response.json(200, Self.statistics(view))
        guard view.isPersonal else {
            responder.respond(response)
            return
        }
        service.answerLogged(
            responder, response, route, action: "features.read", entries: [(view.resource, view.masked)])
    }

    private static func statistics(_ view: DisclosedView) -> [UInt8] {
        let summary = view.entry.statistics.summary()
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.key("view")
        writer.string(view.name)
        writer.key("version")
        writer.integer(view.entry.definition.spec.version)
        writer.key("served")
        writer.integer(view.entry.statistics.servedCount)
        writer.key("samples")
        writer.integer(summary.samples)
        writer.key("age_s")
        write(summary.ages, to: &writer)
        writer.key("features")
        writer.beginArray()
        for (feature, figures) in zip(view.features, summary.features) {
            writer.beginObject()
            writer.key("name")
            writer.string(feature.name)
            writer.key("null_rate")
            writer.double(figures.nullRate)
            writer.key("is_masked")
            writer.bool(feature.isMasked)
            writer.key("numbers")
            // The extremes of a masked field are values of it.
            write(feature.isMasked ? nil : figures.numbers, to: &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ numbers: FeatureStatistics.Distribution?, to writer: inout JSONWriter) {
        guard let numbers else { return writer.null() }
        writer.beginObject()
        for (key, value) in [
            ("mean", numbers.mean), ("min", numbers.minimum), ("max", numbers.maximum), ("p1", numbers.p1),
            ("p50", numbers.p50), ("p99", numbers.p99),
        ] {
            writer.key(key)
            writer.double(value)
        }
        writer.endObject()
    }
}
