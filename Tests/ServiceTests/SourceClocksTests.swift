import Testing

@testable import Service

@Suite struct SourceClocksTests {
    static let minute: Int64 = 60_000_000

    static func add(_ clocks: SourceClocks, _ source: String, _ contract: String, event: Int64, ingest: Int64) {
        var source = source
        source.withUTF8 { bytes in
            clocks.add(
                source: UnsafeRawBufferPointer(bytes), contract: contract, eventMicros: event, ingestMicros: ingest)
        }
    }

    @Test func aWatermarkFollowsTheDataAndNeverTheFuture() throws {
        let clocks = SourceClocks()
        #expect(clocks.watermark(source: "a") == nil)
        Self.add(clocks, "a", "c", event: 100, ingest: 1_000)
        #expect(clocks.watermark(source: "a") == 100)
        // Late: it moves nothing.
        Self.add(clocks, "a", "c", event: 50, ingest: 1_001)
        #expect(clocks.watermark(source: "a") == 100)
        // From the future: it moves only as far as the ingest time.
        Self.add(clocks, "a", "c", event: 9_000, ingest: 1_002)
        #expect(clocks.watermark(source: "a") == 1_002)
        clocks.addRefused(source: "a", code: "too_late")
        clocks.addRefused(source: "a", code: "future_time")
        clocks.addRefused(source: "a", code: "type_mismatch")
        let clock = try #require(clocks.page(from: 0, limit: 10).first).clock
        #expect((clock.accepted, clock.late, clock.tooLate, clock.future) == (3, 1, 1, 1))
        #expect((clock.lastEventMicros, clock.lastIngestMicros) == (9_000, 1_002))
    }

    @Test func theSlowestSourceHoldsAContractBackUntilItIsIdle() {
        let clocks = SourceClocks()
        #expect(clocks.watermark(contract: "c") == nil)
        Self.add(clocks, "live", "c", event: 1_000 * Self.minute, ingest: 1_000 * Self.minute)
        Self.add(clocks, "history", "c", event: 5, ingest: 1_000 * Self.minute)
        Self.add(clocks, "other", "d", event: 1, ingest: 1_000 * Self.minute)
        #expect(clocks.watermark(contract: "c") == 5)
        Self.add(clocks, "live", "c", event: 1_005 * Self.minute, ingest: 1_005 * Self.minute)
        #expect(clocks.watermark(contract: "c") == 5, "not idle yet")
        Self.add(clocks, "live", "c", event: 1_005 * Self.minute + 1, ingest: 1_005 * Self.minute + 1)
        #expect(clocks.watermark(contract: "c") == 1_005 * Self.minute + 1)
        #expect(clocks.page(from: 0, limit: 10).map(\.isIdle) == [false, true, true])
        #expect(clocks.watermark(contract: "d") == 1, "an idle source alone keeps its watermark")
    }

    @Test func sourcesAreBoundedAndPaged() {
        let clocks = SourceClocks()
        for number in 0..<(SourceClocks.sourcesMax + 5) {
            Self.add(clocks, "s\(number)", "c", event: 1, ingest: 1)
        }
        #expect(clocks.count == SourceClocks.sourcesMax + 1)
        let last = clocks.page(from: SourceClocks.sourcesMax - 1, limit: 10)
        #expect(last.map(\.clock.source) == ["s\(SourceClocks.sourcesMax - 1)", SourceClocks.otherSource])
        #expect(last.last?.clock.accepted == 5)
        #expect(clocks.page(from: SourceClocks.sourcesMax + 1, limit: 1).isEmpty)
    }

    @Test func quantilesAreAtMostAnEighthTooLarge() {
        #expect(LagHistogram().quantile(0.5) == nil)
        var generator = SeededGenerator(7)
        for magnitude in [1, 100, 100_000, 100_000_000] as [Int64] {
            var histogram = LagHistogram()
            var lags: [Int64] = []
            for _ in 0..<999 {
                let lag = Int64.random(in: 0...magnitude, using: &generator)
                lags.append(lag)
                histogram.add(lag * 1_000)
            }
            lags.sort()
            for share in [0.01, 0.5, 0.99, 1] {
                let exact = lags[Int((999 * share).rounded(.up)) - 1]
                let told = histogram.quantile(share) ?? -1
                #expect(told >= exact && told <= exact + exact / 8, "\(exact) \(told)")
            }
        }
        var histogram = LagHistogram()
        histogram.add(-5)
        histogram.add(.max)
        #expect(histogram.quantile(0.5) == 0 && histogram.quantile(1) ?? 0 > 1 << 50)
    }
}
