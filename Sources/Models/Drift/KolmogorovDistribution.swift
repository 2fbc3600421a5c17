import Glibc

/// The law of the Kolmogorov-Smirnov distance D between a continuous distribution and a sample of n from it, by the
/// choice of methods of Simard and L'Ecuyer, "Computing the Two-Sided Kolmogorov-Smirnov Distribution", J. Stat. Softw.
/// 39(11), 2011, with the cut-offs of scipy 1.17 `kstwo.sf`, so that its p-values are met: where scipy approximates, so
/// does this.
enum KolmogorovDistribution {
    /// Largest n for which the sum of Birnbaum and Tingey is evaluated.
    static let sumCountMax = 1_000_000

    /// P(D >= distance). An empty sample tells nothing: 1.
    static func tail(count n: Int, distance d: Double) -> Double {
        let t = Double(n) * d
        if n < 1 || t <= 0.5 { return 1 }
        if d >= 1 { return 0 }
        // The two closed forms of Ruben and Gambino.
        if t <= 1 { return probability(1 - exp(logFactorialRatio(n) + Double(n) * log(2 * t - 1))) }
        if t >= Double(n - 1) { return 2 * pow(1 - d, Double(n)) }
        // Where both one-sided events are unlikely together, twice one of them.
        if d >= 0.5 { return probability(2 * oneSidedTail(n, d)) }
        if n <= 140 {
            return probability(t * d <= 4 ? 1 - durbin(n, d) : 2 * oneSidedTail(n, d))
        }
        if t * d >= 370 { return 0 }
        if t * d >= 2.2 { return probability(2 * oneSidedTail(n, d)) }
        let isShort = n <= 100_000 && Double(n) * d * d.squareRoot() <= 1.4
        return probability(1 - (isShort ? durbin(n, d) : pelzGood(n, d)))
    }

    /// P(K >= z) of Kolmogorov's limit law, by whichever of its two theta series converges at once.
    static func tailOfLimit(_ z: Double) -> Double {
        guard z > 0 else { return 1 }
        var sum = 0.0
        if z < 1 {
            for k in stride(from: 7.0, through: 1, by: -2) { sum += exp(-k * k * .pi * .pi / (8 * z * z)) }
            return probability(1 - (2 * Double.pi).squareRoot() / z * sum)
        }
        for k in stride(from: 5.0, through: 1, by: -1) {
            sum += (k.truncatingRemainder(dividingBy: 2) == 1 ? 2 : -2) * exp(-2 * k * k * z * z)
        }
        return probability(sum)
    }

    private static func probability(_ p: Double) -> Double { min(max(p, 0), 1) }

    /// P(D+ >= d): the sum of Birnbaum and Tingey (Ann. Math. Stat. 22, 1951), all of whose terms are positive. With
    /// p = d + j/n a term is d/p times a binomial probability, evaluated in saddle-point form (Loader, "Fast and
    /// Accurate Computation of Binomial Probabilities", 2000), where nothing cancels. Beyond `sumCountMax` Smirnov's
    /// asymptotic form.
    static func oneSidedTail(_ n: Int, _ d: Double) -> Double {
        let size = Double(n)
        let t = size * d
        if n > sumCountMax { return exp(-(6 * t + 1) * (6 * t + 1) / (18 * size)) }
        var sum = pow(1 - d, size)
        var j = 1.0
        let stirling = stirlingError(size)
        while j < size - t {
            let rest = size - j
            let exponent =
                stirling - stirlingError(j) - stirlingError(rest) + j * log1p(t / j) + rest * log1p(-t / rest)
            sum += t / (t + j) * (size / (2 * .pi * j * rest)).squareRoot() * exp(exponent)
            j += 1
        }
        return sum
    }

    /// log(n! / n^n).
    private static func logFactorialRatio(_ n: Int) -> Double {
        let size = Double(n)
        return 0.5 * log(2 * .pi * size) - size + stirlingError(size)
    }

    /// log(n!) less Stirling's formula log(sqrt(2 pi n) (n/e)^n), for whole n >= 1.
    private static func stirlingError(_ n: Double) -> Double {
        if n < Double(smallStirlingErrors.count) { return smallStirlingErrors[Int(n)] }
        let r = 1 / (n * n)
        return (1 / 12.0 - r * (1 / 360.0 - r * (1 / 1260.0 - r * (1 / 1680.0 - r / 1188.0)))) / n
    }

    /// For n below 16, where the series is not yet exact; factorials to 15! are exact.
    private static let smallStirlingErrors: [Double] = (0..<16).map { n in
        guard n > 0 else { return 0 }
        let factorial = (1...n).reduce(1.0) { $0 * Double($1) }
        return log(factorial) - (0.5 * log(2 * .pi * Double(n)) + Double(n) * (log(Double(n)) - 1))
    }

