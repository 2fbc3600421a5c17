import FEEL
import HTTP
import JSON
import Measures

extension ServiceHandler {
    /// `GET /v1/kpis`, `GET /v1/kpis/{name}`, `POST /v1/measures/query`: answered from rollups only.
    func measures(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        switch route.operation {
        case .queryMeasures: return try queryMeasures(request, route)
        case .listKPIs:
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("kpis")
            writer.beginArray()
            for kpi in route.snapshot.kpis.values.sorted(by: { $0.name < $1.name }) {
                try write(kpi, route, history: 0, &writer)
            }
            writer.endArray()
            writer.endObject()
            return Response.json(200, writer.bytes)
        default:
            guard let kpi = route.snapshot.kpis[route.parameter("name")] else {
                throw Problem.unknown("KPI", "unknown_kpi")
            }
            var history = Self.historyDefault
            if let text = request.head.queryParameter("periods") {
                guard let number = Int(text), (1...Self.historyMax).contains(number) else {
                    throw Problem.invalid([
                        DocumentProblem(
                            pointer: "/query/periods", code: "out_of_range", message: "1 to \(Self.historyMax)")
                    ])
                }
                history = number
            }
            var writer = JSONWriter()
            try write(kpi, route, history: history, &writer)
            return Response.json(200, writer.bytes)
        }
    }

    private static let historyDefault = 30
    private static let historyMax = 400

    private func rows(_ measure: MeasureDefinition) -> [RollupRow] {
        service.state.rollups.rows(measure.name, version: measure.version)
    }

