/// What the server keeps of one API key.
public struct StoredKey: Hashable, Sendable {
    /// The public id.
    public let id: KeyID
    /// SHA-256 of the key text.
    public let hash: SHA256Hash
    /// Whom the key stands for.
    public let principal: Principal
    /// What the key is for, in the issuer's words.
    public let label: String
    /// When it was made, microseconds since the Unix epoch.
    public let createdMicros: Int64
    /// From when on it is refused; nil for never.
    public let expiresMicros: Int64?
    /// When it was revoked; nil while it is not.
    public let revokedMicros: Int64?

    /// Makes a record of a key.
    public init(
        id: KeyID, hash: SHA256Hash, principal: Principal, label: String = "", createdMicros: Int64,
        expiresMicros: Int64? = nil, revokedMicros: Int64? = nil
    ) {
        self.id = id
        self.hash = hash
        self.principal = principal
        self.label = label
        self.createdMicros = createdMicros
        self.expiresMicros = expiresMicros
        self.revokedMicros = revokedMicros
    }

    /// Makes the record of a freshly made key.
    public init(
        _ key: APIKey, principal: Principal, label: String = "", createdMicros: Int64, expiresMicros: Int64? = nil
    ) {
        self.init(
            id: key.id, hash: key.hash, principal: principal, label: label, createdMicros: createdMicros,
            expiresMicros: expiresMicros)
    }

    /// Whether the key opens the door at a time.
    public func isLive(at nowMicros: Int64) -> Bool {
        if let revokedMicros, revokedMicros <= nowMicros { return false }
        if let expiresMicros, expiresMicros <= nowMicros { return false }
        return true
    }

    /// The same key, revoked.
    func revoked(at micros: Int64) -> StoredKey {
        StoredKey(
            id: id, hash: hash, principal: principal, label: label, createdMicros: createdMicros,
            expiresMicros: expiresMicros, revokedMicros: min(micros, revokedMicros ?? micros))
    }
}

/// What came of checking a bearer token.
public enum Authentication: Equatable, Sendable {
    /// A live key, and whom it stands for.
    case accepted(Principal, KeyID)
    /// Refused. Say no more than 401 to the caller; the reason is for logs and metrics.
    case refused(Refusal)

    /// Why a token was refused.
    public enum Refusal: String, Hashable, Sendable, CaseIterable {
        /// No bearer token was sent.
        case missing = "missing_credentials"
        /// The token has not the form of a key.
        case malformed = "malformed_key"
        /// The checksum does not fit: a typo.
        case checksum = "wrong_checksum"
        /// No such id, or another secret: told apart by nobody, not even by timing.
        case unknown = "unknown_key"
        /// Past its expiry.
        case expired = "expired_key"
        /// Revoked.
        case revoked = "revoked_key"

        /// Stable snake_case code.
        public var code: String { rawValue }
    }
}

/// An immutable snapshot of all API keys; replaced as a whole when a key is added or revoked.
public struct KeyRing: Sendable {
    private let keys: [UInt64: StoredKey]

    /// A ring without keys: everybody is refused.
    public init() { keys = [:] }

    /// A ring of keys as they were stored; of two records with one id the later wins.
    public init(_ stored: [StoredKey]) {
        keys = Dictionary(stored.map { ($0.id.value, $0) }, uniquingKeysWith: { _, later in later })
    }

    /// Every key, ordered by creation and id.
    public var all: [StoredKey] {
        keys.values.sorted { ($0.createdMicros, $0.id.value) < ($1.createdMicros, $1.id.value) }
    }

    /// The record of a key.
    public subscript(id: KeyID) -> StoredKey? { keys[id.value] }

    /// The ring with one more key. Refused with `duplicate_key`, or with `too_many_live_keys` when the principal
    /// already has `AccessLimits.liveKeysPerPrincipal` live ones.
    public func adding(_ key: StoredKey, nowMicros: Int64) throws(AccessError) -> KeyRing {
        guard keys[key.id.value] == nil else {
            throw AccessError(code: "duplicate_key", message: "a key with the id \(key.id) exists")
        }
        let live = keys.values.count { $0.principal.id == key.principal.id && $0.isLive(at: nowMicros) }
        guard live < AccessLimits.liveKeysPerPrincipal else {
            throw AccessError(
                code: "too_many_live_keys",
                message: "\(key.principal.id) has \(live) live keys; revoke one before adding another")
        }
        return KeyRing(Array(keys.values) + [key])
    }

    /// The ring with a key revoked at a time; refused with `unknown_key` when there is none. Revoking twice keeps the
    /// earlier time.
    public func revoking(_ id: KeyID, atMicros: Int64) throws(AccessError) -> KeyRing {
        guard let key = keys[id.value] else {
            throw AccessError(code: "unknown_key", message: "no key has the id \(id)")
        }
        return KeyRing(keys.values.filter { $0.id != id } + [key.revoked(at: atMicros)])
    }

    /// Checks a bearer token. Costs one SHA-256 of 60 bytes and one look-up; an unknown id costs the same as a wrong
    /// secret.
    public func authenticate(bearer bytes: UnsafeBufferPointer<UInt8>, nowMicros: Int64) -> Authentication {
        guard !bytes.isEmpty else { return .refused(.missing) }
        let id: KeyID
        switch APIKey.parseID(bytes) {
        case .success(let parsed): id = parsed
        case .failure(.wrongChecksum): return .refused(.checksum)
        case .failure: return .refused(.malformed)
        }
        let hash = SHA256Hash(of: UnsafeRawBufferPointer(bytes))
        let key = keys[id.value]
        guard hash.constantTimeEquals(key?.hash ?? Self.noHash), let key else { return .refused(.unknown) }
        if let revoked = key.revokedMicros, revoked <= nowMicros { return .refused(.revoked) }
        if let expires = key.expiresMicros, expires <= nowMicros { return .refused(.expired) }
        return .accepted(key.principal, key.id)
    }

    /// The same from the value of an `Authorization` header (RFC 6750: `Bearer`, one or more spaces, the token; the
    /// scheme in any case). No header at all, or an empty one, is `missing`; another scheme is `malformed`.
    public func authenticate(authorization value: UnsafeBufferPointer<UInt8>?, nowMicros: Int64) -> Authentication {
        guard let value, !value.isEmpty else { return .refused(.missing) }
        guard value.count <= AccessLimits.authorizationBytes else { return .refused(.malformed) }
        let scheme = Self.scheme
        guard value.count > scheme.count, value[scheme.count] == UInt8(ascii: " ") else { return .refused(.malformed) }
        for index in scheme.indices where value[index] | 0x20 != scheme[index] { return .refused(.malformed) }
        var start = scheme.count
        while start < value.count, value[start] == UInt8(ascii: " ") { start += 1 }
        return authenticate(bearer: UnsafeBufferPointer(rebasing: value[start...]), nowMicros: nowMicros)
    }

    private static let scheme: [UInt8] = Array("bearer".utf8)
    private static let noHash = SHA256Hash(words: .zero)
}
