import Journal
import JournalSimulation

/// libFuzzer's entry: any bytes as a journal's directory. Recovery, the reader and inspection must refuse or accept,
/// and agree with each other; they must never crash, hang or take memory that the bytes do not justify.
///
/// The first byte chooses: bytes as they are, or frames whose checksums are made right, so that what lies behind the
/// checksum is reached too.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJournal(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let mode = input.first else { return 0 }
    let storage = SimulatedStorage(seed: 1)
    let rest = Array(input.dropFirst())
    let name = "00000000000000000001.segment"
    if mode & 1 == 0 {
        storage.setContents(name, rest)
    } else {
        storage.setContents(name, stamped(rest, isTorn: mode & 2 != 0))
    }
    if mode & 4 != 0, let half = storage.contents(name)?.prefix(count / 2) {
        storage.setContents("00000000000000000003.segment", Array(half))
    }
    let inspected = JournalInspection.verify(storage)
    var frames: UInt64 = 0
    var options = JournalOptions()
    options.segmentBytes = 1 << 20
    do {
        let recovered = try JournalRecovery.open(storage, options: options) { (frame) throws(ReplayRefusal) in
            frames += 1
            precondition(frame.seq == frames, "frames come in the order of their numbers")
        }
        precondition(inspected.firstProblem == nil, "recovery took what verification refuses")
        precondition(inspected.frames == frames, "recovery and verification count alike")
        recovered.abandon()
        // What recovery left is sound, and is the same again.
        let again = try JournalRecovery.open(storage, options: options) { _ in }
        precondition(again.report.lastSeq == recovered.report.lastSeq && again.report.cut == nil)
        again.abandon()
    } catch let error as JournalError {
        precondition(!error.message.isEmpty)
        precondition(inspected.firstProblem != nil, "verification took what recovery refuses")
    } catch {
        preconditionFailure("\(error)")
    }
    return 0
}

/// A segment whose frames are cut from the bytes: a length, a type, a step of the seq, a payload.
private func stamped(_ bytes: [UInt8], isTorn: Bool) -> [UInt8] {
    let header = SegmentHeader(journalID: JournalID(high: 1, low: 2), firstSeq: 1, salt: 9)
    var segment = header.bytes
    var position = 0
    var seq: UInt64 = 1
    while position + 3 <= bytes.count {
        let length = min(Int(bytes[position]), bytes.count - position - 3)
        let payload = bytes[(position + 3)..<(position + 3 + length)]
        segment += SimulatedFrame.bytes(
            seq: seq, type: bytes[position + 1], groupIndex: UInt32(bytes[position + 2] & 3), payload: Array(payload),
            salt: header.salt)
        seq += bytes[position + 2] & 0x80 == 0 ? 1 : 2
        position += 3 + length
    }
    if isTorn, segment.count > SegmentHeader.byteCount { segment.removeLast(min(5, segment.count)) }
    return segment
}
