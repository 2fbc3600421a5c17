internal import CSimdJSON

/// Appends JSON text to a byte array. It sets commas itself; nesting mistakes are programming errors and trap.
public struct JSONWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]
    private var needsComma = false
    private var depth = 0

    /// An empty writer with room for `capacity` bytes.
    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// A writer that continues in the memory of `reusing`, whose content is dropped.
    public init(reusing: consuming [UInt8]) {
        bytes = reusing
        bytes.removeAll(keepingCapacity: true)
    }

    /// Forgets everything written and keeps the memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
        depth = 0
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
        depth += 1
    }

    private mutating func close(_ bracket: UInt8) {
        precondition(depth > 0, "a container is closed that was not opened")
        bytes.append(bracket)
        needsComma = true
        depth -= 1
    }

    /// Starts an object; every value in it follows a ``key(_:)-(StaticString)``.
    public mutating func beginObject() { open(UInt8(ascii: "{")) }

    /// Ends the innermost object.
    public mutating func endObject() { close(UInt8(ascii: "}")) }

    /// Starts an array.
    public mutating func beginArray() { open(UInt8(ascii: "[")) }

    /// Ends the innermost array.
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// Ends a top-level value with a line feed, so that another may follow (NDJSON).
    public mutating func newline() {
        precondition(depth == 0, "a line ends inside a container")
        bytes.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    /// A member's key that needs no escapes.
    public mutating func key(_ key: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A member's key.
    public mutating func key(_ key: String) {
        string(key)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A member's key as UTF-8.
    public mutating func key(utf8: UnsafeBufferPointer<UInt8>) {
        string(utf8: utf8)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A string.
    public mutating func string(_ text: String) {
        var text = text
        separate()
        text.withUTF8 { appendQuoted($0) }
    }

    /// A string that needs no escapes.
    public mutating func string(_ text: StaticString) {
        separate()
        appendQuoted(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A string given as valid UTF-8.
    public mutating func string(utf8: UnsafeBufferPointer<UInt8>) {
        separate()
        appendQuoted(utf8)
    }

    private mutating func appendQuoted(_ utf8: UnsafeBufferPointer<UInt8>) {
        let quote = UInt8(ascii: "\"")
        let backslash = UInt8(ascii: "\\")
        bytes.append(quote)
        var start = 0
        for index in 0..<utf8.count {
            let byte = utf8[index]
            guard byte < 0x20 || byte == quote || byte == backslash else { continue }
            bytes.append(contentsOf: utf8[start..<index])
            start = index + 1
            appendEscape(byte)
        }
        bytes.append(contentsOf: utf8[start...])
        bytes.append(quote)
    }

    private mutating func appendEscape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0x22, 0x5C: bytes.append(byte)
        default:
            let low = byte & 15
            bytes.append(contentsOf: [UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0")])
            bytes.append(UInt8(ascii: "0") + byte >> 4)
            bytes.append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        }
    }

    /// An integer.
    public mutating func integer(_ value: Int64) {
        separate()
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        appendInteger(value.magnitude, to: &bytes)
    }

    /// An integer.
    public mutating func integer(_ value: Int) { integer(Int64(value)) }

    /// The shortest decimal that reads back as the same double, laid out as ``JSONNumber/text``: 3000, not
    /// 3000.0. `null` when it is not finite, since JSON has no such number. Negative zero is written as `-0`.
    public mutating func double(_ value: Double) {
        guard value.isFinite else { return null() }
        separate()
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 {
            if value.sign == .minus { bytes.append(UInt8(ascii: "-")) }
            appendInteger(whole.magnitude, to: &bytes)
            return
        }
        var digits: UInt64 = 0
        var power: Int32 = 0
        csj_shortest_double(value, &digits, &power)
        appendDecimal(value < 0, digits: digits, exponent: Int(power), to: &bytes)
    }

    /// The shortest decimal that reads back as the same single-precision number; otherwise as ``double(_:)``.
    public mutating func float(_ value: Float) {
        guard value.isFinite else { return null() }
        separate()
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 24 {
            if value.sign == .minus { bytes.append(UInt8(ascii: "-")) }
            appendInteger(whole.magnitude, to: &bytes)
            return
        }
        var digits: UInt64 = 0
        var power: Int32 = 0
        csj_shortest_float(value, &digits, &power)
        appendDecimal(value < 0, digits: digits, exponent: Int(power), to: &bytes)
    }

    /// An exact number.
    public mutating func number(_ value: JSONNumber) {
        separate()
        value.append(to: &bytes)
    }

    /// `true` or `false`.
    public mutating func bool(_ value: Bool) {
        raw(value ? "true" : "false")
    }

    /// `null`.
    public mutating func null() { raw("null") }

    private mutating func raw(_ text: StaticString) {
        raw(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// One value whose JSON text is already there; it is copied as it is.
    public mutating func raw(_ json: some Collection<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    /// The source text of `value`, copied as it is.
    public mutating func raw(_ value: JSONValue) { raw(value.raw) }

    /// The text, when every container is closed.
    public consuming func finish() -> [UInt8] {
        precondition(depth == 0, "a container is still open")
        return bytes
    }
}
