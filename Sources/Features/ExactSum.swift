/// Order-free exact sum of finite binary64 values, rounded once when read.
///
/// A fixed-point accumulator wide enough for every finite double (R. Neal, "Fast exact summation using small and large
/// superaccumulators", 2015, section 2): limb i weighs 2^(32 i - 1074). Limbs are signed 64-bit, so 2^30 additions fit
/// before carries must move.
struct ExactSum {
    /// 2098 bits of range and 64 of headroom for carries.
    private static let limbCount = 69
    private static let additionsBeforeCarry = 1 << 29

    private var limbs: [Int64]
    private var pending = 0

    init() {
        limbs = [Int64](repeating: 0, count: Self.limbCount)
    }

    /// Back to zero, keeping the storage.
    mutating func reset() {
        for index in limbs.indices { limbs[index] = 0 }
        pending = 0
    }

    /// Adds a finite value.
    mutating func add(_ value: Double) {
        let bits = value.bitPattern
        let biased = Int((bits >> 52) & 0x7ff)
        precondition(biased != 0x7ff, "only finite values are summed")
        var mantissa = bits & 0xf_ffff_ffff_ffff
        var position = 0
        if biased > 0 {
            mantissa |= 1 << 52
            position = biased - 1
        }
        let limb = position >> 5
        let wide = UInt128(mantissa) << UInt128(position & 31)
        let parts = (Int64(wide & 0xffff_ffff), Int64((wide >> 32) & 0xffff_ffff), Int64(wide >> 64))
        if value.sign == .minus {
            limbs[limb] -= parts.0
            limbs[limb + 1] -= parts.1
            limbs[limb + 2] -= parts.2
        } else {
            limbs[limb] += parts.0
            limbs[limb + 1] += parts.1
            limbs[limb + 2] += parts.2
        }
        pending += 1
        if pending == Self.additionsBeforeCarry {
            Self.carry(&limbs)
            pending = 1
        }
    }

    /// The sum rounded to nearest, ties to even; nil when it is beyond binary64.
    var rounded: Double? {
        var limbs = limbs
        Self.carry(&limbs)
        let isNegative = (limbs.last ?? 0) < 0
        if isNegative {
            for index in limbs.indices { limbs[index] = -limbs[index] }
            Self.carry(&limbs)
        }
        guard let top = limbs.lastIndex(where: { $0 != 0 }) else { return 0 }
        // Every limb is now in 0 ..< 2^32 (the top one small): take 96 bits from the top and a sticky bit.
        var window: UInt128 = 0
        for offset in 0..<3 {
            window <<= 32
            if top - offset >= 0 { window |= UInt128(limbs[top - offset]) }
        }
        var isSticky = false
        if top > 2 {
            isSticky = limbs[0..<(top - 2)].contains { $0 != 0 }
        }
        let magnitude = Self.round(window, isSticky: isSticky, exponent: (top - 2) * 32 - 1074)
        guard magnitude.isFinite else { return nil }
        return isNegative ? -magnitude : magnitude
    }

    /// window * 2^exponent, plus something below its last bit when sticky; one rounding, also into the subnormals.
    private static func round(_ window: UInt128, isSticky: Bool, exponent: Int) -> Double {
        let length = 128 - window.leadingZeroBitCount
        let lowest = max(length - 53, -1074 - exponent)
        guard lowest > 0 else {
            // At most 53 bits, all at or above 2^-1074: exact.
            return Double(sign: .plus, exponent: exponent, significand: Double(UInt64(window)))
        }
        var kept = UInt64(window >> UInt128(lowest))
        let rest = window & ((1 << UInt128(lowest)) - 1)
        let half: UInt128 = 1 << UInt128(lowest - 1)
        if rest > half || (rest == half && (isSticky || kept & 1 == 1)) { kept += 1 }
        return Double(sign: .plus, exponent: exponent + lowest, significand: Double(kept))
    }

    /// Moves carries up, so that every limb but the top is in 0 ..< 2^32.
    private static func carry(_ limbs: inout [Int64]) {
        for index in 0..<(limbs.count - 1) {
            limbs[index + 1] += limbs[index] >> 32
            limbs[index] &= 0xffff_ffff
        }
    }
}
