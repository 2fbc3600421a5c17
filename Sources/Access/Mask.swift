import Crypto
import JSON

/// How a value is made unreadable; the names are those of Apache Ranger's masking policies.
public enum Mask: String, Hashable, Sendable, CaseIterable {
    /// Letters become `X` or `x`, digits `n`; ASCII punctuation and spaces stay.
    case redact = "MASK"
    /// The last four characters stay, if at least four others are hidden.
    case showLast4 = "MASK_SHOW_LAST_4"
    /// The first four characters stay, if at least four others are hidden.
    case showFirst4 = "MASK_SHOW_FIRST_4"
    /// HMAC-SHA-256 of the canonical JSON text under a secret key, 64 hexadecimal digits: equal values stay equal, and
    /// cannot be guessed.
    case hash = "MASK_HASH"
    /// null.
    case null = "MASK_NULL"
    /// The first of January of the same year.
    case dateShowYear = "MASK_DATE_SHOW_YEAR"

    /// Order of what a mask hides: where several apply to one field the strictest is used.
    var strictness: Int {
        switch self {
        case .null: 6
        case .redact: 5
        case .hash: 4
        case .dateShowYear: 3
        case .showFirst4: 2
        case .showLast4: 1
        }
    }

    /// The stricter of two masks.
    func stricter(_ other: Mask) -> Mask { strictness >= other.strictness ? self : other }

    /// The masked form of a value.
    ///
    /// null stays null and lists are masked element by element. `MASK_HASH` takes any other value; the other masks take
    /// text, and make numbers, booleans and objects null, since their digits or keys would show. `MASK_DATE_SHOW_YEAR`
    /// makes text that does not begin with a calendar date null.
    public func apply(_ value: JSONTree, key: MaskKey) -> JSONTree {
        apply(value, key: key, depth: 0)
    }

    /// The masked form of a text; nil for null.
    public func apply(_ text: String, key: MaskKey) -> String? {
        switch self {
        case .redact: Self.redacted(text[...])
        case .showLast4: Self.showing(text, suffix: true)
        case .showFirst4: Self.showing(text, suffix: false)
        case .hash: key.hash(.string(text))
        case .null: nil
        case .dateShowYear: Self.year(text)
        }
    }

    private func apply(_ value: JSONTree, key: MaskKey, depth: Int) -> JSONTree {
        guard depth < AccessLimits.valueDepth else { return .null }
        switch value {
        case .null: return .null
        case .array(let elements): return .array(elements.map { apply($0, key: key, depth: depth + 1) })
        case .string(let text): return apply(text, key: key).map { .string($0) } ?? .null
        case .bool, .number, .object: return self == .hash ? .string(key.hash(value)) : .null
        }
    }

    private static func redacted(_ text: Substring) -> String {
        var masked = ""
        for scalar in text.unicodeScalars { masked.unicodeScalars.append(redacted(scalar)) }
        return masked
    }

    private static func redacted(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar {
        case "0"..."9": return "n"
        case "A"..."Z": return "X"
        case "a"..."z": return "x"
        case " "..."~": return scalar
        default: break
        }
        if scalar.properties.generalCategory == .decimalNumber { return "n" }
        return scalar.properties.isUppercase ? "X" : "x"
    }

    /// Four of fewer than eight characters would give most of the value away, so a short one is masked whole.
    private static func showing(_ text: String, suffix: Bool) -> String {
        let characters = text.count
        guard characters >= 8 else { return redacted(text[...]) }
        return suffix
            ? redacted(text.dropLast(4)) + text.suffix(4)
            : text.prefix(4) + redacted(text.dropFirst(4))
    }

    private static func year(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 10, bytes[4] == 0x2D, bytes[7] == 0x2D else { return nil }
        for position in [0, 1, 2, 3, 5, 6, 8, 9] where !(0x30...0x39).contains(bytes[position]) { return nil }
        guard bytes.count == 10 || bytes[10] | 0x20 == UInt8(ascii: "t") || bytes[10] == 0x20 else { return nil }
        let year = String(decoding: bytes[0..<4], as: UTF8.self)
        return bytes.count == 10 ? "\(year)-01-01" : "\(year)-01-01T00:00:00Z"
    }
}

/// The secret under which `MASK_HASH` works. Whoever has it can test guesses, so it comes from a secret, never from a
/// definition.
public struct MaskKey: Sendable {
    private let key: SymmetricKey

    /// Makes a key of at least 16 secret bytes.
    public init(_ bytes: [UInt8]) {
        precondition(bytes.count >= 16, "a mask key of fewer than 16 bytes")
        key = SymmetricKey(data: bytes)
    }

    func hash(_ value: JSONTree) -> String {
        SHA256Hash.hex(HMAC<SHA256>.authenticationCode(for: value.canonicalBytes, using: key))
    }
}
