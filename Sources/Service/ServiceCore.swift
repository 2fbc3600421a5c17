import Access
import Features
import HTTP
import JSON
import Journal
import Measures
import Postgres
import Synchronization
import Telemetry

/// Why the service could not start.
public struct ServiceError: Error, Sendable, CustomStringConvertible {
    /// Stable code.
    public let code: String
    /// What happened and what to do.
    public let description: String

    init(_ code: String, _ description: String) {
        self.code = code
        self.description = description
    }
}

/// The daemon's parts, wired: state, journal, pipelines, shipper, pools.
final class ServiceCore: Sendable {
    let configuration: ServiceConfiguration
    let clock: WallClock
    let log: LineLog
    let metrics: Metrics
    let telemetry: Telemetry
    let state: ServiceState
    let journal: ServiceJournal
    let ingest: IngestPipeline
    let corrector: Corrector
    let decide: DecidePipeline
    let publisher: Publisher
    let library: ModelLibrary
    let drift: DriftRecorder
    let driftKeeper: DriftKeeper
    let replayer: Replayer
    let shipper: Shipper
    let bulk: WorkerPool
    let queries: QueryPool
    let jobs: JobTable
    let retention: Retention
    /// Counts of the HTTP server; set when there is one.
    let httpStatistics = Mutex<(@Sendable () -> HTTPStatistics)?>(nil)
    /// Query workers for reads that somebody waits for with a short deadline.
    let histories: QueryPool
    let history: HistoryReader
    let memory: MemoryKeeper
    let backFill: BackFill
    let training: TrainingStore
    let parity: ParitySampler
    let artifacts: ArtifactStore
    let zones: ZoneFiles
    let hashKey: HashKey
    let maskKey: MaskKey
    /// What the journal last said of itself.
    let journalState: JournalStateBox
    /// How memory came back.
    let recovery: RecoveryOutcome
    /// Snapshots of memory, and recycling.
    let snapshots: Snapshotter
    private let applier: Applier

