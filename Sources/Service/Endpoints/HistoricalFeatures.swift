import Access
import Features
import HTTP
import JSON

extension ServiceHandler {
    /// `POST /v1/features/historical`: a job that makes a training set from entities with times.
    func postHistoricalFeatures(
        _ request: Request, _ route: RequestRoute, _ responder: Responder
    ) throws(Problem) {
        guard service.configuration.databaseURL != nil else { throw Problem.needsPostgres }
        let wanted = try historicalRequest(request, route)
        let probed = try Self.probe(wanted)
        var names: Set<String> = []
        let columns = wanted.columns(carried: probed)
        for column in columns where !names.insert(column.name).inserted {
            throw Problem.invalid([
                DocumentProblem(
                    pointer: JSONPointer(tokens: ["lines", "1", column.name]).text, code: "duplicate_column",
                    message: "a feature of the set has the name of a column of the upload")
            ])
        }
        let shipper = service.shipper
        let work = TrainingSetJob(
            request: wanted, store: service.training, journal: service.journal.uuid, clock: service.clock,
            shippedSeq: { shipper.shippedSeq })
        let job = try service.jobs.submit(
            kind: .historicalFeatures, principal: route.principal, unit: "rows"
        ) { (context) throws(Problem) in try work.run(context) }
        responder.respond(Self.accepted(job))
    }

    /// Reads the upload's first piece, so that a wrong header is refused at once; the columns that it carries.
    private static func probe(_ wanted: HistoricalRequest) throws(Problem) -> [(name: String, type: RowType)] {
        var reader = wanted.reader()
        try wanted.upload.read { (piece) throws(Problem) in
            try reader.append(piece) { _ in }
            return false
        }
        if wanted.upload.file.count <= ServiceLimits.trainingPieceBytes && !wanted.upload.isGzip {
            try reader.finish { _ in }
        }
        if !reader.problems.isEmpty { throw reader.refusal }
        guard reader.hasColumns else {
            throw Problem(
                422, "invalid_rows", "The first line says which columns there are; it is missing or too long.")
        }
        return reader.carried
    }

    private func historicalRequest(_ request: Request, _ route: RequestRoute) throws(Problem) -> HistoricalRequest {
        let head = request.head
        var problems: [DocumentProblem] = []
        let views = try historicalViews(head, route, &problems)
        let now = service.clock.now()
        let knownAt: HistoricalRequest.KnownAt
        let knownAtText = head.queryParameter("known_at") ?? "as_of"
        switch knownAtText {
        case "as_of": knownAt = .asOf
        case "latest": knownAt = .latest
        default:
            if let micros = Timestamp.parse(knownAtText) {
                knownAt = .time(micros)
            } else {
                knownAt = .asOf
                problems.append(
                    DocumentProblem(
                        pointer: "/query/known_at", code: "invalid_time",
                        message: "as_of, latest, or RFC 3339 with a zone"))
            }
        }
        let reasons = head.queryParameter("null_reasons") ?? "false"
        if reasons != "true" && reasons != "false" {
            problems.append(
                DocumentProblem(
                    pointer: "/query/null_reasons", code: "value_not_allowed", message: "true, or false"))
        }
        let name = head.queryParameter("name") ?? views.map(\.entry.definition.spec.name).joined(separator: ".")
        if !views.isEmpty && !Definition.isName(name) {
            problems.append(
                DocumentProblem(
                    pointer: "/query/name", code: "invalid_name", message: "letters, digits, _ . and -"))
        }
        guard problems.isEmpty else { throw Problem.invalid(problems) }
        for view in views {
            let resource = AccessResource(type: "feature_view", id: view.entry.definition.spec.name)
            if let refused = authorize(route, "features.as_of", resource) { throw refused }
        }
        return HistoricalRequest(
            name: name, views: views, knownAt: knownAt, knownAtText: knownAtText, format: try Self.rowFormat(head),
            upload: try upload(request), featureColumns: featureColumns(views, route), wantsReasons: reasons == "true",
            principal: route.principal, position: Int64(service.state.appliedSeq.load(ordering: .acquiring)),
            latestMicros: now + ServiceLimits.futureMicrosMax)
    }

