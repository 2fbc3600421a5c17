import JSON
import Testing

@testable import Service

@Suite struct ReferenceTablesTests {
    @Test func theLastByEventTimeWins() {
        let tables = ReferenceTables()
        #expect(!tables.contains(table: "customers", key: "1") && tables.count(table: "customers") == 0)
        tables.upsert(table: "customers", key: "1", row: .integer(1), eventMicros: 100)
        tables.upsert(table: "customers", key: "1", row: .integer(2), eventMicros: 50)
        #expect(tables.row(table: "customers", key: "1") == .integer(1))
        tables.upsert(table: "customers", key: "1", row: .integer(3), eventMicros: 101)
        #expect(tables.row(table: "customers", key: "1") == .integer(3))
        tables.upsert(table: "products", key: "1", row: .integer(4), eventMicros: 0)
        tables.upsert(table: "customers", key: "2", row: .integer(5), eventMicros: .min)
        #expect(tables.count(table: "customers") == 2 && tables.count(table: "products") == 1)
        #expect(tables.contains(table: "customers", key: "2") && !tables.contains(table: "products", key: "2"))
        #expect(tables.row(table: "nothing", key: "1") == nil)
    }

    @Test func anyOrderOfArrivalGivesTheSameRow() {
        var random = SeededGenerator(6)
        for _ in 0..<50 {
            let tables = ReferenceTables()
            for time in (0..<30).shuffled(using: &random) {
                tables.upsert(table: "t", key: "k", row: .integer(Int64(time)), eventMicros: Int64(time))
            }
            #expect(tables.row(table: "t", key: "k") == .integer(29))
        }
    }
}
