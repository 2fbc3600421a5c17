import Features
import JSON
import Journal
import Postgres
import Synchronization
import Telemetry

/// Computes a few of the vectors that were really served again from PostgreSQL, all the time: those of the features
/// endpoint as they are offered, and those of decisions from their records, so that deciding does not know of it. What
/// each comparison came to goes into the journal, and so into the built-in measures.
final class ParitySampler: Sendable {
    /// A vector that was served.
    private struct Served: Sendable {
        let view: ViewEntry
        let point: ParityPoint
        let values: [ServedValue]
        let seq: Int64
        let origin: ParityFrame.Origin
    }

    /// Why a vector that was due is not computed again.
    private enum Skip: String {
        /// Too many wait already.
        case queueFull = "queue_full"
        /// PostgreSQL did not answer.
        case postgres
        /// The decision or its view has another version by now.
        case definitionChanged = "definition_changed"
        /// Its record does not say what was known: an older version of this program wrote it.
        case unknownKnownAt = "known_at_unknown"
        /// The journal did not take the result.
        case journal
    }

    private let state: ServiceState
    private let journal: ServiceJournal
    private let clock: WallClock
    private let url: String?
    private let intervalMicros: Int64
    private let shippedSeq: @Sendable () -> UInt64
    private let observe: @Sendable (Observation) -> Void
    private let nextOffer = Atomic<Int64>(0)
    private let waiting = Mutex<[Served]>([])
    private let stopping = Atomic<Bool>(false)
    private let wake = Semaphore()
    private let lastMismatch = Mutex<(view: String, feature: String, micros: Int64)?>(nil)

    /// - Parameters:
    ///   - url: libpq connection string; without one nothing is sampled.
    ///   - perMinute: vectors of each kind in a minute; 0 for none.
    init(
        state: ServiceState, journal: ServiceJournal, clock: WallClock, url: String?, perMinute: Int,
        shippedSeq: @escaping @Sendable () -> UInt64, observe: @escaping @Sendable (Observation) -> Void
    ) {
        self.state = state
        self.journal = journal
        self.clock = clock
        self.url = perMinute > 0 ? url : nil
        self.shippedSeq = shippedSeq
        self.observe = observe
        intervalMicros = perMinute > 0 ? 60_000_000 / Int64(perMinute) : .max
    }

    /// Starts the thread, at low priority.
    func start() {
        guard let url else { return }
        Threads.start("parity") {
            Threads.lowerPriority(by: ServiceLimits.jobNiceness)
            self.run(url)
        }
    }

