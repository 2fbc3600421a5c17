import JournalSimulation
import Testing

@testable import Journal

@Suite struct JournalRecoveryTests {
    /// A journal of several groups in at least two segments, cleanly ended; and where its last group begins.
    private func build(
        groups: Int = 6, framesPerGroup: Int = 3, payloadBytes: Int = 40, segmentBytes: Int64 = 4096
    ) throws -> (storage: SimulatedStorage, frames: [Entry], lastGroup: JournalPosition) {
        let storage = SimulatedStorage(seed: 1)
        let core = JournalCore(
            try JournalRecovery.open(storage, options: smallOptions(segmentBytes: segmentBytes)) { _ in })
        var frames: [Entry] = []
        var last = JournalPosition(segment: 0, offset: 0)
        for group in 0..<groups {
            let payloads = (0..<framesPerGroup).map { frame in
                [UInt8](repeating: UInt8(truncatingIfNeeded: group * 16 + frame), count: payloadBytes + frame)
            }
            guard case .durable(let place) = core.commit([makeBatch(payloads)][...]) else { throw GaveUp() }
            for (index, payload) in payloads.enumerated() {
                frames.append(Entry(seq: place.firstSeq + UInt64(index), type: 1, payload: payload))
            }
            last = place.start
        }
        core.finish()
        return (storage, frames, last)
    }

    private func attempt(
        _ storage: SimulatedStorage
    ) -> Result<(report: RecoveryReport, frames: [Entry]), JournalError> {
        do throws(JournalError) { return .success(try replay(storage)) } catch { return .failure(error) }
    }

    private func segments(_ storage: SimulatedStorage) throws -> [String] {
        try storage.names().filter { $0.hasSuffix(".segment") }.sorted()
    }

    @Test func newJournalIsEmpty() throws {
        let storage = SimulatedStorage(seed: 2)
        let (report, frames) = try replay(storage)
        #expect(report.lastSeq == 0 && report.segments == 0 && report.cut == nil && frames.isEmpty)
    }

    @Test func everythingComesBackInOrder() throws {
        let (storage, frames, _) = try build(groups: 30, payloadBytes: 300)
        #expect(try segments(storage).count > 3)
        let found = try replay(storage)
        #expect(found.frames == frames)
        #expect(found.report.cut == nil && found.report.lastSeq == UInt64(frames.count))
        #expect(try replay(storage).report == found.report)
    }

    @Test func replayFromSkipsOldSegments() throws {
        let (storage, frames, _) = try build(groups: 30, payloadBytes: 300)
        let found = try replay(storage, from: 50)
        #expect(found.frames == Array(frames[49...]))
        #expect(found.report.lastSeq == UInt64(frames.count))
    }

    @Test func everySingleBitFlipIsSeen() throws {
        let (storage, frames, lastGroup) = try build(groups: 5, framesPerGroup: 2, payloadBytes: 900)
        let names = try segments(storage)
        #expect(names.count == 3)
        for name in names {
            guard let good = storage.contents(name) else { throw GaveUp() }
            let isLast = name == names.last
            var random = SplitMix64(seed: 3)
            for byte in good.indices where byte < 200 || byte % 8 == 0 || byte > good.count - 64 {
                var bad = good
                bad[byte] ^= 1 << Int.random(in: 0..<8, using: &random)
                storage.setContents(name, bad)
                switch attempt(storage) {
                case .success(let found):
                    // Only the last group may look like a write that never ended.
                    #expect(isLast && byte >= Int(lastGroup.offset), "\(name) byte \(byte) passed")
                    #expect(found.report.cut != nil)
                    #expect(found.frames.count < frames.count)
                    #expect(found.frames == Array(frames[..<found.frames.count]))
                case .failure(let error):
                    #expect(!isLast || byte < Int(lastGroup.offset), "\(error)")
                    #expect(error.file == name)
                }
                storage.setContents(name, good)
            }
        }
    }

    /// All bits, over a segment small enough to afford it; with a later group after the flipped one.
    @Test func everyBitOfASmallSegment() throws {
        let (storage, frames, lastGroup) = try build(groups: 3, framesPerGroup: 2, payloadBytes: 9)
        let name = try segments(storage)[0]
        guard let good = storage.contents(name) else { throw GaveUp() }
        for bit in 0..<(good.count * 8) {
            var bad = good
            bad[bit / 8] ^= 1 << (bit % 8)
            storage.setContents(name, bad)
            switch attempt(storage) {
            case .failure(let error):
                #expect(bit / 8 < Int(lastGroup.offset) && error.file == name)
            case .success(let found):
                #expect(bit / 8 >= Int(lastGroup.offset) && found.report.cut != nil)
                #expect(found.frames.count < frames.count && found.frames == Array(frames[..<found.frames.count]))
            }
        }
    }

