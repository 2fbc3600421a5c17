import JSON
import Synchronization

/// What data quality is computed from: per contract and hour of ingest, how many lines ended how.
final class QualityLedger: Sendable {
    /// Counters of one contract in one hour.
    struct Hour: Sendable {
        /// Accepted events, corrections included.
        var accepted = 0
        /// Those among them that correct an earlier event, and of these the ones that only take it back.
        var corrections = 0
        var retractions = 0
        var duplicates = 0
        var contentDiffers = 0
        /// Quarantined lines by code.
        var quarantined: [String: Int] = [:]
        /// Accepted events in which a field was absent or null, by the field's index in the contract's schema.
        var nulls: [Int]
        /// Newest event time [microseconds].
        var lastEventMicros: Int64 = .min
        /// Newest ingest time [microseconds].
        var lastIngestMicros: Int64 = .min
    }

    /// Counters of one contract.
    struct Ledger: Sendable {
        /// By start of the hour [microseconds].
        var hours: [Int64: Hour] = [:]
    }

    /// Lines that never got as far as a contract (malformed JSON, no CloudEvent, no contract for the type).
    static let unattributed = "(none)"
    static let hourMicros: Int64 = 3_600_000_000
    /// Hours kept in memory for each contract; older ones can be computed from PostgreSQL.
    static let hoursMax = 24 * 92

    /// An hour in place, so that counting an event copies nothing.
    final class Cell {
        var hour = Hour(nulls: [])
    }

    struct State {
        var contracts: [String: [Int64: Cell]] = [:]
    }

    let state = Mutex(State())

    /// An event was accepted.
    func addAccepted(_ contract: ContractEntry, _ root: JSONValue, _ event: EventFrame) {
        let fields = contract.countedFields
        var missing: [Int] = []
        // A required field of an accepted event is there.
        for (index, field) in fields.enumerated() where !field.isRequired {
            if root.value(at: field.pointer)?.isNull ?? true { missing.append(index) }
        }
        let (name, ingestMicros, eventMicros) = (contract.name, event.ingestMicros, event.eventMicros)
        state.withLock { [missing] state in
            Self.update(&state, name, ingestMicros, fields: fields.count) { hour in
                hour.accepted += 1
                hour.lastEventMicros = max(hour.lastEventMicros, eventMicros)
                hour.lastIngestMicros = max(hour.lastIngestMicros, ingestMicros)
                for index in missing { hour.nulls[index] += 1 }
            }
        }
    }

    /// A correction was accepted; without a replacement it is a retraction, which has no fields to count.
    func addCorrection(_ contract: ContractEntry, _ replacement: JSONValue?, _ event: EventFrame) {
        if let replacement { addAccepted(contract, replacement, event) }
        let (name, ingestMicros, isRetraction) = (contract.name, event.ingestMicros, replacement == nil)
        state.withLock { state in
            Self.update(&state, name, ingestMicros, fields: 0) { hour in
                hour.corrections += 1
                hour.lastIngestMicros = max(hour.lastIngestMicros, ingestMicros)
                if isRetraction {
                    hour.accepted += 1
                    hour.retractions += 1
                }
            }
        }
    }

    /// Lines repeated accepted events.
    func add(_ frame: DuplicatesFrame) {
        state.withLock { state in
            Self.update(&state, frame.contract, frame.ingestMicros, fields: 0) { hour in
                hour.duplicates += Int(frame.count)
                hour.contentDiffers += Int(frame.contentDiffers)
            }
        }
    }

    /// A line was quarantined.
    func add(_ frame: QuarantineFrame) {
        state.withLock { state in
            Self.update(&state, frame.contract ?? Self.unattributed, frame.ingestMicros, fields: 0) { hour in
                hour.quarantined[frame.code, default: 0] += 1
                hour.lastIngestMicros = max(hour.lastIngestMicros, frame.ingestMicros)
            }
        }
    }

    /// A contract's counters, copied.
    func ledger(_ contract: String) -> Ledger {
        state.withLock { state in Ledger(hours: (state.contracts[contract] ?? [:]).mapValues(\.hour)) }
    }

    /// Newest event time among the accepted events of a contract [microseconds]; nil when it has none.
    func newestEventMicros(_ contract: String) -> Int64? {
        state.withLock { state in
            var newest: Int64?
            for cell in (state.contracts[contract] ?? [:]).values where cell.hour.accepted > 0 {
                newest = max(newest ?? .min, cell.hour.lastEventMicros)
            }
            return newest
        }
    }

    /// Puts an hour's counters in place.
    func put(_ hour: Hour, contract: String, start: Int64) {
        state.withLock { state in
            let cell = Cell()
            cell.hour = hour
            state.contracts[contract, default: [:]][start] = cell
        }
    }

    private static func update(
        _ state: inout State, _ contract: String, _ ingestMicros: Int64, fields: Int, _ body: (inout Hour) -> Void
    ) {
        let start = ingestMicros - ((ingestMicros % hourMicros) + hourMicros) % hourMicros
        if let cell = state.contracts[contract]?[start] {
            while cell.hour.nulls.count < fields { cell.hour.nulls.append(0) }
            body(&cell.hour)
            return
        }
        let cell = Cell()
        cell.hour.nulls = Array(repeating: 0, count: fields)
        body(&cell.hour)
        state.contracts[contract, default: [:]][start] = cell
        if let hours = state.contracts[contract], hours.count > hoursMax, let oldest = hours.keys.min() {
            state.contracts[contract]?.removeValue(forKey: oldest)
        }
    }
}
