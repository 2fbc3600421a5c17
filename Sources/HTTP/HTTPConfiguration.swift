import Glibc

/// Where a server listens.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// A host name or numeric address, and a port (0: the kernel chooses; see ``HTTPServer/port``).
    case tcp(host: String, port: UInt16)
    /// A Unix socket at a path, created with this mode. A socket file that nobody listens on is replaced.
    case unix(path: String, mode: UInt32)
    /// All sockets that systemd passed (`LISTEN_PID`, `LISTEN_FDS`).
    case inherited

    /// Mode of a Unix socket when none is given: owner and group.
    public static let unixModeDefault: UInt32 = 0o660

    /// From `127.0.0.1:8080`, `[::1]:8080`, `localhost:0`, `unix:/run/x.sock`, `/run/x.sock` or `systemd`; nil for
    /// anything else.
    public init?(_ text: String) {
        if text == "systemd" {
            self = .inherited
            return
        }
        if text.hasPrefix("unix:") || text.hasPrefix("/") {
            let path = text.hasPrefix("/") ? text : String(text.dropFirst(5))
            guard path.hasPrefix("/") else { return nil }
            self = .unix(path: path, mode: Self.unixModeDefault)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    /// The form that ``init(_:)`` reads.
    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path, _): "unix:\(path)"
        case .inherited: "systemd"
        }
    }
}

/// What an ``HTTPServer`` needs to know at its start.
public struct HTTPConfiguration: Sendable {
    /// Loops when none are given: one per core, at least two, so that one slow answer never stops all others.
    public static let loopsDefault = max(2, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))

    /// Where to listen; every loop accepts from all of them.
    public var listen: [ListenAddress]
    /// Number of loop threads, 1 or more.
    public var loops: Int
    /// Every bound.
    public var limits: HTTPLimits

    /// By parts.
    public init(listen: [ListenAddress], loops: Int = HTTPConfiguration.loopsDefault, limits: HTTPLimits = HTTPLimits())
    {
        self.listen = listen
        self.loops = loops
        self.limits = limits
    }
}

/// Why a server could not start.
public enum HTTPServerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The address cannot be resolved or does not fit (a Unix path longer than 107 bytes).
    case addressInvalid(String)
    /// A call on the listening socket failed: what, where, errno.
    case listenFailed(call: String, address: String, errno: Int32)
    /// `systemd` was asked for, but no sockets were passed to this process.
    case noInheritedSockets
    /// A kernel object of a loop could not be made.
    case loopFailed(call: String, errno: Int32)
    /// libmicrohttpd refused to start.
    case libraryFailed
    /// `start` was called twice.
    case alreadyStarted

    /// A stable snake_case code.
    public var code: String {
        switch self {
        case .addressInvalid: "listen_address_invalid"
        case .listenFailed: "listen_failed"
        case .noInheritedSockets: "listen_no_inherited_sockets"
        case .loopFailed: "http_loop_failed"
        case .libraryFailed: "http_library_failed"
        case .alreadyStarted: "http_already_started"
        }
    }

    /// One line for the operator.
    public var description: String {
        switch self {
        case .addressInvalid(let address): "\(code): cannot listen on '\(address)'"
        case .listenFailed(let call, let address, let number):
            "\(code): \(call) on \(address): \(String(cString: strerror(number)))"
        case .noInheritedSockets: "\(code): LISTEN_PID and LISTEN_FDS pass no sockets to this process"
        case .loopFailed(let call, let number): "\(code): \(call): \(String(cString: strerror(number)))"
        case .libraryFailed, .alreadyStarted: code
        }
    }
}