    /// Recovers the journal and wires everything; nothing is served yet.
    init(
        configuration: ServiceConfiguration, bootstrap: BootstrapKey, log: LineLog, metrics: Metrics
    ) throws(ServiceError) {
        self.configuration = configuration
        self.log = log
        self.metrics = metrics
        let clock = WallClock()
        self.clock = clock
        let telemetry = Telemetry(metrics: metrics, log: log)
        self.telemetry = telemetry
        let zones = ZoneFiles(directory: configuration.zoneinfoDirectory)
        self.zones = zones
        let artifacts: ArtifactStore
        do throws(FileError) {
            try Files.makeDirectory(configuration.dataDirectory, mode: 0o700)
            artifacts = try ArtifactStore(directory: configuration.dataDirectory + "/artifacts")
        } catch {
            throw ServiceError("data_directory", error.message)
        }
        self.artifacts = artifacts
        do throws(FileError) {
            training = try TrainingStore(
                directory: configuration.dataDirectory + "/training", bytesMax: configuration.trainingBytesMax)
            jobs = try JobTable(
                directory: configuration.dataDirectory + "/jobs", threads: configuration.jobThreads,
                databaseURL: configuration.databaseURL, clock: clock,
                observe: { telemetry.observe($0, at: clock.now()) })
        } catch {
            throw ServiceError("data_directory", error.message)
        }
        let prepared = PreparedSnapshot()
        let journalState = JournalStateBox()
        self.journalState = journalState
        let secret = try Self.secretKey(configuration)
        let hashKey = HashKey(secret)
        self.hashKey = hashKey
        maskKey = MaskKey(secret)
        let recovered = try Self.recover(configuration, hashKey, clock) {
            let state = ServiceState(
                quarantineEntriesMax: configuration.quarantineEntriesMax, bootstrap: bootstrap.frame,
                shardSeed: hashKey.first, zones: zones.offsets)
            let applier = Applier(state: state) { history, previous in
                let (active, retired) = history.current()
                let taken = prepared.take(matching: active)
                // Whether a new view has to be filled is known only here, where its place in the order is.
                if let taken, !taken.building.values.contains(where: history.isReady) { return taken }
                var compiler = SnapshotCompiler(
                    artifacts: artifacts, store: state.features, zones: zones, previous: taken ?? previous,
                    isReady: history.isReady(view:version:))
                return compiler.compile(active, retired: retired, isLenient: true) ?? previous
            }
            return (state, applier)
        }
        let state = recovered.state
        self.state = state
        applier = recovered.applier
        recovery = recovered.outcome
        let waits = ShipWaits()
        let observer = CommitObserver(
            applier: recovered.applier, state: state, waits: waits, clock: clock,
            onState: { Self.journalChanged($0, journalState, telemetry, clock) },
            onEvents: { telemetry.metrics.observe($0, stage: $1, nowMicros: $2) },
            onGroup: { frames, bytes, _, sync in
                telemetry.metrics.observe(
                    .journalFlush(frames: frames, bytes: bytes, nanoseconds: Int64(sync)), at: 0)
            })
        let journal = ServiceJournal(recovered.journal, observer: observer)
        self.journal = journal
        let ingest = IngestPipeline(
            state: state, journal: journal, clock: clock, hashKey: hashKey, dedupe: recovered.dedupe)
        self.ingest = ingest
        corrector = Corrector(
            pipeline: ingest, journal: journal,
            events: StoredEvents(journal: journal, marks: state.marks, databaseURL: configuration.databaseURL))
        let drift = DriftRecorder(clock: clock)
        self.drift = drift
        decide = DecidePipeline(state: state, journal: journal, clock: clock, drift: drift)
        publisher = Publisher(
            state: state, journal: journal, artifacts: artifacts, zones: zones, clock: clock, prepared: prepared)
        library = ModelLibrary(state: state, artifacts: artifacts)
        replayer = Replayer(history: state.history, artifacts: artifacts, zones: zones)
        bulk = WorkerPool(
            name: "bulk", threads: configuration.bulkThreads, jobsMax: ServiceLimits.queuedJobsMax)
        queries = QueryPool(url: configuration.databaseURL, threads: configuration.queryThreads)
        retention = Retention(state: state)
        histories = QueryPool(url: configuration.databaseURL, threads: configuration.queryThreads, name: "history")
        history = HistoryReader(state: state, journal: journal)
        let backFill = BackFill(
            state: state, journal: journal, jobs: jobs, clock: clock,
            restoredThrough: recovered.outcome.snapshotSeq ?? 0, url: configuration.databaseURL,
            observe: { telemetry.observe($0, at: clock.now()) })
        self.backFill = backFill
        backFill.recover(applier.filled)
        backFill.rebuild(recovered.outcome.unavailableViews, applier)
        let spans = MeasureSpans(state: state)
        let startup = StartupDefinitions(
            configuration: configuration, publisher: publisher, queries: queries, log: log, clock: clock,
            recompile: { [applier] in state.applying.withLock { _ in applier.recompile() } })
        let shipper = Shipper(
            state: state, journal: journal, configuration: configuration, clock: clock, waits: waits,
            spans: { spans.folds(from: $0) },
            observe: { Self.shipperTold($0, telemetry, clock, startup) })
        self.shipper = shipper
        memory = MemoryKeeper(
            state: state, bytesMax: configuration.featuresMemoryBytesMax,
            shippedSeq: { shipper.shippedSeq })
        snapshots = Snapshotter(
            writer: MemoryWriter(
                state: state, hashKey: hashKey, identities: { ingest.capture(partition: $0) },
                links: { ingest.captureLinks() }),
            journal: journal, configuration: configuration, clock: clock, telemetry: telemetry,
            recovery: recovered.outcome, isHeld: { backFill.progress(of: $0)?.isHeld ?? false },
            shippedSeq: { shipper.shippedSeq })
        parity = ParitySampler(
            state: state, journal: journal, clock: clock, url: configuration.databaseURL,
            perMinute: configuration.paritySamplePerMinute, shippedSeq: { shipper.shippedSeq },
            observe: { telemetry.observe($0, at: clock.now()) })
        driftKeeper = DriftKeeper(recorder: drift, url: configuration.databaseURL, journal: journal.uuid)
        tellRecovery()
    }

