import Features
import Journal
import JournalSimulation

/// libFuzzer's entry: any bytes as a snapshot, or as the parts of one whose checksums are right, or as a saved shard of the
/// feature store. Refused or taken; what is taken can be read, grown and saved again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSnapshot(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let mode = input.first else { return 0 }
    let rest = Array(input.dropFirst())
    switch mode & 3 {
    case 0: readAsFile(rest)
    case 1: readAsParts(rest)
    default: restore(rest)
    }
    return 0
}

private func readAsFile(_ bytes: [UInt8]) {
    let storage = SimulatedStorage(seed: 1)
    storage.setContents("00000000000000000005.snapshot", bytes)
    var seen: UInt64 = 0
    do throws(JournalError) {
        let summary = try SnapshotFiles.read(seq: 5, in: storage) { (_, piece) throws(ReplayRefusal) in
            if case .data(let data) = piece { seen += UInt64(data.count) }
        }
        precondition(summary.parts.reduce(0) { $0 + $1.bytes } == seen)
    } catch {
        precondition(!error.message.isEmpty)
    }
    precondition(JournalInspection.verify(storage).snapshots.count == 1)
}

/// Cuts the bytes into parts, writes them as a snapshot and reads them back.
private func readAsParts(_ bytes: [UInt8]) {
    let storage = SimulatedStorage(seed: 1)
    var parts: [(name: String, bytes: [UInt8])] = []
    var position = 0
    while position + 2 <= bytes.count {
        let length = min(Int(bytes[position]) << 2, bytes.count - position - 2)
        parts.append(("p\(bytes[position + 1])", Array(bytes[(position + 2)..<(position + 2 + length)])))
        position += 2 + length
    }
    do {
        let writer = try SnapshotWriter(storage, journalID: JournalID(high: 1, low: 2), seq: 5, createdMicros: 0)
        for part in parts {
            try writer.begin(part: part.name, position: 5)
            try part.bytes.withUnsafeBytes { try writer.add($0) }
        }
        try writer.finish()
        var read: [(name: String, bytes: [UInt8])] = []
        try SnapshotFiles.read(seq: 5, in: storage) { (_, piece) throws(ReplayRefusal) in
            switch piece {
            case .part(let name, _): read.append((name, []))
            case .data(let data): read[read.count - 1].bytes += Array(data)
            }
        }
        precondition(read.elementsEqual(parts) { $0.name == $1.name && $0.bytes == $1.bytes })
    } catch {
        preconditionFailure("\(error)")
    }
}

private func view() -> FeatureView {
    do {
        return try FeatureView.compile(
            FeatureViewSpec(
                name: "v", version: 1, contract: "c", entity: "e",
                columns: [
                    ColumnSpec(name: "amount", kind: .decimal(scale: 2), path: ""),
                    ColumnSpec(name: "text", kind: .string, path: ""),
                ],
                features: [
                    FeatureSpec(name: "n", aggregate: .count, window: .micros(1_000)),
                    FeatureSpec(name: "sum", aggregate: .sum, column: "amount", window: .allHistory),
                    FeatureSpec(name: "last", aggregate: .last, column: "text", window: .allHistory),
                    FeatureSpec(name: "distinct", aggregate: .distinct, column: "text", window: .micros(10_000)),
                ], entityEventsMax: 20))
    } catch {
        preconditionFailure("\(error)")
    }
}

private func event(_ number: Int64) -> FeatureEvent {
    FeatureEvent(
        entity: "e\(number % 3)", source: number % 2 == 0 ? "/a" : "/b", id: "id-\(number)", time: number * 97 % 3_000,
        ingestTime: number, seq: number, values: [.scaled(number), number % 5 == 0 ? .null : .string("t\(number % 4)")])
}

/// The bytes of a good shard.
private func goodShard() -> [UInt8] {
    let store = FeatureStore(shards: 1)
    let saved = SavedView(index: store.add(view()), name: "v", fingerprint: 9)
    for number in 1...30 as ClosedRange<Int64> { store.apply(view: saved.index, event(number)) }
    return store.encodeShard(0, views: [saved])
}

/// Edits a good shard by the input (place, value), or takes the input as it is.
private func restore(_ input: [UInt8]) {
    var bytes = input
    if input.first ?? 0 < 128 {
        bytes = goodShard()
        var position = 1
        while position + 3 <= input.count {
            bytes[(Int(input[position]) << 8 | Int(input[position + 1])) % bytes.count] = input[position + 2]
            position += 3
        }
    }
    let store = FeatureStore(shards: 1)
    let saved = SavedView(index: store.add(view()), name: "v", fingerprint: 9)
    do throws(FeatureRestoreError) {
        _ = try store.restoreShard(0, from: bytes, seq: 10, views: [saved])
    } catch {
        precondition(!error.what.isEmpty)
        return
    }
    for number in 8...40 as ClosedRange<Int64> { store.apply(view: saved.index, event(number)) }
    var vector = FeatureVector()
    guard let plan = try? store.plan(view: saved.index) else { preconditionFailure("the view is there") }
    for entity in 0..<3 {
        for time in [0, 1_500, 1 << 50] as [Int64] { store.read("e\(entity)", plan, asOf: time, into: &vector) }
    }
    _ = store.encodeShard(0, views: [saved])
}
