/// Exact path-dependent TreeSHAP (Lundberg, Erion, Lee, arXiv:1802.03888, algorithm 2) in the order of operations
/// LightGBM uses, so that its contributions are met bit for bit.
struct UnwoundContributions {
    /// One feature on the path from the root to the current node.
    private struct PathElement {
        var feature: Int32
        var zeroFraction: Double
        var oneFraction: Double
        var weight: Double
    }

    /// For the decisions of splits.
    private let forest: Forest
    /// Of the plan.
    private let nodes: UnsafePointer<ContributionNode>
    private let row: UnsafePointer<Double>
    /// The sums of the output that the tree belongs to, by feature.
    private let values: UnsafeMutablePointer<Double>

    /// Adds the contributions of all trees to `values`, which is laid out as `Model.contributions` tells.
    static func add(
        _ plan: ContributionPlan, _ forest: Forest, featureCount: Int, row: [Double], to values: inout [Double]
    ) {
        // A child extends a copy of its parent's path: paths of 1, 2, ... elements lie one behind the other.
        let capacity = (plan.depth + 2) * (plan.depth + 3) / 2
        let paths = UnsafeMutablePointer<PathElement>.allocate(capacity: capacity)
        defer { paths.deallocate() }
        plan.nodes.withUnsafeBufferPointer { nodes in
            row.withUnsafeBufferPointer { row in
                values.withUnsafeMutableBufferPointer { values in
                    // A forest with splits has features, so that no address is missing.
                    guard let nodes = nodes.baseAddress, let row = row.baseAddress, let values = values.baseAddress
                    else { return }
                    for tree in forest.trees where tree.leafCount > 1 {
                        let walk = UnwoundContributions(
                            forest: forest, nodes: nodes, row: row,
                            values: values + tree.group * (featureCount + 1))
                        walk.visit(
                            tree.firstNode, parent: paths, path: paths, depth: 0, zeroFraction: 1, oneFraction: 1,
                            feature: -1)
                    }
                }
            }
        }
    }

    /// Adds what the leaves below a node contribute. `path` has room for its own path, which extends the `depth` elements
    /// of `parent`.
    private func visit(
        _ index: Int, parent: UnsafeMutablePointer<PathElement>, path: UnsafeMutablePointer<PathElement>, depth: Int,
        zeroFraction: Double, oneFraction: Double, feature: Int32
    ) {
        if depth > 0 { path.update(from: parent, count: depth) }
        Self.extend(path, depth, zeroFraction, oneFraction, feature)
        let node = nodes[index]
        if node.isLeaf {
            addLeaf(node.number, path, depth)
            return
        }
        let goesRight = forest.goesRight(forest.nodes[index], row[Int(node.feature)])
        let hot = Int(node.left) + (goesRight ? 1 : 0)
        let cold = Int(node.left) + (goesRight ? 0 : 1)
        var depth = depth
        var incomingZero = 1.0
        var incomingOne = 1.0
        // A feature met before on the path: its earlier split is undone first.
        if let position = (0...depth).first(where: { path[$0].feature == node.feature }) {
            incomingZero = path[position].zeroFraction
            incomingOne = path[position].oneFraction
            Self.unwind(path, depth, position)
            depth -= 1
        }
        let next = path + depth + 1
        visit(
            hot, parent: path, path: next, depth: depth + 1, zeroFraction: nodes[hot].ratio * incomingZero,
            oneFraction: incomingOne, feature: node.feature)
        visit(
            cold, parent: path, path: next, depth: depth + 1, zeroFraction: nodes[cold].ratio * incomingZero,
            oneFraction: 0, feature: node.feature)
    }

    /// Adds what one leaf contributes to the features of its path.
    private func addLeaf(_ value: Double, _ path: UnsafeMutablePointer<PathElement>, _ depth: Int) {
        for position in stride(from: 1, through: depth, by: 1) {
            let element = path[position]
            let weight = Self.unwoundSum(path, depth, position)
            values[Int(element.feature)] += weight * (element.oneFraction - element.zeroFraction) * value
        }
    }

    /// EXTEND of the paper: one more feature on the path.
    private static func extend(
        _ path: UnsafeMutablePointer<PathElement>, _ depth: Int, _ zeroFraction: Double, _ oneFraction: Double,
        _ feature: Int32
    ) {
        (path + depth).initialize(
            to: PathElement(
                feature: feature, zeroFraction: zeroFraction, oneFraction: oneFraction, weight: depth == 0 ? 1 : 0))
        let size = Double(depth + 1)
        for position in stride(from: depth - 1, through: 0, by: -1) {
            let weight = path[position].weight
            path[position + 1].weight += oneFraction * weight * Double(position + 1) / size
            path[position].weight = zeroFraction * weight * Double(depth - position) / size
        }
    }

    /// UNWIND of the paper: undoes `extend` for one feature.
    private static func unwind(_ path: UnsafeMutablePointer<PathElement>, _ depth: Int, _ removed: Int) {
        let one = path[removed].oneFraction
        let zero = path[removed].zeroFraction
        let size = Double(depth + 1)
        var next = path[depth].weight
        for position in stride(from: depth - 1, through: 0, by: -1) {
            let weight = path[position].weight
            if one != 0 {
                path[position].weight = next * size / (Double(position + 1) * one)
                next = weight - path[position].weight * zero * Double(depth - position) / size
            } else {
                path[position].weight = weight * size / (zero * Double(depth - position))
            }
        }
        for position in removed..<depth {
            path[position].feature = path[position + 1].feature
            path[position].zeroFraction = path[position + 1].zeroFraction
            path[position].oneFraction = path[position + 1].oneFraction
        }
    }

    /// The sum of the weights that `unwind` would leave.
    private static func unwoundSum(_ path: UnsafeMutablePointer<PathElement>, _ depth: Int, _ removed: Int) -> Double {
        let one = path[removed].oneFraction
        let zero = path[removed].zeroFraction
        let size = Double(depth + 1)
        var next = path[depth].weight
        var total = 0.0
        for position in stride(from: depth - 1, through: 0, by: -1) {
            let weight = path[position].weight
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
