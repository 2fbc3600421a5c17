import FEEL

/// Distinct texts that are looked up by their bytes: a search among sorted texts, which for the few that a column has
/// costs less than hashing, and unlike a dictionary of strings does not equate canonically equivalent spellings.
struct TextKeys: Sendable {
    private struct Key: Sendable {
        let text: String
        /// The length and the first bytes, which tell most texts apart.
        let head: UInt64
    }

    private let keys: [Key]

    init(_ texts: [String]) {
        let sorted = texts.map { Key(text: $0, head: TextKeys.head($0)) }.sorted { TextKeys.precedes($0, $1) }
        var keys: [Key] = []
        for key in sorted where keys.last.map({ TextKeys.precedes($0, key) }) ?? true { keys.append(key) }
        self.keys = keys
    }

    var count: Int { keys.count }

    /// The position of a text, nil when it is none of the keys.
    func index(of text: String) -> Int? {
        let wanted = Key(text: text, head: TextKeys.head(text))
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if TextKeys.precedes(keys[middle], wanted) { low = middle + 1 } else { high = middle }
        }
        return low < keys.count && !TextKeys.precedes(wanted, keys[low]) ? low : nil
    }

    @inline(__always)
    private static func precedes(_ a: Key, _ b: Key) -> Bool {
        if a.head != b.head { return a.head < b.head }
        return a.text.utf8.count > 7 && a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }

    /// The length up to 255 in the highest byte, then up to seven bytes: equal heads of texts of at most seven bytes are
    /// equal texts.
    @inline(__always)
    private static func head(_ text: String) -> UInt64 {
        var head = UInt64(min(text.utf8.count, 255))
        var room = 7
        for byte in text.utf8 {
            if room == 0 { break }
            head = head << 8 | UInt64(byte)
            room -= 1
        }
        return head << (8 * UInt64(room))
    }
}
