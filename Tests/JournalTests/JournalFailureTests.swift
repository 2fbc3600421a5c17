import Foundation
import JournalSimulation
import Testing

@testable import Journal

@Suite struct JournalFailureTests {
    private typealias Writer = JournalWriter<Collector, SimulatedStorage>

    private func start(
        _ storage: SimulatedStorage, _ collector: Collector, options: JournalOptions = smallOptions()
    ) throws -> Writer {
        JournalWriter(try JournalRecovery.open(storage, options: options) { _ in }, observer: collector)
    }

    /// Appends numbered batches until `count` were tried; returns the accepted tokens.
    private func appendAll(_ writer: Writer, _ tokens: ClosedRange<UInt64>) -> [UInt64] {
        tokens.filter { token in
            writer.append(makeBatch([[UInt8](repeating: UInt8(truncatingIfNeeded: token), count: 300)], token: token))
                == .accepted
        }
    }

    @Test(arguments: [StorageError.Operation.write, .synchronize])
    func anErrorStopsAcknowledgingForEver(operation: StorageError.Operation) throws {
        let storage = SimulatedStorage(seed: 5)
        let collector = Collector()
        let writer = try start(storage, collector)
        let first = appendAll(writer, 1...10)
        try eventually { collector.seen.withLock { $0.tokens.count } == 10 }
        var plan = SimulatedStorage.Plan()
        plan.failures[operation] = [1: EIO]
        storage.setPlan(plan)
        let second = appendAll(writer, 11...20)
        try eventually { !collector.states.isEmpty }
        #expect(writer.append(makeBatch([[1]])) == .refused(.failed))
        writer.stop()
        // The failed descriptor saw no second sync, nothing was acknowledged after, everybody was told once.
        #expect(storage.calls(.synchronize) == (operation == .synchronize ? 1 : 0))
        guard case .failed(let cause) = collector.states.first else { throw GaveUp() }
        #expect(cause.operation == operation && cause.number == EIO && collector.states.count == 1)
        collector.seen.withLock { seen in
            #expect(seen.tokens == first)
            #expect(Set(seen.abandoned.keys) == Set(second))
            #expect(seen.abandoned.values.allSatisfy { $0 == .failed })
        }
        // Replay on restart: every acknowledged frame, with the power lost or not.
        storage.killProcess()
        let found = try replay(storage)
        #expect(Array(found.frames.prefix(10)) == collector.frames)
        storage.powerLoss()
        #expect(try replay(storage).frames == found.frames)
    }

    @Test(arguments: [ENOSPC, EDQUOT])
    func aFullDiskHealsByItself(number: Int32) throws {
        let storage = SimulatedStorage(seed: 6)
        let collector = Collector()
        let writer = try start(storage, collector)
        _ = appendAll(writer, 1...5)
        try eventually { collector.seen.withLock { $0.tokens.count } == 5 }
        var plan = SimulatedStorage.Plan()
        plan.failures[.write] = [1: number]
        plan.capacity = 1
        storage.setPlan(plan)
        let lost = appendAll(writer, 6...8)
        try eventually { !collector.states.isEmpty }
        #expect(writer.append(makeBatch([[1]])) == .refused(.diskFull))
        // Reads go on.
        var read = 0
        _ = try writer.makeReader().read(from: 1, maxFrames: 100, maxBytes: .max) { _ in read += 1 }
        #expect(read == 5)
        storage.setPlan(SimulatedStorage.Plan())
        try eventually { collector.states.count == 2 }
        let after = appendAll(writer, 9...12)
        #expect(after == [9, 10, 11, 12])
        writer.stop()
        #expect(collector.states.dropFirst() == [.running, .stopped])
        collector.seen.withLock { seen in
            #expect(seen.tokens == [1, 2, 3, 4, 5] + after)
            #expect(Set(seen.abandoned.keys) == Set(lost) && seen.abandoned.values.allSatisfy { $0 == .diskFull })
        }
        storage.powerLoss()
        #expect(try replay(storage).frames == collector.frames)
    }

