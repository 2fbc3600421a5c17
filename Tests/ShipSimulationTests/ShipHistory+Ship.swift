import JournalSimulation

@testable import Journal
@testable import Postgres
@testable import Service

extension ShipHistory {
    /// One step of the shipper's machine, carried out against the simulated database.
    mutating func ship(_ life: inout Life) throws(Violation) {
        let step = life.machine.step(
            isConnected: database.isConnected, isStopping: false, appliedSeq: life.appliedSeq)
        do throws(PostgresError) {
            switch step {
            case .settle: try readPosition(&life)
            case .ship(let order): try send(order, &life)
            case .idle, .standStill, .end: break
            }
        } catch {
            switch life.machine.failed(error, using: &random) {
            case .again: count("ship_again")
            case .reconnect(_, let isStuck):
                database.disconnect()
                count(isStuck ? "ship_stuck" : "ship_reconnect")
            }
        }
        if let violation { throw violation }
    }

    private mutating func readPosition(_ life: inout Life) throws(PostgresError) {
        if !database.isConnected { try database.connect() }
        let (position, stored) = try database.position()
        let isOurs = isOurs(position, stored, life)
        if life.machine.settled(at: position, isOurs: isOurs) != nil { count("ship_rewound") }
        if !isOurs { note("position \(position) is not ours at \(life.core.index.durableSeq)") }
    }

    /// The same judgement as the shipper's session makes: is the frame before the position the one in this journal?
    func isOurs(_ position: UInt64, _ stored: UInt64?, _ life: Life) -> Bool {
        if position > life.core.index.durableSeq + 1 { return false }
        guard position > 1, let stored else { return true }
        var own: UInt64?
        _ = try? life.reader.read(from: position - 1, maxFrames: 1, maxBytes: .max) { own = Self.fingerprint($0) }
        // Recycled after it was shipped, so it was ours.
        return own.map { $0 == stored } ?? true
    }

    static func fingerprint(_ frame: JournalFrame) -> UInt64 {
        frame.payload.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    private mutating func send(_ order: ShipMachine.Order, _ life: inout Life) throws(PostgresError) {
        guard let transaction = read(order, life) else { return }
        if random.oneIn(40) {
            // The process dies with the COMMIT on its way; its next life finds out.
            database.abandon(transaction)
            life.isKilled = true
            return
        }
        if order.attempt.hasPartitions || order.attempt.isIsolating {
            for row in transaction.rows { try database.ensurePartition(row.event.day) }
        }
        try database.run(transaction)
        life.machine.shipped(through: transaction.through)
    }

    private mutating func read(_ order: ShipMachine.Order, _ life: Life) -> SimulatedDatabase.Transaction? {
        var rows: [SimulatedDatabase.Row] = []
        var fingerprint: UInt64 = 0
        let ahead = Int(life.appliedSeq - order.from) + 1
        do throws(JournalError) {
            _ = try life.reader.read(from: order.from, maxFrames: min(ahead, order.framesMax), maxBytes: 32 << 20) {
                rows.append(SimulatedDatabase.Row(seq: $0.seq, event: SimulatedEvent($0.payload)))
                fingerprint = Self.fingerprint($0)
            }
        } catch {
            // A storage that is down takes the process with it; anything else would be a frame that is not there.
            if error.code != .storage { note("frame \(order.from) cannot be read: \(error)") }
            return nil
        }
        guard let last = rows.last else { return nil }
        return SimulatedDatabase.Transaction(
            from: order.from, through: last.seq, rows: rows, fingerprint: fingerprint,
            isIsolating: order.attempt.isIsolating)
    }

    private mutating func note(_ what: String) {
        if violation == nil { violation = Violation(seed: seed, description: "seed \(seed): \(what)") }
    }

    // MARK: What must hold

    /// With a database that works again the same process ships everything, whatever it has been through.
    mutating func catchUp(_ life: inout Life) throws(Violation) {
        database.heal()
        for _ in 0..<1000 where !life.isKilled && database.nextSeq <= life.appliedSeq { try ship(&life) }
        try require(life.isKilled || database.nextSeq == life.appliedSeq + 1, "shipping stands still")
        count("caught_up")
    }

    /// The database holds every frame below its position exactly once, and nothing else.
    func checkDatabase() throws(Violation) {
        let stored = (database.rows + database.quarantined).sorted { $0.seq < $1.seq }
        let expected = frames.prefix(Int(database.nextSeq) - 1)
        try require(
            stored.count == expected.count
                && zip(stored, expected).allSatisfy { $0.seq == $1.seq && $0.event == $1.event },
            "position \(database.nextSeq), \(stored.count) rows, \(frames.count) frames, or not the same")
    }

    /// A last life without faults: what was not acknowledged is sent again, everything is shipped, and all agree.
    mutating func endWithoutFaults() throws(Violation) {
        storage.setPlan(SimulatedStorage.Plan())
        database.heal()
        guard var life = try recover() else {
            throw Violation(seed: seed, description: "seed \(seed): does not start without faults")
        }
        _ = life.core.roll()
        var turns = 0
        while !unanswered.isEmpty || database.nextSeq <= life.appliedSeq {
            turns += 1
            try require(turns < 20_000, "does not come to an end")
            if !unanswered.isEmpty { try ingest(&life) }
            try ship(&life)
            _ = try? life.core.index.remove(below: min(snapshot.seq + 1, database.safeSeq))
            if life.core.refusal != nil { snapshot = (life.appliedSeq, life.memory) }
        }
        try checkDatabase()
        try require(database.nextSeq == life.appliedSeq + 1, "not everything is shipped")
        var expected = SimulatedMemory()
        for frame in frames { expected.apply(frame.event) }
        try require(expected == life.memory && expected.repeated == 0, "memory is not what the frames say")
        for identity in acknowledged where !expected.identities.contains(identity) {
            try require(false, "identity \(identity) was acknowledged and is lost")
        }
        try require(database.quarantined.allSatisfy(\.event.isPoison), "a good row is in quarantine")
        life.core.finish()
        storage.killProcess()
    }
}