    private func tellRecovery() {
        for (seq, problem) in recovery.passedOver { observe(.snapshotPassedOver(seq: seq, problem: problem)) }
        observe(
            .recovered(
                snapshotSeq: recovery.snapshotSeq ?? 0, frames: recovery.journal.framesReplayed,
                nanoseconds: Int64(recovery.nanoseconds)))
    }

    private static func recover(
        _ configuration: ServiceConfiguration, _ hashKey: HashKey, _ clock: WallClock,
        _ makeState: @escaping () -> (ServiceState, Applier)
    ) throws(ServiceError) -> RecoveredService {
        var options = JournalOptions()
        options.segmentBytes = configuration.journalSegmentBytes
        options.journalBytesMax = configuration.journalBytesMax
        options.lingerMicroseconds = configuration.journalLingerMicroseconds
        do {
            return try ServiceRecovery(
                storage: PosixStorage(path: configuration.dataDirectory + "/journal"), options: options,
                hashKey: hashKey, horizonMicros: Int64(configuration.dedupeHorizonDays) * 86_400_000_000,
                nowMicros: clock.now(), makeState: makeState
            ).run()
        } catch let error as ServiceError {
            throw error
        } catch let error as JournalError {
            throw ServiceError("journal_\(error.code.rawValue)", "\(error)")
        } catch let error as StorageError {
            throw ServiceError("journal_storage", "\(error)")
        } catch {
            throw ServiceError("journal", "\(error)")
        }
    }

    /// 16 random bytes kept beside the journal: the key of in-memory hashes and masks.
    private static func secretKey(_ configuration: ServiceConfiguration) throws(ServiceError) -> [UInt8] {
        let path = configuration.dataDirectory + "/hash.key"
        do throws(FileError) {
            if let known = try Files.read(path), known.count == 16 { return known }
            let fresh = Randomness.bytes(16)
            try Files.replace(path, with: fresh, mode: 0o600)
            return fresh
        } catch {
            throw ServiceError("data_directory", error.message)
        }
    }

    private static func journalChanged(
        _ state: JournalState, _ box: JournalStateBox, _ telemetry: Telemetry, _ clock: WallClock
    ) {
        box.state.withLock { $0 = state }
        switch state {
        case .failed(let error):
            telemetry.observe(.journalFailed(errno: error.number), at: clock.now())
            // Acknowledging is over for this process; the next one replays what is durable.
            Exit.now(Exit.journalFailed)
        case .diskFull: telemetry.observe(.limitHit(name: "journal_disk"), at: clock.now())
        case .journalFull: telemetry.observe(.limitHit(name: "journal_bytes_max"), at: clock.now())
        case .running, .stopped: break
        }
    }

    private static func shipperTold(
        _ observation: Shipper.ShipObservation, _ telemetry: Telemetry, _ clock: WallClock,
        _ startup: StartupDefinitions
    ) {
        switch observation {
        case .shipped(let frames, let nanoseconds):
            telemetry.observe(.shipped(rows: frames, nanoseconds: nanoseconds), at: clock.now())
        case .events(let runs, let nowMicros):
            telemetry.metrics.observe(runs, stage: .postgres, nowMicros: nowMicros)
        case .failed(let code): telemetry.observe(.shipFailed(code: code), at: clock.now())
        case .unshippable(let table, let code):
            telemetry.observe(.unshippable(table: table, code: code), at: clock.now())
        case .unknownDecisions(let outcomes):
            telemetry.observe(
                .events(
                    contract: "outcomes", disposition: .quarantined, code: OutcomeFrame.unknownDecision,
                    count: outcomes), at: clock.now())
        case .rewound(let frames): telemetry.observe(.shipRewound(frames: frames), at: clock.now())
        case .database(let isUp): telemetry.observe(.database(isUp: isUp), at: clock.now())
        case .ready: startup.databaseReady()
        }
    }

