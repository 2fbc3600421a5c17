import Synchronization

extension Metrics {
    /// The text formats that scrapers ask for.
    public enum Format: Sendable {
        /// OpenMetrics 1.0: counters end in `_total`, units are declared, the text ends in `# EOF`.
        case openMetrics
        /// The Prometheus text format 0.0.4.
        case prometheus

        /// OpenMetrics when the Accept header names it, else the older format.
        public init(accept: String?) {
            self = accept?.contains("application/openmetrics-text") == true ? .openMetrics : .prometheus
        }

        /// The value of Content-Type.
        public var contentType: String {
            switch self {
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
            }
        }
    }

    /// Every family with at least one sample, in one stable order. Lines end in a line feed.
    public func exposition(_ format: Format) -> [UInt8] {
        var text = ExpositionText(format: format)
        for family in Family.allCases {
            let rows = snapshot(family)
            if rows.isEmpty { continue }
            let about = family.about
            text.header(about)
            for (labels, series) in rows {
                switch about.type {
                case .counter:
                    let total = series.total.load(ordering: .relaxed)
                    text.sample(about.name, "_total", about.labels, labels, nil, String(total))
                case .gauge:
                    let total = series.total.load(ordering: .relaxed)
                    let value = about.isMilli ? "\(Double(total) / 1_000)" : String(total)
                    text.sample(about.name, "", about.labels, labels, nil, value)
                case .histogram:
                    text.histogram(about, labels, series)
                }
            }
        }
        return text.finish()
    }
}

/// Name, kind and help of a family.
struct FamilyAbout {
    enum Kind: String {
        case counter, gauge, histogram
    }

    let name: String
    let type: Kind
    var unit = ""
    var labels: [String] = []
    let help: String
    /// Whether the number is kept in thousandths of the unit.
    var isMilli = false
}

extension Metrics.Family {
    /// Names follow the conventions of both formats: base units, and the unit as the suffix.
    var about: FamilyAbout {
        switch self {
        case .requests:
            counter("http_requests", "HTTP requests answered.", ["method", "route", "status"])
        case .requestSeconds: histogram("http_request_duration_seconds", "Time to answer a request.", ["route"])
        case .requestBytes: counter("http_request_bytes", "Bytes of request bodies.", unit: "bytes")
        case .responseBytes: counter("http_response_bytes", "Bytes of response bodies.", unit: "bytes")
        case .events: counter("events", "Events by how they ended.", ["contract", "disposition", "code"])
        case .decisions: counter("decisions", "Decisions answered, by fallback step.", ["decision", "step", "cause"])
        case .decisionSeconds: histogram("decision_duration_seconds", "Time to decide, without waiting.", ["decision"])
        case .decisionsRefused: counter("decisions_refused", "Decisions refused by name.", ["decision", "code"])
        case .journalFrames: counter("journal_frames", "Frames made durable.")
        case .journalBytes: counter("journal_bytes", "Bytes made durable.", unit: "bytes")
        case .journalFlushSeconds: histogram("journal_flush_duration_seconds", "Time of one group commit.", [])
        case .journalFailures: counter("journal_failures", "Group commits that failed.")
        case .recoverySeconds: histogram("recovery_duration_seconds", "Time to bring memory back at the start.", [])
        case .recoveryFrames: counter("recovery_frames", "Frames replayed at the start.")
        case .snapshots: counter("snapshots", "Snapshots of memory taken.")
        case .snapshotSeconds: histogram("snapshot_duration_seconds", "Time to take a snapshot.", [])
        case .snapshotBytes: gauge("snapshot_bytes", "Size of the newest snapshot.", unit: "bytes")
        case .segmentsRecycled: counter("journal_segments_recycled", "Segments of the journal removed.")
        case .shippedRows: counter("shipped_rows", "Rows committed in PostgreSQL.")
        case .shipSeconds: histogram("ship_duration_seconds", "Time of one ship transaction.", [])
        case .shipFailures: counter("ship_failures", "Ship transactions that failed.", ["code"])
        case .unshippable:
            counter("unshippable_rows", "Rows that PostgreSQL refused, now in quarantine.", ["table", "code"])
        case .shipRewound: counter("ship_rewound_frames", "Frames shipped again since a failover lost them.")
        case .eventStageSeconds:
            histogram(
                "event_stage_seconds", "From an event's ingest to a stage: durable, applied, postgres.", ["stage"])
        case .sourceEvents:
            counter("source_events", "Events by source: accepted, late among them, refused.", ["source", "kind"])
        case .sourceWatermarkAge:
            gauge("source_watermark_age_seconds", "Now minus a source's watermark.", ["source"], isMilli: true)
        case .sourceLag:
            gauge(
                "source_lag_seconds", "Ingest time minus event time, by quantile.", ["source", "quantile"],
                isMilli: true)
        case .denials: counter("access_denials", "Requests denied.", ["code"])
        case .limitHits: counter("limit_hits", "Work refused by a named limit.", ["limit"])
        case .activations: counter("activations", "Definitions activated.", ["kind"])
        case .failures: counter("failures", "Failures by component.", ["component", "code"])
        case .parityPoints: counter("parity_points", "Served feature vectors computed again from PostgreSQL.", ["view"])
        case .parityChecked:
            counter("parity_checked", "Served feature values computed again from PostgreSQL.", ["view"])
        case .parityMismatches:
            counter("parity_mismatch", "Served feature values that were computed otherwise.", ["view"])
        case .parityFeatureMismatches:
            counter(
                "parity_feature_mismatch", "The same by feature, and whether history or SQL differs.",
                ["view", "feature", "against"])
        case .paritySkipped:
            counter("parity_skipped", "Served feature vectors that were due and not computed again.", ["reason"])
        case .seriesOverflow: counter("metric_series_overflow", "Samples counted under __other__.")
        case .databaseUp: gauge("database_up", "1 while PostgreSQL is connected.")
        case .breakerState: gauge("breaker_state", "1 for the state of a circuit breaker.", ["endpoint", "state"])
        case .ready: gauge("ready", "1 while requests are served.")
        case .connections: gauge("http_connections", "Open connections.")
        case .suspendedRequests: gauge("http_suspended_requests", "Requests that wait.")
        case .shipBacklog: gauge("ship_backlog_frames", "Frames not yet in PostgreSQL.")
        case .shipLagSeconds: gauge("ship_lag_seconds", "Age of the oldest frame not in PostgreSQL.", unit: "seconds")
        case .journalFree: gauge("journal_free_bytes", "Free bytes on the journal's disk.", unit: "bytes")
        case .journalSegmentBytes: gauge("journal_segment_bytes", "Bytes of the journal's segments.", unit: "bytes")
        case .journalSegments: gauge("journal_segments", "Segments of the journal.")
        case .snapshotSeq: gauge("snapshot_seq", "Position of the newest snapshot.")
        case .snapshotAgeSeconds: gauge("snapshot_age_seconds", "Age of the newest snapshot.", unit: "seconds")
        case .entities: gauge("entities", "Entities with features in memory.")
        case .resident: gauge("resident_memory_bytes", "Resident memory.", unit: "bytes")
        case .jobs: gauge("jobs", "Jobs that run or wait.")
        case .featuresServed: counter("feature_vectors_served", "Feature vectors served.", ["view"])
        case .featureAgeSeconds:
            gauge("feature_age_seconds", "Median age of the entities served lately.", ["view"], unit: "seconds")
        }
    }

