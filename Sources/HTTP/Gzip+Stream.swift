import CZlib

/// Inflates gzip piece by piece: for bodies that are too large for memory. Concatenated members are one body.
public struct InflateStream: ~Copyable {
    private let stream: OpaquePointer
    private var output = [UInt8](repeating: 0, count: GzipPiece.bytes)
    /// Whether a member has just ended, so that the input may end here.
    public private(set) var isComplete = false

    /// Throws `outOfMemory` only.
    public init() throws(InflateError) {
        guard let stream = czlib_inflater() else { throw .outOfMemory }
        self.stream = stream
    }

    deinit { czlib_stream_free(stream) }

    /// Inflates a piece and hands on what came out, in pieces of at most 64 KiB.
    public mutating func append<E: Error>(
        _ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(E) -> Void
    ) throws {
        var offset = 0
        while true {
            var (consumed, written, ended) = (0, 0, Int32(0))
            let rest = input.bindMemory(to: UInt8.self).baseAddress.map { $0 + offset }
            let result = output.withUnsafeMutableBufferPointer {
                czlib_inflate_step(
                    stream, rest, input.count - offset, &consumed, $0.baseAddress, $0.count, &written, &ended)
            }
            offset += consumed
            if consumed > 0 || ended == 1 { isComplete = ended == 1 }
            if result == Int32(CZLIB_NO_MEMORY.rawValue) { throw InflateError.outOfMemory }
            guard result == Int32(CZLIB_OK.rawValue) else { throw InflateError.corrupt }
            if written > 0 { try output.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<written])) } }
            if written < output.count && offset == input.count { return }
        }
    }
}

/// Deflates to one gzip member piece by piece.
public struct DeflateStream: ~Copyable {
    private let stream: OpaquePointer
    private var output = [UInt8](repeating: 0, count: GzipPiece.bytes)

    /// Throws `outOfMemory` only.
    public init() throws(InflateError) {
        guard let stream = czlib_deflater() else { throw .outOfMemory }
        self.stream = stream
    }

    deinit { czlib_stream_free(stream) }

    /// Deflates a piece and hands on what came out, which may be nothing yet.
    public mutating func append<E: Error>(
        _ input: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(E) -> Void
    ) throws {
        try run(input, finishes: false, body)
    }

    /// Ends the member.
    public mutating func finish<E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> Void) throws {
        try run(UnsafeRawBufferPointer(start: nil, count: 0), finishes: true, body)
    }

    private mutating func run<E: Error>(
        _ input: UnsafeRawBufferPointer, finishes: Bool, _ body: (UnsafeRawBufferPointer) throws(E) -> Void
    ) throws {
        var offset = 0
        while true {
            var (consumed, written, ended) = (0, 0, Int32(0))
            let rest = input.bindMemory(to: UInt8.self).baseAddress.map { $0 + offset }
            let result = output.withUnsafeMutableBufferPointer {
                czlib_deflate_step(
                    stream, rest, input.count - offset, &consumed, $0.baseAddress, $0.count, &written,
                    finishes ? 1 : 0, &ended)
            }
            offset += consumed
            guard result == Int32(CZLIB_OK.rawValue) else { throw InflateError.outOfMemory }
            if written > 0 { try output.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<written])) } }
            if finishes ? ended == 1 : written < output.count && offset == input.count { return }
        }
    }
}

private enum GzipPiece {
    /// Bytes handed on at once.
    static let bytes = 65_536
}
