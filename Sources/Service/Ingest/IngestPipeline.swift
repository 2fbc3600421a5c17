import Contracts
import Crypto
import HTTP
import JSON
import Journal
import Synchronization

/// What became of one line or element of a request.
enum EventOutcome: Sendable {
    /// Accepted: the index of its frame within its slice's batch.
    case accepted(frame: Int)
    /// Accepted as a correction: the slice that took it, the index of its frame there, the position of what it supersedes.
    case corrected(slice: Int, frame: Int, supersedes: UInt64)
    /// Accepted before.
    case duplicate(contentDiffers: Bool)
    /// Broke a rule.
    case quarantined(violationClass: String, code: String, pointer: String, message: String)
    /// Blank.
    case skipped
}

/// Memory that one thread reuses from slice to slice.
final class IngestWorkspace {
    let parser = JSONParser(limits: JSONLimits(bytesMax: ServiceLimits.eventBytesMax, depthMax: 64))
    let bodyParser = JSONParser(limits: JSONLimits(bytesMax: 1 << 30, depthMax: 66))
    var writer = ByteWriter()
    /// Keys of reference rows earlier in the same request: they stand before what refers to them, also in the journal.
    var newKeys: Set<ReferenceKey> = []
    /// Corrections in the same request: they are taken once all its other events are.
    var corrections: [PendingCorrection] = []
}

/// A key of a reference table.
struct ReferenceKey: Hashable, Sendable {
    let table: String
    let key: String
}

/// Checks events, finds duplicates, appends what remains: the way in.
///
/// Checking runs outside the gate on many threads; reserving an identity and appending its frame happen together under
/// the gate, so that the order of reservations is the order of the journal.
final class IngestPipeline: Sendable {
    private let state: ServiceState
    private let journal: ServiceJournal
    private let clock: WallClock
    private let hashKey: HashKey
    private let contentHash: ContentHash
    private let gate: Mutex<DedupeTable>
    /// Slices that became durable and whose positions the table does not have yet.
    private let settled = Mutex<[SettledSlice]>([])

    init(state: ServiceState, journal: ServiceJournal, clock: WallClock, hashKey: HashKey, dedupe: DedupeTable) {
        self.state = state
        self.journal = journal
        self.clock = clock
        self.hashKey = hashKey
        contentHash = ContentHash(hashKey)
        gate = Mutex(dedupe)
    }

    /// Identities remembered.
    var dedupeCount: Int { gate.withLock { $0.count } }

    /// Takes back reservations whose frames never became durable.
    func release(_ slice: SliceAck) {
        gate.withLock { dedupe in
            for link in slice.links { dedupe.unlink(link) }
            for identity in slice.reserved { dedupe.release(identity) }
            dedupe.reservations.cancel(slice.ticket)
        }
    }

    /// Notes that the frames of reserved identities are durable, the first of them at `firstSeq`. The next one through the
    /// gate writes their positions into the table: the journal thread, which calls this, has no time for it.
    func settle(_ slice: SliceAck, firstSeq: UInt64) {
        settled.withLock { $0.append(SettledSlice(firstSeq: firstSeq, reserved: slice.reserved, links: slice.links)) }
    }

    /// Passes the gate: the table is up to date with what is durable, and nobody else changes it meanwhile.
    func withDedupe<Result>(_ body: (inout DedupeTable) -> Result) -> Result {
        gate.withLock { dedupe in
            let slices = settled.withLock { settled in
                defer { settled.removeAll(keepingCapacity: true) }
                return settled
            }
            for slice in slices { slice.write(into: &dedupe) }
            return body(&dedupe)
        }
    }

    /// Gives a slice its ticket, before its batch is appended: under the gate.
    func send(_ slice: SliceAck, in batch: FrameBatch, _ dedupe: inout DedupeTable) {
        slice.ticket = dedupe.reservations.send(
            slice.reserved, applied: state.appliedTicket.load(ordering: .acquiring))
        batch.token = slice.ticket
    }

    /// One partition of the identities, and which of them are reserved for frames that are not applied yet.
    func capture(partition: Int) -> (partition: DedupePartition, reserved: Set<Hash128>) {
        // Loaded first: what is applied by now has been settled, and is written into the table by passing the gate.
        let applied = state.appliedTicket.load(ordering: .acquiring)
        return withDedupe { dedupe in
            (dedupe.partitions[partition], dedupe.reservations.pending(after: applied, partition: partition))
        }
    }

