/// A request method that the server routes (RFC 9110 section 9). HEAD is routed as ``get``; OPTIONS is answered by
/// the server.
public enum Method: UInt8, Sendable, CaseIterable {
    /// Read.
    case get
    /// Process.
    case post
    /// Replace.
    case put
    /// Change in part (RFC 5789).
    case patch
    /// Remove.
    case delete

    /// The token on the wire.
    public var token: StaticString {
        switch self {
        case .get: "GET"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        }
    }
}

/// A set of routed methods; its text is an `Allow` value.
public struct MethodSet: OptionSet, Sendable, Hashable {
    /// One bit per ``Method``, by its raw value.
    public let rawValue: UInt8

    /// From bits as in ``rawValue``.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The set of one method.
    public init(_ method: Method) { rawValue = 1 << method.rawValue }

    /// Whether the method is in the set.
    public func contains(method: Method) -> Bool { rawValue & (1 << method.rawValue) != 0 }

    /// An `Allow` value (RFC 9110 section 10.2.1): HEAD follows GET, OPTIONS is always there.
    public var allowValue: String {
        var tokens: [String] = []
        for method in Method.allCases where contains(method: method) {
            tokens.append(method.token.description)
            if method == .get { tokens.append("HEAD") }
        }
        tokens.append("OPTIONS")
        return tokens.joined(separator: ", ")
    }
}

/// What stands in the method's place of a request line.
enum MethodToken: Equatable {
    case routed(Method)
    case head
    case options
    case unknown

    init(_ token: UnsafeBufferPointer<UInt8>) {
        for method in Method.allCases where bytesEqual(token, method.token) {
            self = .routed(method)
            return
        }
        if bytesEqual(token, "HEAD") {
            self = .head
        } else if bytesEqual(token, "OPTIONS") {
            self = .options
        } else {
            self = .unknown
        }
    }
}
