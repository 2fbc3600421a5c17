/// The arrays of one LightGBM tree, with sizes checked; nodes are checked as they are reached.
struct LightGBMTree {
    private let block: LightGBMText.Block
    private let limits: ModelLimits
    private let featureCount: Int
    private let leafCount: Int
    private var features: [Int32] = []
    private var thresholds: [Double] = []
    private var decisions: [Int32] = []
    private var left: [Int32] = []
    private var right: [Int32] = []
    private let leafValues: [Double]
    private var leafCovers: [Double]?
    private var nodeCovers: [Double]?
    private var categoryBounds: [Int32] = []
    private var categoryWords: [UInt32] = []
    private var linear: LinearLeaves?

    init(_ block: LightGBMText.Block, featureCount: Int, limits: ModelLimits) throws(ModelError) {
        self.block = block
        self.limits = limits
        self.featureCount = featureCount
        leafCount = try block.integer("num_leaves", in: 1...limits.nodesMax)
        leafValues = try block.numbers("leaf_value", count: leafCount)
        if leafCount > 1 {
            let nodeCount = leafCount - 1
            features = try block.integers("split_feature", count: nodeCount)
            // Infinite thresholds split missing from present values.
            thresholds = try block.numbers("threshold", count: nodeCount, allowsInfinity: true)
            decisions = try block.integers("decision_type", count: nodeCount)
            left = try block.integers("left_child", count: nodeCount)
            right = try block.integers("right_child", count: nodeCount)
            try readCovers(nodeCount: nodeCount)
            if try block.integer("num_cat", in: 0...nodeCount) > 0 { try readCategories() }
        }
        if block.values["is_linear"] == "1" { try readLinear() }
    }

    private mutating func readCovers(nodeCount: Int) throws(ModelError) {
        guard block.values["leaf_count"]?.isEmpty == false, block.values["internal_count"]?.isEmpty == false else {
            return
        }
        leafCovers = try block.numbers("leaf_count", count: leafCount)
        nodeCovers = try block.numbers("internal_count", count: nodeCount)
    }

    private mutating func readCategories() throws(ModelError) {
        let count = try block.integer("num_cat", in: 1...limits.nodesMax)
        categoryBounds = try block.integers("cat_boundaries", count: count + 1)
        categoryWords = try block.integers("cat_threshold", as: UInt32.self)
        let location = block.location("cat_boundaries")
        guard categoryBounds.first == 0, categoryBounds.last == Int32(clamping: categoryWords.count) else {
            throw ModelError(.countMismatch, "does not span cat_threshold", at: location)
        }
        guard zip(categoryBounds, categoryBounds.dropFirst()).allSatisfy({ $0 <= $1 }) else {
            throw ModelError(.invalidValue, "is not ascending", at: location)
        }
    }

    private mutating func readLinear() throws(ModelError) {
        var leaves = LinearLeaves()
        leaves.constants = try block.numbers("leaf_const", count: leafCount)
        let counts: [Int32] = try block.integers("num_features", count: leafCount)
        var total = 0
        for count in counts {
            guard count >= 0, count <= featureCount else {
                throw ModelError(.invalidValue, "\(count) features in a leaf", at: block.location("num_features"))
            }
            total += Int(count)
            leaves.offsets.append(Int32(clamping: total))
        }
        guard total <= limits.leafValuesMax else {
            throw ModelError(.limitExceeded, "too many linear terms", at: block.location("num_features"))
        }
        leaves.features = try block.integers("leaf_features", count: total)
        leaves.coefficients = try block.numbers("leaf_coeff", count: total)
        guard leaves.features.allSatisfy({ $0 >= 0 && $0 < featureCount }) else {
            throw ModelError(.indexOutOfRange, "feature of \(featureCount)", at: block.location("leaf_features"))
        }
        linear = leaves
    }

