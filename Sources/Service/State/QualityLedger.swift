import JSON
import Synchronization

/// What data quality is computed from: per contract and hour of ingest, how many lines ended how.
final class QualityLedger: Sendable {
    /// Counters of one contract in one hour.
    struct Hour: Sendable {
        var accepted = 0
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

    private let ledgers = Mutex<[String: Ledger]>([:])

    /// An event was accepted.
    func addAccepted(_ contract: ContractEntry, _ root: JSONValue, _ event: EventFrame) {
        let fields = contract.countedFields
        ledgers.withLock { ledgers in
            Self.update(&ledgers, contract.name, event.ingestMicros, fields: fields.count) { hour in
                hour.accepted += 1
                hour.lastEventMicros = max(hour.lastEventMicros, event.eventMicros)
                hour.lastIngestMicros = max(hour.lastIngestMicros, event.ingestMicros)
                for (index, field) in fields.enumerated() {
                    if root.value(at: field.pointer)?.isNull ?? true { hour.nulls[index] += 1 }
                }
            }
        }
    }

    /// Lines repeated accepted events.
    func add(_ frame: DuplicatesFrame) {
        ledgers.withLock { ledgers in
            Self.update(&ledgers, frame.contract, frame.ingestMicros, fields: 0) { hour in
                hour.duplicates += Int(frame.count)
                hour.contentDiffers += Int(frame.contentDiffers)
            }
        }
    }

    /// A line was quarantined.
    func add(_ frame: QuarantineFrame) {
        ledgers.withLock { ledgers in
            Self.update(&ledgers, frame.contract ?? Self.unattributed, frame.ingestMicros, fields: 0) { hour in
                hour.quarantined[frame.code, default: 0] += 1
                hour.lastIngestMicros = max(hour.lastIngestMicros, frame.ingestMicros)
            }
        }
    }

    /// A contract's counters.
    func ledger(_ contract: String) -> Ledger { ledgers.withLock { $0[contract] ?? Ledger() } }

    private static func update(
        _ ledgers: inout [String: Ledger], _ contract: String, _ ingestMicros: Int64, fields: Int,
        _ body: (inout Hour) -> Void
    ) {
        let start = ingestMicros - ((ingestMicros % hourMicros) + hourMicros) % hourMicros
        var hour = ledgers[contract]?.hours[start] ?? Hour(nulls: [])
        ledgers[contract]?.hours[start] = nil
        while hour.nulls.count < fields { hour.nulls.append(0) }
        body(&hour)
        ledgers[contract, default: Ledger()].hours[start] = hour
        if let count = ledgers[contract]?.hours.count, count > hoursMax,
            let oldest = ledgers[contract]?.hours.keys.min()
        {
            ledgers[contract]?.hours.removeValue(forKey: oldest)
        }
    }
}
