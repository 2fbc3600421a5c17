import Foundation
import JSON
import Telemetry
import Testing

/// A log into a temporary file.
final class LogFile {
    let log: LineLog
    private let descriptor: Int32
    private let path: String

    init(level: LogLevel = .debug) {
        path = NSTemporaryDirectory() + "log-\(UUID().uuidString)"
        descriptor = open(path, O_CREAT | O_RDWR | O_APPEND, 0o600)
        log = LineLog(descriptor: descriptor, level: level)
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    func lines() throws -> [JSONTree] {
        let text = try Data(contentsOf: URL(fileURLWithPath: path))
        return try text.split(separator: 10).map { try JSONTree(parsing: Array($0)) }
    }
}

struct LineLogTests {
    @Test func writesOneObjectALine() throws {
        let file = LogFile(level: .info)
        file.log.write(.debug, "not written", at: 0)
        file.log.write(
            .warning, "a \"quoted\" message", at: 1_500,
            ["text": "line\nfeed \u{1}", "count": 3, "share": .double(0.5), "yes": true, "none": .double(.nan)])
        file.log.level = .error
        file.log.write(.warning, "not written", at: 0)
        file.log.write(.error, "written", at: 0)
        let lines = try file.lines()
        #expect(lines.count == 2)
        #expect(lines[0]["time"]?.string == "1970-01-01T00:00:00.001500Z" && lines[0]["level"]?.string == "warning")
        #expect(lines[0]["message"]?.string == "a \"quoted\" message" && lines[0]["text"]?.string == "line\nfeed \u{1}")
        #expect(lines[0]["count"]?.int64 == 3 && lines[0]["share"]?.double == 0.5 && lines[0]["none"]?.isNull == true)
    }

    @Test func cutsLongFields() throws {
        let file = LogFile()
        file.log.write(.info, "m", at: 0, ["long": .text(String(repeating: "é", count: 5_000))])
        #expect(try #require(file.lines()[0]["long"]?.string).utf8.count <= TelemetryLimits.logFieldBytesMax + 2)
    }

    @Test func countsLinesThatAreNotTaken() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        defer { close(ends[0]); close(ends[1]) }
        let log = LineLog(descriptor: ends[1], level: .info)
        for _ in 0..<3_000 { log.write(.info, "filling the pipe with lines until it takes no more", at: 0) }
        #expect(log.lostLines > 0)
        var drain = [UInt8](repeating: 0, count: 1 << 20)
        #expect(read(ends[0], &drain, drain.count) > 0)
        log.write(.info, "again", at: 0)
        #expect(log.lostLines == 0)
        let count = read(ends[0], &drain, drain.count)
        #expect(String(decoding: drain[..<count], as: UTF8.self).contains("\"lost_lines\":"))
    }

    @Test func levelNames() {
        for level in LogLevel.allCases { #expect(LogLevel(name: level.name) == level) }
        #expect(LogLevel(name: "verbose") == nil && LogLevel.debug < LogLevel.error)
    }
}
