import Foundation
import JournalSimulation
import Testing

@testable import Journal

@Suite struct JournalWriterTests {
    private func open(
        _ directory: TemporaryDirectory, _ collector: Collector, options: JournalOptions = smallOptions()
    ) throws -> JournalWriter<Collector, PosixStorage> {
        let storage = try PosixStorage(path: directory.path)
        return JournalWriter(try JournalRecovery.open(storage, options: options) { _ in }, observer: collector)
    }

    @Test func appendsComeBackAfterReopening() throws {
        let directory = try TemporaryDirectory()
        var expected: [[UInt8]] = []
        for life in 0..<3 {
            let collector = Collector()
            let writer = try open(directory, collector)
            #expect(writer.durableSeq == UInt64(expected.count))
            for number in 0..<50 {
                let payload = [UInt8](repeating: UInt8(number), count: life * 100 + number)
                expected.append(payload)
                #expect(writer.append(makeBatch([payload])) == .accepted)
            }
            writer.stop()
            #expect(collector.frames.map(\.payload) == Array(expected.suffix(50)))
            #expect(collector.states == [.stopped])
            #expect(writer.append(makeBatch([[1]])) == .refused(.stopped))
            #expect(writer.statistics.frames == 50 && writer.statistics.refused == 1)
        }
        let storage = try PosixStorage(path: directory.path)
        let found = try replay(storage)
        #expect(found.frames.map(\.payload) == expected && found.report.cut == nil)
        #expect(found.frames.map(\.seq) == Array(1...150))
        let checked = JournalInspection.verify(storage)
        #expect(checked.firstProblem == nil && checked.frames == 150 && checked.journalID == found.report.journalID)
        #expect(try storage.names().allSatisfy { $0.hasSuffix(".segment") || $0 == "lock" })
    }

    @Test(arguments: [UInt64(0), 200], [Preallocation.allocate, .zeroFill])
    func manyProducersKeepTheirOrder(linger: UInt64, preallocation: Preallocation) throws {
        let directory = try TemporaryDirectory()
        let collector = Collector()
        var options = smallOptions(segmentBytes: 64 << 10)
        options.lingerMicroseconds = linger
        options.preallocation = preallocation
        let writer = try open(directory, collector, options: options)
        DispatchQueue.concurrentPerform(iterations: 8) { producer in
            for number in 0..<200 {
                let payloads = (0..<(1 + number % 3)).map { [UInt8(producer), UInt8(number), UInt8($0)] }
                let batch = makeBatch(payloads, type: UInt8(producer))
                while writer.append(batch) != .accepted { usleep(100) }
            }
        }
        writer.stop()
        let frames = collector.frames
        #expect(frames.map(\.seq) == Array(1...UInt64(frames.count)))
        for producer in 0..<8 {
            let own = frames.filter { $0.type == UInt8(producer) }.map(\.payload)
            let expected = (0..<200).flatMap { number in
                (0..<(1 + number % 3)).map { [UInt8(producer), UInt8(number), UInt8($0)] }
            }
            #expect(own == expected)
        }
        #expect(try replay(PosixStorage(path: directory.path), options: options).frames == frames)
    }

    @Test func aBarrierCompletesAfterEverythingBeforeIt() throws {
        let directory = try TemporaryDirectory()
        let collector = Collector()
        let writer = try open(directory, collector)
        for token in 1...20 as ClosedRange<UInt64> {
            #expect(writer.append(makeBatch(token % 4 == 0 ? [] : [[UInt8(token)]], token: token)) == .accepted)
        }
        writer.stop()
        collector.seen.withLock { seen in
            #expect(seen.tokens == Array(1...20))
            #expect(seen.frames.count == 15)
        }
    }

