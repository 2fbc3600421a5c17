import Foundation
import HTTP
import Testing

@Suite(.serialized) struct BodyTests {
    private func chunked(_ body: String, path: String = "/a") -> String {
        "POST \(path) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\(body)"
    }

    @Test(arguments: [
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "00005\r\nabcde\r\n0\r\n\r\n", "5;name=value\r\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde\r\n0\r\nX-Trailer: 1\r\n\r\n", "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n1\r\nd\r\n1\r\ne\r\n0\r\n\r\n",
        "5\r\nabcde\r\n0\r\nContent-Length: 50\r\nHost: y\r\n\r\n",
    ]) func chunkedBodyThenPipelinedRequest(_ body: String) throws {
        try withServer { _, port, handler in
            for step in [1, 3, 10_000] {
                let client = try RawClient(port: port)
                let bytes = Array((chunked(body) + "GET /echo/next HTTP/1.1\r\nHost: x\r\n\r\n").utf8)
                for start in stride(from: 0, to: bytes.count, by: step) {
                    client.send(Array(bytes[start..<min(start + step, bytes.count)]))
                }
                #expect(client.receive()?.text == "POST /a 5 abcde")
                #expect(client.receive()?.text == "GET /echo/next 0 ")
            }
            #expect(handler.smuggled.load(ordering: .relaxed) == 0)
        }
    }

    @Test func chunkedCanCostTheConnection() throws {
        try withServer({ $0.keepsAliveAfterChunked = false }) { _, port, handler in
            let client = try RawClient(port: port)
            client.send(chunked("2;\nxx\r\n0\r\n\r\n") + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(client.receive()?.closes == true)
            #expect(client.isClosed())
            #expect(handler.smuggled.load(ordering: .relaxed) == 0)
        }
    }

    @Test func oversizedChunkedTotalIsRefusedAndClosed() throws {
        try withServer({ $0.lingerTimeout = 200_000_000 }) { server, port, handler in
            let client = try RawClient(port: port)
            client.send(
                chunked("a\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", path: "/small")
                    + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            let answer = client.receive()
            #expect(answer?.status == 413 && answer?.closes == true)
            #expect(client.isClosed())
            #expect(handler.served.load(ordering: .relaxed) == 0)
            #expect(handler.smuggled.load(ordering: .relaxed) == 0)
            #expect(server.statistics().refused[.bodyTooLarge] == 1)
        }
    }

    @Test(arguments: ["5\r\nabc", "5\r\nabcde\r\n0\r\n", "FFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", ""])
    func truncatedChunkedBodyIsNotServed(_ body: String) throws {
        try withServer { server, port, handler in
            do {
                let client = try RawClient(port: port)
                client.send(chunked(body))
                shutdown(client.descriptor, Int32(SHUT_WR))
                _ = client.receive()
            }
            #expect(handler.served.load(ordering: .relaxed) == 0)
            let next = try RawClient(port: port)
            #expect(next.request("GET /a")?.status == 200)
        }
    }

    @Test func largeBodiesShareABound() throws {
        try withServer({
            $0.bodyBytesTotalMax = 1 << 20
            $0.lingerTimeout = 200_000_000
        }) { server, port, handler in
            let first = try RawClient(port: port)
            first.send("POST /ten HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
            first.send(String(repeating: "b", count: 899_999))
            for _ in 0..<500 where server.statistics().total(\.bodyBytesReceived) < 899_999 { usleep(5000) }
            let second = try RawClient(port: port)
            second.send("POST /ten HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n")
            second.send(String(repeating: "b", count: 200_000))
            let refused = second.receive()
            #expect(refused?.status == 503 && refused?.text.contains("resources_exhausted") == true)
            first.send("b")
            #expect(first.receive()?.status == 200)
            let third = try RawClient(port: port)
            #expect(third.request("POST /ten", body: String(repeating: "b", count: 900_000))?.status == 200)
            #expect(handler.served.load(ordering: .relaxed) == 2)
        }
    }

    @Test func gzipBodyIsInflated() throws {
        try withServer { _, port, _ in
            let text = String(repeating: "{\"event\":1}\n", count: 1000)
            let packed = try #require(Gzip.deflate(Array(text.utf8)))
            let client = try RawClient(port: port)
            for _ in 0..<2 {
                client.send(
                    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: \(packed.count)\r\n\r\n")
                client.send(packed)
                #expect(client.receive()?.text == "POST /a \(text.utf8.count) \(text)")
            }
            client.send("POST /raw HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc")
            #expect(client.receive()?.text == "POST /raw 3 abc")
            client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc")
            let refused = client.receive()
            #expect(refused?.status == 415 && refused?.headers["accept-encoding"] == "gzip")
        }
    }

    @Test func hostileGzipIsRefused() throws {
        try withServer { _, port, handler in
            let bomb = try #require(Gzip.deflate([UInt8](repeating: 0x20, count: 64 << 20)))
            let broken = Array(try #require(Gzip.deflate([UInt8](repeating: 0x41, count: 5000))).dropLast(4))
            let client = try RawClient(port: port)
            for (bytes, status, code) in [
                (bomb, 413, "body_inflates_too_far"), (broken, 400, "content_encoding_invalid"),
                (Array("not gzip".utf8), 400, "content_encoding_invalid"),
            ] {
                client.send(
                    "POST /ten HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: \(bytes.count)\r\n\r\n")
                client.send(bytes)
                let answer = client.receive()
                #expect(answer?.status == status && answer?.text.contains(code) == true)
            }
            #expect(handler.served.load(ordering: .relaxed) == 0)
            #expect(client.request("GET /a")?.status == 200)
        }
    }

    @Test func inflateStaysInItsLimits() throws {
        let input = [UInt8](repeating: 7, count: 100_000)
        let packed = try #require(Gzip.deflate(input))
        func inflate(_ bytes: [UInt8], _ limits: InflateLimits) throws(InflateError) -> [UInt8] {
            try Gzip.inflate(
                UnsafeRawBufferPointer(start: bytes.withUnsafeBytes { $0.baseAddress }, count: bytes.count),
                limits: limits)
        }
        #expect(try inflate(packed, InflateLimits(bytesMax: 100_000, ratioMax: 1, freeBytes: 100_000)) == input)
        #expect(throws: InflateError.tooLarge) {
            try inflate(packed, InflateLimits(bytesMax: 99_999, ratioMax: 5000, freeBytes: 0))
        }
        #expect(throws: InflateError.tooLarge) {
            try inflate(packed, InflateLimits(bytesMax: 200_000, ratioMax: 10, freeBytes: 0))
        }
        #expect(
            try inflate(packed + packed, InflateLimits(bytesMax: 200_000, ratioMax: 5000, freeBytes: 0)) == input
                + input)
        #expect(throws: InflateError.corrupt) {
            try inflate(packed + [1], InflateLimits(bytesMax: 200_000, ratioMax: 5000, freeBytes: 0))
        }
        for cut in 0..<packed.count {
            #expect(throws: InflateError.corrupt) {
                try inflate(Array(packed[0..<cut]), InflateLimits(bytesMax: 200_000, ratioMax: 5000, freeBytes: 0))
            }
        }
    }
}
