/// Exact path-dependent SHAP values by quadrature (Linear TreeSHAP, arXiv:2209.08192, in the form of an integral).
///
/// A leaf of value v whose path splits on k different features adds `v * (o - z) * W` to each of them: `o` is 1 where the
/// row satisfies every split of the path on that feature and 0 elsewhere, `z` is the product of those splits' ratios of
/// training weight, and W weighs the subsets of the other features. With the Shapley weights written as integrals,
///
///     W = integral over t in 0...1 of the product over the others j of (o_j * t + z_j * (1 - t)),
///
/// a polynomial of degree k - 1, which a Gauss-Legendre rule of k / 2 points integrates without error but rounding. All
/// factors are positive, so nothing cancels. The product P belongs to a path and is carried down; sums over leaves are
/// carried up, and each edge adds for all leaves below it at once: time is linear in nodes, four points at a time.
struct QuadratureContributions {
    /// One edge of the current path.
    private struct Edge {
        /// One over the factor of the edge's feature down to here; of meaning on edges that the row takes.
        var inverse: SIMD4<Double>
        /// Product of the ratios of the feature's edges down to here.
        var share: Double
        /// Whether the row takes this edge and every one above it of the same feature.
        var isTaken: Bool
    }

    /// For categorical splits.
    private let forest: Forest
    /// Of the plan.
    private let nodes: UnsafePointer<ContributionNode>
    /// The inputs, rounded to float32.
    private let row: UnsafePointer<Double>
    /// By depth; the root has none.
    private let edges: UnsafeMutablePointer<Edge>
    /// Per feature, still to be weighted: sums over edges that the row takes, and that it does not take.
    private let taken: UnsafeMutablePointer<SIMD4<Double>>
    private let missed: UnsafeMutablePointer<SIMD4<Double>>
    /// Four points t of the rule, and 1 - t.
    private let points: SIMD4<Double>
    private let complements: SIMD4<Double>

    /// Adds the contributions of all trees to `values`, which is laid out as `Model.contributions` tells.
    static func add(
        _ plan: ContributionPlan, _ forest: Forest, featureCount: Int, row: [Double], to values: inout [Double]
    ) {
        // Inputs are compared as the float32 numbers that the library sees.
        let rounded = row.map { Double(Float($0)) }
        let edges = UnsafeMutablePointer<Edge>.allocate(capacity: plan.depth + 1)
        let sums = UnsafeMutablePointer<SIMD4<Double>>.allocate(capacity: 2 * featureCount)
        defer {
            edges.deallocate()
            sums.deallocate()
        }
        plan.nodes.withUnsafeBufferPointer { nodes in
            rounded.withUnsafeBufferPointer { row in
                // A forest with splits has features, so that no address is missing.
                guard let nodes = nodes.baseAddress, let row = row.baseAddress else { return }
                for batch in plan.batches {
                    for points in batch.points {
                        sums.initialize(repeating: .zero, count: 2 * featureCount)
                        let walk = QuadratureContributions(
                            forest: forest, nodes: nodes, row: row, edges: edges, taken: sums,
                            missed: sums + featureCount, points: points.points, complements: points.complements)
                        for tree in batch.trees { _ = walk.visit(forest.trees[tree].firstNode, 0, .one) }
                        walk.finish(points, featureCount, &values, at: batch.group * (featureCount + 1))
                    }
                }
            }
        }
    }

    /// Weights the sums over the trees and adds them to `values` from `start` on.
    private func finish(_ points: QuadraturePoints, _ featureCount: Int, _ values: inout [Double], at start: Int) {
        // An edge that is not taken has the factor z (1 - t) and o - z = -z, so that z itself falls out.
        let weights = points.weights / points.complements
        for feature in 0..<featureCount {
            values[start + feature] += (taken[feature] * points.weights - missed[feature] * weights).sum()
        }
    }

    /// The sum over the leaves below a split of value times product of factors; `product` is that of the path so far.
    private func visit(_ index: Int, _ depth: Int, _ product: SIMD4<Double>) -> SIMD4<Double> {
        let node = nodes[index]
        let feature = Int(node.feature)
        let way = goesRight(index, node)
        let (hot, cold) = (Int(node.left) &+ way, Int(node.left) &+ 1 &- way)
        let depth = depth &+ 1
        let above = Int(node.earlier)
        guard above >= 0 else {
            let below = take(hot, depth, product, feature, share: nodes[hot].ratio)
            return below + miss(cold, depth, product, feature, share: nodes[cold].ratio)
        }
        let (share, inverse) = (edges[above].share, edges[above].inverse)
        guard edges[above].isTaken else {
            // Both children are below the same edge that is not taken, which adds for them all.
            edges[depth].isTaken = false
            return descend(hot, depth, product * nodes[hot].ratio) + descend(cold, depth, product * nodes[cold].ratio)
        }
        // From here on the feature's factor is another: the edge above must not add for the leaves below.
        let others = product * inverse
        let below = take(hot, depth, others, feature, share: share * nodes[hot].ratio)
        let sum = below + miss(cold, depth, others, feature, share: share * nodes[cold].ratio)
        taken[feature] -= sum * (inverse * (1 - share))
        return sum
    }

    /// Goes down an edge that the row takes; `others` is the product of the other features' factors.
    @inline(__always)
    private func take(
        _ index: Int, _ depth: Int, _ others: SIMD4<Double>, _ feature: Int, share: Double
    ) -> SIMD4<Double> {
        let factor = points + complements * share
        if nodes[index].isLeaf {
            let part = others * nodes[index].number
            taken[feature] += part * (1 - share)
            return part * factor
        }
        let inverse = 1 / factor
        edges[depth] = Edge(inverse: inverse, share: share, isTaken: true)
        let sum = visit(index, depth, others * factor)
        taken[feature] += sum * (inverse * (1 - share))
        return sum
    }

    /// Goes down an edge that the row does not take.
    @inline(__always)
    private func miss(
        _ index: Int, _ depth: Int, _ others: SIMD4<Double>, _ feature: Int, share: Double
    ) -> SIMD4<Double> {
        edges[depth].isTaken = false
        let sum = descend(index, depth, others * (complements * share))
        missed[feature] += sum
        return sum
    }

    /// `visit`, of a leaf too.
    @inline(__always)
    private func descend(_ index: Int, _ depth: Int, _ product: SIMD4<Double>) -> SIMD4<Double> {
        if nodes[index].isLeaf { return product * nodes[index].number }
        return visit(index, depth, product)
    }

    /// 1 where the row goes right at a split, else 0; without a branch, which would be guessed wrong half of the time.
    @inline(__always)
    private func goesRight(_ index: Int, _ node: ContributionNode) -> Int {
        let x = row[Int(node.feature)]
        guard node.categorySet < 0 else { return forest.goesRight(forest.nodes[index], x) ? 1 : 0 }
        // Thresholds are numbers, so that the first comparison fails for NaN.
        let isMissing = x.isNaN ? 1 : 0
        return (x >= node.number ? 1 : 0) | (isMissing & (node.sendsMissingRight ? 1 : 0))
    }
}
