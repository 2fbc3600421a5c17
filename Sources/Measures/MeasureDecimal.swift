/// Exact decimal number: significand / 10^scale. Equality, hashing and order are by value (1.0 == 1.00).
public struct MeasureDecimal: Sendable {
    /// Digits and sign.
    public let significand: Int128
    /// Decimal places, 0...`MeasureLimits.scaleMax`.
    public let scale: Int

    /// Zero.
    public static let zero = MeasureDecimal(0)

    /// A whole number.
    public init(_ value: Int64) {
        significand = Int128(value)
        scale = 0
    }

    /// significand / 10^scale; the scale must be 0...`MeasureLimits.scaleMax`.
    public init(significand: Int128, scale: Int) {
        precondition((0...MeasureLimits.scaleMax).contains(scale))
        self.significand = significand
        self.scale = scale
    }

    /// Reads `-12.50`, `1e-7`, `3`; nil when it is not a number or has more digits than fit.
    public init?(parsing text: some StringProtocol) {
        var digits: Int128 = 0
        var (places, exponent, exponentSign) = (0, 0, 1)
        var (isNegative, sawDigit, sawPoint, inExponent, sawExponentDigit) = (false, false, false, false, false)
        for (index, byte) in text.utf8.enumerated() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let digit = Int(byte - UInt8(ascii: "0"))
                if inExponent {
                    sawExponentDigit = true
                    exponent = exponent * 10 + digit
                    if exponent > 9_999 { return nil }
                } else {
                    sawDigit = true
                    let (shifted, isOver) = digits.multipliedReportingOverflow(by: 10)
                    let (extended, isUnfit) = shifted.addingReportingOverflow(Int128(digit))
                    if isOver || isUnfit { return nil }
                    digits = extended
                    if sawPoint { places += 1 }
                }
            case UInt8(ascii: "-") where index == 0: isNegative = true
            case UInt8(ascii: ".") where sawDigit && !sawPoint && !inExponent: sawPoint = true
            case UInt8(ascii: "e") where sawDigit && !inExponent, UInt8(ascii: "E") where sawDigit && !inExponent:
                inExponent = true
            case UInt8(ascii: "-") where inExponent && !sawExponentDigit && exponentSign == 1: exponentSign = -1
            case UInt8(ascii: "+") where inExponent && !sawExponentDigit: break
            default: return nil
            }
        }
        guard sawDigit, !inExponent || sawExponentDigit else { return nil }
        self.init(digits: isNegative ? -digits : digits, exponent: exponentSign * exponent - places)
    }

    /// The shortest decimal that reads back as the same binary64; nil for NaN, infinities and what does not fit.
    public init?(shortest value: Double) {
        guard value.isFinite else { return nil }
        self.init(parsing: value.description)
    }

    /// digits * 10^exponent in the fewest places.
    private init?(digits: Int128, exponent: Int) {
        var (digits, exponent) = (digits, exponent)
        if digits == 0 { (digits, exponent) = (0, min(0, max(exponent, -MeasureLimits.scaleMax))) }
        while exponent < -MeasureLimits.scaleMax, digits % 10 == 0 {
            digits /= 10
            exponent += 1
        }
        while exponent > 0 {
            let (shifted, isOver) = digits.multipliedReportingOverflow(by: 10)
            if isOver { return nil }
            digits = shifted
            exponent -= 1
        }
        guard exponent >= -MeasureLimits.scaleMax else { return nil }
        self.init(significand: digits, scale: -exponent)
    }

    /// The sum; nil when it does not fit 127 bits.
    public func adding(_ other: MeasureDecimal) -> MeasureDecimal? {
        guard let (left, right, scale) = Self.aligned(self, other) else { return nil }
        let (sum, isOver) = left.addingReportingOverflow(right)
        return isOver ? nil : MeasureDecimal(significand: sum, scale: scale)
    }

    /// With the other sign; nil when that does not fit 127 bits.
    public var negated: MeasureDecimal? {
        significand == .min ? nil : MeasureDecimal(significand: -significand, scale: scale)
    }

    /// Nearest binary64, rounded once.
    public var double: Double { MeasureRounding.quotient(significand, MeasureRounding.power(scale)) }

    /// self / divisor as binary64, rounded once; nil for a divisor of zero or operands beyond 127 bits.
    public func divided(by divisor: MeasureDecimal) -> Double? {
        guard let (top, bottom, _) = Self.aligned(self, divisor), bottom != 0, top != .min else { return nil }
        return MeasureRounding.quotient(bottom < 0 ? -top : top, bottom.magnitude)
    }

    /// Both significands at the larger scale.
    private static func aligned(_ a: MeasureDecimal, _ b: MeasureDecimal) -> (Int128, Int128, Int)? {
        if a.scale == b.scale { return (a.significand, b.significand, a.scale) }
        let scale = max(a.scale, b.scale)
        let (left, isLeftOver) = a.significand.multipliedReportingOverflow(
            by: Int128(MeasureRounding.power(scale - a.scale)))
        let (right, isRightOver) = b.significand.multipliedReportingOverflow(
            by: Int128(MeasureRounding.power(scale - b.scale)))
        return isLeftOver || isRightOver ? nil : (left, right, scale)
    }

    /// Without trailing zeros.
    private var reduced: (Int128, Int) {
        var (digits, places) = (significand, scale)
        while places > 0, digits % 10 == 0 {
            digits /= 10
            places -= 1
        }
        return (digits, places)
    }
}

