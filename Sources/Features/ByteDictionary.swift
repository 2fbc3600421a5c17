/// Byte strings to dense numbers and back, exact, with reference counts; open addressing with linear probing.
///
/// Used for entity keys, sources and text columns. Numbers of released strings are reused, so memory follows what is
/// live.
struct ByteDictionary {
    struct Entry {
        var offset: UInt32
        var length: UInt16
        var references: UInt32
    }

    var entries: [Entry] = []
    var freeNumbers: [UInt32] = []
    /// By probe position: the hash's low half above entry number + 1; 0 is empty. Another key's probe is passed
    /// without touching its entry.
    var probes: [UInt64] = []
    var bytes: [UInt8] = []
    var deadBytes = 0
    var count = 0

    /// Numbers handed out so far are below this.
    var numberBound: Int { entries.count }

    /// Approximate heap bytes.
    var bytesUsed: Int {
        entries.capacity * MemoryLayout<Entry>.stride + freeNumbers.capacity * 4 + probes.capacity * 8 + bytes.capacity
    }

    /// Keyed by the process's random seed, so that chosen keys cannot be made to collide.
    static func hash(_ key: UnsafeBufferPointer<UInt8>) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(key))
        return hasher.finalize()
    }

    /// The hash of a text's UTF-8.
    static func hash(_ key: String) -> Int {
        var key = key
        return key.withUTF8 { hash($0) }
    }

    /// The number of a text, or nil.
    func find(_ key: String, hash: Int) -> UInt32? {
        var key = key
        return key.withUTF8 { find($0, hash: hash) }
    }

    /// The number of a text, made if new; one more reference either way.
    mutating func retain(_ key: String, hash: Int) -> UInt32 {
        var key = key
        return key.withUTF8 { retain($0, hash: hash) }
    }

    /// The number of a key, or nil.
    func find(_ key: UnsafeBufferPointer<UInt8>, hash: Int) -> UInt32? {
        if probes.isEmpty { return nil }
        let mask = probes.count - 1
        let tag = UInt32(truncatingIfNeeded: hash)
        var position = Int(tag) & mask
        while true {
            let probe = probes[position]
            if probe == 0 { return nil }
            if UInt32(truncatingIfNeeded: probe >> 32) == tag {
                let number = UInt32(truncatingIfNeeded: probe) - 1
                if matches(entries[Int(number)], key) { return number }
            }
            position = (position + 1) & mask
        }
    }

    /// The number of a key, made if new; one more reference either way.
    mutating func retain(_ key: UnsafeBufferPointer<UInt8>, hash: Int) -> UInt32 {
        if let number = find(key, hash: hash) {
            entries[Int(number)].references += 1
            return number
        }
        precondition(key.count <= FeatureLimits.stringBytesMax, "lengths are checked before")
        if (count + 1) * 4 > probes.count * 3 { rehash(to: max(8, probes.count * 2)) }
        if deadBytes > 4_096, deadBytes * 2 > bytes.count { compact() }
        let entry = Entry(
            offset: UInt32(bytes.count), length: UInt16(key.count), references: 1)
        bytes.append(contentsOf: key)
        let number: UInt32
        if let reused = freeNumbers.popLast() {
            number = reused
            entries[Int(number)] = entry
        } else {
            number = UInt32(entries.count)
            entries.append(entry)
        }
        Self.place(UInt64(UInt32(truncatingIfNeeded: hash)) << 32 | UInt64(number + 1), in: &probes)
        count += 1
        return number
    }

    /// One reference less; true when it was the last and the number is free again.
    @discardableResult
    mutating func release(_ number: UInt32) -> Bool {
        let index = Int(number)
        entries[index].references -= 1
        guard entries[index].references == 0 else { return false }
        unplace(number)
        deadBytes += Int(entries[index].length)
        entries[index].length = 0
        freeNumbers.append(number)
        count -= 1
        return true
    }

    /// Whether a number is in use.
    func isLive(_ number: Int) -> Bool { entries[number].references > 0 }

    /// The bytes of a live number as text.
    func string(_ number: UInt32) -> String {
        let entry = entries[Int(number)]
        let start = Int(entry.offset)
        return String(decoding: bytes[start..<(start + Int(entry.length))], as: UTF8.self)
    }

    /// Byte-wise order of two live numbers.
    func isLess(_ left: UInt32, _ right: UInt32) -> Bool {
        let (a, b) = (entries[Int(left)], entries[Int(right)])
        let (startA, startB) = (Int(a.offset), Int(b.offset))
        return bytes[startA..<(startA + Int(a.length))]
            .lexicographicallyPrecedes(bytes[startB..<(startB + Int(b.length))])
    }

    private func matches(_ entry: Entry, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
        guard Int(entry.length) == key.count else { return false }
        let start = Int(entry.offset)
        for index in 0..<key.count where bytes[start + index] != key[index] { return false }
        return true
    }

    static func place(_ probe: UInt64, in probes: inout [UInt64]) {
        let mask = probes.count - 1
        var position = Int(probe >> 32) & mask
        while probes[position] != 0 { position = (position + 1) & mask }
        probes[position] = probe
    }

    /// Backward-shift deletion: no tombstones, so probes stay short for ever.
    private mutating func unplace(_ number: UInt32) {
        let mask = probes.count - 1
        var hole = Int(hash(number)) & mask
        while UInt32(truncatingIfNeeded: probes[hole]) != number + 1 { hole = (hole + 1) & mask }
        var next = (hole + 1) & mask
        while probes[next] != 0 {
            let home = Int(probes[next] >> 32) & mask
            if (next &- home) & mask >= (next &- hole) & mask {
                probes[hole] = probes[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        probes[hole] = 0
    }

    /// Low half of a live number's hash.
    func hash(_ number: UInt32) -> UInt32 {
        let entry = entries[Int(number)]
        let start = Int(entry.offset)
        return bytes.withUnsafeBufferPointer { bytes in
            UInt32(
                truncatingIfNeeded: Self.hash(UnsafeBufferPointer(rebasing: bytes[start..<(start + Int(entry.length))]))
            )
        }
    }

    private mutating func rehash(to size: Int) {
        var larger = [UInt64](repeating: 0, count: size)
        for probe in probes where probe != 0 { Self.place(probe, in: &larger) }
        probes = larger
    }

    private mutating func compact() {
        var packed: [UInt8] = []
        packed.reserveCapacity((bytes.count - deadBytes) * 5 / 4)
        for index in entries.indices where entries[index].references > 0 {
            let start = Int(entries[index].offset)
            entries[index].offset = UInt32(packed.count)
            packed.append(contentsOf: bytes[start..<(start + Int(entries[index].length))])
        }
        bytes = packed
        deadBytes = 0
    }
}
