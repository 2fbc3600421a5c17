import FEEL
import Foundation
import Measures
import Testing

enum Zones {
    static func bytes(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: "/usr/share/zoneinfo/\(name)").map { [UInt8]($0) }
    }

    static func rules(_ name: String) throws -> TimeZoneRules? {
        try bytes(name).map { try TimeZoneRules(name: name, tzif: $0) }
    }
}

@Suite struct TimeZoneRulesTests {
    @Test func agreesWithTheReference() throws {
        guard Zones.bytes("Europe/London") != nil else {
            print("skipped: no zone files on this machine")
            return
        }
        var zones: [String: TimeZoneRules] = [:]
        var compared = 0
        for line in zoneFixture.split(separator: "\n") {
            let parts = line.split(separator: " ")
            let name = String(parts[0])
            if zones[name] == nil { zones[name] = try Zones.rules(name) }
            guard let zone = zones[name] else { continue }
            let numbers = try parts.dropFirst().map { try #require(Int64($0)) }
            let time = numbers[0] * 1_000_000
            let found = [
                Int64(zone.offsetSeconds(at: time)), zone.start(of: .day, containing: time) / 1_000_000,
                zone.next(.day, after: zone.start(of: .day, containing: time)) / 1_000_000,
                zone.start(of: .week, containing: time) / 1_000_000,
                zone.start(of: .month, containing: time) / 1_000_000,
                zone.start(of: .quarter, containing: time) / 1_000_000,
                zone.start(of: .year, containing: time) / 1_000_000,
            ]
            if found != Array(numbers.dropFirst()) { Issue.record("\(line): \(found)") }
            compared += 1
        }
        #expect(compared > 300)
    }

    @Test(arguments: [
        ("2024-03-31", 23), ("2024-10-27", 25), ("2024-06-01", 24), ("2055-03-28", 23), ("2055-10-31", 25),
    ])
    func daysHaveTheirHours(_ date: String, _ hours: Int) throws {
        guard let zone = try Zones.rules("Europe/Berlin") else { return }
        let start = try #require(zone.start(ofDate: date))
        let end = try #require(zone.end(ofDate: date))
        #expect(end - start == Int64(hours) * 3_600_000_000)
        #expect(zone.next(.day, after: start) == end)
        #expect(zone.label(start) == "\(date)T00:00:00")
        var (time, count) = (start, 0)
        while time < end {
            #expect(zone.start(of: .hour, containing: time) == time)
            time = zone.next(.hour, after: time)
            count += 1
        }
        #expect(time == end && count == hours)
    }

    @Test func grainsFollowEachOther() throws {
        for name in ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"] {
            guard let zone = try Zones.rules(name) else { return }
            for grain in TimeGrain.allCases where grain != .quarterHour {
                var start = zone.start(of: grain, containing: 1_300_000_000_000_000)
                for _ in 0..<60 {
                    let next = zone.next(grain, after: start)
                    #expect(next > start)
                    #expect(zone.start(of: grain, containing: next - 1_000_000) == start, "\(name) \(grain)")
                    #expect(zone.start(of: grain, containing: next) == next, "\(name) \(grain)")
                    start = next
                }
            }
        }
    }

    @Test func brokenFilesAreRefused() throws {
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(name: "x", tzif: []) }
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(name: "x", tzif: Array("TZif".utf8)) }
        guard let bytes = Zones.bytes("Europe/London") else { return }
        for length in stride(from: 0, to: bytes.count - 1, by: 7) {
            #expect(throws: TimeZoneError.self) { try TimeZoneRules(name: "x", tzif: Array(bytes[..<length])) }
        }
        var random = SeededGenerator(1)
        for _ in 0..<2_000 {
            var spoiled = bytes
            for _ in 0..<3 {
                spoiled[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            // Refused or read, never a trap.
            if let zone = try? TimeZoneRules(name: "x", tzif: spoiled) {
                _ = zone.start(
                    of: .day, containing: Int64.random(in: -4_000_000_000...4_000_000_000, using: &random) * 1_000_000)
            }
        }
    }

    @Test(arguments: ["2024-02-30", "2024-13-01", "24-01-01", "2024-1-1", "", "2024-01-01T00", "aaaa-bb-cc"])
    func badDates(_ text: String) {
        #expect(TimeZoneRules.utc.start(ofDate: text) == nil)
    }
}

/// SplitMix64: seeded, so that a failing property test repeats.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
