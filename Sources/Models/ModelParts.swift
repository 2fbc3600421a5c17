/// What evaluates a model.
enum ModelBody: Sendable {
    case forest(ForestEvaluator)
    case boostedLinear(BoostedLinear)
    case linear(LinearModel)
    case scorecard(Scorecard)
    case graph(OnnxProgram)
}

/// Everything a reader finds out about a model.
struct ModelParts {
    var format: Model.Format
    var objective: String
    var featureNames: [String]
    var outputCount: Int
    var transform: Transform
    /// Category names per feature, where the file has them.
    var categories: [[String]?]
    var iterationCount: Int
    var bestIteration: Int?
    var body: ModelBody
    /// Class labels of the values, where the file has them.
    var classLabels: [String]?
}

extension ModelParts {
    /// `f0`, `f1`, ... for files without names.
    static func generatedNames(_ count: Int) -> [String] {
        (0..<count).map { "f\($0)" }
    }

    /// Names must be distinct: inputs are matched by name.
    static func check(names: [String], at location: String) throws(ModelError) {
        var seen = Set<String>(minimumCapacity: names.count)
        for name in names {
            guard !name.unicodeScalars.contains(where: { $0 == "\0" || $0 == "\u{E000}" }) else {
                throw ModelError(.invalidValue, "a feature name holds U+0000", at: location)
            }
            guard seen.insert(name).inserted else {
                throw ModelError(.invalidValue, "feature name '\(name)' is used twice", at: location)
            }
        }
    }
}
