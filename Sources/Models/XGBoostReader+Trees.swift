extension XGBoostReader {
    /// `gbtree` and `dart`: 3.2 and older nest the trees of dart under `gbtree`, weights beside them.
    func readTrees(
        _ booster: DocumentNode, name: String, _ learner: Learner, into parts: inout ModelParts
    ) throws(ModelError) {
        let inner = try booster.optional("gbtree") ?? booster
        let model = try inner.required("model")
        let parameters = try model.required("gbtree_model_param")
        let treeCount = try parameters.required("num_trees").integer(in: 0...limits.treesMax)
        let parallel = try parameters.optional("num_parallel_tree")?.integer(in: 1...limits.treesMax) ?? 1
        let treesNode = try model.required("trees")
        let trees = try treesNode.elements()
        guard trees.count == treeCount else {
            throw treesNode.fail(.countMismatch, "num_trees is \(treeCount), the file holds \(trees.count)")
        }
        let groupsNode = try model.required("tree_info")
        let groups = try groupsNode.integers(count: treeCount)
        if let index = groups.firstIndex(where: { $0 < 0 || $0 >= learner.outputCount }) {
            throw ModelError(
                .indexOutOfRange, "output \(groups[index]) of \(learner.outputCount)", at: "\(groupsNode.path)/\(index)"
            )
        }
        let weights = try readWeights(booster, inner, model, count: treeCount)
        guard weights != nil || name != "dart" else { throw booster.fail(.missingField, "'weight_drop' is missing") }

        let leafWidth = try leafWidth(treesNode, trees, learner)
        let starts = try iterationStarts(
            model, treeCount: treeCount, perIteration: parallel * (leafWidth > 1 ? 1 : learner.outputCount))
        let range = try iterations.resolve(count: starts.count - 1, best: learner.bestIteration)
        var forest = Forest(flavor: .xgboost, outputCount: learner.outputCount, leafWidth: leafWidth)
        // Trees outside of the range are read too: a file is valid or not whatever part of it is used.
        let used = range.isEmpty ? 0..<0 : starts[range.lowerBound]..<starts[range.upperBound]
        for index in 0..<treeCount {
            let node = treesNode.element(index, of: trees)
            var scratch = Forest(flavor: .xgboost, outputCount: learner.outputCount, leafWidth: leafWidth)
            let tree = try XGBoostTree(node, featureCount: learner.featureCount, leafWidth: leafWidth, limits: limits)
            let weight = weights?[index] ?? 1
            if used.contains(index) {
                try tree.append(to: &forest, group: Int(groups[index]), weight: weight)
            } else {
                try tree.append(to: &scratch, group: Int(groups[index]), weight: weight)
            }
        }
        parts.iterationCount = starts.count - 1
        parts.categories = try readCategories(model, featureCount: learner.featureCount)
        parts.body = .forest(
            ForestEvaluator(forest, featureCount: learner.featureCount, base: learner.baseMargins.map { Double($0) }))
    }

    private func readWeights(
        _ booster: DocumentNode, _ inner: DocumentNode, _ model: DocumentNode, count: Int
    ) throws(ModelError) -> [Float]? {
        var found = try booster.optional("weight_drop")
        if found == nil { found = try inner.optional("weight_drop") }
        if found == nil { found = try model.optional("weight_drop") }
        guard let found else { return nil }
        let numbers = try found.numbers()
        // A gbtree model of version 3.3 writes an empty list.
        if numbers.isEmpty, count > 0 { return nil }
        return try found.finiteNumbers(count: count).map { Float($0) }
    }

    private func leafWidth(
        _ treesNode: DocumentNode, _ trees: [Document], _ learner: Learner
    ) throws(ModelError) -> Int {
        var width: Int?
        for index in trees.indices {
            let node = try treesNode.element(index, of: trees).required("tree_param").required("size_leaf_vector")
            let size = max(1, try node.integer(in: 0...limits.outputsMax))
            guard width == nil || width == size else { throw node.fail(.countMismatch, "trees differ in leaf size") }
            guard size == 1 || size == learner.outputCount else {
                throw node.fail(.countMismatch, "leaf of \(size) values for \(learner.outputCount) outputs")
            }
            width = size
        }
        return width ?? 1
    }

    /// First tree of every iteration, and the tree count last.
    private func iterationStarts(
        _ model: DocumentNode, treeCount: Int, perIteration: Int
    ) throws(ModelError) -> [Int] {
        guard let node = try model.optional("iteration_indptr") else {
            var starts = Array(stride(from: 0, to: treeCount, by: perIteration))
            starts.append(treeCount)
            return starts
        }
        let starts = try node.integers().map { Int($0) }
        guard starts.first == 0, starts.last == treeCount else {
            throw node.fail(.countMismatch, "does not run from 0 to \(treeCount)")
        }
        guard zip(starts, starts.dropFirst()).allSatisfy({ $0 <= $1 }) else {
            throw node.fail(.invalidValue, "is not ascending")
        }
        return starts
    }

    /// Category names of 3.1 and later: per feature text (`offsets` into `values`) or numbers (`type`, `values`).
    private func readCategories(_ model: DocumentNode, featureCount: Int) throws(ModelError) -> [[String]?] {
        var categories = [[String]?](repeating: nil, count: featureCount)
        guard let node = try model.optional("cats")?.optional("enc") else { return categories }
        let encodings = try node.elements()
        guard !encodings.isEmpty else { return categories }
        guard encodings.count == featureCount else {
            throw node.fail(.countMismatch, "\(encodings.count) encodings for \(featureCount) features")
        }
        for index in encodings.indices {
            let encoding = node.element(index, of: encodings)
            guard let values = try encoding.optional("values") else { continue }
            let numbers = try values.numbers()
            // A numeric feature has an empty encoding.
            guard !numbers.isEmpty else { continue }
            guard let offsetsNode = try encoding.optional("offsets") else {
                categories[index] = numbers.map { Int(exactly: $0).map(String.init) ?? "\($0)" }
                continue
            }
            let offsets = try offsetsNode.integers().map { Int($0) }
            var names: [String] = []
            for (start, end) in zip(offsets, offsets.dropFirst()) {
                guard start >= 0, start <= end, end <= numbers.count else {
                    throw offsetsNode.fail(.indexOutOfRange, "\(start)..<\(end) of \(numbers.count) bytes")
                }
                // Bytes may be written as signed 8-bit integers.
                let bytes = numbers[start..<end].map { UInt8(truncatingIfNeeded: Int32(exactly: $0) ?? 0) }
                guard let name = String(validating: bytes, as: UTF8.self) else {
                    throw values.fail(.invalidValue, "category name is not UTF-8")
                }
                names.append(name)
            }
            categories[index] = names
        }
        return categories
    }
}
