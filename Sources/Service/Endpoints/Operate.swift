import HTTP
import JSON
import Telemetry

extension ServiceHandler {
    /// Health, readiness, metrics, the contract of the API, usage.
    func operate(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        switch route.operation {
        case .getHealth: return Response.json(200, Array("{\"status\":\"ok\"}".utf8))
        case .getReadiness: return readiness()
        case .getMetrics:
            service.sampleLevels()
            let format = Metrics.Format(accept: request.head.known(.accept))
            return Response(
                status: 200, contentType: format == .openMetrics ? .openMetrics : .prometheus,
                body: service.metrics.exposition(format))
        case .getOpenAPI:
            return Response(status: 200, contentType: .yaml, body: service.openAPI(route.snapshot))
        default: return usage(route)
        }
    }

    private func readiness() -> Response {
        let degraded = service.degradations()
        let isReady = !degraded.contains { $0.isBlocking }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("status")
        writer.string(isReady ? (degraded.isEmpty ? "ready" : "degraded") : "unready")
        writer.key("degraded")
        writer.beginArray()
        for item in degraded {
            writer.beginObject()
            writer.key("component")
            writer.string(item.component)
            writer.key("code")
            writer.string(item.code)
            writer.key("detail")
            writer.string(item.detail)
            writer.endObject()
        }
        writer.endArray()
        writer.key("applied_seq")
        writer.integer(Int64(service.state.appliedSeq.load(ordering: .acquiring)))
        writer.key("shipped_seq")
        writer.integer(Int64(service.shipper.shippedSeq))
        writer.key("version")
        writer.string(ServiceVersion.text)
        writer.endObject()
        return Response(status: isReady ? 200 : 503, contentType: .json, body: writer.bytes)
    }

    private func usage(_ route: RequestRoute) -> Response {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("definitions")
        writer.integer(route.snapshot.definitions.count)
        writer.key("journal")
        writer.beginObject()
        writer.key("durable_seq")
        writer.integer(Int64(service.journal.durableSeq))
        writer.key("bytes")
        writer.integer(service.journal.diskBytes)
        writer.key("segments")
        writer.integer(service.journal.segmentCount)
        writer.key("first_seq")
        writer.integer(Int64(service.journal.firstSeq))
        writer.key("snapshot_seq")
        writer.integer(Int64(service.snapshots.status.kept.first ?? 0))
        writer.endObject()
        writer.key("dedupe_entries")
        writer.integer(service.ingest.dedupeCount)
        writer.key("feature_bytes")
        writer.integer(service.state.features.bytesUsed)
        writer.key("feature_entities_spilled")
        writer.integer(service.state.features.spilledCount)
        writer.key("feature_entities_fetched")
        writer.integer(service.history.fetches.load(ordering: .relaxed))
        writer.key("history_reads")
        writer.integer(service.history.reads.load(ordering: .relaxed))
        writer.key("records_unshipped")
        writer.integer(service.state.records.count)
        writer.key("quarantine_entries")
        writer.integer(service.state.quarantine.counts.entries)
        writer.endObject()
        return Response.json(200, writer.bytes)
    }
}

/// The build's version.
public enum ServiceVersion {
    /// Semantic version of this source tree.
    public static let text = "0.1.0"
}

/// Something that is not as it should be.
struct Degradation: Sendable {
    let component: String
    let code: String
    let detail: String
    /// Whether requests should go elsewhere.
    var isBlocking = false
}
