/// The stored form of a window, without its reference:
///
///     version (1 byte, 1) · fingerprint of the reference (8 bytes, little endian) · missing · other
///     · number of counters that are not 0 · per such counter: counters of 0 before it, count
///     · number of new categories · per category: length, UTF-8, count
///
/// Numbers are LEB128 in their shortest form, so one window has one encoding and empty buckets are a few bytes.
extension DriftWindow {
    private static let version: UInt8 = 1

    /// The window's counts in bytes, to be stored.
    public func encode() -> [UInt8] {
        var bytes: [UInt8] = [Self.version]
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: reference.fingerprint >> shift))
        }
        bytes.append(number: missing)
        bytes.append(number: other)
        bytes.append(number: Int64(counters.count { $0 != 0 }))
        var zeros: Int64 = 0
        for count in counters {
            if count == 0 {
                zeros += 1
                continue
            }
            bytes.append(number: zeros)
            bytes.append(number: count)
            zeros = 0
        }
        bytes.append(number: Int64(newCategories.count))
        for category in newCategories {
            bytes.append(number: Int64(category.name.utf8.count))
            bytes += category.name.utf8
            bytes.append(number: category.count)
        }
        return bytes
    }

    /// Reads what `encode` wrote. The bytes are not trusted: whatever `encode` would not have written is refused.
    public static func decode(_ bytes: [UInt8], reference: ReferenceDistribution) throws(DriftError) -> DriftWindow {
        var reader = Reader(bytes: bytes)
        let version = try reader.byte()
        guard version == Self.version else { throw DriftError(.unknownVersion, "version \(version) is not known") }
        var fingerprint: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 8) { fingerprint |= UInt64(try reader.byte()) << shift }
        guard fingerprint == reference.fingerprint else {
            throw DriftError(.otherReference, "the window was counted against another reference")
        }
        var window = DriftWindow(reference: reference)
        window.missing = try reader.number(max: DriftLimits.rowsMax)
        window.other = try reader.number(max: DriftLimits.rowsMax)
        try reader.counters(into: &window.counters)
        window.newCategories = try reader.categories(reference)
        window.rows = window.counters.reduce(window.missing + window.unknown, +)
        guard window.rows <= DriftLimits.rowsMax else {
            throw DriftError(.invalidCount, "more than \(DriftLimits.rowsMax) rows in all")
        }
        try reader.finish()
        return window
    }
}

/// Reads the stored form from front to back.
private struct Reader {
    let bytes: [UInt8]
    var next = 0

    mutating func byte() throws(DriftError) -> UInt8 {
        guard next < bytes.count else { throw DriftError(.invalidBytes, "the bytes end early") }
        defer { next += 1 }
        return bytes[next]
    }

    /// A number in 0...max, in its shortest form.
    mutating func number(max: Int64) throws(DriftError) -> Int64 {
        var number: UInt64 = 0
        // Seven bits a byte: 63 bits at most, which Int64 holds.
        for shift in stride(from: UInt64(0), to: 63, by: 7) {
            let byte = try byte()
            number |= UInt64(byte & 0x7F) << shift
            if byte >= 0x80 { continue }
            guard byte != 0 || shift == 0 else { throw fail("a number is longer than needed") }
            guard number <= UInt64(max) else { throw fail("a number is larger than \(max)") }
            return Int64(number)
        }
        throw fail("a number is too long")
    }

    /// A number of rows that is written only when it is not 0.
    mutating func rows() throws(DriftError) -> Int64 {
        let rows = try number(max: DriftLimits.rowsMax)
        guard rows > 0 else { throw fail("a count is 0") }
        return rows
    }

    mutating func counters(into counters: inout [Int64]) throws(DriftError) {
        let used = try number(max: Int64(counters.count))
        var index = 0
        for _ in 0..<used {
            index += Int(try number(max: Int64(counters.count)))
            guard index < counters.count else { throw fail("there is no counter \(index)") }
            counters[index] = try rows()
            index += 1
        }
    }

    mutating func categories(_ reference: ReferenceDistribution) throws(DriftError) -> [CategoryCount] {
        let count = try number(max: Int64(DriftLimits.newCategoriesMax))
        var categories: [CategoryCount] = []
        for _ in 0..<count {
            let length = Int(try number(max: Int64(DriftLimits.categoryBytesMax)))
            guard length <= bytes.count - next else { throw fail("the bytes end early") }
            guard let name = String(validating: bytes[next..<(next + length)], as: UTF8.self) else {
                throw fail("a category is not UTF-8")
            }
            next += length
            guard categories.last.map({ $0.name.precedesInBytes(name) }) ?? true else {
                throw fail("categories do not ascend")
            }
            guard case .categorical(let categorical) = reference, categorical.index(of: name) == nil else {
                throw fail("a new category is none")
            }
            categories.append(CategoryCount(name: name, count: try rows()))
        }
        return categories
    }

    func finish() throws(DriftError) {
        guard next == bytes.count else { throw fail("\(bytes.count - next) bytes too many") }
    }

    private func fail(_ message: String) -> DriftError { DriftError(.invalidBytes, message) }
}

extension [UInt8] {
    /// Appends a number that is not negative as LEB128.
    fileprivate mutating func append(number: Int64) {
        var rest = UInt64(number)
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }
}