    /// Which corrections stand in the place of which events, those on their way to the disk left out. Called while no
    /// frame is being applied.
    func captureLinks() -> [(key: Hash128, successor: Hash128)] {
        let applied = state.appliedTicket.load(ordering: .acquiring)
        return withDedupe { dedupe in
            let pending = dedupe.reservations.pending(after: applied)
            return dedupe.partitions.flatMap(\.successors).filter { !pending.contains($0.successor) }
        }
    }

    /// The identity of an event, keyed.
    func identity(source: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer) -> Hash128 {
        var hasher = Hasher128(hashKey)
        hasher.add(source)
        hasher.add(id)
        return hasher.finish()
    }

    /// One event that passed every check, waiting for the gate.
    private struct Candidate {
        let index: Int
        let identity: Hash128
        let content: UInt64
        let payload: Range<Int>
        let contract: String
    }

    /// Handles one slice of a request.
    ///
    /// - Parameters:
    ///   - body: the whole body.
    ///   - slices: the events of this slice.
    ///   - principal: who sends.
    ///   - pending: told when the slice is durable.
    ///   - workspace: this thread's memory.
    /// - Returns: one outcome per event, in order; or why the journal does not take the slice, in which case nothing of it
    ///   has happened.
    func ingest(
        _ body: UnsafeRawBufferPointer, _ slices: ArraySlice<EventSlice>, principal: String, pending: SliceAck,
        _ workspace: IngestWorkspace
    ) -> Result<[EventOutcome], AppendRefusalError> {
        let snapshot = state.snapshot
        let now = clock.now()
        workspace.writer.bytes.removeAll(keepingCapacity: true)
        var outcomes: [EventOutcome] = []
        outcomes.reserveCapacity(slices.count)
        var candidates: [Candidate] = []
        var refused: [QuarantineFrame] = []
        for slice in slices {
            if slice.isBlank {
                outcomes.append(.skipped)
                continue
            }
            let bytes = UnsafeRawBufferPointer(rebasing: body[slice.range])
            switch check(bytes, snapshot, now, workspace) {
            case .correction(var correction):
                correction.index = outcomes.count
                workspace.corrections.append(correction)
                outcomes.append(.skipped)
            case .passed(let identity, let content, let payload, let contract):
                candidates.append(
                    Candidate(
                        index: outcomes.count, identity: identity, content: content, payload: payload,
                        contract: contract))
                outcomes.append(.skipped)
            case .failed(let failure):
                refused.append(quarantine(failure, bytes, now, principal))
                outcomes.append(
                    .quarantined(
                        violationClass: failure.violationClass, code: failure.code, pointer: failure.pointer,
                        message: failure.message))
            }
        }
        return commit(candidates, refused, outcomes, now, pending, workspace)
    }

    private func commit(
        _ candidates: [Candidate], _ refused: [QuarantineFrame], _ outcomes: [EventOutcome], _ now: Int64,
        _ pending: SliceAck, _ workspace: IngestWorkspace
    ) -> Result<[EventOutcome], AppendRefusalError> {
        var outcomes = outcomes
        let batch = FrameBatch(capacity: workspace.writer.bytes.count + 64 * candidates.count + 256)
        batch.context = pending
        let refusal = withDedupe { dedupe -> AppendRefusal? in
            var reserved: [Hash128] = []
            var duplicates = DuplicateCounts()
            var tally = EventTally()
            for candidate in candidates {
                switch dedupe.admit(candidate.identity, content: candidate.content, nowMicros: now) {
                case .new:
                    tally.add(candidate.contract, .accepted)
                    outcomes[candidate.index] = .accepted(frame: batch.frameCount)
                    workspace.writer.bytes.withUnsafeBytes { bytes in
                        batch.add(
                            type: FrameType.event.rawValue,
                            payload: UnsafeRawBufferPointer(rebasing: bytes[candidate.payload]))
                    }
                    reserved.append(candidate.identity)
                case .duplicate:
                    tally.add(candidate.contract, .duplicate)
                    outcomes[candidate.index] = .duplicate(contentDiffers: false)
                    duplicates.add(candidate.contract, contentDiffers: false)
                case .contentDiffers:
                    tally.add(candidate.contract, .duplicate, code: "content_differs")
                    outcomes[candidate.index] = .duplicate(contentDiffers: true)
                    duplicates.add(candidate.contract, contentDiffers: true)
                }
            }
            for frame in refused { tally.add(frame.contract ?? "", .quarantined, code: frame.code) }
            pending.tally = tally
            Self.add(refused, duplicates, now, to: batch)
            pending.reserved = reserved
            send(pending, in: batch, &dedupe)
            if case .refused(let reason) = journal.append(batch) {
                for identity in reserved { dedupe.release(identity) }
                dedupe.reservations.cancel(pending.ticket)
                return reason
            }
            return nil
        }
        if let refusal { return .failure(AppendRefusalError(reason: refusal)) }
        return .success(outcomes)
    }

