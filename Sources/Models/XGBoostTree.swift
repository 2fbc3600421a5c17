/// The arrays of one XGBoost tree, with sizes checked; nodes are checked as they are reached.
struct XGBoostTree {
    private let path: String
    private let limits: ModelLimits
    private let featureCount: Int
    private let leafWidth: Int
    private let left: [Int32]
    private let right: [Int32]
    private let splits: [Int32]
    private let conditions: [Double]
    private let defaultLeft: [Double]
    private let covers: [Double]?
    private let splitTypes: [Int32]?
    private let leafWeights: LeafWeights
    private let categories: [Int32: CategorySet]

    /// Where the values of a leaf are: `split_conditions`, or vectors in one of two places by version.
    private enum LeafWeights {
        case scalar
        /// 2.0 to 3.1: by node.
        case byNode([Double])
        /// 3.2 and later: the right child of a leaf is its index.
        case byLeaf([Double])
    }

    init(_ node: DocumentNode, featureCount: Int, leafWidth: Int, limits: ModelLimits) throws(ModelError) {
        let count = try node.required("tree_param").required("num_nodes").integer(in: 1...limits.nodesMax)
        path = node.path
        self.limits = limits
        self.featureCount = featureCount
        self.leafWidth = leafWidth
        left = try node.required("left_children").integers(count: count)
        right = try node.required("right_children").integers(count: count)
        splits = try node.required("split_indices").integers(count: count)
        conditions = try node.required("split_conditions").numbers(count: count)
        defaultLeft = try node.required("default_left").numbers(count: count)
        covers = try node.optional("sum_hessian")?.numbers(count: count)
        _ = try node.optional("parents")?.numbers(count: count)
        var types = try node.optional("split_type")?.integers()
        if let found = types, found.count != count {
            guard found.isEmpty else {
                throw ModelError(.countMismatch, "\(found.count) elements for \(count) nodes", at: path + "/split_type")
            }
            types = nil
        }
        splitTypes = types
        if leafWidth == 1 {
            leafWeights = .scalar
        } else if let weights = try node.optional("leaf_weights") {
            let numbers = try weights.numbers()
            guard numbers.count % leafWidth == 0 else {
                throw weights.fail(.countMismatch, "\(numbers.count) is not a multiple of \(leafWidth)")
            }
            leafWeights = .byLeaf(numbers)
        } else {
            leafWeights = .byNode(try node.required("base_weights").numbers(count: count * leafWidth))
        }
        categories = try Self.readCategories(node, nodeCount: count, limits: limits)
    }

    private static func readCategories(
        _ node: DocumentNode, nodeCount: Int, limits: ModelLimits
    ) throws(ModelError) -> [Int32: CategorySet] {
        guard let nodesNode = try node.optional("categories_nodes") else { return [:] }
        let nodes = try nodesNode.integers()
        guard !nodes.isEmpty else { return [:] }
        let codes = try node.required("categories").integers()
        let segmentsNode = try node.required("categories_segments")
        let segments = try segmentsNode.integers(count: nodes.count)
        let sizes = try node.required("categories_sizes").integers(count: nodes.count)
        var sets: [Int32: CategorySet] = [:]
        var words = 0
        for index in nodes.indices {
            let location = "\(segmentsNode.path)/\(index)"
            guard nodes[index] >= 0, nodes[index] < nodeCount else {
                throw ModelError(.indexOutOfRange, "node \(nodes[index])", at: "\(nodesNode.path)/\(index)")
            }
            let start = Int(segments[index])
            let end = start + Int(sizes[index])
            guard start >= 0, start <= end, end <= codes.count else {
                throw ModelError(.indexOutOfRange, "\(start) to \(end) of \(codes.count) categories", at: location)
            }
            var set = CategorySet(words: [])
            for code in codes[start..<end] {
                guard code >= 0 else { throw ModelError(.invalidValue, "category code \(code)", at: location) }
                guard code <= limits.categoryCodeMax else {
                    throw ModelError(.limitExceeded, "category code \(code)", at: location)
                }
                let word = Int(code) >> 6
                if set.words.count <= word {
                    words += word + 1 - set.words.count
                    guard words <= limits.categoryWordsMax else {
                        throw ModelError(.limitExceeded, "category sets are too large", at: location)
                    }
                    set.words.append(contentsOf: repeatElement(0, count: word + 1 - set.words.count))
                }
                set.words[word] |= 1 << UInt64(code & 63)
            }
            guard sets.updateValue(set, forKey: nodes[index]) == nil else {
                throw ModelError(.invalidValue, "node \(nodes[index]) has two category sets", at: location)
            }
        }
        return sets
    }

