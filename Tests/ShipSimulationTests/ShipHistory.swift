import Glibc
import JournalSimulation

@testable import Journal
@testable import Postgres
@testable import Service

/// What a history found wrong; the seed repeats it.
struct Violation: Error, CustomStringConvertible {
    let seed: UInt64
    let description: String
}

/// One daemon's history over several lives: producers, the real journal, applying, and the real decisions of shipping, over
/// a storage and a database that fail. Everything follows from the seed, on one thread.
struct ShipHistory {
    /// A durable frame.
    struct Frame: Equatable {
        let seq: UInt64
        let event: SimulatedEvent
    }

    /// What one life has, and loses at its end.
    struct Life {
        let core: JournalCore<SimulatedStorage>
        let reader: JournalReader<SimulatedStorage>
        var machine: ShipMachine
        var memory: SimulatedMemory
        var appliedSeq: UInt64
        /// It died in the middle of something that the database may still do.
        var isKilled = false
    }

    let seed: UInt64
    var random: SplitMix64
    let storage: SimulatedStorage
    let options: JournalOptions
    var database: SimulatedDatabase
    /// Every durable frame that is known of, from seq 1 on, those included that have left the disk.
    var frames: [Frame] = []
    /// Frames of the group whose fate nobody was told, in order.
    var unknown: [Frame] = []
    var acknowledged: Set<UInt32> = []
    /// Sent and not acknowledged: will be sent again.
    var unanswered: [SimulatedEvent] = []
    /// What a restart begins with instead of the frames through its seq.
    var snapshot: (seq: UInt64, memory: SimulatedMemory) = (0, SimulatedMemory())
    var identities: UInt32 = 0
    /// The directory as it was at the end of some life.
    var oldFiles: [String: [UInt8]] = [:]
    /// The first thing that was wrong where nothing can be thrown.
    var violation: Violation?
    /// Faults and what followed from them, by name.
    var counts: [String: Int] = [:]

