import Foundation
import HTTP
import Synchronization
import Testing

@Suite(.serialized) struct SuspendTests {
    @Test func otherThreadAnswers() throws {
        try withServer { server, port, _ in
            let client = try RawClient(port: port)
            for _ in 0..<200 { #expect(client.request("GET /suspend")?.text == "{}") }
            #expect(server.statistics().total(\.suspended) == 200)
        }
    }

    @Test func exactlyOneAnswerWins() throws {
        try withServer { server, port, handler in
            let clients = try (0..<8).map { _ in try RawClient(port: port) }
            for _ in 0..<100 {
                for client in clients { client.send("GET /race HTTP/1.1\r\nHost: x\r\n\r\n") }
                for client in clients {
                    let status = client.receive()?.status
                    #expect(status == 200 || status == 504)
                }
            }
            handler.queue.sync(flags: .barrier) {}
            #expect(handler.claims.load(ordering: .relaxed) == 800)
            #expect(server.statistics().total(\.responses) == 800)
        }
    }

    @Test func batchAnswersAcrossLoops() throws {
        try withServer { _, port, _ in
            let clients = try (0..<8).map { _ in try RawClient(port: port) }
            for _ in 0..<50 {
                for client in clients { client.send("GET /batch HTTP/1.1\r\nHost: x\r\n\r\n") }
                for client in clients { #expect(client.receive()?.text == "[]") }
            }
        }
    }

    @Test func clientLeavesWhileSuspended() throws {
        try withServer { server, port, handler in
            for _ in 0..<10 {
                let client = try RawClient(port: port)
                client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
            }
            for _ in 0..<500 where handler.held.withLock({ $0.count }) < 10 { usleep(5000) }
            let responders = handler.held.withLock { $0 }
            #expect(responders.count == 10)
            for responder in responders { #expect(responder.respond(.json(200, Array("{}".utf8)))) }
            for _ in 0..<500 where server.statistics().connectionsOpen > 0 { usleep(5000) }
            #expect(server.statistics().connectionsOpen == 0)
            for responder in responders { #expect(!responder.respond(.json(200, []))) }
        }
    }

    @Test func twoHundredConnections() throws {
        try withServer { server, port, _ in
            let clients = try (0..<200).map { _ in try RawClient(port: port) }
            for round in 0..<5 {
                for client in clients {
                    client.send("GET \(round % 2 == 0 ? "/suspend" : "/a") HTTP/1.1\r\nHost: x\r\n\r\n")
                }
                for client in clients { #expect(client.receive()?.status == 200) }
            }
            let statistics = server.statistics()
            #expect(statistics.total(\.requests) == 1000)
            // Handed to the loop with the fewest: no loop is left with a small share.
            #expect(statistics.loops.allSatisfy { $0.accepted >= 90 })
        }
    }

    @Test func drainUnderLoadFailsNoRequest() throws {
        for _ in 0..<5 {
            let handler = TestHandler()
            let server = try HTTPServer(
                configuration: HTTPConfiguration(listen: [.tcp(host: "127.0.0.1", port: 0)], loops: 2), handler: handler
            )
            try server.start()
            let port = server.port ?? 0
            let failed = Atomic<Int>(0)
            let answered = Atomic<Int>(0)
            let group = DispatchGroup()
            for number in 0..<8 {
                group.enter()
                Thread.detachNewThread {
                    defer { group.leave() }
                    guard let client = try? RawClient(port: port) else { return }
                    while true {
                        client.send(
                            "POST \(number % 2 == 0 ? "/suspend" : "/a") HTTP/1.1\r\nHost: x\r\n"
                                + "Content-Length: 3\r\n\r\nabc"
                        )
                        guard let answer = client.receive(), answer.status == 200 else {
                            failed.add(1, ordering: .relaxed)
                            return
                        }
                        answered.add(1, ordering: .relaxed)
                        if answer.closes { return }
                    }
                }
            }
            while answered.load(ordering: .relaxed) < 200 { usleep(1000) }
            server.beginDrain()
            let result = server.stop(deadlineNanoseconds: MonotonicClock.nanoseconds() + 10_000_000_000)
            group.wait()
            #expect(result.drained && result.abandoned == 0)
            #expect(failed.load(ordering: .relaxed) == 0)
        }
    }

    @Test func forcedStopAnswersWhatWaits() throws {
        let handler = TestHandler()
        let server = try HTTPServer(
            configuration: HTTPConfiguration(listen: [.tcp(host: "127.0.0.1", port: 0)], loops: 2), handler: handler)
        try server.start()
        let clients = try (0..<6).map { _ in try RawClient(port: server.port ?? 0) }
        for client in clients { client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n") }
        for _ in 0..<500 where handler.held.withLock({ $0.count }) < 6 { usleep(5000) }
        let result = server.stop(deadlineNanoseconds: MonotonicClock.nanoseconds() + 50_000_000)
        #expect(!result.drained && result.abandoned == 6)
        for client in clients {
            let answer = client.receive()
            #expect(answer?.status == 503 && answer?.text.contains("shutting_down") == true)
            #expect(client.isClosed())
        }
        for responder in handler.held.withLock({ $0 }) { #expect(!responder.respond(.json(200, []))) }
    }
}
