import Glibc

/// Four points of a Gauss-Legendre rule on 0...1, with their weights.
struct QuadraturePoints: Sendable {
    /// The points t.
    var points: SIMD4<Double>
    /// 1 - t.
    var complements: SIMD4<Double>
    /// The weights; over all points of a rule they add up to 1.
    var weights: SIMD4<Double>

    /// A rule of n points integrates polynomials up to degree 2n - 1 exactly: those of 2n features.
    static let degreesPerPass = 8

    /// The rule of `4 * count` points, four at a time.
    static func passes(_ count: Int) -> [QuadraturePoints] {
        let size = 4 * count
        var passes = [QuadraturePoints](
            repeating: QuadraturePoints(points: .zero, complements: .zero, weights: .zero), count: count)
        for index in 0..<(size / 2) {
            // Roots lie symmetrically about the middle: t of one is 1 - t of the other.
            let (root, weight) = root(index, of: size)
            let (near, far) = (0.5 * (1 - root), 0.5 * (1 + root))
            for (place, t, complement) in [(index, near, far), (size - 1 - index, far, near)] {
                passes[place / 4].points[place % 4] = t
                passes[place / 4].complements[place % 4] = complement
                passes[place / 4].weights[place % 4] = 0.5 * weight
            }
        }
        return passes
    }

    /// The root of the Legendre polynomial of degree `size` that is `index`-th from above, and its weight on -1...1.
    private static func root(_ index: Int, of size: Int) -> (root: Double, weight: Double) {
        // Newton's method from Tricomi's estimate; a few steps reach the last bit at every size.
        var x = cos(Double.pi * (Double(index) + 0.75) / (Double(size) + 0.5))
        var slope = 0.0
        for _ in 0..<8 {
            var (value, previous) = (x, 1.0)
            for degree in 2...size {
                let n = Double(degree)
                (value, previous) = (((2 * n - 1) * x * value - (n - 1) * previous) / n, value)
            }
            slope = Double(size) * (x * value - previous) / (x * x - 1)
            x -= value / slope
        }
        return (x, 2 / ((1 - x * x) * slope * slope))
    }
}
