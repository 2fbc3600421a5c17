import Foundation
import Testing

@testable import FEEL

/// A TZif file made by hand: what the reader takes and what it refuses does not hang on the machine's files.
private struct TZifFile {
    var version: UInt8 = UInt8(ascii: "2")
    var transitions: [(time: Int64, kind: UInt8)] = []
    var offsets: [Int32] = [3600]
    var leapCount: UInt32 = 0
    var footer = ""

    var bytes: [UInt8] {
        let isLong = version >= UInt8(ascii: "2")
        return block(timeBytes: 4) + (isLong ? block(timeBytes: 8) + Array("\n\(footer)\n".utf8) : [])
    }

    private func block(timeBytes: Int) -> [UInt8] {
        var bytes = Array("TZif".utf8) + [version] + Array(repeating: 0, count: 15)
        for count in [0, 0, leapCount, UInt32(transitions.count), UInt32(offsets.count), 4] {
            bytes += big(Int64(count), 4)
        }
        for transition in transitions { bytes += big(transition.time, timeBytes) }
        bytes += transitions.map(\.kind)
        for offset in offsets { bytes += big(Int64(offset), 4) + [0, 0] }
        return bytes + Array("UTC\0".utf8) + Array(repeating: 0, count: Int(leapCount) * (timeBytes + 4))
    }

    private func big(_ value: Int64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> Int64(8 * (count - 1 - $0))) }
    }
}

@Suite struct ZoneTests {
    /// Central European rules without any file.
    static let berlin = "CET-1CEST,M3.5.0,M10.5.0/3"

    static func rules(_ footer: String, _ name: String = "Test/Zone") throws -> TimeZoneRules {
        try TimeZoneRules(name: name, tzif: TZifFile(footer: footer).bytes)
    }

    static func zones() throws -> ZoneOffsets {
        let known = [
            "Europe/Berlin": try rules(berlin), "America/New_York": try rules("EST5EDT,M3.2.0,M11.1.0"),
            "Asia/Kolkata": try rules("IST-5:30"),
        ]
        return ZoneOffsets(version: "2025b") { known[$0] }
    }

    /// A skipped reading moves forward by the gap, a repeated one is the first; exact time is added to the instant,
    /// months to the wall clock.
    @Test(arguments: [
        ("@\"2024-03-31T01:59:59@Europe/Berlin\".time offset", "PT1H"),
        ("@\"2024-03-31T02:30:00@Europe/Berlin\"", "2024-03-31T03:30:00@Europe/Berlin"),
        ("@\"2024-03-31T03:00:00@Europe/Berlin\".time offset", "PT2H"),
        ("@\"2024-10-27T02:30:00@Europe/Berlin\".time offset", "PT2H"),
        ("@\"2024-10-27T03:00:00@Europe/Berlin\".time offset", "PT1H"),
        ("@\"2024-03-31T01:30:00@Europe/Berlin\" + @\"PT1H\"", "2024-03-31T03:30:00@Europe/Berlin"),
        ("@\"2024-03-30T02:30:00@Europe/Berlin\" + @\"P1D\"", "2024-03-31T03:30:00@Europe/Berlin"),
        ("@\"2024-02-29T02:30:00@Europe/Berlin\" + @\"P1M\"", "2024-03-29T02:30:00@Europe/Berlin"),
        ("(@\"2024-10-27T02:30:00@Europe/Berlin\" + @\"PT1H\").time offset", "PT1H"),
        ("@\"2024-10-27T02:30:00@Europe/Berlin\" + @\"PT1H\"", "2024-10-27T02:30:00@Europe/Berlin"),
        ("@\"2024-10-27T03:30:00@Europe/Berlin\" - @\"2024-10-27T02:30:00@Europe/Berlin\"", "PT2H"),
        ("@\"2024-07-01T12:00:00@Europe/Berlin\" = @\"2024-07-01T06:00:00@America/New_York\"", "true"),
        ("@\"2024-07-01T12:00:00@Europe/Berlin\" < @\"2024-07-01T12:00:00@Asia/Kolkata\"", "false"),
        ("date and time(2024, 7, 1, 12, 0, 0, \"Europe/Berlin\").time offset", "PT2H"),
        ("date and time(2024, 7, 1, 12, 0, 0, \"Mars/Base\")", "null"), ("time(12, 0, 0, \"Europe/Berlin\")", "null"),
        ("@\"2024-07-01T12:00:00@Mars/Base\"", "null"), ("@\"2024-07-01T12:00:00@../../etc/passwd\"", "null"),
        ("@\"999999999-07-01T12:00:00@Europe/Berlin\".time offset", "PT2H"),
        ("@\"-999999999-01-01T12:00:00@America/New_York\".time offset", "-PT5H"),
        ("@\"999999999-12-31T23:59:59@Europe/Berlin\" + @\"PT1S\"", "null"),
        ("@\"2024-07-01T12:00:00@Europe/Berlin\".timezone", "Europe/Berlin"),
        ("is(@\"2024-07-01T12:00:00@Europe/Berlin\", @\"2024-07-01T12:00:00+02:00\")", "false"),
    ])
    func wallClocks(source: String, expected: String) throws {
        let expression = try Expression(source, in: Environment([], zones: try Self.zones()))
        #expect(expression.evaluate([]).text == expected, "\(source)")
    }

