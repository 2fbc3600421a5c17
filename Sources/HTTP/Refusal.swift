/// Why the server itself, not the handler, refuses a request or closes a connection. Stable snake_case codes.
public enum RefusalCode: String, Sendable, CaseIterable {
    case requestUnreadable = "request_unreadable"
    case headerNotCanonical = "header_not_canonical"
    case headerNameInvalid = "header_name_invalid"
    case headerNameReserved = "header_name_reserved"
    case headerValueInvalid = "header_value_invalid"
    case hostMissing = "host_missing"
    case hostRepeated = "host_repeated"
    case contentLengthInvalid = "content_length_invalid"
    case contentLengthRepeated = "content_length_repeated"
    case contentLengthWithTransferEncoding = "content_length_with_transfer_encoding"
    case transferEncodingUnsupported = "transfer_encoding_unsupported"
    case transferEncodingRepeated = "transfer_encoding_repeated"
    case transferEncodingInHTTP10 = "transfer_encoding_in_http_1_0"
    case versionUnsupported = "version_unsupported"
    case methodInvalid = "method_invalid"
    case methodUnknown = "method_unknown"
    case methodNotAllowed = "method_not_allowed"
    case targetFormUnsupported = "target_form_unsupported"
    case targetInvalid = "target_invalid"
    case targetTooLong = "target_too_long"
    case headerTooLarge = "header_too_large"
    case headerTooManyFields = "header_too_many_fields"
    case expectationUnsupported = "expectation_unsupported"
    case notFound = "not_found"
    case contentEncodingUnsupported = "content_encoding_unsupported"
    case contentEncodingInvalid = "content_encoding_invalid"
    case bodyTooLarge = "body_too_large"
    case bodyInflatesTooFar = "body_inflates_too_far"
    case headerTimeout = "header_timeout"
    case bodyTimeout = "body_timeout"
    case deadlineExceeded = "deadline_exceeded"
    case tooManyConnections = "too_many_connections"
    case tooManyConnectionsFromAddress = "too_many_connections_from_address"
    case shuttingDown = "shutting_down"
    case resourcesExhausted = "resources_exhausted"
    case responseInvalid = "response_invalid"

    /// The status that goes with the code.
    public var status: UInt16 {
        switch self {
        case .transferEncodingUnsupported, .methodUnknown: 501
        case .methodNotAllowed: 405
        case .versionUnsupported: 505
        case .targetTooLong: 414
        case .headerTooLarge, .headerTooManyFields: 431
        case .expectationUnsupported: 417
        case .notFound: 404
        case .contentEncodingUnsupported: 415
        case .bodyTooLarge, .bodyInflatesTooFar: 413
        case .headerTimeout, .bodyTimeout: 408
        case .tooManyConnectionsFromAddress: 429
        case .deadlineExceeded, .tooManyConnections, .shuttingDown, .resourcesExhausted: 503
        case .responseInvalid: 500
        default: 400
        }
    }

