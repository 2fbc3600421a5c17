internal import CSimdJSON

/// The six kinds of JSON value.
public enum JSONKind: UInt8, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool
    /// Any number, of whatever size.
    case number
    /// Text.
    case string
    /// An ordered list.
    case array
    /// Members with distinct keys, in source order.
    case object
}

/// Unowned view of one value inside a parsed document: 24 bytes, no reference counting. It is valid only while
/// the parser or document that made it lives, and has not parsed again, and the source bytes are unchanged.
public struct JSONValue {
    @usableFromInline let nodes: UnsafePointer<TapeNode>
    @usableFromInline let source: UnsafePointer<UInt8>
    @usableFromInline let index: UInt32

    @inlinable
    init(nodes: UnsafePointer<TapeNode>, source: UnsafePointer<UInt8>, index: UInt32) {
        self.nodes = nodes
        self.source = source
        self.index = index
    }

    @inlinable var node: TapeNode { nodes[Int(index)] }

    /// What this value is.
    @inlinable public var kind: JSONKind {
        switch node.kindBits {
        case 0: .null
        case 1: .bool
        case 2: .number
        case 3: .string
        case 4: .array
        default: .object
        }
    }

    /// Whether this is `null`.
    @inlinable public var isNull: Bool { node.kindBits == 0 }

    /// The truth value; nil when this is not a boolean.
    @inlinable public var bool: Bool? { node.kindBits == 1 ? node.has(TapeNode.trueFlag) : nil }

    /// The source text of this value: a string with its quotes, a container with its brackets.
    @inlinable public var raw: UnsafeBufferPointer<UInt8> {
        let node = node
        let quote = node.kindBits == 3 ? 1 : 0
        return UnsafeBufferPointer(start: source + (Int(node.offset) - quote), count: Int(node.length) + 2 * quote)
    }

    /// Where ``raw`` starts, in bytes from the start of the document.
    @inlinable public var offset: Int { Int(node.offset) - (node.kindBits == 3 ? 1 : 0) }

    /// Members of an object or elements of an array; 0 for everything else.
    @inlinable public var count: Int {
        let stored = Int(node.info >> 8)
        guard node.kindBits >= 4 else { return 0 }
        return stored < TapeNode.countMax ? stored : countedChildren
    }

    @usableFromInline var countedChildren: Int {
        var total = 0
        if kind == .object {
            for _ in members { total += 1 }
        } else {
            for _ in elements { total += 1 }
        }
        return total
    }
}

extension JSONValue {
    /// The decoded text; nil when this is not a string.
    public var string: String? {
        withUTF8 { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether this is a string whose source text holds no escape, so that its bytes are its text.
    @inlinable public var isPlainString: Bool {
        node.kindBits == 3 && !node.has(TapeNode.escapedFlag)
    }

    /// The bytes of a string without escapes, without copying; nil for everything else.
    @inlinable public var plainUTF8: UnsafeBufferPointer<UInt8>? {
        guard isPlainString else { return nil }
        return UnsafeBufferPointer(start: source + Int(node.offset), count: Int(node.length))
    }

    /// Calls `body` with the decoded UTF-8 of a string, valid until it returns; nil when this is not a string.
    @inlinable
    public func withUTF8<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R? {
        guard node.kindBits == 3 else { return nil }
        return try withDecodedUTF8(body)
    }

    /// The same for nodes that are known to be strings or keys.
    @inlinable
    func withDecodedUTF8<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
        let length = Int(node.length)
        let bytes = source + Int(node.offset)
        guard node.has(TapeNode.escapedFlag) else {
            return try body(UnsafeBufferPointer(start: bytes, count: length))
        }
        return try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: length) { room in
            let count = decodeEscapes(bytes, length, into: room)
            return try body(UnsafeBufferPointer(rebasing: room[..<count]))
        }
    }

    /// Whether this is a string equal to `text`; compares bytes and allocates nothing.
    @inlinable
    public func equals(_ text: StaticString) -> Bool {
        guard node.kindBits == 3 else { return false }
        return equals(text.utf8Start, text.utf8CodeUnitCount)
    }

    /// Whether this is a string whose decoded bytes are `utf8`.
    @inlinable
    public func equals(utf8: UnsafeBufferPointer<UInt8>) -> Bool {
        guard node.kindBits == 3 else { return false }
        guard let base = utf8.baseAddress else { return node.length == 0 }
        return equals(base, utf8.count)
    }

    @inlinable
    func equals(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        let node = node
        if !node.has(TapeNode.escapedFlag) {
            return Int(node.length) == count && equalBytes(source + Int(node.offset), bytes, count)
        }
        return withDecodedUTF8 { decoded in
            guard let base = decoded.baseAddress else { return count == 0 }
            return decoded.count == count && equalBytes(base, bytes, count)
        }
    }

    /// The value of the member `key`; nil when there is none or this is not an object.
    @inlinable
    public subscript(_ key: StaticString) -> JSONValue? {
        member(key.utf8Start, key.utf8CodeUnitCount)
    }

    /// The value of the member `key`; nil when there is none or this is not an object.
    public func member(_ key: String) -> JSONValue? {
        var key = key
        return key.withUTF8 { member(utf8: $0) }
    }

    /// The value of the member whose decoded key is `utf8`; nil when there is none or this is not an object.
    @inlinable
    public func member(utf8: UnsafeBufferPointer<UInt8>) -> JSONValue? {
        guard let base = utf8.baseAddress else {
            var nothing: UInt8 = 0
            return member(&nothing, 0)
        }
        return member(base, utf8.count)
    }

    @inlinable
    func member(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> JSONValue? {
        let node = node
        guard node.kindBits == 5 else { return nil }
        let print = TapeNode.fingerprint(bytes, count)
        var key = index + 1
        while key < node.next {
            if nodes[Int(key)].next == print {
                let view = JSONValue(nodes: nodes, source: source, index: key)
                if view.equals(bytes, count) { return JSONValue(nodes: nodes, source: source, index: key + 1) }
            }
            key = nodes[Int(key) + 1].next
        }
        return nil
    }
}

/// Decodes the escapes of an accepted string; returns the number of bytes written, never more than `length`.
@usableFromInline
func decodeEscapes(
    _ bytes: UnsafePointer<UInt8>, _ length: Int, into room: UnsafeMutableBufferPointer<UInt8>
) -> Int {
    csj_unescape(bytes, length, room.baseAddress)
}
