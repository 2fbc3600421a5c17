import Glibc
import Journal

// Appends growing payloads for ever and prints every acknowledged number to standard output, one line a group. The
// kill test ends it at a random moment and compares what it said with what the journal holds.

final class Announcer: JournalObserver {
    func groupDurable(_ group: DurableGroup) {
        guard group.frameCount > 0 else { return }
        let line = "\(group.firstSeq + UInt64(group.frameCount) - 1)\n"
        line.withCString { text in _ = write(1, text, strlen(text)) }
    }

    func batchesAbandoned(_ batches: ArraySlice<FrameBatch>, reason: AppendRefusal) { exit(3) }

    func journalStateChanged(_ state: JournalState) {
        if case .failed = state { exit(4) }
    }
}

/// The payload of frame `seq`: its number, and as many bytes of it as the number says, within bounds.
func payload(_ seq: UInt64) -> [UInt8] {
    var bytes = withUnsafeBytes(of: seq.littleEndian) { Array($0) }
    bytes.append(contentsOf: repeatElement(UInt8(truncatingIfNeeded: seq), count: Int(seq * 37 % 3000)))
    return bytes
}

guard CommandLine.arguments.count == 2 else { exit(2) }
var options = JournalOptions()
options.segmentBytes = 1 << 20
options.queueBytesMax = 8 << 20
let storage = try PosixStorage(path: CommandLine.arguments[1])
let recovered = try JournalRecovery.open(storage, options: options) { _ in }
var next = recovered.report.lastSeq + 1
let writer = JournalWriter(recovered, observer: Announcer())
while true {
    let batch = FrameBatch()
    for seq in next..<(next + 1 + next % 7) { batch.add(type: UInt8(truncatingIfNeeded: seq), payload: payload(seq)) }
    while writer.append(batch) != .accepted { usleep(200) }
    next += UInt64(batch.frameCount)
}
