import Testing

@testable import Service

@Suite struct ShipPaceTests {
    private static let slice = UInt64(ShipPace.sliceMilliseconds) * 1_000_000

    /// Slices that a pause lasts while this many decisions are made in each.
    private static func slices(
        spent: UInt64, decisions: UInt64, lagMicrosMax: Int64 = 60_000_000, lagMicros: Int64 = 0,
        isWaitedFor: Bool = false
    ) -> Int {
        var pace = ShipPace(lagMicrosMax: lagMicrosMax)
        _ = pace.givesWay(decisions: 0, nowNanoseconds: 0, lagMicros: 0, isWaitedFor: false)
        pace.shipped(inNanoseconds: spent)
        var count = 0
        while pace.givesWay(
            decisions: UInt64(count + 1) * decisions, nowNanoseconds: UInt64(count + 1) * slice, lagMicros: lagMicros,
            isWaitedFor: isWaitedFor)
        {
            count += 1
        }
        return count
    }

    @Test func aBurstGetsTheMachine() {
        let busy = ShipPace.busyRate / 20
        #expect(Self.slices(spent: Self.slice, decisions: busy) == 9)
        #expect(Self.slices(spent: 60 * Self.slice, decisions: busy) == 100, "no longer than the longest pause")
    }

    @Test func nothingElseIsPaused() {
        let busy = ShipPace.busyRate / 20
        #expect(Self.slices(spent: Self.slice, decisions: busy - 1) == 0, "few decisions")
        #expect(Self.slices(spent: Self.slice, decisions: busy, lagMicros: 60_000_000) == 0, "far behind")
        #expect(Self.slices(spent: Self.slice, decisions: busy, isWaitedFor: true) == 0, "somebody waits")
        #expect(Self.slices(spent: Self.slice, decisions: busy, lagMicrosMax: 0) == 0, "switched off")
    }

    @Test func aBurstThatEndsEndsThePause() {
        var pace = ShipPace(lagMicrosMax: 1)
        _ = pace.givesWay(decisions: 0, nowNanoseconds: 0, lagMicros: 0, isWaitedFor: false)
        pace.shipped(inNanoseconds: 10 * Self.slice)
        let answers = [1_000, 1_001, 2_000].enumerated().map { index, decisions in
            pace.givesWay(
                decisions: UInt64(decisions), nowNanoseconds: UInt64(index + 1) * Self.slice, lagMicros: 0,
                isWaitedFor: false)
        }
        #expect(answers == [true, false, false])
    }
}
