import HTTP
import JSON

extension ServiceHandler {
    /// `GET /v1/sources`: how far every source is in event time, and how far behind.
    func listSources(_ request: Request) throws(Problem) -> Response {
        let page = try Page(request.head, allowing: [])
        let from = Int(page.cursor ?? 0)
        let sources = service.state.sources.page(from: from, limit: page.limit)
        var writer = JSONWriter(capacity: 256 * sources.count + 64)
        writer.beginObject()
        writer.key("sources")
        writer.beginArray()
        for (clock, isIdle) in sources { Self.write(clock, isIdle, &writer) }
        writer.endArray()
        writer.key("total")
        writer.integer(service.state.sources.count)
        writer.key("next_cursor")
        if sources.count == page.limit { writer.string(String(from + sources.count)) } else { writer.null() }
        writer.endObject()
        return Response.json(200, writer.bytes)
    }

    private static func write(_ clock: SourceClocks.Clock, _ isIdle: Bool, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("source")
        writer.string(clock.source)
        for (name, micros) in [
            ("watermark", clock.watermarkMicros), ("last_event_time", clock.lastEventMicros),
            ("last_ingest_time", clock.lastIngestMicros),
        ] {
            writer.key(name)
            if micros == .min { writer.null() } else { writer.timestamp(micros) }
        }
        writer.key("is_idle")
        writer.bool(isIdle)
        for (name, count) in [
            ("accepted", clock.accepted), ("late", clock.late), ("too_late", clock.tooLate), ("future", clock.future),
        ] {
            writer.key(name)
            writer.integer(count)
        }
        writer.key("lag")
        writer.beginObject()
        for (name, share) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
            writer.key(name)
            if let value = clock.lag.quantile(share) { writer.integer(value) } else { writer.null() }
        }
        writer.endObject()
        writer.endObject()
    }
}
