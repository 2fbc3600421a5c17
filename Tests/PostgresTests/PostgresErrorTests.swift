import Testing

@testable import Postgres

@Suite struct PostgresErrorTests {
    @Test(arguments: [
        ("08006", nil, PostgresRecovery.retry), ("57P01", nil, .retry), ("57P02", nil, .retry), ("57P03", nil, .retry),
        ("53300", nil, .retry),
        ("40001", nil, .retry), ("40P01", nil, .retry), ("55P03", nil, .retry), ("25006", nil, .retry),
        ("57014", nil, .retry), ("58030", nil, .retry), ("42P01", nil, .stop), ("42501", nil, .stop),
        ("22P04", nil, .stop), ("22P05", nil, .isolateRow), ("22003", nil, .isolateRow), ("23502", nil, .isolateRow),
        ("22021", nil, .isolateRow), ("22P02", nil, .isolateRow), ("23503", "t_fkey", .isolateRow),
        ("23505", "t_pkey", .isolateRow), ("23514", "t_check", .isolateRow), ("23514", nil, .isolateRow),
        ("54001", nil, .isolateRow), ("42703", nil, .stop), ("53100", nil, .retry), ("08P01", nil, .retry),
        ("ZD001", nil, .rereadPosition), ("ZD002", nil, .rereadPosition),
        ("XX000", nil, .stop), ("25P02", nil, .stop),
    ])
    func serverErrorsAreClassified(code: String, constraint: String?, recovery: PostgresRecovery) throws {
        let error = PostgresError.server(
            PostgresServerError(
                sqlState: try #require(SQLState(code)),
                severity: "ERROR",
                message: "",
                table: nil,
                column: nil,
                constraint: constraint,
                copyLine: nil
            )
        )
        #expect(error.recovery == recovery)
        #expect(error.isTransient == (recovery == .retry))
        #expect(error.isPoison == (recovery == .isolateRow))
        #expect(!error.isUnknownOutcome)
    }

    /// PostgreSQL names the table when no partition takes a row; a trigger's own check violation names nothing.
    @Test(arguments: [("event", nil, PostgresRecovery.ensurePartitions), ("event", "t_check", .isolateRow)])
    func aMissingPartitionIsNoBadRow(table: String, constraint: String?, recovery: PostgresRecovery) {
        let error = PostgresServerError(
            sqlState: .checkViolation, severity: "ERROR", message: "", table: table, column: nil,
            constraint: constraint, copyLine: nil)
        #expect(error.recovery == recovery)
    }

    @Test(arguments: [
        (PostgresPhase.idle, PostgresRecovery.retry), (.transaction, .retry), (.statement, .resolveOutcome),
        (.commit, .resolveOutcome),
    ])
    func lossesAreClassified(phase: PostgresPhase, recovery: PostgresRecovery) {
        #expect(PostgresError.connectionLost(during: phase, sqlState: nil, message: "").recovery == recovery)
        #expect(PostgresError.timedOut(during: phase, isCancelled: false).recovery == recovery)
        #expect(PostgresError.timedOut(during: phase, isCancelled: true).recovery == .retry)
    }

    @Test func refusedConnectionsAreClassified() {
        #expect(PostgresError.connectFailed(sqlState: nil, message: "").isTransient)
        #expect(PostgresError.connectFailed(sqlState: .cannotConnectNow, message: "").isTransient)
        #expect(PostgresError.connectFailed(sqlState: SQLState("28P01"), message: "").recovery == .stop)
        #expect(PostgresError.connectTimedOut(message: "").isTransient)
    }

    @Test(arguments: ["", "2350", "235055", "23a05", "23-05", "é2350"]) func badCodesAreRefused(text: String) {
        #expect(SQLState(text) == nil)
    }

    @Test func codesKeepTheirSpelling() {
        #expect(SQLState("ZD001")?.description == "ZD001")
        #expect(SQLState.shipPositionMismatch == SQLState("ZD001"))
        #expect(SQLState.adminShutdown.errorClass == "57")
        #expect(SQLState.adminShutdown.isInClass("57"))
        #expect(!SQLState.adminShutdown.isInClass("75"))
    }

    @Test(arguments: [
        ("invalid input syntax for type integer: \"canary\"", "invalid input syntax for type integer: \"...\""),
        ("value \"canary\" is out of range for type integer", "value \"...\" is out of range for type integer"),
        ("value \"a\"canary\"b\" is bad", "value \"...\" is bad"),
        ("invalid byte sequence for encoding \"UTF8\": 0xc3 0x28", "invalid byte sequence for encoding \"...\""),
        ("bad thing: canary", "bad thing"), ("division by zero", "division by zero"),
    ])
    func valuesAreCutFromMessages(message: String, expected: String) {
        #expect(PostgresServerError.withoutValues(message) == expected)
    }

    @Test(arguments: [
        ("COPY event, line 3, column a: \"x, line 9\"", 3), ("COPY event, line 12", 12), ("COPY event", nil),
        ("JSON data, line 1: NaN...\nCOPY event, line 7, column data: \"x\"", 7),
        ("PL/pgSQL function f() line 3", nil), ("COPY t, line x", nil), ("", nil),
    ])
    func copyLinesAreRead(context: String, line: Int?) {
        #expect(PostgresServerError.copyLine(context) == line)
    }

    @Test func deadlinesSaturate() {
        #expect(PostgresDeadline.after(.seconds(Int64.max)) == .never)
        #expect(PostgresDeadline.after(.seconds(-1)).hasPassed)
        #expect(!PostgresDeadline.never.hasPassed)
        #expect(PostgresDeadline.after(.seconds(100)) < .never)
        #expect(PostgresDeadline.after(.nanoseconds(1_500_000)).pollMilliseconds >= 1)
        #expect(Duration.microseconds(1).settingMilliseconds == 1)
    }
}
