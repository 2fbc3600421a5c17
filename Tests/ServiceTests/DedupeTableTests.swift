import JSON
import Testing

@testable import Service

@Suite struct DedupeTableTests {
    static func key(_ number: UInt64, home: UInt64) -> Hash128 { Hash128(high: number, low: home) }

    @Test func verdicts() {
        var table = DedupeTable(horizonMicros: 1_000, nowMicros: 0)
        let key = Self.key(1, home: 1)
        #expect(table.admit(key, content: 7, nowMicros: 0) == .new)
        #expect(table.admit(key, content: 7, nowMicros: 1) == .duplicate)
        #expect(table.admit(key, content: 8, nowMicros: 2) == .contentDiffers)
        // The first stays.
        #expect(table.admit(key, content: 7, nowMicros: 3) == .duplicate)
        #expect(table.count == 1)
        table.release(key)
        #expect(table.count == 0)
        #expect(table.admit(key, content: 8, nowMicros: 4) == .new)
    }

    @Test func theAllZeroKeyIsAKeyToo() {
        var table = DedupeTable(horizonMicros: 1_000, nowMicros: 0)
        let zero = Hash128(high: 0, low: 0)
        #expect(table.admit(zero, content: 1, nowMicros: 0) == .new)
        #expect(table.admit(zero, content: 1, nowMicros: 0) == .duplicate)
        table.release(zero)
        #expect(table.admit(zero, content: 1, nowMicros: 0) == .new)
    }

    /// Random operations against a dictionary. Keys crowd around few homes, also the last slots, so that probe chains
    /// are long, wrap around, and are closed in their middle.
    @Test(arguments: [UInt64(1), 2, 3, 4]) func againstADictionary(_ seed: UInt64) {
        var random = SeededGenerator(seed)
        var table = DedupeTable(horizonMicros: .max, nowMicros: 0)
        var oracle: [Hash128: UInt64] = [:]
        let homes: [UInt64] = [0, 1, 2, 5, 4_090, 4_093, 4_094, 4_095, 8_191, 1 << 20 | 4_095]
        for round in 0..<40_000 {
            let home = homes.randomElement(using: &random) ?? 0
            let key = Self.key(UInt64.random(in: 0..<60, using: &random), home: home)
            if Int.random(in: 0..<3, using: &random) == 0 {
                table.release(key)
                oracle.removeValue(forKey: Self.stored(key))
            } else {
                let content = UInt64.random(in: 0..<2, using: &random)
                let expected: DedupeTable.Verdict
                if let known = oracle[Self.stored(key)] {
                    expected = known == content ? .duplicate : .contentDiffers
                } else {
                    expected = .new
                    oracle[Self.stored(key)] = content
                }
                guard table.admit(key, content: content, nowMicros: 0) == expected else {
                    Issue.record("round \(round): \(key)")
                    return
                }
            }
            guard table.count == oracle.count else {
                Issue.record("round \(round): \(table.count) entries, \(oracle.count) expected")
                return
            }
        }
    }

    /// The all-zero key shares its place with (0, 1): documented by the table, told apart by no test.
    static func stored(_ key: Hash128) -> Hash128 {
        key == Hash128(high: 0, low: 0) ? Hash128(high: 0, low: 1) : key
    }

    static func correct(_ table: inout DedupeTable, _ target: Hash128, by key: Hash128, at micros: Int64 = 0) {
        #expect(table.admit(key, content: 0, nowMicros: micros) == .new)
        let superseded = table.current(target)?.identity ?? target
        table.link(DedupeTable.Link(target: target, superseded: superseded, correction: key))
    }

