import Glibc
import Journal
import Synchronization

// Appends per second with a fixed number of tickets in flight, against a bare loop of pwrite(2) + fdatasync(2) on a
// preallocated file with the same bytes per group. One run, both sides, alternating.

/// Appends every acknowledged batch again until the time is over.
final class Loop: JournalObserver {
    private let writer = Mutex<JournalWriter<Loop, PosixStorage>?>(nil)
    private let isOver = Atomic<Bool>(false)
    let open = Atomic<Int>(0)
    let syncNanoseconds = Atomic<UInt64>(0)
    let writeNanoseconds = Atomic<UInt64>(0)

    func start(_ writer: JournalWriter<Loop, PosixStorage>, tickets: Int, payloadBytes: Int) {
        self.writer.withLock { $0 = writer }
        let payload = [UInt8](repeating: 0x5A, count: payloadBytes)
        for _ in 0..<tickets {
            let batch = FrameBatch(capacity: payloadBytes + 64)
            batch.add(type: 1, payload: payload)
            open.add(1, ordering: .relaxed)
            guard writer.append(batch) == .accepted else { fatalError("refused") }
        }
    }

    func finish() {
        isOver.store(true, ordering: .relaxed)
        while open.load(ordering: .relaxed) > 0 { usleep(1000) }
        writer.withLock { $0 = nil }
    }

    func groupDurable(_ group: DurableGroup) {
        syncNanoseconds.add(group.syncNanoseconds, ordering: .relaxed)
        writeNanoseconds.add(group.writeNanoseconds, ordering: .relaxed)
        let writer = writer.withLock { $0 }
        let isOver = isOver.load(ordering: .relaxed)
        for durable in group {
            if isOver {
                open.subtract(1, ordering: .relaxed)
            } else if writer?.append(durable.batch) != .accepted {
                fatalError("refused")
            }
        }
    }

    func batchesAbandoned(_ batches: ArraySlice<FrameBatch>, reason: AppendRefusal) { fatalError("\(reason)") }
    func journalStateChanged(_ state: JournalState) {}
}

func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func bare(_ path: String, groupBytes: Int, perGroup: Int, duration: Double, zeroFill: Bool) -> Double {
    let descriptor = open(path + "/bare.tmp", O_CREAT | O_RDWR | O_TRUNC, 0o600)
    let fileBytes = 64 << 20
    guard descriptor >= 0, posix_fallocate(descriptor, 0, fileBytes) == 0 else { fatalError("bare.tmp") }
    let buffer = [UInt8](repeating: 0x5A, count: groupBytes)
    if zeroFill {
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        for block in 0..<64 { _ = pwrite(descriptor, zeros, zeros.count, block << 20) }
    }
    fsync(descriptor)
    defer {
        close(descriptor)
        unlink(path + "/bare.tmp")
    }
    var offset = 0
    var groups = 0
    let start = seconds()
    while seconds() - start < duration {
        if offset + groupBytes > fileBytes { offset = 0 }
        guard pwrite(descriptor, buffer, groupBytes, offset) == groupBytes, fdatasync(descriptor) == 0 else {
            fatalError("bare write")
        }
        offset += groupBytes
        groups += 1
    }
    return Double(groups * perGroup) / (seconds() - start)
}

func journal(
    _ path: String, payloadBytes: Int, tickets: Int, duration: Double, preallocation: Preallocation
) throws -> (rate: Double, line: String, perGroup: Double, groupBytes: Double) {
    _ = mkdir(path + "/journal", 0o700)
    let storage = try PosixStorage(path: path + "/journal")
    for name in try storage.names() { try storage.remove(name) }
    var options = JournalOptions()
    options.preallocation = preallocation
    let loop = Loop()
    let writer = JournalWriter(try JournalRecovery.open(storage, options: options) { _ in }, observer: loop)
    let start = seconds()
    loop.start(writer, tickets: tickets, payloadBytes: payloadBytes)
    while seconds() - start < duration { usleep(10_000) }
    let counts = writer.statistics
    let rate = Double(counts.frames) / (seconds() - start)
    loop.finish()
    writer.stop()
    let groups = Double(max(1, counts.groups))
    let sync = Double(loop.syncNanoseconds.load(ordering: .relaxed)) / groups / 1000
    let write = Double(loop.writeNanoseconds.load(ordering: .relaxed)) / groups / 1000
    let perGroup = Double(counts.frames) / groups
    return (
        rate,
        "frames/group \(perGroup.rounded()), sync \(sync.rounded()) us, write \(write.rounded()) us, groups "
            + "\(counts.groups)", perGroup, Double(counts.bytes) / groups
    )
}

let path = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "."
let duration = CommandLine.arguments.count > 2 ? Double(CommandLine.arguments[2]) ?? 3 : 3
for preallocation in [Preallocation.allocate, .zeroFill] {
    for payloadBytes in [400, 2048] {
        for tickets in [1, 128, 256] {
            let ours = try journal(
                path, payloadBytes: payloadBytes, tickets: tickets, duration: duration, preallocation: preallocation)
            let perGroup = Int(ours.perGroup.rounded())
            let floor = bare(
                path, groupBytes: Int(ours.groupBytes), perGroup: perGroup, duration: duration, zeroFill: false)
            let zeroed = bare(
                path, groupBytes: Int(ours.groupBytes), perGroup: perGroup, duration: duration, zeroFill: true)
            print(
                "\(preallocation) payload \(payloadBytes) tickets \(tickets): journal \(Int(ours.rate))/s, bare "
                    + "\(Int(floor))/s, ratio \(Int(ours.rate / floor * 100)) %; bare on zeroed blocks "
                    + "\(Int(zeroed))/s; \(ours.line)")
        }
    }
}
