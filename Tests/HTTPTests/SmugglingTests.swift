import HTTP
import Testing

/// A row of the smuggling matrix: what is sent, what must come back before the connection closes.
struct SmugglingCase: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: String
    var status: Int
    /// nil: any, since libmicrohttpd itself answers.
    var code: String?
    var testDescription: String { name }
}

private let host = "Host: x\r\n"
private let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

private func post(_ fields: String, _ rest: String = "") -> String {
    "POST /a HTTP/1.1\r\n\(host)\(fields)\r\n\(rest)"
}

private func get(_ fields: String) -> String { "GET /a HTTP/1.1\r\n\(host)\(fields)\r\n\(smuggled)" }

private let smugglingCases: [SmugglingCase] = [
    .init(
        name: "CL + TE", bytes: post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled),
        status: 400, code: "content_length_with_transfer_encoding"),
    .init(
        name: "TE + CL", bytes: post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n" + smuggled),
        status: 400, code: "content_length_with_transfer_encoding"),
    .init(
        name: "TE xchunked", bytes: post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n" + smuggled), status: 501,
        code: "transfer_encoding_unsupported"),
    .init(
        name: "TE gzip, chunked", bytes: post("Transfer-Encoding: gzip, chunked\r\n", smuggled), status: 501,
        code: "transfer_encoding_unsupported"),
    .init(
        name: "TE chunked, identity", bytes: post("Transfer-Encoding: chunked, identity\r\n", smuggled), status: 501,
        code: "transfer_encoding_unsupported"),
    .init(
        name: "TE identity", bytes: post("Transfer-Encoding: identity\r\n", smuggled), status: 501,
        code: "transfer_encoding_unsupported"),
    .init(
        name: "TE Chunked", bytes: post("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n" + smuggled), status: 501,
        code: "transfer_encoding_unsupported"),
    .init(
        name: "TE quoted", bytes: post("Transfer-Encoding: \"chunked\"\r\n", smuggled), status: 501,
        code: "transfer_encoding_unsupported"),
    .init(
        name: "TE empty", bytes: post("Transfer-Encoding: \r\n", smuggled), status: 501,
        code: "transfer_encoding_unsupported"),
    .init(
        name: "TE tab", bytes: post("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n" + smuggled), status: 400,
        code: "header_not_canonical"),
    .init(
        name: "TE no space", bytes: post("Transfer-Encoding:chunked\r\n", "0\r\n\r\n" + smuggled), status: 400,
        code: "header_not_canonical"),
    .init(
        name: "TE twice",
        bytes: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + smuggled),
        status: 400, code: "transfer_encoding_repeated"),
    .init(
        name: "TE chunked + identity lines",
        bytes: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n" + smuggled),
        status: 400, code: "transfer_encoding_repeated"),
    .init(
        name: "TE space before colon", bytes: post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n" + smuggled),
        status: 400, code: nil),
    .init(
        name: "TE vertical tab", bytes: post("Transfer-Encoding: \u{B}chunked\r\n", "0\r\n\r\n" + smuggled),
        status: 400, code: "header_value_invalid"),
    .init(
        name: "TE trailing space", bytes: post("Transfer-Encoding: chunked \r\n", "0\r\n\r\n" + smuggled), status: 400,
        code: "header_not_canonical"),
    .init(
        name: "TE prefix name", bytes: post("Transfer-Encoding-X: chunked\r\n", "0\r\n\r\n" + smuggled), status: 400,
        code: "header_name_reserved"),
    .init(
        name: "TE folded", bytes: post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n" + smuggled), status: 400,
        code: nil),
    .init(
        name: "TE in 1.0", bytes: "POST /a HTTP/1.0\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\(smuggled)",
        status: 400, code: "transfer_encoding_in_http_1_0"),
    .init(
        name: "CL twice, differing", bytes: post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc" + smuggled),
        status: 400, code: "content_length_repeated"),
    .init(
        name: "CL twice, equal", bytes: post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc" + smuggled),
        status: 400, code: "content_length_repeated"),
    .init(name: "CL +3", bytes: post("Content-Length: +3\r\n", "abc" + smuggled), status: 400, code: nil),
    .init(name: "CL -1", bytes: post("Content-Length: -1\r\n", smuggled), status: 400, code: nil),
    .init(name: "CL 3,3", bytes: post("Content-Length: 3,3\r\n", "abc" + smuggled), status: 400, code: nil),
    .init(name: "CL 0x3", bytes: post("Content-Length: 0x3\r\n", "abc" + smuggled), status: 400, code: nil),
    .init(name: "CL empty", bytes: post("Content-Length: \r\n", smuggled), status: 400, code: nil),
    .init(
        name: "CL 00000000003", bytes: post("Content-Length: 00000000003\r\n", "abc" + smuggled), status: 400,
        code: "content_length_invalid"),
    .init(name: "CL trailing space", bytes: post("Content-Length: 3 \r\n", "abc" + smuggled), status: 400, code: nil),
    .init(
        name: "CL with NUL", bytes: post("Content-Length: 3\u{0}, 9\r\n", "abc" + smuggled), status: 400,
        code: "header_not_canonical"),
    .init(
        name: "CL prefix name", bytes: post("Content-Lengthx: 3\r\n", smuggled), status: 400,
        code: "header_name_reserved"),
    .init(name: "fold", bytes: get("X-A: one\r\n two\r\n"), status: 400, code: "header_not_canonical"),
    .init(
        name: "fold paid for by missing spaces", bytes: get("X-A:one\r\n two\r\nX-B:1\r\nX-C:2\r\n"), status: 400,
        code: "header_not_canonical"),
    .init(name: "fold with tab", bytes: get("X-A: one\r\n\ttwo\r\n"), status: 400, code: nil),
    .init(name: "lone LF", bytes: "GET /a HTTP/1.1\nHost: x\n\n" + smuggled, status: 400, code: "header_not_canonical"),
    .init(
        name: "lone LF paid for by double space", bytes: "GET /a HTTP/1.1\r\nHost:  x\nX-A: b\r\n\r\n" + smuggled,
        status: 400, code: "header_not_canonical"),
    .init(
        name: "lone CR", bytes: "GET /a HTTP/1.1\r\nHost: x\rX-B: y\r\n\r\n" + smuggled, status: 400,
        code: "header_value_invalid"),
    .init(name: "CR CR", bytes: get("X-A: x\r\rX-B: y\r\n"), status: 400, code: "header_value_invalid"),
    .init(name: "NUL in value", bytes: get("X-A: a\u{0}b\r\n"), status: 400, code: "header_not_canonical"),
    .init(name: "NUL in name", bytes: get("X\u{0}A: ab\r\n"), status: 400, code: nil),
    .init(name: "control in value", bytes: get("X-A: a\u{1}b\r\n"), status: 400, code: "header_value_invalid"),
    .init(name: "no Host", bytes: "GET /a HTTP/1.1\r\n\r\n" + smuggled, status: 400, code: "host_missing"),
    .init(name: "two Hosts", bytes: get("Host: y\r\n"), status: 400, code: "host_repeated"),
    .init(name: "Host prefix name", bytes: get("Hostx: y\r\n"), status: 400, code: "header_name_reserved"),
    .init(
        name: "Authorization prefix name", bytes: get("Authorizationx: y\r\n"), status: 400,
        code: "header_name_reserved"),
    .init(
        name: "absolute-form", bytes: "GET http://evil/a HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400,
        code: "target_form_unsupported"),
    .init(
        name: "authority-form", bytes: "CONNECT evil:443 HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400,
        code: "target_form_unsupported"),
    .init(name: "fragment", bytes: "GET /a#b HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400, code: "target_invalid"),
    .init(
        name: "space in target", bytes: "GET /a b HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400,
        code: "target_invalid"),
    .init(
        name: "byte above ASCII in target", bytes: "GET /ä HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400,
        code: "target_invalid"),
    .init(
        name: "two spaces", bytes: "GET  /a HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400,
        code: "header_not_canonical"),
    .init(
        name: "HTTP/1.9", bytes: "GET /a HTTP/1.9\r\n\(host)\r\n\(smuggled)", status: 505, code: "version_unsupported"),
    .init(name: "HTTP/0.9", bytes: "GET /a\r\n\r\n" + smuggled, status: 400, code: nil),
    .init(
        name: "control in method", bytes: "G\u{1}T /a HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400,
        code: "method_invalid"),
    .init(name: "no colon", bytes: get("garbage\r\n"), status: 400, code: nil),
    .init(name: "empty name", bytes: get(": v\r\n"), status: 400, code: nil),
    .init(name: "%00", bytes: "GET /a%00 HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400, code: "target_invalid"),
    .init(name: "%C3", bytes: "GET /a%C3 HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400, code: "target_invalid"),
    .init(
        name: "dot segment", bytes: "GET /a/%2e%2E/b HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 400,
        code: "target_invalid"),
    .init(
        name: "Expect other", bytes: post("Expect: foo\r\nContent-Length: 3\r\n", "abc" + smuggled), status: 417,
        code: "expectation_unsupported"),
    .init(
        name: "header too large", bytes: get("X-A: \(String(repeating: "a", count: 17_000))\r\n"), status: 431,
        code: "header_too_large"),
    .init(
        name: "header larger than the pool", bytes: get("X-A: \(String(repeating: "a", count: 60_000))\r\n"),
        status: 431, code: nil),
    .init(
        name: "too many fields", bytes: get(String(repeating: "X-A: 1\r\n", count: 120)), status: 431,
        code: "header_too_many_fields"),
    .init(
        name: "target too long",
        bytes: "GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 414,
        code: "target_too_long"),
    .init(
        name: "too many segments",
        bytes: "GET \(String(repeating: "/a", count: 40)) HTTP/1.1\r\n\(host)\r\n\(smuggled)", status: 414,
        code: "target_too_long"),
]

private let chunkedCases: [SmugglingCase] =
    [
        "0x3\r\nabc\r\n0\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n",
        "g\r\nabc\r\n",
        "\r\nabc\r\n0\r\n\r\n", "3\rabc\r0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n\n0\r\n\r\n", "3\r\nabc\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n", "3\u{0}\r\nabc\r\n0\r\n\r\n",
    ].map {
        SmugglingCase(
            name: "chunk " + $0.debugDescription, bytes: post("Transfer-Encoding: chunked\r\n", $0 + smuggled),
            status: 400, code: nil)
    }
    + [
        SmugglingCase(
            name: "chunk size overflow",
            bytes: post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFFF\r\nabc\r\n" + smuggled), status: 413,
            code: nil)
    ]

@Suite(.serialized) struct SmugglingTests {
    @Test(arguments: smugglingCases + chunkedCases)
    func isRefusedAndClosed(_ row: SmugglingCase) throws {
        try withServer(loops: 1, { $0.lingerTimeout = 100_000_000 }) { _, port, handler in
            let client = try RawClient(port: port)
            client.send(row.bytes)
            let answer = client.receive()
            #expect(answer?.status == row.status)
            if let code = row.code { #expect(answer?.text.contains("\"code\":\"\(code)\"") == true) }
            if row.status >= 400 {
                if row.code != nil {
                    #expect(answer?.closes == true)
                    #expect(answer?.headers["content-type"] == "application/problem+json")
                    #expect(client.isClosed())
                } else {
                    // What libmicrohttpd refuses by itself is told in our words, too.
                    #expect(answer?.headers["content-type"] == "application/problem+json")
                    // It may repeat its header; nothing else may follow.
                    while let more = client.receive() { #expect(more.status == row.status) }
                }
                #expect(handler.served.load(ordering: .relaxed) == 0)
            }
            #expect(handler.smuggled.load(ordering: .relaxed) == 0)
        }
    }
}
