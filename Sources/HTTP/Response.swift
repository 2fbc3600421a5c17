import CMicroHTTPD
import Glibc

/// A `Content-Type` value; a literal, so that no answer builds it.
public struct MediaType: Sendable {
    let text: StaticString

    /// From a literal such as `"image/png"`.
    public init(_ text: StaticString) { self.text = text }

    /// `application/json`.
    public static let json = MediaType("application/json")
    /// `application/problem+json` (RFC 9457).
    public static let problemJSON = MediaType("application/problem+json")
    /// `application/x-ndjson`.
    public static let ndjson = MediaType("application/x-ndjson")
    /// `text/csv; charset=utf-8`.
    public static let csv = MediaType("text/csv; charset=utf-8")
    /// `text/plain; charset=utf-8`.
    public static let text = MediaType("text/plain; charset=utf-8")
    /// `text/html; charset=utf-8`.
    public static let html = MediaType("text/html; charset=utf-8")
    /// `text/css; charset=utf-8`.
    public static let css = MediaType("text/css; charset=utf-8")
    /// `text/javascript; charset=utf-8`.
    public static let javascript = MediaType("text/javascript; charset=utf-8")
    /// `image/svg+xml`.
    public static let svg = MediaType("image/svg+xml")
    /// `text/plain; version=0.0.4; charset=utf-8`, Prometheus' own text format.
    public static let prometheus = MediaType("text/plain; version=0.0.4; charset=utf-8")
    /// `application/yaml` (RFC 9512).
    public static let yaml = MediaType("application/yaml")
    /// `text/markdown; charset=utf-8` (RFC 7763).
    public static let markdown = MediaType("text/markdown; charset=utf-8")
    /// `application/xml`.
    public static let xml = MediaType("application/xml")
    /// OpenMetrics 1.0 text.
    public static let openMetrics = MediaType("application/openmetrics-text; version=1.0.0; charset=utf-8")
    /// `application/octet-stream`.
    public static let octetStream = MediaType("application/octet-stream")
}

/// A header field of an answer. Date, Content-Length and Connection are the server's own.
public struct ResponseHeader: Sendable, Hashable {
    /// The field name, a token.
    public let name: String
    /// The field value, without control characters: an answer that breaks this becomes 500 `response_invalid`.
    public let value: String

    /// A field.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// An answer.
public struct Response: Sendable {
    /// Status code, 200...599.
    public var status: UInt16
    /// Content-Type, or nil for none.
    public var contentType: MediaType?
    /// Further fields.
    public var headers: [ResponseHeader]
    /// The body; left out by the server for HEAD, 204 and 304.
    public var body: [UInt8]
    /// Sent instead of `body`, straight from the file: nothing of it is held in memory.
    public var file: BodyFile?
    let prebuilt: PrebuiltResponse?

    /// An answer from its parts.
    public init(
        status: UInt16, contentType: MediaType? = nil, headers: [ResponseHeader] = [], body: [UInt8] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.headers = headers
        self.body = body
        prebuilt = nil
    }

    /// An answer whose body is a whole file.
    public init(status: UInt16, contentType: MediaType?, headers: [ResponseHeader] = [], file: BodyFile) {
        self.init(status: status, contentType: contentType, headers: headers)
        self.file = file
    }

    /// Bytes of the body, wherever it is.
    var bodyCount: Int { file?.count ?? body.count }

    /// A shared answer: nothing is built or copied when it is sent.
    public init(_ prebuilt: PrebuiltResponse) {
        status = prebuilt.status
        contentType = nil
        headers = []
        body = []
        self.prebuilt = prebuilt
    }

    /// A JSON answer.
    public static func json(_ status: UInt16 = 200, _ body: [UInt8]) -> Response {
        Response(status: status, contentType: .json, body: body)
    }

    /// The library's reason phrase of a status.
    static func reason(_ status: UInt16) -> String {
        guard let text = MHD_get_reason_phrase_for(UInt32(status)) else { return "Unknown" }
        return String(cString: text)
    }

    /// The library's object for this answer, or nil when a field cannot be sent. The caller destroys it.
    func makeLibraryResponse(closes: Bool) -> OpaquePointer? {
        guard let response = file.map(Self.libraryResponse) ?? memoryResponse() else { return nil }
        var isValid = true
        if let contentType {
            isValid = contentType.text.withUTF8Buffer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { text in
                    text.baseAddress.map { MHD_add_response_header(response, "Content-Type", $0) == .YES } ?? false
                }
            }
        }
        for header in headers where isValid {
            isValid = MHD_add_response_header(response, header.name, header.value) == .YES
        }
        if closes, isValid { isValid = MHD_add_response_header(response, "Connection", "close") == .YES }
        if isValid { return response }
        MHD_destroy_response(response)
        return nil
    }

    private func memoryResponse() -> OpaquePointer? {
        body.withUnsafeBytes { bytes in
            MHD_create_response_from_buffer(
                bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
        }
    }

    /// The library closes the descriptor that it gets, so it gets one of its own; it sends with sendfile.
    private static func libraryResponse(_ file: BodyFile) -> OpaquePointer? {
        let descriptor = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        guard let response = MHD_create_response_from_fd64(UInt64(file.count), descriptor) else {
            close(descriptor)
            return nil
        }
        return response
    }

    /// The whole answer as bytes with `Connection: close`, for the places where the library cannot send one.
    func rawBytes() -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(Response.reason(status))\r\nConnection: close\r\n"
        if let contentType { text += "Content-Type: \(contentType.text)\r\n" }
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        text += "Content-Length: \(body.count)\r\n\r\n"
        return Array(text.utf8) + body
    }
}

/// An answer that is built once and sent many times, from any loop.
///
/// SAFETY: both pointers are set once and only read; libmicrohttpd counts references to a response under its own
/// lock.
public final class PrebuiltResponse: @unchecked Sendable {
    /// The status it is sent with.
    public let status: UInt16
    let source: Response
    let keepingAlive: OpaquePointer
    let closing: OpaquePointer

    /// Builds both forms (with and without `Connection: close`). Fields that cannot be sent are our own fault:
    /// precondition.
    public init(_ response: Response) {
        guard let keepingAlive = response.makeLibraryResponse(closes: false),
            let closing = response.makeLibraryResponse(closes: true)
        else { preconditionFailure("a prebuilt response has a field that cannot be sent") }
        status = response.status
        source = response
        self.keepingAlive = keepingAlive
        self.closing = closing
    }

    deinit {
        MHD_destroy_response(keepingAlive)
        MHD_destroy_response(closing)
    }
}
