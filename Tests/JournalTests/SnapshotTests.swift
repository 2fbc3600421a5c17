import Glibc
import JournalSimulation
import Testing

@testable import Journal

@Suite struct SnapshotTests {
    /// What a reading handed out.
    struct Read: Equatable {
        struct Part: Equatable {
            var name: String
            var position: UInt64
            var bytes: [UInt8] = []
        }
        var parts: [Part] = []
    }

    static let id = JournalID(high: 1, low: 2)

    static func parts(_ seq: UInt64) -> [Read.Part] {
        [
            Read.Part(name: "one", position: seq, bytes: (0..<700).map { UInt8(truncatingIfNeeded: $0 &* Int(seq)) }),
            Read.Part(name: "empty", position: seq),
            Read.Part(name: "two", position: seq + 3, bytes: [UInt8](repeating: 0, count: 100)),
        ]
    }

    static func write(_ storage: SimulatedStorage, seq: UInt64) throws(StorageError) {
        let writer = try SnapshotWriter(storage, journalID: id, seq: seq, createdMicros: 77)
        for part in parts(seq) {
            try writer.begin(part: part.name, position: part.position)
            let half = part.bytes.count / 2
            for piece in [part.bytes[..<half], part.bytes[half...]] {
                try Array(piece).withUnsafeBufferPointer { (bytes) throws(StorageError) in
                    try writer.add(UnsafeRawBufferPointer(bytes))
                }
            }
        }
        try writer.finish()
    }

    static func read(_ storage: SimulatedStorage, seq: UInt64) throws(JournalError) -> Read {
        var read = Read()
        try SnapshotFiles.read(seq: seq, in: storage) { (_, piece) throws(ReplayRefusal) in
            switch piece {
            case .part(let name, let position): read.parts.append(Read.Part(name: name, position: position))
            case .data(let bytes): read.parts[read.parts.count - 1].bytes += Array(bytes)
            }
        }
        return read
    }

    @Test func everythingComesBack() throws {
        let storage = SimulatedStorage(seed: 1)
        try Self.write(storage, seq: 5)
        #expect(try SnapshotFiles.list(storage) == [5])
        #expect(try Self.read(storage, seq: 5).parts == Self.parts(5))
        let header = try SnapshotFiles.header(seq: 5, in: storage)
        #expect(header.journalID == Self.id && header.createdMicros == 77 && header.seq == 5)
        #expect(try storage.names() == ["00000000000000000005.snapshot"])
        storage.powerLoss()
        #expect(try Self.read(storage, seq: 5).parts == Self.parts(5))
    }

    @Test func longPiecesAreCut() throws {
        let storage = SimulatedStorage(seed: 2)
        let long = (0..<(JournalLimits.snapshotBlockBytes + 9)).map { UInt8(truncatingIfNeeded: $0) }
        let writer = try SnapshotWriter(storage, journalID: Self.id, seq: 1, createdMicros: 0)
        try writer.begin(part: "long", position: 1)
        try long.withUnsafeBytes { try writer.add($0) }
        try writer.finish()
        #expect(try Self.read(storage, seq: 1).parts == [Read.Part(name: "long", position: 1, bytes: long)])
    }

    @Test func everyFlippedBitIsFoundAndNamed() throws {
        let storage = SimulatedStorage(seed: 3)
        try Self.write(storage, seq: 5)
        let name = "00000000000000000005.snapshot"
        let good = try #require(storage.contents(name))
        for byte in good.indices {
            for bit in 0..<8 {
                var bad = good
                bad[byte] ^= 1 << bit
                storage.setContents(name, bad)
                do throws(JournalError) {
                    _ = try Self.read(storage, seq: 5)
                    Issue.record("bit \(bit) of byte \(byte) was not found")
                    return
                } catch {
                    #expect(error.file == name && error.offset != nil)
                    if byte >= SnapshotHeader.byteCount {
                        #expect(error.code == .corruptSnapshot && error.message.hasPrefix("part "))
                        let offset = Int(error.offset ?? 0)
                        #expect(offset <= byte && byte < offset + 400, "\(error)")
                    }
                }
            }
        }
        storage.setContents(name, good)
        let found = JournalInspection.verify(storage).snapshots
        #expect(found.map(\.seq) == [5] && found[0].problem == nil && found[0].summary?.parts.count == 3)
    }

    @Test func everyCutAndEverySurplusIsFound() throws {
        let storage = SimulatedStorage(seed: 4)
        try Self.write(storage, seq: 5)
        let name = "00000000000000000005.snapshot"
        let good = try #require(storage.contents(name))
        for count in good.indices {
            storage.setContents(name, Array(good[..<count]))
            #expect(throws: JournalError.self) { try Self.read(storage, seq: 5) }
        }
        storage.setContents(name, good + [0])
        #expect(throws: JournalError.self) { try Self.read(storage, seq: 5) }
        // Blocks of another snapshot do not check here: the salt is another.
        try Self.write(storage, seq: 6)
        let other = try #require(storage.contents("00000000000000000006.snapshot"))
        storage.setContents(name, Array(good[..<SnapshotHeader.byteCount]) + Array(other[SnapshotHeader.byteCount...]))
        #expect(throws: JournalError.self) { try Self.read(storage, seq: 5) }
        storage.setContents(name, other)
        #expect(throws: JournalError.self) { try Self.read(storage, seq: 5) }
        let report = JournalInspection.inspect(storage)
        #expect(report.snapshots.map { $0.problem == nil } == [true, false])
    }

