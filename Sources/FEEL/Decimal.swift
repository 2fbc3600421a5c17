import CDecimal

/// A finite decimal number with IEEE 754-2008 decimal128 semantics: 34 significant digits, rounded half to even.
///
/// It is kept in the standard's own 16-byte encoding, so that the rare operations can go to the C library unchanged,
/// while
/// sums, products and comparisons of everyday numbers (coefficients of at most 64 bits) are done inline. NaN and
/// infinities do not exist here:
/// every operation that would make one returns nil. Equality and hashing are by value: 1.0 equals 1.00.
public struct Decimal: Sendable {
    let high: UInt64
    let low: UInt64

    /// Digits of the longest coefficient.
    public static let maxDigits = 34
    /// Smallest and largest power of ten of the coefficient's last digit.
    public static let exponentRange = -6176...6111
    /// The number 0.
    public static let zero = Decimal(0)
    /// The number 1.
    public static let one = Decimal(1)

    static let exponentBias = 6176
    static let maxCoefficient: UInt128 = 9_999_999_999_999_999_999_999_999_999_999_999

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An exact integer.
    public init(_ value: Int) {
        self.init(unchecked: value < 0, coefficient: UInt128(value.magnitude), exponent: 0)
    }

    /// An exact 64-bit integer.
    public init(_ value: Int64) {
        self.init(unchecked: value < 0, coefficient: UInt128(value.magnitude), exponent: 0)
    }

    /// `coefficient * 10^exponent`; both must already lie in range.
    init(unchecked isNegative: Bool, coefficient: UInt128, exponent: Int) {
        let biased = UInt64(truncatingIfNeeded: exponent + Decimal.exponentBias)
        high = (isNegative ? 1 << 63 : 0) | biased << 49 | UInt64(truncatingIfNeeded: coefficient >> 64)
        low = UInt64(truncatingIfNeeded: coefficient)
    }

    /// `significand * 10^exponent`, rounded half to even to 34 digits when longer; nil past the exponent range.
    public init?(significand: UInt128, exponent: Int, isNegative: Bool = false) {
        if significand <= Decimal.maxCoefficient && Decimal.exponentRange.contains(exponent) {
            self.init(unchecked: isNegative, coefficient: significand, exponent: exponent)
            return
        }
        if significand == 0 {
            self.init(unchecked: isNegative, coefficient: 0, exponent: exponent < 0 ? -6176 : 6111)
            return
        }
        guard exponent > -20_000 && exponent < 20_000 else { return nil }
        self.init(library: "\(isNegative ? "-" : "")\(significand)E\(exponent)")
    }

    /// Parses `[-+]digits[.digits][(e|E)[+-]digits]`; nil for anything else, or past the exponent range.
    public init?(_ text: String) {
        var text = text
        let parsed = text.withUTF8 { Decimal(utf8: $0) }
        guard let parsed else { return nil }
        self = parsed
    }

    /// Parses the same spelling from UTF-8 bytes without building a string.
    public init?(utf8 bytes: UnsafeBufferPointer<UInt8>) {
        var scanner = DecimalScanner(bytes: bytes)
        guard let value = scanner.scan() else { return nil }
        self = value
    }

    /// The decimal that the shortest spelling of a Double denotes; nil for NaN and infinities.
    public init?(shortest value: Double) {
        guard value.isFinite else { return nil }
        self.init(value.description)
    }

    /// The decimal that the shortest spelling of a Float denotes; nil for NaN and infinities.
    public init?(shortest value: Float) {
        guard value.isFinite else { return nil }
        self.init(value.description)
    }

    init?(library text: String) {
        self.init(library: text.withCString { cdecimal_parse($0) })
    }

    /// Takes a result of the library, nil when it is NaN or an infinity.
    init?(library value: cdecimal128) {
        // The five bits after the sign are all ones for NaN and 11110 for an infinity; 11xxx otherwise is a coefficient
        // past 34 digits.
        if (value.high >> 61) & 3 == 3 {
            if (value.high >> 59) & 15 == 15 { return nil }
            self.init(unchecked: false, coefficient: 0, exponent: 0)
            return
        }
        self.init(high: value.high, low: value.low)
    }

    var library: cdecimal128 { cdecimal128(low: low, high: high) }

    /// Whether the sign bit is set (a negative zero has it too).
    public var isNegative: Bool { high >> 63 != 0 }
    /// The power of ten of the coefficient's last digit.
    public var exponent: Int { Int((high >> 49) & 0x3FFF) - Decimal.exponentBias }
    /// The digits without sign and exponent, at most 34.
    public var coefficient: UInt128 { UInt128(high & 0x1_FFFF_FFFF_FFFF) << 64 | UInt128(low) }
    /// Whether the value is zero.
    public var isZero: Bool { low == 0 && high & 0x1_FFFF_FFFF_FFFF == 0 }
    /// -1, 0 or 1.
    public var signum: Int { isZero ? 0 : (isNegative ? -1 : 1) }
    var isSmall: Bool { high & 0x1_FFFF_FFFF_FFFF == 0 }

    /// The nearest Double (ties to even); infinite past its range.
    public var double: Double { cdecimal_to_double(library) }

