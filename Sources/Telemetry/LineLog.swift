import Glibc
import JSON
import Synchronization

/// How much a log line matters.
public enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    /// For one request at a time.
    case debug
    /// What an operator may want to know.
    case info
    /// Degraded, and it heals or is handled.
    case warning
    /// Someone has to act.
    case error

    /// Levels are ordered by how much they matter.
    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

    /// The level called `name`: debug, info, warning or error; nil otherwise.
    public init?(name: String) {
        guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }

    /// The spelling in a log line.
    public var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }
}

/// The value of a field of a log line.
public enum LogValue: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    /// Text, cut at ``TelemetryLimits/logFieldBytesMax``.
    case text(String)
    /// An integer.
    case integer(Int64)
    /// A number.
    case double(Double)
    /// A truth value.
    case bool(Bool)

    /// Text.
    public init(stringLiteral value: String) { self = .text(value) }
    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// A structured log: one JSON object a line, written with one `write(2)`. Messages are static text, so that no
/// value can end up in one; values are fields.
public final class LineLog: ObservationSink {
    private let descriptor: Int32
    private let threshold: Atomic<Int>
    private let state = Mutex(State())
    private let lost = Atomic<Int>(0)

    private struct State {
        /// Kept, so that a line allocates nothing.
        var buffer: [UInt8] = []
        /// Whether the last line was cut in the middle, so that the next one has to start a new line.
        var isTorn = false
    }

    /// A log into the open file `descriptor`, of lines at `level` and above.
    public init(descriptor: Int32 = STDERR_FILENO, level: LogLevel = .info) {
        self.descriptor = descriptor
        self.threshold = Atomic(level.rawValue)
    }

    /// Lines below this level are not written. May be changed while the log is used.
    public var level: LogLevel {
        get { LogLevel(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// Lines that the descriptor did not take; told in the next line that it takes.
    public var lostLines: Int { lost.load(ordering: .relaxed) }

    /// Whether a line of `level` would be written; lets a caller skip building fields.
    public func isEnabled(_ level: LogLevel) -> Bool { level.rawValue >= threshold.load(ordering: .relaxed) }

    /// Writes one line. The keys `time`, `level` and `message` are taken.
    public func write(
        _ level: LogLevel, _ message: StaticString, at micros: Int64,
        _ fields: KeyValuePairs<StaticString, LogValue> = [:]
    ) {
        guard isEnabled(level) else { return }
        state.withLock { state in
            var writer = JSONWriter(reusing: exchangeEmpty(&state.buffer))
            if state.isTorn { writer.newline() }
            writer.beginObject()
            writer.key("time")
            writer.timestamp(micros)
            writer.key("level")
            writer.string(level.name)
            writer.key("message")
            writer.string(message)
            for (key, value) in fields {
                writer.key(key)
                writer.logValue(value)
            }
            let missing = lost.exchange(0, ordering: .relaxed)
            if missing > 0 {
                writer.key("lost_lines")
                writer.integer(missing)
            }
            writer.endObject()
            writer.newline()
            state.buffer = writer.finish()
            let written = writeAll(state.buffer)
            if written > 0 { state.isTorn = written < state.buffer.count }
            if written < state.buffer.count { lost.wrappingAdd(missing + 1, ordering: .relaxed) }
        }
    }

    private func exchangeEmpty(_ bytes: inout [UInt8]) -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        return taken
    }

    /// Returns the bytes taken. A line that a non-blocking descriptor does not take at once is dropped and
    /// counted, so that a full pipe cannot stop the daemon.
    private func writeAll(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { all in
            var start = 0
            while start < all.count {
                let written = Glibc.write(descriptor, all.baseAddress.map { $0 + start }, all.count - start)
                if written > 0 {
                    start += written
                } else if errno != EINTR {
                    break
                }
            }
            return start
        }
    }
}

extension JSONWriter {
    fileprivate mutating func logValue(_ value: LogValue) {
        switch value {
        case .text(let text):
            let isLong = text.utf8.count > TelemetryLimits.logFieldBytesMax
            string(isLong ? String(decoding: text.utf8.prefix(TelemetryLimits.logFieldBytesMax), as: UTF8.self) : text)
        case .integer(let number): integer(number)
        case .double(let number): double(number)
        case .bool(let truth): bool(truth)
        }
    }
}
