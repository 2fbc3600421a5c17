/// One member of an object.
public struct JSONMember {
    @usableFromInline let keyView: JSONValue

    @inlinable
    init(keyView: JSONValue) {
        self.keyView = keyView
    }

    /// The decoded key.
    public var key: String { keyView.withDecodedUTF8 { String(decoding: $0, as: UTF8.self) } }

    /// The member's value.
    @inlinable public var value: JSONValue {
        JSONValue(nodes: keyView.nodes, source: keyView.source, index: keyView.index + 1)
    }

    /// Where the key starts (its quote), in bytes from the start of the document.
    @inlinable public var offset: Int { keyView.offset }

    /// Calls `body` with the decoded UTF-8 of the key, valid until it returns.
    @inlinable
    public func withKeyUTF8<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
        try keyView.withDecodedUTF8(body)
    }

    /// The key's bytes when it holds no escape; nil when it does.
    @inlinable public var plainKeyUTF8: UnsafeBufferPointer<UInt8>? { keyView.plainUTF8 }

    /// Whether the key is `text`; compares bytes and allocates nothing.
    @inlinable
    public func keyEquals(_ text: StaticString) -> Bool { keyView.equals(text) }
}

extension JSONValue {
    /// The members of an object in source order; empty for everything else.
    @inlinable public var members: Members {
        Members(nodes: nodes, source: source, next: index + 1, end: node.kindBits == 5 ? node.next : index + 1)
    }

    /// The elements of an array in source order; empty for everything else.
    @inlinable public var elements: Elements {
        Elements(nodes: nodes, source: source, next: index + 1, end: node.kindBits == 4 ? node.next : index + 1)
    }

    /// Walks the members of an object.
    public struct Members: Sequence, IteratorProtocol {
        @usableFromInline let nodes: UnsafePointer<TapeNode>
        @usableFromInline let source: UnsafePointer<UInt8>
        @usableFromInline var position: UInt32
        @usableFromInline let end: UInt32

        @inlinable
        init(nodes: UnsafePointer<TapeNode>, source: UnsafePointer<UInt8>, next: UInt32, end: UInt32) {
            self.nodes = nodes
            self.source = source
            self.position = next
            self.end = end
        }

        /// The next member, or nil after the last one.
        @inlinable
        public mutating func next() -> JSONMember? {
            guard position < end else { return nil }
            let member = JSONMember(keyView: JSONValue(nodes: nodes, source: source, index: position))
            position = nodes[Int(position) + 1].next
            return member
        }
    }

    /// Walks the elements of an array.
    public struct Elements: Sequence, IteratorProtocol {
        @usableFromInline let nodes: UnsafePointer<TapeNode>
        @usableFromInline let source: UnsafePointer<UInt8>
        @usableFromInline var position: UInt32
        @usableFromInline let end: UInt32

        @inlinable
        init(nodes: UnsafePointer<TapeNode>, source: UnsafePointer<UInt8>, next: UInt32, end: UInt32) {
            self.nodes = nodes
            self.source = source
            self.position = next
            self.end = end
        }

        /// The next element, or nil after the last one.
        @inlinable
        public mutating func next() -> JSONValue? {
            guard position < end else { return nil }
            let value = JSONValue(nodes: nodes, source: source, index: position)
            position = nodes[Int(position)].next
            return value
        }
    }
}
