import CZlib

/// How far a compressed body may grow.
public struct InflateLimits: Sendable {
    /// Inflated bytes allowed in any case.
    public var bytesMax: Int
    /// Inflated size over compressed size, once past ``freeBytes``.
    public var ratioMax: Int
    /// Inflated bytes allowed whatever the ratio (but never past ``bytesMax``).
    public var freeBytes: Int

    /// The bounds by name.
    public init(bytesMax: Int, ratioMax: Int, freeBytes: Int) {
        self.bytesMax = bytesMax
        self.ratioMax = ratioMax
        self.freeBytes = freeBytes
    }

    func outputMax(compressedBytes: Int) -> Int {
        let (scaled, overflow) = compressedBytes.multipliedReportingOverflow(by: ratioMax)
        return min(bytesMax, max(freeBytes, overflow ? .max : scaled))
    }
}

/// Why a body could not be inflated.
public enum InflateError: Error, Equatable, Sendable {
    /// Not gzip, cut short, or with a wrong checksum.
    case corrupt
    /// Past the limits.
    case tooLarge
    /// No memory for the decompressor's window.
    case outOfMemory

    /// A stable snake_case code.
    public var code: String { refusal.rawValue }

    var refusal: RefusalCode {
        switch self {
        case .corrupt: .contentEncodingInvalid
        case .tooLarge: .bodyInflatesTooFar
        case .outOfMemory: .resourcesExhausted
        }
    }
}

/// Content-Encoding gzip (RFC 1952).
public enum Gzip {
    /// Smallest output buffer tried.
    private static let capacityMin = 1024

    /// Inflates a whole body; concatenated members are one body. Never allocates more than twice the limit.
    public static func inflate(
        _ input: UnsafeRawBufferPointer, limits: InflateLimits
    ) throws(InflateError) -> [UInt8] {
        let outputMax = limits.outputMax(compressedBytes: input.count)
        var capacity = min(outputMax, max(capacityMin, declaredSize(input)))
        while true {
            var result = CZLIB_CORRUPT
            let output = [UInt8](unsafeUninitializedCapacity: max(capacity, 1)) { buffer, count in
                var written = 0
                let source = input.bindMemory(to: UInt8.self).baseAddress
                result = czlib_result(
                    UInt32(czlib_gunzip(source, input.count, buffer.baseAddress, capacity, &written)))
                count = written
            }
            switch result {
            case CZLIB_OK: return output
            case CZLIB_NO_MEMORY: throw .outOfMemory
            case CZLIB_TOO_LARGE:
                guard capacity < outputMax else { throw .tooLarge }
                capacity = min(outputMax, capacity * 4)
            default: throw .corrupt
            }
        }
    }

    /// The length that the last member's trailer declares: a hint for the first buffer, never trusted.
    private static func declaredSize(_ input: UnsafeRawBufferPointer) -> Int {
        guard input.count >= 18 else { return 0 }
        return Int(UInt32(littleEndian: input.loadUnaligned(fromByteOffset: input.count - 4, as: UInt32.self)))
    }

    /// Compresses into one gzip member; nil when it would not get smaller.
    public static func deflate(_ input: [UInt8]) -> [UInt8]? {
        guard !input.isEmpty else { return nil }
        var length = 0
        let output = [UInt8](unsafeUninitializedCapacity: input.count) { buffer, count in
            length = input.withUnsafeBufferPointer {
                czlib_gzip($0.baseAddress, $0.count, buffer.baseAddress, buffer.count)
            }
            count = length
        }
        return length == 0 ? nil : output
    }
}