    /// Records an observation now.
    func observe(_ observation: Observation) {
        telemetry.observe(observation, at: clock.now())
    }

    /// Runs a job on a query worker; its problem, or its answer, ends the request.
    ///
    /// - Parameters:
    ///   - work: gives the answer and the masked fields; a nil answer means that somebody else answers.
    ///   - answer: sends it.
    func query(
        _ responder: Responder,
        _ work: @escaping @Sendable (PostgresConnection?) throws(Problem) -> (response: Response?, masked: [String]),
        answer: @escaping @Sendable (Response, [String]) -> Void
    ) {
        let isQueued = queries.submit { connection in
            do throws(Problem) {
                let (response, masked) = try work(connection)
                if let response { answer(response, masked) }
            } catch {
                responder.respond(error.response)
            }
        }
        if !isQueued {
            responder.respond(Problem(503, "busy", "Too many queries are waiting.", retryAfter: 1).response)
        }
    }

    /// Runs a read that memory cannot answer on a worker of its own pool; false when too many wait. While PostgreSQL is known
    /// to be away the job runs at once, without a connection: nobody waits for what cannot be had.
    func readHistory(_ job: @escaping QueryPool.Job) -> Bool {
        guard shipper.isConnected else {
            job(nil)
            return true
        }
        return histories.submit(job)
    }

    /// Looks for a record on a query worker; false when too many wait. While PostgreSQL is known to be away the job runs at
    /// once, without a connection.
    func readRecords(_ job: @escaping QueryPool.Job) -> Bool {
        guard shipper.isConnected else {
            job(nil)
            return true
        }
        return queries.submit(job)
    }

    /// Which fields this caller sees masked on a resource.
    func maskPlan(_ route: RequestRoute, _ resource: AccessResource) -> MaskPlan {
        route.snapshot.policies.maskPlan(
            for: route.subject, resource: resource, nowMicros: clock.now(),
            attributes: ReferenceAttributes(references: state.references))
    }

    /// Appends one frame and answers when it is durable.
    func append(
        type: FrameType, _ payload: [UInt8], answering responder: Responder, with response: Response
    ) throws(Problem) {
        let batch = FrameBatch(capacity: payload.count + 64)
        batch.context = ResponseAck(responder: responder, response: response)
        batch.add(type: type.rawValue, payload: payload)
        if case .refused(let reason) = journal.append(batch) { throw Problem.journal(reason.rawValue) }
    }

    /// Journals who saw or was refused what; nobody waits for it.
    func logAccess(
        _ route: RequestRoute, action: String, resource: AccessResource, permitted: Bool, masked: [String]
    ) {
        if !permitted { metrics.observe(.denied(code: action), at: clock.now()) }
        let batch = FrameBatch(capacity: 512)
        batch.add(type: FrameType.access.rawValue, payload: accessFrame(route, action, resource, permitted, masked))
        _ = journal.append(batch)
    }

    /// Sends an answer that holds personal data of several resources once an access-log entry for each is durable.
    func answerLogged(
        _ responder: Responder, _ response: Response, _ route: RequestRoute, action: String,
        entries: [(resource: AccessResource, masked: [String])]
    ) {
        let batch = FrameBatch(capacity: 512 * entries.count)
        batch.context = ResponseAck(responder: responder, response: response)
        for entry in entries {
            batch.add(
                type: FrameType.access.rawValue,
                payload: accessFrame(route, action, entry.resource, true, entry.masked))
        }
        if case .refused(let reason) = journal.append(batch) {
            responder.respond(Problem.journal(reason.rawValue).response)
        }
    }

    /// Sends an answer that holds personal data once its access-log entry is durable.
    func answerLogged(
        _ responder: Responder, _ response: Response, _ route: RequestRoute, action: String, resource: AccessResource,
        masked: [String]
    ) {
        do throws(Problem) {
            try append(
                type: .access, accessFrame(route, action, resource, true, masked), answering: responder, with: response)
        } catch {
            responder.respond(error.response)
        }
    }

