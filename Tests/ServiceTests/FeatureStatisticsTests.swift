import Features
import Testing

@testable import Service

@Suite struct FeatureStatisticsTests {
    @Test func nothingServed() {
        let summary = FeatureStatistics(features: 2).summary()
        #expect(summary.samples == 0 && summary.ages == nil && summary.features.count == 2)
        #expect(summary.features.allSatisfy { $0.nullRate == 0 && $0.numbers == nil })
    }

    @Test func figures() throws {
        let statistics = FeatureStatistics(features: 4)
        for number in 1...200 {
            statistics.observe(
                [
                    .integer(Int64(number)), number % 4 == 0 ? .null(.emptyWindow) : .decimal(significand: 5, scale: 1),
                    .string("a"), .boolean(number % 2 == 0),
                ], ageMicros: number == 1 ? nil : Int64(number) * 1_000_000)
        }
        let (samples, features, ages) = statistics.summary()
        #expect(samples == 200 && statistics.servedCount == 200)
        let first = try #require(features[0].numbers)
        #expect(first.mean == 100.5 && first.minimum == 1 && first.maximum == 200)
        #expect(first.p1 == 2 && first.p50 == 100 && first.p99 == 198)
        #expect(features.map(\.nullRate) == [0, 0.25, 0, 0])
        #expect(features[1].numbers?.mean == 0.5 && features[2].numbers == nil && features[3].numbers?.mean == 0.5)
        #expect(ages?.minimum == 2 && ages?.maximum == 200 && ages?.p50 == 101)
    }

    /// Full: one of sixteen replaces the oldest; memory does not grow.
    @Test(arguments: [1, 64, 640]) func theNewestReplaceTheOldest(_ width: Int) {
        let statistics = FeatureStatistics(features: width)
        let capacity = min(FeatureStatistics.samplesMax, FeatureStatistics.valuesMax / width)
        let served = capacity + FeatureStatistics.sampleEvery * capacity
        for number in 0..<served {
            statistics.observe(Array(repeating: .integer(Int64(number)), count: width), ageMicros: 0)
        }
        let (samples, features, _) = statistics.summary()
        #expect(samples == capacity && statistics.servedCount == served)
        #expect(features.allSatisfy { ($0.numbers?.minimum ?? 0) >= Double(capacity) })
        #expect(features[0].numbers?.maximum ?? 0 > Double(served - FeatureStatistics.sampleEvery - 1))
    }
}
