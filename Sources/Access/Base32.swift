/// Crockford's base 32 in lower case: no `i l o u`, so a key can be read aloud and double-click selects it whole.
enum Base32 {
    static let alphabet: [UInt8] = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    /// Digit values by ASCII code; 255 marks a byte outside the alphabet.
    static let values: [UInt8] = {
        var table = [UInt8](repeating: 255, count: 256)
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()

    /// Appends the low `5 * digits` bits of a number, most significant digit first.
    static func append(_ value: UInt64, digits: Int, to bytes: inout [UInt8]) {
        for position in stride(from: digits - 1, through: 0, by: -1) {
            bytes.append(alphabet[Int((value >> UInt64(5 * position)) & 31)])
        }
    }

    /// Reads at most 12 digits; nil when a byte is outside the alphabet.
    static func read(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64? {
        var value: UInt64 = 0
        for byte in bytes {
            let digit = values[Int(byte)]
            guard digit != 255 else { return nil }
            value = value << 5 | UInt64(digit)
        }
        return value
    }
}

/// CRC-32 (ISO-HDLC, the polynomial of zip and PNG): tells a typo or a truncated paste from a wrong key, and lets
/// secret scanners confirm a find without asking the server.
enum CRC32 {
    static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1
        }
    }

    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes { crc = table[Int((crc ^ UInt32(byte)) & 255)] ^ (crc >> 8) }
        return ~crc
    }
}
