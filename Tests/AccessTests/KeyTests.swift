import JSON
import Testing

@testable import Access

@Suite struct KeyTests {
    static let key = APIKey(idBytes: Array(1...8), secret: Array(1...20))
    static let principal = Principal(id: "crm-1", roles: ["crm", "crm", "analyst"])

    func authenticate(_ ring: KeyRing, _ text: String, at now: Int64 = 100) -> Authentication {
        Array(text.utf8).withUnsafeBufferPointer { ring.authenticate(bearer: $0, nowMicros: now) }
    }

    func authorize(_ ring: KeyRing, _ header: String?) -> Authentication {
        guard let header else { return ring.authenticate(authorization: nil, nowMicros: 100) }
        return Array(header.utf8).withUnsafeBufferPointer { ring.authenticate(authorization: $0, nowMicros: 100) }
    }

    @Test func form() throws {
        let text = Self.key.text
        #expect(text.utf8.count == APIKey.characterCount)
        #expect(text.hasPrefix("dk_live_"))
        #expect(text == "dk_live_20g30g2gc1r8_041061050r3gg28a1c60t3gf208h44rm0255m22")
        let parsed = try APIKey(parsing: text)
        #expect(parsed.id == Self.key.id && parsed.hash == Self.key.hash)
        #expect(KeyID(parsed.id.description) == parsed.id)
    }

    @Test func checksumIsCRC32() {
        #expect(CRC32.checksum("123456789".utf8) == 0xCBF4_3926)
        #expect(SHA256Hash(of: UnsafeRawBufferPointer(start: nil, count: 0)).hex.hasPrefix("e3b0c44298fc1c14"))
    }

