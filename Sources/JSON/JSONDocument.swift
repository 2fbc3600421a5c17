// SAFETY: the parser and the bytes are written only in `init`; afterwards both are read-only memory.
/// A parsed document that owns its bytes and its tape, so that it can be kept and shared.
public final class JSONDocument: @unchecked Sendable {
    private let parser: JSONParser
    private let storage: UnsafeMutableRawBufferPointer
    private let rootView: JSONValue

    /// Parses a copy of `bytes`.
    public init(_ bytes: [UInt8], limits: JSONLimits = .standard) throws(JSONError) {
        let parser = JSONParser(limits: limits)
        // At least one byte, so that an empty text has an address too.
        let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        storage.copyBytes(from: bytes)
        do throws(JSONError) {
            rootView = try parser.parse(UnsafeRawBufferPointer(rebasing: storage[..<bytes.count]))
        } catch {
            storage.deallocate()
            throw error
        }
        self.parser = parser
        self.storage = storage
    }

    deinit {
        storage.deallocate()
    }

    /// The document's value. It is a view: keep the document alive while it is used
    /// (``withRoot(_:)`` does that by itself).
    public var root: JSONValue { rootView }

    /// Calls `body` with the document's value, which is valid until `body` returns.
    public func withRoot<R, E: Error>(_ body: (JSONValue) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(self) {} }
        return try body(rootView)
    }
}
