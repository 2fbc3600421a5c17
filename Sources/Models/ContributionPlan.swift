import Synchronization

/// A node of a forest as a walk for contributions reads it: all in half a cache line.
struct ContributionNode {
    /// The threshold of a split, the value of a leaf.
    var number: Double
    /// The share of its parent's training weight that reached it; of no meaning at a root.
    var ratio: Double
    /// -1 at a leaf.
    let feature: Int32
    /// First child of a split; the right child follows it.
    let left: Int32
    /// Index of the category set, or -1 at a numeric split.
    let categorySet: Int32
    /// Depth of the nearest node above on the path whose parent splits on the same feature; -1 without.
    var earlier: Int16 = -1
    /// Whether a missing value goes right, by the rules of XGBoost.
    let sendsMissingRight: Bool

    /// Whether it has no children.
    var isLeaf: Bool { feature < 0 }

    /// A node as the forest has it; ratio and earlier splits are not known yet.
    init(_ index: Int, of forest: Forest) {
        let node = forest.nodes[index]
        number = node.isLeaf ? forest.leafValues[Int(node.left)] : node.threshold
        ratio = 1
        feature = node.feature
        left = node.left
        categorySet = node.categorySet
        sendsMissingRight = node.rule == .right
    }
}

/// What contributions need of a forest beyond the row: made at the first request and kept, since many models are never
/// asked for any.
struct ContributionPlan: Sendable {
    /// The bias of each output: its start value and the mean of each of its trees, added in tree order.
    let bias: [Double]
    /// The nodes of the forest, in its order.
    let nodes: [ContributionNode]
    /// Trees to be walked together.
    let batches: [Batch]
    /// Deepest tree.
    let depth: Int

    /// Trees of one output that need equally many quadrature points.
    struct Batch: Sendable {
        /// The output that the trees are added to.
        let group: Int
        /// Points and weights, four to a pass over the trees.
        let points: [QuadraturePoints]
        /// Indices of the trees.
        var trees: [Int]
    }

    /// The plan of a forest of scalar leaves; nil when a tree is too deep or the file tells no node weights.
    init?(_ forest: Forest, base: [Double]) {
        depth = forest.trees.reduce(0) { max($0, $1.depth) }
        guard depth <= ModelLimits.standard.contributionDepthMax else { return nil }
        for tree in forest.trees where tree.leafCount > 1 {
            guard forest.covers[tree.nodes].allSatisfy({ $0 > 0 && $0.isFinite }) else { return nil }
        }
        var bias = base
        var paths = PathFeatures(forest)
        var batches: [Batch] = []
        for (index, tree) in forest.trees.enumerated() {
            bias[tree.group] += forest.expectedValue(tree)
            if tree.leafCount == 1 { continue }
            let passCount = (paths.scan(tree) + QuadraturePoints.degreesPerPass - 1) / QuadraturePoints.degreesPerPass
            if let batch = batches.firstIndex(where: { $0.group == tree.group && $0.points.count == passCount }) {
                batches[batch].trees.append(index)
            } else {
                // Points of equal number are the same for every output.
                let points =
                    batches.first { $0.points.count == passCount }?.points ?? QuadraturePoints.passes(passCount)
                batches.append(Batch(group: tree.group, points: points, trees: [index]))
            }
        }
        self.bias = bias
        self.batches = batches
        nodes = paths.nodes
    }
}

/// Makes the nodes of a plan, and finds on each path of a tree where a feature is met again.
private struct PathFeatures {
    private let forest: Forest
    /// All nodes of the forest.
    private(set) var nodes: [ContributionNode]
    /// Per feature the deepest node of the current path whose parent splits on it; -1 without.
    private var deepest: [Int16]
    /// The most different features on one path of the tree that is scanned.
    private var distinctMax = 0

    init(_ forest: Forest) {
        self.forest = forest
        nodes = forest.nodes.indices.map { ContributionNode($0, of: forest) }
        deepest = [Int16](repeating: -1, count: Int(forest.nodes.reduce(0) { max($0, $1.feature) }) + 1)
    }

    /// Completes the nodes of a tree; the most different features on one of its paths.
    mutating func scan(_ tree: ForestTree) -> Int {
        distinctMax = 0
        visit(tree.firstNode, depth: 0, distinct: 0)
        return distinctMax
    }

    /// Goes down from a node whose path splits on `distinct` different features.
    private mutating func visit(_ index: Int, depth: Int16, distinct: Int) {
        let node = nodes[index]
        if node.isLeaf {
            distinctMax = max(distinctMax, distinct)
            return
        }
        let feature = Int(node.feature)
        let above = deepest[feature]
        nodes[index].earlier = above
        deepest[feature] = depth + 1
        for child in Int(node.left)...(Int(node.left) + 1) {
            nodes[child].ratio = forest.covers[child] / forest.covers[index]
            visit(child, depth: depth + 1, distinct: above < 0 ? distinct + 1 : distinct)
        }
        deepest[feature] = above
    }
}

extension ForestTree {
    /// Its nodes among those of the forest.
    var nodes: Range<Int> { firstNode..<(firstNode + nodeCount) }
}

extension Forest {
    /// The mean leaf value of a tree, weighted by covers: LightGBM sums over its leaves in order, XGBoost averages upwards.
    fileprivate func expectedValue(_ tree: ForestTree) -> Double {
        if tree.leafCount == 1 { return leafValues[tree.firstLeaf] }
        if flavor == .lightgbm {
            var leaves = tree.nodes.filter { nodes[$0].isLeaf }
            leaves.sort { leafIDs[Int(nodes[$0].left)] < leafIDs[Int(nodes[$1].left)] }
            return leaves.reduce(0) { sum, leaf in
                sum + covers[leaf] / covers[tree.firstNode] * leafValues[Int(nodes[leaf].left)]
            }
        }
        // Children stand behind their parents.
        var means = [Double](repeating: 0, count: tree.nodeCount)
        for index in tree.nodes.reversed() {
            let node = nodes[index]
            if node.isLeaf {
                means[index - tree.firstNode] = leafValues[Int(node.left)]
            } else {
                let (left, right) = (Int(node.left), Int(node.left) + 1)
                let sum =
                    means[left - tree.firstNode] * covers[left] + means[right - tree.firstNode] * covers[right]
                means[index - tree.firstNode] = sum / covers[index]
            }
        }
        return means[0]
    }
}

/// A contribution plan that is made when first asked for.
final class LazyContributionPlan: Sendable {
    private enum State {
        case unasked
        case made(ContributionPlan?)
    }

    private let state = Mutex(State.unasked)

    /// The plan of `forest`, which is the same at every call; nil where contributions are not supported.
    func plan(_ forest: Forest, base: [Double]) -> ContributionPlan? {
        state.withLock { state in
            if case .made(let plan) = state { return plan }
            let plan = ContributionPlan(forest, base: base)
            state = .made(plan)
            return plan
        }
    }
}