    /// Adds the tree; every leaf value is multiplied by `weight` in float32, as dart does at prediction.
    func append(to forest: inout Forest, group: Int, weight: Float) throws(ModelError) {
        var reached = [Bool](repeating: false, count: left.count)
        let hasCovers = covers != nil
        try forest.appendTree(root: 0, group: group, limits: limits, location: path) {
            (index, forest) throws(ModelError) in
            guard index >= 0, index < left.count else {
                throw ModelError(.indexOutOfRange, "child \(index) of \(left.count) nodes", at: path)
            }
            guard !reached[index] else {
                throw ModelError(.nodeReachedTwice, "node \(index) is reached twice", at: path)
            }
            reached[index] = true
            let cover = hasCovers ? covers?[index] ?? 0 : .nan
            if left[index] == -1 {
                try appendLeaf(index, to: &forest, weight: weight)
                return .leaf(id: UInt32(index), cover: cover)
            }
            let node = try splitNode(index, &forest)
            return .split(node, left: Int(left[index]), right: Int(right[index]), cover: cover)
        }
    }

    private func float(_ number: Double, _ key: String, _ index: Int) throws(ModelError) -> Float {
        let float = Float(number)
        guard float.isFinite else {
            throw ModelError(.notFinite, "does not fit a finite float32", at: "\(path)/\(key)/\(index)")
        }
        return float
    }

    private func splitNode(_ index: Int, _ forest: inout Forest) throws(ModelError) -> ForestNode {
        guard splits[index] >= 0, splits[index] < featureCount else {
            throw ModelError(
                .indexOutOfRange, "feature \(splits[index]) of \(featureCount)", at: "\(path)/split_indices/\(index)")
        }
        let rule: MissingRule = defaultLeft[index] == 0 ? .right : .left
        var node = ForestNode(feature: splits[index], categorySet: -1, threshold: 0, left: 0, rule: rule)
        switch splitTypes?[index] ?? 0 {
        case 0:
            node.threshold = Double(try float(conditions[index], "split_conditions", index))
        case 1:
            guard let set = categories[Int32(index)] else {
                throw ModelError(.missingField, "node \(index) has no category set", at: path + "/categories_nodes")
            }
            node.categorySet = try forest.categorySetIndex(set, limits: limits, location: path)
        default:
            throw ModelError(.invalidValue, "unknown split type", at: "\(path)/split_type/\(index)")
        }
        return node
    }

    private func appendLeaf(_ index: Int, to forest: inout Forest, weight: Float) throws(ModelError) {
        let values: ArraySlice<Double>
        let key: String
        switch leafWeights {
        case .scalar:
            (values, key) = (conditions[index...index], "split_conditions")
        case .byNode(let weights):
            (values, key) = (weights[(index * leafWidth)..<((index + 1) * leafWidth)], "base_weights")
        case .byLeaf(let weights):
            let leaf = Int(right[index])
            guard leaf >= 0, leaf < weights.count / leafWidth else {
                throw ModelError(
                    .indexOutOfRange, "leaf \(leaf) of \(weights.count / leafWidth)",
                    at: "\(path)/right_children/\(index)")
            }
            (values, key) = (weights[(leaf * leafWidth)..<((leaf + 1) * leafWidth)], "leaf_weights")
        }
        for value in values {
            let product = try float(value, key, index) * weight
            guard product.isFinite else {
                throw ModelError(.notFinite, "leaf times tree weight overflows", at: "\(path)/\(key)/\(index)")
            }
            forest.leafValues.append(Double(product))
        }
    }
}
