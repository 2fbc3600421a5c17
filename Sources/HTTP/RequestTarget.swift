/// The target of a request, decoded strictly once: path segments and query parameters as ranges of one reused buffer.
struct RequestTarget {
    struct Parameter {
        var name: Range<Int>
        var value: Range<Int>
    }

    /// The target as sent.
    private(set) var raw: [UInt8] = []
    /// Decoded segments and parameters, one after the other.
    private(set) var decoded: [UInt8] = []
    private(set) var segments: [Range<Int>] = []
    private(set) var parameters: [Parameter] = []
    /// Length of the path part of `raw`.
    private(set) var pathCount = 0

    mutating func setRaw(_ bytes: UnsafeBufferPointer<UInt8>) {
        raw.removeAll(keepingCapacity: true)
        raw.append(contentsOf: bytes)
        segments.removeAll(keepingCapacity: true)
        parameters.removeAll(keepingCapacity: true)
        decoded.removeAll(keepingCapacity: true)
        pathCount = 0
    }

    /// Splits and decodes an origin-form target. An encoded slash stays inside its segment; `%00`, invalid UTF-8, a
    /// broken
    /// escape and the segments `.` and `..` (in any spelling) are refused, so that no later layer can read them
    /// differently.
    mutating func parse(pathSegmentsMax: Int) -> RefusalCode? {
        let raw = self.raw
        return raw.withUnsafeBufferPointer { bytes -> RefusalCode? in
            pathCount = bytes.firstIndex(of: 0x3F) ?? bytes.count
            var start = 1
            while start <= pathCount {
                var end = start
                while end < pathCount, bytes[end] != 0x2F { end += 1 }
                guard segments.count < pathSegmentsMax else { return .targetTooLong }
                guard let range = decode(bytes, start..<end, plusIsSpace: false) else { return .targetInvalid }
                if isDotSegment(range) { return .targetInvalid }
                segments.append(range)
                start = end + 1
            }
            return parseQuery(bytes)
        }
    }

    private mutating func parseQuery(_ bytes: UnsafeBufferPointer<UInt8>) -> RefusalCode? {
        var start = pathCount + 1
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x26 { end += 1 }
            if end > start {
                let equals = bytes[start..<end].firstIndex(of: 0x3D) ?? end
                guard let name = decode(bytes, start..<equals, plusIsSpace: true),
                    let value = decode(bytes, min(equals + 1, end)..<end, plusIsSpace: true)
                else { return .targetInvalid }
                parameters.append(Parameter(name: name, value: value))
            }
            start = end + 1
        }
        return nil
    }

    private mutating func decode(
        _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, plusIsSpace: Bool
    ) -> Range<Int>? {
        let start = decoded.count
        var index = range.lowerBound
        var isPlain = true
        while index < range.upperBound {
            let byte = bytes[index]
            if byte == 0x25 {
                guard index + 2 < range.upperBound, let high = hexadecimalValue(bytes[index + 1]),
                    let low = hexadecimalValue(bytes[index + 2])
                else { return nil }
                decoded.append(high << 4 | low)
                isPlain = false
                index += 3
            } else {
                decoded.append(plusIsSpace && byte == 0x2B ? 0x20 : byte)
                index += 1
            }
        }
        let result = start..<decoded.count
        if isPlain { return result }
        let isText = decoded.withUnsafeBufferPointer { isTextWithoutNUL(UnsafeBufferPointer(rebasing: $0[result])) }
        return isText ? result : nil
    }

    private func isDotSegment(_ range: Range<Int>) -> Bool {
        (range.count == 1 && decoded[range.lowerBound] == 0x2E)
            || (range.count == 2 && decoded[range.lowerBound] == 0x2E && decoded[range.lowerBound + 1] == 0x2E)
    }

    func text(_ range: Range<Int>) -> String {
        decoded.withUnsafeBufferPointer { String(decoding: UnsafeBufferPointer(rebasing: $0[range]), as: UTF8.self) }
    }

    func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
        decoded.withUnsafeBufferPointer { bytesEqual(UnsafeBufferPointer(rebasing: $0[range]), text) }
    }
}

/// The decoded segments of a path: `/v1/a%2Fb` has two, `v1` and `a/b`; a trailing slash adds an empty one. Valid
/// like its head.
public struct PathSegments {
    let head: RequestHead

    /// Number of segments.
    public var count: Int { head.target.segments.count }

    /// The segment at an index below ``count``, decoded.
    public subscript(_ index: Int) -> String { head.target.text(head.target.segments[index]) }

    /// Whether the segment at an index below ``count`` is this text; allocates nothing.
    public func equals(_ index: Int, _ text: StaticString) -> Bool {
        head.target.equals(head.target.segments[index], text)
    }
}
