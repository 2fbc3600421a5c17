/// Reads LightGBM's text model files (keys and decisions: LightGBM `gbdt_model_text.cpp`, `tree.cpp`).
struct LightGBMReader {
    let limits: ModelLimits
    let iterations: Iterations

    func read(_ bytes: UnsafeRawBufferPointer) throws(ModelError) -> ModelParts {
        guard let source = String(validating: bytes, as: UTF8.self) else {
            throw ModelError(.invalidText, "invalid UTF-8")
        }
        let text = try LightGBMText(source, limits: limits)
        let header = text.header
        let version = try header.text("version")
        guard ["v2", "v3", "v4"].contains(version) else {
            throw ModelError(.unsupported, "version '\(version.prefix(16))'", at: "header version")
        }
        let outputCount = try header.integer("num_tree_per_iteration", in: 1...limits.outputsMax)
        let featureCount = try header.integer("max_feature_idx", in: 0...(limits.featuresMax - 1)) + 1
        let names = LightGBMText.Block.words(try header.text("feature_names")).map { String($0) }
        guard names.count == featureCount else {
            throw ModelError(
                .countMismatch, "\(names.count) names for \(featureCount) features", at: "header feature_names")
        }
        try ModelParts.check(names: names, at: "header feature_names")
        if let sizes = header.values["tree_sizes"] {
            let count = sizes.split(separator: " ").count
            guard count == text.trees.count else {
                throw ModelError(
                    .countMismatch, "\(count) tree sizes, \(text.trees.count) trees", at: "header tree_sizes")
            }
        }
        let (objective, transform) = try readObjective(header, outputCount: outputCount)
        guard text.trees.count % outputCount == 0 else {
            throw ModelError(.countMismatch, "\(text.trees.count) trees for \(outputCount) outputs")
        }
        let iterationCount = text.trees.count / outputCount
        let range = try iterations.resolve(count: iterationCount, best: nil)
        let forest = try readTrees(
            text, featureCount: featureCount, outputCount: outputCount,
            used: (range.lowerBound * outputCount)..<(range.upperBound * outputCount))
        let averages = header.values["average_output"] != nil
        let evaluator = ForestEvaluator(
            forest, featureCount: featureCount, base: [Double](repeating: 0, count: outputCount),
            averageOver: averages ? max(range.count, 1) : nil)
        return ModelParts(
            format: .lightgbmText, objective: objective, featureNames: names, outputCount: outputCount,
            transform: transform, categories: try readCategories(text, header, featureCount: featureCount),
            iterationCount: iterationCount, bestIteration: nil, body: .forest(evaluator))
    }

    private func readTrees(
        _ text: LightGBMText, featureCount: Int, outputCount: Int, used: Range<Int>
    ) throws(ModelError) -> Forest {
        var forest = Forest(flavor: .lightgbm, outputCount: outputCount, leafWidth: 1)
        let isLinear = text.trees.contains { $0.values["is_linear"] == "1" }
        if isLinear { forest.linearLeaves = LinearLeaves() }
        for (index, block) in text.trees.enumerated() {
            let tree = try LightGBMTree(block, featureCount: featureCount, limits: limits)
            if used.contains(index) {
                try tree.append(to: &forest, group: index % outputCount)
            } else {
                var scratch = Forest(flavor: .lightgbm, outputCount: outputCount, leafWidth: 1)
                if isLinear { scratch.linearLeaves = LinearLeaves() }
                try tree.append(to: &scratch, group: index % outputCount)
            }
        }
        return forest
    }

    /// `objective=name key:value ...`; absent and `custom` mean raw scores.
    private func readObjective(
        _ header: LightGBMText.Block, outputCount: Int
    ) throws(ModelError) -> (name: String, Transform) {
        guard let line = header.values["objective"] else { return ("custom", .identity) }
        let words = line.split(separator: " ")
        let name = String(words.first ?? "custom")
        func parameter(_ key: String) throws(ModelError) -> Double {
            guard let word = words.first(where: { $0.hasPrefix(key + ":") }) else {
                throw ModelError(.missingField, "'\(key)' of '\(name)' is missing", at: "header objective")
            }
            guard let value = Double(word.dropFirst(key.count + 1)), value.isFinite, value > 0 else {
                throw ModelError(.invalidValue, "'\(word.prefix(32))' is not a positive number", at: "header objective")
            }
            return value
        }
        switch name {
        case "regression", "regression_l1", "huber", "fair", "quantile", "mape":
            return (name, words.contains("sqrt") ? .signedSquare64 : .identity)
        case "lambdarank", "rank_xendcg", "custom", "none":
            return (name, .identity)
        case "poisson", "gamma", "tweedie":
            return (name, .exp64)
        case "binary":
            return (name, .sigmoid64(scale: try parameter("sigmoid")))
        case "cross_entropy", "xentropy":
            return (name, .sigmoid64(scale: 1))
        case "cross_entropy_lambda", "xentlambda":
            return (name, .log1pExp64)
        case "multiclass", "softmax", "multiclassova", "multiclass_ova":
            guard try parameter("num_class") == Double(outputCount) else {
                throw ModelError(
                    .countMismatch, "num_class differs from num_tree_per_iteration", at: "header objective")
            }
            let isOneVersusAll = name.hasSuffix("ova")
            return (name, isOneVersusAll ? .sigmoid64(scale: try parameter("sigmoid")) : .softmax64)
        default:
            throw ModelError(
                .unknownObjective, "objective '\(name.prefix(64))' is not known", at: "header objective")
        }
    }

    /// The lists of `pandas_categorical` belong to the categorical columns in order. A categorical column that no
    /// tree could use is written as `none`, so lists are assigned only when their number settles the matter.
    private func readCategories(
        _ text: LightGBMText, _ header: LightGBMText.Block, featureCount: Int
    ) throws(ModelError) -> [[String]?] {
        var categories = [[String]?](repeating: nil, count: featureCount)
        guard let source = text.categories, source != "null",
            let infos = header.values["feature_infos"]?.split(separator: " "), infos.count == featureCount
        else { return categories }
        let columns = infos.indices.filter { infos[$0] != "none" && !infos[$0].hasPrefix("[") }
        let bytes = Array(source.utf8)
        let document = try bytes.withUnsafeBufferPointer { (buffer) throws(ModelError) in
            try JSONDocumentReader.read(UnsafeRawBufferPointer(buffer), limits: limits)
        }
        let node = DocumentNode(value: document, path: "pandas_categorical ")
        let lists = try node.elements()
        guard lists.count == columns.count else { return categories }
        for (index, column) in columns.enumerated() {
            let list = node.element(index, of: lists)
            switch list.value {
            case .numbers(let numbers):
                categories[column] = numbers.map { Int(exactly: $0).map(String.init) ?? "\($0)" }
            case .array(let elements) where elements.allSatisfy(\.isBool):
                categories[column] = try list.numbers().map { $0 == 1 ? "true" : "false" }
            default:
                categories[column] = try list.strings()
            }
        }
        return categories
    }
}

extension Document {
    var isBool: Bool {
        if case .bool = self { true } else { false }
    }
}
