import Glibc

/// XGBoost `gblinear`: float32 sums in feature order; missing features are skipped.
struct BoostedLinear: Sendable {
    let featureCount: Int
    /// `weights[feature * outputs + output]`, the biases last.
    let weights: [Float]
    let base: [Float]

    /// Margins of a row of `featureCount` values into `margin`.
    func evaluate(_ row: UnsafeBufferPointer<Double>, _ margin: inout [Double]) {
        let outputs = base.count
        for output in 0..<outputs {
            var sum = weights[featureCount * outputs + output] + base[output]
            for feature in 0..<featureCount {
                let x = Float(row[feature])
                if !x.isNaN { sum += x * weights[feature * outputs + output] }
            }
            margin[output] = Double(sum)
        }
    }
}

/// Imputation, standardisation and coefficients (linear, logistic and multinomial regression from coefficient JSON).
/// Sums run in feature order, the intercept last.
struct LinearModel: Sendable {
    let imputed: [Double]
    let means: [Double]
    let scales: [Double]
    /// One row of coefficients per output.
    let coefficients: [[Double]]
    let intercepts: [Double]

    func evaluate(_ row: UnsafeBufferPointer<Double>, _ margin: inout [Double]) {
        for output in intercepts.indices {
            var sum = 0.0
            for feature in imputed.indices {
                let x = row[feature].isNaN ? imputed[feature] : row[feature]
                sum += (x - means[feature]) / scales[feature] * coefficients[output][feature]
            }
            margin[output] = sum + intercepts[output]
        }
    }
}

/// Points per bin of a characteristic, added up in file order.
struct Scorecard: Sendable {
    struct Characteristic: Sendable {
        let feature: Int
        /// Inner bounds, ascending: bin i covers `bounds[i - 1] <= value < bounds[i]`.
        let bounds: [Double]
        let points: [Double]
        let missing: Double

        func points(of value: Double) -> Double {
            if value.isNaN { return missing }
            var low = 0
            var high = bounds.count
            while low < high {
                let middle = (low + high) / 2
                if bounds[middle] <= value { low = middle + 1 } else { high = middle }
            }
            return points[low]
        }
    }

    let basePoints: Double
    let characteristics: [Characteristic]
    let anchor: Double
    let factor: Double

    static let empty = Scorecard(basePoints: 0, characteristics: [], anchor: 0, factor: 1)

    func score(_ row: UnsafeBufferPointer<Double>) -> Double {
        var score = basePoints
        for characteristic in characteristics { score += characteristic.points(of: row[characteristic.feature]) }
        return score
    }

    func margin(score: Double) -> Double { (score - anchor) / factor }
}
