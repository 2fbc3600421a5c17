import Testing

@testable import Models

/// Contributions against the definition of Shapley values: a sum over all subsets of features.
struct ExactContributionsTests {
    /// A tree of one long path, `features` of which some come again, so that it needs several passes of quadrature.
    private static func forest(_ flavor: Forest.Flavor, features: [Int32], seed: UInt64) throws -> Forest {
        var random = SplitMix(state: seed)
        var forest = Forest(flavor: flavor, outputCount: 1, leafWidth: 1)
        var cover = 1_000_000.0
        try forest.appendTree(root: 0, group: 0, limits: .standard, location: "") {
            (reference, forest) throws(ModelError) in
            // Split i has the reference 2 i; its right child is a leaf.
            if reference % 2 == 1 || reference / 2 == features.count {
                forest.leafValues.append(Double.random(in: -1...1, using: &random))
                return .leaf(id: UInt32(reference), cover: reference % 2 == 1 ? cover / 3 : cover * 2 / 3)
            }
            if reference > 0 { cover *= 2 / 3.0 }
            let node = ForestNode(
                feature: features[reference / 2], categorySet: -1, threshold: Double.random(in: -1...1, using: &random),
                left: 0, rule: .left)
            return .split(node, left: reference + 2, right: reference + 1, cover: cover)
        }
        return forest
    }

    /// What the tree answers when only `known` features are known: the others go both ways, by weight.
    private static func answer(_ forest: Forest, _ row: [Double], known: Int, at index: Int = 0) -> Double {
        let node = forest.nodes[index]
        if node.isLeaf { return forest.leafValues[Int(node.left)] }
        let left = Int(node.left)
        if known >> Int(node.feature) & 1 == 1 {
            let way = forest.goesRight(node, row[Int(node.feature)]) ? 1 : 0
            return answer(forest, row, known: known, at: left + way)
        }
        return [left, left + 1].reduce(0) { sum, child in
            sum + forest.covers[child] / forest.covers[index] * answer(forest, row, known: known, at: child)
        }
    }

    /// Shapley values by their definition.
    private static func shapley(_ forest: Forest, _ row: [Double]) -> [Double] {
        let count = row.count
        let answers = (0..<(1 << count)).map { answer(forest, row, known: $0) }
        let factorials = (0...count).map { (0..<$0).reduce(1.0) { $0 * Double($1 + 1) } }
        return (0..<count).map { feature in
            answers.indices.filter { $0 >> feature & 1 == 0 }.reduce(0) { sum, subset in
                let size = subset.nonzeroBitCount
                let weight = factorials[size] * factorials[count - 1 - size] / factorials[count]
                return sum + weight * (answers[subset | 1 << feature] - answers[subset])
            }
        }
    }

    @Test(arguments: [Forest.Flavor.xgboost, .lightgbm], [UInt64(1), 2, 3])
    func longPathsMatchTheDefinition(_ flavor: Forest.Flavor, _ seed: UInt64) throws {
        let features: [Int32] = [0, 1, 2, 0, 3, 4, 5, 6, 1, 7, 8, 9, 0]
        let forest = try Self.forest(flavor, features: features, seed: seed)
        var random = SplitMix(state: seed + 100)
        let evaluator = ForestEvaluator(forest, featureCount: 10, base: [0.25])
        for _ in 0..<5 {
            // Float32 values, so that both flavours compare the same numbers; one is missing.
            var row = (0..<10).map { _ in Double(Float.random(in: -1...0.5, using: &random)) }
            row[Int.random(in: 0..<10, using: &random)] = .nan
            let got = try #require(evaluator.contributions(row))
            let wanted = Self.shapley(forest, row)
            #expect(zip(got, wanted).allSatisfy { abs($0 - $1) < 1e-12 })
            #expect(abs(got[10] - 0.25 - Self.answer(forest, row, known: 0)) < 1e-12)
        }
    }

    /// A file of a few bytes may declare many inputs and outputs; what they need together is not allocated.
    @Test(arguments: [(10, true), (5_000, false)])
    func manyNumbersAreNotComputed(_ featureCount: Int, _ isComputed: Bool) throws {
        var forest = Forest(flavor: .xgboost, outputCount: 1_000, leafWidth: 1)
        try forest.appendTree(root: 0, group: 0, limits: .standard, location: "") {
            (_, forest) throws(ModelError) in
            forest.leafValues.append(1)
            return .leaf(id: 0, cover: 1)
        }
        let model = Model(
            ModelParts(
                format: .xgboostJSON, objective: "multi:softprob",
                featureNames: ModelParts.generatedNames(featureCount), outputCount: 1_000, transform: .softmax32,
                categories: [[String]?](repeating: nil, count: featureCount), iterationCount: 1, bestIteration: nil,
                body: .forest(
                    ForestEvaluator(
                        forest, featureCount: featureCount, base: [Double](repeating: 0, count: 1_000)))))
        let row = [Double](repeating: 0, count: featureCount)
        #expect((model.contributions(row) != nil) == isComputed)
    }

    /// A rule of four points a pass integrates every power up to its degree.
    @Test(arguments: [1, 2, 5, 64])
    func quadratureIsExact(_ passCount: Int) {
        let passes = QuadraturePoints.passes(passCount)
        for power in [0, 1, 2, 5, 8 * passCount - 1] {
            var sum = 0.0
            for pass in passes {
                var powers = SIMD4<Double>(repeating: 1)
                for _ in 0..<power { powers *= pass.points }
                sum += (powers * pass.weights).sum()
            }
            #expect(abs(sum * Double(power + 1) - 1) < 1e-11, "degree \(power)")
        }
    }
}
