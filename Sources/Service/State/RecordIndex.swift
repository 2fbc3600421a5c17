import Journal
import Synchronization

/// Where recent DecisionRecords lie in the journal, and which outcomes belong to them, until PostgreSQL has them.
final class RecordIndex: Sendable {
    struct State: Sendable {
        var records: [RecordID: JournalPosition] = [:]
        var order: [(seq: UInt64, id: RecordID)] = []
        var head = 0
        var outcomes: [RecordID: [(seq: UInt64, frame: OutcomeFrame)]] = [:]
        var outcomeOrder: [(seq: UInt64, id: RecordID)] = []
        /// Outcomes whose decision nobody could look up, by position, until the verdict.
        var unresolved: [UInt64: OutcomeFrame] = [:]
        var unresolvedBytes = 0
    }

    let state = Mutex(State())

    /// A record became durable.
    func add(_ id: RecordID, at position: JournalPosition, seq: UInt64) {
        state.withLock {
            $0.records[id] = position
            $0.order.append((seq, id))
        }
    }

    /// An outcome became durable.
    func add(_ outcome: OutcomeFrame, seq: UInt64) {
        list(outcome, seq: seq)
        if outcome.subject == .unresolved { addUnresolved(outcome, seq: seq) }
    }

    /// Shows an outcome with its decision until PostgreSQL has it.
    func list(_ outcome: OutcomeFrame, seq: UInt64) {
        state.withLock {
            $0.outcomes[outcome.decisionID, default: []].append((seq, outcome))
            $0.outcomeOrder.append((seq, outcome.decisionID))
        }
    }

    /// An outcome waits for the verdict whether its decision exists.
    func addUnresolved(_ outcome: OutcomeFrame, seq: UInt64) {
        state.withLock { state in
            if state.unresolved.updateValue(outcome, forKey: seq) == nil {
                state.unresolvedBytes += Self.bytes(outcome)
            }
        }
    }

    /// The verdict became durable.
    ///
    /// - Returns: whether it was waited for: a second one changes nothing.
    func resolved(_ seq: UInt64) -> Bool {
        state.withLock { state in
            guard let outcome = state.unresolved.removeValue(forKey: seq) else { return false }
            state.unresolvedBytes -= Self.bytes(outcome)
            return true
        }
    }

    /// Outcomes up to `seq` that wait for their verdict, oldest first, at most `limit`.
    func unresolved(through seq: UInt64, limit: Int) -> [(seq: UInt64, outcome: OutcomeFrame)] {
        state.withLock { state in
            if state.unresolved.isEmpty { return [] }
            return state.unresolved.filter { $0.key <= seq }.sorted { $0.key < $1.key }.prefix(limit)
                .map { ($0.key, $0.value) }
        }
    }

    /// Memory of the outcomes that wait for their verdict.
    var unresolvedBytes: Int { state.withLock { $0.unresolvedBytes } }

    /// Memory of one, about.
    private static func bytes(_ outcome: OutcomeFrame) -> Int {
        outcome.body.count + outcome.principal.utf8.count + 256
    }

    /// Takes back what had been forgotten: a failover lost the commits. Positions are in order and before all others here.
    func restore(
        _ records: [(id: RecordID, position: JournalPosition, seq: UInt64)],
        _ outcomes: [(frame: OutcomeFrame, seq: UInt64)]
    ) {
        state.withLock { state in
            for record in records { state.records[record.id] = record.position }
            state.order.insert(contentsOf: records.map { ($0.seq, $0.id) }, at: state.head)
            for outcome in outcomes {
                state.outcomes[outcome.frame.decisionID, default: []].append((outcome.seq, outcome.frame))
            }
            state.outcomeOrder.insert(contentsOf: outcomes.map { ($0.seq, $0.frame.decisionID) }, at: 0)
        }
    }

    /// Where the record lies, if PostgreSQL may not have it yet.
    func position(_ id: RecordID) -> JournalPosition? {
        state.withLock { $0.records[id] }
    }

    /// Outcomes that PostgreSQL may not have yet.
    func outcomes(_ id: RecordID) -> [OutcomeFrame] {
        state.withLock { $0.outcomes[id]?.map(\.frame) ?? [] }
    }

    /// The newest records still here, newest first.
    func newest(limit: Int) -> [(seq: UInt64, id: RecordID, position: JournalPosition)] {
        state.withLock { state in
            state.order[state.head...].suffix(limit).reversed().compactMap { entry in
                state.records[entry.id].map { (entry.seq, entry.id, $0) }
            }
        }
    }

    /// Forgets everything up to `seq`: PostgreSQL has committed it.
    func shipped(through seq: UInt64) {
        state.withLock { state in
            while state.head < state.order.count, state.order[state.head].seq <= seq {
                state.records.removeValue(forKey: state.order[state.head].id)
                state.head += 1
            }
            if state.head > 4096 && state.head * 2 > state.order.count {
                state.order.removeFirst(state.head)
                state.head = 0
            }
            var done = 0
            while done < state.outcomeOrder.count, state.outcomeOrder[done].seq <= seq {
                let id = state.outcomeOrder[done].id
                state.outcomes[id]?.removeAll { $0.seq <= seq }
                if state.outcomes[id]?.isEmpty == true { state.outcomes.removeValue(forKey: id) }
                done += 1
            }
            state.outcomeOrder.removeFirst(done)
        }
    }

    /// Records held here.
    var count: Int { state.withLock { $0.records.count } }
}