    @Test func aBatchIsUsableAgainInsideTheObserver() throws {
        final class Reuser: JournalObserver {
            let next = Gate<JournalWriter<Reuser, PosixStorage>?>(nil)
            let left = Gate(500)
            func groupDurable(_ group: DurableGroup) {
                for durable in group {
                    let batch = durable.batch
                    batch.removeAll()
                    let left = left.withLock {
                        $0 -= 1; return $0
                    }
                    if left < 0 { continue }
                    batch.add(type: 2, payload: [UInt8](repeating: 1, count: left % 90))
                    if let writer = next.withLock({ $0 }) { _ = writer.append(batch) }
                }
            }
            func batchesAbandoned(_ batches: ArraySlice<FrameBatch>, reason: AppendRefusal) {}
            func journalStateChanged(_ state: JournalState) {}
        }
        let directory = try TemporaryDirectory()
        let reuser = Reuser()
        let recovered = try JournalRecovery.open(
            PosixStorage(path: directory.path), options: smallOptions()
        ) { _ in }
        let writer = JournalWriter(recovered, observer: reuser)
        reuser.next.withLock { $0 = writer }
        for _ in 0..<16 { #expect(writer.append(makeBatch([[1], [2, 3]])) == .accepted) }
        try eventually { reuser.left.withLock { $0 <= -16 } }
        writer.stop()
        reuser.next.withLock { $0 = nil }
        #expect(writer.durableSeq == 532)
    }

    @Test func refusalsAreTyped() throws {
        let directory = try TemporaryDirectory()
        var options = smallOptions()
        options.queueBytesMax = 8192
        options.lingerMicroseconds = 200_000
        options.groupBytesMax = 1 << 20
        let writer = try open(directory, Collector(), options: options)
        let oversized = FrameBatch()
        oversized.add(type: 1, reserving: JournalLimits.frameBytesMax + 1) { $0.count }
        #expect(oversized.frameCount == 0)
        #expect(writer.append(oversized) == .refused(.frameTooLarge))
        #expect(writer.append(makeBatch([[UInt8](repeating: 0, count: 8192)])) == .refused(.batchTooLarge))
        var outcomes: Set<String> = []
        for _ in 0..<40 { outcomes.insert("\(writer.append(makeBatch([[UInt8](repeating: 0, count: 900)])))") }
        #expect(outcomes == ["accepted", "\(AppendOutcome.refused(.queueFull))"])
        writer.stop()
    }

    @Test func aReaderFollowsTheWriter() throws {
        let directory = try TemporaryDirectory()
        let collector = Collector()
        let writer = try open(directory, collector)
        let total: UInt64 = 600
        let producer = Thread {
            for number in 1...total {
                let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: Int(number % 300))
                while writer.append(makeBatch([payload])) != .accepted { usleep(50) }
            }
        }
        producer.start()
        let reader = writer.makeReader()
        var read: [Entry] = []
        var next: UInt64 = 1
        while next <= total {
            let progress = try reader.read(from: next, maxFrames: 17, maxBytes: 2000) { frame in
                #expect(frame.seq <= writer.durableSeq)
                read.append(Entry(frame))
            }
            #expect(progress.frames <= 17 && (progress.frames <= 1 || progress.payloadBytes <= 2000))
            next = progress.nextSeq
        }
        try eventually { collector.frames.count == Int(total) }
        let (frames, positions) = collector.seen.withLock { ($0.frames, $0.positions) }
        #expect(read == frames)
        for index in stride(from: 0, to: frames.count, by: 37) {
            let frame = try writer.readFrame(at: positions[index])
            #expect(Entry(seq: frame.seq, type: frame.type, payload: frame.payload) == frames[index])
        }
        let wrong = JournalPosition(segment: positions[9].segment, offset: positions[9].offset + 8)
        #expect(throws: JournalError.self) { try writer.readFrame(at: wrong) }
        // A jump back, then removal of what lies before.
        var again: [UInt64] = []
        _ = try reader.read(from: 300, maxFrames: 3, maxBytes: .max) { again.append($0.seq) }
        #expect(again == [300, 301, 302])
        let bytes = writer.diskBytes
        #expect(try writer.removeSegments(below: 300) > 0)
        #expect(writer.diskBytes < bytes && writer.firstSeq > 1 && writer.firstSeq <= 300)
        let gone = #expect(throws: JournalError.self) { try reader.read(from: 1, maxFrames: 1, maxBytes: 1) { _ in } }
        #expect(gone?.code == .segmentRemoved)
        #expect(throws: JournalError.self) { try writer.readFrame(at: positions[0]) }
        // By seq, from a mark, from one of another segment, or from the segment's start; not what is gone or not there.
        let first = writer.firstSeq
        for seq in first...writer.durableSeq {
            let index = Int(seq) - 1
            for mark in [nil, positions[index], positions[max(index - 3, Int(first) - 1)], positions[Int(first) - 1]] {
                #expect(try writer.readFrame(seq: seq, from: mark).payload == frames[index].payload)
            }
        }
        for seq in [first - 1, writer.durableSeq + 1] {
            #expect(throws: JournalError.self) { try writer.readFrame(seq: seq) }
        }
        writer.stop()
        let found = try replay(PosixStorage(path: directory.path))
        #expect(found.frames == Array(frames[(Int(found.report.firstSeq) - 1)...]))
    }

