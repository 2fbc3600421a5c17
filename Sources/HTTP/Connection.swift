import CMicroHTTPD
import Glibc
import Synchronization

/// One client connection and the exchange on it: a state machine driven by libmicrohttpd's callbacks on the loop's
/// thread.
///
/// The handler's type is known to the subclass ``HandledConnection`` only, so that nothing here is generic or
/// existential.
///
/// SAFETY: every field belongs to the loop's thread, with two exceptions. `claimState` is atomic. `outgoing` is
/// written by
/// whoever won `claimState`, and read by the loop after that connection came through the loop's locked inbox (or on
/// the same
/// thread), never before.
class Connection: @unchecked Sendable {
    /// What the bytes of the connection mean now.
    enum Stage {
        /// Accepted; nothing of a request line has been seen whole.
        case fresh
        /// Kept alive between two requests.
        case idle
        /// The request line is complete, the header is not.
        case header
        /// The body is collected for the handler.
        case body
        /// The body is dropped, then `outgoing` is sent.
        case discarding
        /// The answer is out and our side shut; the body is dropped so that the client can read the answer.
        case lingering
        /// In the handler, or suspended for its answer.
        case handling
        /// The answer is with the library.
        case answering
    }

    /// Why a connection was accepted.
    enum Admission: Equatable {
        case served
        case refused(RefusalCode)
    }

    let loop: Loop
    let descriptor: Int32
    let admission: Admission
    let head: RequestHead
    let request: Request
    var library: OpaquePointer?
    var stage = Stage.fresh
    var stageDeadline: UInt64
    var framing = BodyFraming.none
    var policy = BodyPolicy.standard
    var bodyMax = 0
    var dropBudget = 0
    /// What this exchange has added to ``ServerState/bodyBytes``.
    var bodyBytesCounted = 0
    var body: BodyBuffer
    /// The body's file, where the policy wants one.
    var spool: BodyFile?
    var inflated: [UInt8] = []
    var outgoing: Response?
    /// The file that is being sent, until it was.
    var sending: BodyFile?
    var answeredInline = false
    var closesAfter = false
    var isInRequest = false
    /// Places in the loop's dense arrays; -1: not there.
    var index = -1
    var suspendedIndex = -1
    private var serial: UInt64 = 0
    private let claimState = Atomic<UInt64>(0)

    init(loop: Loop, descriptor: Int32, address: RemoteAddress, admission: Admission, now: UInt64) {
        self.loop = loop
        self.descriptor = descriptor
        self.admission = admission
        head = RequestHead(fieldCapacity: loop.limits.headerFieldsMax)
        head.remoteAddress = address
        request = Request(head: head)
        body = BodyBuffer(retainedMax: loop.limits.bodyBufferRetainedBytes)
        stageDeadline = now &+ loop.limits.headerTimeout
    }

    /// What the subclass answers for its handler.
    enum Decision {
        case accept(BodyPolicy)
        case refuse(Response)
        case refuseWithCode(Refusal)
    }

    func decide() -> Decision { fatalError("abstract") }
    func callHandler(_ responder: Responder) { fatalError("abstract") }
    func callDeadlineReached(_ responder: Responder) { fatalError("abstract") }
    func allowedMethods() -> MethodSet? { fatalError("abstract") }
    func renderProblem(_ refusal: Refusal) -> Response { fatalError("abstract") }
    func forgetRoute() { fatalError("abstract") }
    func noteAnswered(status: UInt16, bytes: Int) { fatalError("abstract") }

    // MARK: Exactly once

    private static let open: UInt64 = 1
    private static let claimed: UInt64 = 2

    /// Takes the right to answer the exchange with this serial; false when it is taken or over.
    func claim(_ serial: UInt64) -> Bool {
        claimState.compareExchange(
            expected: serial << 2 | Self.open, desired: serial << 2 | Self.claimed, ordering: .acquiringAndReleasing
        ).exchanged
    }

    func isWaiting(_ serial: UInt64) -> Bool {
        claimState.load(ordering: .relaxed) == serial << 2 | Self.open
    }

