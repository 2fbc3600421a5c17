/// A W3C Trace Context (`traceparent`, levels 1 and 2): which trace a request belongs to.
public struct TraceContext: Hashable, Sendable {
    /// The trace's 128 bits, never zero.
    public let trace: UInt128
    /// The 64 bits of the span that sent the request, never zero.
    public let parent: UInt64
    /// Bit 0 sampled, bit 1 random trace id; other bits are zero.
    public let flags: UInt8

    /// A context, or nil when `trace` or `parent` is zero. Undefined flag bits are cleared.
    public init?(trace: UInt128, parent: UInt64, flags: UInt8) {
        guard trace != 0, parent != 0 else { return nil }
        self.trace = trace
        self.parent = parent
        self.flags = flags & 0b11
    }

    /// Parses a header value; nil when it is invalid, and then a new trace has to be started. Later versions
    /// are read by their first 55 characters, as the specification asks.
    public init?(header: String) {
        let bytes = Array(header.utf8)
        let dash = UInt8(ascii: "-")
        guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Self.hex(bytes[0..<2]), version != 0xFF,
            bytes.count == 55 || (version != 0 && bytes[55] == dash),
            let trace = Self.hex(bytes[3..<35]), let parent = Self.hex(bytes[36..<52]),
            let flags = Self.hex(bytes[53..<55])
        else { return nil }
        self.init(trace: trace, parent: UInt64(parent), flags: UInt8(flags))
    }

    /// A new trace with random identifiers, flagged as random and not sampled.
    public static func start(using random: inout some RandomNumberGenerator) -> TraceContext {
        var made: TraceContext?
        while made == nil {
            let trace = UInt128(random.next()) << 64 | UInt128(random.next())
            made = TraceContext(trace: trace, parent: random.next(), flags: 0b10)
        }
        guard let made else { preconditionFailure("the loop above ends with a context") }
        return made
    }

    /// The same trace seen from the span `parent`, for the next hop; nil when `parent` is zero.
    public func child(parent: UInt64) -> TraceContext? {
        TraceContext(trace: trace, parent: parent, flags: flags)
    }

    /// Whether the caller records this trace.
    public var isSampled: Bool { flags & 1 == 1 }

    /// 32 lower-case hexadecimal digits.
    public var traceID: String { Self.padded(trace, 32) }

    /// The header value, version 00.
    public var header: String {
        "00-" + traceID + "-" + Self.padded(UInt128(parent), 16) + "-" + Self.padded(UInt128(flags), 2)
    }

    private static func padded(_ value: UInt128, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: width - digits.utf8.count) + digits
    }

    /// Lower-case digits only: the specification makes upper case invalid.
    private static func hex(_ bytes: ArraySlice<UInt8>) -> UInt128? {
        var value: UInt128 = 0
        for byte in bytes {
            let digit = byte &- UInt8(ascii: "0")
            let letter = byte &- UInt8(ascii: "a")
            guard digit <= 9 || letter <= 5 else { return nil }
            value = value << 4 | UInt128(digit <= 9 ? digit : letter + 10)
        }
        return value
    }
}
