import Glibc

/// Reads XGBoost's JSON and UBJSON model files, versions 1.x to 3.x (field names: XGBoost, "Introduction to Model IO").
struct XGBoostReader {
    let limits: ModelLimits
    let iterations: Iterations
    let isUBJSON: Bool

    /// Sizes and names that hold for the whole learner.
    struct Learner {
        var featureCount: Int
        var featureNames: [String]
        var outputCount: Int
        var objective: XGBoostObjective
        /// One start value per output, in margin space.
        var baseMargins: [Float]
        var bestIteration: Int?
    }

    func read(_ document: Document) throws(ModelError) -> ModelParts {
        let root = DocumentNode(value: document, path: "")
        let node = try root.required("learner")
        let learner = try readLearner(node, version: readVersion(root))
        let booster = try node.required("gradient_booster")
        let name = try booster.required("name").string()
        var parts = ModelParts(
            format: isUBJSON ? .xgboostUBJSON : .xgboostJSON, objective: learner.objective.name,
            featureNames: learner.featureNames, outputCount: learner.outputCount,
            transform: learner.objective.transform,
            categories: [[String]?](repeating: nil, count: learner.featureCount), iterationCount: 0,
            bestIteration: learner.bestIteration, body: .scorecard(Scorecard.empty))
        switch name {
        case "gblinear":
            let (linear, rounds) = try readLinear(booster, learner)
            parts.body = .boostedLinear(linear)
            parts.iterationCount = rounds
        case "gbtree", "dart":
            try readTrees(booster, name: name, learner, into: &parts)
        default:
            throw ModelError(.unsupported, "booster '\(name)'", at: "/learner/gradient_booster/name")
        }
        return parts
    }

    private func readVersion(_ root: DocumentNode) throws(ModelError) -> (major: Int, minor: Int) {
        guard let version = try root.optional("version") else { return (0, 0) }
        let numbers = try version.integers()
        guard numbers.count == 3 else { throw version.fail(.countMismatch, "a version has three numbers") }
        return (Int(numbers[0]), Int(numbers[1]))
    }

    private func readLearner(
        _ node: DocumentNode, version: (major: Int, minor: Int)
    ) throws(ModelError) -> Learner {
        let parameters = try node.required("learner_model_param")
        let featureCount = try parameters.required("num_feature").integer(in: 0...limits.featuresMax)
        let classes = try parameters.optional("num_class")?.integer(in: 0...limits.outputsMax) ?? 0
        let targets = try parameters.optional("num_target")?.integer(in: 0...limits.outputsMax) ?? 1
        let outputCount = max(classes, targets, 1)

        let objectiveNode = try node.required("objective").required("name")
        let objectiveName = try objectiveNode.string()
        guard let objective = XGBoostObjective(name: objectiveName) else {
            throw objectiveNode.fail(.unknownObjective, "objective '\(objectiveName)' is not known")
        }
        if objective.isMulticlass, classes < 2 {
            throw objectiveNode.fail(.countMismatch, "'\(objectiveName)' needs num_class of at least 2")
        }
        var names = try node.optional("feature_names")?.strings() ?? []
        if names.isEmpty {
            names = ModelParts.generatedNames(featureCount)
        } else if names.count != featureCount {
            throw ModelError(
                .countMismatch, "\(names.count) names for \(featureCount) features", at: "/learner/feature_names")
        }
        try ModelParts.check(names: names, at: "/learner/feature_names")
        var best: Int?
        if let attributes = try node.optional("attributes") {
            best = try attributes.optional("best_iteration")?.integer()
        }
        let clamps = (version.major, version.minor) >= (3, 2)
        let margins = try baseMargins(
            parameters.required("base_score"), objective, outputCount: outputCount, clamps: clamps)
        return Learner(
            featureCount: featureCount, featureNames: names, outputCount: outputCount, objective: objective,
            baseMargins: margins, bestIteration: best)
    }

    /// base_score is in the objective's output space: `0.5`, `5E-1`, `[a,b]` or `(a,b)`; one value serves all outputs.
    private func baseMargins(
        _ node: DocumentNode, _ objective: XGBoostObjective, outputCount: Int, clamps: Bool
    ) throws(ModelError) -> [Float] {
        var scores: [Float] = []
        switch node.value {
        case .number(let number):
            scores = [Float(number)]
        case .numbers(let numbers):
            scores = numbers.map { Float($0) }
        default:
            var text = try node.string()[...]
            if let first = text.first, first == "[" || first == "(" {
                guard text.count >= 2, text.last == (first == "[" ? "]" : ")") else {
                    throw node.fail(.invalidValue, "base_score is not closed")
                }
                text = text.dropFirst().dropLast()
            }
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard let score = Float(part.drop(while: { $0 == " " })) else {
                    throw node.fail(.invalidValue, "'\(part.prefix(32))' is not a number")
                }
                scores.append(score)
            }
        }
        if scores.count == 1 { scores = [Float](repeating: scores[0], count: outputCount) }
        guard scores.count == outputCount else {
            throw node.fail(.countMismatch, "\(scores.count) base scores for \(outputCount) outputs")
        }
        var margins: [Float] = []
        for score in scores {
            let margin = objective.margin(baseScore: score, clamps: clamps)
            guard margin.isFinite else { throw node.fail(.invalidValue, "base score \(score) has no finite margin") }
            margins.append(margin)
        }
        return margins
    }

    private func readLinear(
        _ booster: DocumentNode, _ learner: Learner
    ) throws(ModelError) -> (BoostedLinear, rounds: Int) {
        let model = try booster.required("model")
        let count = (learner.featureCount + 1) * learner.outputCount
        let node = try model.required("weights")
        let weights = try node.finiteNumbers(count: count).map { Float($0) }
        guard weights.allSatisfy(\.isFinite) else { throw node.fail(.notFinite, "a weight does not fit float32") }
        let rounds = try model.optional("boosted_rounds")?.integer(in: 0...Int(Int32.max)) ?? 0
        guard case .range = iterations else {
            let linear = BoostedLinear(
                featureCount: learner.featureCount, weights: weights, base: learner.baseMargins)
            return (linear, rounds)
        }
        throw booster.fail(.unsupported, "gblinear has no iterations to choose from")
    }
}