    private func counter(_ name: String, _ help: String, _ labels: [String] = [], unit: String = "") -> FamilyAbout {
        FamilyAbout(name: "decisiond_" + name, type: .counter, unit: unit, labels: labels, help: help)
    }

    private func gauge(
        _ name: String, _ help: String, _ labels: [String] = [], unit: String = "", isMilli: Bool = false
    ) -> FamilyAbout {
        FamilyAbout(
            name: "decisiond_" + name, type: .gauge, unit: isMilli ? "seconds" : unit, labels: labels, help: help,
            isMilli: isMilli)
    }

    private func histogram(_ name: String, _ help: String, _ labels: [String]) -> FamilyAbout {
        FamilyAbout(name: "decisiond_" + name, type: .histogram, unit: "seconds", labels: labels, help: help)
    }
}

/// Collects the lines of one scrape.
private struct ExpositionText {
    let format: Metrics.Format
    var text = ""

    mutating func header(_ about: FamilyAbout) {
        // The older format names the family as its samples are named.
        let name = about.type == .counter && format == .prometheus ? about.name + "_total" : about.name
        text += "# TYPE \(name) \(about.type.rawValue)\n"
        if format == .openMetrics, !about.unit.isEmpty { text += "# UNIT \(name) \(about.unit)\n" }
        text += "# HELP \(name) \(about.help)\n"
    }

    mutating func sample(
        _ name: String, _ suffix: String, _ names: [String], _ labels: Metrics.Labels, _ bound: String?, _ value: String
    ) {
        text += name
        text += suffix
        var pairs: [String] = []
        for (key, value) in zip(names, [labels.first, labels.second, labels.third]) where !value.isEmpty {
            pairs.append("\(key)=\"\(escaped(value))\"")
        }
        if let bound { pairs.append("le=\"\(bound)\"") }
        if !pairs.isEmpty { text += "{" + pairs.joined(separator: ",") + "}" }
        text += " " + value + "\n"
    }

    mutating func histogram(_ about: FamilyAbout, _ labels: Metrics.Labels, _ series: Metrics.Series) {
        var cumulative: Int64 = 0
        for index in series.buckets.indices {
            cumulative += series.buckets[index].load(ordering: .relaxed)
            let bound = "\(Double(Metrics.bucketNanoseconds[index]) / 1e9)"
            sample(about.name, "_bucket", about.labels, labels, bound, String(cumulative))
        }
        // The last bucket and the count are one number, so a scrape during an update stays consistent.
        cumulative += series.count.load(ordering: .relaxed)
        sample(about.name, "_bucket", about.labels, labels, "+Inf", String(cumulative))
        sample(about.name, "_count", about.labels, labels, nil, String(cumulative))
        let seconds = Double(series.total.load(ordering: .relaxed)) / 1e9
        sample(about.name, "_sum", about.labels, labels, nil, "\(seconds)")
    }

    private func escaped(_ value: String) -> String {
        var bytes: [UInt8] = []
        for byte in value.utf8.prefix(TelemetryLimits.labelBytesMax) {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""): bytes += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    consuming func finish() -> [UInt8] {
        if format == .openMetrics { text += "# EOF\n" }
        return Array(text.utf8)
    }
}