    @Test func aStartOnAFullDiskServesReadsAndHeals() throws {
        let storage = SimulatedStorage(seed: 7)
        let first = try start(storage, Collector())
        _ = appendAll(first, 1...3)
        first.stop()
        let recovered = try JournalRecovery.open(storage, options: smallOptions()) { _ in }
        var plan = SimulatedStorage.Plan()
        plan.capacity = 1
        storage.setPlan(plan)
        let collector = Collector()
        let writer = JournalWriter(recovered, observer: collector)
        try eventually { writer.append(makeBatch([[1]])) == .refused(.diskFull) }
        #expect(writer.durableSeq == 3)
        storage.setPlan(SimulatedStorage.Plan())
        try eventually { writer.append(makeBatch([[1]])) == .accepted }
        writer.stop()
        #expect(writer.durableSeq == 4)
    }

    /// SQLite's loop: fail the n-th call that changes anything, for every n, until a run meets no fault.
    @Test(arguments: [EIO, ENOSPC])
    func everyCallMayFail(number: Int32) throws {
        let operations: [StorageError.Operation] = [
            .create, .allocate, .write, .synchronize, .truncate, .rename, .remove, .synchronizeDirectory, .open, .read,
            .list, .size,
        ]
        for operation in operations {
            for call in 1...200 {
                let storage = SimulatedStorage(seed: UInt64(call))
                var plan = SimulatedStorage.Plan()
                plan.failures[operation] = [call: number]
                storage.setPlan(plan)
                let acknowledged = try runUntilFault(storage)
                let reached = storage.calls(operation) >= call
                storage.powerLoss()
                let found = try replay(storage)
                // A group that failed between two lives may have survived, so the acknowledged need not be a prefix.
                let isKept = acknowledged.allSatisfy { entry in
                    Int(entry.seq) <= found.frames.count && found.frames[Int(entry.seq) - 1] == entry
                }
                #expect(isKept, "\(operation) call \(call)")
                if !reached { break }
            }
        }
    }

    private func runUntilFault(_ storage: SimulatedStorage) throws -> [Entry] {
        var acknowledged: [Entry] = []
        for _ in 0..<2 {
            guard
                let recovered = try? JournalRecovery.open(
                    storage, options: smallOptions(segmentBytes: 4096), replay: { _ in })
            else { return acknowledged }
            let core = JournalCore(recovered)
            _ = core.roll()
            for number in 0..<12 {
                if core.refusal != nil, !core.heal() { continue }
                let payload = [UInt8](repeating: UInt8(number), count: 700)
                if case .durable(let place) = core.commit([makeBatch([payload])][...]) {
                    acknowledged.append(Entry(seq: place.firstSeq, type: 1, payload: payload))
                }
                if core.wantsSpare, let spare = try? JournalCore.makeSpare(storage, core.options, number: 5) {
                    core.reserveSpare()
                    core.supply(spare)
                }
            }
            core.finish()
        }
        return acknowledged
    }

    /// A real file system of 1 MiB, where mounting is allowed.
    @Test func aRealFullFileSystemHeals() throws {
        let directory = try TemporaryDirectory()
        guard mount("tmpfs", directory.path, "tmpfs", 0, "size=1m") == 0 else {
            print("skipped: mounting a tmpfs is not allowed here (errno \(errno)); the simulated disk covers this")
            return
        }
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        let collector = Collector()
        let options = smallOptions(segmentBytes: 256 << 10)
        let writer = JournalWriter(
            try JournalRecovery.open(PosixStorage(path: directory.path), options: options) { _ in }, observer: collector
        )
        try eventually {
            _ = writer.append(makeBatch([[UInt8](repeating: 3, count: 5000)]))
            return writer.append(makeBatch([[1]])) == .refused(.diskFull)
        }
        let durable = writer.durableSeq
        try writer.removeSegments(below: durable / 2)
        try eventually { writer.append(makeBatch([[9, 9]])) == .accepted }
        writer.stop()
        #expect(writer.durableSeq > durable)
        let found = try replay(PosixStorage(path: directory.path), options: options)
        #expect(found.report.lastSeq == writer.durableSeq)
        #expect(found.frames == Array(collector.frames.suffix(found.frames.count)))
    }
}