    init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        storage = SimulatedStorage(seed: seed &* 31 &+ 7)
        database = SimulatedDatabase(seed: seed &* 131 &+ 3)
        var options = JournalOptions()
        options.segmentBytes = [4096, 8192][Int(seed % 2)]
        options.groupBytesMax = 16 << 10
        options.journalBytesMax = options.segmentBytes * 12
        self.options = options
    }

    mutating func count(_ name: String) { counts[name, default: 0] += 1 }

    func require(_ holds: Bool, _ what: @autoclosure () -> String) throws(Violation) {
        if !holds { throw Violation(seed: seed, description: "seed \(seed): \(what())") }
    }

    /// Runs several lives and a last one without faults; everything acknowledged must then be everywhere, once.
    ///
    /// - Returns: how often each kind of fault came about.
    mutating func run(lives: Int = 4) throws(Violation) -> [String: Int] {
        for _ in 0..<lives {
            storage.setPlan(storagePlan(inRecovery: true))
            database.faultsOneIn = random.oneIn(4) ? 0 : Int.random(in: 4...12, using: &random)
            if var life = try recover() {
                storage.setPlan(storagePlan(inRecovery: false))
                try live(&life)
            }
            try die()
            try checkDatabase()
            if random.oneIn(4) { try flipBit() }
            if random.oneIn(4) { try putBackOldDirectory() }
            if random.oneIn(4) { oldFiles = files }
        }
        try endWithoutFaults()
        for (name, number) in storage.injected { counts[name, default: 0] += number }
        for (name, number) in database.injected { counts[name, default: 0] += number }
        return counts
    }

    // MARK: Faults of the storage

    private mutating func storagePlan(inRecovery: Bool) -> SimulatedStorage.Plan {
        var plan = SimulatedStorage.Plan()
        if inRecovery, !random.oneIn(6) { return plan }
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1: plan.crashAtCall = Int.random(in: 1...(inRecovery ? 6 : 60), using: &random)
        case 2: plan.failures[.synchronize] = [Int.random(in: 1...30, using: &random): EIO]
        case 3:
            let number = [EIO, ENOSPC, EDQUOT].randomElement(using: &random) ?? EIO
            plan.failures[.write] = [Int.random(in: 1...30, using: &random): number]
        case 4:
            let operation: StorageError.Operation =
                [.rename, .truncate, .create, .synchronizeDirectory, .allocate].randomElement(using: &random) ?? .rename
            plan.failures[operation] = [Int.random(in: 1...5, using: &random): random.oneIn(2) ? EIO : ENOSPC]
        default: break
        }
        if random.oneIn(4) { plan.capacity = options.segmentBytes * Int64.random(in: 1...4, using: &random) }
        return plan
    }

    private mutating func die() throws(Violation) {
        database.disconnect()
        if random.oneIn(2) {
            count("power_loss")
            storage.powerLoss()
        } else {
            count("kill")
            storage.killProcess()
        }
    }

    // MARK: A life

    /// Starts on what is on the disk; nil when the storage's own faults do not let it.
    mutating func recover() throws(Violation) -> Life? {
        var memory = snapshot.memory
        var found: [Frame] = []
        let recovered: RecoveredJournal<SimulatedStorage>
        do throws(JournalError) {
            recovered = try JournalRecovery.open(storage, options: options, replayFrom: snapshot.seq + 1) { frame in
                let event = SimulatedEvent(frame.payload)
                found.append(Frame(seq: frame.seq, event: event))
                memory.apply(event)
            }
        } catch {
            try require(error.code == .storage, "does not open: \(error)")
            return nil
        }
        let known = frames.dropFirst(Int(snapshot.seq))
        try require(
            found.count >= known.count && found.prefix(known.count).elementsEqual(known),
            "\(known.count) durable frames after \(snapshot.seq), \(found.count) found, or not the same")
        let extra = found.dropFirst(known.count)
        try require(
            extra.count <= unknown.count && unknown.prefix(extra.count).elementsEqual(extra), "frames out of nowhere")
        frames += extra
        unknown = []
        try require(memory.repeated == 0, "applied twice")
        for identity in acknowledged where !memory.identities.contains(identity) {
            try require(false, "identity \(identity) was acknowledged and is lost")
        }
        return Life(
            core: JournalCore(recovered), reader: JournalReader(index: recovered.index),
            machine: ShipMachine(batchFramesMax: Int.random(in: 1...60, using: &random)), memory: memory,
            appliedSeq: recovered.report.lastSeq)
    }

    private mutating func live(_ life: inout Life) throws(Violation) {
        if !life.core.roll(), life.core.refusal == .failed { return }
        for _ in 0..<Int.random(in: 5...60, using: &random) {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: try ingest(&life)
            case 5..<9: try ship(&life)
            default: keepHouse(&life)
            }
            if life.core.refusal == .failed || storage.isDown || life.isKilled { return }
        }
        if random.oneIn(4) { try catchUp(&life) }
        if random.oneIn(3) { life.core.finish() }
    }

    /// A group of batches on its way through admission, the journal and memory to its acknowledgement.
    mutating func ingest(_ life: inout Life) throws(Violation) {
        if life.core.refusal != nil {
            count("refused")
            if random.oneIn(3) { storage.setPlan(SimulatedStorage.Plan()) }
            guard life.core.heal() else { return }
        }
        var reserved: Set<UInt32> = []
        var admitted: [SimulatedEvent] = []
        var sent: [SimulatedEvent] = []
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            let event = nextEvent()
            sent.append(event)
            let isTaken = life.memory.identities.contains(event.identity) || reserved.contains(event.identity)
            if isTaken {
                count("duplicate")
            } else {
                reserved.insert(event.identity)
                admitted.append(event)
            }
        }
        let batches = batches(of: admitted)
        let written = admitted.enumerated().map { Frame(seq: life.core.nextSeq + UInt64($0), event: $1) }
        switch life.core.commit(batches[...]) {
        case .durable(let place):
            try require(place.frames == written.count, "\(place.frames) frames durable, \(written.count) given")
            frames += written
            for event in admitted { life.memory.apply(event) }
            life.appliedSeq = life.core.nextSeq - 1
            acknowledge(sent)
        case .refused(let reason):
            if reason == .failed { unknown = written }
            unanswered += sent
        }
        try require(life.core.index.durableSeq == life.core.nextSeq - 1, "durable and next disagree")
    }

    private mutating func acknowledge(_ sent: [SimulatedEvent]) {
        // Slow storage, a lost connection: it is durable and the producer does not hear of it.
        if random.oneIn(8) {
            count("answer_lost")
            unanswered += sent
        } else {
            acknowledged.formUnion(sent.map(\.identity))
        }
    }

    private mutating func nextEvent() -> SimulatedEvent {
        if !unanswered.isEmpty, random.oneIn(3) {
            return unanswered.remove(at: Int.random(in: 0..<unanswered.count, using: &random))
        }
        if !frames.isEmpty, random.oneIn(8), let frame = frames.randomElement(using: &random) { return frame.event }
        identities += 1
        return SimulatedEvent(
            identity: identities, entity: UInt8.random(in: 0..<5, using: &random),
            day: random.oneIn(20) ? UInt8.random(in: 1..<4, using: &random) : 0, isPoison: random.oneIn(60),
            value: Int32.random(in: -1000...1000, using: &random))
    }

    private mutating func batches(of events: [SimulatedEvent]) -> [FrameBatch] {
        var batches = [FrameBatch()]
        for event in events {
            if random.oneIn(3) { batches.append(FrameBatch()) }
            batches[batches.count - 1].add(
                type: 1,
                payload: event.payload(padding: Int.random(in: 0...(random.oneIn(8) ? 600 : 60), using: &random)))
        }
        return batches
    }

    /// Snapshots, spare segments, removal of what neither a restart nor a failover needs.
    private mutating func keepHouse(_ life: inout Life) {
        if random.oneIn(2) { snapshot = (life.appliedSeq, life.memory) }
        _ = try? life.core.index.remove(below: min(snapshot.seq + 1, database.safeSeq))
        if life.core.wantsSpare, let spare = try? JournalCore.makeSpare(storage, options, number: 1) {
            life.core.reserveSpare()
            life.core.supply(spare)
        }
    }
}
