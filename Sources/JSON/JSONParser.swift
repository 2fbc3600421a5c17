internal import CSimdJSON

/// A reusable strict parser (RFC 8259). It keeps its memory between parses, so parsing allocates nothing once
/// it has seen a document of the usual size. One per thread: it is not `Sendable`.
public final class JSONParser {
    private let handle: OpaquePointer
    private let limits: JSONLimits

    /// A parser that enforces `limits`.
    public init(limits: JSONLimits = .standard) {
        guard let handle = csj_create() else { preconditionFailure("no memory for a JSON parser") }
        precondition(MemoryLayout<TapeNode>.stride == MemoryLayout<csj_node>.stride)
        self.handle = handle
        self.limits = limits
    }

    deinit {
        csj_destroy(handle)
    }

    /// Parses one document. `bytes` needs no padding.
    ///
    /// The value is a view into `bytes` and this parser: it is valid until the next call, while both live.
    public func parse(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.bytesMax else { throw JSONError(code: .tooLarge, offset: limits.bytesMax) }
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            throw JSONError(code: .empty, offset: 0)
        }
        var offset = 0
        let status = csj_parse(
            handle, base, bytes.count, UInt32(limits.depthMax), limits.allowsNaN ? 1 : 0, &offset)
        guard status == 0 else { throw JSONError(code: .init(status: status), offset: offset) }
        guard let tape = csj_nodes(handle) else { throw JSONError(code: .outOfMemory, offset: 0) }
        return JSONValue(nodes: tape.assumingMemoryBound(to: TapeNode.self), source: base, index: 0)
    }
}

extension JSONError.Code {
    fileprivate init(status: Int32) {
        switch Int(status) {
        case Int(CSJ_EMPTY): self = .empty
        case Int(CSJ_INVALID_UTF8): self = .invalidUTF8
        case Int(CSJ_CONTROL_CHARACTER): self = .controlCharacter
        case Int(CSJ_UNCLOSED_STRING): self = .unclosedString
        case Int(CSJ_INVALID_NUMBER): self = .invalidNumber
        case Int(CSJ_INVALID_ESCAPE): self = .invalidEscape
        case Int(CSJ_LONE_SURROGATE): self = .loneSurrogate
        case Int(CSJ_NUL_IN_STRING): self = .nulInString
        case Int(CSJ_DUPLICATE_KEY): self = .duplicateKey
        case Int(CSJ_TOO_DEEP): self = .tooDeep
        case Int(CSJ_TOO_LARGE): self = .tooLarge
        case Int(CSJ_TRAILING_CONTENT): self = .trailingContent
        case Int(CSJ_TRUNCATED): self = .truncated
        case Int(CSJ_OUT_OF_MEMORY): self = .outOfMemory
        default: self = .syntax
        }
    }
}