    /// Adds the frames of what was refused and of what was repeated.
    static func add(_ refused: [QuarantineFrame], _ duplicates: DuplicateCounts, _ now: Int64, to batch: FrameBatch) {
        var writer = ByteWriter()
        for frame in refused {
            writer.bytes.removeAll(keepingCapacity: true)
            frame.encode(into: &writer)
            batch.add(type: FrameType.quarantine.rawValue, payload: writer.bytes)
        }
        for (contract, counts) in duplicates.byContract {
            writer.bytes.removeAll(keepingCapacity: true)
            DuplicatesFrame(
                contract: contract, ingestMicros: now, count: counts.count, contentDiffers: counts.differs
            ).encode(into: &writer)
            batch.add(type: FrameType.duplicates.rawValue, payload: writer.bytes)
        }
    }

    /// Why an event goes to quarantine.
    struct Failure {
        let violationClass: String
        let code: String
        let pointer: String
        let message: String
        var contract: String?
        var source: String?
        var id: String?
    }

    private enum Check {
        case passed(identity: Hash128, content: UInt64, payload: Range<Int>, contract: String)
        case correction(PendingCorrection)
        case failed(Failure)
    }

    private func check(
        _ bytes: UnsafeRawBufferPointer, _ snapshot: Snapshot, _ now: Int64, _ workspace: IngestWorkspace
    ) -> Check {
        let root: JSONValue
        do {
            root = try workspace.parser.parse(bytes)
        } catch {
            return .failed(
                Failure(
                    violationClass: "malformed_json", code: error.code.rawValue, pointer: "",
                    message: "\(error.message) (byte \(error.offset))"))
        }
        guard root.kind == .object else {
            return .failed(
                Failure(
                    violationClass: "malformed_json", code: "not_an_object", pointer: "",
                    message: "an event is a JSON object"))
        }
        let event: CloudEvent
        switch CloudEvent.decode(root, nowMicros: now) {
        case .success(let decoded): event = decoded
        case .failure(let violation): return .failed(failure(violation, root, nil))
        }
        if let violation = Self.oversized(event) { return .failed(failure(violation, root, nil)) }
        guard let contract = snapshot.contractsByType[event.type.string ?? ""] else {
            let violation = Violation(
                class: .contractViolation, code: "unknown_type", pointer: JSONPointer(tokens: ["type"]),
                message: "no contract covers this type")
            return .failed(failure(violation, root, nil))
        }
        // A retraction carries nothing that could hold to a contract.
        if event.isRetraction { return encode(event, root, bytes, contract, now, workspace) }
        if let violation = contract.contract.check(event, nowMicros: now) {
            return .failed(failure(violation, root, contract.name))
        }
        if let violation = tooLate(event, contract) { return .failed(failure(violation, root, contract.name)) }
        let missing = contract.contract.checkReferences(event) { reference, key in
            let key = String(decoding: key, as: UTF8.self)
            return state.references.contains(table: reference.table, key: key)
                || workspace.newKeys.contains(ReferenceKey(table: reference.table, key: key))
        }
        if let missing { return .failed(failure(missing, root, contract.name)) }
        // Whether a correction is taken is not known yet: nothing may refer to its row.
        if event.corrects != nil { return encode(event, root, bytes, contract, now, workspace) }
        contract.contract.withKey(of: event) { key in
            _ = workspace.newKeys.insert(
                ReferenceKey(table: contract.name, key: String(decoding: key, as: UTF8.self)))
        }
        return encode(event, root, bytes, contract, now, workspace)
    }

