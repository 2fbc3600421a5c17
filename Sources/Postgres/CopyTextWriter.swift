/// Writes rows in the text format of COPY (PostgreSQL documentation, COPY, "Text Format") into one reusable buffer.
///
/// Values of a row are appended column by column, then ``endRow()``. Text must be UTF-8 without NUL for the server to take
/// it; a row that breaks this is refused by the server, not altered here.
public struct CopyTextWriter: Sendable {
    /// What has been written.
    public private(set) var bytes: [UInt8] = []

    /// End of every finished row in `bytes`.
    private var rowEnds: [Int] = []
    private var isAtRowStart = true

    /// An empty writer.
    ///
    /// - Parameter capacityBytes: room to reserve.
    public init(capacityBytes: Int = 0) {
        bytes.reserveCapacity(capacityBytes)
    }

    /// Finished rows.
    public var rowCount: Int { rowEnds.count }

    /// Where rows lie in `bytes`.
    public func byteRange(ofRows rows: Range<Int>) -> Range<Int> {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= rowEnds.count, "no such rows")
        if rows.isEmpty { return 0..<0 }
        return (rows.lowerBound == 0 ? 0 : rowEnds[rows.lowerBound - 1])..<rowEnds[rows.upperBound - 1]
    }

    /// A column of a finished row as it was written, with its escapes; nil when the row has no such column. For looking up
    /// what a refused row was, not for reading values.
    public func written(row: Int, column: Int) -> String? {
        let range = byteRange(ofRows: row..<(row + 1))
        let columns = bytes[range].dropLast().split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
        return columns.indices.contains(column) ? String(decoding: columns[column], as: UTF8.self) : nil
    }

    /// Forgets all rows and keeps the memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        rowEnds.removeAll(keepingCapacity: true)
        isAtRowStart = true
    }

    /// Drops what was written of the row that is not finished.
    public mutating func abandonRow() {
        bytes.removeLast(bytes.count - (rowEnds.last ?? 0))
        isAtRowStart = true
    }

    /// Ends a row.
    public mutating func endRow() {
        precondition(!isAtRowStart, "a row has at least one column")
        bytes.append(UInt8(ascii: "\n"))
        rowEnds.append(bytes.count)
        isAtRowStart = true
    }

    /// SQL NULL.
    public mutating func null() {
        separate()
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(ascii: "N"))
    }

    /// A whole number; nil is NULL.
    public mutating func integer(_ value: Int64?) {
        guard let value else { return null() }
        separate()
        var magnitude = value.magnitude
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = 20
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10)
                magnitude /= 10
            } while magnitude > 0
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }

    /// A floating-point number in its shortest form that reads back to the same bits; nil is NULL.
    public mutating func double(_ value: Double?) {
        guard let value else { return null() }
        separate()
        if value.isNaN {
            bytes.append(contentsOf: "NaN".utf8)
        } else if value.isInfinite {
            bytes.append(contentsOf: (value < 0 ? "-Infinity" : "Infinity").utf8)
        } else {
            bytes.append(contentsOf: value.description.utf8)
        }
    }

    /// A truth value; nil is NULL.
    public mutating func boolean(_ value: Bool?) {
        guard let value else { return null() }
        separate()
        bytes.append(UInt8(ascii: value ? "t" : "f"))
    }

    /// Text, or a value of any type in its text form (`numeric`, `jsonb`, `timestamptz`); nil is NULL.
    public mutating func text(_ value: String?) {
        guard let value else { return null() }
        separate()
        // A native string lends its bytes; only a bridged one is copied.
        let lent: Void? = value.utf8.withContiguousStorageIfAvailable { escape($0) }
        if lent == nil { Array(value.utf8).withUnsafeBufferPointer { escape($0) } }
    }

    /// Text as raw UTF-8.
    public mutating func text(utf8: UnsafeBufferPointer<UInt8>) {
        separate()
        escape(utf8)
    }

    /// Text as raw UTF-8.
    public mutating func text(utf8: [UInt8]) {
        utf8.withUnsafeBufferPointer { text(utf8: $0) }
    }

    /// A `bytea`; nil is NULL.
    public mutating func binary(_ value: [UInt8]?) {
        guard let value else { return null() }
        value.withUnsafeBufferPointer { binary($0) }
    }

    /// A `bytea`.
    public mutating func binary(_ value: UnsafeBufferPointer<UInt8>) {
        separate()
        // The backslash of the hexadecimal form is itself escaped.
        bytes.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "\\"), UInt8(ascii: "x")])
        bytes.reserveCapacity(bytes.count + 2 * value.count)
        for byte in value {
            bytes.append(hexadecimalDigit(byte >> 4))
            bytes.append(hexadecimalDigit(byte & 0xF))
        }
    }

    /// A `uuid`, as the 128-bit number that its hexadecimal digits spell; nil is NULL.
    public mutating func uuid(_ value: UInt128?) {
        guard let value else { return null() }
        separate()
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digits in
            for index in 0..<32 {
                digits[index] = hexadecimalDigit(UInt8(truncatingIfNeeded: value >> UInt128(124 - 4 * index)) & 0xF)
            }
            bytes.append(contentsOf: UnsafeBufferPointer(digits))
        }
    }

    private mutating func separate() {
        if isAtRowStart {
            isAtRowStart = false
        } else {
            bytes.append(UInt8(ascii: "\t"))
        }
    }

    /// Appends text with backslash, tab, newline and carriage return escaped; all else is data. Runs without any of them
    /// are found eight bytes at a time and appended whole.
    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
        guard let base = text.baseAddress else { return }
        var runStart = 0
        var index = 0
        while index < text.count {
            if index + 8 <= text.count {
                let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)
                if !mayNeedEscape(word) {
                    index += 8
                    continue
                }
            }
            let end = min(index + 8, text.count)
            while index < end {
                if let letter = escapeLetter(base[index]) {
                    bytes.append(contentsOf: UnsafeBufferPointer(start: base + runStart, count: index - runStart))
                    bytes.append(UInt8(ascii: "\\"))
                    bytes.append(letter)
                    runStart = index + 1
                }
                index += 1
            }
        }
        bytes.append(contentsOf: UnsafeBufferPointer(start: base + runStart, count: text.count - runStart))
    }
}

/// Whether one of eight bytes is a backslash or below 16, where the other three live: the classic tests for a zero byte and
/// for a byte less than n in a word.
@inline(__always)
private func mayNeedEscape(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    let isLow = (word &- ones &* 16) & ~word & highs
    let backslash = word ^ (ones &* 0x5C)
    let isBackslash = (backslash &- ones) & ~backslash & highs
    return isLow | isBackslash != 0
}

@inline(__always)
private func escapeLetter(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x09: UInt8(ascii: "t")
    case 0x0A: UInt8(ascii: "n")
    case 0x0D: UInt8(ascii: "r")
    case 0x5C: byte
    default: nil
    }
}

@inline(__always)
private func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}
