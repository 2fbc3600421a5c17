import Testing

@testable import Postgres
@testable import Service

/// What the shipper does next, step by step.
@Suite struct ShipMachineTests {
    private var random = SystemRandomNumberGenerator()

    private func refusal(_ code: SQLState) -> PostgresError {
        .server(
            PostgresServerError(
                sqlState: code, severity: "ERROR", message: "", table: "event", column: nil, constraint: nil,
                copyLine: nil)
        )
    }

    private func order(
        _ from: UInt64, _ framesMax: Int = 200, partitions: Bool = false, isolating: Bool = false
    ) -> ShipMachine.Step {
        var attempt = ShipReaction.Attempt()
        attempt.hasPartitions = partitions
        attempt.isIsolating = isolating
        return .ship(ShipMachine.Order(from: from, framesMax: framesMax, attempt: attempt))
    }

    /// A machine whose stored position is known.
    private func settled(at position: UInt64, batchFramesMax: Int = 200) -> ShipMachine {
        var machine = ShipMachine(batchFramesMax: batchFramesMax)
        #expect(machine.settled(at: position, isOurs: true) == nil)
        return machine
    }

    private func step(
        _ machine: inout ShipMachine, applied: UInt64, isConnected: Bool = true, isStopping: Bool = false
    ) -> ShipMachine.Step {
        machine.step(isConnected: isConnected, isStopping: isStopping, appliedSeq: applied)
    }

    @Test func itReadsThePositionThenShipsThenWaits() {
        var machine = ShipMachine(batchFramesMax: 200)
        #expect(machine.isFirstSettlement && !machine.isSettled)
        #expect(step(&machine, applied: 10, isConnected: false) == .settle)
        #expect(step(&machine, applied: 10) == .settle)
        #expect(machine.settled(at: 4, isOurs: true) == nil)
        #expect(step(&machine, applied: 10) == order(4))
        machine.shipped(through: 10)
        #expect(step(&machine, applied: 10) == .idle)
        #expect(step(&machine, applied: 11, isStopping: true) == order(11))
        machine.shipped(through: 11)
        #expect(step(&machine, applied: 11, isStopping: true) == .end)
    }

    /// Whatever happened to a COMMIT is read, never assumed.
    @Test(arguments: [
        PostgresError.connectionLost(during: .commit, sqlState: nil, message: ""),
        .timedOut(during: .commit, isCancelled: false),
        .connectionLost(during: .transaction, sqlState: nil, message: ""),
    ])
    mutating func anUnknownOutcomeIsReadBack(error: PostgresError) {
        var machine = settled(at: 5)
        guard case .reconnect(_, isStuck: false) = machine.failed(error, using: &random) else {
            Issue.record("\(error) is not followed by a new connection")
            return
        }
        #expect(step(&machine, applied: 9) == .settle)
        #expect(machine.settled(at: 10, isOurs: true) == nil)
        #expect(step(&machine, applied: 9) == .idle)
    }

    @Test mutating func aPositionThatIsNotOursIsReadAgain() {
        var machine = settled(at: 5)
        guard case .reconnect(_, isStuck: false) = machine.failed(refusal(.shipPositionMismatch), using: &random) else {
            Issue.record("a mismatch is not read again")
            return
        }
        #expect(step(&machine, applied: 9) == .settle)
    }

    @Test func aFailoverTakesFramesBack() {
        var machine = settled(at: 5)
        machine.shipped(through: 20)
        #expect(machine.settled(at: 11, isOurs: true) == 11...20)
        #expect(step(&machine, applied: 30) == order(11))
        #expect(machine.settled(at: 11, isOurs: true) == nil)
    }

    @Test mutating func whatPartitionsDoNotMendIsIsolatedAndThenStops() {
        var machine = settled(at: 5)
        #expect(machine.failed(refusal(.checkViolation), using: &random) == .again)
        #expect(step(&machine, applied: 9) == order(5, partitions: true))
        #expect(machine.failed(refusal(.untranslatableCharacter), using: &random) == .again)
        #expect(step(&machine, applied: 9) == order(5, partitions: true, isolating: true))
        #expect(
            machine.failed(refusal(.untranslatableCharacter), using: &random)
                == .reconnect(pauseMilliseconds: ShipBackoff.stoppedMilliseconds, isStuck: true))
        // What was tried is forgotten with the frames.
        _ = machine.settled(at: 5, isOurs: true)
        machine.shipped(through: 9)
        #expect(step(&machine, applied: 12) == order(10))
    }

    @Test func anotherPastIsNotShippedOver() {
        var machine = ShipMachine(batchFramesMax: 200)
        #expect(machine.settled(at: 50, isOurs: false) == nil)
        #expect(step(&machine, applied: 90) == .standStill)
        #expect(step(&machine, applied: 90) == .settle)
        _ = machine.settled(at: 50, isOurs: false)
        #expect(step(&machine, applied: 90, isStopping: true) == .end)
        _ = machine.settled(at: 50, isOurs: true)
        #expect(step(&machine, applied: 90) == order(50))
    }

    @Test mutating func aBatchThatIsTooSlowShrinksAndGrowsAgain() {
        var machine = settled(at: 1, batchFramesMax: 400)
        for expected in [200, 100, 100] {
            _ = machine.failed(.timedOut(during: .transaction, isCancelled: true), using: &random)
            _ = machine.settled(at: 1, isOurs: true)
            #expect(step(&machine, applied: 9) == order(1, expected))
        }
        for (seq, expected) in zip([9, 19, 29] as [UInt64], [200, 400, 400]) {
            machine.shipped(through: seq)
            #expect(step(&machine, applied: 99) == order(seq + 1, expected))
        }
    }

    @Test mutating func pausesGrowUntilSomethingWorks() {
        var machine = settled(at: 1)
        var longest = 0
        for _ in 0..<20 {
            guard case .reconnect(let pause, _) = machine.failed(.connectTimedOut(message: ""), using: &random) else {
                Issue.record("no pause")
                return
            }
            #expect(pause <= ShipBackoff.millisecondsMax)
            longest = max(longest, pause)
        }
        #expect(longest > ShipBackoff.millisecondsMax / 2)
        machine.shipped(through: 1)
        guard case .reconnect(let pause, _) = machine.failed(.connectTimedOut(message: ""), using: &random) else {
            Issue.record("no pause")
            return
        }
        #expect(pause <= ShipBackoff.millisecondsMin)
    }
}