    /// Ends the thread after the vector that it is at.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        wake.post()
    }

    /// The latest mismatch, while it is news.
    var alarm: (view: String, feature: String)? {
        guard let last = lastMismatch.withLock({ $0 }), clock.now() - last.micros < ServiceLimits.parityAlarmMicros
        else { return nil }
        return (last.view, last.feature)
    }

    /// Takes a served vector if it is time for one. Costs an atomic load when it is not.
    func offer(
        _ view: ViewEntry, _ parts: [String], asOf: Int64, knownAt: KnownAt, _ vector: FeatureVector, now: Int64
    ) {
        let due = nextOffer.load(ordering: .relaxed)
        guard url != nil, now >= due, vector.status == .complete,
            nextOffer.compareExchange(expected: due, desired: now + intervalMicros, ordering: .relaxed).exchanged
        else { return }
        var known: Int64?
        if case .ingestTime(let micros) = knownAt { known = micros }
        let point = ParityPoint(parts: parts, asOfMicros: asOf, knownMicros: known)
        let values = view.complete(vector.values, asOf: asOf).map(ServedValue.init)
        let served = Served(
            view: view, point: point, values: values, seq: vector.featuresSeq, origin: .features)
        let isTaken = waiting.withLock { waiting in
            guard waiting.count < ServiceLimits.paritySampleWaitingMax else { return false }
            waiting.append(served)
            return true
        }
        if isTaken { wake.post() } else { skip(.queueFull) }
    }

    private func skip(_ reason: Skip) {
        observe(.paritySkipped(reason: reason.rawValue))
    }

    // MARK: The thread

    private func run(_ url: String) {
        var configuration = PostgresConfiguration(connectionString: url, applicationName: "decisiond parity")
        configuration.statementTimeout = QueryPool.statementTimeout
        configuration.connectTimeout = QueryPool.connectTimeout
        let connection = PostgresConnection(configuration)
        var lastRecord: Int64 = 0
        var nextRecord = clock.now() + intervalMicros
        while !stopping.load(ordering: .relaxed) {
            _ = wake.wait(milliseconds: Int(min(1_000, max(10, intervalMicros / 1_000))))
            do throws(PostgresError) {
                while let served = takeShipped() { try check(served, connection) }
                if clock.now() >= nextRecord {
                    nextRecord = clock.now() + intervalMicros
                    for served in try newestDecision(after: &lastRecord, connection) { try check(served, connection) }
                }
            } catch {
                // PostgreSQL does not answer: the shipper tells; what was taken is not compared.
                skip(.postgres)
                connection.close()
            }
        }
        connection.close()
    }

    private func takeShipped() -> Served? {
        let shipped = Int64(shippedSeq())
        return waiting.withLock { waiting in
            guard let index = waiting.firstIndex(where: { $0.seq <= shipped }) else { return nil }
            return waiting.remove(at: index)
        }
    }

    private func check(_ served: Served, _ connection: PostgresConnection) throws(PostgresError) {
        var check = ParityCheck(served.view.definition, served.view.view, journal: journal.uuid)
        let outcome = try check.compare(served.point, served: served.values, seq: served.seq, connection)
        let spec = served.view.definition.spec
        observe(
            .parity(
                view: spec.name, checked: outcome.historical.compared,
                mismatches: Set(outcome.mismatches.map(\.feature)).count))
        for mismatch in outcome.mismatches {
            observe(
                .parityMismatch(view: spec.name, feature: mismatch.feature, against: mismatch.against.rawValue))
        }
        if let first = outcome.mismatches.first {
            lastMismatch.withLock { $0 = (spec.name, first.feature, clock.now()) }
        }
        record(
            ParityFrame(
                view: spec.name, version: UInt32(spec.version), atMicros: clock.now(), origin: served.origin.rawValue,
                values: UInt32(outcome.historical.compared), limited: UInt32(outcome.historical.limited),
                mismatches: outcome.mismatches.map {
                    ParityFrame.Mismatch(feature: $0.feature, against: $0.against.rawValue)
                }))
    }

    private func record(_ frame: ParityFrame) {
        var bytes = ByteWriter()
        frame.encode(into: &bytes)
        let batch = FrameBatch(capacity: bytes.bytes.count + 64)
        batch.add(type: FrameType.parity.rawValue, payload: bytes.bytes)
        do throws(Problem) {
            _ = try BlockingAck().append(batch, to: journal)
        } catch {
            skip(.journal)
        }
    }

    /// The vectors of the newest decision that was shipped and not looked at yet.
    private func newestDecision(
        after last: inout Int64, _ connection: PostgresConnection
    ) throws(PostgresError) -> [Served] {
        let rows = try connection.query(
            """
            SELECT seq, record FROM decisiond.decision_record WHERE journal_id = $1 AND seq > $2 ORDER BY seq DESC LIMIT 1
            """, [.uuid(journal.uuid), .int64(last)])
        guard rows.rowCount == 1, let seq = try rows.int64(0, 0), let text = try rows.string(0, 1),
            let record = try? JSONTree(parsing: text)
        else { return [] }
        last = seq
        return served(of: record)
    }

    private func served(of record: JSONTree) -> [Served] {
        guard let asOf = record["as_of"]?.string.flatMap(Timestamp.parse), let seq = record["features_seq"]?.int64
        else { return [] }
        guard let knownAt = record["known_at"]?.string else {
            skip(.unknownKnownAt)
            return []
        }
        guard let name = record["decision"]?.string, let entry = state.snapshot.decisions[name],
            record["version"]?.int64 == Int64(entry.decision.version)
        else {
            skip(.definitionChanged)
            return []
        }
        let reasons = Self.nullReasons(of: record)
        return zip(entry.decision.entityInputs, entry.views).compactMap { keyInputs, view -> Served? in
            let spec = view.definition.spec
            let inputs = entry.decision.spec.inputs
            guard let features = record["features"]?[spec.name], features["version"]?.int64 == Int64(spec.version)
            else {
                skip(.definitionChanged)
                return nil
            }
            // Without a key nothing was served.
            let parts = keyInputs.compactMap { record["inputs"]?[inputs[$0].name]?.string }
            guard parts.count == keyInputs.count else { return nil }
            let values = view.definition.servedNames.map { feature in
                ServedValue(
                    json: features["values"]?[feature] ?? .null, nullReason: reasons["\(spec.name).\(feature)"])
            }
            let point = ParityPoint(parts: parts, asOfMicros: asOf, knownMicros: Timestamp.parse(knownAt))
            return Served(view: view, point: point, values: values, seq: seq, origin: .decision)
        }
    }

    /// A record says why a feature is null where a limit made it so: in its warnings.
    private static func nullReasons(of record: JSONTree) -> [String: String] {
        var reasons: [String: String] = [:]
        for warning in record["result"]?["warnings"]?.array ?? [] {
            if let subject = warning["subject"]?.string { reasons[subject] = warning["code"]?.string }
        }
        return reasons
    }
}
