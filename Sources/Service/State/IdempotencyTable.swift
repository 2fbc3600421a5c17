import JSON
import Journal
import Synchronization

/// What a claim of an `Idempotency-Key` led to: the frame in the journal, and the id by which PostgreSQL knows it once the
/// frame's segment is recycled.
struct DurableEffect: Sendable, Equatable {
    let position: JournalPosition
    /// Of the DecisionRecord or the outcome.
    let id: RecordID
}

/// Claims of `Idempotency-Key` within the last day, by hash of (principal, operation, key).
///
/// A claim is made before its frame is appended; a second request with the same key waits for the first one's frame and
/// is then answered from it. Rebuilt from the journal at start.
final class IdempotencyTable: Sendable {
    /// What is known of a key.
    enum Verdict: Sendable {
        /// Nobody used it: it is claimed by this call.
        case claimed
        /// Its effect is durable.
        case done(DurableEffect)
        /// Its effect is on the way to the disk.
        case inFlight
        /// It was used with another payload.
        case payloadDiffers
    }

    struct Entry: Sendable {
        let payload: UInt64
        var effect: DurableEffect?
        let atMicros: Int64
    }

    struct State: Sendable {
        var entries: [Hash128: Entry] = [:]
        var order: [(key: Hash128, atMicros: Int64)] = []
        var head = 0
    }

    let state = Mutex(State())
    /// How long a key is remembered [microseconds]: 24 hours.
    static let horizonMicros: Int64 = 86_400_000_000

    /// Looks the key up and claims it when it is free.
    func claim(_ claim: IdempotencyClaim, nowMicros: Int64) -> Verdict {
        state.withLock { state in
            Self.expire(&state, nowMicros)
            guard let entry = state.entries[claim.key] else {
                state.entries[claim.key] = Entry(payload: claim.payload, effect: nil, atMicros: nowMicros)
                state.order.append((claim.key, nowMicros))
                return .claimed
            }
            if entry.payload != claim.payload { return .payloadDiffers }
            return entry.effect.map(Verdict.done) ?? .inFlight
        }
    }

    /// The effect of the claim is durable.
    func complete(_ claim: IdempotencyClaim, _ effect: DurableEffect, atMicros: Int64) {
        state.withLock { state in
            state.order.append((claim.key, atMicros))
            state.entries[claim.key] = Entry(payload: claim.payload, effect: effect, atMicros: atMicros)
        }
    }

    /// The claim's effect was refused: the key is free again.
    func release(_ claim: IdempotencyClaim) {
        state.withLock { state in
            if state.entries[claim.key]?.effect == nil { state.entries.removeValue(forKey: claim.key) }
        }
    }

    private static func expire(_ state: inout State, _ nowMicros: Int64) {
        while state.head < state.order.count, state.order[state.head].atMicros < nowMicros - horizonMicros {
            let key = state.order[state.head].key
            if let entry = state.entries[key], entry.atMicros <= state.order[state.head].atMicros {
                state.entries.removeValue(forKey: key)
            }
            state.head += 1
        }
        if state.head > 4096 && state.head * 2 > state.order.count {
            state.order.removeFirst(state.head)
            state.head = 0
        }
    }
}
