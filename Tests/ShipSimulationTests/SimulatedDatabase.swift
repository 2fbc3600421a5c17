import JournalSimulation

@testable import Postgres

/// A database as a shipper sees it, which fails in every way that a real one does.
///
/// It models what matters for exactly-once: `ship_advance` and the rows are one transaction; the position's row lock makes
/// everybody wait for a transaction in flight; a standby that takes over may have an earlier state, and nothing else.
struct SimulatedDatabase {
    /// A stored row.
    struct Row: Hashable {
        let seq: UInt64
        let event: SimulatedEvent
    }

    /// One transaction that a shipper sends.
    struct Transaction {
        let from: UInt64
        let through: UInt64
        let rows: [Row]
        let fingerprint: UInt64
        let isIsolating: Bool
    }

    /// What a transaction has done once it is committed.
    private struct Effect {
        let nextSeq: UInt64
        let fingerprint: UInt64
        let rows: [Row]
        let quarantined: [Row]
    }

    private struct State {
        var nextSeq: UInt64 = 1
        var fingerprint: UInt64?
        var rows: [Row] = []
        var quarantined: [Row] = []
    }

    /// Ways of failing, each as likely as its weight says.
    enum Fault: String, CaseIterable {
        case resetInTransaction = "database_reset"
        case resetInCommit = "database_unknown_commit"
        case slow = "database_slow"
        case slowCommit = "database_slow_commit"
        case serialization = "database_serialization"
        case down = "database_down"
        case failover = "database_failover"
    }

    /// How often each fault came about, by name.
    private(set) var injected: [String: Int] = [:]
    private(set) var isConnected = false
    private var state = State()
    /// States that a standby may have, oldest first; the last one is what the primary has.
    private var replicas: [State] = [State()]
    /// Sent with its COMMIT, and nobody knows yet what became of it.
    private var inFlight: Effect?
    /// Of a process that is gone, on its way through a slow network: arrives when others have long gone on.
    private var late: Transaction?
    private var isDown = false
    private var days: Set<UInt8> = [0]
    private var random: SplitMix64
    /// One call in so many fails; 0: none.
    var faultsOneIn = 0

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// Everything stored, refused rows included, in the order stored.
    var rows: [Row] { state.rows }
    /// Rows that are in quarantine instead.
    var quarantined: [Row] { state.quarantined }
    /// The stored position, whatever is in flight.
    var nextSeq: UInt64 { state.nextSeq }
    /// No failover can take the position below this: what lies before it may leave the journal.
    var safeSeq: UInt64 { replicas.first?.nextSeq ?? 1 }

    /// The process at the other end is gone, or closes.
    mutating func disconnect() { isConnected = false }

    /// It runs, and nothing is in flight any more.
    mutating func heal() {
        faultsOneIn = 0
        isDown = false
        deliverLate()
        resolve()
    }

    private mutating func count(_ name: String) { injected[name, default: 0] += 1 }

    private mutating func draw() -> Fault? {
        guard faultsOneIn > 0, random.oneIn(faultsOneIn) else { return nil }
        return Fault.allCases.randomElement(using: &random)
    }

    /// A transaction in flight comes to its end: whoever takes the position's lock has waited for it.
    private mutating func resolve() {
        guard let effect = inFlight else { return }
        inFlight = nil
        if Bool.random(using: &random) { apply(effect) }
    }

    /// What arrives late is refused by its position, or nobody has gone on yet.
    private mutating func deliverLate() {
        guard let transaction = late else { return }
        late = nil
        resolve()
        guard advances(transaction), let effect = try? effect(of: transaction) else { return }
        inFlight = effect
    }

    /// `ship_advance`: moves the position from where it is, or refuses.
    private mutating func advances(_ transaction: Transaction) -> Bool {
        if transaction.from == state.nextSeq, transaction.through >= transaction.from { return true }
        count("database_position_mismatch")
        return false
    }

    private mutating func apply(_ effect: Effect) {
        state.nextSeq = effect.nextSeq
        state.fingerprint = effect.fingerprint
        state.rows += effect.rows
        state.quarantined += effect.quarantined
        replicas.append(state)
        if replicas.count > 6 { replicas.removeFirst() }
    }

