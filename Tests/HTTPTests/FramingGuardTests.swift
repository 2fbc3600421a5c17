import Testing

@testable import HTTP

/// Lays a header out as libmicrohttpd does: split at CRLF, colon, then leading spaces and tabs skipped.
private func verdict(_ text: String) -> FramingVerdict {
    let bytes = Array(text.utf8)
    return bytes.withUnsafeBufferPointer { buffer in
        var lines: [Range<Int>] = []
        var start = 0
        for index in 0..<(buffer.count - 1) where buffer[index] == 13 && buffer[index + 1] == 10 {
            lines.append(start..<index)
            start = index + 2
        }
        let line = lines[0]
        let first = buffer[line].firstIndex(of: 32) ?? 0
        let last = buffer[line].lastIndex(of: 32) ?? 0
        func slice(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: buffer[range]) }
        var fields: [FramedField] = []
        for line in lines.dropFirst() where !line.isEmpty {
            let colon = buffer[line].firstIndex(of: 58) ?? line.upperBound
            var value = min(colon + 1, line.upperBound)
            while value < line.upperBound, buffer[value] == 32 || buffer[value] == 9 { value += 1 }
            fields.append(
                FramedField(
                    name: slice(line.lowerBound..<colon), nameOffset: line.lowerBound, separator: buffer[value - 1],
                    value: slice(value..<line.upperBound), valueOffset: value))
        }
        let header = FramedHeader(
            method: slice(0..<first), target: slice((first + 1)..<max(first + 1, last)),
            version: slice((last + 1)..<line.upperBound), versionOffset: last + 1, byteCount: buffer.count)
        return fields.withUnsafeBufferPointer {
            guard let base = $0.baseAddress else { return .refuse(.hostMissing) }
            return FramingGuard.check(header, fields: base, fieldCount: $0.count)
        }
    }
}

@Suite struct FramingGuardTests {
    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", FramingVerdict.accept(.none)),
        ("GET / HTTP/1.1\r\nhOsT: x\r\nX-Empty:\r\nX-Other: \r\nY: a b\tc\r\n\r\n", .accept(.none)),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", .accept(.none)),
        ("GET / HTTP/1.0\r\nX: x\r\n\r\n", .accept(.none)),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", .accept(.none)),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n", .accept(.length(9_999_999_999))),
        ("POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n", .accept(.chunked)),
        ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", .refuse(.targetFormUnsupported)),
        ("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", .refuse(.targetFormUnsupported)),
        ("GET /a\u{7F} HTTP/1.1\r\nHost: x\r\n\r\n", .refuse(.targetInvalid)),
        ("G{T / HTTP/1.1\r\nHost: x\r\n\r\n", .refuse(.methodInvalid)),
        ("GET / http/1.1\r\nHost: x\r\n\r\n", .refuse(.versionUnsupported)),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", .refuse(.versionUnsupported)),
        ("GET / HTTP/1.1\r\nHost:x\r\n\r\n", .refuse(.headerNotCanonical)),
        ("GET / HTTP/1.1\r\nHost:  x\r\n\r\n", .refuse(.headerNotCanonical)),
        ("GET / HTTP/1.1\r\nHost:\tx\r\n\r\n", .refuse(.headerNotCanonical)),
        ("GET / HTTP/1.1\r\nHost: x \r\n\r\n", .refuse(.headerNotCanonical)),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", .refuse(.headerNameInvalid)),
        ("GET / HTTP/1.1\r\nHost: x\r\nA\u{0}: b\r\n\r\n", .refuse(.headerNameInvalid)),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: \u{1}\r\n\r\n", .refuse(.headerValueInvalid)),
        ("GET / HTTP/1.1\r\nX: x\r\n\r\n", .refuse(.hostMissing)),
        ("GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", .refuse(.hostRepeated)),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            .refuse(.contentLengthWithTransferEncoding)
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n", .refuse(.contentLengthInvalid)),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1a\r\n\r\n", .refuse(.contentLengthInvalid)),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n", .refuse(.transferEncodingUnsupported)),
        ("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", .refuse(.transferEncodingInHTTP10)),
        ("POST / HTTP/1.1\r\nHost: x\r\nAuthorization2: x\r\n\r\n", .refuse(.headerNameReserved)),
    ])
    func verdictOf(_ text: String, _ expected: FramingVerdict) {
        #expect(verdict(text) == expected)
    }

    @Test func tokenCharacters() {
        let allowed = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
        for byte in UInt8.min...UInt8.max {
            let isToken = withUnsafeBytes(of: byte) { FramingGuard.isToken($0.bindMemory(to: UInt8.self)) }
            #expect(isToken == allowed.contains(byte))
        }
    }
}

@Suite struct RequestTargetTests {
    private func parse(_ text: String) -> (RequestTarget, RefusalCode?) {
        var target = RequestTarget()
        Array(text.utf8).withUnsafeBufferPointer { target.setRaw($0) }
        let refusal = target.parse(pathSegmentsMax: 8)
        return (target, refusal)
    }

    @Test(arguments: [
        ("/", [""]), ("/a/b", ["a", "b"]), ("/a/", ["a", ""]), ("/a%2Fb/c%20d", ["a/b", "c d"]),
        ("/%C3%A4+b", ["ä+b"]),
        ("/a?b/c", ["a"]), ("/a?", ["a"]), ("/...", ["..."]),
    ])
    func segments(_ text: String, _ expected: [String]) {
        let (target, refusal) = parse(text)
        #expect(refusal == nil)
        #expect(target.segments.map { target.text($0) } == expected)
    }

    @Test(arguments: [
        "/%", "/%4", "/%zz", "/%00", "/%ff", "/%C3", "/.", "/a/..", "/%2e%2e/a", "/a?x=%00", "/a?%=1", "/a?x=%ff",
        "/%ED%A0%80", "/%C0%AF",
    ])
    func isInvalid(_ text: String) { #expect(parse(text).1 == .targetInvalid) }

    @Test func query() {
        let (target, refusal) = parse("/a?x=1&y=a+b%2Bc&&z&x=2=3&=v")
        #expect(refusal == nil)
        let pairs = target.parameters.map { [target.text($0.name), target.text($0.value)] }
        #expect(pairs == [["x", "1"], ["y", "a b+c"], ["z", ""], ["x", "2=3"], ["", "v"]])
        #expect(parse("/1/2/3/4/5/6/7/8").1 == nil)
        #expect(parse("/1/2/3/4/5/6/7/8/9").1 == .targetTooLong)
    }

    @Test(arguments: [
        ("127.0.0.1:8080", ListenAddress.tcp(host: "127.0.0.1", port: 8080)), ("[::1]:80", .tcp(host: "::1", port: 80)),
        ("unix:/run/x.sock", .unix(path: "/run/x.sock", mode: 0o660)), ("/run/x", .unix(path: "/run/x", mode: 0o660)),
        ("systemd", .inherited), ("::1:80", nil), (":80", nil), ("localhost", nil), ("localhost:99999", nil),
        ("unix:x", nil),
    ])
    func listenAddress(_ text: String, _ expected: ListenAddress?) { #expect(ListenAddress(text) == expected) }
}
