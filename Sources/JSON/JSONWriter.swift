internal import CSimdJSON

/// Appends JSON text to a byte array. It sets commas itself; nesting mistakes are programming errors and trap.
public struct JSONWriter: Sendable {
    private var text: TextBuffer
    private var needsComma = false
    private var depth = 0

    /// An empty writer with room for `capacity` bytes.
    public init(capacity: Int = 256) {
        text = TextBuffer(capacity: capacity)
    }

    /// A writer that continues in the memory of `reusing`, whose content is dropped.
    public init(reusing: consuming [UInt8]) {
        text = TextBuffer(reusing: reusing)
    }

    /// What was written so far, copied; ``finish()`` copies nothing.
    public var bytes: [UInt8] { text.bytes }

    /// Bytes written so far: the place of what comes next.
    public var count: Int { text.count }

    /// Lends the bytes written so far.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { text.withBytes(body) }

    /// Forgets everything written and keeps the memory.
    public mutating func removeAll() {
        text.removeAll()
        needsComma = false
        depth = 0
    }

    @inline(__always)
    private mutating func separate() {
        if needsComma { text.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        text.append(bracket)
        needsComma = false
        depth += 1
    }

    private mutating func close(_ bracket: UInt8) {
        precondition(depth > 0, "a container is closed that was not opened")
        text.append(bracket)
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
        text.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    /// A member's key that needs no escapes.
    public mutating func key(_ key: StaticString) {
        let (start, count, comma) = (key.utf8Start, key.utf8CodeUnitCount, needsComma)
        text.write(room: count + 4) { room in
            var room = room
            if comma {
                room.pointee = UInt8(ascii: ",")
                room += 1
            }
            room.pointee = UInt8(ascii: "\"")
            (room + 1).update(from: start, count: count)
            room[count + 1] = UInt8(ascii: "\"")
            room[count + 2] = UInt8(ascii: ":")
            return count + (comma ? 4 : 3)
        }
        needsComma = false
    }

    /// A member's key.
    public mutating func key(_ key: String) {
        string(key)
        text.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A member's key as UTF-8.
    public mutating func key(utf8: UnsafeBufferPointer<UInt8>) {
        string(utf8: utf8)
        text.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A member's key that was encoded before: its JSON text with the colon.
    public mutating func key(_ key: EncodedKey) {
        separate()
        key.bytes.withUnsafeBufferPointer { text.append($0) }
        needsComma = false
    }

    /// A string.
    public mutating func string(_ string: String) {
        var string = string
        separate()
        string.withUTF8 { appendQuoted($0) }
    }

    /// A string that needs no escapes.
    public mutating func string(_ string: StaticString) {
        separate()
        appendQuoted(UnsafeBufferPointer(start: string.utf8Start, count: string.utf8CodeUnitCount))
    }

    /// A string given as valid UTF-8.
    public mutating func string(utf8: UnsafeBufferPointer<UInt8>) {
        separate()
        appendQuoted(utf8)
    }

    private mutating func appendQuoted(_ utf8: UnsafeBufferPointer<UInt8>) {
        let quote = UInt8(ascii: "\"")
        let backslash = UInt8(ascii: "\\")
        var isPlain = true
        text.write(room: utf8.count + 2) { room in
            room.pointee = quote
            for index in 0..<utf8.count {
                let byte = utf8[index]
                if byte < 0x20 || byte == quote || byte == backslash {
                    isPlain = false
                    return 0
                }
                room[index + 1] = byte
            }
            room[utf8.count + 1] = quote
            return utf8.count + 2
        }
        if isPlain { return }
        text.append(quote)
        for byte in utf8 {
            if byte < 0x20 || byte == quote || byte == backslash { appendEscape(byte) } else { text.append(byte) }
        }
        text.append(quote)
    }

    /// A string of at most `room` bytes that needs no escapes, which `fill` writes in place.
    public mutating func quoted(room count: Int, _ fill: (UnsafeMutablePointer<UInt8>) -> Int) {
        separate()
        text.write(room: count + 2) { room in
            room.pointee = UInt8(ascii: "\"")
            let used = fill(room + 1)
            room[used + 1] = UInt8(ascii: "\"")
            return used + 2
        }
    }

    private mutating func appendEscape(_ byte: UInt8) {
        text.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: text.append(UInt8(ascii: "b"))
        case 0x09: text.append(UInt8(ascii: "t"))
        case 0x0A: text.append(UInt8(ascii: "n"))
        case 0x0C: text.append(UInt8(ascii: "f"))
        case 0x0D: text.append(UInt8(ascii: "r"))
        case 0x22, 0x5C: text.append(byte)
        default:
            let low = byte & 15
            for each in "u00".utf8 { text.append(each) }
            text.append(UInt8(ascii: "0") + byte >> 4)
            text.append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        }
    }

    /// An integer.
    public mutating func integer(_ value: Int64) {
        separate()
        appendInteger(value.magnitude, isNegative: value < 0)
    }

    private mutating func appendInteger(_ magnitude: UInt64, isNegative: Bool) {
        text.write(room: NumberText.room) { room in
            if !isNegative { return NumberText.integer(magnitude, at: room) }
            room.pointee = UInt8(ascii: "-")
            return 1 + NumberText.integer(magnitude, at: room + 1)
        }
    }

    /// An integer.
    public mutating func integer(_ value: Int) { integer(Int64(value)) }

    /// `coefficient * 10^exponent` in plain digits as ``number(_:)`` would write it, without building a number.
    public mutating func decimal(isNegative: Bool, coefficient: UInt64, exponent: Int) {
        separate()
        text.write(room: NumberText.room) {
            NumberText.decimal(isNegative, digits: coefficient, exponent: exponent, at: $0)
        }
    }

    /// The shortest decimal that reads back as the same double, laid out as ``JSONNumber/text``: 3000, not
    /// 3000.0. `null` when it is not finite, since JSON has no such number. Negative zero is written as `-0`.
    public mutating func double(_ value: Double) {
        guard value.isFinite else { return null() }
        separate()
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 {
            appendInteger(whole.magnitude, isNegative: value.sign == .minus)
            return
        }
        var digits: UInt64 = 0
        var power: Int32 = 0
        csj_shortest_double(value, &digits, &power)
        text.write(room: NumberText.room) { [digits, power] in
            NumberText.decimal(value < 0, digits: digits, exponent: Int(power), at: $0)
        }
    }

    /// The shortest decimal that reads back as the same single-precision number; otherwise as ``double(_:)``.
    public mutating func float(_ value: Float) {
        guard value.isFinite else { return null() }
        separate()
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 24 {
            appendInteger(whole.magnitude, isNegative: value.sign == .minus)
            return
        }
        var digits: UInt64 = 0
        var power: Int32 = 0
        csj_shortest_float(value, &digits, &power)
        text.write(room: NumberText.room) { [digits, power] in
            NumberText.decimal(value < 0, digits: digits, exponent: Int(power), at: $0)
        }
    }

    /// An exact number.
    public mutating func number(_ value: JSONNumber) {
        separate()
        value.append(to: &text)
    }

    /// `true` or `false`.
    public mutating func bool(_ value: Bool) {
        raw(value ? "true" : "false")
    }

    /// `null`.
    public mutating func null() { raw("null") }

    private mutating func raw(_ json: StaticString) {
        raw(UnsafeBufferPointer(start: json.utf8Start, count: json.utf8CodeUnitCount))
    }

    /// One value whose JSON text is already there; it is copied as it is.
    public mutating func raw(_ json: UnsafeBufferPointer<UInt8>) {
        separate()
        text.append(json)
    }

    /// One value whose JSON text is already there; it is copied as it is.
    public mutating func raw(_ json: [UInt8]) {
        json.withUnsafeBufferPointer { raw($0) }
    }

    /// One value whose JSON text is already there; it is copied as it is.
    public mutating func raw(_ json: String.UTF8View) {
        if json.withContiguousStorageIfAvailable({ raw($0) }) == nil { raw(Array(json)) }
    }

    /// The source text of `value`, copied as it is.
    public mutating func raw(_ value: JSONValue) { raw(value.raw) }

    /// Members of the open object that were encoded before.
    public mutating func members(_ members: EncodedMembers) {
        members.bytes.withUnsafeBufferPointer { raw($0) }
    }

    /// The text so far of an object whose last member still lacks its value: see ``completing(_:with:)``.
    public consuming func unfinished() -> [UInt8] {
        precondition(depth == 1 && !needsComma, "one object is open and its last member has a key only")
        return text.finish()
    }

    /// Ends an ``unfinished()`` object with an integer as its last value, in the same memory where that has the room.
    public static func completing(_ unfinished: consuming [UInt8], with value: UInt64) -> [UInt8] {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: NumberText.room) { room in
            let start = room.baseAddress.unsafelyUnwrapped
            let count = NumberText.integer(value, at: start)
            room[count] = UInt8(ascii: "}")
            unfinished.append(contentsOf: UnsafeBufferPointer(start: start, count: count + 1))
        }
        return unfinished
    }

    /// The text, when every container is closed.
    public consuming func finish() -> [UInt8] {
        precondition(depth == 0, "a container is still open")
        return text.finish()
    }
}

/// Members of an object as JSON text, encoded once for what is written often.
public struct EncodedMembers: Sendable {
    let bytes: [UInt8]

    /// Encodes what `write` adds to an object.
    public init(_ write: (inout JSONWriter) -> Void) {
        var writer = JSONWriter(capacity: 64)
        writer.beginObject()
        write(&writer)
        writer.endObject()
        bytes = Array(writer.finish().dropFirst().dropLast())
    }
}

/// A member's key as JSON text with its colon, encoded once for a name that is written often.
public struct EncodedKey: Sendable {
    let bytes: [UInt8]

    /// Encodes a name.
    public init(_ name: String) {
        var writer = JSONWriter(capacity: name.utf8.count + 8)
        writer.key(name)
        bytes = writer.bytes
    }
}
