/// What may be sent with a request that a route accepts.
public struct BodyPolicy: Sendable {
    /// Body bytes allowed, as sent and as inflated; nil: ``HTTPLimits/bodyBytesMax``. 0 refuses any body.
    public var bytesMax: Int?
    /// Nanoseconds from the header to the end of the body; nil: ``HTTPLimits/bodyTimeout``.
    public var timeoutNanoseconds: UInt64?
    /// Whether the server inflates `Content-Encoding: gzip` on the loop's thread. Set false for bulk bodies: the
    /// handler
    /// then gets the bytes as sent and inflates them elsewhere (``Gzip``).
    public var inflates: Bool
    /// Directory in which the body is written to a file without a name while it arrives, instead of being kept in memory:
    /// the handler gets ``Request/bodyFile``, as sent. It does not count towards ``HTTPLimits/bodyBytesTotalMax``.
    public var spoolDirectory: String?

    /// A policy; the defaults come from ``HTTPLimits``.
    public init(
        bytesMax: Int? = nil, timeoutNanoseconds: UInt64? = nil, inflates: Bool = true, spoolDirectory: String? = nil
    ) {
        precondition(spoolDirectory == nil || !inflates, "a spooled body is given as it was sent")
        self.bytesMax = bytesMax
        self.timeoutNanoseconds = timeoutNanoseconds
        self.inflates = inflates
        self.spoolDirectory = spoolDirectory
    }

    /// All from ``HTTPLimits``.
    public static let standard = BodyPolicy()
}

/// What a handler decides about a request before its body is read.
public enum RouteDecision<Route> {
    /// Read the body under this policy, then call `handle` with the route.
    case accept(Route, BodyPolicy)
    /// Answer now; a small body is read and dropped, a larger one costs the connection.
    case refuse(Response)
    /// Answer with one of the server's own refusals, for example ``RefusalCode/notFound``.
    case refuseWithCode(RefusalCode)
    /// 405 with these in `Allow`.
    case methodNotAllowed(MethodSet)
}

/// The application behind an ``HTTPServer``. All calls come on loop threads, several at a time, and must not block.
public protocol HTTPHandler: Sendable {
    /// What `route` found out and `handle` needs: the endpoint, the principal.
    associatedtype Route: Sendable

    /// Called when the header is complete and framed beyond doubt, before any body: authenticate and route here.
    func route(_ head: RequestHead) -> RouteDecision<Route>

    /// Called with the whole request. Either answers inline, or keeps the responder and returns: then the
    /// connection is
    /// suspended until someone answers or ``Request/deadlineNanoseconds`` passes.
    func handle(_ request: Request, _ route: Route, _ responder: Responder)

    /// Called when a suspended request's deadline has passed with no answer. If it does not answer either, the
    /// server does,
    /// with 503 `deadline_exceeded`. Whoever answers first wins; the other is ignored.
    func deadlineReached(_ request: Request, _ route: Route, _ responder: Responder)

    /// The methods of a resource for OPTIONS, or nil when there is no such resource.
    func allowedMethods(_ head: RequestHead) -> MethodSet?

    /// Renders a refusal by the server: the one place for its wording and shape.
    func problem(_ refusal: Refusal) -> Response

    /// The same for a request that was accepted with `route`, whose protocol may have a shape of its own; nil when the
    /// request was refused before it was routed.
    func problem(_ refusal: Refusal, for route: Route?) -> Response

    /// Called on the loop thread when an answer is handed to the library: the place for one log line and one count a
    /// request. `route` is nil when the request was refused before it was routed.
    func answered(_ head: RequestHead, _ route: Route?, status: UInt16, bodyBytesIn: Int, bodyBytesOut: Int)

    /// A line that libmicrohttpd wanted to log; also counted in ``HTTPStatistics/libraryMessages``.
    func libraryMessage(_ line: String)
}

extension HTTPHandler {
    /// Leaves the answer to the server.
    public func deadlineReached(_ request: Request, _ route: Route, _ responder: Responder) {}

    /// Nothing.
    public func answered(
        _ head: RequestHead, _ route: Route?, status: UInt16, bodyBytesIn: Int, bodyBytesOut: Int
    ) {}

    /// ``Refusal/problem``.
    public func problem(_ refusal: Refusal) -> Response { refusal.problem }

    /// The same, whatever was asked.
    public func problem(_ refusal: Refusal, for route: Route?) -> Response { problem(refusal) }

    /// Nothing beyond the count.
    public func libraryMessage(_ line: String) {}
}
