/// Exact path-dependent TreeSHAP (Lundberg, Erion, Lee, arXiv:1802.03888, algorithm 2) in the order of operations
/// LightGBM uses, so that its contributions are met bit for bit; for XGBoost the same in float64.
struct TreeContributions {
    /// One feature on the path from the root to the current node.
    private struct PathElement {
        var feature: Int32
        var zeroFraction: Double
        var oneFraction: Double
        var weight: Double
    }

    private let forest: Forest
    /// All paths, one behind the other: a child extends a copy of its parent's.
    private var paths: [PathElement] = []
    private var values: [Double]

    /// `[output][feature]` flat, with the bias as last element of each output; nil when the file tells no node weights.
    static func compute(_ forest: Forest, base: [Double], featureCount: Int, row: [Double]) -> [Double]? {
        var contributions = TreeContributions(forest: forest, outputCount: base.count, featureCount: featureCount)
        for output in base.indices { contributions.values[output * (featureCount + 1) + featureCount] = base[output] }
        for tree in forest.trees {
            let offset = tree.group * (featureCount + 1)
            guard let mean = contributions.expectedValue(tree) else { return nil }
            contributions.values[offset + featureCount] += mean
            if tree.leafCount == 1 { continue }
            contributions.paths.removeAll(keepingCapacity: true)
            contributions.visit(
                tree.firstNode, row: row, offset: offset, parent: 0, depth: 0, zeroFraction: 1, oneFraction: 1,
                feature: -1)
        }
        return contributions.values
    }

    private init(forest: Forest, outputCount: Int, featureCount: Int) {
        self.forest = forest
        values = [Double](repeating: 0, count: outputCount * (featureCount + 1))
    }

    /// The mean leaf value of a tree: LightGBM sums over its leaves in order, XGBoost averages upwards.
    private func expectedValue(_ tree: ForestTree) -> Double? {
        let nodes = tree.firstNode..<(tree.firstNode + tree.nodeCount)
        if tree.leafCount == 1 { return forest.leafValues[tree.firstLeaf] }
        guard nodes.allSatisfy({ forest.covers[$0] > 0 }) else { return nil }
        if forest.flavor == .xgboost { return mean(tree.firstNode) }
        var leaves = nodes.filter { forest.nodes[$0].isLeaf }
        leaves.sort { forest.leafIDs[Int(forest.nodes[$0].left)] < forest.leafIDs[Int(forest.nodes[$1].left)] }
        var sum = 0.0
        for leaf in leaves {
            sum += forest.covers[leaf] / forest.covers[tree.firstNode] * forest.leafValues[Int(forest.nodes[leaf].left)]
        }
        return sum
    }

    private func mean(_ index: Int) -> Double {
        let node = forest.nodes[index]
        if node.isLeaf { return forest.leafValues[Int(node.left)] }
        let (left, right) = (Int(node.left), Int(node.left) + 1)
        return (mean(left) * forest.covers[left] + mean(right) * forest.covers[right]) / forest.covers[index]
    }

    private mutating func visit(
        _ index: Int, row: [Double], offset: Int, parent: Int, depth: Int, zeroFraction: Double, oneFraction: Double,
        feature: Int32
    ) {
        // The path of this node: a copy of the parent's, extended.
        let start = parent + depth
        var depth = depth
        while paths.count < start + depth + 1 {
            paths.append(PathElement(feature: -1, zeroFraction: 0, oneFraction: 0, weight: 0))
        }
        for position in 0..<depth { paths[start + position] = paths[parent + position] }
        extend(start, depth, zeroFraction, oneFraction, feature)
        let node = forest.nodes[index]
        if node.isLeaf {
            let value = forest.leafValues[Int(node.left)]
            guard depth >= 1 else { return }
            for position in 1...depth {
                let element = paths[start + position]
                let weight = unwoundSum(start, depth, position)
                values[offset + Int(element.feature)] += weight * (element.oneFraction - element.zeroFraction) * value
            }
            return
        }
        let goesRight = forest.goesRight(node, row[Int(node.feature)])
        let hot = Int(node.left) + (goesRight ? 1 : 0)
        let cold = Int(node.left) + (goesRight ? 0 : 1)
        var incomingZero = 1.0
        var incomingOne = 1.0
        // A feature met before on the path: its earlier split is undone first.
        if let position = (0...depth).first(where: { paths[start + $0].feature == node.feature }) {
            incomingZero = paths[start + position].zeroFraction
            incomingOne = paths[start + position].oneFraction
            unwind(start, depth, position)
            depth -= 1
        }
        let cover = forest.covers[index]
        visit(
            hot, row: row, offset: offset, parent: start, depth: depth + 1,
            zeroFraction: forest.covers[hot] / cover * incomingZero, oneFraction: incomingOne, feature: node.feature)
        visit(
            cold, row: row, offset: offset, parent: start, depth: depth + 1,
            zeroFraction: forest.covers[cold] / cover * incomingZero, oneFraction: 0, feature: node.feature)
    }

    private mutating func extend(
        _ start: Int, _ depth: Int, _ zeroFraction: Double, _ oneFraction: Double, _ feature: Int32
    ) {
        paths[start + depth] = PathElement(
            feature: feature, zeroFraction: zeroFraction, oneFraction: oneFraction, weight: depth == 0 ? 1 : 0)
        let size = Double(depth + 1)
        for position in stride(from: depth - 1, through: 0, by: -1) {
            let weight = paths[start + position].weight
            paths[start + position + 1].weight += oneFraction * weight * Double(position + 1) / size
            paths[start + position].weight = zeroFraction * weight * Double(depth - position) / size
        }
    }

    private mutating func unwind(_ start: Int, _ depth: Int, _ removed: Int) {
        let one = paths[start + removed].oneFraction
        let zero = paths[start + removed].zeroFraction
        let size = Double(depth + 1)
        var next = paths[start + depth].weight
        for position in stride(from: depth - 1, through: 0, by: -1) {
            let weight = paths[start + position].weight
            if one != 0 {
                paths[start + position].weight = next * size / (Double(position + 1) * one)
                next = weight - paths[start + position].weight * zero * Double(depth - position) / size
            } else {
                paths[start + position].weight = weight * size / (zero * Double(depth - position))
            }
        }
        for position in removed..<depth {
            paths[start + position].feature = paths[start + position + 1].feature
            paths[start + position].zeroFraction = paths[start + position + 1].zeroFraction
            paths[start + position].oneFraction = paths[start + position + 1].oneFraction
        }
    }

    private func unwoundSum(_ start: Int, _ depth: Int, _ removed: Int) -> Double {
        let one = paths[start + removed].oneFraction
        let zero = paths[start + removed].zeroFraction
        let size = Double(depth + 1)
        var next = paths[start + depth].weight
        var total = 0.0
        for position in stride(from: depth - 1, through: 0, by: -1) {
            let weight = paths[start + position].weight
            if one != 0 {
                let part = next * size / (Double(position + 1) * one)
                total += part
                next = weight - part * zero * (Double(depth - position) / size)
            } else {
                total += (weight / zero) / (Double(depth - position) / size)
            }
        }
        return total
    }
}

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
