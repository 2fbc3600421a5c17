import Foundation
import JSON
import Journal
import Testing

@testable import Service

/// Outcomes whose decision nobody could look up, from the journal into memory and through snapshots.
@Suite struct OutcomeRecoveryTests {
    static func outcome(_ number: UInt64, _ subject: OutcomeSubject) -> OutcomeFrame {
        OutcomeFrame(
            id: RecordID(high: 1, low: number), decisionID: RecordID(high: 2, low: number), atMicros: 7,
            principal: "p", claim: nil, body: Array(#"{"id":"\#(number)","name":"repaid","value":\#(number)}"#.utf8),
            subject: subject)
    }

    static func frame(_ type: FrameType, _ encode: (inout ByteWriter) -> Void) -> FrameBatch {
        var writer = ByteWriter()
        encode(&writer)
        let batch = FrameBatch()
        batch.add(type: type.rawValue, payload: writer.bytes)
        return batch
    }

    static let repaid = """
        {"kind":"Measure","name":"repaid","owner":"ann","spec":{"stream":"outcomes","aggregate":"sum",
         "of":"value.number","dimensions":[{"name":"decision","expression":"decision"}]}}
        """

    /// An outcome counts once, at the time of its decision: at once when that is known, with its verdict when it is not,
    /// never when there is no such decision; and the same after a restart from a snapshot at any point.
    @Test func outcomesCountOnce() throws {
        let decision = DecisionReference(decision: "limit", version: 1, decidedMicros: 900_000_000, entity: "")
        let unresolved = (1...3).map { Self.outcome($0, .unresolved) }
        var batches = [try RecoveryTests.activation("Measure", "repaid", 1, Self.repaid)]
        batches.append(Self.frame(.outcome) { Self.outcome(100, .known(decision)).encode(into: &$0) })
        for outcome in unresolved { batches.append(Self.frame(.outcome) { outcome.encode(into: &$0) }) }
        for (seq, known) in [(UInt64(3), decision), (4, nil), (3, decision)] {
            let verdict = OutcomeVerdictFrame(
                outcomeSeq: seq, atMicros: 8, decision: known, outcome: unresolved[Int(seq) - 3])
            batches.append(Self.frame(.outcomeVerdict) { verdict.encode(into: &$0) })
        }
        for place in 1...batches.count {
            let directory = try RecoveryTests.Directory()
            let live = try RecoveryTests.Live(directory)
            for (number, batch) in batches.enumerated() {
                if number == place {
                    while live.state.appliedSeq.load(ordering: .acquiring) < UInt64(place) { usleep(1_000) }
                    // What is shipped waits for its verdict all the same.
                    live.state.records.shipped(through: UInt64(place))
                    _ = try live.snapshot()
                }
                try live.append(batch)
            }
            live.stop()
            let again = try RecoveryTests.recover(directory)
            again.journal.abandon()
            #expect(again.outcome.snapshotSeq == (place < batches.count ? UInt64(place) : nil))
            let rows = again.state.rollups.rows("repaid", version: 1)
            #expect(rows.map(\.bucket) == [900_000_000] && rows.first?.dimensions == ["limit"])
            #expect(rows.first?.state.columns.sum == "101", "at \(place)")
            #expect(again.state.records.unresolved(through: .max, limit: 9).map(\.seq) == [5])
            let entries = again.state.quarantine.page(after: 0, limit: 9) { _ in true }
            #expect(entries.map(\.frame.code) == ["unknown_decision"] && entries.first?.seq == 4)
        }
    }
}