    private func accessFrame(
        _ route: RequestRoute, _ action: String, _ resource: AccessResource, _ permitted: Bool, _ masked: [String]
    ) -> [UInt8] {
        var body = JSONWriter()
        body.beginObject()
        body.key("operation")
        body.string(route.operation.rawValue)
        body.key("masked")
        body.beginArray()
        for field in masked { body.string(field) }
        body.endArray()
        body.key("trace_id")
        if let trace = route.traceID { body.string(trace) } else { body.null() }
        body.endObject()
        var writer = ByteWriter()
        AccessFrame(
            atMicros: clock.now(), principal: route.principal, action: action, resourceType: resource.type,
            resourceID: resource.id, permitted: permitted, body: body.bytes
        ).encode(into: &writer)
        return writer.bytes
    }

    /// What is not as it should be, for `/readyz`.
    func degradations() -> [Degradation] {
        var found: [Degradation] = []
        switch journalState.state.withLock({ $0 }) {
        case .running: break
        case .diskFull:
            found.append(
                Degradation(component: "journal", code: "disk_full", detail: "writes are refused until there is room"))
        case .journalFull:
            found.append(
                Degradation(component: "journal", code: "journal_full", detail: "journal_bytes_max is reached"))
        case .failed, .stopped:
            found.append(
                Degradation(
                    component: "journal", code: "stopped", detail: "the journal takes no writes", isBlocking: true))
        }
        if configuration.databaseURL == nil {
            found.append(
                Degradation(component: "postgres", code: "not_configured", detail: "frames stay in the journal"))
        } else if !shipper.isConnected {
            found.append(
                Degradation(
                    component: "postgres", code: "unavailable",
                    detail: "decisions and ingest go on; definitions cannot be changed"))
        }
        found += shipper.degradations
        found += snapshotDegradations()
        if let alarm = parity.alarm {
            found.append(
                Degradation(
                    component: "FeatureView/\(alarm.view)", code: "parity_mismatch",
                    detail: "\(alarm.feature) was served otherwise than PostgreSQL computes it; see the runbook"))
        }
        let unreadable = applier.unreadable.load(ordering: .relaxed)
        if unreadable > 0 {
            found.append(
                Degradation(
                    component: "journal", code: "unreadable_frames",
                    detail: "\(unreadable) frames are of a form that this version does not know"))
        }
        found += memory.degradations
        for (key, problems) in state.snapshot.unusable.sorted(by: { $0.key.name < $1.key.name }) {
            found.append(
                Degradation(
                    component: "\(key.kind.rawValue)/\(key.name)", code: "unusable",
                    detail: problems.first.map { "\($0.code) at \($0.pointer)" } ?? "does not compile"))
        }
        for (name, model) in state.snapshot.models.sorted(by: { $0.key < $1.key }) {
            if let cause = model.unusableCause, cause != "model_withdrawn" {
                found.append(
                    Degradation(component: "Model/\(name)", code: cause, detail: "decisions use their next step"))
            }
        }
        return found
    }

    /// The API's contract with a typed path per active decision.
    func openAPI(_ snapshot: Snapshot) -> [UInt8] {
        OpenAPIDocument.render(
            base: OpenAPIDocument.base,
            decisions: snapshot.decisions.values.map(\.decision).sorted { $0.name < $1.name },
            models: Array(snapshot.served.values))
    }
}

/// Answers with a prepared response once the batch is durable.
final class ResponseAck: PendingAck, @unchecked Sendable {
    // SAFETY: both fields are set once and only read.
    private let responder: Responder
    private let response: Response

    init(responder: Responder, response: Response) {
        self.responder = responder
        self.response = response
    }

    override func durable(firstSeq: UInt64, answers: inout ResponseBatch) {
        _ = answers.add(responder, response)
    }

    override func abandoned(_ reason: AppendRefusal, answers: inout ResponseBatch) {
        _ = answers.add(responder, Problem.journal(reason.rawValue).response)
    }
}

/// The journal's state, shared between its observer and the readiness check.
final class JournalStateBox: Sendable {
    let state = Mutex<JournalState>(.running)
}
