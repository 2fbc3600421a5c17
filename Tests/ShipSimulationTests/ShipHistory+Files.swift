import JournalSimulation

@testable import Journal
@testable import Postgres
@testable import Service

/// What somebody or something does to the directory while the daemon is away. Each looks at a copy of the files.
extension ShipHistory {
    /// All files as they are now.
    var files: [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for name in (try? storage.names()) ?? [] { found[name] = storage.contents(name) }
        return found
    }

    private func copy(_ files: [String: [UInt8]]) -> SimulatedStorage {
        let copy = SimulatedStorage(seed: seed)
        for (name, bytes) in files.sorted(by: { $0.key < $1.key }) { copy.setContents(name, bytes) }
        return copy
    }

    private func frames(in storage: SimulatedStorage) -> Result<[Frame], JournalError> {
        var read: [Frame] = []
        do throws(JournalError) {
            _ = try JournalRecovery.open(storage, options: options) {
                read.append(Frame(seq: $0.seq, event: SimulatedEvent($0.payload)))
            }
            return .success(read)
        } catch {
            return .failure(error)
        }
    }

    /// One bit of one segment is flipped: the file is named, or what may be an unfinished write is cut.
    mutating func flipBit() throws(Violation) {
        var files = files.filter { $0.key.hasSuffix(".segment") }
        let names = files.keys.sorted()
        guard let name = names.randomElement(using: &random), let content = files[name], !content.isEmpty,
            case .success(let before) = frames(in: copy(files))
        else { return }
        let place = Int.random(in: 0..<content.count, using: &random)
        files[name]?[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        count("bit_flip")
        switch frames(in: copy(files)) {
        case .success(let after):
            try require(name == names.last, "a flip in \(name)@\(place), which is complete, was not seen")
            try require(before.starts(with: after), "a flip in \(name)@\(place) changed a frame")
        case .failure(let error):
            count("bit_flip_named")
            try require(error.file == name, "a flip in \(name)@\(place) was found as \(error)")
        }
    }

    /// An older state of the directory is put back and written to: nothing of it may reach a database that has more.
    mutating func putBackOldDirectory() throws(Violation) {
        guard !oldFiles.isEmpty else { return }
        var database = database
        database.heal()
        guard let recovered = try? JournalRecovery.open(copy(oldFiles), options: options, replay: { _ in }),
            recovered.report.lastSeq + 1 < database.nextSeq
        else { return }
        count("old_directory")
        let core = JournalCore(recovered)
        var life = Life(
            core: core, reader: JournalReader(index: recovered.index), machine: ShipMachine(batchFramesMax: 50),
            memory: SimulatedMemory(), appliedSeq: recovered.report.lastSeq)
        let stored = database.nextSeq
        for isWrittenTo in [false, true] {
            var number = identities
            while isWrittenTo, core.nextSeq <= stored + 2 {
                number += 1
                let event = SimulatedEvent(identity: number, entity: 0, day: 0, isPoison: false, value: 1)
                let batch = FrameBatch()
                batch.add(type: 1, payload: event.payload(padding: 0))
                guard case .durable = core.commit([batch][...]) else { return }
            }
            life.appliedSeq = core.nextSeq - 1
            guard (try? database.connect()) != nil, let found = try? database.position() else { return }
            let isOurs = isOurs(found.next, found.fingerprint, life)
            try require(!isOurs, "an old directory passes for the journal at \(found.next)")
            _ = life.machine.settled(at: found.next, isOurs: isOurs)
            let step = life.machine.step(isConnected: true, isStopping: false, appliedSeq: life.appliedSeq)
            try require(step == .standStill, "an old directory is shipped: \(step)")
        }
    }
}
