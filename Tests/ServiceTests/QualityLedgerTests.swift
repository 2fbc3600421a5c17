import Contracts
import JSON
import Testing

@testable import Service

@Suite struct QualityLedgerTests {
    static let hour = QualityLedger.hourMicros

    static func entry() throws -> ContractEntry {
        let document = try Fixture.contractDocument()
        return ContractEntry(
            name: "orders", version: 1, contract: try Contract.compile(document), document: document)
    }

    static func accept(
        _ ledger: QualityLedger, _ entry: ContractEntry, _ text: String, ingest: Int64, event: Int64 = 0
    ) throws {
        let document = try JSONDocument(Array(text.utf8))
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let frame = EventFrame(
            contract: none, contractVersion: 1, ingestMicros: ingest, eventMicros: event, contentHash: 0,
            source: none, id: none, type: none, subject: none, raw: none)
        document.withRoot { ledger.addAccepted(entry, $0, frame) }
    }

    static func duplicates(_ count: UInt32, _ differing: UInt32, at micros: Int64) -> DuplicatesFrame {
        DuplicatesFrame(contract: "orders", ingestMicros: micros, count: count, contentDiffers: differing)
    }

    @Test func contractsAreReadFromTheirDocument() throws {
        let entry = try Self.entry()
        #expect(entry.eventTypes == ["shop.order"] && !entry.isReference && entry.keyPointer == nil)
        #expect(entry.countedFields.count == 13)
    }

    @Test func totalsByHour() throws {
        let ledger = QualityLedger()
        let entry = try Self.entry()
        let full = #"{"id":"1","source":"s","type":"t","subject":"c","time":"x","data":{"quantity":1,"amount":2}}"#
        try Self.accept(ledger, entry, full, ingest: 0, event: 70)
        try Self.accept(ledger, entry, #"{"id":"2","data":{"quantity":null}}"#, ingest: Self.hour - 1, event: 50)
        try Self.accept(ledger, entry, full, ingest: Self.hour, event: 90)
        ledger.add(Self.duplicates(3, 1, at: 5))
        ledger.add(Self.duplicates(2, 0, at: 6))
        ledger.add(QuarantineTableTests.frame(1, at: 7))
        ledger.add(QuarantineTableTests.frame(2, at: 8))
        ledger.add(QuarantineTableTests.frame(3, at: 9, code: "required"))
        let hours = ledger.ledger("orders").hours
        #expect(hours.keys.sorted() == [0, Self.hour])
        let first = try #require(hours[0])
        #expect(first.accepted == 2 && first.duplicates == 5 && first.contentDiffers == 1)
        #expect(first.quarantined == ["pattern": 2, "required": 1])
        #expect(first.lastEventMicros == 70 && first.lastIngestMicros == Self.hour - 1)
        let names = entry.countedFields.map(\.name)
        let nulls = Dictionary(uniqueKeysWithValues: zip(names, first.nulls)).filter { $0.value > 0 }
        #expect(
            nulls == [
                // Required fields are not asked: an accepted event has them.
                "data.amount": 1,
                "data.product": 2, "data.weight": 2, "data.gift": 2, "data.day": 2, "data.slot": 2, "data.tags": 2,
            ])
        #expect(hours[Self.hour]?.accepted == 1)
        #expect(ledger.ledger("others").hours.isEmpty)
    }

    @Test func linesWithoutAContract() {
        let ledger = QualityLedger()
        var frame = QuarantineTableTests.frame(1)
        frame.contract = nil
        ledger.add(frame)
        #expect(ledger.ledger(QualityLedger.unattributed).hours[0]?.quarantined == ["pattern": 1])
    }

    @Test func hoursBeforeTheEpoch() {
        let ledger = QualityLedger()
        ledger.add(Self.duplicates(1, 0, at: -1))
        ledger.add(Self.duplicates(1, 0, at: -Self.hour))
        ledger.add(Self.duplicates(1, 0, at: -Self.hour - 1))
        let hours = ledger.ledger("orders").hours
        #expect(hours.mapValues(\.duplicates) == [-Self.hour: 2, -2 * Self.hour: 1])
    }

    @Test func theOldestHoursLeave() {
        let ledger = QualityLedger()
        let count = QualityLedger.hoursMax + 5
        for hour in 0..<count { ledger.add(Self.duplicates(1, 0, at: Int64(hour) * Self.hour)) }
        let hours = ledger.ledger("orders").hours
        #expect(hours.count == QualityLedger.hoursMax)
        #expect(hours.keys.min() == 5 * Self.hour && hours.keys.max() == Int64(count - 1) * Self.hour)
    }
}
