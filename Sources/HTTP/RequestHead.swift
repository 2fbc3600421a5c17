/// Header fields that almost every route asks for; found once while the header is checked.
public enum KnownHeader: Int, Sendable, CaseIterable {
    case accept, acceptEncoding, authorization, contentEncoding, contentType, cookie, expect, host
    case idempotencyKey, ifMatch, ifNoneMatch, origin, requestID, traceparent, tracestate, userAgent

    /// The field name in lower case.
    public var name: StaticString {
        switch self {
        case .accept: "accept"
        case .acceptEncoding: "accept-encoding"
        case .authorization: "authorization"
        case .contentEncoding: "content-encoding"
        case .contentType: "content-type"
        case .cookie: "cookie"
        case .expect: "expect"
        case .host: "host"
        case .idempotencyKey: "idempotency-key"
        case .ifMatch: "if-match"
        case .ifNoneMatch: "if-none-match"
        case .origin: "origin"
        case .requestID: "x-request-id"
        case .traceparent: "traceparent"
        case .tracestate: "tracestate"
        case .userAgent: "user-agent"
        }
    }

    /// By name, case ignored; the switch on length keeps it to one or two comparisons a field.
    init?(_ name: UnsafeBufferPointer<UInt8>) {
        let candidates: StaticArray =
            switch name.count {
            case 4: (.host, nil)
            case 6: lowercased(name[0]) < 0x65 ? (.accept, .cookie) : (.expect, .origin)
            case 8: (.ifMatch, nil)
            case 10: lowercased(name[0]) == 0x75 ? (.userAgent, nil) : (.tracestate, nil)
            case 11: (.traceparent, nil)
            case 12: lowercased(name[0]) == 0x63 ? (.contentType, nil) : (.requestID, nil)
            case 13: lowercased(name[0]) == 0x61 ? (.authorization, nil) : (.ifNoneMatch, nil)
            case 15: lowercased(name[0]) == 0x61 ? (.acceptEncoding, nil) : (.idempotencyKey, nil)
            case 16: (.contentEncoding, nil)
            default: (nil, nil)
            }
        if let first = candidates.0, bytesEqualIgnoringCase(name, first.name) {
            self = first
        } else if let second = candidates.1, bytesEqualIgnoringCase(name, second.name) {
            self = second
        } else {
            return nil
        }
    }

    private typealias StaticArray = (KnownHeader?, KnownHeader?)
}

/// Everything in a request before its body.
///
/// One object per connection, reused: it describes the current request only until that is answered, and only on the
/// loop's
/// thread (it is not Sendable). Take what must outlive that as Strings or bytes.
public final class RequestHead {
    /// The method to route by: HEAD is ``Method/get`` with ``isHead`` set.
    public internal(set) var method: Method = .get
    /// Whether the client asked with HEAD; the server leaves out the body itself.
    public internal(set) var isHead = false
    /// Whether the client speaks HTTP/1.0; its connection is closed after the answer.
    public internal(set) var isHTTP10 = false
    /// The body's length as declared, 0 without a body, nil when it is chunked.
    public internal(set) var declaredBodyBytes: Int? = 0
    /// Who is at the other end of the connection (a proxy, if there is one).
    public internal(set) var remoteAddress = RemoteAddress.unknown
    /// When the header was complete, monotonic nanoseconds (``MonotonicClock``).
    public internal(set) var receivedNanoseconds: UInt64 = 0

    var target = RequestTarget()
    var fields: UnsafeMutablePointer<FramedField>
    var fieldCount = 0
    let fieldCapacity: Int
    private var knownIndexes: [Int16]

    init(fieldCapacity: Int) {
        self.fieldCapacity = fieldCapacity
        fields = .allocate(capacity: fieldCapacity)
        knownIndexes = Array(repeating: -1, count: KnownHeader.allCases.count)
    }

    deinit { fields.deallocate() }

    /// The target as sent, with its query.
    public var rawTarget: String { String(decoding: target.raw, as: UTF8.self) }

    /// The path as sent, without its query: for logs, not for decisions.
    public var pathText: String { String(decoding: target.raw[0..<target.pathCount], as: UTF8.self) }

    /// The path, decoded segment by segment.
    public var path: PathSegments { PathSegments(head: self) }

