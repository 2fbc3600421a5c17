internal import CSimdJSON

extension JSONValue {
    /// The nearest double (round half to even); nil when this is not a number or when its magnitude is past
    /// the largest double. With ``JSONLimits/allowsNaN`` the bare tokens give NaN and the infinities.
    public var double: Double? {
        let node = node
        guard node.kindBits == 2 else { return nil }
        if node.has(TapeNode.specialFlag) {
            let isNaN = source[Int(node.offset)] == UInt8(ascii: "N")
            return isNaN ? .nan : node.has(TapeNode.negativeFlag) ? -.infinity : .infinity
        }
        return DecimalScan(accepted: raw).double(from: raw)
    }

    /// Whether this is a number with a finite double: not `1e400`, not `NaN`.
    public var isFiniteNumber: Bool { double?.isFinite ?? false }

    /// Whether this is one of the bare tokens `NaN`, `Infinity`, `-Infinity`.
    @inlinable public var isSpecialNumber: Bool { node.kindBits == 2 && node.has(TapeNode.specialFlag) }

    /// The exact integer, also of `1e3` and `10.0`; nil when this is not a number, has a fraction, or does
    /// not fit.
    public var int64: Int64? { scaledInt64(scale: 0) }

    /// `value * 10^scale` when that is an exact 64-bit integer, else nil. `scale` 2 turns an amount into cents.
    public func scaledInt64(scale: Int) -> Int64? {
        let node = node
        guard node.kindBits == 2, !node.has(TapeNode.specialFlag) else { return nil }
        let scan = DecimalScan(accepted: raw)
        if scan.isExact { return scan.scaledInt64(scale: scale) }
        return JSONNumber(accepted: raw).scaledInt64(scale: scale)
    }

    /// The exact decimal; nil when this is not a number, or is one of the bare tokens `NaN`, `Infinity`.
    public var number: JSONNumber? {
        let node = node
        guard node.kindBits == 2, !node.has(TapeNode.specialFlag) else { return nil }
        return JSONNumber(accepted: raw)
    }
}

/// One pass over a number's digits: the first 19 significant ones and where the point is.
struct DecimalScan {
    var isNegative = false
    var significand: UInt64 = 0
    /// Power of ten of the significand's last digit.
    var exponent = 0
    /// Whether no other digit than zero was left out.
    var isExact = true
    /// Whether the exponent was so large that it had to be clamped.
    var isClamped = false

    static let digitsMax = 19
    static let exponentCeiling = 1 << 40

    /// `text` follows the JSON grammar.
    init(accepted text: UnsafeBufferPointer<UInt8>) {
        var index = 0
        var digits = 0
        var pastPoint = false
        if text[0] == UInt8(ascii: "-") {
            isNegative = true
            index = 1
        }
        while index < text.count {
            let digit = text[index] &- UInt8(ascii: "0")
            if digit > 9 {
                guard text[index] == UInt8(ascii: ".") else { break }
                pastPoint = true
            } else if digits < Self.digitsMax {
                significand = significand &* 10 &+ UInt64(digit)
                digits += significand == 0 ? 0 : 1
                exponent -= pastPoint ? 1 : 0
            } else {
                isExact = isExact && digit == 0
                exponent += pastPoint ? 0 : 1
            }
            index += 1
        }
        if index < text.count { scanExponent(text, from: index + 1) }
    }

    private mutating func scanExponent(_ text: UnsafeBufferPointer<UInt8>, from start: Int) {
        var index = start
        let negative = text[index] == UInt8(ascii: "-")
        if negative || text[index] == UInt8(ascii: "+") { index += 1 }
        var power = 0
        while index < text.count {
            power = min(power * 10 + Int(text[index] &- UInt8(ascii: "0")), Self.exponentCeiling)
            index += 1
        }
        isClamped = power == Self.exponentCeiling
        exponent += negative ? -power : power
    }

    /// Exact powers of ten (Clinger 1990: both operands exact, so one rounding).
    static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
        1e19, 1e20, 1e21, 1e22,
    ]

    /// The correctly rounded value of `text`, which was scanned; nil past the largest double.
    func double(from text: UnsafeBufferPointer<UInt8>) -> Double? {
        if significand == 0 { return isNegative ? -0.0 : 0.0 }
        if isExact, significand <= 1 << 53, abs(exponent) < Self.powers.count {
            let power = Self.powers[abs(exponent)]
            let magnitude = exponent < 0 ? Double(significand) / power : Double(significand) * power
            return isNegative ? -magnitude : magnitude
        }
        var value = 0.0
        if csj_parse_double(text.baseAddress, text.count, &value) == 0 { return value.isFinite ? value : nil }
        return exponent < 0 ? (isNegative ? -0.0 : 0.0) : nil
    }

    /// `value * 10^scale` of an exact scan, when that is a 64-bit integer.
    func scaledInt64(scale: Int) -> Int64? {
        var magnitude = significand
        if magnitude == 0 { return 0 }
        var power = exponent + scale
        while power < 0 {
            let (quotient, remainder) = magnitude.quotientAndRemainder(dividingBy: 10)
            guard remainder == 0 else { return nil }
            magnitude = quotient
            power += 1
        }
        while power > 0 {
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            magnitude = product
            power -= 1
        }
        if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int64(exactly: magnitude)
    }
}
