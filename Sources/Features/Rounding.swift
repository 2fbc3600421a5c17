/// Exact integers to binary64 with exactly one rounding (to nearest, ties to even).
enum Rounding {
    /// 10^0 ... 10^38.
    static let powersOfTen: [UInt128] = {
        var powers: [UInt128] = [1]
        for _ in 1...38 { powers.append(powers[powers.count - 1] * 10) }
        return powers
    }()

    /// Powers of ten that binary64 holds exactly.
    private static let exactPowers: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]

    /// significand / 10^scale, scale 0...38, correctly rounded.
    static func decimal(_ significand: Int128, scale: Int) -> Double {
        // Both operands are exact in binary64, so the one division is the one rounding.
        if scale <= 22, significand.magnitude <= 1 << 53 {
            return Double(Int64(significand)) / exactPowers[scale]
        }
        return quotient(significand, powersOfTen[scale])
    }

    /// numerator / denominator, correctly rounded; denominator must not be 0.
    static func quotient(_ numerator: Int128, _ denominator: UInt128) -> Double {
        precondition(denominator != 0)
        if numerator == 0 { return 0 }
        let magnitude = numerator.magnitude
        if magnitude <= 1 << 53, denominator <= 1 << 53 {
            let value = Double(UInt64(magnitude)) / Double(UInt64(denominator))
            return numerator < 0 ? -value : value
        }
        let value = longDivision(magnitude, denominator)
        return numerator < 0 ? -value : value
    }

    /// Bit-by-bit long division: 64 quotient bits and a sticky bit are more than binary64's 53 plus guard. Cold path.
    private static func longDivision(_ numerator: UInt128, _ denominator: UInt128) -> Double {
        var (whole, rest) = numerator.quotientAndRemainder(dividingBy: denominator)
        var exponent = 0
        // Bring in fraction bits until the quotient has 66 significant bits (or its integer part alone has more).
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
        let surplus = (128 - whole.leadingZeroBitCount) - 64
        let dropped = whole & ((1 << UInt128(surplus)) - 1)
        var bits = UInt64(whole >> UInt128(surplus))
        if dropped != 0 || rest != 0 { bits |= 1 }
        exponent += surplus
        // 64 bits with a sticky last bit convert with one rounding; scaling by a power of two is exact here, since
        // |numerator / denominator| lies within 2^-128 ... 2^128.
        return Double(sign: .plus, exponent: exponent, significand: Double(bits))
    }
}
