/// Text that is equal, hashed and ordered by its UTF-8 bytes, as PostgreSQL's "C" collation does. Swift's own equality
/// joins canonically equivalent spellings, which SQL keeps apart.
struct ByteText: Hashable, Comparable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ByteText, right: ByteText) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    static func < (left: ByteText, right: ByteText) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        // No UTF-8 text holds this byte: it ends the value, so that neighbours do not run together.
        hasher.combine(0xff as UInt8)
    }
}

/// Dimension values as a key.
struct DimensionKey: Hashable, Sendable {
    let values: [ByteText?]

    init(_ values: [String?]) { self.values = values.map { $0.map(ByteText.init) } }

    var texts: [String?] { values.map { $0?.text } }

    /// By value, null first.
    func isLess(than other: DimensionKey) -> Bool {
        for (a, b) in zip(values, other.values) where a != b {
            guard let a else { return true }
            guard let b else { return false }
            return a < b
        }
        return false
    }
}