    private func historicalViews(
        _ head: RequestHead, _ route: RequestRoute, _ problems: inout [DocumentProblem]
    ) throws(Problem) -> [HistoricalRequest.View] {
        let names = (head.queryParameter("view") ?? "").split(separator: ",").map(String.init)
        let wanted = head.queryParameter("features").map { $0.split(separator: ",").map(String.init) }
        if names.isEmpty {
            problems.append(
                DocumentProblem(
                    pointer: "/query/view", code: "missing_parameter", message: "names of views, with commas between"))
        }
        if names.count > ServiceLimits.trainingViewsMax || Set(names).count != names.count {
            problems.append(
                DocumentProblem(
                    pointer: "/query/view", code: "out_of_range",
                    message: "at most \(ServiceLimits.trainingViewsMax) different views"))
        }
        var views: [HistoricalRequest.View] = []
        var named: Set<String> = []
        for name in names {
            guard let entry = route.snapshot.views[name] else { throw Problem.unknown("feature view", "unknown_view") }
            if let first = views.first, first.entry.definition.keyNames != entry.definition.keyNames {
                problems.append(
                    DocumentProblem(
                        pointer: "/query/view", code: "mixed_entities", message: "the views have different entities"))
            }
            let served = entry.definition.servedNames
            let features = served.indices.filter { index in
                guard let wanted else { return true }
                return wanted.contains(served[index]) || wanted.contains("\(name).\(served[index])")
            }
            let found = features.flatMap { [served[$0], "\(name).\(served[$0])"] }
            named.formUnion(found)
            views.append(HistoricalRequest.View(entry: entry, features: features))
        }
        if let wanted, !named.isSuperset(of: wanted) || views.contains(where: \.features.isEmpty) {
            problems.append(
                DocumentProblem(
                    pointer: "/query/features", code: "unknown_feature",
                    message: "each names a feature of a view, and each view has one"))
        }
        return views
    }

    private static func rowFormat(_ head: RequestHead) throws(Problem) -> RowFormat {
        if head.isContentType("text/csv") { return .csv }
        if head.isContentType("application/x-ndjson") { return .ndjson }
        throw Problem(415, "unsupported_media_type", "Send text/csv or application/x-ndjson.")
    }

    private func upload(_ request: Request) throws(Problem) -> UploadReader {
        let encoding = request.head.known(.contentEncoding)?.lowercased()
        guard encoding == nil || encoding == "gzip" || encoding == "identity" else {
            throw Problem(415, "unsupported_encoding", "Content-Encoding is gzip, or absent.")
        }
        guard let file = request.bodyFile, file.count > 0 else {
            throw Problem(422, "invalid_rows", "The body holds the rows; it is empty.")
        }
        let inflated = max(1 << 20, file.count * ServiceLimits.trainingInflateRatioMax)
        return UploadReader(
            file: file, isGzip: encoding == "gzip",
            bytesMax: min(service.configuration.historicalBodyBytesMax, inflated))
    }

    /// The columns of the wanted features; with several views their names begin with the view's.
    private func featureColumns(_ views: [HistoricalRequest.View], _ route: RequestRoute) -> [TrainingColumn] {
        views.flatMap { view -> [TrainingColumn] in
            let definition = view.entry.definition
            let (name, interface) = (definition.spec.name, definition.interface)
            let shown = definition.disclosure(
                route.snapshot.contracts[definition.spec.contract],
                service.maskPlan(route, AccessResource(type: "feature_view", id: name)))
            return view.features.map { index in
                let feature = interface.features[index]
                var column = TrainingColumn(
                    name: views.count == 1 ? feature.name : "\(name).\(feature.name)", role: .feature,
                    type: RowType(feature.type))
                column.view = name
                column.feature = feature.name
                column.classification = shown[index].classification
                column.isMasked = shown[index].isMasked
                return column
            }
        }
    }
}
