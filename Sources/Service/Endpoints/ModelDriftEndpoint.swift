import HTTP
import JSON
import Models
import Postgres

extension ServiceHandler {
    /// `GET /v1/models/{name}/drift`: what a version scored in a time, against its card's reference.
    func getModelDrift(_ request: Request, _ route: RequestRoute, _ responder: Responder) throws(Problem) {
        let version = try driftVersion(request, route)
        let hours = try driftHours(request)
        service.query(responder) { (connection) throws(Problem) in
            let served = try self.usable(route.parameter("name"), version: version, route.snapshot)
            guard served.hasReference else {
                throw Problem(
                    409, "no_reference",
                    "The card of this version has no reference distributions, so that nothing can be compared with them."
                )
            }
            var windows = DriftWindows(served)
            let memory = self.service.drift.hours(DriftRecorder.Key(name: served.name, version: served.version))
            for (hour, held) in memory?.windows ?? [:] where hours.contains(hour) { windows += held }
            var isComplete = false
            if let connection {
                do throws(PostgresError) {
                    try self.service.driftKeeper.add(
                        to: &windows, of: served, hours: hours, besides: Set(memory?.windows.keys ?? [:].keys),
                        connection)
                    isComplete = true
                } catch {
                    isComplete = false
                }
            }
            let answer = DriftAnswer(served: served, windows: windows, hours: hours, isComplete: isComplete)
            return (Response.json(200, answer.json), [])
        } answer: { response, _ in
            responder.respond(response)
        }
    }

    private func driftVersion(_ request: Request, _ route: RequestRoute) throws(Problem) -> Int? {
        guard let text = request.head.queryParameter("version") else { return nil }
        guard let version = Int(text), version > 0 else {
            throw ScoreRequest.refusal("/query/version", "out_of_range", "a version: 1 or more")
        }
        return version
    }

    /// Hours looked at where the request says nothing.
    private static let driftHoursDefault: Int64 = 24
    /// Hours that one request may look at: a year.
    private static let driftHoursMax: Int64 = 24 * 366

    private func driftHours(_ request: Request) throws(Problem) -> Range<Int64> {
        func hour(_ key: StaticString, roundsUp: Bool) throws(Problem) -> Int64? {
            guard let text = request.head.queryParameter(key) else { return nil }
            guard let micros = Timestamp.parse(text) else {
                throw ScoreRequest.refusal("/query/\(key)", "type_mismatch", "a time as RFC 3339 writes it is expected")
            }
            let rest = micros % DriftRecorder.hourMicros
            let start = micros / DriftRecorder.hourMicros - (rest < 0 ? 1 : 0)
            // The hour in which the time ends counts whole, if any of it lies before the end.
            return roundsUp && rest != 0 ? start + 1 : start
        }
        let end = try hour("to", roundsUp: true) ?? service.clock.now() / DriftRecorder.hourMicros + 1
        let start = try hour("from", roundsUp: false) ?? end - Self.driftHoursDefault
        guard start < end, end - start <= Self.driftHoursMax else {
            throw ScoreRequest.refusal("/query/from", "out_of_range", "before `to`, and at most a year before it")
        }
        return start..<end
    }
}

/// The answer of `GET /v1/models/{name}/drift`.
struct DriftAnswer {
    let served: ServedModel
    let windows: DriftWindows
    let hours: Range<Int64>
    let isComplete: Bool

    var json: [UInt8] {
        var writer = JSONWriter(capacity: 8192)
        writer.beginObject()
        writer.key("name")
        writer.string(served.name)
        writer.key("version")
        writer.integer(served.version)
        writer.key("from")
        writer.timestamp(hours.lowerBound * DriftRecorder.hourMicros)
        writer.key("to")
        writer.timestamp(hours.upperBound * DriftRecorder.hourMicros)
        writer.key("complete")
        writer.bool(isComplete)
        writer.key("features")
        writer.beginArray()
        for (index, window) in windows.inputs.enumerated() {
            if let window { Self.write(served.inputs[index].name, window, &writer) }
        }
        writer.endArray()
        writer.key("score")
        if let score = windows.score { Self.write("score", score, &writer) } else { writer.null() }
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ name: String, _ window: DriftWindow, _ writer: inout JSONWriter) {
        let report = try? DriftReport(window)
        let reference = window.reference
        writer.beginObject()
        writer.key("name")
        writer.string(name)
        writer.key("kind")
        if case .numeric = reference { writer.string("numeric") } else { writer.string("categorical") }
        writer.key("rows")
        writer.integer(window.rows)
        writer.key("psi")
        writer.number(report?.psi)
        writer.key("band")
        if let report { writer.string(report.band.rawValue) } else { writer.null() }
        let distance = report?.kolmogorovSmirnov
        for (key, value) in [
            ("ks", distance?.statistic), ("ks_max", distance?.statisticMax), ("ks_p", distance?.pValue()),
            ("ks_p_limit", distance?.pValueOfLimit()), ("null_rate", report?.currentNullRate),
            ("reference_null_rate", Double(reference.missing) / Double(reference.rows)),
            ("unknown_rate", report?.currentUnknownRate), ("reference_unknown_rate", reference.unknownRate),
        ] {
            writer.key(key)
            writer.number(value)
        }
        writer.key("bins")
        writer.beginArray()
        for bin in report?.bins ?? [] {
            writer.beginObject()
            writer.key("bin")
            writer.string(text(bin.content))
            writer.key("reference")
            writer.number(bin.reference)
            writer.key("current")
            writer.number(bin.current)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }

    private static func text(_ content: DriftReport.BinContent) -> String {
        switch content {
        case .range(let above, let upTo):
            "(\(above.map { "\($0)" } ?? "-inf"), \(upTo.map { "\($0)]" } ?? "inf)")"
        case .category(let name): name
        case .other: "other"
        case .missing: "missing"
        }
    }
}

extension ReferenceDistribution {
    /// Part of the reference's rows whose value it does not name.
    var unknownRate: Double {
        if case .categorical(let categorical) = self { Double(categorical.other) / Double(rows) } else { 0 }
    }
}

extension JSONWriter {
    /// A number, or null where there is none.
    mutating func number(_ value: Double?) {
        if let value, value.isFinite { double(value) } else { null() }
    }
}
