import Foundation
import Testing

/// Finds the shared data directory: DECISIOND_SHARED, or `shared` beside the repository.
enum SharedData {
    static func url(_ path: String) -> URL? {
        let environment = ProcessInfo.processInfo.environment
        let root =
            environment["DECISIOND_SHARED"].map { URL(fileURLWithPath: $0) }
            ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared")
        let url = root.appendingPathComponent(path)
        if FileManager.default.fileExists(atPath: url.path) { return url }
        if environment["CI"] == "true" { Issue.record("shared data is missing: \(path)") }
        return nil
    }

    static func lines(_ path: String) throws -> [Substring]? {
        guard let url = url(path) else { return nil }
        let data: Data
        if path.hasSuffix(".gz") {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["gunzip", "-c", url.path]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            data = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
        } else {
            data = try Data(contentsOf: url)
        }
        return String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    }

    static func csv(_ path: String) throws -> (header: [String: Int], rows: [[Substring]])? {
        guard let lines = try lines(path) else { return nil }
        let cells = lines.filter { !$0.isEmpty }.map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        var header: [String: Int] = [:]
        for (index, name) in cells[0].enumerated() { header[String(name)] = index }
        return (header, Array(cells.dropFirst()))
    }
}

/// RFC 3339 in UTC with milliseconds, as the data has it, to microseconds.
func micros(_ text: some StringProtocol) -> Int64 {
    let digits = text.utf8.map { Int64($0) - 48 }
    func number(_ range: Range<Int>) -> Int64 { range.reduce(0) { $0 * 10 + digits[$1] } }
    let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    let seconds = days * 86_400 + number(11..<13) * 3_600 + number(14..<16) * 60 + number(17..<19)
    let fraction = digits.count > 20 ? number(20..<23) * 1_000 : 0
    return seconds * 1_000_000 + fraction
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