    /// The value as an Int when it is a whole number in range, whatever its exponent (10.0 and 1e3 are whole).
    public var integer: Int? {
        var coefficient = coefficient
        var exponent = exponent
        if coefficient == 0 { return 0 }
        guard exponent < 20 else { return nil }
        while exponent > 0 {
            let (product, overflow) = coefficient.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            coefficient = product
            exponent -= 1
        }
        while exponent < 0 {
            let (quotient, remainder) = coefficient.quotientAndRemainder(dividingBy: 10)
            if remainder != 0 { return nil }
            coefficient = quotient
            exponent += 1
        }
        if isNegative {
            return coefficient <= UInt128(Int.min.magnitude) ? Int(truncatingIfNeeded: 0 &- Int128(coefficient)) : nil
        }
        return Int(exactly: coefficient)
    }

    /// Whether the value has no fractional part.
    public var isInteger: Bool {
        if exponent >= 0 || isZero { return true }
        return stripped.exponent >= 0
    }

    /// The same value with the fewest digits: trailing zeros of the coefficient moved into the exponent.
    public var stripped: Decimal {
        var coefficient = coefficient
        var exponent = exponent
        if coefficient == 0 { return .zero }
        while exponent < Decimal.exponentRange.upperBound {
            let (quotient, remainder) = coefficient.quotientAndRemainder(dividingBy: 10)
            if remainder != 0 { break }
            coefficient = quotient
            exponent += 1
        }
        return Decimal(unchecked: isNegative, coefficient: coefficient, exponent: exponent)
    }

    /// 10 to the powers 0 to 18, all of which fit 64 bits.
    static let powersOfTen: [UInt64] = {
        var power: UInt64 = 1
        return (0...18).map { _ in
            defer { power = power &* 10 }
            return power
        }
    }()
    static let maxAlignment = 18

    @inline(__always) static func powerOfTen(_ exponent: Int) -> UInt128 {
        powersOfTen.withUnsafeBufferPointer { UInt128($0[exponent]) }
    }
}

extension Decimal: CustomStringConvertible {
    /// Plain digits without exponent while they fit `FEELLimits.plainDigits`, else `d.dddE+n`. Keeps the digits that
    /// the value has (1.50 stays 1.50).
    public var description: String {
        let digits = String(coefficient)
        let sign = isNegative && !isZero ? "-" : ""
        let exponent = exponent
        if exponent == 0 { return sign + digits }
        if isZero && exponent > 0 { return "0" }
        if exponent > 0 && digits.utf8.count + exponent <= FEELLimits.plainDigits {
            return sign + digits + String(repeating: "0", count: exponent)
        }
        let point = digits.utf8.count + exponent
        if exponent < 0 && point > 0 {
            return sign + digits.prefix(point) + "." + digits.dropFirst(point)
        }
        if exponent < 0 && -exponent <= FEELLimits.plainDigits {
            return sign + "0." + String(repeating: "0", count: -point) + digits
        }
        let fraction = digits.dropFirst()
        let scientific = point - 1
        return sign + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction) + "E" + (scientific < 0 ? "-" : "+")
            + String(scientific.magnitude)
    }
}

/// Reads a decimal spelling; keeps 34 exact digits inline and leaves longer ones to the library's rounding.
struct DecimalScanner {
    let bytes: UnsafeBufferPointer<UInt8>

    mutating func scan() -> Decimal? {
        var index = 0
        let count = bytes.count
        var isNegative = false
        if index < count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
            isNegative = bytes[index] == UInt8(ascii: "-")
            index += 1
        }
        var coefficient: UInt128 = 0
        var digits = 0
        var significant = 0
        var exponent = 0
        var seenPoint = false
        while index < count {
            let byte = bytes[index]
            if byte == UInt8(ascii: ".") && !seenPoint {
                seenPoint = true
            } else if byte >= 48 && byte <= 57 {
                digits += 1
                if significant > 0 || byte != 48 { significant += 1 }
                if significant <= Decimal.maxDigits { coefficient = coefficient * 10 + UInt128(byte - 48) }
                if seenPoint { exponent -= 1 }
            } else {
                break
            }
            index += 1
        }
        guard digits > 0 else { return nil }
        if index < count {
            guard let power = scanExponent(from: &index) else { return nil }
            exponent += power
        }
        if significant > Decimal.maxDigits { return library() }
        return Decimal(significand: coefficient, exponent: exponent, isNegative: isNegative)
    }

    private func scanExponent(from index: inout Int) -> Int? {
        guard bytes[index] | 0x20 == UInt8(ascii: "e") else { return nil }
        index += 1
        var isNegative = false
        if index < bytes.count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
            isNegative = bytes[index] == UInt8(ascii: "-")
            index += 1
        }
        var power = 0
        var digits = 0
        while index < bytes.count, bytes[index] >= 48, bytes[index] <= 57 {
            power = min(power * 10 + Int(bytes[index] - 48), 1_000_000)
            digits += 1
            index += 1
        }
        return digits > 0 && index == bytes.count ? (isNegative ? -power : power) : nil
    }

    private func library() -> Decimal? {
        Decimal(library: String(decoding: bytes, as: UTF8.self))
    }
}
