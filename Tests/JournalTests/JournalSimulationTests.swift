import Foundation
import JournalSimulation
import Testing

@testable import Journal

/// One journal through several lives; every life may end in a crash, a failed call, or well.
private struct History {
    private let seed: UInt64
    private var random: SplitMix64
    private let storage: SimulatedStorage
    private let options: JournalOptions
    /// Frames that must be there, by what was acknowledged or replayed.
    private var kept: [Entry] = []
    /// Frames of the group whose fate was not told, in order.
    private var unknown: [Entry] = []
    /// Everything below may have been removed.
    private var removable: UInt64 = 1
    private(set) var crashes = 0
    private(set) var refusals = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        storage = SimulatedStorage(seed: seed &* 31)
        var options = smallOptions(segmentBytes: Int64([4096, 8192, 16384][Int(seed % 3)]))
        options.journalBytesMax = options.segmentBytes * 40
        self.options = options
    }

    mutating func run(lives: Int) throws {
        for life in 0..<lives {
            storage.setPlan(plan(inRecovery: true))
            guard let recovered = try recover(life) else { continue }
            try live(JournalCore(recovered))
            if storage.isDown { crashes += 1 }
            if random.oneIn(2) { storage.powerLoss() } else { storage.killProcess() }
        }
    }

    private mutating func plan(inRecovery: Bool) -> SimulatedStorage.Plan {
        var plan = SimulatedStorage.Plan()
        if inRecovery, !random.oneIn(6) { return plan }
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1: plan.crashAtCall = Int.random(in: 1...(inRecovery ? 6 : 80), using: &random)
        case 2: plan.failures[.synchronize] = [Int.random(in: 1...40, using: &random): EIO]
        case 3:
            let number = [EIO, ENOSPC, EDQUOT].randomElement(using: &random) ?? EIO
            plan.failures[.write] = [Int.random(in: 1...40, using: &random): number]
        case 4:
            let operation =
                [StorageError.Operation.rename, .truncate, .create, .synchronizeDirectory, .allocate]
                .randomElement(using: &random) ?? .rename
            let number = [EIO, ENOSPC].randomElement(using: &random) ?? EIO
            plan.failures[operation] = [Int.random(in: 1...5, using: &random): number]
        default: break
        }
        if random.oneIn(4) { plan.capacity = options.segmentBytes * Int64.random(in: 1...4, using: &random) }
        return plan
    }

    private mutating func recover(_ life: Int) throws -> RecoveredJournal<SimulatedStorage>? {
        var found: [Entry] = []
        do throws(JournalError) {
            let recovered = try JournalRecovery.open(storage, options: options) { found.append(Entry($0)) }
            check(found, recovered.report, "seed \(seed) life \(life)")
            kept = found
            unknown = []
            storage.setPlan(plan(inRecovery: false))
            return recovered
        } catch {
            // Only the storage's own faults excuse a journal that does not open.
            #expect(error.code == .storage, "seed \(seed) life \(life): \(error)")
            if random.oneIn(2) { storage.powerLoss() } else { storage.killProcess() }
            return nil
        }
    }

    private func check(_ found: [Entry], _ report: RecoveryReport, _ comment: String) {
        let first = report.firstSeq
        #expect(first <= max(removable, 1), "\(comment): removed too much")
        for (index, frame) in found.enumerated() where frame.seq != first + UInt64(index) {
            Issue.record("\(comment): seq \(frame.seq) at \(index)")
            return
        }
        let must = kept.filter { $0.seq >= first }
        guard found.count >= must.count, Array(found[..<must.count]) == must else {
            Issue.record("\(comment): \(must.count) acknowledged, \(found.count) found, or not the same")
            return
        }
        let extra = Array(found[must.count...])
        #expect(
            extra.count <= unknown.count && extra == Array(unknown.prefix(extra.count)), "\(comment): invented frames")
    }

    private mutating func live(_ core: JournalCore<SimulatedStorage>) throws {
        if !core.roll(), core.refusal == .failed { return }
        for _ in 0..<Int.random(in: 1...25, using: &random) {
            if core.refusal != nil {
                refusals += 1
                if random.oneIn(3) { storage.setPlan(SimulatedStorage.Plan()) }
                if !core.heal(), core.refusal == .failed { break }
                continue
            }
            let batches = (0..<Int.random(in: 1...5, using: &random)).map { _ in randomBatch() }
            let entries = self.entries(of: batches, from: core.nextSeq)
            switch core.commit(batches[...]) {
            case .durable(let place):
                #expect(place.frames == entries.count)
                kept += entries
            case .refused(.failed): unknown = entries
            case .refused: refusals += 1
            }
            #expect(core.index.durableSeq == core.nextSeq - 1)
            if core.refusal == .failed { break }
            if core.wantsSpare, random.oneIn(3), let spare = try? JournalCore.makeSpare(storage, options, number: 1) {
                core.reserveSpare()
                core.supply(spare)
            }
            if random.oneIn(12) {
                removable = max(removable, UInt64.random(in: 1...core.nextSeq, using: &random))
                _ = try? core.index.remove(below: removable)
            }
        }
        if random.oneIn(3) { core.finish() }
    }

    private mutating func randomBatch() -> FrameBatch {
        let batch = FrameBatch()
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            let count =
                random.oneIn(8) ? Int.random(in: 0...900, using: &random) : Int.random(in: 0...200, using: &random)
            let fill = UInt8.random(in: 0...255, using: &random)
            batch.add(type: fill, payload: [UInt8](repeating: fill, count: count))
        }
        return batch
    }

    private func entries(of batches: [FrameBatch], from seq: UInt64) -> [Entry] {
        var entries: [Entry] = []
        for batch in batches {
            let durable = DurableBatch(batch: batch, firstSeq: 0, position: JournalPosition(segment: 0, offset: 0))
            for frame in durable {
                entries.append(
                    Entry(seq: seq + UInt64(entries.count), type: frame.type, payload: Array(frame.payload)))
            }
        }
        return entries
    }
}

@Suite struct JournalSimulationTests {
    /// Seeds per run; `JOURNAL_SEEDS` asks for more.
    static var seeds: Int { ProcessInfo.processInfo.environment["JOURNAL_SEEDS"].flatMap { Int($0) } ?? 1000 }

    /// What was acknowledged is there, in order, dense, once; of the rest at most a prefix of the one group in flight.
    @Test func acknowledgedFramesSurviveEverything() throws {
        var crashes = 0
        var refusals = 0
        for seed in 0..<UInt64(Self.seeds) {
            var history = History(seed: seed)
            try history.run(lives: 6)
            crashes += history.crashes
            refusals += history.refusals
        }
        // The simulation is worth something only if bad things did happen.
        #expect(crashes > Self.seeds / 2 && refusals > Self.seeds / 10)
    }
}
