import Glibc

/// A bound, listening, non-blocking socket; shared by all loops, closed once.
struct Listener: Sendable {
    let descriptor: Int32
    /// Who bound it: an inherited socket stays open with systemd, so its queue must not be emptied on drain.
    let isInherited: Bool
    /// The address as bound, with the real port.
    let address: String
    let port: UInt16?
    /// Socket file to remove on stop.
    let path: String?

    static func open(_ address: ListenAddress, backlog: Int32) throws(HTTPServerError) -> [Listener] {
        switch address {
        case .tcp(let host, let port): [try openTCP(host, port, address.description, backlog)]
        case .unix(let path, let mode): [try openUnix(path, mode, backlog)]
        case .inherited: try inherited()
        }
    }

    private static func openTCP(
        _ host: String, _ port: UInt16, _ text: String, _ backlog: Int32
    ) throws(HTTPServerError) -> Listener {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let info = found else {
            throw .addressInvalid(text)
        }
        defer { freeaddrinfo(info) }
        let descriptor = try socket(info.pointee.ai_family, text)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        try bindAndListen(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen, text, backlog)
        return described(descriptor, isInherited: false, path: nil)
    }

    private static func openUnix(_ path: String, _ mode: UInt32, _ backlog: Int32) throws(HTTPServerError) -> Listener {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0) else {
            throw .addressInvalid(path)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let descriptor = try socket(AF_UNIX, path)
        let copy = address
        removeIfDead(path, copy, length)
        try withUnsafePointerTyped(copy) { pointer throws(HTTPServerError) in
            try bindAndListen(descriptor, pointer, length, path, backlog)
        }
        chmod(path, mode_t(mode))
        return described(descriptor, isInherited: false, path: path)
    }

    /// A socket file survives kill -9; connecting tells whether somebody still listens on it.
    private static func removeIfDead(_ path: String, _ address: sockaddr_un, _ length: socklen_t) {
        let probe = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { return }
        defer { close(probe) }
        let status = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(probe, $0, length) }
        }
        if status < 0, errno == ECONNREFUSED { unlink(path) }
    }

    private static func withUnsafePointerTyped(
        _ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>) throws(HTTPServerError) -> Void
    ) throws(HTTPServerError) {
        let copy = UnsafeMutablePointer<sockaddr_un>.allocate(capacity: 1)
        copy.initialize(to: address)
        defer { copy.deallocate() }
        try body(UnsafeRawPointer(copy).assumingMemoryBound(to: sockaddr.self))
    }

    private static func socket(_ family: Int32, _ text: String) throws(HTTPServerError) -> Int32 {
        let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = Glibc.socket(family, flags, 0)
        guard descriptor >= 0 else { throw .listenFailed(call: "socket", address: text, errno: errno) }
        return descriptor
    }

    private static func bindAndListen(
        _ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t, _ text: String, _ backlog: Int32
    ) throws(HTTPServerError) {
        var call = "bind"
        var status = bind(descriptor, address, length)
        if status == 0 {
            call = "listen"
            status = listen(descriptor, backlog)
        }
        guard status != 0 else { return }
        let number = errno
        close(descriptor)
        throw .listenFailed(call: call, address: text, errno: number)
    }

    /// sd_listen_fds(3): descriptors from 3 on, if LISTEN_PID is this process. The variables are unset so that
    /// children do not
    /// take the sockets for theirs.
    private static func inherited() throws(HTTPServerError) -> [Listener] {
        guard let owner = getenv("LISTEN_PID"), Int32(String(cString: owner)) == getpid(),
            let text = getenv("LISTEN_FDS"), let count = Int32(String(cString: text)), count > 0, count < 64
        else { throw .noInheritedSockets }
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) }
        return (3..<(3 + count)).map { descriptor in
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
            return described(descriptor, isInherited: true, path: nil)
        }
    }

    private static func described(_ descriptor: Int32, isInherited: Bool, path: String?) -> Listener {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &storage) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        let address = RemoteAddress(storage)
        if address.isUnix {
            return Listener(
                descriptor: descriptor, isInherited: isInherited, address: "unix:\(path ?? "inherited")", port: nil,
                path: path)
        }
        let text = ListenAddress.tcp(host: address.description, port: address.port).description
        return Listener(
            descriptor: descriptor, isInherited: isInherited, address: text, port: address.port, path: nil)
    }
}
