import HTTP
import JSON
import Measures

extension ServiceHandler {
    /// `GET /v1/quality` and `GET /v1/quality/{contract}`: completeness, validity, duplicates, freshness and volume, by rule
    /// and hour.
    func quality(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        let now = service.clock.now()
        var writer = JSONWriter(capacity: 4096)
        if route.operation == .listQuality {
            writer.beginObject()
            writer.key("contracts")
            writer.beginArray()
            for contract in route.snapshot.contracts.values.sorted(by: { $0.name < $1.name }) {
                write(contract, hours: 0, now, &writer)
            }
            writer.endArray()
            writer.key("unattributed")
            let lost = QualityLedger.total(service.state.quality.ledger(QualityLedger.unattributed))
            writer.beginObject()
            writer.key("quarantined")
            Self.write(lost.quarantined, &writer)
            writer.endObject()
            writer.endObject()
            return Response.json(200, writer.bytes)
        }
        guard let contract = route.snapshot.contracts[route.parameter("contract")] else {
            throw Problem.unknown("contract", "unknown_contract")
        }
        var hours = 24
        if let text = request.head.queryParameter("hours") {
            guard let number = Int(text), (1...QualityLedger.hoursMax).contains(number) else {
                throw Problem.invalid([
                    DocumentProblem(
                        pointer: "/query/hours", code: "out_of_range", message: "1 to \(QualityLedger.hoursMax)")
                ])
            }
            hours = number
        }
        write(contract, hours: hours, now, &writer)
        return Response.json(200, writer.bytes)
    }

    private func write(_ contract: ContractEntry, hours: Int, _ now: Int64, _ writer: inout JSONWriter) {
        let ledger = service.state.quality.ledger(contract.name)
        let total = QualityLedger.total(ledger)
        writer.beginObject()
        writer.key("contract")
        writer.string(contract.name)
        writer.key("version")
        writer.integer(contract.version)
        writer.key("kind")
        writer.string(contract.isReference ? "reference" : "stream")
        writer.key("volume")
        writer.integer(total.volume)
        writer.key("accepted")
        writer.integer(total.accepted)
        writer.key("corrections")
        writer.integer(total.corrections)
        writer.key("retractions")
        writer.integer(total.retractions)
        writer.key("duplicates")
        writer.integer(total.duplicates)
        writer.key("content_differs")
        writer.integer(total.contentDiffers)
        let scores = QualityScores(total.counters(contract.countedFields), now: now)
        for (name, score) in [
            ("completeness", scores.completeness), ("validity", scores.validity), ("uniqueness", scores.uniqueness),
        ] {
            writer.key(name)
            if let score { writer.double(score) } else { writer.null() }
        }
        writer.key("last_event_time")
        if total.lastEventMicros == .min { writer.null() } else { writer.timestamp(total.lastEventMicros) }
        writer.key("freshness_s")
        if total.lastEventMicros == .min {
            writer.null()
        } else {
            writer.integer((now - total.lastEventMicros) / 1_000_000)
        }
        writer.key("rules")
        writeRules(contract, total, &writer)
        if hours > 0 {
            writer.key("hours")
            writer.beginArray()
            for start in ledger.hours.keys.sorted().suffix(hours) {
                guard let hour = ledger.hours[start] else { continue }
                writer.beginObject()
                writer.key("hour")
                writer.timestamp(start)
                writer.key("accepted")
                writer.integer(hour.accepted)
                writer.key("corrections")
                writer.integer(hour.corrections)
                writer.key("retractions")
                writer.integer(hour.retractions)
                writer.key("duplicates")
                writer.integer(hour.duplicates)
                writer.key("quarantined")
                Self.write(hour.quarantined, &writer)
                writer.key("validity")
                let scores = QualityScores(hour.counters(contract.countedFields), now: now)
                if let validity = scores.validity { writer.double(validity) } else { writer.null() }
                writer.key("completeness")
                if let completeness = scores.completeness { writer.double(completeness) } else { writer.null() }
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }

    private func writeRules(_ contract: ContractEntry, _ total: QualityLedger.Hour, _ writer: inout JSONWriter) {
        writer.beginArray()
        for (index, field) in contract.countedFields.enumerated() {
            let nulls = index < total.nulls.count ? total.nulls[index] : 0
            writer.beginObject()
            writer.key("rule")
            writer.string("completeness:\(field.name)")
            writer.key("dimension")
            writer.string("completeness")
            writer.key("passed")
            writer.integer(total.withData - nulls)
            writer.key("failed")
            writer.integer(nulls)
            writer.endObject()
        }
        for (code, count) in total.quarantined.sorted(by: { $0.key < $1.key }) {
            writer.beginObject()
            writer.key("rule")
            writer.string("validity:\(code)")
            writer.key("dimension")
            writer.string("conformity")
            writer.key("passed")
            writer.integer(total.volume - count)
            writer.key("failed")
            writer.integer(count)
            writer.endObject()
        }
        writer.endArray()
    }

    private static func write(_ counts: [String: Int], _ writer: inout JSONWriter) {
        writer.beginObject()
        for (code, count) in counts.sorted(by: { $0.key < $1.key }) {
            writer.key(code)
            writer.integer(count)
        }
        writer.endObject()
    }
}

extension QualityLedger {
    /// All hours of a contract together.
    static func total(_ ledger: Ledger) -> Hour {
        var total = Hour(nulls: [])
        for hour in ledger.hours.values {
            total.accepted += hour.accepted
            total.corrections += hour.corrections
            total.retractions += hour.retractions
            total.duplicates += hour.duplicates
            total.contentDiffers += hour.contentDiffers
            total.quarantined.merge(hour.quarantined, uniquingKeysWith: +)
            while total.nulls.count < hour.nulls.count { total.nulls.append(0) }
            for (index, count) in hour.nulls.enumerated() { total.nulls[index] += count }
            total.lastEventMicros = max(total.lastEventMicros, hour.lastEventMicros)
            total.lastIngestMicros = max(total.lastIngestMicros, hour.lastIngestMicros)
        }
        return total
    }
}

extension QualityLedger.Hour {
    /// Lines seen.
    var volume: Int { accepted + duplicates + quarantined.values.reduce(0, +) }

    /// Accepted events whose fields were looked at.
    var withData: Int { accepted - retractions }

    /// The same counts as the measure engine scores them.
    func counters(_ fields: [StreamField]) -> QualityCounters {
        var counters = QualityCounters()
        let tally = { (count: Int) in QualityTally(passed: Int64(count)) }
        counters.merge(
            .init(
                kind: .accepted, name: "", tally: tally(accepted),
                lastEventTime: lastEventMicros == .min ? nil : lastEventMicros))
        counters.merge(.init(kind: .duplicate, name: "", tally: tally(duplicates)))
        for (code, count) in quarantined {
            counters.merge(.init(kind: .quarantined, name: code, tally: tally(count)))
        }
        for (index, field) in fields.enumerated() where index < nulls.count {
            counters.merge(
                .init(
                    kind: .property, name: field.name,
                    tally: QualityTally(passed: Int64(withData - nulls[index]), failed: Int64(nulls[index]))))
        }
        return counters
    }
}