    /// Writes a KPI: the last complete or running period with data, the ones before it, and what it means.
    private func write(
        _ kpi: KPIDefinition, _ route: RequestRoute, history: Int, _ writer: inout JSONWriter
    ) throws(Problem) {
        guard let measure = route.snapshot.measures[kpi.measure], let zone = service.zones.rules(kpi.timezone),
            let grain = TimeGrain(rawValue: kpi.grain)
        else { throw Problem(503, "kpi_unusable", "The KPI's measure or zone is not available.") }
        let rows = rows(measure)
        let query = MeasureQuery(
            measures: [measure.name], grain: grain,
            order: [MeasureQuery.Order(MeasureQuery.timeMember, isDescending: true)], limit: max(2, history))
        let result = try evaluate(query, [measure], rows: [measure.name: rows], zone)
        let latest = result.rows.first
        let previous = result.rows.dropFirst().first
        writer.beginObject()
        for (key, text) in [
            ("name", kpi.name), ("measure", kpi.measure), ("grain", kpi.grain), ("timezone", kpi.timezone),
        ] {
            writer.key(key)
            writer.string(text)
        }
        for (key, text) in [
            ("description", kpi.description), ("owner", kpi.owner), ("domain", kpi.domain), ("unit", kpi.unit),
            ("review_date", kpi.reviewDate),
        ] {
            writer.key(key)
            if let text { writer.string(text) } else { writer.null() }
        }
        writer.key("direction")
        writer.string(kpi.isUpGood ? "up" : "down")
        writer.key("period")
        if let time = latest?.time { writer.string(zone.label(time)) } else { writer.null() }
        writer.key("value")
        Self.write(latest?.values.first ?? .null(.noData), &writer)
        writer.key("target")
        if let target = kpi.target { writer.number(target) } else { writer.null() }
        writeStatus(kpi, latest?.values.first ?? .null(.noData), previous?.values.first, &writer)
        if history > 0 {
            writer.key("history")
            writer.beginArray()
            for row in result.rows.prefix(history).reversed() {
                writer.beginObject()
                writer.key("period")
                if let time = row.time { writer.string(zone.label(time)) } else { writer.null() }
                writer.key("value")
                Self.write(row.values.first ?? .null(.noData), &writer)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }

    private func writeStatus(
        _ kpi: KPIDefinition, _ value: MeasureValue, _ previous: MeasureValue?, _ writer: inout JSONWriter
    ) {
        let title = kpi.title
        let status = kpi.target.flatMap { MeasureDecimal(parsing: $0.text) }.map { target in
            KPIStatus.evaluate(
                title: title, value: value, previous: previous,
                target: KPITarget(
                    target: target, direction: kpi.isUpGood ? .increase : .decrease,
                    atRisk: kpi.atRisk.flatMap { MeasureDecimal(parsing: $0.text) }, unit: kpi.unit ?? ""))
        }
        writer.key("status")
        writer.string(status?.state.rawValue ?? (value.double == nil ? "no_data" : "no_target"))
        writer.key("change")
        if let change = status?.change { writer.double(change) } else { writer.null() }
        writer.key("trend")
        switch status?.isImproving {
        case true?: writer.string("improving")
        case false?: writer.string("worsening")
        case nil: writer.string("flat")
        }
        writer.key("summary")
        writer.string(status?.summary ?? "\(title) has no target.")
    }

    private func evaluate(
        _ query: MeasureQuery, _ measures: [MeasureDefinition], rows: [String: [RollupRow]], _ zone: TimeZoneRules
    ) throws(Problem) -> MeasureResult {
        do {
            return try query.evaluate(rows, measures: measures.map(\.measure), in: zone)
        } catch {
            throw Problem.invalid(
                error.issues.map { DocumentProblem(pointer: $0.pointer, code: $0.code.rawValue, message: $0.message) })
        }
    }

    private func queryMeasures(_ request: Request, _ route: RequestRoute) throws(Problem) -> Response {
        let tree: JSONTree
        do {
            tree = try JSONTree(parsing: request.bodyBytes)
        } catch {
            throw Problem.malformed(error)
        }
        let problems = ProblemList()
        let parsed = MeasureQueryReader(zones: service.zones, problems: problems).read(tree)
        guard problems.isEmpty, let parsed else { throw Problem.invalid(problems.problems) }
        var measures: [MeasureDefinition] = []
        var rows: [String: [RollupRow]] = [:]
        for name in parsed.query.measures {
            guard let measure = route.snapshot.measures[name] else {
                throw Problem.invalid([
                    DocumentProblem(pointer: "/measures", code: "unknown_measure", message: "no measure has this name")
                ])
            }
            measures.append(measure)
            rows[name] = self.rows(measure)
        }
        let result = try evaluate(parsed.query, measures, rows: rows, parsed.zone)
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.key("data")
        writer.beginArray()
        for row in result.rows { Self.write(row, parsed, &writer) }
        writer.endArray()
        writer.key("total")
        writer.integer(result.total)
        writer.key("other_included")
        writer.bool(result.isOtherIncluded)
        if parsed.explains { Self.explain(measures, rows, &writer) }
        writer.endObject()
        return Response.json(200, writer.bytes)
    }

    private static func write(_ row: MeasureResultRow, _ parsed: ParsedMeasureQuery, _ writer: inout JSONWriter) {
        writer.beginObject()
        if let time = row.time, let grain = parsed.query.grain {
            writer.key("time.\(grain.rawValue)")
            writer.string(parsed.zone.label(time))
        }
        for (name, value) in zip(parsed.query.dimensions, row.dimensions) {
            writer.key(name)
            if let value { writer.string(value) } else { writer.null() }
        }
        for (name, value) in zip(parsed.query.measures, row.values) {
            writer.key(name)
            write(value, &writer)
        }
        writer.endObject()
    }

    private static func explain(
        _ measures: [MeasureDefinition], _ rows: [String: [RollupRow]], _ writer: inout JSONWriter
    ) {
        writer.key("explain")
        writer.beginArray()
        for measure in measures {
            writer.beginObject()
            writer.key("measure")
            writer.string(measure.name)
            writer.key("version")
            writer.integer(measure.version)
            writer.key("source")
            writer.string("rollup")
            writer.key("rollup_rows")
            writer.integer(rows[measure.name]?.count ?? 0)
            writer.key("base_bucket")
            writer.string("15m")
            writer.key("raw_tables_read")
            writer.beginArray()
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
    }

    private static func write(_ value: MeasureValue, _ writer: inout JSONWriter) {
        switch value {
        case .null: writer.null()
        case .decimal(let decimal): writer.decimalValue(decimal)
        case .double(let double): writer.double(double)
        }
    }
}

extension JSONWriter {
    /// Writes a measure's exact decimal without trailing zeros.
    mutating func decimalValue(_ value: MeasureDecimal) {
        var text = value.description
        if text.contains(".") {
            while text.hasSuffix("0") { text.removeLast() }
            if text.hasSuffix(".") { text.removeLast() }
        }
        raw((text == "-0" ? "0" : text).utf8)
    }
}

/// A query as read from a request.
struct ParsedMeasureQuery {
    let query: MeasureQuery
    let zone: TimeZoneRules
    let explains: Bool
}

/// Reads Cube's query shape: measures, dimensions, timeDimensions, filters, order, limit, offset, timezone.
struct MeasureQueryReader {
    let zones: ZoneFiles
    let problems: ProblemList

    /// The query, or nil with problems.
    func read(_ tree: JSONTree) -> ParsedMeasureQuery? {
        let reader = TreeReader(tree, at: "", problems)
        var query = MeasureQuery(measures: reader.strings("measures", required: true) ?? [])
        query.dimensions = reader.strings("dimensions") ?? []
        let zoneName = reader.string("timezone") ?? "UTC"
        guard let zone = zones.rules(zoneName) else {
            problems.add("/timezone", "unknown_zone", "an IANA zone such as Europe/Paris")
            return nil
        }
        var fills = false
        let times: [Void] = reader.objects("timeDimensions") { item in
            let dimension = item.string("dimension") ?? MeasureQuery.timeMember
            if dimension != MeasureQuery.timeMember {
                problems.add(item.path("dimension"), "unknown_member", "the time dimension is called time")
            }
            if let text = item.string("granularity") {
                query.grain = TimeGrain(rawValue: text)
                if query.grain == nil {
                    let known = TimeGrain.allCases.map(\.rawValue).joined(separator: ", ")
                    problems.add(item.path("granularity"), "value_not_allowed", "one of \(known)")
                }
            }
            if let range = item.strings("dateRange") {
                query.range = range.count == 2 ? TimeRange(from: range[0], through: range[1], in: zone) : nil
                if query.range == nil {
                    problems.add(item.path("dateRange"), "invalid_range", "two local dates YYYY-MM-DD, both included")
                }
            }
            fills = item.bool("fillMissingDates")
        }
        if times.count > 1 { problems.add("/timeDimensions", "too_many", "one time dimension") }
        query.fillsEmptyBuckets = fills
        query.filters = reader.objects("filters", filter).compactMap { $0 }
        query.order = (reader.array("order") ?? []).enumerated().compactMap { order($1, "/order/\($0)") }
        if let limit = reader.integer("limit", in: 1...Int64(MeasureLimits.queryLimitMax)) { query.limit = Int(limit) }
        if let offset = reader.integer("offset", in: 0...Int64(Int32.max)) { query.offset = Int(offset) }
        let explains = reader.bool("explain")
        reader.finish()
        return problems.isEmpty ? ParsedMeasureQuery(query: query, zone: zone, explains: explains) : nil
    }

    private func order(_ tree: JSONTree, _ pointer: String) -> MeasureQuery.Order? {
        guard let pair = tree.array, pair.count == 2, let member = pair[0].string, let direction = pair[1].string,
            direction == "asc" || direction == "desc"
        else {
            problems.add(pointer, "type_mismatch", "a pair of a member and asc or desc")
            return nil
        }
        return MeasureQuery.Order(member, isDescending: direction == "desc")
    }

    private func filter(_ reader: TreeReader) -> MeasureFilter? {
        if reader.value("or") != nil { return .or(reader.objects("or", filter).compactMap { $0 }) }
        if reader.value("and") != nil { return .and(reader.objects("and", filter).compactMap { $0 }) }
        guard let member = reader.string("member", required: true) else { return nil }
        let text = reader.string("operator", required: true) ?? ""
        guard let comparison = FilterOperator(rawValue: text) else {
            let known = FilterOperator.allCases.map(\.rawValue).joined(separator: ", ")
            problems.add(reader.path("operator"), "unknown_operator", "one of \(known)")
            return nil
        }
        let values = (reader.array("values") ?? []).map { value -> String? in
            switch value {
            case .string(let text): text
            case .number(let number): number.text
            case .bool(let flag): flag ? "true" : "false"
            default: nil
            }
        }
        return .member(member, comparison, values)
    }
}
