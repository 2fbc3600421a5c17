import Foundation
import HTTP
import Synchronization

/// A small application with one endpoint per behaviour under test.
final class TestHandler: HTTPHandler {
    enum Endpoint: Sendable {
        case echo, suspend, never, late, race, small, raw, batch, hold, invalid, ten, spool, file
    }

    let served = Atomic<Int>(0)
    let smuggled = Atomic<Int>(0)
    /// Where bodies are spooled and the served file lies.
    let spoolDirectory = NSTemporaryDirectory() + "http-\(UUID().uuidString)"
    let claims = Atomic<Int>(0)
    let held = Mutex<[Responder]>([])
    let queue = DispatchQueue(label: "answers", attributes: .concurrent)
    private let table: RouteTable<Endpoint>

    init() {
        var table = RouteTable<Endpoint>()
        table.add(.get, "/echo/{name}", .echo)
        table.add(.post, "/echo/{name}", .echo)
        table.add(.get, "/a", .echo)
        table.add(.post, "/a", .echo)
        table.add(.get, "/smuggled", .echo)
        for (path, endpoint) in [
            ("/suspend", Endpoint.suspend), ("/never", .never), ("/late", .late), ("/race", .race), ("/small", .small),
            ("/raw", .raw), ("/batch", .batch), ("/hold", .hold), ("/invalid", .invalid), ("/ten", .ten),
            ("/spool", .spool),
            ("/file", .file),
        ] {
            table.add(.get, path, endpoint)
            table.add(.post, path, endpoint)
        }
        self.table = table
        try? FileManager.default.createDirectory(atPath: spoolDirectory, withIntermediateDirectories: true)
    }

    func route(_ head: RequestHead) -> RouteDecision<Endpoint> {
        if head.path.count > 0, head.path.equals(0, "smuggled") { smuggled.add(1, ordering: .relaxed) }
        if head.header("x-refuse") != nil {
            return .refuse(Response(status: 401, contentType: .text, body: Array("no".utf8)))
        }
        switch table.match(head) {
        case .found(.small, _): return .accept(.small, BodyPolicy(bytesMax: 16))
        case .found(.ten, _): return .accept(.ten, BodyPolicy(bytesMax: 10 << 20))
        case .found(.spool, _):
            return .accept(.spool, BodyPolicy(bytesMax: 10 << 20, inflates: false, spoolDirectory: spoolDirectory))
        case .found(.raw, _): return .accept(.raw, BodyPolicy(inflates: false))
        case .found(let endpoint, _): return .accept(endpoint, .standard)
        case .notFound: return .refuseWithCode(.notFound)
        case .methodNotAllowed(let methods): return .methodNotAllowed(methods)
        }
    }

    func allowedMethods(_ head: RequestHead) -> MethodSet? { table.methods(head) }

    func handle(_ request: Request, _ route: Endpoint, _ responder: Responder) {
        served.add(1, ordering: .relaxed)
        let head = request.head
        switch route {
        case .echo, .small, .raw, .ten:
            let text = "\(head.method.token) \(head.pathText) \(request.body.count) "
            responder.respond(Response(status: 200, contentType: .text, body: Array(text.utf8) + request.bodyBytes))
        case .spool:
            let file = request.bodyFile
            queue.async { responder.respond(Self.summary(file)) }
        case .file:
            guard let file = try? BodyFile(reading: spoolDirectory + "/served") else {
                responder.respond(Response(status: 404))
                return
            }
            responder.respond(
                Response(status: 200, contentType: .csv, headers: [ResponseHeader("ETag", "\"1\"")], file: file))
        case .suspend:
            queue.async { responder.respond(.json(200, Array("{}".utf8))) }
        case .never, .late, .hold:
            if let milliseconds = head.queryParameter("ms").flatMap(UInt64.init) {
                request.deadlineNanoseconds = head.receivedNanoseconds + milliseconds * 1_000_000
            }
            if route == .hold { held.withLock { $0.append(responder) } }
        case .race:
            request.deadlineNanoseconds = head.receivedNanoseconds + 1_000_000
            for _ in 0..<4 { queue.async { self.answerRace(responder) } }
        case .batch:
            let full = held.withLock { held in
                held.append(responder)
                guard held.count == 8 else { return [Responder]() }
                defer { held = [] }
                return held
            }
            guard !full.isEmpty else { return }
            queue.async {
                var batch = ResponseBatch()
                for responder in full { batch.add(responder, .json(200, Array("[]".utf8))) }
                batch.send()
            }
        case .invalid:
            responder.respond(Response(status: 200, headers: [ResponseHeader("X-Bad", "a\r\nSet-Cookie: b")]))
        }
    }

    /// Length and FNV-1a hash of a spooled body.
    private static func summary(_ file: BodyFile?) -> Response {
        var buffer = [UInt8](repeating: 0, count: 100_000)
        var (offset, hash) = (0, UInt64(0xCBF2_9CE4_8422_2325))
        while let file, let got = try? buffer.withUnsafeMutableBytes({ try file.read($0, at: offset) }), got > 0 {
            for byte in buffer[..<got] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            offset += got
        }
        return Response(status: 200, contentType: .text, body: Array("\(offset) \(hash)".utf8))
    }

    private func answerRace(_ responder: Responder) {
        if responder.respond(.json(200, Array("{}".utf8))) { claims.add(1, ordering: .relaxed) }
    }

    func deadlineReached(_ request: Request, _ route: Endpoint, _ responder: Responder) {
        guard route != .never else { return }
        if responder.respond(Response(status: 504, contentType: .text, body: Array("late".utf8))) {
            claims.add(1, ordering: .relaxed)
        }
    }
}

/// Runs a server for one test and stops it after.
func withServer<R>(
    loops: Int = 2, _ change: (inout HTTPLimits) -> Void = { _ in },
    _ body: (HTTPServer, UInt16, TestHandler) throws -> R
) throws -> R {
    var limits = HTTPLimits()
    limits.drainIdleTimeout = 20_000_000
    change(&limits)
    let handler = TestHandler()
    let server = try HTTPServer(
        configuration: HTTPConfiguration(listen: [.tcp(host: "127.0.0.1", port: 0)], loops: loops, limits: limits),
        handler: handler)
    try server.start()
    defer { server.stop(deadlineNanoseconds: MonotonicClock.nanoseconds() + 2_000_000_000) }
    return try body(server, server.port ?? 0, handler)
}
