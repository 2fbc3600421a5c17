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
        state.withLock {
            $0.outcomes[outcome.decisionID, default: []].append((seq, outcome))
            $0.outcomeOrder.append((seq, outcome.decisionID))
        }
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
