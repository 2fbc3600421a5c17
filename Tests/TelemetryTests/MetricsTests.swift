import JSON
import Testing

@testable import Telemetry

/// A small parser of both text formats that holds the rules which scrapers and promtool check.
struct Exposition {
    var types: [String: String] = [:]
    var samples: [String: Double] = [:]

    init(_ bytes: [UInt8], openMetrics: Bool) throws {
        var lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.removeLast() == "")
        if openMetrics { #expect(lines.removeLast() == "# EOF") }
        var family = ""
        var helped: Set<String> = []
        for line in lines {
            #expect(!line.isEmpty && !line.contains("\r"))
            if line.hasPrefix("# ") {
                let parts = line.split(separator: " ", maxSplits: 3)
                let name = String(parts[2])
                switch parts[1] {
                case "TYPE":
                    #expect(types[name] == nil, "family \(name) is not interleaved")
                    family = name
                    types[name] = String(parts[3])
                    if openMetrics { #expect(!name.hasSuffix("_total")) }
                case "UNIT": #expect(openMetrics && name == family && name.hasSuffix("_" + parts[3]))
                case "HELP": #expect(name == family && helped.insert(name).inserted)
                default: Issue.record("unknown comment \(line)")
                }
                continue
            }
            let (name, labels, value) = try Self.sample(String(line))
            let suffixes: [String]
            switch types[family] {
            case "counter": suffixes = openMetrics ? ["_total"] : [""]
            case "histogram": suffixes = ["_bucket", "_count", "_sum"]
            default: suffixes = [""]
            }
            #expect(suffixes.contains { family + $0 == name }, "\(name) belongs to \(family)")
            if name.hasSuffix("_bucket") { #expect(labels.contains("le=")) }
            #expect(samples.updateValue(value, forKey: name + labels) == nil, "\(line) is there once")
        }
    }

    private static func sample(_ line: String) throws -> (String, String, Double) {
        let space = try #require(line.lastIndex(of: " "))
        let value = line[line.index(after: space)...]
        let head = line[..<space]
        let name = head.prefix { $0 != "{" }
        #expect(name.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") })
        let labels = head.dropFirst(name.count)
        #expect(labels.isEmpty || (labels.hasPrefix("{") && labels.hasSuffix("\"}")))
        return (String(name), String(labels), try #require(Double(value)))
    }
}

private let everything: [Observation] =
    [
        .request(
            method: "POST", route: "/v1/events", status: 200, bytesIn: 10, bytesOut: 20, nanoseconds: 60_000, trace: nil
        ),
        .request(
            method: "POST", route: "/v1/events", status: 200, bytesIn: 1, bytesOut: 2, nanoseconds: 20_000_000_000,
            trace: nil),
        .events(contract: "retail", disposition: .accepted, code: "", count: 3),
        .events(contract: "retail", disposition: .quarantined, code: "type_mismatch", count: 1),
        .decision(name: "credit \"limit\"\n\\", step: 2, cause: "model_timeout", nanoseconds: 1000),
        .decisionRefused(name: "x", code: "record_not_durable"),
        .journalFlush(frames: 5, bytes: 900, nanoseconds: 300_000),
        .journalFailed(errno: 5), .shipped(rows: 9, nanoseconds: 1), .shipFailed(code: "08006"), .database(isUp: true),
        .unshippable(table: "event", code: "sqlstate_22P05"), .shipRewound(frames: 3),
        .eventStage(.postgres, count: 4, nanoseconds: 2_000_000),
        .sourceEvents(source: "/s", kind: "late", total: 2),
        .sourceLag(source: "/s", watermarkAgeMilliseconds: 1_500, p50Milliseconds: 2, p99Milliseconds: 30),
        .breaker(endpoint: "m", state: .open), .limitHit(name: "body_bytes"), .denied(code: "no_key"),
        .activated(kind: "Model", name: "m", version: 3), .failure(component: "ship", code: "poison"),
        .recovered(snapshotSeq: 5, frames: 3, nanoseconds: 9), .snapshotTaken(seq: 8, bytes: 100, nanoseconds: 9),
        .snapshotPassedOver(seq: 8, problem: "part dedupe: a block does not check"),
        .segmentsRecycled(count: 2, firstSeq: 4), .parity(view: "v", checked: 39, mismatches: 1),
        .parityMismatch(view: "v", feature: "f", against: "sql"), .paritySkipped(reason: "postgres"),
        .features(view: "v", served: 3, medianAgeSeconds: 60),
        .lifecycle(.ready),
    ] + Observation.Level.allCases.map { .level($0, 7) }

struct MetricsTests {
    @Test(arguments: [true, false])
    func formats(_ openMetrics: Bool) throws {
        let metrics = Metrics()
        for observation in everything { metrics.observe(observation, at: 0) }
        let text = try Exposition(
            metrics.exposition(openMetrics ? .openMetrics : .prometheus), openMetrics: openMetrics)
        #expect(text.samples[#"decisiond_http_requests_total{method="POST",route="/v1/events",status="200"}"#] == 2)
        #expect(text.samples[#"decisiond_events_total{contract="retail",disposition="accepted"}"#] == 3)
        let decision = #"decision="credit \"limit\"\n\\""#
        #expect(text.samples["decisiond_decisions_total{\(decision),step=\"2\",cause=\"model_timeout\"}"] == 1)
        let bucket = "decisiond_http_request_duration_seconds_bucket{route=\"/v1/events\",le="
        #expect(text.samples[bucket + "\"5e-05\"}"] == 0 && text.samples[bucket + "\"0.0001\"}"] == 1)
        #expect(text.samples[bucket + "\"1.0\"}"] == 1 && text.samples[bucket + "\"+Inf\"}"] == 2)
        #expect(text.samples["decisiond_http_request_duration_seconds_sum{route=\"/v1/events\"}"] == 20.00006)
        #expect(text.samples["decisiond_database_up"] == 1 && text.samples["decisiond_ready"] == 1)
        #expect(text.samples[#"decisiond_breaker_state{endpoint="m",state="open"}"#] == 1)
        #expect(text.samples[#"decisiond_breaker_state{endpoint="m",state="closed"}"#] == 0)
        #expect(text.samples["decisiond_resident_memory_bytes"] == 7)
        let stage = "decisiond_event_stage_seconds_bucket{stage=\"postgres\",le="
        #expect(text.samples[stage + "\"0.001\"}"] == 0 && text.samples[stage + "\"0.0025\"}"] == 4)
        #expect(text.samples["decisiond_event_stage_seconds_sum{stage=\"postgres\"}"] == 0.008)
        #expect(text.samples[#"decisiond_source_watermark_age_seconds{source="/s"}"#] == 1.5)
        #expect(text.samples[#"decisiond_source_lag_seconds{source="/s",quantile="0.99"}"#] == 0.03)
        #expect(text.samples[#"decisiond_source_events_total{source="/s",kind="late"}"#] == 2)
        #expect(text.types.count == Metrics.Family.allCases.count - 1)
    }

    @Test func seriesAreBounded() throws {
        let metrics = Metrics()
        for index in 0..<(TelemetryLimits.seriesPerFamilyMax + 100) {
            metrics.observe(.limitHit(name: "l\(index)"), at: 0)
        }
        let text = try Exposition(metrics.exposition(.openMetrics), openMetrics: true)
        #expect(text.samples.count == TelemetryLimits.seriesPerFamilyMax + 2)
        #expect(text.samples["decisiond_limit_hits_total{limit=\"__other__\"}"] == 100)
        #expect(text.samples["decisiond_metric_series_overflow_total"] == 100)
    }

    @Test func updatesFromManyTasksAreAllCounted() async throws {
        let metrics = Metrics()
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<2_000 { metrics.observe(.journalFlush(frames: 1, bytes: 2, nanoseconds: 10), at: 0) }
                }
            }
        }
        let text = try Exposition(metrics.exposition(.prometheus), openMetrics: false)
        #expect(text.samples["decisiond_journal_frames_total"] == 16_000)
        #expect(text.samples["decisiond_journal_flush_duration_seconds_count"] == 16_000)
    }

    @Test func negotiates() {
        #expect(
            Metrics.Format(accept: "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").contentType.hasPrefix(
                "application/"))
        #expect(Metrics.Format(accept: nil).contentType == "text/plain; version=0.0.4; charset=utf-8")
    }

    @Test func everyObservationIsLoggedOrSilentOnPurpose() throws {
        let log = LogFile()
        for observation in everything { log.log.observe(observation, at: 1_291_195_920_000_000) }
        let lines = try log.lines()
        #expect(lines.count == everything.count - 8 - Observation.Level.allCases.count)
        for line in lines {
            #expect(line["time"]?.string == "2010-12-01T09:32:00.000Z")
            #expect(line["level"]?.string != nil && line["message"]?.string != nil)
        }
    }
}
