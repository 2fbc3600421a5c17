import Foundation
import HTTP
import Testing

@Suite(.serialized) struct ServerTests {
    @Test func keepAliveServesManyRequests() throws {
        try withServer { server, port, _ in
            let client = try RawClient(port: port)
            for index in 0..<200 {
                let answer = client.request("POST /echo/\(index)", body: "body \(index)")
                #expect(answer?.status == 200)
                #expect(answer?.text == "POST /echo/\(index) \("body \(index)".count) body \(index)")
            }
            #expect(server.statistics().total(\.requests) == 200)
            #expect(server.statistics().total(\.accepted) == 1)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        try withServer { _, port, _ in
            let client = try RawClient(port: port)
            let one = "POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            let two = "GET /suspend HTTP/1.1\r\nHost: x\r\n\r\n"
            let three = "GET /echo/3 HTTP/1.1\r\nHost: x\r\n\r\n"
            client.send(one + two + three)
            #expect(client.receive()?.text == "POST /echo/1 3 abc")
            #expect(client.receive()?.text == "{}")
            #expect(client.receive()?.text == "GET /echo/3 0 ")
        }
    }

    @Test func slowlyPipelinedRequestsAreAnswered() throws {
        try withServer { _, port, _ in
            let client = try RawClient(port: port)
            let first = "POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            let second = "GET /echo/2 HTTP/1.1\r\nHost: x\r\n\r\n"
            let text = Array((first + second).utf8)
            for cut in stride(from: 0, to: text.count, by: 7) {
                client.send(Array(text[cut..<min(cut + 7, text.count)]))
                usleep(1000)
            }
            #expect(client.receive()?.text == "POST /echo/1 3 abc")
            #expect(client.receive()?.text == "GET /echo/2 0 ")
        }
    }

    @Test func largeHeaderInPiecesIsAccepted() throws {
        try withServer { _, port, _ in
            let client = try RawClient(port: port)
            client.send("GET /a HTTP/1.1\r\nHo")
            usleep(2000)
            client.send("st: x\r\nX-Empty:\r\nX-Big: " + String(repeating: "z", count: 6000))
            usleep(2000)
            client.send(String(repeating: "z", count: 6000) + "\r\nX-C: 1\r\n\r\n")
            #expect(client.receive()?.status == 200)
        }
    }

    @Test func headOptionsAndMethods() throws {
        try withServer { _, port, _ in
            let client = try RawClient(port: port)
            let head = client.request("HEAD /echo/x")
            #expect(head?.status == 200 && head?.headers["content-length"] == "14")
            let options = client.request("OPTIONS /echo/x")
            #expect(options?.status == 204 && options?.headers["allow"] == "GET, HEAD, POST, OPTIONS")
            #expect(client.request("OPTIONS *")?.headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
            #expect(client.request("OPTIONS /nowhere")?.status == 404)
            let delete = client.request("DELETE /echo/x")
            #expect(delete?.status == 405 && delete?.headers["allow"] == "GET, HEAD, POST, OPTIONS")
            #expect(delete?.text.contains("\"code\":\"method_not_allowed\"") == true)
            #expect(client.request("BREW /echo/x")?.status == 501)
            #expect(client.request("GET /echo/")?.status == 404)
            #expect(client.request("GET /nowhere")?.status == 404)
            #expect(client.request("GET /echo/a%2Fb?x=1")?.text == "GET /echo/a%2Fb 0 ")
        }
    }

    @Test func http10IsAnsweredAndClosed() throws {
        try withServer { _, port, _ in
            let client = try RawClient(port: port)
            client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(client.receive()?.status == 200)
            #expect(client.isClosed())
        }
    }

