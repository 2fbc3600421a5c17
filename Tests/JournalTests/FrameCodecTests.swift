import CJournalShims
import JournalSimulation
import Testing

@testable import Journal

@Suite struct CRC32CTests {
    static let vectors: [([UInt8], UInt32)] = [
        (Array("123456789".utf8), 0xE306_9283),
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        (Array(0..<32), 0x46DD_794E),
        (Array((0..<32).reversed()), 0x113F_DB5C),
        ([], 0),
    ]

    @Test(arguments: vectors) func rfc3720Vectors(bytes: [UInt8], expected: UInt32) {
        var crc = CRC32C()
        bytes.withUnsafeBytes { crc.update($0) }
        #expect(crc.value == expected)
    }

    @Test func hardwareEqualsTable() {
        var random = SplitMix64(seed: 1)
        let bytes = (0..<600).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes.withUnsafeBytes { raw in
            for start in 0..<9 {
                for count in 0..<(raw.count - 9) {
                    let part = UnsafeRawBufferPointer(rebasing: raw[start..<(start + count)])
                    let fast = cjournal_crc32c(~0, part.baseAddress, count)
                    #expect(fast == cjournal_crc32c_portable(~0, part.baseAddress, count))
                }
            }
        }
    }
}

@Suite struct FrameCodecTests {
    private func frame(_ payload: [UInt8], seq: UInt64, index: UInt32 = 0, seed: UInt32 = 77) -> [UInt8] {
        let batch = makeBatch([payload], type: 9)
        batch.stamp(firstSeq: seq, groupIndex: index, crcSeed: seed)
        return Array(batch.bytes)
    }

    @Test(arguments: [0, 1, 7, 8, 9, 400, 2048, 70_000]) func roundTrip(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 31) }
        let bytes = frame(payload, seq: 5 << 40, index: 3)
        #expect(bytes.count == FrameCodec.frameBytes(payload: length))
        #expect(bytes.count % 8 == 0)
        bytes.withUnsafeBytes { raw in
            guard case .frame(let header) = FrameCodec.decode(raw, crcSeed: 77) else {
                Issue.record("no frame")
                return
            }
            #expect(header.length == length && header.seq == 5 << 40 && header.type == 9 && header.groupIndex == 3)
            #expect(header.groupFirstSeq == 5 << 40 - 3)
            #expect(Array(raw[24..<(24 + length)]) == payload)
        }
    }

    @Test func anotherSaltIsNoFrame() {
        frame([1, 2, 3], seq: 1).withUnsafeBytes { raw in
            #expect(FrameCodec.decode(raw, crcSeed: 78) == .bad(.checksum))
        }
    }

    @Test func incompleteAsksForTheWhole() {
        frame([UInt8](repeating: 4, count: 100), seq: 1).withUnsafeBytes { raw in
            #expect(FrameCodec.decode(UnsafeRawBufferPointer(rebasing: raw[..<10]), crcSeed: 77) == .incomplete(24))
            #expect(FrameCodec.decode(UnsafeRawBufferPointer(rebasing: raw[..<60]), crcSeed: 77) == .incomplete(128))
        }
    }

    @Test func zerosAreBlankAndLongLengthsRefused() {
        var bytes = [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeBytes { #expect(FrameCodec.decode($0, crcSeed: 0) == .bad(.blank)) }
        bytes.replaceSubrange(0..<4, with: [1, 0, 0, 1])
        bytes.withUnsafeBytes { #expect(FrameCodec.decode($0, crcSeed: 0) == .bad(.length)) }
    }

    @Test func everySingleBitFlipIsSeen() {
        var bytes = frame([1, 2, 3, 4, 5], seq: 42, index: 1)
        for bit in 0..<(bytes.count * 8) {
            bytes[bit / 8] ^= 1 << (bit % 8)
            bytes.withUnsafeBytes { raw in
                if case .frame = FrameCodec.decode(raw, crcSeed: 77) { Issue.record("bit \(bit) not seen") }
            }
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
    }
}

@Suite struct SegmentHeaderTests {
    private let header = SegmentHeader(journalID: JournalID(high: 1, low: 2), firstSeq: 3, salt: 4)

    @Test func roundTrip() throws {
        let bytes = header.bytes
        #expect(bytes.count == 64)
        #expect(try bytes.withUnsafeBytes { try SegmentHeader.decode($0) } == header)
    }

    @Test func everySingleBitFlipIsSeen() {
        var bytes = header.bytes
        for bit in 0..<512 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SegmentHeader.Fault.self) { try bytes.withUnsafeBytes { try SegmentHeader.decode($0) } }
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
    }

    @Test func names() {
        #expect(SegmentName.segment(firstSeq: 1) == "00000000000000000001.segment")
        #expect(SegmentName.segment(firstSeq: .max) == "18446744073709551615.segment")
        #expect(SegmentName.firstSeq(of: "00000000000000000012.segment") == 12)
        for other in ["lock", "1.segment", "00000000000000000012.segment~", "7.spare", "0000000000000000001x.segment"] {
            #expect(SegmentName.firstSeq(of: other) == nil)
        }
        #expect(JournalID.random(0, 0).description == "00000000-0000-4000-8000-000000000000")
    }
}
