import JSON
import Journal
import Testing

@testable import Service

/// Frames that a superseded version of a measure covers are folded by that version, also when the process that compiled it
/// is gone.
@Suite struct MeasureSpansTests {
    static func measure(_ version: UInt32, _ of: String) throws -> FrameBatch {
        try RecoveryTests.activation(
            "Measure", "revenue", version,
            """
            {"kind":"Measure","name":"revenue","owner":"ann","spec":{"stream":"orders","aggregate":"max","of":"\(of)"}}
            """)
    }

    /// What a shipper that begins at `seq` writes of the rollups, without the journal's id.
    static func rollups(_ state: ServiceState, _ journal: ServiceJournal, from seq: UInt64) throws -> [[String]] {
        var batch = ShipBatch(journal: 1, tables: MeasureSpans(state: state).folds(from: seq))
        let reader = journal.makeReader()
        _ = try reader.read(from: seq, maxFrames: 10_000, maxBytes: 64 << 20) { batch.add($0) }
        batch.foldRollups()
        return (0..<batch.rollups.rowCount).map { row in
            (0..<ShipBatch.rollupTarget.columns.count).map { batch.rollups.written(row: row, column: $0) ?? "null" }
        }
    }

    @Test(arguments: [false, true]) func supersededVersionsAreFolded(_ fromSnapshot: Bool) throws {
        let directory = try RecoveryTests.Directory()
        let live = try RecoveryTests.Live(directory)
        for batch in try RecoveryTests.definitions(version: 1).dropLast() { try live.append(batch) }
        try live.append(Self.measure(1, "data.amount"))
        try RecoveryTests.send(0..<200, to: live, seed: 1)
        try live.append(Self.measure(2, "data.quantity"))
        try RecoveryTests.send(200..<400, to: live, seed: 2)
        RecoveryTests.settle(live, 400)
        if fromSnapshot { _ = try live.snapshot() }
        let expected = try Self.rollups(live.state, live.journal, from: 1)
        live.stop()

        let again = try RecoveryTests.Live(directory)
        let found = try Self.rollups(again.state, again.journal, from: 1)
        #expect(found == expected)
        #expect(Set(found.map { $0[1] }) == ["1", "2"], "both versions count")
        let counted = Dictionary(grouping: found) { $0[1] }.mapValues { $0.reduce(0) { $0 + (Int($1[5]) ?? 0) } }
        #expect(counted == ["1": 200, "2": 200])
        // Past its end a version is of no use any more.
        let end = try #require(again.state.history.measureSpans().first { $0.definition.version == 1 }?.toSeq)
        #expect(again.state.rollups.registry("revenue", version: 1) != nil)
        #expect(Set(try Self.rollups(again.state, again.journal, from: end).map { $0[1] }) == ["2"])
        #expect(again.state.rollups.registry("revenue", version: 1) == nil)
        #expect(again.state.rollups.registry("revenue", version: 2) != nil)
        again.stop()
    }
}
