/// One header field where it stands in the request, for ``FramingGuard``. Offsets count from the first byte of the
/// method.
struct FramedField {
    var name: UnsafeBufferPointer<UInt8>
    var nameOffset: Int
    /// The byte before the value: a tab there is legal, but some proxies then do not see the field.
    var separator: UInt8
    var value: UnsafeBufferPointer<UInt8>
    var valueOffset: Int
}

/// The framing-relevant parts of a request as the parser read them, with where it found them.
struct FramedHeader {
    var method: UnsafeBufferPointer<UInt8>
    var target: UnsafeBufferPointer<UInt8>
    var version: UnsafeBufferPointer<UInt8>
    var versionOffset: Int
    /// Bytes from the method to the end of the empty line.
    var byteCount: Int
}

/// How the body is framed.
enum BodyFraming: Equatable {
    case none
    case length(Int)
    case chunked
}

enum FramingVerdict: Equatable {
    case accept(BodyFraming)
    case refuse(RefusalCode)
}

/// Decides whether the header leaves exactly one way to read where the request ends (RFC 9112 sections 2.2, 3, 5, 6).
///
/// libmicrohttpd 0.9.75 reads Content-Length beside Transfer-Encoding, folded lines, lone LF, NUL and several
/// lengths in its
/// own way; a proxy in front may read them in another, and the difference is a smuggled request. So only the
/// canonical
/// spelling passes: each field is `Name: value` CRLF and stands right after the one before it. Comparing the
/// places, not only
/// the total length, matters: a fold (+3 bytes) can be paid for by fields without the space (-1 each).
enum FramingGuard {
    /// Content-Length digits: 10 hold any length up to 9,999,999,999 without overflow.
    static let contentLengthDigitsMax = 10

    static func check(
        _ header: FramedHeader, fields: UnsafePointer<FramedField>, fieldCount: Int
    ) -> FramingVerdict {
        guard isToken(header.method) else { return .refuse(.methodInvalid) }
        let isHTTP10 = bytesEqual(header.version, "HTTP/1.0")
        guard isHTTP10 || bytesEqual(header.version, "HTTP/1.1") else { return .refuse(.versionUnsupported) }
        if let refusal = checkTarget(header) { return .refuse(refusal) }
        guard header.versionOffset == header.method.count + 1 + header.target.count + 1 else {
            return .refuse(.headerNotCanonical)
        }
        var facts = Facts()
        var expectedOffset = header.versionOffset + header.version.count + 2
        for index in 0..<fieldCount {
            let field = fields[index]
            if let refusal = checkField(field, at: expectedOffset, &facts) { return .refuse(refusal) }
            expectedOffset = field.valueOffset + field.value.count + 2
        }
        guard header.byteCount == expectedOffset + 2 else { return .refuse(.headerNotCanonical) }
        return facts.verdict(isHTTP10: isHTTP10)
    }

    private static func checkTarget(_ header: FramedHeader) -> RefusalCode? {
        for byte in header.target where byte <= 0x20 || byte >= 0x7F || byte == 0x23 { return .targetInvalid }
        if header.target.first == 0x2F { return nil }
        if bytesEqual(header.target, "*"), bytesEqual(header.method, "OPTIONS") { return nil }
        return .targetFormUnsupported
    }

    private static func checkField(
        _ field: FramedField, at expectedOffset: Int, _ facts: inout Facts
    ) -> RefusalCode? {
        guard isToken(field.name) else { return .headerNameInvalid }
        // An empty value may stand right behind the colon: there is one way to read it.
        let valueGap = field.valueOffset - field.nameOffset - field.name.count
        guard field.nameOffset == expectedOffset,
            (valueGap == 2 && field.separator == 0x20) || (valueGap == 1 && field.value.count == 0)
        else {
            return .headerNotCanonical
        }
        for byte in field.value where (byte < 0x20 && byte != 0x09) || byte == 0x7F { return .headerValueInvalid }
        if let last = field.value.last, last == 0x20 || last == 0x09 { return .headerNotCanonical }
        return facts.note(field)
    }

    /// What the fields say about framing, gathered in one pass.
    private struct Facts {
        var hosts = 0
        var contentLength: Int?
        var transferEncodings = 0

        mutating func note(_ field: FramedField) -> RefusalCode? {
            switch lowercased(field.name[0]) {
            case 0x68 where bytesStartIgnoringCase(field.name, "host"):
                guard field.name.count == 4 else { return .headerNameReserved }
                hosts += 1
            case 0x63 where bytesStartIgnoringCase(field.name, "content-length"):
                guard field.name.count == 14 else { return .headerNameReserved }
                guard contentLength == nil else { return .contentLengthRepeated }
                guard let length = FramingGuard.length(field.value) else { return .contentLengthInvalid }
                contentLength = length
            case 0x74 where bytesStartIgnoringCase(field.name, "transfer-encoding"):
                guard field.name.count == 17 else { return .headerNameReserved }
                guard transferEncodings == 0 else { return .transferEncodingRepeated }
                guard bytesEqual(field.value, "chunked") else { return .transferEncodingUnsupported }
                transferEncodings += 1
            case 0x61 where bytesStartIgnoringCase(field.name, "authorization"):
                guard field.name.count == 13 else { return .headerNameReserved }
            default: break
            }
            return nil
        }

        func verdict(isHTTP10: Bool) -> FramingVerdict {
            if hosts > 1 { return .refuse(.hostRepeated) }
            if hosts == 0, !isHTTP10 { return .refuse(.hostMissing) }
            if transferEncodings > 0 {
                if isHTTP10 { return .refuse(.transferEncodingInHTTP10) }
                return contentLength == nil ? .accept(.chunked) : .refuse(.contentLengthWithTransferEncoding)
            }
            guard let contentLength, contentLength > 0 else { return .accept(.none) }
            return .accept(.length(contentLength))
        }
    }

    private static func length(_ value: UnsafeBufferPointer<UInt8>) -> Int? {
        guard value.count > 0, value.count <= contentLengthDigitsMax else { return nil }
        var length = 0
        for byte in value {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            length = length * 10 + Int(byte - 0x30)
        }
        return length
    }

    /// RFC 9110 section 5.6.2: token = 1*tchar.
    static func isToken(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard bytes.count > 0 else { return false }
        for byte in bytes {
            // One bit per ASCII code point: !#$%&'*+-.^_`|~ digits letters.
            let mask: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
            guard byte < 0x80, mask & (1 << UInt64(byte & 63)) != 0 else { return false }
        }
        return true
    }
}