    /// One sentence for the person who reads the answer: what is wrong and what to do.
    public var detail: StaticString {
        switch self {
        case .requestUnreadable:
            "The request is not HTTP/1.1: look at its request line, header fields, Content-Length and chunk sizes."
        case .headerNotCanonical:
            "Header fields must be written 'Name: value' with one space, CRLF line ends and no folding."
        case .headerNameInvalid:
            "A header field name holds a byte that is not a token character (RFC 9110 section 5.6.2)."
        case .headerNameReserved:
            "A header field name only begins like a field that frames or authenticates the request."
        case .headerValueInvalid: "A header field value holds a control character."
        case .hostMissing: "An HTTP/1.1 request needs exactly one Host field."
        case .hostRepeated: "The request has more than one Host field."
        case .contentLengthInvalid: "Content-Length must be 1 to 10 decimal digits."
        case .contentLengthRepeated: "The request has more than one Content-Length field."
        case .contentLengthWithTransferEncoding: "Send Content-Length or Transfer-Encoding, not both."
        case .transferEncodingUnsupported: "The only accepted Transfer-Encoding is exactly 'chunked'."
        case .transferEncodingRepeated: "The request has more than one Transfer-Encoding field."
        case .transferEncodingInHTTP10: "HTTP/1.0 has no Transfer-Encoding."
        case .versionUnsupported: "Use HTTP/1.1."
        case .methodInvalid: "The method is not a token."
        case .methodUnknown: "The method is not implemented by this server."
        case .methodNotAllowed: "The resource does not have this method; see the Allow field."
        case .targetFormUnsupported: "The request target must be a path that begins with '/'."
        case .targetInvalid: "The path or query is not valid percent-encoded UTF-8, or holds '.' or '..' segments."
        case .targetTooLong: "The request target is longer than this server allows."
        case .headerTooLarge: "The request header is larger than this server allows."
        case .headerTooManyFields: "The request has more header fields than this server allows."
        case .expectationUnsupported: "The only supported expectation is 100-continue."
        case .notFound: "There is no such resource."
        case .contentEncodingUnsupported: "Send the body as it is, or with Content-Encoding: gzip."
        case .contentEncodingInvalid: "The body is not a complete gzip stream."
        case .bodyTooLarge: "The body is larger than this operation allows."
        case .bodyInflatesTooFar: "The compressed body inflates past the size or ratio that this operation allows."
        case .headerTimeout: "The request header did not arrive in time."
        case .bodyTimeout: "The request body did not arrive in time."
        case .deadlineExceeded: "No answer was ready by the deadline; the outcome is unknown."
        case .tooManyConnections: "The server has as many connections as it allows; retry later."
        case .tooManyConnectionsFromAddress: "This address has as many connections as the server allows."
        case .shuttingDown: "The server is shutting down; retry."
        case .resourcesExhausted: "The server has no memory for this request; retry later."
        case .responseInvalid: "The server made an answer that cannot be sent."
        }
    }

    /// What the library means by a status of its own; nil for one that it does not use.
    init?(ofLibrary status: UInt32) {
        switch status {
        case 400: self = .requestUnreadable
        case 413: self = .bodyTooLarge
        case 414: self = .targetTooLong
        case 431: self = .headerTooLarge
        case 500: self = .responseInvalid
        case 503: self = .resourcesExhausted
        case 505: self = .versionUnsupported
        default: return nil
        }
    }

    /// Index into the counters of ``HTTPStatistics``.
    var index: Int { RefusalCode.allCases.firstIndex(of: self) ?? 0 }
}

/// One refusal by the server, to be rendered by ``HTTPHandler/problem(_:)``.
public struct Refusal: Sendable, Equatable {
    /// Why.
    public let code: RefusalCode
    /// For 405: the methods that the resource has.
    public let allowed: MethodSet?

    /// A refusal with this code.
    public init(_ code: RefusalCode, allowed: MethodSet? = nil) {
        self.code = code
        self.allowed = allowed
    }

    /// The default rendering: `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `code` and
    /// `detail`.
    public var problem: Response {
        let status = code.status
        let text =
            "{\"type\":\"about:blank\",\"title\":\"\(Response.reason(status))\",\"status\":\(status),"
            + "\"code\":\"\(code.rawValue)\",\"detail\":\"\(code.detail)\"}\n"
        var response = Response(status: status, contentType: .problemJSON, body: Array(text.utf8))
        if let allowed { response.headers.append(ResponseHeader("Allow", allowed.allowValue)) }
        switch code {
        case .contentEncodingUnsupported: response.headers.append(ResponseHeader("Accept-Encoding", "gzip"))
        case .tooManyConnections, .tooManyConnectionsFromAddress, .shuttingDown, .deadlineExceeded, .resourcesExhausted:
            response.headers.append(ResponseHeader("Retry-After", "1"))
        default: break
        }
        return response
    }
}
