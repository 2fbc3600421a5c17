import JSON
import Journal
import Testing

@testable import Service

@Suite struct IdempotencyTableTests {
    static let first = IdempotencyClaim(key: Hash128(high: 1, low: 1), payload: 10)
    static let other = IdempotencyClaim(key: Hash128(high: 1, low: 1), payload: 11)
    static let effect = DurableEffect(
        position: JournalPosition(segment: 1, offset: 64), id: RecordID(high: 1, low: 2))
    static let day = IdempotencyTable.horizonMicros

    static func brief(_ verdict: IdempotencyTable.Verdict) -> String {
        switch verdict {
        case .claimed: "claimed"
        case .done(let effect): "done \(effect.position.segment).\(effect.position.offset)"
        case .inFlight: "in flight"
        case .payloadDiffers: "payload differs"
        }
    }

    @Test func claimThenComplete() {
        let table = IdempotencyTable()
        #expect(Self.brief(table.claim(Self.first, nowMicros: 0)) == "claimed")
        #expect(Self.brief(table.claim(Self.first, nowMicros: 1)) == "in flight")
        #expect(Self.brief(table.claim(Self.other, nowMicros: 1)) == "payload differs")
        table.complete(Self.first, Self.effect, atMicros: 0)
        #expect(Self.brief(table.claim(Self.first, nowMicros: 2)) == "done 1.64")
        #expect(Self.brief(table.claim(Self.other, nowMicros: 2)) == "payload differs")
    }

    @Test func releaseFreesTheKey() {
        let table = IdempotencyTable()
        _ = table.claim(Self.first, nowMicros: 0)
        table.release(Self.first)
        #expect(Self.brief(table.claim(Self.other, nowMicros: 1)) == "claimed")
    }

    @Test func aDurableEffectIsNotReleased() {
        let table = IdempotencyTable()
        _ = table.claim(Self.first, nowMicros: 0)
        table.complete(Self.first, Self.effect, atMicros: 0)
        table.release(Self.first)
        #expect(Self.brief(table.claim(Self.first, nowMicros: 1)) == "done 1.64")
    }

    @Test func rebuiltFromTheJournal() {
        let table = IdempotencyTable()
        table.complete(Self.first, Self.effect, atMicros: 5)
        #expect(Self.brief(table.claim(Self.first, nowMicros: 5 + Self.day)) == "done 1.64")
        #expect(Self.brief(table.claim(Self.first, nowMicros: 6 + Self.day)) == "claimed")
    }

    @Test func expiresAfterADay() {
        let table = IdempotencyTable()
        _ = table.claim(Self.first, nowMicros: 100)
        table.complete(Self.first, Self.effect, atMicros: 100)
        #expect(Self.brief(table.claim(Self.first, nowMicros: 100 + Self.day)) == "done 1.64")
        #expect(Self.brief(table.claim(Self.other, nowMicros: 101 + Self.day)) == "claimed")
    }

    /// The effect's time is a little later than the claim's; the key must be free again all the same.
    @Test func expiresWhenTheEffectIsLaterThanTheClaim() {
        let table = IdempotencyTable()
        _ = table.claim(Self.first, nowMicros: 100)
        table.complete(Self.first, Self.effect, atMicros: 150)
        #expect(Self.brief(table.claim(Self.first, nowMicros: 150 + Self.day)) == "done 1.64")
        #expect(Self.brief(table.claim(Self.other, nowMicros: 151 + 2 * Self.day)) == "claimed")
    }

    /// A key that was released and claimed again lives a day from its second claim.
    @Test func aSecondClaimLivesItsOwnDay() {
        let table = IdempotencyTable()
        _ = table.claim(Self.first, nowMicros: 0)
        table.release(Self.first)
        _ = table.claim(Self.first, nowMicros: 1_000)
        #expect(Self.brief(table.claim(Self.first, nowMicros: 500 + Self.day)) == "in flight")
        #expect(Self.brief(table.claim(Self.first, nowMicros: 1_001 + Self.day)) == "claimed")
    }

    @Test func keysAreApart() {
        let table = IdempotencyTable()
        for number in 0..<10_000 as Range<UInt64> {
            let claim = IdempotencyClaim(key: Hash128(high: number, low: 0), payload: 0)
            guard case .claimed = table.claim(claim, nowMicros: Int64(number)) else {
                Issue.record("key \(number) was not free")
                return
            }
        }
        let late = IdempotencyClaim(key: Hash128(high: 9_999, low: 0), payload: 0)
        #expect(Self.brief(table.claim(late, nowMicros: 9_999 + Self.day)) == "in flight")
        let early = IdempotencyClaim(key: Hash128(high: 0, low: 0), payload: 1)
        #expect(Self.brief(table.claim(early, nowMicros: 9_999 + Self.day)) == "claimed")
    }
}
