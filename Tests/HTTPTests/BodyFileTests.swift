import Foundation
import HTTP
import Testing

@Suite(.serialized) struct BodyFileTests {
    private static func hash(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    private static let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 9) }

    @Test func aLargeBodyGoesToAFileWithoutAName() throws {
        try withServer({ $0.bodyBytesTotalMax = 1 << 20 }) { _, port, handler in
            let client = try RawClient(port: port)
            for body in [Self.large, [], Array("abc".utf8)] {
                client.send("POST /spool HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.count)\r\n\r\n")
                client.send(body)
                #expect(client.receive()?.text == "\(body.count) \(Self.hash(body))")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: handler.spoolDirectory) == [])
            // What is not spooled still has the bound of all bodies in memory.
            client.send("POST /ten HTTP/1.1\r\nHost: x\r\nContent-Length: \(Self.large.count)\r\n\r\n")
            client.send(Self.large)
            #expect(client.receive()?.status == 503)
        }
    }

    @Test func aChunkedBodyIsSpooledUpToItsLimit() throws {
        try withServer({ $0.lingerTimeout = 200_000_000 }) { _, port, _ in
            let chunk = String(repeating: "c", count: 0x8000)
            let client = try RawClient(port: port)
            client.send("POST /spool HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<10 { client.send("8000\r\n\(chunk)\r\n") }
            client.send("0\r\n\r\n")
            #expect(client.receive()?.text == "327680 \(Self.hash([UInt8](repeating: 0x63, count: 327_680)))")
            let second = try RawClient(port: port)
            second.send("POST /spool HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<321 where second.send("8000\r\n\(chunk)\r\n") {}
            #expect(second.receive()?.status == 413)
        }
    }

    @Test func aDirectoryThatCannotBeWrittenIsNoCrash() throws {
        try withServer { _, port, handler in
            try FileManager.default.removeItem(atPath: handler.spoolDirectory)
            let client = try RawClient(port: port)
            #expect(client.request("POST /spool", body: "abc")?.status == 503)
            #expect(client.request("GET /a")?.status == 200)
        }
    }

    @Test func aFileIsServedWholeAlsoToASlowClient() throws {
        try withServer { _, port, handler in
            let path = handler.spoolDirectory + "/served"
            let content = Self.large + Self.large + Self.large
            try Data(content).write(to: URL(fileURLWithPath: path))
            let client = try RawClient(port: port, receiveBuffer: 4096)
            for _ in 0..<2 {
                let answer = client.request("GET /file")
                #expect(answer?.status == 200 && answer?.body == content)
                #expect(
                    answer?.headers["content-type"] == "text/csv; charset=utf-8" && answer?.headers["etag"] == "\"1\"")
            }
            let head = client.request("HEAD /file")
            #expect(head?.headers["content-length"] == "\(content.count)" && head?.body == [])
            // A file that is removed while it is sent is still sent.
            client.send("GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            usleep(50_000)
            try FileManager.default.removeItem(atPath: path)
            #expect(client.receive()?.body == content)
            #expect(client.request("GET /file")?.status == 404)
        }
    }

    @Test func streamsOfGzipAreTheOtherSideOfEachOther() throws {
        for count in [0, 1, 70_000, 2_000_000] {
            let plain = Array(Self.large.prefix(count))
            var deflater = try DeflateStream()
            var packed: [UInt8] = []
            for start in stride(from: 0, to: max(1, count), by: 33_333) {
                try plain[min(start, count)..<min(start + 33_333, count)].withUnsafeBytes {
                    try deflater.append($0) { packed += $0 }
                }
            }
            try deflater.finish { packed += $0 }
            #expect(
                try packed.withUnsafeBytes {
                    try Gzip.inflate($0, limits: .init(bytesMax: 1 << 22, ratioMax: 2000, freeBytes: 0))
                } == plain)
            // Two members are one body.
            for body in [packed, packed + packed] {
                var inflater = try InflateStream()
                var found: [UInt8] = []
                for start in stride(from: 0, to: body.count, by: 1_001) {
                    try body[start..<min(start + 1_001, body.count)].withUnsafeBytes {
                        try inflater.append($0) { found += $0 }
                    }
                }
                let isComplete = inflater.isComplete
                #expect(isComplete && found == (body.count == packed.count ? plain : plain + plain))
            }
            var cut = try InflateStream()
            try packed.dropLast(3).withUnsafeBytes { try cut.append($0) { _ in } }
            let isComplete = cut.isComplete
            #expect(!isComplete)
        }
        var wrong = try InflateStream()
        #expect(throws: InflateError.corrupt) {
            try Array("plain text".utf8).withUnsafeBytes { try wrong.append($0) { _ in } }
        }
    }
}
