import Glibc

/// The peer of a connection.
public struct RemoteAddress: Hashable, Sendable, CustomStringConvertible {
    private var high: UInt64 = 0
    private var low: UInt64 = 0
    /// The peer's port in host order; 0 for a Unix socket.
    public private(set) var port: UInt16 = 0
    private var family: UInt16 = 0

    /// No address.
    static let unknown = RemoteAddress()

    private init() {}

    init(_ storage: sockaddr_storage) {
        family = UInt16(storage.ss_family)
        withUnsafePointer(to: storage) { pointer in
            let raw = UnsafeRawPointer(pointer)
            if Int32(family) == AF_INET {
                let address = raw.load(as: sockaddr_in.self)
                low = UInt64(address.sin_addr.s_addr)
                port = UInt16(bigEndian: address.sin_port)
            } else if Int32(family) == AF_INET6 {
                let address = raw.load(as: sockaddr_in6.self)
                withUnsafeBytes(of: address.sin6_addr) { bytes in
                    high = bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
                    low = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                }
                port = UInt16(bigEndian: address.sin6_port)
            }
        }
    }

    /// Whether the peer came through a Unix socket.
    public var isUnix: Bool { Int32(family) == AF_UNIX }

    /// The address without its port, for limits per address.
    public var host: RemoteAddress {
        var copy = self
        copy.port = 0
        return copy
    }

    /// `192.0.2.1`, `2001:db8::1`, `unix` or `unknown`; without the port.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        var done = false
        if Int32(family) == AF_INET {
            var address = in_addr(s_addr: UInt32(truncatingIfNeeded: low))
            done = inet_ntop(AF_INET, &address, &text, socklen_t(text.count)) != nil
        } else if Int32(family) == AF_INET6 {
            var address = (high, low)
            done = inet_ntop(AF_INET6, &address, &text, socklen_t(text.count)) != nil
        }
        guard done else { return isUnix ? "unix" : "unknown" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
