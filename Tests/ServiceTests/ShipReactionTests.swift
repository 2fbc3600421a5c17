import Testing

@testable import Postgres
@testable import Service

@Suite struct ShipReactionTests {
    static func server(_ code: String, table: String? = nil, constraint: String? = nil) throws -> PostgresError {
        .server(
            PostgresServerError(
                sqlState: try #require(SQLState(code)), severity: "ERROR", message: "no", table: table, column: nil,
                constraint: constraint, copyLine: nil))
    }

    @Test(arguments: [
        ("08006", ShipReaction.retry), ("57P01", .retry), ("57P03", .retry), ("53100", .retry), ("40001", .retry),
        ("40P01", .retry), ("55P03", .retry), ("25006", .retry), ("57014", .retry), ("ZD001", .retry),
        ("ZD002", .retry), ("42P01", .stop), ("42703", .stop), ("42501", .stop), ("22P04", .stop), ("XX000", .stop),
        ("22P05", .isolate), ("22021", .isolate), ("22P02", .isolate), ("22003", .isolate), ("23502", .isolate),
        ("23503", .isolate), ("23505", .isolate), ("23514", .isolate), ("54000", .isolate),
    ])
    func everyClassHasItsReaction(code: String, reaction: ShipReaction) throws {
        #expect(ShipReaction(to: try Self.server(code), after: .init()) == reaction)
        // A row's fault that is left when every row was tried alone is no row's fault.
        let isolating = ShipReaction.Attempt(hasPartitions: false, isIsolating: true)
        #expect(ShipReaction(to: try Self.server(code), after: isolating) == (reaction == .isolate ? .stop : reaction))
    }

    @Test func aMissingPartitionIsMadeOnceThenItsRowsAreTakenOut() throws {
        let missing = try Self.server("23514", table: "event")
        #expect(ShipReaction(to: missing, after: .init()) == .makePartitions)
        #expect(ShipReaction(to: missing, after: .init(hasPartitions: true)) == .isolate)
        #expect(ShipReaction(to: missing, after: .init(hasPartitions: true, isIsolating: true)) == .stop)
    }

    @Test func whatWasLostIsReadBack() {
        for phase in [PostgresPhase.idle, .statement, .transaction, .commit] {
            let lost = PostgresError.connectionLost(during: phase, sqlState: nil, message: "")
            #expect(ShipReaction(to: lost, after: .init()) == .retry)
            let late = PostgresError.timedOut(during: phase, isCancelled: false)
            #expect(ShipReaction(to: late, after: .init(isIsolating: true)) == .retry)
        }
        #expect(ShipReaction(to: .rolledBack, after: .init()) == .stop)
    }

    @Test func aTroubleNamesCodeAndObject() throws {
        let trouble = ShipTrouble(try Self.server("42501", table: "event", constraint: "c"))
        #expect(trouble.code == "42501" && trouble.detail == "SQLSTATE 42501 on table event, constraint c: no")
        #expect(ShipTrouble(try Self.server("42703")).detail == "SQLSTATE 42703: no")
        let other = ShipTrouble(.unexpectedResult(message: "odd"))
        #expect(other.code == "postgres_unexpected_result" && other.detail == "odd")
    }

    @Test func pausesGrowToALimitAndAreSpread() {
        var generator = SeededGenerator(1)
        var backoff = ShipBackoff()
        var limit = ShipBackoff.millisecondsMin
        for _ in 0..<20 {
            #expect((limit / 2...limit).contains(backoff.pause(using: &generator)))
            limit = min(limit * 2, ShipBackoff.millisecondsMax)
        }
        backoff.reset()
        #expect(backoff.pause(using: &generator) <= ShipBackoff.millisecondsMin)
    }
}
