extension Model {
    /// What each feature adds to the margin of one row: `featureCount + 1` numbers per output, the last of each being the
    /// bias; they add up to the margin (`additivityResidual`).
    ///
    /// - Trees: exact SHAP values; the bias is the mean margin of the training rows.
    /// - Coefficient models: coefficient times scaled value; the bias is the intercept. The average row has only the
    ///   bias, so these are the SHAP values of independent features (Lundberg and Lee, NIPS 2017, corollary 1).
    /// - `gblinear`: weight times value; the bias is the margin of a row without values.
    /// - Scorecards: points less the most that the characteristic can give, over the link's factor; the bias is the margin
    ///   of the best row. `pointContributions` gives the same in points.
    ///
    /// Nil where the model or its file does not support them: vector or linear leaves, no node weights in the file, a tree
    /// deeper than `ModelLimits.contributionDepthMax`, more numbers than `ModelLimits.contributionValuesMax`, ONNX files
    /// (which hold no node weights).
    public func contributions(_ row: [Double]) -> [Double]? {
        precondition(row.count == featureCount, "a row has one value per feature")
        guard outputCount * (featureCount + 1) <= ModelLimits.standard.contributionValuesMax else { return nil }
        switch body {
        case .forest(let evaluator):
            return evaluator.contributions(row)
        case .boostedLinear(let model):
            return model.contributions(row)
        case .linear(let model):
            return model.contributions(row)
        case .scorecard(let scorecard):
            return scorecard.contributions(row)
        case .graph:
            return nil
        }
    }

    /// How far `contributions` (as `contributions(_:)` gives them) and the margin of the same row are apart: the largest
    /// over the outputs of |margin - sum|, as a part of the sum of magnitudes where that is above 1. NaN where one of
    /// them is NaN.
    public func additivityResidual(_ contributions: [Double], margin: [Double]) -> Double {
        precondition(margin.count == outputCount, "one margin per output")
        precondition(contributions.count == outputCount * (featureCount + 1), "a number per feature, and the bias")
        var largest = 0.0
        for output in margin.indices {
            let start = output * (featureCount + 1)
            let parts = contributions[start...(start + featureCount)]
            let scale = parts.reduce(0) { $0 + abs($1) }
            let residual = abs(margin[output] - parts.reduce(0, +)) / max(1, scale)
            if residual.isNaN { return residual }
            largest = max(largest, residual)
        }
        return largest
    }

    /// The most that `additivityResidual` is for finite inputs: the margin is summed in the width of the library, the
    /// contributions in float64.
    public var additivityTolerance: Double {
        switch outputWidth {
        case .float32: 1e-5
        case .float64: 1e-9
        }
    }
}

/// The points of one characteristic of a scorecard for one row.
public struct PartialPoints: Hashable, Sendable {
    /// Index of the characteristic's feature.
    public let feature: Int
    /// Points of the row.
    public let points: Double
    /// The least that the characteristic can give, a missing value included.
    public let minPoints: Double
    /// The most that the characteristic can give, a missing value included.
    public let maxPoints: Double

    /// How much better the row could be, where more points are better (PMML `pointsBelow`).
    public var pointsBelowMax: Double { maxPoints - points }
    /// How much better the row could be, where fewer points are better (PMML `pointsAbove`).
    public var pointsAboveMin: Double { points - minPoints }
}

extension Model {
    /// Scorecards: the points of each characteristic, in file order; nil for other models.
    public func partialPoints(_ row: [Double]) -> [PartialPoints]? {
        precondition(row.count == featureCount, "a row has one value per feature")
        guard case .scorecard(let scorecard) = body else { return nil }
        return scorecard.characteristics.map { $0.partialPoints(row) }
    }

    /// Scorecards: per feature, the distance in points from the best that its characteristics can give: never above 0
    /// where a low score is adverse (minus `pointsBelowMax`), never below 0 where a high one is (`pointsAboveMin`). For
    /// `ReasonCodes`, in the unit that people know from the card; nil for other models.
    public func pointContributions(_ row: [Double], adverse: AdverseDirection) -> [Double]? {
        guard let parts = partialPoints(row) else { return nil }
        var values = [Double](repeating: 0, count: featureCount)
        for part in parts {
            values[part.feature] += adverse == .lowerIsAdverse ? -part.pointsBelowMax : part.pointsAboveMin
        }
        return values
    }
}

extension BoostedLinear {
    /// Weight times value per feature; the bias holds the intercept and the base score.
    func contributions(_ row: [Double]) -> [Double] {
        var values: [Double] = []
        for output in base.indices {
            for feature in 0..<featureCount {
                let x = Float(row[feature])
                values.append(x.isNaN ? 0 : Double(x * weights[feature * base.count + output]))
            }
            values.append(Double(weights[featureCount * base.count + output] + base[output]))
        }
        return values
    }
}

extension LinearModel {
    /// The terms of `evaluate`, in its order: added up one after the other they are the margin to the last bit.
    func contributions(_ row: [Double]) -> [Double] {
        var values: [Double] = []
        for output in intercepts.indices {
            for feature in imputed.indices {
                let x = row[feature].isNaN ? imputed[feature] : row[feature]
                values.append((x - means[feature]) / scales[feature] * coefficients[output][feature])
            }
            values.append(intercepts[output])
        }
        return values
    }
}

extension Scorecard {
    /// Points below the best, as margins; the bias is the margin of the best row.
    func contributions(_ row: [Double]) -> [Double] {
        var values = [Double](repeating: 0, count: row.count + 1)
        var best = basePoints
        for characteristic in characteristics {
            let part = characteristic.partialPoints(row)
            values[part.feature] += (part.points - part.maxPoints) / factor
            best += part.maxPoints
        }
        values[row.count] = margin(score: best)
        return values
    }
}

extension Scorecard.Characteristic {
    func partialPoints(_ row: [Double]) -> PartialPoints {
        PartialPoints(
            feature: feature, points: points(of: row[feature]), minPoints: points.reduce(missing, min),
            maxPoints: points.reduce(missing, max))
    }
}
