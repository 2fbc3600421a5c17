import Features
import JSON
import Journal
import Postgres
import Synchronization

/// Answers what memory cannot: features as of a time that memory does not reach, and entities whose rows were spilled.
/// Runs on query workers.
final class HistoryReader: Sendable {
    private let state: ServiceState
    private let journal: ServiceJournal

    /// Reads answered from PostgreSQL, and spilled entities fetched back, since the start.
    let reads = Atomic<Int>(0)
    let fetches = Atomic<Int>(0)

    init(state: ServiceState, journal: ServiceJournal) {
        self.state = state
        self.journal = journal
    }

    /// The refusal of a read that neither memory nor PostgreSQL answers.
    static let unavailable = Problem(
        503, "history_unavailable",
        "Memory does not reach back to as_of for this entity, and PostgreSQL cannot be asked now.", retryAfter: 5)

    /// Every view has every event up to here.
    var appliedSeq: Int64 { Int64(state.appliedSeq.load(ordering: .acquiring)) }

    private var journalUUID: UInt128 {
        UInt128(journal.journalID.high) << 64 | UInt128(journal.journalID.low)
    }

    /// Reads every feature of a view for one entity: from memory, after fetching it back where it was spilled, else from
    /// PostgreSQL.
    ///
    /// - Parameters:
    ///   - complete: goes to PostgreSQL also for windows that reach past `entity_events_max`.
    ///   - connection: nil when PostgreSQL does not answer.
    /// - Throws: `history_unavailable`. A spilled entity that cannot be fetched is not thrown: its features are null with
    ///   `feature_unavailable`, and the vector's status says `spilled`.
    func read(
        _ view: ViewEntry, _ entity: String, asOf: Int64, knownAt: KnownAt, complete: Bool = false,
        _ connection: PostgresConnection?, until deadline: PostgresDeadline, into vector: inout FeatureVector
    ) throws(Problem) {
        state.features.read(entity, view.plan, asOf: asOf, knownAt: knownAt, into: &vector)
        for _ in 0..<Self.fetchAttemptsMax where vector.status == .spilled {
            guard let connection, fetch(view, entity, connection, until: deadline) else { return }
            state.features.read(entity, view.plan, asOf: asOf, knownAt: knownAt, into: &vector)
        }
        guard vector.status == .historyUnavailable || (complete && vector.isTruncated) else { return }
        guard let connection else { throw Self.unavailable }
        do {
            try Self.again(connection, deadline) {
                try readStored(view, entity, asOf, knownAt, connection, deadline, into: &vector)
            }
            reads.wrappingAdd(1, ordering: .relaxed)
        } catch {
            throw Self.unavailable
        }
    }

    /// An entity that was fetched may be spilled again at once when memory is very short.
    private static let fetchAttemptsMax = 3

    /// Fetches what is spilled of one entity in one view back into memory; false when PostgreSQL does not give it.
    private func fetch(
        _ view: ViewEntry, _ entity: String, _ connection: PostgresConnection, until deadline: PostgresDeadline
    ) -> Bool {
        let isThere = try? Self.again(connection, deadline) {
            var stored = EventHistory(journal: journalUUID)
            for spilled in state.features.spilledViews(entity, view.plan) {
                // After a failover PostgreSQL may have lost what it had; it is shipped again.
                guard try stored.shippedThrough(connection, until: deadline) >= spilled.through else { return false }
                let span = EventSpan(seqThrough: spilled.through, limit: view.definition.spec.entityEventsMax + 1)
                let events = try stored.events(of: entity, view.definition, span, connection, until: deadline)
                state.features.restore(spilled, entity: entity, events: events)
                fetches.wrappingAdd(1, ordering: .relaxed)
            }
            return true
        }
        return isThere ?? false
    }

    /// Runs a read, and once more when the connection turns out to be gone: a server that was restarted is not noticed
    /// before the first question.
    private static func again<R>(
        _ connection: PostgresConnection, _ deadline: PostgresDeadline, _ body: () throws -> R
    ) throws -> R {
        do {
            return try body()
        } catch  where !connection.isConnected {
            try connection.connect(until: deadline)
            return try body()
        }
    }

    private func readStored(
        _ view: ViewEntry, _ entity: String, _ asOf: Int64, _ knownAt: KnownAt, _ connection: PostgresConnection,
        _ deadline: PostgresDeadline, into vector: inout FeatureVector
    ) throws {
        var stored = EventHistory(journal: journalUUID)
        let applied = appliedSeq
        let shipped = min(try stored.shippedThrough(connection, until: deadline), applied)
        let tail = try tail(of: entity, view.definition, after: shipped, through: applied)
        var span = EventSpan(
            after: view.view.historyStart(asOf: asOf), through: asOf, seqThrough: shipped,
            limit: ServiceLimits.historyEventsMax + 1, correctionsThrough: applied)
        switch knownAt {
        case .latest: break
        case .ingestTime(let micros): span.ingestThrough = micros
        case .seq(let seq): span.seqThrough = min(shipped, seq)
        }
        repeat {
            var computation = FeatureComputation(view.view, entityEventsMax: ServiceLimits.historyEventsMax)
            var events = try stored.events(of: entity, view.definition, span, connection, until: deadline)
            events += tail.events.filter { $0.time <= asOf }
            for var event in events {
                if let end = tail.ends[event.seq] { event.superseded = end }
                computation.add(event)
            }
            computation.read(asOf: asOf, knownAt: knownAt, featuresSeq: applied, into: &vector)
            // Without an event in the longest window the one before it still counts: its age is served.
            guard vector.lastEventTimes[0] == nil, span.after > .min else { return }
            span.after = .min
        } while true
    }

    /// The entity's events that are not in PostgreSQL yet, and what ended which event, from the journal.
    private func tail(
        of entity: String, _ view: FeatureViewDefinition, after: Int64, through: Int64
    ) throws -> (events: [FeatureEvent], ends: [Int64: Supersession]) {
        guard through - after <= ServiceLimits.historyTailFramesMax else { throw Self.unavailable }
        var events: [FeatureEvent] = []
        var ends: [Int64: Supersession] = [:]
        var reader = TailReader(journal)
        var position = after
        while position < through {
            let page = try reader.page(view, after: position, through: through)
            guard page.through > position else { break }
            for change in page.changes {
                if let event = change.event, event.entity == entity { events.append(event) }
                if case .correction(let old?, let end, _) = change { ends[old.seq] = end }
            }
            position = page.through
        }
        return (events, ends)
    }
}