    /// The current exchange's responder.
    var responder: Responder { Responder(connection: self, serial: serial) }

    func openClaim() { claimState.store(serial << 2 | Self.open, ordering: .releasing) }

    // MARK: Requests

    /// The request line is complete.
    func targetArrived(_ target: UnsafePointer<CChar>) {
        isInRequest = true
        serial &+= 1
        stage = .header
        stageDeadline = loop.now &+ loop.limits.headerTimeout
        let count = strlen(target)
        target.withMemoryRebound(to: UInt8.self, capacity: count) {
            head.target.setRaw(UnsafeBufferPointer(start: $0, count: count))
        }
    }

    /// The access handler: header complete, a piece of body, body complete, or resumed.
    func access(
        _ library: OpaquePointer, method: UnsafePointer<CChar>, version: UnsafePointer<CChar>,
        piece: UnsafePointer<CChar>?, pieceSize: UnsafeMutablePointer<Int>
    ) -> MHD_Result {
        switch stage {
        case .header:
            return headerComplete(library, method: method, version: version)
        case .body, .discarding, .lingering:
            guard pieceSize.pointee > 0 else { return bodyComplete(library) }
            let bytes = UnsafeRawBufferPointer(start: piece, count: pieceSize.pointee)
            pieceSize.pointee = 0
            return receive(bytes)
        case .handling:
            guard suspendedIndex < 0, let response = outgoing else { return .NO }
            return send(response, library)
        case .fresh, .idle, .answering:
            return .NO
        }
    }

    /// The exchange is over, whichever way.
    func completed(_ code: MHD_RequestTerminationCode) {
        if code != .REQUEST_TERMINATED_COMPLETED_OK { loop.counters.requestsAborted.add() }
        precondition(suspendedIndex < 0, "libmicrohttpd ended a suspended request")
        claimState.store(serial << 2, ordering: .releasing)
        isInRequest = false
        outgoing = nil
        answeredInline = false
        forgetRoute()
        head.fieldCount = 0
        inflated = []
        releaseBody()
        request.body = UnsafeRawBufferPointer(start: nil, count: 0)
        request.bodyFile = nil
        sending = nil
        stage = .idle
        let limits = loop.limits
        stageDeadline = loop.now &+ (loop.isDraining ? limits.drainIdleTimeout : limits.idleTimeout)
    }
}

/// A connection whose requests go to a handler of a known type.
///
/// SAFETY: as ``Connection``; `route` belongs to the loop's thread.
final class HandledConnection<Handler: HTTPHandler>: Connection, @unchecked Sendable {
    private let handler: Handler
    private var route: Handler.Route?

    init(
        handler: Handler, loop: Loop, descriptor: Int32, address: RemoteAddress, admission: Admission, now: UInt64
    ) {
        self.handler = handler
        super.init(loop: loop, descriptor: descriptor, address: address, admission: admission, now: now)
    }

    override func decide() -> Decision {
        switch handler.route(head) {
        case .accept(let route, let policy):
            self.route = route
            return .accept(policy)
        case .refuse(let response): return .refuse(response)
        case .refuseWithCode(let code): return .refuseWithCode(Refusal(code))
        case .methodNotAllowed(let methods): return .refuseWithCode(Refusal(.methodNotAllowed, allowed: methods))
        }
    }

    override func callHandler(_ responder: Responder) {
        guard let route else { preconditionFailure("handle without a route") }
        handler.handle(request, route, responder)
    }

    override func callDeadlineReached(_ responder: Responder) {
        guard let route else { preconditionFailure("deadline without a route") }
        handler.deadlineReached(request, route, responder)
    }

    override func allowedMethods() -> MethodSet? { handler.allowedMethods(head) }
    override func renderProblem(_ refusal: Refusal) -> Response { handler.problem(refusal, for: route) }
    override func forgetRoute() { route = nil }

    override func noteAnswered(status: UInt16, bytes: Int) {
        handler.answered(head, route, status: status, bodyBytesIn: request.wireBodyBytes, bodyBytesOut: bytes)
    }
}