    @Test func everySingleTypoIsFound() {
        let bytes = Array(Self.key.text.utf8)
        for position in 8..<bytes.count where position != 20 {
            for character in Base32.alphabet where character != bytes[position] {
                var typo = bytes
                typo[position] = character
                #expect(throws: APIKey.ParseError.wrongChecksum) {
                    try APIKey(parsing: String(decoding: typo, as: UTF8.self))
                }
            }
        }
    }

    @Test(
        arguments: [
            ("", APIKey.ParseError.wrongLength), ("dk_live_x", .wrongLength),
            (KeyTests.key.text + "0", .wrongLength),
            (String(KeyTests.key.text.dropFirst(8) + "dk_live_"), .wrongPrefix),
            ("dk_test_" + KeyTests.key.text.dropFirst(8), .wrongPrefix),
            ("DK_LIVE_" + KeyTests.key.text.dropFirst(8), .wrongPrefix),
            (KeyTests.key.text.prefix(20) + "x" + KeyTests.key.text.dropFirst(21), .missingSeparator),
            (KeyTests.key.text.prefix(30) + "l" + KeyTests.key.text.dropFirst(31), .wrongCharacter),
            (KeyTests.key.text.prefix(10) + "A" + KeyTests.key.text.dropFirst(11), .wrongCharacter),
            (KeyTests.key.text.prefix(59) + "u", .wrongCharacter),
        ] as [(String, APIKey.ParseError)])
    func malformed(text: String, error: APIKey.ParseError) {
        #expect(throws: error) { try APIKey(parsing: text) }
    }

    @Test func authenticates() {
        let ring = KeyRing([StoredKey(Self.key, principal: Self.principal, createdMicros: 0, expiresMicros: 200)])
        let accepted = Authentication.accepted(Self.principal, Self.key.id)
        #expect(authenticate(ring, Self.key.text) == accepted)
        #expect(Self.principal.roles == ["analyst", "crm"])
        #expect(authenticate(ring, Self.key.text, at: 199) == accepted)
        #expect(authenticate(ring, Self.key.text, at: 200) == .refused(.expired))
        #expect(authenticate(ring, "") == .refused(.missing))
        #expect(authenticate(ring, "secret") == .refused(.malformed))
        let flipped = Self.key.text.last == "a" ? "b" : "a"
        #expect(authenticate(ring, Self.key.text.dropLast() + flipped) == .refused(.checksum))
        let sameID = APIKey(idBytes: Array(1...8), secret: Array(2...21))
        #expect(authenticate(ring, sameID.text) == .refused(.unknown))
        let other = APIKey(idBytes: Array(2...9), secret: Array(1...20))
        #expect(authenticate(ring, other.text) == .refused(.unknown))
        #expect(authenticate(KeyRing(), Self.key.text) == .refused(.unknown))
    }

    @Test func wrongSecretOfARevokedKeyDoesNotTellThatItIsRevoked() throws {
        let ring = try KeyRing([StoredKey(Self.key, principal: Self.principal, createdMicros: 0)])
            .revoking(Self.key.id, atMicros: 50)
        #expect(authenticate(ring, Self.key.text) == .refused(.revoked))
        #expect(authenticate(ring, Self.key.text, at: 49) == .accepted(Self.principal, Self.key.id))
        let sameID = APIKey(idBytes: Array(1...8), secret: Array(2...21))
        #expect(authenticate(ring, sameID.text) == .refused(.unknown))
        #expect(try ring.revoking(Self.key.id, atMicros: 90)[Self.key.id]?.revokedMicros == 50)
    }

    @Test func header() {
        let ring = KeyRing([StoredKey(Self.key, principal: Self.principal, createdMicros: 0)])
        let accepted = Authentication.accepted(Self.principal, Self.key.id)
        let text = Self.key.text
        let cases: [(String?, Authentication)] = [
            ("Bearer \(text)", accepted), ("bearer   \(text)", accepted), ("BEARER \(text)", accepted),
            (nil, .refused(.missing)), ("", .refused(.missing)), ("Bearer ", .refused(.missing)),
            ("Bearer", .refused(.malformed)), ("Basic \(text)", .refused(.malformed)), (text, .refused(.malformed)),
            ("Bearer \(text) ", .refused(.malformed)),
            ("Bearer " + String(repeating: "x", count: 600), .refused(.malformed)),
        ]
        for (header, expected) in cases { #expect(authorize(ring, header) == expected, "\(header ?? "nil")") }
    }

    @Test func twoLiveKeysForRotation() throws {
        func key(_ seed: UInt8, expires: Int64? = nil) -> StoredKey {
            StoredKey(
                APIKey(idBytes: Array(seed..<seed + 8), secret: Array(seed..<seed + 20)), principal: Self.principal,
                createdMicros: Int64(seed), expiresMicros: expires)
        }
        var ring = try KeyRing().adding(key(1), nowMicros: 100).adding(key(2), nowMicros: 100)
        #expect(throws: AccessError.self) { try ring.adding(key(3), nowMicros: 100) }
        #expect(throws: AccessError.self) { try ring.adding(key(1), nowMicros: 100) }
        ring = try ring.revoking(key(1).id, atMicros: 100).adding(key(3), nowMicros: 100)
        #expect(ring.all.map(\.createdMicros) == [1, 2, 3])
        #expect(throws: AccessError.self) { try ring.revoking(key(9).id, atMicros: 1) }
        let expired = try KeyRing().adding(key(1, expires: 50), nowMicros: 10).adding(key(2), nowMicros: 10)
        #expect(try expired.adding(key(3), nowMicros: 60).all.count == 3)
    }

    @Test func comparisonLooksAtEveryWord() {
        let hash = Self.key.hash
        #expect(hash.constantTimeEquals(hash))
        for word in 0..<4 {
            for bit in [0, 31, 63] {
                var words = hash.words
                words[word] ^= 1 << UInt64(bit)
                #expect(!hash.constantTimeEquals(SHA256Hash(words: words)))
            }
        }
    }

    @Test func storedKeyAsJSON() throws {
        let stored = StoredKey(
            Self.key, principal: Principal(id: "crm-1", roles: ["crm"]), label: "rollout", createdMicros: 5,
            expiresMicros: 9)
        let json = text { stored.write(to: &$0, includesHash: true) }
        #expect(try StoredKey(try JSONTree(parsing: json)) == stored)
        #expect(!json.contains(Self.key.text.suffix(39).prefix(32)))
        #expect(!text { stored.write(to: &$0, includesHash: false) }.contains("sha256"))
        let bad =
            #"{"id":"x","sha256":"00","principal":"p","roles":["a"],"created_micros":"1","expires_micros":1.5,"x":1}"#
        let error = #expect(throws: AccessError.self) { try StoredKey(try JSONTree(parsing: bad)) }
        #expect(
            error?.issues.map(\.pointer) == ["/x", "/id", "/sha256", "/created_micros", "/expires_micros"])
    }
}