    /// The standby takes over: an earlier state is the truth from now on.
    private mutating func failOver() {
        resolve()
        let kept = Int.random(in: 1...replicas.count, using: &random)
        if kept < replicas.count { count(Fault.failover.rawValue) }
        replicas.removeLast(replicas.count - kept)
        state = replicas[kept - 1]
        isConnected = false
    }

    private mutating func lose(during phase: PostgresPhase) -> PostgresError {
        isConnected = false
        return .connectionLost(during: phase, sqlState: nil, message: "simulated")
    }

    private func refusal(_ code: SQLState) -> PostgresError {
        .server(
            PostgresServerError(
                sqlState: code, severity: "ERROR", message: "simulated", table: "event", column: nil, constraint: nil,
                copyLine: nil))
    }

    /// Connects, unless the server is away.
    mutating func connect() throws(PostgresError) {
        if isDown {
            isDown = !random.oneIn(3)
            throw .connectFailed(sqlState: nil, message: "simulated")
        }
        if draw() == .down {
            count(Fault.down.rawValue)
            isDown = true
            throw .connectTimedOut(message: "simulated")
        }
        isConnected = true
    }

    /// `ship_position`, with the fingerprint of the frame before it.
    mutating func position() throws(PostgresError) -> (next: UInt64, fingerprint: UInt64?) {
        guard isConnected else { throw lose(during: .statement) }
        switch draw() {
        case .failover:
            failOver()
            throw lose(during: .statement)
        case .resetInTransaction:
            count(Fault.resetInTransaction.rawValue)
            throw lose(during: .statement)
        default: break
        }
        resolve()
        return (state.nextSeq, state.fingerprint)
    }

    /// Makes the partition of a day.
    mutating func ensurePartition(_ day: UInt8) throws(PostgresError) {
        guard isConnected else { throw lose(during: .statement) }
        days.insert(day)
    }

    /// One whole transaction; what it throws is what a connection would.
    mutating func run(_ transaction: Transaction) throws(PostgresError) {
        guard isConnected else { throw lose(during: .idle) }
        let fault = draw()
        switch fault {
        case .resetInTransaction:
            count(Fault.resetInTransaction.rawValue)
            throw lose(during: .transaction)
        case .slow:
            count(Fault.slow.rawValue)
            if Bool.random(using: &random) { isConnected = false }
            throw .timedOut(during: .transaction, isCancelled: isConnected)
        case .serialization:
            count(Fault.serialization.rawValue)
            throw refusal(
                [.serializationFailure, .deadlockDetected, .readOnlyTransaction].randomElement(using: &random)!)
        case .failover:
            failOver()
            throw lose(during: .transaction)
        default: break
        }
        // The lock of the position's row; a predecessor may have come first.
        if random.oneIn(3) { deliverLate() }
        resolve()
        guard advances(transaction) else { throw refusal(.shipPositionMismatch) }
        let effect = try effect(of: transaction)
        switch fault {
        case .resetInCommit:
            count(Fault.resetInCommit.rawValue)
            inFlight = effect
            throw lose(during: .commit)
        case .slowCommit:
            count(Fault.slowCommit.rawValue)
            inFlight = effect
            isConnected = false
            throw .timedOut(during: .commit, isCancelled: false)
        default: apply(effect)
        }
    }

    /// The transaction was sent and the process that sent it is gone: nobody waits for the answer.
    mutating func abandon(_ transaction: Transaction) {
        isConnected = false
        if late == nil, random.oneIn(2) {
            late = transaction
            return
        }
        resolve()
        guard transaction.from == state.nextSeq, let effect = try? effect(of: transaction) else { return }
        count("database_abandoned_commit")
        inFlight = effect
    }

    private mutating func effect(of transaction: Transaction) throws(PostgresError) -> Effect {
        if transaction.rows.contains(where: { !days.contains($0.event.day) }) {
            count("database_no_partition")
            throw refusal(.checkViolation)
        }
        let poison = transaction.rows.filter(\.event.isPoison)
        if !poison.isEmpty, !transaction.isIsolating {
            count("database_poison")
            throw refusal(.untranslatableCharacter)
        }
        return Effect(
            nextSeq: transaction.through + 1, fingerprint: transaction.fingerprint,
            rows: transaction.rows.filter { !$0.event.isPoison }, quarantined: poison)
    }
}
