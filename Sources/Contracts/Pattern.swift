internal import CPCRE2

// SAFETY: the compiled pattern is never written after `init`, and PCRE2 allows matching it from many threads.
/// A compiled regular expression in the flavour of ECMA-262, searched anywhere in the text, with bounded work.
public final class Pattern: @unchecked Sendable {
    /// Outcome of a search.
    public enum Outcome: Sendable {
        /// Found.
        case match
        /// Not found.
        case noMatch
        /// Gave up at ``ContractsLimits/patternSteps`` or another bound.
        case limit
    }

    /// Why a pattern cannot be used.
    public struct CompileError: Error, Equatable, Sendable {
        /// Byte position in the pattern.
        public let offset: Int
        /// What is wrong there.
        public let message: String
    }

    /// The pattern's text.
    public let text: String
    private let compiled: OpaquePointer

    /// Compiles `text`.
    public init(_ text: String) throws(CompileError) {
        guard text.utf8.count <= ContractsLimits.patternBytesMax else {
            throw CompileError(offset: ContractsLimits.patternBytesMax, message: "the pattern is too long")
        }
        let bytes = Array(text.utf8)
        var offset = 0
        var message = [CChar](repeating: 0, count: 256)
        let made = cpcre2_compile(
            bytes, bytes.count, ContractsLimits.patternSteps, ContractsLimits.patternDepth,
            ContractsLimits.patternHeapKiB, &offset, &message, message.count)
        guard let made else {
            let end = message.firstIndex(of: 0) ?? message.count
            let reason = String(decoding: message[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw CompileError(offset: offset, message: reason)
        }
        self.text = text
        self.compiled = made
    }

    deinit {
        cpcre2_free(compiled)
    }

    /// Searches `utf8`, which is valid UTF-8.
    public func search(_ utf8: UnsafeBufferPointer<UInt8>) -> Outcome {
        var nothing: UInt8 = 0
        let status =
            utf8.baseAddress.map { cpcre2_search(compiled, $0, utf8.count) }
            ?? cpcre2_search(compiled, &nothing, 0)
        switch Int(status) {
        case Int(CPCRE2_MATCH): return .match
        case Int(CPCRE2_NO_MATCH): return .noMatch
        default: return .limit
        }
    }
}
