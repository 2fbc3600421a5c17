import CDecimal

extension Decimal: Hashable, Comparable {
    /// Whether both denote the same number.
    public static func == (a: Decimal, b: Decimal) -> Bool {
        if a.low == b.low && a.high == b.high { return true }
        return compare(a, b) == 0
    }

    /// Numeric order.
    public static func < (a: Decimal, b: Decimal) -> Bool { compare(a, b) < 0 }

    /// Hashes the value, not the spelling.
    public func hash(into hasher: inout Hasher) {
        let canonical = stripped
        hasher.combine(canonical.low)
        hasher.combine(canonical.high)
    }

    /// -1, 0 or 1 as `a` is below, equal to or above `b`.
    public static func compare(_ a: Decimal, _ b: Decimal) -> Int {
        if a.isSmall && b.isSmall {
            let difference = a.exponent - b.exponent
            if difference == 0 { return order(a, UInt128(a.low), b, UInt128(b.low)) }
            if difference > 0 && difference <= maxAlignment {
                return order(a, UInt128(a.low) &* powerOfTen(difference), b, UInt128(b.low))
            }
            if difference < 0 && -difference <= maxAlignment {
                return order(a, UInt128(a.low), b, UInt128(b.low) &* powerOfTen(-difference))
            }
        }
        return Int(cdecimal_compare(a.library, b.library))
    }

    @inline(__always) private static func order(_ a: Decimal, _ x: UInt128, _ b: Decimal, _ y: UInt128) -> Int {
        if a.isNegative == b.isNegative || (x == 0 && y == 0) {
            if x == y { return 0 }
            return (x < y) != a.isNegative ? -1 : 1
        }
        return a.isNegative ? -1 : 1
    }

    /// The sum; nil on overflow.
    public static func + (a: Decimal, b: Decimal) -> Decimal? { sum(a, b) }

    /// The difference; nil on overflow.
    public static func - (a: Decimal, b: Decimal) -> Decimal? { sum(a, b.negated) }

    private static func sum(_ a: Decimal, _ b: Decimal) -> Decimal? {
        if a.isSmall && b.isSmall {
            let difference = a.exponent - b.exponent
            if difference.magnitude <= UInt(maxAlignment) {
                var x = UInt128(a.low)
                var y = UInt128(b.low)
                if difference > 0 { x = x &* powerOfTen(difference) }
                if difference < 0 { y = y &* powerOfTen(-difference) }
                let exponent = min(a.exponent, b.exponent)
                if a.isNegative == b.isNegative {
                    let total = x &+ y
                    if total <= maxCoefficient {
                        return Decimal(unchecked: a.isNegative, coefficient: total, exponent: exponent)
                    }
                } else {
                    let isNegative = x >= y ? (a.isNegative && x != y) : b.isNegative
                    let total = x >= y ? x &- y : y &- x
                    if total <= maxCoefficient {
                        return Decimal(unchecked: isNegative, coefficient: total, exponent: exponent)
                    }
                }
            }
        }
        return Decimal(library: cdecimal_add(a.library, b.library))
    }

    /// The product; nil on overflow.
    public static func * (a: Decimal, b: Decimal) -> Decimal? {
        if a.isSmall && b.isSmall {
            let product = UInt128(a.low) &* UInt128(b.low)
            let exponent = a.exponent + b.exponent
            if product <= maxCoefficient && exponentRange.contains(exponent) {
                return Decimal(unchecked: a.isNegative != b.isNegative, coefficient: product, exponent: exponent)
            }
        }
        return Decimal(library: cdecimal_multiply(a.library, b.library))
    }

    /// The quotient, rounded to 34 digits; nil for a zero divisor and on overflow.
    public static func / (a: Decimal, b: Decimal) -> Decimal? {
        if b.isZero { return nil }
        return Decimal(library: cdecimal_divide(a.library, b.library))
    }

    /// The number with its sign turned; zero keeps none.
    public var negated: Decimal { isZero ? self : Decimal(high: high ^ (1 << 63), low: low) }
    /// The absolute value.
    public var magnitude: Decimal { Decimal(high: high & ~(1 << 63), low: low) }

    /// `self` raised to `power`; nil when undefined (0 to a negative power, a negative base with a fractional power) or
    /// out of range.
    public func raised(to power: Decimal) -> Decimal? {
        if let whole = power.integer, whole.magnitude <= 100_000 {
            if whole < 0 {
                guard let positive = raised(toWhole: Int(whole.magnitude)) else { return nil }
                return (Decimal.one / positive)
            }
            return raised(toWhole: whole)
        }
        return Decimal(library: cdecimal_power(library, power.library))?.stripped
    }

    private func raised(toWhole power: Int) -> Decimal? {
        var result = Decimal.one
        var base = self
        var remaining = power
        while remaining > 0 {
            if remaining & 1 == 1 {
                guard let product = result * base else { return nil }
                result = product
            }
            remaining >>= 1
            if remaining > 0 {
                guard let square = base * base else { return nil }
                base = square
            }
        }
        return result
    }

    /// The square root; nil for a negative number.
    public var squareRoot: Decimal? {
        isNegative && !isZero ? nil : Decimal(library: cdecimal_square_root(library))
    }

    /// e to the power of the number; nil on overflow.
    public var exponential: Decimal? { Decimal(library: cdecimal_exponential(library)) }

    /// The natural logarithm; nil for zero and below.
    public var logarithm: Decimal? {
        signum > 0 ? Decimal(library: cdecimal_logarithm(library)) : nil
    }

    /// How a digit that is cut off changes the last one that stays.
    public enum Rounding: Int32, Sendable {
        /// To the nearest, ties to the even digit.
        case halfEven = 0
        /// Toward negative infinity.
        case floor = 1
        /// Toward positive infinity.
        case ceiling = 2
        /// Toward zero.
        case down = 3
        /// To the nearest, ties away from zero.
        case halfUp = 4
        /// Away from zero.
        case up = 5
        /// To the nearest, ties toward zero.
        case halfDown = 6
    }

    /// The number with exactly `scale` decimal places (negative: places before the point); nil outside -6111...6176.
    public func rounded(scale: Int, _ rounding: Rounding) -> Decimal? {
        guard scale >= -6111 && scale <= 6176 else { return nil }
        if exponent >= -scale && (scale < 0 || coefficient == 0) { return self }
        switch rounding {
        case .up:
            return quantized(scale, isNegative ? .floor : .ceiling)
        case .halfDown:
            guard let down = quantized(scale, .down), let rest = self - down else { return nil }
            let half = Decimal(unchecked: false, coefficient: 5, exponent: max(-scale - 1, -6176))
            return rest.magnitude > half ? quantized(scale, isNegative ? .floor : .ceiling) : down
        default:
            return quantized(scale, rounding)
        }
    }

    private func quantized(_ scale: Int, _ rounding: Rounding) -> Decimal? {
        let pattern = Decimal(unchecked: false, coefficient: 1, exponent: -scale)
        if let result = Decimal(library: cdecimal_quantize(library, pattern.library, rounding.rawValue)) {
            return result
        }
        // More places asked for than 34 digits can hold: the number already has none beyond them.
        return exponent >= -scale ? self : nil
    }

    /// `self - other * floor(self / other)`: the remainder with the sign of the divisor, as FEEL's modulo.
    public func modulo(_ other: Decimal) -> Decimal? {
        guard let quotient = self / other, let floor = quotient.rounded(scale: 0, .floor), let product = other * floor
        else { return nil }
        return self - product
    }
}