    /// P(D < d), exact: an entry of the n-th power of Durbin's matrix (Marsaglia, Tsang, Wang, "Evaluating Kolmogorov's
    /// Distribution", J. Stat. Softw. 8(18), 2003). A row vector takes the powers of two of the matrix in turn.
    static func durbin(_ n: Int, _ d: Double) -> Double {
        let t = Double(n) * d
        let k = Int(t.rounded(.up))
        var matrix = SquareMatrix.durbin(k: k, h: Double(k) - t)
        var row = [Double](repeating: 0, count: matrix.size)
        row[k - 1] = 1
        var rowExponent = 0.0
        var matrixExponent = 0.0
        var bits = n
        while true {
            if bits & 1 == 1 {
                row = matrix.multiplied(row)
                rowExponent += matrixExponent
                rowExponent += SquareMatrix.rescale(&row)
            }
            bits >>= 1
            if bits == 0 { break }
            matrix = matrix.squared()
            matrixExponent = 2 * matrixExponent + SquareMatrix.rescale(&matrix.values)
        }
        return row[k - 1] <= 0 ? 0 : exp(log(row[k - 1]) + rowExponent * log(2) + logFactorialRatio(n))
    }

    /// P(D < d), approximate for large n: four terms in powers of 1/sqrt(n) (Pelz and Good, J. R. Stat. Soc. B 38, 1976,
    /// as in Simard and L'Ecuyer, formula 11).
    static func pelzGood(_ n: Int, _ d: Double) -> Double {
        let z = Double(n).squareRoot() * d
        let z2 = z * z
        let z4 = z2 * z2
        let z6 = z4 * z2
        let pi2 = Double.pi * .pi
        var (k0, k1, k2, k3) = (0.0, 0.0, 0.0, 0.0)
        for k in stride(from: (16 * z / .pi).rounded(.up), through: 1, by: -1) {
            // Odd multiples of pi/2, then whole multiples of pi.
            let m2 = (2 * k - 1) * (2 * k - 1) * pi2 / 4
            let odd = exp(-m2 / (2 * z2))
            k0 += odd / z
            k1 += odd * (m2 - z2) / (6 * z4)
            k2 += odd * (6 * z6 + 2 * z4 + (2 * z4 - 5 * z2) * m2 + (1 - 2 * z2) * m2 * m2) / (72 * z4 * z2 * z)
            let first = -30 * z6 - 90 * z6 * z2 + (135 * z4 - 96 * z6) * m2
            k3 += odd * (first + (212 * z4 - 60 * z2) * m2 * m2 + (5 - 30 * z2) * m2 * m2 * m2) / (6480 * z6 * z4)
            let w2 = k * k * pi2
            let whole = exp(-w2 / (2 * z2)) * w2
            k2 -= whole / (36 * z2 * z)
            k3 += whole * (3 * z2 - w2) / (216 * z6)
        }
        let root = Double(n).squareRoot()
        return (2 * Double.pi).squareRoot() * (k0 + (k1 + (k2 + k3 / root) / root) / root)
    }
}

/// A dense square matrix, row by row.
private struct SquareMatrix {
    let size: Int
    var values: [Double]

    /// The matrix H of Marsaglia, Tsang and Wang for n d = k - h.
    static func durbin(k: Int, h: Double) -> SquareMatrix {
        let size = 2 * k - 1
        var inverseFactorials = [1.0]
        for i in 1...size { inverseFactorials.append(inverseFactorials[i - 1] / Double(i)) }
        var values = [Double](repeating: 0, count: size * size)
        for row in 0..<size {
            for column in 0...min(row + 1, size - 1) {
                values[row * size + column] = inverseFactorials[row - column + 1]
            }
        }
        // The first column and, mirrored, the last row.
        for i in 0..<size {
            var edge = 1 - pow(h, Double(i + 1))
            if i == size - 1 { edge += pow(max(2 * h - 1, 0), Double(size)) - pow(h, Double(size)) }
            values[i * size] = edge * inverseFactorials[i + 1]
            values[(size - 1) * size + size - 1 - i] = edge * inverseFactorials[i + 1]
        }
        return SquareMatrix(size: size, values: values)
    }

    func multiplied(_ row: [Double]) -> [Double] {
        var product = [Double](repeating: 0, count: size)
        for i in 0..<size where row[i] != 0 {
            for j in 0..<size { product[j] += row[i] * values[i * size + j] }
        }
        return product
    }

    func squared() -> SquareMatrix {
        var product = SquareMatrix(size: size, values: [])
        product.values.reserveCapacity(size * size)
        for i in 0..<size { product.values += multiplied(Array(values[(i * size)..<((i + 1) * size)])) }
        return product
    }

    /// Divides by a power of two, so that the largest number is about 1, and returns its exponent: the powers of the
    /// matrix grow like e^n.
    static func rescale(_ values: inout [Double]) -> Double {
        guard let largest = values.max(), largest > 0 else { return 0 }
        let exponent = largest.exponent
        let scale = Double(sign: .plus, exponent: -exponent, significand: 1)
        for index in values.indices { values[index] *= scale }
        return Double(exponent)
    }
}
