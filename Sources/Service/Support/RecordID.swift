/// A UUID version 7 (RFC 9562 section 5.7): milliseconds first, so that records sort by the time they were made.
struct RecordID: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A fresh id.
    ///
    /// - Parameters:
    ///   - micros: the wall clock, microseconds since the Unix epoch.
    ///   - random: 74 random bits are taken from these two words.
    init(micros: Int64, random: (UInt64, UInt64)) {
        let millis = UInt64(max(0, micros) / 1000)
        high = (millis & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | (random.0 & 0x0FFF)
        low = 0x8000_0000_0000_0000 | (random.1 & 0x3FFF_FFFF_FFFF_FFFF)
    }

    /// Reads the canonical 36-character form; nil for anything else.
    init?(_ text: some StringProtocol) {
        var words: (UInt64, UInt64) = (0, 0)
        var digits = 0
        var position = 0
        for byte in text.utf8 {
            if position == 8 || position == 13 || position == 18 || position == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
            } else {
                guard let digit = Self.hexadecimal(byte) else { return nil }
                if digits < 16 { words.0 = words.0 << 4 | digit } else { words.1 = words.1 << 4 | digit }
                digits += 1
            }
            position += 1
        }
        guard position == 36 else { return nil }
        self.init(high: words.0, low: words.1)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// Length of the canonical form.
    static let textBytes = 36

    /// Writes the canonical 36-character lower-case form through a pointer.
    func write(at room: UnsafeMutablePointer<UInt8>) {
        var place = 0
        for digits in 0..<32 {
            if place == 8 || place == 13 || place == 18 || place == 23 {
                room[place] = UInt8(ascii: "-")
                place += 1
            }
            let word = digits < 16 ? high : low
            let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digits & 15))) & 0xF
            room[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            place += 1
        }
    }

    /// The canonical 36-character lower-case form.
    var text: String {
        String(unsafeUninitializedCapacity: Self.textBytes) { room in
            write(at: room.baseAddress.unsafelyUnwrapped)
            return Self.textBytes
        }
    }
}
