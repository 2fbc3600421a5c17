/// Weights that halve every half-life, computed from additions and multiplications of binary64 alone: every machine gets
/// the same bits, which a library's `exp2` does not promise.
enum DecayWeight {
    /// Half-lives after which a weight is 0: below half of the smallest binary64.
    private static let halvingsMax: Int64 = 1_076
    /// ln(2)^n / n! for n = 13 ... 0: the next term is below 2^-57 for |x| <= 1/2.
    private static let coefficients: [Double] = {
        let ln2 = 0.693_147_180_559_945_3
        var terms = [1.0]
        for n in 1...13 { terms.append(terms[n - 1] * ln2 / Double(n)) }
        return terms.reversed()
    }()

    /// 2^(-age / halfLife), relative error below 2e-15; 0 once it is too small for binary64.
    ///
    /// - Parameters:
    ///   - age: at least 0 [microseconds].
    ///   - halfLife: above 0 [microseconds].
    static func weight(age: UInt64, halfLife: Int64) -> Double {
        var (halvings, rest) = age.quotientAndRemainder(dividingBy: UInt64(halfLife))
        if halvings > UInt64(halvingsMax) { return 0 }
        var fraction = Double(rest) / Double(halfLife)
        // Around the nearest whole number of halvings the polynomial is shortest.
        if fraction > 0.5 {
            fraction -= 1
            halvings += 1
        }
        var sum = 0.0
        for coefficient in coefficients { sum = sum * -fraction + coefficient }
        return Double(sign: .plus, exponent: -Int(halvings), significand: sum)
    }
}

/// Σ value × weight and Σ weight of one decay; exact sums of rounded products, so that order does not matter.
struct DecaySums {
    private var values = ExactSum()
    private var weights = ExactSum()

    mutating func reset() {
        values.reset()
        weights.reset()
    }

    /// Adds a finite value with its weight; a product beyond binary64 makes the sum overflow.
    mutating func add(_ value: Double, weight: Double) {
        // |weight| <= 1, so that the product is finite.
        values.add(value * weight)
        weights.add(weight)
    }

    /// Σ value × weight; nil beyond binary64.
    var sum: Double? { values.rounded }
    /// Σ weight.
    var weight: Double { weights.rounded ?? 0 }
}
