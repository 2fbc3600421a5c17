/// Reads the plain JSON models: `linear_regression`, `logistic_regression`, `multinomial_logistic_regression` (fitted
/// coefficients with imputation and scaling) and `scorecard`. The formulas are those the files state.
struct CoefficientsReader {
    let limits: ModelLimits

    func read(_ document: Document) throws(ModelError) -> ModelParts {
        let root = DocumentNode(value: document, path: "")
        let typeNode = try root.required("type")
        let type = try typeNode.string()
        let version = try root.required("version")
        guard try version.integer() == 1 else { throw version.fail(.unsupported, "only version 1 is known") }
        let namesNode = try root.required("features")
        let names = try namesNode.strings()
        guard !names.isEmpty else { throw namesNode.fail(.countMismatch, "no features") }
        guard names.count <= limits.featuresMax else {
            throw namesNode.fail(.limitExceeded, "more than \(limits.featuresMax) features")
        }
        try ModelParts.check(names: names, at: namesNode.path)
        var parts = ModelParts(
            format: .coefficients, objective: type, featureNames: names, outputCount: 1, transform: .identity,
            categories: [[String]?](repeating: nil, count: names.count), iterationCount: 0, bestIteration: nil,
            body: .scorecard(Scorecard.empty))
        if type == "scorecard" {
            parts.format = .scorecard
            parts.transform = .sigmoid64(scale: 1)
            parts.body = .scorecard(try readScorecard(root, names))
            return parts
        }
        let linear = try readLinear(root, featureCount: names.count)
        parts.outputCount = linear.intercepts.count
        let link: String
        switch type {
        case "linear_regression": (parts.transform, link) = (.identity, "identity")
        case "logistic_regression": (parts.transform, link) = (.bothClasses64, "sigmoid")
        case "multinomial_logistic_regression": (parts.transform, link) = (.softmax64, "softmax")
        default: throw typeNode.fail(.unknownObjective, "type '\(type.prefix(64))' is not known")
        }
        let linkNode = try root.required("link")
        guard try linkNode.string() == link else {
            throw linkNode.fail(.unsupported, "'\(type)' needs link '\(link)'")
        }
        if type != "multinomial_logistic_regression", parts.outputCount != 1 {
            throw ModelError(.countMismatch, "'\(type)' has one row of coefficients", at: "/coef")
        }
        parts.body = .linear(linear)
        return parts
    }

    private func readLinear(_ root: DocumentNode, featureCount: Int) throws(ModelError) -> LinearModel {
        let intercepts = try root.required("intercept")
        let rowsNode = try root.required("coef")
        let rows = try rowsNode.elements()
        guard rows.count >= 1, rows.count <= limits.outputsMax else {
            throw rowsNode.fail(.limitExceeded, "\(rows.count) rows of coefficients")
        }
        var coefficients: [[Double]] = []
        for index in rows.indices {
            coefficients.append(try rowsNode.element(index, of: rows).finiteNumbers(count: featureCount))
        }
        let scale = try root.required("scale")
        let scalesNode = try scale.required("scale")
        let scales = try scalesNode.finiteNumbers(count: featureCount)
        guard scales.allSatisfy({ $0 != 0 }) else { throw scalesNode.fail(.invalidValue, "a scale is 0") }
        return LinearModel(
            imputed: try root.required("impute").required("values").finiteNumbers(count: featureCount),
            means: try scale.required("mean").finiteNumbers(count: featureCount),
            scales: scales,
            coefficients: coefficients,
            intercepts: try intercepts.finiteNumbers(count: rows.count))
    }

    private func readScorecard(_ root: DocumentNode, _ names: [String]) throws(ModelError) -> Scorecard {
        let link = try root.required("link")
        let linkType = try link.required("type")
        guard try linkType.string() == "log_odds" else { throw linkType.fail(.unsupported, "only 'log_odds' is known") }
        let factorNode = try link.required("factor")
        let factor = try factorNode.number()
        guard factor != 0 else { throw factorNode.fail(.invalidValue, "factor is 0") }
        let listNode = try root.required("characteristics")
        let list = try listNode.elements()
        let indices = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
        var characteristics: [Scorecard.Characteristic] = []
        var binCount = 0
        for index in list.indices {
            let node = listNode.element(index, of: list)
            let featureNode = try node.required("feature")
            guard let feature = indices[try featureNode.string()] else {
                throw featureNode.fail(.indexOutOfRange, "is not one of the features")
            }
            let characteristic = try readCharacteristic(node, feature: feature)
            binCount += characteristic.points.count
            guard binCount <= limits.scorecardBinsMax else {
                throw listNode.fail(.limitExceeded, "more than \(limits.scorecardBinsMax) bins")
            }
            characteristics.append(characteristic)
        }
        return Scorecard(
            basePoints: try root.required("base_points").number(), characteristics: characteristics,
            anchor: try link.required("anchor_score").number(), factor: factor)
    }

    /// Bins ascend without gaps; the first has no lower and the last no upper bound.
    private func readCharacteristic(
        _ node: DocumentNode, feature: Int
    ) throws(ModelError) -> Scorecard.Characteristic {
        let binsNode = try node.required("bins")
        let bins = try binsNode.elements()
        guard !bins.isEmpty else { throw binsNode.fail(.countMismatch, "no bins") }
        var bounds: [Double] = []
        var points: [Double] = []
        for index in bins.indices {
            let bin = binsNode.element(index, of: bins)
            let lower = try bin.optional("lower").map { (node) throws(ModelError) in try node.number() }
            let upper = try bin.optional("upper").map { (node) throws(ModelError) in try node.number() }
            guard lower == bounds.last else { throw bin.fail(.invalidValue, "lower bound leaves a gap or an overlap") }
            guard (upper == nil) == (index == bins.count - 1) else {
                throw bin.fail(.invalidValue, "only the last bin has no upper bound")
            }
            if let upper {
                guard lower.map({ $0 < upper }) ?? true else { throw bin.fail(.invalidValue, "bin is empty") }
                bounds.append(upper)
            }
            points.append(try bin.required("points").number())
        }
        return Scorecard.Characteristic(
            feature: feature, bounds: bounds, points: points,
            missing: try node.required("missing").required("points").number())
    }
}
