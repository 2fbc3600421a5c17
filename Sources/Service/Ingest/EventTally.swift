import Telemetry

/// How many events of a slice ended how, by contract: what `/metrics` counts.
struct EventTally: Sendable {
    /// One way to end.
    private struct Entry: Sendable {
        /// Empty before a contract was found.
        let contract: String
        let disposition: Observation.Disposition
        /// Why it was not accepted; empty when it was.
        let code: String
        var count: Int
    }

    // A slice has few contracts and codes, so that looking through them is cheaper than hashing.
    private var entries: [Entry] = []

    /// Counts one event.
    mutating func add(_ contract: String, _ disposition: Observation.Disposition, code: String = "") {
        for index in entries.indices
        where entries[index].disposition == disposition && entries[index].code == code
            && entries[index].contract == contract
        {
            entries[index].count += 1
            return
        }
        entries.append(Entry(contract: contract, disposition: disposition, code: code, count: 1))
    }

    /// Every count, once.
    func observe(into metrics: Metrics, at micros: Int64) {
        for entry in entries {
            metrics.observe(
                .events(
                    contract: entry.contract, disposition: entry.disposition, code: entry.code, count: entry.count),
                at: micros)
        }
    }
}
