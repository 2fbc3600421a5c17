import Foundation
import Testing

/// Journal, applying and shipping over a storage and a database that fail: whatever happens, everything acknowledged is in
/// memory and in the database, once.
@Suite struct ShipSimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seedsPerBlock = 1000
    /// 2,000 seeds, or 100,000 when `DECISIOND_TEST_LONG` is 1; `DECISIOND_SIMULATION_SEEDS` asks for another number.
    static var blocks: Int {
        let isLong = environment["DECISIOND_TEST_LONG"] == "1"
        let seeds = environment["DECISIOND_SIMULATION_SEEDS"].flatMap { Int($0) } ?? (isLong ? 100_000 : 2_000)
        return (seeds + seedsPerBlock - 1) / seedsPerBlock
    }

    /// Every kind of trouble that a block of seeds must have met; without it the simulation says nothing.
    static let kinds = [
        "power_loss", "kill", "storage_crash", "storage_drop", "storage_torn", "storage_reorder", "storage_lost_pages",
        "storage_eio", "storage_enospc", "bit_flip", "bit_flip_named", "answer_lost", "duplicate", "refused",
        "old_directory", "database_reset", "database_unknown_commit", "database_slow", "database_slow_commit",
        "database_serialization", "database_down", "database_failover", "database_abandoned_commit",
        "database_poison", "database_no_partition", "database_position_mismatch", "caught_up", "ship_rewound",
        "ship_again", "ship_reconnect",
    ]

    @Test(arguments: 0..<blocks)
    func everythingAcknowledgedIsThereOnce(block: Int) throws {
        let ledger = SimulationLedger()
        if ledger.has(block: block) { return }
        var counts: [String: Int] = [:]
        for seed in UInt64(block * Self.seedsPerBlock)..<UInt64((block + 1) * Self.seedsPerBlock) {
            var history = ShipHistory(seed: seed)
            do {
                for (kind, number) in try history.run() { counts[kind, default: 0] += number }
            } catch {
                ledger.add(block: block, result: "failed", counts: ["failed_seed": Int(seed)])
                throw error
            }
        }
        for kind in Self.kinds { #expect(counts[kind, default: 0] > 0, "\(kind) never came about") }
        counts["seeds"] = Self.seedsPerBlock
        ledger.add(block: block, result: "passed", counts: counts)
    }

    /// The same seed is the same history.
    @Test func aSeedRepeatsItself() throws {
        for seed: UInt64 in 1...20 {
            var one = ShipHistory(seed: seed)
            var other = ShipHistory(seed: seed)
            #expect(try one.run() == other.run())
            #expect(one.frames == other.frames && one.database.rows == other.database.rows)
        }
    }
}

/// The lines that a long run keeps (`Tests/BlackBox/ledger.py`): one per finished block of seeds.
private struct SimulationLedger {
    private static let environment = ProcessInfo.processInfo.environment
    private let path = Self.environment["DECISIOND_TEST_LONG"] == "1" ? Self.environment["DECISIOND_LEDGER"] : nil
    private let code = Self.environment["DECISIOND_LEDGER_CODE"] ?? ""

    /// Whether this block passed before, with these sources.
    func has(block: Int) -> Bool {
        guard let path, let text = try? String(contentsOfFile: path, encoding: .utf8) else { return false }
        return text.split(separator: "\n").contains { line in
            guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
                return false
            }
            return object["test"] as? String == "simulation" && object["seed"] as? Int == block
                && object["code"] as? String == code && object["result"] as? String == "passed"
        }
    }

    func add(block: Int, result: String, counts: [String: Int]) {
        guard let path else { return }
        var object: [String: Any] = counts
        object["test"] = "simulation"
        object["moment"] = "seeds"
        object["seed"] = block
        object["result"] = result
        object["code"] = code
        object["commit"] = Self.environment["DECISIOND_LEDGER_COMMIT"] ?? ""
        object["at"] = ISO8601DateFormatter().string(from: Date())
        guard var line = try? JSONSerialization.data(withJSONObject: object, options: .sortedKeys),
            let file = fopen(path, "a")
        else { return }
        line.append(0x0A)
        _ = line.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
        fclose(file)
    }
}
