import JSON

/// A hash of what a JSON value says, not of how it is spelled: member order, white space, escapes and the spelling of
/// numbers make no difference.
///
/// It tells a resend (`duplicate`) from another content under the same identity (`content_differs`).
struct ContentHash {
    private let key: HashKey

    init(_ key: HashKey) {
        self.key = key
    }

    /// The hash.
    func hash(_ value: JSONValue) -> UInt64 {
        switch value.kind {
        case .null: return seal(1)
        case .bool: return seal(value.bool == true ? 2 : 3)
        case .number: return number(value)
        case .string: return value.withUTF8 { bytes($0, 4) } ?? seal(5)
        case .array:
            var total: UInt64 = 6
            for element in value.elements { total = total &* 0x9E37_79B9_7F4A_7C15 &+ hash(element) }
            return seal(total)
        case .object:
            var total: UInt64 = 7
            for member in value.members {
                let name = member.withKeyUTF8 { bytes($0, 8) }
                total = total &+ seal(name ^ hash(member.value) &* 0xC2B2_AE3D_27D4_EB4F)
            }
            return seal(total)
        }
    }

    private func number(_ value: JSONValue) -> UInt64 {
        guard let number = value.number, number.isExact else {
            return bytes(value.raw, 9)
        }
        var significand = number.significand
        var exponent = number.exponent
        while significand != 0 && significand % 10 == 0 {
            significand /= 10
            exponent += 1
        }
        if significand == 0 { return seal(10) }
        let low = UInt64(truncatingIfNeeded: significand)
        let high = UInt64(truncatingIfNeeded: significand >> 64)
        let sign: UInt64 = number.isNegative ? 11 : 12
        return seal(low ^ seal(high ^ seal(UInt64(bitPattern: Int64(exponent)) ^ sign)))
    }

    private func bytes(_ bytes: UnsafeBufferPointer<UInt8>, _ kind: UInt64) -> UInt64 {
        var hasher = Hasher128(key)
        hasher.add(UnsafeRawBufferPointer(bytes))
        let hash = hasher.finish()
        return seal(hash.high ^ hash.low &+ kind)
    }

    private func seal(_ word: UInt64) -> UInt64 {
        let product = (word ^ key.first).multipliedFullWidth(by: 0xA076_1D64_78BD_642F ^ key.second | 1)
        return product.high ^ product.low
    }
}