    @Test func cutAtEveryByteOfTheLastFrames() throws {
        let (storage, frames, _) = try build(groups: 4, framesPerGroup: 2, payloadBytes: 21)
        let name = try segments(storage)[0]
        guard let good = storage.contents(name) else { throw GaveUp() }
        for padded in [false, true] {
            for length in stride(from: good.count, through: good.count - 200, by: -1) {
                var cut = Array(good[..<length])
                if padded { cut += [UInt8](repeating: 0, count: 4096 - length) }
                storage.setContents(name, cut)
                let found = try replay(storage)
                #expect(found.frames == Array(frames[..<found.frames.count]))
                let whole = (good.count - length + 47) / 48
                #expect(
                    found.frames.count == frames.count - whole || padded && found.frames.count > frames.count - whole)
                // What was cut stays cut, and is told once.
                #expect(try replay(storage).report.cut == nil)
            }
        }
    }

    @Test func damageIsRefusedByName() throws {
        let (storage, _, _) = try build(groups: 30, payloadBytes: 300)
        let names = try segments(storage)
        let middle = names[1]
        guard let good = storage.contents(middle) else { throw GaveUp() }

        func expect(_ code: JournalError.Code, _ file: String, offset: Int64?, _ comment: Comment) {
            let error = #expect(throws: JournalError.self, comment) { try replay(storage) }
            #expect(error?.code == code && error?.file == file, "\(String(describing: error))")
            if let offset { #expect(error?.offset == offset) }
            #expect(JournalInspection.verify(storage).firstProblem == error)
        }
        storage.erase(middle)
        expect(.missingSegment, names[2], offset: 32, "a segment is gone")
        storage.setContents(middle, Array(good[..<(good.count - 8)]))
        expect(.corruptFrame, middle, offset: nil, "a complete segment ends early")
        storage.setContents(middle, good + [0, 0, 0, 0, 0, 0, 0, 1])
        expect(.corruptFrame, middle, offset: Int64(good.count), "bytes after the last frame")
        storage.setContents(middle, Array(good[..<30]))
        expect(.corruptHeader, middle, offset: 0, "half a header")
        var newer = good
        newer[8] = 2
        storage.setContents(middle, newer)
        expect(.unknownVersion, middle, offset: 8, "a newer format")
        let first = SegmentName.firstSeq(of: middle) ?? 0
        let foreign = SegmentHeader(journalID: JournalID(high: 7, low: 7), firstSeq: first, salt: 1).bytes
        storage.setContents(middle, foreign + good[64...])
        expect(.foreignSegment, middle, offset: 16, "another journal's")
        storage.setContents(middle, good)
        #expect(JournalInspection.verify(storage).firstProblem == nil)
        #expect(JournalInspection.inspect(storage).segments.map(\.name) == names)
        _ = try replay(storage)
    }

    /// Blocks that held another segment before: its frames check under its own salt only.
    @Test func staleFramesOfAnotherSegmentAreNotTaken() throws {
        let (storage, frames, _) = try build(groups: 3, framesPerGroup: 1, payloadBytes: 16)
        let name = try segments(storage)[0]
        guard let good = storage.contents(name) else { throw GaveUp() }
        let stale = makeBatch([[1, 2, 3], [4]])
        stale.stamp(firstSeq: UInt64(frames.count) + 1, groupIndex: 0, crcSeed: CRC32C.seed(salt: 12345))
        storage.setContents(name, good + Array(stale.bytes))
        let found = try replay(storage)
        #expect(found.frames == frames)
        #expect(found.report.cut?.bytes == Int64(stale.byteCount))
        #expect(CRC32C.seed(salt: 1) != CRC32C.seed(salt: 2))
    }

    @Test func aRefusedReplayNamesTheFrame() throws {
        let (storage, _, _) = try build()
        let error = #expect(throws: JournalError.self) {
            _ = try JournalRecovery.open(storage, options: smallOptions(segmentBytes: 4096)) {
                (frame) throws(ReplayRefusal) in
                if frame.seq == 4 { throw ReplayRefusal("type 1 is not known") }
            }
        }
        #expect(error?.code == .replayRefused)
        #expect(error?.message == "frame 4 type 1: type 1 is not known")
        // The lock was given back.
        _ = try replay(storage)
    }

    @Test func optionsOutOfRangeAreRefused() {
        let broken: [(inout JournalOptions) -> Void] = [
            { $0.segmentBytes = 100 }, { $0.segmentBytes = 4 << 30 }, { $0.segmentBytes = 8193 },
            { $0.journalBytesMax = 10 }, { $0.queueBytesMax = 10 }, { $0.groupFramesMax = 0 },
            { $0.probeIntervalMilliseconds = 0 },
        ]
        for change in broken {
            var options = smallOptions()
            change(&options)
            let error = #expect(throws: JournalError.self) { try replay(SimulatedStorage(seed: 1), options: options) }
            #expect(error?.code == .invalidOptions)
        }
    }
}