    @Test func expectContinue() throws {
        try withServer { _, port, handler in
            let client = try RawClient(port: port)
            client.send("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            #expect(client.receive()?.status == 100)
            client.send("abc")
            #expect(client.receive()?.text == "POST /a 3 abc")
            client.send(
                "POST /a HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            let refused = client.receive()
            #expect(refused?.status == 401 && refused?.closes == true)
            #expect(client.isClosed())
            #expect(handler.served.load(ordering: .relaxed) == 1)
        }
    }

    @Test func refusalsDropSmallBodiesAndKeepTheConnection() throws {
        try withServer { _, port, _ in
            let client = try RawClient(port: port)
            for _ in 0..<3 {
                let refused = client.request(
                    "POST /a", headers: "X-Refuse: 1\r\n", body: String(repeating: "b", count: 20_000))
                #expect(refused?.status == 401 && refused?.closes == false)
            }
            #expect(client.request("POST /a", body: "x")?.status == 200)
        }
    }

    @Test func refusedLargeBodyGetsItsAnswerBeforeTheClose() throws {
        try withServer({ $0.lingerTimeout = 500_000_000 }) { _, port, handler in
            for _ in 0..<5 {
                let client = try RawClient(port: port)
                client.send(
                    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
                        + String(repeating: "b", count: 200_000))
                let answer = client.receive()
                #expect(answer?.status == 413 && answer?.closes == true)
                #expect(answer?.text.contains("body_too_large") == true)
                #expect(client.isClosed())
            }
            #expect(handler.served.load(ordering: .relaxed) == 0)
        }
    }

    @Test func bodyOfTenMegabytes() throws {
        try withServer { _, port, _ in
            let client = try RawClient(port: port)
            let body = String(repeating: "0123456789", count: 1 << 20)
            let answer = client.request("POST /ten", body: body)
            #expect(answer?.body.count == body.utf8.count + "POST /ten 10485760 ".count)
            #expect(client.request("GET /a")?.status == 200)
        }
    }

    @Test func unixSocket() throws {
        let path = NSTemporaryDirectory() + "http-\(UUID().uuidString).sock"
        let server = try HTTPServer(
            configuration: HTTPConfiguration(listen: [.unix(path: path, mode: 0o600)], loops: 1), handler: TestHandler()
        )
        try server.start()
        #expect(FileManager.default.fileExists(atPath: path))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["curl", "-s", "--unix-socket", path, "http://x/a"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        process.waitUntilExit()
        #expect(String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self) == "GET /a 0 ")
        #expect(server.statistics().total(\.libraryMessages) == 0)
        #expect(server.stop(deadlineNanoseconds: MonotonicClock.nanoseconds() + 3_000_000_000).drained)
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func unsendableHeaderBecomes500() throws {
        try withServer { server, port, _ in
            let client = try RawClient(port: port)
            let answer = client.request("GET /invalid")
            #expect(answer?.status == 500 && answer?.text.contains("response_invalid") == true)
            #expect(answer?.headers["set-cookie"] == nil)
            #expect(server.statistics().refused[.responseInvalid] == 1)
        }
    }

    @Test func connectionLimitAnswers503() throws {
        try withServer(loops: 1, { $0.connectionsMax = 2 }) { _, port, _ in
            let first = try RawClient(port: port)
            let second = try RawClient(port: port)
            #expect(first.request("GET /a")?.status == 200)
            #expect(second.request("GET /a")?.status == 200)
            let third = try RawClient(port: port)
            let refused = third.request("GET /a")
            #expect(refused?.status == 503 && refused?.headers["retry-after"] == "1")
            #expect(third.isClosed())
            #expect(first.request("GET /a")?.status == 200)
        }
    }

    @Test func connectionLimitPerAddressAnswers429() throws {
        try withServer({ $0.connectionsPerAddressMax = 1 }) { _, port, _ in
            let first = try RawClient(port: port)
            #expect(first.request("GET /a")?.status == 200)
            let second = try RawClient(port: port)
            #expect(second.request("GET /a")?.status == 429)
        }
    }

    @Test func pastAllLimitsClientsWaitInTheBacklog() throws {
        try withServer(
            loops: 1,
            {
                $0.connectionsMax = 1; $0.refusedConnectionsMax = 1; $0.idleTimeout = 150_000_000
            }
        ) { _, port, _ in
            let first = try RawClient(port: port)
            #expect(first.request("GET /a")?.status == 200)
            let others = try (0..<3).map { _ in try RawClient(port: port) }
            for client in others { client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n") }
            let statuses = others.map { $0.receive()?.status ?? 0 }
            #expect(statuses.allSatisfy { $0 == 503 || $0 == 200 })
        }
    }
}
