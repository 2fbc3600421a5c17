import Features
import Postgres

/// One (entity, time) at which served features are compared.
struct ParityPoint: Sendable, Equatable {
    /// The entity's key, part by part.
    var parts: [String]
    var asOfMicros: Int64
    /// What counts as known: nil for everything, or what was ingested by this time [microseconds].
    var knownMicros: Int64?
}

/// A generator of random numbers whose sequence follows from its seed (SplitMix64, Steele et al. 2014).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

/// Picks points at random, the same ones for the same seed and the same stored events: entities of random events, at times
/// where windows begin and end, just beside them, and anywhere.
struct ParitySample {
    let definition: FeatureViewDefinition
    let journal: UInt128
    let seed: UInt64
    /// Latest time of a point [microseconds].
    let nowMicros: Int64

    /// So many points; fewer when there is no event.
    func points(_ count: Int, _ connection: PostgresConnection) throws(PostgresError) -> [ParityPoint] {
        let rows = try picked(count, connection)
        var generator = SeededGenerator(seed: seed)
        let spans = definition.spec.features.compactMap { feature -> Int64? in
            if case .micros(let micros) = feature.window { micros } else { nil }
        }
        let windows = Array(Set(spans)).sorted()
        var points: [ParityPoint] = []
        points.reserveCapacity(count)
        while points.count < count && !rows.isEmpty {
            let row = rows[points.count % rows.count]
            let asOf = Self.time(near: row.eventMicros, windows, &generator)
            let known = Int64.random(in: 0..<4, using: &generator) == 0 ? row.ingestMicros : nil
            points.append(
                ParityPoint(parts: row.parts, asOfMicros: min(max(asOf, 0), nowMicros), knownMicros: known))
        }
        return points
    }

    private struct Picked {
        var parts: [String]
        var eventMicros: Int64
        var ingestMicros: Int64
    }

    private func picked(_ count: Int, _ connection: PostgresConnection) throws(PostgresError) -> [Picked] {
        let parts = definition.keyPointers.map { "\(EventSQL.text(at: $0.tokens)) AS part" }
        let rows = try connection.query(
            """
            SELECT e.event_us, e.ingest_us, \(parts.joined(separator: ", ")) FROM decisiond.event e
            WHERE e.journal_id = $1 AND e.contract = $2 AND (cardinality($3::text[]) = 0 OR e.type = ANY ($3))
            ORDER BY md5(e.seq::text || $4) LIMIT $5
            """,
            [
                .uuid(journal), .text(definition.spec.contract), .textArray(definition.eventTypes), .text(String(seed)),
                .int64(Int64(count)),
            ])
        var picked: [Picked] = []
        for index in 0..<rows.rowCount {
            var parts: [String] = []
            for column in definition.keyPointers.indices {
                if let part = try rows.string(index, column + 2) { parts.append(part) }
            }
            guard parts.count == definition.keyPointers.count, let event = try rows.int64(index, 0),
                let ingest = try rows.int64(index, 1)
            else { continue }
            picked.append(Picked(parts: parts, eventMicros: event, ingestMicros: ingest))
        }
        return picked
    }

    /// At the event, at the ends of windows that hold it, one microsecond beside, or at some other time.
    private static func time(near event: Int64, _ windows: [Int64], _ generator: inout SeededGenerator) -> Int64 {
        let window = windows.randomElement(using: &generator) ?? 86_400_000_000
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: return event
        case 1: return event + window
        case 2: return event + window - 1
        case 3: return event - 1
        default: return event + Int64.random(in: 0...(2 * window), using: &generator)
        }
    }
}