    @Test func aLongFrameIsReadByPosition() throws {
        let directory = try TemporaryDirectory()
        let collector = Collector()
        let writer = try open(directory, collector, options: JournalOptions())
        let payload = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(writer.append(makeBatch([[1], payload, [2]])) == .accepted)
        try eventually { writer.durableSeq == 3 }
        try eventually { collector.frames.count == 3 }
        let position = collector.seen.withLock { $0.positions[1] }
        #expect(try writer.readFrame(at: position).payload == payload)
        var read = 0
        _ = try writer.makeReader().read(from: 2, maxFrames: 1, maxBytes: 1) { read = $0.payload.count }
        #expect(read == payload.count)
        writer.stop()
    }

    /// Whoever reads the whole journal, as shipping does, does not keep a descriptor of each segment.
    @Test func fewSegmentsAreHeldOpenForReaders() throws {
        let directory = try TemporaryDirectory()
        let writer = try open(directory, Collector())
        let payload = [UInt8](repeating: 7, count: 1000)
        for number in 1...UInt64(200) {
            #expect(writer.append(makeBatch([payload])) == .accepted)
            if number % 8 == 0 { try eventually { writer.durableSeq == number } }
        }
        let segments = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            .filter { $0.hasSuffix(".segment") }
        #expect(segments.count > 2 * JournalLimits.openSegmentsMax)
        for _ in 1...2 {
            for seq in 1...UInt64(200) { #expect(try writer.readFrame(seq: seq).payload == payload) }
        }
        let held = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { descriptor in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
            return target?.hasPrefix(directory.path) == true && target?.hasSuffix(".segment") == true
        }
        // The writer's own is one more.
        #expect(held.count <= JournalLimits.openSegmentsMax + 1, "\(held.count)")
        writer.stop()
    }

    @Test func twoWritersAreRefused() throws {
        let directory = try TemporaryDirectory()
        let writer = try open(directory, Collector())
        let error = #expect(throws: JournalError.self) { _ = try open(directory, Collector()) }
        #expect(error?.code == .locked)
        writer.stop()
        try open(directory, Collector()).stop()
    }

    @Test func theTotalIsBoundedAndHealsByRemoval() throws {
        let directory = try TemporaryDirectory()
        let collector = Collector()
        var options = smallOptions()
        options.journalBytesMax = options.segmentBytes * 3
        let writer = try open(directory, collector, options: options)
        var accepted = 0
        try eventually {
            if case .accepted = writer.append(makeBatch([[UInt8](repeating: 7, count: 1000)])) { accepted += 1 }
            return writer.append(makeBatch([[1]])) == .refused(.journalFull)
        }
        #expect(writer.diskBytes <= options.journalBytesMax)
        let durable = writer.durableSeq
        #expect(collector.states == [.journalFull])
        try writer.removeSegments(below: durable)
        try eventually { writer.append(makeBatch([[UInt8](repeating: 8, count: 1000)])) == .accepted }
        writer.stop()
        #expect(writer.durableSeq > durable)
        #expect(collector.states == [.journalFull, .running, .stopped])
    }

    @Test func thePulseBeatsWhileIdle() throws {
        let directory = try TemporaryDirectory()
        let writer = try open(directory, Collector())
        let first = writer.pulse.lastTurnNanoseconds
        try eventually { writer.pulse.lastTurnNanoseconds > first }
        #expect(writer.pulse.syncStartedNanoseconds == nil)
        writer.stop()
    }
}