    @Test func theLatestCorrectionStandsInThePlace() {
        var table = DedupeTable(horizonMicros: 1_000, nowMicros: 0)
        let keys = (0..<5).map { Self.key(UInt64($0 + 1), home: 3) }
        #expect(table.current(keys[0]) == nil)
        #expect(table.admit(keys[0], content: 1, nowMicros: 0) == .new)
        #expect(table.current(keys[0]) == .init(identity: keys[0], seq: nil))
        table.settle(keys[0], seq: 7)
        #expect(table.current(keys[0]) == .init(identity: keys[0], seq: 7))
        for number in 1..<5 {
            // The second correction names the original, the third the one before it.
            let target = number == 3 ? keys[2] : keys[0]
            let superseded = table.current(target)?.identity
            #expect(superseded == keys[number - 1])
            Self.correct(&table, target, by: keys[number])
            for key in keys[...number] { #expect(table.current(key) == .init(identity: keys[number], seq: nil)) }
            table.settle(keys[number], seq: UInt64(7 + number))
            table.shorten(.init(target: target, superseded: keys[number - 1], correction: keys[number]))
            for key in keys[...number] { #expect(table.current(key)?.seq == UInt64(7 + number)) }
        }
        #expect(
            table.verdict(keys[4], content: 0) == .duplicate && table.verdict(keys[4], content: 1) == .contentDiffers)
        #expect(table.count == 5)
    }

    @Test func aCorrectionThatFailedLeavesNoTrace() {
        var table = DedupeTable(horizonMicros: 100, nowMicros: 0)
        let (event, correction) = (Self.key(1, home: 1), Self.key(2, home: 1))
        #expect(table.admit(event, content: 1, nowMicros: 0) == .new)
        table.settle(event, seq: 1)
        Self.correct(&table, event, by: correction, at: 99)
        // The table turns over before the append is refused.
        #expect(table.admit(Self.key(3, home: 3), content: 1, nowMicros: 100) == .new)
        table.unlink(.init(target: event, superseded: event, correction: correction))
        table.release(correction)
        #expect(table.current(event) == .init(identity: event, seq: 1) && table.current(correction) == nil)
    }

    /// A link is remembered as long as what it leads to, and positions move with their pairs when the table grows.
    @Test func positionsSurviveGrowthRemovalAndTurns() {
        var random = SeededGenerator(12)
        var table = DedupeTable(horizonMicros: 100, nowMicros: 0)
        let keys = (0..<9_000).map { _ in Hash128(high: random.next(), low: random.next() % 4_096) }
        for (index, key) in keys.enumerated() {
            #expect(table.admit(key, content: 0, nowMicros: 50) == .new)
            table.settle(key, seq: UInt64(index + 1))
        }
        for key in keys[..<3_000] { table.release(key) }
        let correction = Self.key(5, home: 5)
        #expect(table.admit(Self.key(6, home: 6), content: 0, nowMicros: 120) == .new)
        Self.correct(&table, keys[8_000], by: correction, at: 120)
        table.settle(correction, seq: 20_000)
        table.settle(keys[3_000], seq: 30_000)
        #expect(keys[3_001...].indices.allSatisfy { $0 == 8_000 || table.current(keys[$0])?.seq == UInt64($0 + 1) })
        #expect(table.current(keys[3_000])?.seq == 30_000 && table.current(keys[8_000])?.seq == 20_000)
        #expect(table.current(keys[0]) == nil)
    }

    @Test func growsFarPastItsFirstSize() {
        var random = SeededGenerator(9)
        var table = DedupeTable(horizonMicros: .max, nowMicros: 0)
        let keys = (0..<50_000).map { _ in Hash128(high: random.next(), low: random.next()) }
        let first = keys.indices.filter { table.admit(keys[$0], content: UInt64($0), nowMicros: 0) == .new }
        #expect(first.count == keys.count)
        for key in keys[..<25_000] { table.release(key) }
        #expect(table.count == 25_000)
        let second = keys.indices.filter { table.admit(keys[$0], content: UInt64($0), nowMicros: 0) == .new }
        #expect(second == Array(0..<25_000))
    }

    @Test func rememberedForAtLeastOneHorizonAndAtMostTwo() {
        var table = DedupeTable(horizonMicros: 100, nowMicros: 0)
        let key = Self.key(1, home: 1)
        let late = Self.key(2, home: 1)
        #expect(table.admit(key, content: 1, nowMicros: 0) == .new)
        #expect(table.admit(late, content: 1, nowMicros: 99) == .new)
        #expect(table.admit(key, content: 1, nowMicros: 100) == .duplicate)
        #expect(table.admit(late, content: 1, nowMicros: 199) == .duplicate)
        #expect(table.admit(late, content: 2, nowMicros: 199) == .contentDiffers)
        #expect(table.admit(late, content: 1, nowMicros: 200) == .new)
        #expect(table.admit(key, content: 1, nowMicros: 200) == .new)
        #expect(table.count == 2)
    }

    @Test func afterALongSilenceNothingOldIsRemembered() {
        var table = DedupeTable(horizonMicros: 100, nowMicros: 0)
        let key = Self.key(1, home: 1)
        #expect(table.admit(key, content: 1, nowMicros: 0) == .new)
        // More than two horizons later.
        #expect(table.admit(key, content: 1, nowMicros: 1_000) == .new)
    }

    @Test func aClockThatGoesBackForgetsNothing() {
        var table = DedupeTable(horizonMicros: 100, nowMicros: 1_000)
        let key = Self.key(1, home: 1)
        #expect(table.admit(key, content: 1, nowMicros: 1_000) == .new)
        #expect(table.admit(key, content: 1, nowMicros: 10) == .duplicate)
        #expect(table.admit(key, content: 1, nowMicros: .min / 2) == .duplicate)
    }

    /// A reservation whose append was refused is taken back, also when the table turned over in between.
    @Test func aReservationFromBeforeTheTurnIsReleased() {
        var table = DedupeTable(horizonMicros: 100, nowMicros: 0)
        let key = Self.key(1, home: 1)
        #expect(table.admit(key, content: 1, nowMicros: 99) == .new)
        #expect(table.admit(Self.key(2, home: 2), content: 1, nowMicros: 100) == .new)
        table.release(key)
        #expect(table.admit(key, content: 1, nowMicros: 101) == .new)
    }
}
