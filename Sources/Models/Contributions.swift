extension Forest {
    /// The decision of one split on a raw input, by the rules of the library
    /// (XGBoost `predict_fn.h`, LightGBM `tree.h`).
    func goesRight(_ node: ForestNode, _ input: Double) -> Bool {
        var x = flavor == .xgboost ? Double(Float(input)) : min(input, .greatestFiniteMagnitude)
        if input.isNaN { x = .nan }
        if node.categorySet >= 0 {
            if x.isNaN { return node.rule == .right }
            let set = categorySets[Int(node.categorySet)]
            switch flavor {
            case .xgboost: return x >= 0 && x < 16_777_216 && set.contains(Int(x))
            case .lightgbm: return !(x > -1 && x < 2_147_483_648 && set.contains(Int(x)))
            }
        }
        let isZero = abs(x) <= 1.0000000180025095e-35
        switch node.rule {
        case .left: return x.isNaN ? false : x >= node.threshold
        case .right: return x.isNaN ? true : x >= node.threshold
        case .zero: return (x.isNaN ? 0 : x) >= node.threshold
        case .zeroOrMissingLeft: return x.isNaN || isZero ? false : x >= node.threshold
        case .zeroOrMissingRight: return x.isNaN || isZero ? true : x >= node.threshold
        }
    }
}

extension ForestEvaluator {
    /// `Model.contributions` of trees.
    func contributions(_ row: [Double]) -> [Double]? {
        guard forest.leafWidth == 1, forest.linearLeaves == nil,
            let plan = contributionPlan.plan(forest, base: base)
        else { return nil }
        var values = [Double](repeating: 0, count: base.count * (featureCount + 1))
        for output in base.indices { values[output * (featureCount + 1) + featureCount] = plan.bias[output] }
        if forest.flavor == .lightgbm {
            UnwoundContributions.add(plan, forest, featureCount: featureCount, row: row, to: &values)
        } else {
            QuadratureContributions.add(plan, forest, featureCount: featureCount, row: row, to: &values)
        }
        return values
    }
}
