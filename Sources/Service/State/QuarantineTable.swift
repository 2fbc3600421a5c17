import Synchronization

/// One quarantined line as memory knows it.
struct QuarantineEntry: Sendable {
    /// The frame of its first arrival.
    let frame: QuarantineFrame
    /// Journal position of its first arrival.
    let seq: UInt64
    /// How often the same bytes arrived.
    var count: Int
    /// Ingest time of the last arrival [microseconds].
    var lastMicros: Int64
    /// False once an event of the same (source, id) was accepted.
    var isOpen: Bool
}

/// Open quarantine entries by the hash of their bytes, newest last.
///
/// Bounded: past `entriesMax` the oldest leave memory (PostgreSQL keeps them) and `dropped` counts them.
final class QuarantineTable: Sendable {
    struct State: Sendable {
        var entries: [[UInt8]: QuarantineEntry] = [:]
        var order: [[UInt8]] = []
        var bySource: [String: [[UInt8]]] = [:]
        var dropped = 0
        var total = 0
    }

    let state = Mutex(State())
    private let entriesMax: Int

    init(entriesMax: Int) {
        self.entriesMax = entriesMax
    }

    /// Takes an arrival; the same bytes again raise the count.
    func add(_ frame: QuarantineFrame, seq: UInt64) {
        state.withLock { state in
            state.total += 1
            if var known = state.entries[frame.key] {
                known.count += 1
                known.lastMicros = frame.ingestMicros
                if !known.isOpen, let identity = Self.identity(frame.source, frame.id) {
                    state.bySource[identity, default: []].append(frame.key)
                }
                known.isOpen = true
                state.entries[frame.key] = known
                return
            }
            state.entries[frame.key] = QuarantineEntry(
                frame: frame, seq: seq, count: 1, lastMicros: frame.ingestMicros, isOpen: true)
            state.order.append(frame.key)
            if let identity = Self.identity(frame.source, frame.id) {
                state.bySource[identity, default: []].append(frame.key)
            }
            if state.order.count > entriesMax { Self.dropOldest(&state) }
        }
    }

    /// Shows an entry that the shipper made or found, in its place by position; known bytes change nothing. No acceptance
    /// closes it.
    func show(_ frame: QuarantineFrame, seq: UInt64) {
        state.withLock { state in
            guard state.entries[frame.key] == nil else { return }
            state.entries[frame.key] = QuarantineEntry(
                frame: frame, seq: seq, count: 1, lastMicros: frame.ingestMicros, isOpen: true)
            // Near the end most of the time, since what is shipped is recent.
            var place = state.order.count
            while place > 0, let before = state.entries[state.order[place - 1]], before.seq > seq { place -= 1 }
            state.order.insert(frame.key, at: place)
            if state.order.count > entriesMax { Self.dropOldest(&state) }
        }
    }

    /// Puts an entry back, newer than all there are.
    func restore(_ entry: QuarantineEntry) {
        state.withLock { state in
            let key = entry.frame.key
            guard state.entries[key] == nil else { return }
            state.entries[key] = entry
            state.order.append(key)
            if entry.isOpen, let identity = Self.identity(entry.frame.source, entry.frame.id) {
                state.bySource[identity, default: []].append(key)
            }
            if state.order.count > entriesMax { Self.dropOldest(&state) }
        }
    }

    /// Closes the entries of an identity: an event with it was accepted.
    func close(source: String, id: String) {
        state.withLock { state in
            guard !state.bySource.isEmpty, let identity = Self.identity(source, id),
                let keys = state.bySource.removeValue(forKey: identity)
            else { return }
            for key in keys { state.entries[key]?.isOpen = false }
        }
    }

    /// Whether any open entry could be closed by an acceptance; cheap, asked for every event.
    var hasIdentities: Bool {
        state.withLock { !$0.bySource.isEmpty }
    }

    /// A page of entries, oldest first, after `cursor` (a seq).
    func page(after cursor: UInt64, limit: Int, where matches: (QuarantineEntry) -> Bool) -> [QuarantineEntry] {
        state.withLock { state in
            var page: [QuarantineEntry] = []
            for key in state.order {
                guard let entry = state.entries[key], entry.seq > cursor, matches(entry) else { continue }
                page.append(entry)
                if page.count == limit { break }
            }
            return page
        }
    }

    /// Entries in memory, and how many left it past the limit.
    var counts: (entries: Int, arrivals: Int, dropped: Int) {
        state.withLock { ($0.entries.count, $0.total, $0.dropped) }
    }

    private static func identity(_ source: String?, _ id: String?) -> String? {
        guard let source, let id else { return nil }
        return "\(source.utf8.count):\(source)\(id)"
    }

    private static func dropOldest(_ state: inout State) {
        let key = state.order.removeFirst()
        state.dropped += 1
        guard let gone = state.entries.removeValue(forKey: key),
            let identity = identity(gone.frame.source, gone.frame.id)
        else { return }
        state.bySource[identity]?.removeAll { $0 == key }
        if state.bySource[identity]?.isEmpty == true { state.bySource.removeValue(forKey: identity) }
    }
}
