/// An API key as its holder sees it: `dk_live_<id>_<secret><crc>`, 60 characters.
///
/// `id` (12 base-32 digits, 60 bits) is public and finds the record in one look-up; `secret` (32 digits, 160 random
/// bits) is what proves it; `crc` (7 digits) is the CRC-32 of everything before it. Only the SHA-256 of the whole text
/// is ever stored.
public struct APIKey: Sendable {
    /// Why a text is no API key.
    public enum ParseError: String, Error, Sendable, CaseIterable {
        /// Not `APIKey.characterCount` characters.
        case wrongLength = "wrong_length"
        /// Does not start with `dk_live_`.
        case wrongPrefix = "wrong_prefix"
        /// No underscore between id and secret.
        case missingSeparator = "missing_separator"
        /// A character outside the base-32 alphabet (lower case, without i, l, o, u).
        case wrongCharacter = "wrong_character"
        /// The checksum does not fit: a typo or a damaged copy.
        case wrongChecksum = "wrong_checksum"

        /// Stable snake_case code.
        public var code: String { rawValue }
    }

    /// What every key begins with; secret scanners search for it.
    public static let prefix = "dk_live_"
    /// Characters of a key.
    public static let characterCount = 60
    /// Random bytes that make the public id (60 of their 64 bits are used).
    public static let idBytes = 8
    /// Random bytes that make the secret.
    public static let secretBytes = 20

    static let prefixBytes: [UInt8] = Array(prefix.utf8)
    static let idRange = 8..<20
    static let secretRange = 21..<53
    static let checksumRange = 53..<60
    static let idMask: UInt64 = (1 << 60) - 1

    /// The public id.
    public let id: KeyID
    /// SHA-256 of the whole key text.
    public let hash: SHA256Hash
    /// The key text: shown once to its holder, then forgotten.
    public let text: String

    /// Makes a key from random bytes that the caller drew from a cryptographic source.
    /// - Precondition: `idBytes` has `APIKey.idBytes` bytes and `secret` has `APIKey.secretBytes`.
    public init(idBytes: [UInt8], secret: [UInt8]) {
        precondition(idBytes.count == Self.idBytes && secret.count == Self.secretBytes, "wrong number of random bytes")
        let id = idBytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } & Self.idMask
        var bytes = Self.prefixBytes
        Base32.append(id, digits: 12, to: &bytes)
        bytes.append(UInt8(ascii: "_"))
        for group in stride(from: 0, to: Self.secretBytes, by: 5) {
            let bits = secret[group..<group + 5].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            Base32.append(bits, digits: 8, to: &bytes)
        }
        Base32.append(UInt64(CRC32.checksum(bytes)), digits: 7, to: &bytes)
        self.id = KeyID(value: id)
        hash = bytes.withUnsafeBytes { SHA256Hash(of: $0) }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// Reads a key text, e.g. one that an operator configured.
    public init(parsing text: String) throws(ParseError) {
        let bytes = Array(text.utf8)
        let parsed: Result<(KeyID, SHA256Hash), ParseError> = bytes.withUnsafeBufferPointer { buffer in
            Self.parseID(buffer).map { ($0, SHA256Hash(of: UnsafeRawBufferPointer(buffer))) }
        }
        (id, hash) = try parsed.get()
        self.text = text
    }

    /// Checks the form of a key and reads its public id, without allocating.
    static func parseID(_ bytes: UnsafeBufferPointer<UInt8>) -> Result<KeyID, ParseError> {
        guard bytes.count == characterCount else { return .failure(.wrongLength) }
        guard bytes[0..<8].elementsEqual(prefixBytes) else { return .failure(.wrongPrefix) }
        guard bytes[20] == UInt8(ascii: "_") else { return .failure(.missingSeparator) }
        guard
            let id = Base32.read(bytes[idRange]),
            let checksum = Base32.read(bytes[checksumRange]),
            bytes[secretRange].allSatisfy({ Base32.values[Int($0)] != 255 })
        else { return .failure(.wrongCharacter) }
        guard checksum == UInt64(CRC32.checksum(bytes[0..<53])) else { return .failure(.wrongChecksum) }
        return .success(KeyID(value: id))
    }
}

/// The public part of an API key: safe to log, to list and to revoke by.
public struct KeyID: Hashable, Sendable, CustomStringConvertible {
    let value: UInt64

    init(value: UInt64) { self.value = value }

    /// Reads the 12 characters of an id; nil for anything else.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 12 else { return nil }
        let read = bytes.withUnsafeBufferPointer { Base32.read($0[...]) }
        guard let value = read else { return nil }
        self.value = value
    }

    /// The 12 characters.
    public var description: String {
        var bytes: [UInt8] = []
        Base32.append(value, digits: 12, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
