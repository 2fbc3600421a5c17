import Synchronization

/// The clocks of sources: how far each is in event time, and how far behind its ingest is.
///
/// A source's watermark is the largest event time that it has sent, no later than the ingest time of that event; so it
/// follows the data, for history as for a live stream, and an event from the future does not run away with it. Written by
/// the applier from frames alone, so that it is the same after a restart.
final class SourceClocks: Sendable {
    /// One source.
    struct Clock: Sendable {
        let source: String
        var accepted = 0
        /// Accepted events whose time lay before the watermark.
        var late = 0
        /// Events refused since they came later than their contract's lateness.
        var tooLate = 0
        /// Events refused since their time lay ahead of the clock.
        var future = 0
        /// [microseconds]; `.min` before the first accepted event.
        var watermarkMicros = Int64.min
        /// The latest event time and the last ingest time of accepted events [microseconds].
        var lastEventMicros = Int64.min
        var lastIngestMicros = Int64.min
        /// Ingest time minus event time.
        var lag = LagHistogram()
    }

    struct State: Sendable {
        var indexes: [String: Int] = [:]
        var clocks: [Clock] = []
        /// Sources of each contract's events.
        var contracts: [String: Set<Int>] = [:]
        /// The source and the contract of the last event: streams come in runs.
        var last: (source: String, contract: String, index: Int)?
        var newestIngestMicros = Int64.min
    }

    let state = Mutex(State())

    /// Sources that have clocks of their own; further ones share one under ``otherSource``.
    static let sourcesMax = 10_000
    /// The name under which further sources are counted.
    static let otherSource = "__other__"
    /// A source that has sent nothing for so long, by the ingest time of the others, holds no watermark back
    /// [microseconds]: five minutes.
    static let idleMicros: Int64 = 300_000_000

    /// An event was accepted. Journal thread only, in seq order.
    func add(source: UnsafeRawBufferPointer, contract: String, eventMicros: Int64, ingestMicros: Int64) {
        state.withLock { state in
            let index = Self.index(of: source, contract, &state)
            state.newestIngestMicros = max(state.newestIngestMicros, ingestMicros)
            state.clocks[index].add(eventMicros: eventMicros, ingestMicros: ingestMicros)
        }
    }

    /// An event was refused for its time: `future_time` or `too_late`.
    func addRefused(source: String, code: String) {
        guard code == "future_time" || code == "too_late" else { return }
        state.withLock { state in
            let index = Self.index(of: source, &state)
            if code == "too_late" { state.clocks[index].tooLate += 1 } else { state.clocks[index].future += 1 }
        }
    }

    /// The watermark of a source [microseconds]; nil before its first accepted event.
    func watermark(source: String) -> Int64? {
        state.withLock { state in
            guard let index = state.indexes[source] else { return nil }
            return state.clocks[index].watermarkMicros == .min ? nil : state.clocks[index].watermarkMicros
        }
    }

    /// The watermark of a contract's events: the lowest of its sources that are not idle; nil before its first event.
    func watermark(contract: String) -> Int64? {
        state.withLock { state in
            let clocks = (state.contracts[contract] ?? []).map { state.clocks[$0] }
            guard let newest = clocks.map(\.lastIngestMicros).max() else { return nil }
            return clocks.filter { newest - $0.lastIngestMicros <= Self.idleMicros }.map(\.watermarkMicros).min()
        }
    }

    /// A page of sources in the order of their first events, from the one of this index on.
    func page(from index: Int, limit: Int) -> [(clock: Clock, isIdle: Bool)] {
        state.withLock { state in
            state.clocks.dropFirst(index).prefix(limit).map { clock in
                let isSilent = clock.lastIngestMicros == .min
                return (clock, isSilent || state.newestIngestMicros - clock.lastIngestMicros > Self.idleMicros)
            }
        }
    }

    /// Sources known.
    var count: Int { state.withLock { $0.clocks.count } }

    private static func index(of source: UnsafeRawBufferPointer, _ contract: String, _ state: inout State) -> Int {
        if let last = state.last, last.contract == contract, last.source.equals(utf8: source) { return last.index }
        let name = String(decoding: source, as: UTF8.self)
        let index = index(of: name, &state)
        state.contracts[contract, default: []].insert(index)
        state.last = (name, contract, index)
        return index
    }

    private static func index(of name: String, _ state: inout State) -> Int {
        if let known = state.indexes[name] { return known }
        if state.clocks.count >= sourcesMax {
            if let other = state.indexes[otherSource] { return other }
            // The last place is the others'.
            return add(otherSource, &state)
        }
        return add(name, &state)
    }

    private static func add(_ name: String, _ state: inout State) -> Int {
        state.clocks.append(Clock(source: name))
        state.indexes[name] = state.clocks.count - 1
        return state.clocks.count - 1
    }
}

extension SourceClocks.Clock {
    fileprivate mutating func add(eventMicros: Int64, ingestMicros: Int64) {
        accepted += 1
        if eventMicros < watermarkMicros { late += 1 }
        watermarkMicros = max(watermarkMicros, min(eventMicros, ingestMicros))
        lastEventMicros = max(lastEventMicros, eventMicros)
        lastIngestMicros = max(lastIngestMicros, ingestMicros)
        lag.add(ingestMicros - eventMicros)
    }
}

/// Counts of durations in buckets that grow with them: a quantile is at most an eighth too large, and never too small.
struct LagHistogram: Sendable, Equatable {
    /// By bucket; as long as the largest duration needs.
    var counts: [UInt32] = []
    var total = 0

    /// Counts a duration [microseconds]; a negative one counts as none. Exact below 8 ms.
    mutating func add(_ micros: Int64) {
        let bucket = Self.bucket(UInt64(max(0, micros)) / 1_000)
        while counts.count <= bucket { counts.append(0) }
        counts[bucket] &+= 1
        total += 1
    }

    /// The duration that this share of all is no longer than [milliseconds]; nil when there is none.
    func quantile(_ share: Double) -> Int64? {
        guard total > 0 else { return nil }
        var left = max(1, Int((Double(total) * share).rounded(.up)))
        for (bucket, count) in counts.enumerated() {
            left -= Int(count)
            if left <= 0 { return Int64(clamping: Self.upperBound(bucket)) }
        }
        return Int64(clamping: Self.upperBound(counts.count - 1))
    }

    /// Eight buckets to each doubling, one to each of the first eight milliseconds.
    private static func bucket(_ milliseconds: UInt64) -> Int {
        if milliseconds < 8 { return Int(milliseconds) }
        let exponent = 63 - milliseconds.leadingZeroBitCount
        return (exponent - 2) * 8 + Int((milliseconds >> UInt64(exponent - 3)) & 7)
    }

    private static func upperBound(_ bucket: Int) -> UInt64 {
        if bucket < 8 { return UInt64(bucket) }
        let exponent = UInt64(bucket / 8 + 2)
        return ((UInt64(bucket % 8) + 9) << (exponent - 3)) - 1
    }
}

extension String {
    /// Whether these are the text's bytes; allocates nothing.
    func equals(utf8 bytes: UnsafeRawBufferPointer) -> Bool {
        var copy = self
        return copy.withUTF8 { $0.count == bytes.count && UnsafeRawBufferPointer($0).elementsEqual(bytes) }
    }
}
