import Foundation
import HTTP
import Testing

@Suite(.serialized) struct DeadlineTests {
    private static let short: UInt64 = 150_000_000

    @Test func drippingHeaderIsClosed() throws {
        try withServer({ $0.headerTimeout = Self.short }) { server, port, handler in
            for opening in ["", "GET /a HTTP/1.1\r\nHost: x\r\nX-A: "] {
                let client = try RawClient(port: port)
                client.send(opening)
                var answered = false
                for _ in 0..<400 where !answered {
                    if !client.send("G") { break }
                    usleep(10_000)
                    answered =
                        recv(client.descriptor, nil, 0, Int32(MSG_DONTWAIT)) == 0
                        && server.statistics().refused[.headerTimeout] ?? 0 > 0
                }
                #expect(answered)
            }
            #expect(server.statistics().refused[.headerTimeout] == 2)
            #expect(handler.served.load(ordering: .relaxed) == 0)
        }
    }

    @Test func silentClientGets408() throws {
        try withServer({ $0.headerTimeout = Self.short }) { _, port, _ in
            let client = try RawClient(port: port)
            client.send("GET /a HTTP/1.1\r\nHo")
            let answer = client.receive()
            #expect(answer?.status == 408 && answer?.text.contains("header_timeout") == true)
            #expect(client.isClosed())
        }
    }

    @Test func drippingBodyGets408() throws {
        try withServer({ $0.bodyTimeout = Self.short }) { server, port, handler in
            let client = try RawClient(port: port)
            client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            for _ in 0..<400 where server.statistics().refused[.bodyTimeout] == nil {
                client.send("b")
                usleep(10_000)
            }
            #expect(server.statistics().refused[.bodyTimeout] == 1)
            #expect(handler.served.load(ordering: .relaxed) == 0)
        }
    }

    @Test func idleConnectionIsClosedSilently() throws {
        try withServer({ $0.idleTimeout = Self.short }) { server, port, _ in
            let client = try RawClient(port: port)
            #expect(client.request("GET /a")?.status == 200)
            #expect(client.isClosed())
            #expect(server.statistics().total(\.connectionsTimedOut) == 1)
        }
    }

    @Test func clientThatDoesNotReadIsClosed() throws {
        try withServer({ $0.writeTimeout = Self.short }) { server, port, _ in
            let client = try RawClient(port: port, receiveBuffer: 4096)
            client.send(
                "POST /ten HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n"
                    + String(repeating: "b", count: 8_000_000))
            for _ in 0..<500 where server.statistics().total(\.connectionsTimedOut) == 0 { usleep(10_000) }
            #expect(server.statistics().total(\.connectionsTimedOut) == 1)
            for _ in 0..<500 where server.statistics().connectionsOpen > 0 { usleep(10_000) }
            #expect(server.statistics().connectionsOpen == 0)
        }
    }

    @Test func deadlineAnswersSuspendedExchange() throws {
        try withServer { server, port, _ in
            let client = try RawClient(port: port)
            let answer = client.request("GET /never?ms=20")
            #expect(answer?.status == 503 && answer?.text.contains("deadline_exceeded") == true)
            #expect(client.request("GET /late?ms=20")?.text == "late")
            #expect(client.request("GET /a")?.status == 200)
            #expect(server.statistics().total(\.deadlinesExceeded) == 2)
            #expect(server.statistics().total(\.suspendedNow) == 0)
        }
    }

    @Test func answerAfterTheDeadlineIsIgnored() throws {
        try withServer { server, port, handler in
            let client = try RawClient(port: port)
            #expect(client.request("GET /hold?ms=10")?.status == 504)
            let responder = try #require(handler.held.withLock { $0.first })
            #expect(!responder.isWaiting)
            #expect(!responder.respond(.json(200, [])))
            // The same connection's next exchange is not answered by it either.
            client.send("GET /never?ms=30 HTTP/1.1\r\nHost: x\r\n\r\n")
            usleep(5000)
            #expect(!responder.respond(.json(200, [])))
            #expect(client.receive()?.status == 503)
            #expect(server.statistics().total(\.responsesIgnored) == 2)
        }
    }
}