    /// Adds the tree. References: a node index, or `~leaf` below zero.
    func append(to forest: inout Forest, group: Int) throws(ModelError) {
        var reachedNodes = [Bool](repeating: false, count: features.count)
        var reachedLeaves = [Bool](repeating: false, count: leafCount)
        try forest.appendTree(
            root: leafCount == 1 ? -1 : 0, group: group, limits: limits, location: block.name
        ) { (reference, forest) throws(ModelError) in
            if reference < 0 {
                let leaf = -1 - reference
                guard leaf < leafCount else {
                    throw ModelError(.indexOutOfRange, "leaf \(leaf) of \(leafCount)", at: block.name)
                }
                guard !reachedLeaves[leaf] else {
                    throw ModelError(.nodeReachedTwice, "leaf \(leaf) is reached twice", at: block.name)
                }
                reachedLeaves[leaf] = true
                forest.leafValues.append(leafValues[leaf])
                appendLinear(leaf, to: &forest)
                return .leaf(id: UInt32(leaf), cover: leafCovers.map { $0[leaf] } ?? .nan)
            }
            guard reference < features.count else {
                throw ModelError(.indexOutOfRange, "child \(reference) of \(features.count) nodes", at: block.name)
            }
            guard !reachedNodes[reference] else {
                throw ModelError(.nodeReachedTwice, "node \(reference) is reached twice", at: block.name)
            }
            reachedNodes[reference] = true
            let node = try splitNode(reference, &forest)
            return .split(
                node, left: Int(left[reference]), right: Int(right[reference]),
                cover: nodeCovers.map { $0[reference] } ?? .nan)
        }
    }

    /// Every leaf of a forest with linear trees has a row in `linearLeaves`, with no terms for plain leaves.
    private func appendLinear(_ leaf: Int, to forest: inout Forest) {
        guard forest.linearLeaves != nil else { return }
        let constant = linear.map { $0.constants[leaf] } ?? leafValues[leaf]
        forest.linearLeaves?.constants.append(constant)
        if let linear {
            let terms = Int(linear.offsets[leaf])..<Int(linear.offsets[leaf + 1])
            forest.linearLeaves?.features.append(contentsOf: linear.features[terms])
            forest.linearLeaves?.coefficients.append(contentsOf: linear.coefficients[terms])
        }
        let end = Int32(clamping: forest.linearLeaves?.features.count ?? 0)
        forest.linearLeaves?.offsets.append(end)
    }

    /// Bits of `decision_type`: 1 categorical, 2 default left, 4 and 8 the missing type (None, Zero, NaN).
    private func splitNode(_ index: Int, _ forest: inout Forest) throws(ModelError) -> ForestNode {
        guard features[index] >= 0, features[index] < featureCount else {
            throw ModelError(
                .indexOutOfRange, "feature \(features[index]) of \(featureCount)", at: block.location("split_feature"))
        }
        let decision = decisions[index]
        guard (0...15).contains(decision) else {
            throw ModelError(.invalidValue, "decision type \(decision)", at: block.location("decision_type"))
        }
        var node = ForestNode(feature: features[index], categorySet: -1, threshold: 0, left: 0, rule: .right)
        if decision & 1 == 1 {
            node.categorySet = try categorySet(index, &forest)
            return node
        }
        let isLeft = decision & 2 != 0
        switch decision >> 2 {
        case 0: node.rule = .zero
        case 1: node.rule = isLeft ? .zeroOrMissingLeft : .zeroOrMissingRight
        case 2: node.rule = isLeft ? .left : .right
        default: throw ModelError(.invalidValue, "decision type \(decision)", at: block.location("decision_type"))
        }
        guard thresholds[index] != .greatestFiniteMagnitude else {
            throw ModelError(.unsupported, "threshold is the largest number", at: block.location("threshold"))
        }
        node.threshold = thresholds[index].nextUp
        return node
    }

    private func categorySet(_ index: Int, _ forest: inout Forest) throws(ModelError) -> Int32 {
        guard let set = Int(exactly: thresholds[index]), set >= 0, set + 1 < categoryBounds.count else {
            throw ModelError(
                .indexOutOfRange, "category set \(thresholds[index])", at: block.location("threshold"))
        }
        let words = categoryWords[Int(categoryBounds[set])..<Int(categoryBounds[set + 1])]
        guard words.count * 32 <= limits.categoryCodeMax + 1 else {
            throw ModelError(
                .limitExceeded, "category set of \(words.count) words", at: block.location("cat_boundaries"))
        }
        var pairs = [UInt64](repeating: 0, count: (words.count + 1) / 2)
        for (position, word) in words.enumerated() { pairs[position / 2] |= UInt64(word) << UInt64(position % 2 * 32) }
        return try forest.categorySetIndex(CategorySet(words: pairs), limits: limits, location: block.name)
    }
}