    private func encode(
        _ event: CloudEvent, _ root: JSONValue, _ bytes: UnsafeRawBufferPointer, _ contract: ContractEntry,
        _ now: Int64, _ workspace: IngestWorkspace
    ) -> Check {
        let start = workspace.writer.bytes.count
        var identity = Hash128(high: 0, low: 0)
        let content = contentHash.hash(root)
        var name = contract.name
        name.withUTF8 { name in
            event.source.withUTF8 { source in
                event.id.withUTF8 { id in
                    event.type.withUTF8 { type in
                        identity = self.identity(
                            source: UnsafeRawBufferPointer(source), id: UnsafeRawBufferPointer(id))
                        let encode = { (subject: UnsafeBufferPointer<UInt8>) in
                            EventFrame(
                                contract: UnsafeRawBufferPointer(name), contractVersion: UInt32(contract.version),
                                ingestMicros: now, eventMicros: event.timeMicros, contentHash: content,
                                source: UnsafeRawBufferPointer(source), id: UnsafeRawBufferPointer(id),
                                type: UnsafeRawBufferPointer(type), subject: UnsafeRawBufferPointer(subject),
                                raw: bytes
                            ).encode(into: &workspace.writer)
                        }
                        if event.subject?.withUTF8(encode) == nil {
                            encode(UnsafeBufferPointer(start: nil, count: 0))
                        }
                    }
                }
            }
        }
        if let corrects = event.corrects?.string {
            defer { workspace.writer.bytes.removeSubrange(start...) }
            return .correction(
                PendingCorrection(
                    identity: identity, content: content, payload: Array(workspace.writer.bytes[start...]),
                    contract: contract.name, corrects: corrects, isRetraction: event.isRetraction, ingestMicros: now))
        }
        return .passed(
            identity: identity, content: content, payload: start..<workspace.writer.bytes.count,
            contract: contract.name)
    }

    /// An event may come late, as far as its contract says: behind the watermark of its source, never by the clock.
    private func tooLate(_ event: CloudEvent, _ contract: ContractEntry) -> Violation? {
        guard let lateness = contract.contract.contract.latenessMicros, let source = event.source.string,
            let watermark = state.sources.watermark(source: source), event.timeMicros < watermark - lateness
        else { return nil }
        return Violation(
            class: .contractViolation, code: Violation.Code.tooLate.rawValue, pointer: JSONPointer(tokens: ["time"]),
            message: "behind the watermark of its source by more than the contract's lateness")
    }

    private func failure(_ violation: Violation, _ root: JSONValue, _ contract: String?) -> Failure {
        Failure(
            violationClass: violation.class.rawValue, code: violation.code, pointer: violation.pointer.text,
            message: violation.message, contract: contract, source: Self.identity(root["source"]),
            id: Self.identity(root["id"]))
    }

    /// An identity that is short enough to be indexed; a longer one stands in the raw bytes only.
    private static func identity(_ value: JSONValue?) -> String? {
        guard let text = value?.string, text.utf8.count <= ServiceLimits.identityBytesMax else { return nil }
        return text
    }

    /// The first attribute past its limit.
    private static func oversized(_ event: CloudEvent) -> Violation? {
        let attributes: [(name: String, value: JSONValue?)] = [
            ("id", event.id), ("source", event.source), ("type", event.type), ("subject", event.subject),
            ("corrects", event.corrects),
        ]
        for (name, value) in attributes {
            // The decoded text is never longer than the source text.
            guard let value, value.raw.count > ServiceLimits.identityBytesMax,
                value.withUTF8({ $0.count }) ?? 0 > ServiceLimits.identityBytesMax
            else { continue }
            return Violation(
                class: .contractViolation, code: "too_long", pointer: JSONPointer(tokens: [name]),
                message: "must be at most \(ServiceLimits.identityBytesMax) bytes")
        }
        return nil
    }

    /// The frame of an event that goes to quarantine.
    func quarantine(
        _ failure: Failure, _ bytes: UnsafeRawBufferPointer, _ now: Int64, _ principal: String
    ) -> QuarantineFrame {
        QuarantineFrame(
            key: [UInt8](SHA256.hash(data: bytes)), ingestMicros: now, violationClass: failure.violationClass,
            code: failure.code, pointer: failure.pointer, message: failure.message, contract: failure.contract,
            source: failure.source, id: failure.id, principal: principal, rawSize: UInt32(bytes.count),
            raw: [UInt8](bytes.prefix(ServiceLimits.quarantineRawBytesMax)))
    }
}
