extension ByteDictionary {
    /// Length that stands for a number that is free.
    private static let freeLength = UInt32.max

    /// Saves every number with its bytes; reference counts follow from what refers to them.
    func encode(into writer: inout StateWriter) {
        writer.integer(UInt32(entries.count))
        var total = 0
        for entry in entries {
            writer.integer(entry.references > 0 ? UInt32(entry.length) : Self.freeLength)
            if entry.references > 0 { total += Int(entry.length) }
        }
        writer.integer(UInt32(total))
        bytes.withUnsafeBytes { bytes in
            for entry in entries where entry.references > 0 {
                let start = Int(entry.offset)
                writer.raw(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(entry.length))]))
            }
        }
    }

    /// Reads what `encode` wrote. Nothing is found in it before `settle`.
    init(restoring reader: inout StateReader) throws(FeatureRestoreError) {
        self.init()
        let numbers = try reader.count(bytesEach: 4, "a dictionary")
        entries.reserveCapacity(numbers)
        var total = 0
        for _ in 0..<numbers {
            let length = try reader.integer(UInt32.self, "a dictionary's lengths")
            guard length == Self.freeLength || length <= FeatureLimits.stringBytesMax else {
                throw FeatureRestoreError("a dictionary holds a text that is too long")
            }
            let isLive = length != Self.freeLength
            guard total <= Int(UInt32.max) else { throw FeatureRestoreError("a dictionary is too large") }
            entries.append(
                Entry(
                    offset: UInt32(total), length: isLive ? UInt16(length) : 0, references: isLive ? 1 : 0))
            if isLive { total += Int(length) }
        }
        guard Int(try reader.integer(UInt32.self, "a dictionary's size")) == total else {
            throw FeatureRestoreError("a dictionary's lengths do not add up")
        }
        bytes = [UInt8](try reader.raw(total, "a dictionary's texts"))
    }

    /// Takes over the references counted by number, frees what nothing refers to, and makes the rest findable. Without
    /// counts every number has one reference.
    mutating func settle(references: [UInt32]? = nil) {
        for number in entries.indices {
            if let references, entries[number].references > 0 { entries[number].references = references[number] }
            if entries[number].references > 0 {
                count += 1
            } else {
                deadBytes += Int(entries[number].length)
                entries[number].length = 0
                freeNumbers.append(UInt32(number))
            }
        }
        var size = 8
        while count * 4 > size * 3 { size *= 2 }
        probes = [UInt64](repeating: 0, count: size)
        for number in entries.indices where entries[number].references > 0 {
            Self.place(UInt64(hash(UInt32(number))) << 32 | UInt64(number + 1), in: &probes)
        }
    }
}