extension MeasureDecimal: Hashable, Comparable, CustomStringConvertible {
    /// By value.
    public static func == (left: MeasureDecimal, right: MeasureDecimal) -> Bool {
        left.reduced == right.reduced
    }

    /// By value.
    public func hash(into hasher: inout Hasher) {
        let (digits, places) = reduced
        hasher.combine(digits)
        hasher.combine(places)
    }

    /// By value.
    public static func < (left: MeasureDecimal, right: MeasureDecimal) -> Bool {
        if let (a, b, _) = aligned(left, right) { return a < b }
        // Only one side can overflow: the one with the smaller scale, which is then far from zero.
        let isLeftWide = left.scale < right.scale
        return isLeftWide ? left.significand < 0 : right.significand > 0
    }

    /// Plain digits with `scale` decimal places, as PostgreSQL's `numeric` reads and writes them.
    public var description: String {
        var digits = String(significand.magnitude)
        if scale > 0 {
            if digits.utf8.count <= scale {
                digits = String(repeating: "0", count: scale + 1 - digits.utf8.count) + digits
            }
            digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -scale))
        }
        return significand < 0 ? "-" + digits : digits
    }
}

/// Exact integers to binary64 with one rounding.
enum MeasureRounding {
    private static let powers: [UInt128] = {
        var powers: [UInt128] = [1]
        for _ in 1...MeasureLimits.scaleMax { powers.append(powers[powers.count - 1] * 10) }
        return powers
    }()

    /// 10^exponent, exponent 0...38.
    static func power(_ exponent: Int) -> UInt128 { powers[exponent] }

    /// numerator / denominator, to nearest, ties to even; the denominator is not 0.
    static func quotient(_ numerator: Int128, _ denominator: UInt128) -> Double {
        let magnitude = numerator.magnitude
        let value: Double
        if magnitude <= 1 << 53, denominator <= 1 << 53 {
            value = Double(UInt64(magnitude)) / Double(UInt64(denominator))
        } else {
            value = longDivision(magnitude, denominator)
        }
        return numerator < 0 ? -value : value
    }

    /// Bit by bit until 66 significant bits and the knowledge whether anything is left: enough for one correct
    /// rounding.
    private static func longDivision(_ numerator: UInt128, _ denominator: UInt128) -> Double {
        if numerator == 0 { return 0 }
        var (whole, rest) = numerator.quotientAndRemainder(dividingBy: denominator)
        var exponent = 0
        while whole < 1 << 66 {
            let carry = rest >> 127
            rest <<= 1
            whole <<= 1
            exponent -= 1
            if carry == 1 || rest >= denominator {
                rest &-= denominator
                whole |= 1
            }
        }
        let surplus = UInt128(64 - whole.leadingZeroBitCount)
        var bits = UInt64(whole >> surplus)
        if rest != 0 || whole & ((1 << surplus) - 1) != 0 { bits |= 1 }
        return Double(sign: .plus, exponent: exponent + Int(surplus), significand: Double(bits))
    }
}
