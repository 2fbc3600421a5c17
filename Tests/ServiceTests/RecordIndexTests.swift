import JSON
import Journal
import Testing

@testable import Service

@Suite struct RecordIndexTests {
    static func id(_ number: UInt64) -> RecordID { RecordID(high: 0, low: number) }
    static func position(_ number: UInt32) -> JournalPosition { JournalPosition(segment: 1, offset: number) }

    static func outcome(_ number: UInt64, of decision: UInt64) -> OutcomeFrame {
        OutcomeFrame(
            id: id(number), decisionID: id(decision), atMicros: 0, principal: "p", claim: nil, body: [UInt8(number)])
    }

    static func filled() -> RecordIndex {
        let index = RecordIndex()
        for number in 1...5 as ClosedRange<UInt64> {
            index.add(id(number), at: position(UInt32(number)), seq: number * 10)
        }
        return index
    }

    @Test func recordsUntilShipped() {
        let index = Self.filled()
        #expect(index.position(Self.id(3)) == Self.position(3) && index.position(Self.id(9)) == nil)
        index.shipped(through: 29)
        #expect(index.count == 3 && index.position(Self.id(2)) == nil && index.position(Self.id(3)) != nil)
        index.shipped(through: 30)
        #expect(index.count == 2 && index.position(Self.id(3)) == nil)
        index.shipped(through: 10)
        #expect(index.count == 2)
        index.shipped(through: .max)
        #expect(index.count == 0 && index.newest(limit: 10).isEmpty)
    }

    @Test func whatAFailoverTookBackIsThereAgain() {
        let index = Self.filled()
        index.add(Self.outcome(7, of: 2), seq: 25)
        index.shipped(through: 40)
        #expect(index.count == 1 && index.outcomes(Self.id(2)).isEmpty)
        let lost = [2, 3, 4].map { (id: Self.id($0), position: Self.position(UInt32($0)), seq: $0 * 10) }
        index.restore(lost, [(frame: Self.outcome(7, of: 2), seq: 25)])
        #expect(index.count == 4 && index.position(Self.id(2)) == Self.position(2))
        #expect(index.outcomes(Self.id(2)).count == 1)
        #expect(index.newest(limit: 9).map(\.seq) == [50, 40, 30, 20], "in order, as if never shipped")
        index.shipped(through: 30)
        #expect(index.count == 2 && index.outcomes(Self.id(2)).isEmpty && index.position(Self.id(4)) != nil)
    }

    @Test func newestFirst() {
        let index = Self.filled()
        #expect(index.newest(limit: 2).map(\.seq) == [50, 40])
        #expect(index.newest(limit: 0).isEmpty)
        index.shipped(through: 20)
        #expect(index.newest(limit: 10).map(\.seq) == [50, 40, 30])
        #expect(index.newest(limit: 10).map(\.position) == [5, 4, 3].map { Self.position($0) })
    }

    @Test func outcomesUntilShipped() {
        let index = RecordIndex()
        index.add(Self.outcome(1, of: 7), seq: 10)
        index.add(Self.outcome(2, of: 8), seq: 20)
        #expect(index.outcomes(Self.id(7)).map(\.body) == [[1]])
        index.shipped(through: 10)
        #expect(index.outcomes(Self.id(7)).isEmpty && index.outcomes(Self.id(8)).count == 1)
    }

    /// PostgreSQL has only what was shipped: a later outcome of the same decision stays visible.
    @Test func aLaterOutcomeOfTheSameDecisionStays() {
        let index = RecordIndex()
        for number in 1...3 as ClosedRange<UInt64> { index.add(Self.outcome(number, of: 7), seq: number * 10) }
        index.shipped(through: 10)
        #expect(index.outcomes(Self.id(7)).map(\.body) == [[2], [3]])
        index.shipped(through: 20)
        #expect(index.outcomes(Self.id(7)).map(\.body) == [[3]])
        index.shipped(through: 30)
        #expect(index.outcomes(Self.id(7)).isEmpty)
    }

    /// Shipping does not end the wait for a verdict; a verdict does, once.
    @Test func outcomesWaitForTheirVerdict() {
        let index = RecordIndex()
        for number in 1...3 as ClosedRange<UInt64> {
            var outcome = Self.outcome(number, of: 7)
            if number != 2 { outcome.subject = .unresolved }
            index.add(outcome, seq: number * 10)
        }
        #expect(index.unresolved(through: 29, limit: 9).map(\.seq) == [10] && index.unresolvedBytes > 500)
        index.shipped(through: 30)
        #expect(index.unresolved(through: 30, limit: 9).map(\.outcome.body) == [[1], [3]])
        #expect(index.unresolved(through: 30, limit: 1).map(\.seq) == [10])
        #expect(!index.resolved(20) && index.resolved(10) && !index.resolved(10))
        // The database has taken the outcome back: it is shown again, and its verdict stands.
        index.restore([], [(frame: Self.outcome(1, of: 7), seq: 10)])
        #expect(index.unresolved(through: .max, limit: 9).map(\.seq) == [30])
        #expect(index.resolved(30) && index.unresolvedBytes == 0)
    }

    @Test func manyRecords() {
        let index = RecordIndex()
        for number in 1...20_000 as ClosedRange<UInt64> {
            index.add(Self.id(number), at: Self.position(UInt32(number)), seq: number)
            if number % 3 == 0 { index.shipped(through: number / 2) }
        }
        #expect(index.count == 20_000 - 9_999)
        #expect(index.newest(limit: 3).map(\.seq) == [20_000, 19_999, 19_998])
        #expect(index.newest(limit: 30_000).count == index.count)
    }
}