    @Test func readsEveryVersion() throws {
        let first = TZifFile(version: 0, transitions: [(-10, 1), (10, 0)], offsets: [3600, 7200])
        let rules = try TimeZoneRules(name: "a", tzif: first.bytes)
        #expect([-11, -10, 9, 10, 99].map { rules.offset(atSecond: $0) } == [3600, 7200, 7200, 3600, 3600])
        let second = TZifFile(transitions: [(1 << 40, 1)], offsets: [0, -3600], footer: "X1")
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(name: "a", tzif: second.bytes) }
        let third = TZifFile(
            version: UInt8(ascii: "3"), transitions: [(1 << 40, 1)], offsets: [0, -3600], footer: "XXX1")
        let far = try TimeZoneRules(name: "a", tzif: third.bytes)
        #expect(far.offset(atSecond: 1 << 39) == 0)
        #expect(far.offset(atSecond: 1 << 41) == -3600)
    }

    @Test(arguments: [
        (TZifFile(leapCount: 1).bytes, TimeZoneError.Code.leapSeconds),
        (TZifFile(transitions: [(5, 0), (5, 0)]).bytes, .corrupt), (TZifFile(transitions: [(5, 9)]).bytes, .corrupt),
        (TZifFile(offsets: [100_000]).bytes, .corrupt), (TZifFile(offsets: []).bytes, .corrupt),
        (TZifFile(footer: "CET-1CEST").bytes, .badFooter),
        (TZifFile(footer: "CET-1CEST,M13.1.0,M1.1.0").bytes, .badFooter),
        (Array("nothing".utf8), .notTZif), ([], .notTZif),
        (Array(repeating: 0, count: FEELLimits.zoneFileBytes + 1), .tooBig),
        (TZifFile(transitions: (0..<5000).map { ($0, 0) }).bytes, .tooBig),
    ])
    func refused(bytes: [UInt8], code: TimeZoneError.Code) {
        do throws(TimeZoneError) {
            _ = try TimeZoneRules(name: "x", tzif: bytes)
            Issue.record("accepted, not \(code)")
        } catch {
            #expect(error.code == code)
        }
    }

    @Test func namesOfZones() {
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+10", "Africa/Porto-Novo"] {
            #expect(TimeZoneRules.isName(name), "\(name)")
        }
        for name in [
            "", "/", "/etc", "Europe/", "..", "a/../b", "Europe//Berlin", "tzdata.zi", "a b", "é", "1/2",
            String(repeating: "a", count: 65),
        ] {
            #expect(!TimeZoneRules.isName(name), "\(name)")
        }
    }

    /// Every zone of the machine against the C library's own reading of the same files, through both directions.
    @Test func agreesWithFoundation() throws {
        var compared = 0
        for name in TimeZone.knownTimeZoneIdentifiers {
            guard let bytes = FileManager.default.contents(atPath: "/usr/share/zoneinfo/\(name)"),
                let reference = TimeZone(identifier: name)
            else { continue }
            let rules = try TimeZoneRules(name: name, tzif: [UInt8](bytes))
            for instant in stride(from: Int64(0), to: 4_000_000_000, by: 38_880_011) {
                let expected = reference.secondsFromGMT(for: Foundation.Date(timeIntervalSince1970: Double(instant)))
                let offset = rules.offset(atSecond: instant)
                if offset != expected { Issue.record("\(name) at \(instant): \(offset), not \(expected)") }
                let back = rules.offset(atLocal: instant + Int64(offset))
                let again = instant + Int64(offset - back)
                #expect(rules.offset(atSecond: again) == back, "\(name) at \(instant)")
                compared += 1
            }
        }
        if compared == 0 { print("skipped: no zone files on this machine") }
    }
}
