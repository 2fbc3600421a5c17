import Features
import Synchronization

/// What a view served lately: a ring of whole vectors, the newest replacing the oldest.
///
/// Every vector is taken until the ring is full, then one of `sampleEvery`, so that a busy view costs its readers one
/// atomic addition. Memory is bounded by `samplesMax` vectors and `valuesMax` values.
final class FeatureStatistics: Sendable {
    /// Vectors kept at most.
    static let samplesMax = 1_024
    /// Values kept at most; a wide view keeps fewer vectors.
    static let valuesMax = 65_536
    /// Once the ring is full, one vector of this many is taken.
    static let sampleEvery = 16

    /// One feature over the vectors in the ring.
    struct Summary: Sendable {
        /// Share of nulls, 0 to 1.
        let nullRate: Double
        /// Mean, extremes and percentiles of the values that are not null; nil for values that are no numbers.
        let numbers: Distribution?
    }

    /// Figures of numbers; percentiles are values that occurred (SQL `percentile_disc`).
    struct Distribution: Sendable, Equatable {
        let mean: Double
        let minimum: Double
        let maximum: Double
        let p1: Double
        let p50: Double
        let p99: Double

        /// nil for no numbers.
        init?(_ numbers: [Double]) {
            if numbers.isEmpty { return nil }
            let ordered = numbers.sorted()
            func percentile(_ share: Double) -> Double {
                ordered[max(1, Int((share * Double(ordered.count)).rounded(.up))) - 1]
            }
            mean = numbers.reduce(0, +) / Double(numbers.count)
            minimum = ordered[0]
            maximum = ordered[ordered.count - 1]
            (p1, p50, p99) = (percentile(0.01), percentile(0.5), percentile(0.99))
        }
    }

    private struct Ring {
        /// Vectors one after the other: NaN for null, infinity for a value that is no number.
        var values: [Double] = []
        /// Seconds from the latest event to as_of of each vector; NaN for an entity without events.
        var ages: [Double] = []
        var next = 0
    }

    private let width: Int
    private let capacity: Int
    private let served = Atomic<Int>(0)
    private let ring = Mutex(Ring())

    /// - Parameter features: values of a vector.
    init(features: Int) {
        width = features
        capacity = min(Self.samplesMax, max(1, Self.valuesMax / max(1, features)))
    }

    /// Vectors served so far.
    var servedCount: Int { served.load(ordering: .relaxed) }

    /// Takes note of a served vector.
    ///
    /// - Parameter ageMicros: from the entity's latest event to as_of; nil when it has none.
    func observe(_ values: [FeatureValue], ageMicros: Int64?) {
        let number = served.wrappingAdd(1, ordering: .relaxed).oldValue
        guard number < capacity || number % Self.sampleEvery == 0 else { return }
        let age = ageMicros.map { Double($0) / 1e6 } ?? .nan
        ring.withLock { ring in
            if ring.ages.count < capacity {
                ring.ages.append(age)
                for value in values { ring.values.append(Self.number(value)) }
                return
            }
            ring.ages[ring.next] = age
            for (index, value) in values.enumerated() {
                ring.values[ring.next * width + index] = Self.number(value)
            }
            ring.next = (ring.next + 1) % capacity
        }
    }

    private static func number(_ value: FeatureValue) -> Double {
        switch value {
        case .null: .nan
        case .string, .frequencies, .timestamp, .date: .infinity
        case .integer, .decimal, .double, .boolean: value.double
        }
    }

    /// Seconds from the latest event to as_of; nil when no entity had one.
    func ages() -> Distribution? {
        Distribution(ring.withLock { $0.ages }.filter(\.isFinite))
    }

    /// The figures as they stand.
    func summary() -> (samples: Int, features: [Summary], ages: Distribution?) {
        let (values, ages) = ring.withLock { ($0.values, $0.ages) }
        let features = (0..<width).map { feature in
            let column = stride(from: feature, to: values.count, by: width).map { values[$0] }
            let nulls = column.count { $0.isNaN }
            return Summary(
                nullRate: column.isEmpty ? 0 : Double(nulls) / Double(column.count),
                numbers: Distribution(column.filter(\.isFinite)))
        }
        return (ages.count, features, Distribution(ages.filter(\.isFinite)))
    }
}