    /// The first value of a query parameter, decoded ('+' is a space), or nil.
    public func queryParameter(_ name: StaticString) -> String? {
        for parameter in target.parameters where target.equals(parameter.name, name) {
            return target.text(parameter.value)
        }
        return nil
    }

    /// All values of a query parameter in order.
    public func queryParameters(_ name: StaticString) -> [String] {
        target.parameters.filter { target.equals($0.name, name) }.map { target.text($0.value) }
    }

    /// Whether the target has any query parameter.
    public var hasQuery: Bool { !target.parameters.isEmpty }

    /// Every query parameter in order, decoded: a parameter without '=' has an empty value.
    public func forEachQueryParameter(_ body: (_ name: String, _ value: String) throws -> Void) rethrows {
        for parameter in target.parameters { try body(target.text(parameter.name), target.text(parameter.value)) }
    }

    /// The first value of a pre-extracted field, or nil. Invalid UTF-8 is repaired: compare ``knownBytes(_:)`` for
    /// secrets.
    public func known(_ header: KnownHeader) -> String? {
        knownBytes(header).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The bytes of a pre-extracted field's first value; valid like the head itself.
    public func knownBytes(_ header: KnownHeader) -> UnsafeRawBufferPointer? {
        let index = Int(knownIndexes[header.rawValue])
        return index < 0 ? nil : UnsafeRawBufferPointer(fields[index].value)
    }

    /// The first value of any field; the name is given in lower case and matched without case.
    public func header(_ lowercaseName: StaticString) -> String? {
        headerBytes(lowercaseName).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The bytes of the first value of any field; the name is given in lower case.
    public func headerBytes(_ lowercaseName: StaticString) -> UnsafeRawBufferPointer? {
        for index in 0..<fieldCount where bytesEqualIgnoringCase(fields[index].name, lowercaseName) {
            return UnsafeRawBufferPointer(fields[index].value)
        }
        return nil
    }

    /// All values of a field in order; the name is given in lower case.
    public func headers(_ lowercaseName: StaticString) -> [String] {
        (0..<fieldCount).filter { bytesEqualIgnoringCase(fields[$0].name, lowercaseName) }
            .map { String(decoding: fields[$0].value, as: UTF8.self) }
    }

    /// How many fields have this name: two of a kind that must be single (Idempotency-Key, Authorization) are a
    /// caller's error.
    public func count(_ header: KnownHeader) -> Int {
        (0..<fieldCount).reduce(0) { $0 + (bytesEqualIgnoringCase(fields[$1].name, header.name) ? 1 : 0) }
    }

    /// Whether Content-Type is this media type (given in lower case); parameters such as charset are ignored.
    public func isContentType(_ mediaType: StaticString) -> Bool {
        guard let value = knownBytes(.contentType) else { return false }
        let bytes = value.bindMemory(to: UInt8.self)
        var end = bytes.firstIndex(of: 0x3B) ?? bytes.count
        while end > 0, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        return bytesEqualIgnoringCase(UnsafeBufferPointer(rebasing: bytes[0..<end]), mediaType)
    }

    /// Remembers where the pre-extracted fields are.
    func indexKnownFields() {
        for index in knownIndexes.indices { knownIndexes[index] = -1 }
        for index in 0..<fieldCount {
            guard let known = KnownHeader(fields[index].name), knownIndexes[known.rawValue] < 0 else { continue }
            knownIndexes[known.rawValue] = Int16(index)
        }
    }
}

/// A request with its body complete. The same validity as ``RequestHead``: the loop's thread, until answered.
public final class Request {
    /// Everything before the body.
    public let head: RequestHead
    /// The body, contiguous, inflated if the route asked for it. Empty without one.
    public internal(set) var body = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The body where the route's policy has it spooled (``BodyPolicy/spoolDirectory``); ``body`` is empty then. It may
    /// leave the loop's thread.
    public internal(set) var bodyFile: BodyFile?
    /// Body bytes as they came over the wire.
    public internal(set) var wireBodyBytes = 0
    /// When the exchange must be answered, monotonic nanoseconds. `handle` may set it; it counts once `handle` has
    /// returned
    /// without an answer. Default: the head's arrival + ``HTTPLimits/responseTimeout``. Kept to about 1 ms.
    public var deadlineNanoseconds: UInt64 = 0

    init(head: RequestHead) { self.head = head }

    /// A copy of the body that may leave the loop's thread.
    public var bodyBytes: [UInt8] { Array(body) }
}
