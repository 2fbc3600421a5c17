import JSON
import Testing

@testable import Service

@Suite struct QuarantineTableTests {
    static func frame(
        _ key: UInt8, source: String? = "shop", id: String? = nil, at micros: Int64 = 0, code: String = "pattern"
    ) -> QuarantineFrame {
        QuarantineFrame(
            key: [key], ingestMicros: micros, violationClass: "contract_violation", code: code, pointer: "/data",
            message: "m", contract: "orders", source: source, id: id ?? "\(key)", principal: "p", rawSize: 1,
            raw: [key])
    }

    static func entries(_ table: QuarantineTable, after cursor: UInt64 = 0, limit: Int = 100) -> [String] {
        table.page(after: cursor, limit: limit) { _ in true }.map {
            "\($0.seq) x\($0.count) \($0.isOpen ? "open" : "closed")"
        }
    }

    @Test func whatTheShipperShowsStandsInItsPlace() {
        let table = QuarantineTable(entriesMax: 4)
        table.add(Self.frame(1), seq: 10)
        table.add(Self.frame(2), seq: 20)
        table.show(Self.frame(3, code: "sqlstate_22P05"), seq: 15)
        table.show(Self.frame(4), seq: 5)
        table.show(Self.frame(4), seq: 5)
        #expect(Self.entries(table) == ["5 x1 open", "10 x1 open", "15 x1 open", "20 x1 open"])
        // An event of that identity was accepted long ago: acceptance says nothing about the refused row.
        table.close(source: "shop", id: "3")
        #expect(Self.entries(table, after: 10) == ["15 x1 open", "20 x1 open"])
        table.show(Self.frame(5), seq: 30)
        #expect(table.counts.entries == 4 && table.counts.dropped == 1)
    }

    @Test func theSameBytesRaiseTheCount() {
        let table = QuarantineTable(entriesMax: 10)
        table.add(Self.frame(1, at: 5), seq: 1)
        table.add(Self.frame(2, at: 6), seq: 2)
        table.add(Self.frame(1, at: 9), seq: 3)
        #expect(Self.entries(table) == ["1 x2 open", "2 x1 open"])
        #expect(table.page(after: 0, limit: 1) { _ in true }[0].lastMicros == 9)
        #expect(table.page(after: 0, limit: 1) { _ in true }[0].frame.ingestMicros == 5)
        #expect(table.counts.entries == 2 && table.counts.arrivals == 3 && table.counts.dropped == 0)
    }

    @Test func acceptanceClosesEveryEntryOfTheIdentity() {
        let table = QuarantineTable(entriesMax: 10)
        #expect(!table.hasIdentities)
        table.add(Self.frame(1, id: "a"), seq: 1)
        table.add(Self.frame(2, id: "a"), seq: 2)
        table.add(Self.frame(3, id: "b"), seq: 3)
        table.add(Self.frame(4, source: "other", id: "a"), seq: 4)
        #expect(table.hasIdentities)
        table.close(source: "shop", id: "nobody")
        table.close(source: "shop", id: "a")
        #expect(Self.entries(table) == ["1 x1 closed", "2 x1 closed", "3 x1 open", "4 x1 open"])
    }

    /// (source, id) is a pair: moving letters from one to the other is another identity.
    @Test func identitiesAreNotGlued() {
        let table = QuarantineTable(entriesMax: 10)
        table.add(Self.frame(1, source: "ab", id: "c"), seq: 1)
        table.add(Self.frame(2, source: "a", id: "bc"), seq: 2)
        table.close(source: "a", id: "bc")
        #expect(Self.entries(table) == ["1 x1 open", "2 x1 closed"])
    }

    @Test func aResendOpensAgainAndAcceptanceClosesAgain() {
        let table = QuarantineTable(entriesMax: 10)
        table.add(Self.frame(1, id: "a"), seq: 1)
        table.close(source: "shop", id: "a")
        table.add(Self.frame(1, id: "a"), seq: 2)
        #expect(Self.entries(table) == ["1 x2 open"])
        table.close(source: "shop", id: "a")
        #expect(Self.entries(table) == ["1 x2 closed"])
    }

    @Test func theOldestLeaveAndAreCounted() {
        let table = QuarantineTable(entriesMax: 3)
        for key in 1...5 as ClosedRange<UInt8> { table.add(Self.frame(key), seq: UInt64(key)) }
        #expect(Self.entries(table) == ["3 x1 open", "4 x1 open", "5 x1 open"])
        #expect(table.counts.entries == 3 && table.counts.arrivals == 5 && table.counts.dropped == 2)
        // An identity whose entry is gone closes nothing, and the entry may come again.
        table.close(source: "shop", id: "1")
        table.add(Self.frame(1), seq: 6)
        #expect(Self.entries(table) == ["4 x1 open", "5 x1 open", "6 x1 open"])
    }

    @Test func pages() {
        let table = QuarantineTable(entriesMax: 100)
        for key in 1...10 as ClosedRange<UInt8> {
            table.add(Self.frame(key, code: key % 2 == 0 ? "even" : "odd"), seq: UInt64(key) * 10)
        }
        var seen: [UInt64] = []
        var cursor: UInt64 = 0
        while true {
            let page = table.page(after: cursor, limit: 3) { _ in true }
            guard let last = page.last else { break }
            seen += page.map(\.seq)
            cursor = last.seq
        }
        #expect(seen == (1...10).map { $0 * 10 })
        #expect(table.page(after: 20, limit: 2) { $0.frame.code == "even" }.map(\.seq) == [40, 60])
        #expect(table.page(after: 100, limit: 2) { _ in true }.isEmpty)
    }

    @Test func entriesWithoutIdentity() {
        let table = QuarantineTable(entriesMax: 2)
        for key in 1...4 as ClosedRange<UInt8> { table.add(Self.frame(key, source: nil), seq: UInt64(key)) }
        #expect(!table.hasIdentities && table.counts.dropped == 2)
    }
}
