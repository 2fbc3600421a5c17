import Contracts
import Features
import Foundation
import JSON

/// Times pure code in one thread, for `deploy/bench`; prints `name value` lines.
///
///     decisiond-microbench contract CONTRACT.json EVENTS.ndjson SECONDS
///     decisiond-microbench features ENTITIES EVENTS SECONDS
///     decisiond-microbench model MODEL ROWS ANSWERS        (ModelRounds)
@main struct Micro {
    static func main() {
        do {
            try run()
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            exit(1)
        }
    }

    static func run() throws {
        let arguments = CommandLine.arguments.dropFirst()
        switch (arguments.first, arguments.count) {
        case ("contract", 4):
            let words = Array(arguments)
            try contract(words[1], words[2], seconds: Double(words[3]) ?? 1)
        case ("features", 4):
            let words = Array(arguments)
            try features(
                entities: Int(words[1]) ?? 0, total: Int(words[2]) ?? 0, seconds: Double(words[3]) ?? 1)
        case ("model", 4):
            let words = Array(arguments)
            var rounds = try ModelRounds(model: words[1], rows: words[2])
            try rounds.answer(words[3])
            try rounds.serve()
        default:
            FileHandle.standardError.write(Data("usage: see the head of Tests/Benchmarks/Micro/Micro.swift\n".utf8))
            exit(2)
        }
    }

    /// Runs `round` until the time is up; the seconds of its best run.
    static func best(seconds: Double, _ round: () -> Void) -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        var best = Double.infinity
        repeat {
            let time = clock.measure(round) / .seconds(1)
            best = min(best, time)
        } while (clock.now - start) / .seconds(1) < seconds
        return best
    }

    /// Events a second that are parsed, decoded as CloudEvents and checked against a contract.
    static func contract(_ document: String, _ file: String, seconds: Double) throws {
        let contract = try Contract.compile(
            try JSONTree(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: document)))))
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: file)))
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map { $0.startIndex..<$0.endIndex }
        let parser = JSONParser(limits: JSONLimits(bytesMax: 1 << 20, depthMax: 64))
        let now = Int64(Date().timeIntervalSince1970 * 1e6)
        var (sound, broken) = (0, 0)
        let parse = bytes.withUnsafeBytes { body in
            best(seconds: seconds) {
                for line in lines {
                    if (try? parser.parse(UnsafeRawBufferPointer(rebasing: body[line]))) == nil { broken += 1 }
                }
            }
        }
        let check = bytes.withUnsafeBytes { body in
            best(seconds: seconds) {
                sound = 0
                broken = 0
                for line in lines {
                    guard let root = try? parser.parse(UnsafeRawBufferPointer(rebasing: body[line])),
                        case .success(let event) = CloudEvent.decode(root, nowMicros: now),
                        contract.check(event, nowMicros: now) == nil
                    else {
                        broken += 1
                        continue
                    }
                    sound += 1
                }
            }
        }
        print("events \(lines.count)")
        print("events_sound \(sound)")
        print("parse_ns \(parse / Double(lines.count) * 1e9)")
        print("parse_and_check_ns \(check / Double(lines.count) * 1e9)")
    }

    /// Nanoseconds to apply one event to a view of ten features, to look through one entity for what retention lets go
    /// of, and to read the ten features of one entity. Each entity has ten events within the longest window on average,
    /// however many went before.
    static func features(entities: Int, total: Int, seconds: Double) throws {
        let view = try FeatureView.compile(spec)
        let store = FeatureStore(shards: 128)
        let index = store.add(view)
        let keys = (0..<entities).map { "B\($0)" }
        let clock = ContinuousClock()
        var generator = SystemRandomNumberGenerator()
        let order = (0..<min(total, 1 << 20)).map { _ in Int.random(in: 0..<entities, using: &generator) }
        let start = Int64(1_000_000_000_000_000)
        let step = longestWindow / Int64(10 * entities)
        let retireEvery = 10 * entities / 8
        var (applied, retired, passes) = (Duration.zero, Duration.zero, 0)
        for first in stride(from: 0, to: total, by: retireEvery) {
            let end = min(first + retireEvery, total)
            applied += clock.measure {
                for number in first..<end {
                    let time = start + Int64(number) * step
                    _ = store.apply(
                        view: index,
                        FeatureEvent(
                            entity: keys[order[number % order.count]], source: "/shops/bench", id: "b\(number)",
                            time: time, ingestTime: time, seq: Int64(number + 1),
                            values: [.scaled(Int64(number % 10_000)), .scaled(Int64(number % 24))]))
                }
                store.advance(to: Int64(end))
            }
            retired += clock.measure { store.retire(view: index, watermark: start + Int64(end) * step) }
            passes += 1
        }
        let plan = try store.plan(view: index)
        var vector = FeatureVector()
        let asOf = start + Int64(total) * step
        let reads = min(order.count, 100_000)
        let read = best(seconds: seconds) {
            for position in 0..<reads {
                store.read(keys[order[position]], plan, asOf: asOf, into: &vector)
            }
        }
        print("apply_ns \(applied / .seconds(1) / Double(total) * 1e9)")
        print("retire_ns \(retired / .seconds(1) / Double(passes * entities) * 1e9)")
        print("read_ns \(read / Double(reads) * 1e9)")
        print("resident_peak_mebibytes \(residentPeak())")
    }

    /// The most memory that this process has had resident [MiB].
    static func residentPeak() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss >> 10
    }

    private static let longestWindow = Int64(90 * 86_400_000_000)

    /// Ten features over two columns and three windows.
    static let spec: FeatureViewSpec = {
        let day = Int64(86_400_000_000)
        let windows: [(String, FeatureWindow)] = [
            ("7d", .micros(7 * day)), ("30d", .micros(30 * day)), ("90d", .micros(90 * day)),
        ]
        var features = windows.flatMap { name, window in
            [
                FeatureSpec(name: "count_\(name)", aggregate: .count, window: window),
                FeatureSpec(name: "sum_\(name)", aggregate: .sum, column: "amount", window: window),
                FeatureSpec(name: "max_\(name)", aggregate: .max, column: "amount", window: window),
            ]
        }
        features.append(
            FeatureSpec(name: "mean_30d", aggregate: .mean, column: "quantity", window: .micros(30 * day)))
        return FeatureViewSpec(
            name: "bench", version: 1, contract: "bench", entity: "customer",
            columns: [
                ColumnSpec(name: "amount", kind: .decimal(scale: 2), path: "/data/amount"),
                ColumnSpec(name: "quantity", kind: .integer, path: "/data/quantity"),
            ], features: features, retentionMicros: longestWindow + 1)
    }()
}
