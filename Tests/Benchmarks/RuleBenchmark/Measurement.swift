import CAllocationCount

/// Takes the time of many calls: the best of several rounds, since everything else on the machine only adds to it.
struct Measurement {
    let nanoseconds: Double
    let allocations: Double

    /// - Parameter seconds: the length of all rounds together.
    init(seconds: Double, _ body: (_ index: Int) -> Void) {
        let clock = ContinuousClock()
        let rounds = 10
        var calls = 16
        // As many calls as fill a round.
        while true {
            let taken = clock.measure { for index in 0..<calls { body(index) } }
            let wanted = Duration.seconds(seconds / Double(rounds))
            if taken * 2 > wanted { break }
            calls *= 2
        }
        let before = allocation_count()
        for index in 0..<calls { body(index) }
        allocations = Double(allocation_count() - before) / Double(calls)
        var best = Duration.seconds(1_000_000)
        for _ in 0..<rounds {
            let taken = clock.measure { for index in 0..<calls { body(index) } }
            best = min(best, taken)
        }
        let attoseconds = Double(best.components.seconds) * 1e18 + Double(best.components.attoseconds)
        nanoseconds = attoseconds / 1e9 / Double(calls)
    }

    func show(_ name: String) {
        print("\(name) ns \(nanoseconds)")
        print("\(name) allocations \(allocations)")
    }
}

/// Keeps the optimizer from dropping a result.
@inline(never) func use<Value>(_ value: Value) {}
