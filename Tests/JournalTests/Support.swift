import Foundation
import JournalSimulation
import Synchronization

@testable import Journal

/// A frame as a test remembers it.
struct Entry: Hashable {
    var seq: UInt64
    var type: UInt8
    var payload: [UInt8]

    init(seq: UInt64, type: UInt8, payload: [UInt8]) {
        self.seq = seq
        self.type = type
        self.payload = payload
    }

    init(_ frame: JournalFrame) {
        self.init(seq: frame.seq, type: frame.type, payload: Array(frame.payload))
    }
}

/// Remembers everything that it is told.
final class Collector: JournalObserver {
    struct Seen {
        var frames: [Entry] = []
        var positions: [JournalPosition] = []
        var tokens: [UInt64] = []
        var abandoned: [UInt64: AppendRefusal] = [:]
        var states: [JournalState] = []
        var groups = 0
    }

    let seen = Mutex(Seen())

    func groupDurable(_ group: DurableGroup) {
        seen.withLock { seen in
            seen.groups += 1
            for durable in group {
                for frame in durable {
                    seen.frames.append(Entry(frame))
                    seen.positions.append(frame.position)
                }
                seen.tokens.append(durable.batch.token)
            }
        }
    }

    func batchesAbandoned(_ batches: ArraySlice<FrameBatch>, reason: AppendRefusal) {
        seen.withLock { seen in
            for batch in batches { seen.abandoned[batch.token] = reason }
        }
    }

    func journalStateChanged(_ state: JournalState) { seen.withLock { $0.states.append(state) } }

    var frames: [Entry] { seen.withLock { $0.frames } }
    var states: [JournalState] { seen.withLock { $0.states } }
}

struct GaveUp: Error {}

/// Polls until `condition` holds; a minute is for a machine that is busy, not for the journal.
func eventually(_ condition: () -> Bool) throws {
    for _ in 0..<60_000 {
        if condition() { return }
        usleep(1000)
    }
    throw GaveUp()
}

/// Small segments, so that tests cross many.
func smallOptions(segmentBytes: Int64 = 8192) -> JournalOptions {
    var options = JournalOptions()
    options.segmentBytes = segmentBytes
    options.groupBytesMax = 16 << 10
    options.probeIntervalMilliseconds = 5
    return options
}

func makeBatch(_ payloads: [[UInt8]], type: UInt8 = 1, token: UInt64 = 0) -> FrameBatch {
    let batch = FrameBatch()
    for payload in payloads { batch.add(type: type, payload: payload) }
    batch.token = token
    return batch
}

/// A directory that is gone when the test ends.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "journal-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Recovers and collects; unlocks again.
func replay<Store: JournalStorage>(
    _ storage: Store, options: JournalOptions = smallOptions(), from: UInt64 = 1
) throws(JournalError) -> (report: RecoveryReport, frames: [Entry]) {
    var frames: [Entry] = []
    let recovered = try JournalRecovery.open(storage, options: options, replayFrom: from) { frame in
        frames.append(Entry(frame))
    }
    recovered.abandon()
    return (recovered.report, frames)
}
