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

    @Test func correctionsReplaceAndRemove() {
        let tables = ReferenceTables()
        tables.upsert(table: "t", key: "a", row: .integer(1), eventMicros: 100)
        // The time of a row may be what was wrong.
        tables.correct(table: "t", removing: ("a", 100), adding: ("a", .integer(2), 50))
        #expect(tables.row(table: "t", key: "a") == .integer(2))
        tables.correct(table: "t", removing: ("a", 50), adding: ("b", .integer(3), 50))
        #expect(!tables.contains(table: "t", key: "a") && tables.row(table: "t", key: "b") == .integer(3))
        // A later row is not the superseded event's.
        tables.upsert(table: "t", key: "b", row: .integer(4), eventMicros: 70)
        tables.correct(table: "t", removing: ("b", 50), adding: nil)
        #expect(tables.row(table: "t", key: "b") == .integer(4))
        tables.correct(table: "t", removing: ("b", 70), adding: nil)
        tables.correct(table: "t", removing: ("nobody", 1), adding: nil)
        #expect(tables.count(table: "t") == 0)
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
