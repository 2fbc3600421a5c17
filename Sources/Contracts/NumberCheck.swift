import JSON

/// Bounds and step of a number. Compared as exact decimals wherever doubles could not tell two apart.
struct NumberCheck: Sendable {
    /// One bound.
    struct Bound: Sendable {
        let number: JSONNumber
        let double: Double
        let isExclusive: Bool

        init(_ number: JSONNumber, isExclusive: Bool) {
            self.number = number
            self.double = number.double
            self.isExclusive = isExclusive
        }

        /// -1 below, 0 at, 1 above the bound.
        func side(of value: JSONValue, _ approximation: Double) -> Int {
            if approximation != double { return approximation < double ? -1 : 1 }
            guard let exact = value.number else { return 0 }
            return exact < number ? -1 : exact == number ? 0 : 1
        }
    }

    var minimum: Bound?
    var maximum: Bound?
    /// Digits after the point, when the step is a power of ten from 1 down.
    var scale: Int?
    /// Any other step.
    var step: Step?
    /// Values of the integer's format.
    var range: ClosedRange<Int64> = .min ... .max

    /// Whether only the type, and the scale of a number, is checked.
    var isPlain: Bool {
        minimum == nil && maximum == nil && step == nil && range == .min ... .max
    }

    func checkInteger(_ value: JSONValue) -> Violation? {
        guard value.kind == .number else { return .contract(.typeMismatch, "must be an integer") }
        guard let integer = value.int64 else {
            guard let number = value.number, number.isExact, number.exponent >= 0 else {
                return .contract(.typeMismatch, "must be an integer")
            }
            return .contract(.integerRange, "must be an integer of at most 64 bits")
        }
        guard range.contains(integer) else {
            return .contract(.integerRange, "must be within \(range.lowerBound) and \(range.upperBound)")
        }
        return minimum == nil && maximum == nil && step == nil ? nil : checkBounds(value, Double(integer))
    }

    func checkNumber(_ value: JSONValue) -> Violation? {
        guard value.kind == .number else { return .contract(.typeMismatch, "must be a number") }
        if let scale {
            if value.scaledInt64(scale: scale) != nil {
                if minimum == nil && maximum == nil { return nil }
            } else if value.isFiniteNumber {
                // Either more digits after the point, or a number that has no 64-bit form at this scale.
                guard let number = value.number, number.isExact, Int(number.exponent) >= -scale else {
                    return .contract(.scaleExceeded, "must have at most \(scale) digits after the point")
                }
            }
        }
        guard let double = value.double, double.isFinite else {
            return .contract(.notFinite, "must be a finite number")
        }
        return minimum == nil && maximum == nil && step == nil ? nil : checkBounds(value, double)
    }

    private func checkBounds(_ value: JSONValue, _ double: Double) -> Violation? {
        if let minimum {
            let side = minimum.side(of: value, double)
            if side < 0 || (side == 0 && minimum.isExclusive) {
                let words = minimum.isExclusive ? "must be greater than" : "must be at least"
                return .contract(.belowMinimum, "\(words) \(minimum.number.text)")
            }
        }
        if let maximum {
            let side = maximum.side(of: value, double)
            if side > 0 || (side == 0 && maximum.isExclusive) {
                let words = maximum.isExclusive ? "must be less than" : "must be at most"
                return .contract(.aboveMaximum, "\(words) \(maximum.number.text)")
            }
        }
        if let step, let number = value.number, !step.divides(number) {
            return .contract(.notMultiple, "must be a multiple of \(step.text)")
        }
        return nil
    }

    /// A `multipleOf` that is not one of 1, 0.1, 0.01, ...
    struct Step: Sendable {
        /// At most 64 bits, so that products stay within 128.
        let significand: UInt64
        let exponent: Int
        let text: String

        init?(_ number: JSONNumber) {
            guard let significand = UInt64(exactly: number.significand), significand > 0, !number.isNegative else {
                return nil
            }
            self.significand = significand
            self.exponent = Int(number.exponent)
            self.text = number.text
        }

        /// Exact: value / step = v * 10^d / s. Below zero, d leaves a fraction, since v has no trailing zeros.
        func divides(_ value: JSONNumber) -> Bool {
            if value.significand == 0 { return true }
            var power = Int(value.exponent) - exponent
            guard value.isExact, power >= 0 else { return false }
            let modulus = UInt128(significand)
            var remainder = value.significand % modulus
            var factor = UInt128(10) % modulus
            while power > 0 {
                if power & 1 == 1 { remainder = remainder * factor % modulus }
                factor = factor * factor % modulus
                power >>= 1
            }
            return remainder == 0
        }
    }
}
