/// Every bound that the server keeps, in one table. Times are nanoseconds of the monotonic clock, sizes are bytes.
///
/// Past a limit a client gets a named refusal (``RefusalCode``) or, where no answer is possible, its connection is
/// closed
/// and counted in ``HTTPStatistics``.
public struct HTTPLimits: Sendable {
    /// Open connections over all loops that are served. Default 4096; one costs about 33 KiB. Past it: 503
    /// `too_many_connections`, closed.
    public var connectionsMax = 4096
    /// Further connections that are accepted only to be told 503. Default 256. Past it nothing is accepted: clients
    /// wait in the backlog.
    public var refusedConnectionsMax = 256
    /// Open connections from one remote address; 0 means no bound. Default 0. Past it: 429
    /// `too_many_connections_from_address`, closed.
    public var connectionsPerAddressMax = 0
    /// Length of the kernel's queue of connections that were not accepted yet. Default 1024 (the kernel caps it at
    /// somaxconn).
    public var backlog: Int32 = 1024
    /// Connections accepted in one turn of a loop, so that a storm of them does not starve the open ones. Default 32.
    public var acceptsPerTurnMax = 32
    /// Request line and header fields together. Default 16 KiB. Past it: 431 `header_too_large`.
    public var headerBytesMax = 16 * 1024
    /// Number of header fields. Default 100. Past it: 431 `header_too_many_fields`.
    public var headerFieldsMax = 100
    /// Request target, as sent. Default 8 KiB. Past it: 414 `target_too_long`.
    public var targetBytesMax = 8 * 1024
    /// Segments of a path. Default 32. Past it: 414 `target_too_long`.
    public var pathSegmentsMax = 32
    /// A body, as sent and as inflated, when the route states no bound of its own. Default 1 MiB. Past it: 413
    /// `body_too_large`.
    public var bodyBytesMax = 1024 * 1024
    /// Memory for bodies larger than ``bodyBufferRetainedBytes``, over all connections. Default 512 MiB. Past it:
    /// 503 `resources_exhausted`.
    public var bodyBytesTotalMax = 512 * 1024 * 1024
    /// Inflated size over compressed size. Default 200 (JSON lines reach 50; deflate itself 1032). Past it: 413
    /// `body_inflates_too_far`.
    public var inflateRatioMax = 200
    /// Inflated bytes that are allowed whatever the ratio. Default 1 MiB.
    public var inflateFreeBytes = 1024 * 1024
    /// A refused request's body up to this size is read and dropped so that the connection lives on. Default 64 KiB.
    public var refusedBodyDrainBytesMax = 64 * 1024
    /// After an answer that precedes the end of the body: how much more is read so that the client sees the answer
    /// and not
    /// a reset. Default 1 MiB.
    public var lingerBytesMax = 1024 * 1024
    /// The same in time. Default 2 s.
    public var lingerTimeout: UInt64 = 2_000_000_000
    /// Body buffer that a connection keeps for its next request. Default 64 KiB.
    public var bodyBufferRetainedBytes = 64 * 1024
    /// From the connection (or from the end of its request line) to the end of the header, however the bytes drip.
    /// Default 10 s. Past it: 408 `header_timeout`, closed.
    public var headerTimeout: UInt64 = 10_000_000_000
    /// From the end of the header to the end of the body, when the route states none. Default 30 s. Past it: 408
    /// `body_timeout`, closed.
    public var bodyTimeout: UInt64 = 30_000_000_000
    /// From one answer to the next request line on a kept-alive connection. Default 75 s. Past it: closed.
    public var idleTimeout: UInt64 = 75_000_000_000
    /// From `handle` to the answer, when the handler states no deadline. Default 30 s. Past it: `deadlineReached`,
    /// then 503 `deadline_exceeded`.
    public var responseTimeout: UInt64 = 30_000_000_000
    /// From the answer to its last byte taken by the client. Default 60 s. Past it: closed.
    public var writeTimeout: UInt64 = 60_000_000_000
    /// A file is given this much more time to be taken: its size at so many bytes a second. Default 64 KiB.
    public var fileBytesPerSecondMin = 64 * 1024
    /// While draining, how long an idle connection may still send a request before it is closed. Default 1 s.
    public var drainIdleTimeout: UInt64 = 1_000_000_000
    /// After the drain deadline, how long forced answers may take to leave. Default 1 s.
    public var stopTimeout: UInt64 = 1_000_000_000
    /// How often open connections are asked whether their client has left unnoticed. Default 1 s.
    public var hangupCheckInterval: UInt64 = 1_000_000_000
    /// After accept failed for lack of descriptors or memory, the pause before it is tried again. Default 100 ms.
    public var acceptRetryInterval: UInt64 = 100_000_000
    /// Longest sleep of a loop, hence the resolution of its watchdog tick. Default 1 s.
    public var tickIntervalMax: UInt64 = 1_000_000_000
    /// Stack of a loop thread: handlers run on it. Default 8 MiB (touched pages only are used).
    public var threadStackBytes = 8 * 1024 * 1024
    /// Whether a connection is reused after a chunked request. Default true. libmicrohttpd takes a lone LF for a
    /// line end in
    /// chunk framing; set false behind a proxy that forwards chunk extensions untouched (RFC 9112 section 7.1).
    public var keepsAliveAfterChunked = true

    /// The defaults.
    public init() {}

    /// Nanoseconds that a file of `count` bytes may take beyond ``writeTimeout``.
    func fileTime(_ count: Int) -> UInt64 {
        UInt64(count / max(1, fileBytesPerSecondMin)) &* 1_000_000_000
    }

    /// Memory that libmicrohttpd may use for one connection: the header twice, since it also holds read and write
    /// buffers.
    var memoryPerConnectionBytes: Int { max(32 * 1024, 2 * headerBytesMax) }

    /// How often stages are checked against their timeouts: an eighth of the shortest, between 5 and 250 ms.
    var reapInterval: UInt64 {
        let shortest = min(
            headerTimeout, bodyTimeout, idleTimeout, writeTimeout, lingerTimeout, drainIdleTimeout, hangupCheckInterval)
        return min(max(shortest / 8, 5_000_000), 250_000_000)
    }
}
