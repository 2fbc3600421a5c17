extension JSONTree {
    /// Writes this value with its members in their own order.
    public func write(to writer: inout JSONWriter) {
        write(to: &writer, sortsKeys: false)
    }

    /// The value as compact JSON, members in their own order.
    public var bytes: [UInt8] {
        var writer = JSONWriter()
        write(to: &writer, sortsKeys: false)
        return writer.finish()
    }

    /// The one spelling of this value, for content hashes: no white space, keys sorted by their UTF-8 bytes,
    /// numbers by value (1.50, 15e-1 and 1.5 are all `1.5`; exact to 34 digits), the fewest escapes.
    /// Unlike RFC 8785 it neither rounds numbers to doubles nor sorts keys by UTF-16.
    public var canonicalBytes: [UInt8] {
        var writer = JSONWriter()
        write(to: &writer, sortsKeys: true)
        return writer.finish()
    }

    private func write(to writer: inout JSONWriter, sortsKeys: Bool) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .number(let value): writer.number(value)
        case .string(let value): writer.string(value)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer, sortsKeys: sortsKeys) }
            writer.endArray()
        case .object(let members):
            writer.beginObject()
            let ordered = sortsKeys ? members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) } : members
            for member in ordered {
                writer.key(member.key)
                member.value.write(to: &writer, sortsKeys: sortsKeys)
            }
            writer.endObject()
        }
    }
}
