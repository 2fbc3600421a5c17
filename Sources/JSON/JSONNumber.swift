internal import CSimdJSON

/// A decimal exactly as written: sign * significand * 10^exponent. Trailing zeros are folded into the exponent
/// and zero has no sign, so `==` and hashing are by value: 1.50 equals 15e-1.
public struct JSONNumber: Hashable, Sendable {
    /// Whether the value is below zero.
    public let isNegative: Bool
    /// The digits, without trailing zeros; 0 for zero.
    public let significand: UInt128
    /// Power of ten of the last digit; 0 for zero.
    public let exponent: Int32
    /// Whether this is the number as written. False past ``JSONLimits/significantDigitsMax`` digits (then
    /// rounded half to even) and past ``JSONLimits/exponentMagnitudeMax`` (then clamped).
    public let isExact: Bool

    /// The exact integer `value`.
    public init(_ value: Int64) {
        self.init(isNegative: value < 0, significand: UInt128(value.magnitude), exponent: 0)
    }

    /// The number sign * significand * 10^exponent; `significand` has at most 34 digits, or the number is
    /// rounded and marked as not exact.
    public init(isNegative: Bool, significand: UInt128, exponent: Int, isExact: Bool = true) {
        var digits = significand
        var power = exponent
        var exact = isExact
        if digits >= Self.significandCeiling { exact = Self.round(&digits, &power) && exact }
        Self.stripZeros(&digits, &power)
        let bound = Int(JSONLimits.exponentMagnitudeMax)
        if digits == 0 {
            power = 0
        } else if abs(power) > bound {
            power = power < 0 ? -bound : bound
            exact = false
        }
        self.isNegative = isNegative && digits != 0
        self.significand = digits
        self.exponent = Int32(power)
        self.isExact = exact
    }

    /// The number that `text` spells in JSON's grammar, white space not allowed; nil when it is not one.
    public init?(parsing text: some StringProtocol) {
        var copy = String(text)
        let parsed = copy.withUTF8 { JSONNumber(parsing: $0) }
        guard let parsed else { return nil }
        self = parsed
    }

    /// The number that the bytes spell in JSON's grammar; nil when they do not.
    public init?(parsing utf8: UnsafeBufferPointer<UInt8>) {
        guard Self.isNumber(utf8) else { return nil }
        self.init(accepted: utf8)
    }

    /// The shortest decimal that reads back as `value`; nil when it is not finite.
    public init?(shortest value: Double) {
        guard value.isFinite else { return nil }
        var digits: UInt64 = 0
        var power: Int32 = 0
        csj_shortest_double(value, &digits, &power)
        self.init(isNegative: value < 0, significand: UInt128(digits), exponent: Int(power))
    }

    /// The shortest decimal that reads back as `value` in single precision; nil when it is not finite.
    public init?(shortest value: Float) {
        guard value.isFinite else { return nil }
        var digits: UInt64 = 0
        var power: Int32 = 0
        csj_shortest_float(value, &digits, &power)
        self.init(isNegative: value < 0, significand: UInt128(digits), exponent: Int(power))
    }

    /// `text` follows the JSON grammar.
    init(accepted text: UnsafeBufferPointer<UInt8>) {
        let scan = DecimalScan(accepted: text)
        if scan.isExact {
            self.init(
                isNegative: scan.isNegative, significand: UInt128(scan.significand), exponent: scan.exponent)
            return
        }
        self.init(long: text, scan: scan)
    }

    /// More than 19 significant digits: up to 36 are read, the rest only decides the rounding.
    private init(long text: UnsafeBufferPointer<UInt8>, scan: DecimalScan) {
        var digits: UInt128 = 0
        var read = 0
        var dropped = 0
        var sticky = false
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            if digit > 9 {
                if byte | 0x20 == UInt8(ascii: "e") { break }
                continue
            }
            if read < JSONLimits.significantDigitsMax + 2 {
                digits = digits * 10 + UInt128(digit)
                read += digits == 0 ? 0 : 1
            } else {
                dropped += 1
                sticky = sticky || digit != 0
            }
        }
        // The scan's exponent belongs to its 19th digit; more digits were read here.
        let power = scan.exponent - (read - DecimalScan.digitsMax)
        // A dropped non-zero digit is kept as a last digit that can only break ties upwards.
        if sticky && digits % 10 == 0 { digits += 1 }
        self.init(isNegative: scan.isNegative, significand: digits, exponent: power, isExact: !sticky)
    }

    /// 10^34: the first significand with 35 digits.
    static let significandCeiling: UInt128 = 10_000_000_000_000_000_000_000_000_000_000_000

    /// Rounds to 34 digits, half to even; returns whether nothing was lost.
    private static func round(_ digits: inout UInt128, _ power: inout Int) -> Bool {
        var divisor: UInt128 = 1
        var shift = 0
        while digits / divisor >= significandCeiling {
            divisor *= 10
            shift += 1
        }
        let (quotient, remainder) = digits.quotientAndRemainder(dividingBy: divisor)
        let half = divisor / 2
        let up = remainder > half || (remainder == half && quotient & 1 == 1)
        digits = up ? quotient + 1 : quotient
        power += shift
        return remainder == 0
    }

    private static func stripZeros(_ digits: inout UInt128, _ power: inout Int) {
        while digits > UInt128(UInt64.max) {
            let (quotient, remainder) = digits.quotientAndRemainder(dividingBy: 10)
            guard remainder == 0 else { return }
            digits = quotient
            power += 1
        }
        var small = UInt64(digits)
        while small != 0 {
            let (quotient, remainder) = small.quotientAndRemainder(dividingBy: 10)
            guard remainder == 0 else { break }
            small = quotient
            power += 1
        }
        digits = UInt128(small)
    }

    private static func isNumber(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var rest = text[...]
        func digits() -> Int {
            let start = rest.startIndex
            while let first = rest.first, first &- UInt8(ascii: "0") <= 9 { rest.removeFirst() }
            return rest.startIndex - start
        }
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        let leadsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, !(leadsWithZero && whole > 1) else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            guard digits() > 0 else { return false }
        }
        if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }
}