    @Test func aRefusalNamesThePart() throws {
        let storage = SimulatedStorage(seed: 5)
        try Self.write(storage, seq: 5)
        do throws(JournalError) {
            try SnapshotFiles.read(seq: 5, in: storage) { (_, piece) throws(ReplayRefusal) in
                if case .data(let bytes) = piece, bytes.allSatisfy({ $0 == 0 }) { throw ReplayRefusal("zeros") }
            }
            Issue.record("nothing was refused")
        } catch {
            #expect(error.code == .replayRefused && error.message == "part two: zeros")
        }
    }

    /// The machine stops, or one call fails, at each call in turn: an older snapshot stays readable, a new one is there
    /// whole or not at all, and nothing is left of it that recovery does not remove.
    @Test(arguments: [UInt64(1), 2, 3]) func faultsAtEveryCall(_ seed: UInt64) throws {
        for isPowerLoss in [true, false] {
            for call in 1...40 {
                let storage = SimulatedStorage(seed: seed &* 1_000 &+ UInt64(call))
                try Self.write(storage, seq: 5)
                var plan = SimulatedStorage.Plan()
                plan.crashAtCall = call
                storage.setPlan(plan)
                var isWritten = true
                do throws(StorageError) { try Self.write(storage, seq: 9) } catch { isWritten = false }
                let wasDown = storage.isDown
                if isPowerLoss { storage.powerLoss() } else { storage.killProcess() }
                try JournalRecovery.open(storage, options: smallOptions()) { _ in }.abandon()
                let seqs = try SnapshotFiles.list(storage)
                #expect(seqs == [9, 5] || (seqs == [5] && !isWritten), "call \(call)")
                for seq in seqs { #expect(try Self.read(storage, seq: seq).parts == Self.parts(seq)) }
                #expect(try storage.names().allSatisfy { $0.hasSuffix(".snapshot") || $0.hasSuffix(".segment") })
                if !wasDown {
                    #expect(call > 8, "the plan reached past the last call")
                    break
                }
            }
        }
    }

    @Test func failingCallsLeaveNothingBehind() throws {
        let operations: [StorageError.Operation] = [
            .create, .allocate, .write, .synchronize, .rename, .synchronizeDirectory,
        ]
        for operation in operations {
            for number in [EIO, ENOSPC] {
                for call in 1...12 {
                    let storage = SimulatedStorage(seed: UInt64(call))
                    try Self.write(storage, seq: 5)
                    var plan = SimulatedStorage.Plan()
                    plan.failures[operation] = [call: number]
                    storage.setPlan(plan)
                    do throws(StorageError) {
                        try Self.write(storage, seq: 9)
                        break
                    } catch {
                        #expect(error.operation == operation && error.number == number)
                    }
                    storage.setPlan(SimulatedStorage.Plan())
                    let names = try storage.names().sorted()
                    // Once renamed it is whole, though its name may not survive a power loss.
                    let isRenamed = operation == .synchronizeDirectory
                    #expect(names.count == (isRenamed ? 2 : 1), "\(operation) \(names)")
                    for seq in try SnapshotFiles.list(storage) {
                        #expect(try Self.read(storage, seq: seq).parts == Self.parts(seq))
                    }
                }
            }
        }
    }

    @Test func pruningKeepsTwoThatCheck() throws {
        let storage = SimulatedStorage(seed: 6)
        try Self.write(storage, seq: 1)
        #expect(try SnapshotFiles.prune(storage, unusable: []) == [1])
        try Self.write(storage, seq: 2)
        try Self.write(storage, seq: 3)
        // One usable besides: nothing goes yet.
        #expect(try SnapshotFiles.prune(storage, unusable: [2, 3]) == [1])
        #expect(try SnapshotFiles.list(storage) == [3, 2, 1])
        #expect(try SnapshotFiles.prune(storage, unusable: [2]) == [3, 1])
        #expect(try SnapshotFiles.list(storage) == [3, 1])
        try Self.write(storage, seq: 4)
        #expect(try SnapshotFiles.prune(storage, unusable: []) == [4, 3])
        #expect(try SnapshotFiles.list(storage) == [4, 3])
    }

    @Test func segmentsAreCountedBeforeTheyGo() throws {
        let storage = SimulatedStorage(seed: 7)
        let core = JournalCore(try JournalRecovery.open(storage, options: smallOptions(segmentBytes: 4096)) { _ in })
        for number in 0..<40 {
            guard case .durable = core.commit([makeBatch([[UInt8](repeating: UInt8(number), count: 900)])][...]) else {
                throw GaveUp()
            }
        }
        #expect(core.index.segmentCount > 5)
        #expect(core.index.removable(below: 1) == 0)
        let removable = core.index.removable(below: 20)
        #expect(removable > 1)
        #expect(try core.index.remove(below: 20) == removable)
        #expect(core.index.removable(below: .max) == core.index.segmentCount - 1)
    }
}
