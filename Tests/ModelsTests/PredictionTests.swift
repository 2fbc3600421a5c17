import Foundation
import JSON
import Testing

@testable import Models

@Suite(.enabled(if: SharedData.isPresent, "the shared data directory is absent"))
struct PredictionTests {
    /// The golden inputs of a set.
    static func inputs(_ golden: String) throws -> [[Double]] {
        let tree = try SharedData.json("data/models/" + golden)
        return (tree["rows"]?.array ?? []).map { ($0["x"]?.array ?? []).map { $0.double ?? .nan } }
    }

    /// All layouts and instruction sets give the same leaves and the same bits, in batches too.
    @Test(arguments: GoldenSet.all.filter { !$0.name.hasPrefix("skl") })
    func layoutsAgree(_ set: GoldenSet) throws {
        let model = try set.load(set.files[0])
        guard case .forest(let original) = model.body, original.forest.linearLeaves == nil else { return }
        let rows = try Array(Self.inputs(set.golden).prefix(101))
        let flat = rows.flatMap { $0 }
        var wanted: [(leaves: [UInt32], margins: [Double])] = []
        let usable = TreeInstructionSet.allCases.filter { $0.rawValue <= TreeInstructionSet.best.rawValue }
        for instructionSet in usable {
            for layout in TreeLayout.allCases {
                let evaluator = ForestEvaluator(
                    original.forest, featureCount: original.featureCount, base: original.base, layout: layout,
                    instructionSet: instructionSet)
                let scratch = PredictionScratch(
                    kernelByteCount: evaluator.kernel.scratchByteCount,
                    paddedTreeCount: evaluator.kernel.paddedTreeCount)
                var results: [(leaves: [UInt32], margins: [Double])] = []
                var margin = [Double](repeating: 0, count: model.outputCount)
                for row in rows {
                    row.withUnsafeBufferPointer { row in
                        guard let base = row.baseAddress else { return }
                        evaluator.evaluate(base, scratch, &margin)
                        results.append((evaluator.leafIDs(base, scratch), margin))
                    }
                }
                if wanted.isEmpty { wanted = results }
                #expect(results.elementsEqual(wanted, by: ==), "\(layout) \(instructionSet)")
                var batch = [Double](repeating: 0, count: rows.count * model.outputCount)
                flat.withUnsafeBufferPointer { flat in
                    batch.withUnsafeMutableBufferPointer { target in
                        guard let base = flat.baseAddress, let target = target.baseAddress else { return }
                        evaluator.evaluate(rows: base, count: rows.count, scratch, target)
                    }
                }
                #expect(batch == wanted.flatMap(\.margins), "batch \(layout) \(instructionSet)")
            }
        }
    }

    @Test(arguments: GoldenSet.all)
    func batchEqualsSingle(_ set: GoldenSet) throws {
        let model = try set.load(set.files[0])
        let rows = try Self.inputs(set.golden)
        var prediction = model.makePrediction()
        var margins = [Double](repeating: -1, count: rows.count * model.outputCount)
        var values = [Double](repeating: -1, count: rows.count * model.predictionCount)
        rows.flatMap { $0 }.withUnsafeBufferPointer { flat in
            margins.withUnsafeMutableBufferPointer { margins in
                values.withUnsafeMutableBufferPointer { values in
                    model.predictBatch(flat, using: &prediction, margins: margins, values: values)
                }
            }
        }
        var singleMargins: [Double] = []
        var singleValues: [Double] = []
        for row in rows {
            model.predict(row, into: &prediction)
            singleMargins += prediction.margin
            singleValues += prediction.values
        }
        #expect(margins == singleMargins)
        #expect(values == singleValues)
    }

    /// Rows made of extreme and random values: every layout finds the leaf that a plain walk of the tree finds.
    @Test(arguments: GoldenSet.all.filter { !$0.name.contains("500") && !$0.name.hasPrefix("skl") })
    func extremeInputsFollowThePlainWalk(_ set: GoldenSet) throws {
        let model = try set.load(set.files[0])
        guard case .forest(let original) = model.body else { return }
        var random = SplitMix(state: 7)
        let thresholds = original.forest.nodes.filter { !$0.isLeaf }.map(\.threshold) + [0]
        let special = [
            .nan, .infinity, -.infinity, 0, -0.0, 1e300, -1e300, 1e-36, -1e-36, -0.5, 0.5, 1, 2, 1e10, 16_777_216,
        ]
        for layout in TreeLayout.allCases {
            let evaluator = ForestEvaluator(
                original.forest, featureCount: original.featureCount, base: original.base, layout: layout)
            let scratch = PredictionScratch(
                kernelByteCount: evaluator.kernel.scratchByteCount, paddedTreeCount: evaluator.kernel.paddedTreeCount)
            for _ in 0..<40 {
                let row = (0..<model.featureCount).map { _ in
                    switch random.next() % 3 {
                    case 0: special.randomElement(using: &random) ?? 0
                    case 1: thresholds.randomElement(using: &random) ?? 0
                    default: (thresholds.randomElement(using: &random) ?? 0).nextDown
                    }
                }
                let leaves = evaluator.leafIDs(row, scratch)
                #expect(leaves == PlainWalk.leaves(original.forest, row), "\(layout) \(row)")
            }
        }
    }

    @Test func scoresOfServedFeatures() throws {
        let lines = try String(decoding: SharedData.bytes("data/features/score_at.csv"), as: UTF8.self)
            .split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        let columns = Dictionary(uniqueKeysWithValues: lines[0].enumerated().map { ($1, $0) })
        #expect(lines.count == 501)
        let files = [
            "xgb3_retail_repurchase": "xgboost/xgb3_retail_repurchase.json",
            "lgb4_retail_repurchase": "lightgbm/lgb4_retail_repurchase.txt",
            "skl_retail_scorecard": "sklearn/skl_retail_scorecard.json",
        ]
        for (name, file) in files {
            let model = try Model.load(SharedData.bytes("data/models/" + file))
            let inputs = try model.featureNames.map { try #require(columns[$0]) }
            let margin = try #require(columns[name + "_margin"])
            let value = try #require(columns[name + "_pred"])
            var prediction = model.makePrediction()
            for line in lines.dropFirst() {
                model.predict(inputs.map { Double(line[$0]) ?? .nan }, into: &prediction)
                if model.outputWidth == .float32 {
                    #expect(Float(prediction.margin[0]) == Float(line[margin]))
                    #expect(Float(prediction.values[0]) == Float(line[value]))
                } else {
                    #expect(prediction.margin[0] == Double(line[margin]))
                    let wanted = try #require(Double(line[value]))
                    // The scorecard's recorded probability comes from a vector exp: last bit only.
                    let slack = model.format == .scorecard ? 2 * wanted.ulp : 0
                    #expect(abs(prediction.values[0] - wanted) <= slack)
                }
                guard model.format == .scorecard else { continue }
                // The recorded score is rounded, the sum of decimal points is not.
                let scoreColumn = try #require(columns[name + "_score"])
                let score = try #require(Double(line[scoreColumn]))
                #expect(abs(prediction.points - score) < 1e-9)
                let parts = try #require(model.partialPoints(inputs.map { Double(line[$0]) ?? .nan }))
                let total = parts.reduce(488.6) { $0 + $1.points }
                #expect(total == prediction.points)
            }
        }
    }

    @Test func iterationsAreChosen() throws {
        let bytes = try SharedData.bytes("data/models/xgboost/xgb3_early_stop.json")
        #expect(try Model.load(bytes).treeCount == 17)
        #expect(try Model.load(bytes, iterations: .best).treeCount == 7)
        #expect(try Model.load(bytes, iterations: .range(2..<5)).treeCount == 3)
        #expect(try Model.load(bytes).bestIteration == 6)
        #expect(throws: ModelError.self) { try Model.load(bytes, iterations: .range(0..<18)) }
    }

    @Test func categoriesComeFromTheFile() throws {
        for file in ["xgboost/xgb3_cat_pandas.ubj", "lightgbm/lgb4_cat_pandas.txt"] {
            let model = try Model.load(SharedData.bytes("data/models/" + file))
            let contract = try #require(model.featureNames.firstIndex(of: "Contract"))
            #expect(model.categories[contract] == ["Month-to-month", "One year", "Two year"], "\(file)")
            let tenure = try #require(model.featureNames.firstIndex(of: "tenure"))
            #expect(model.categories[tenure] == nil)
        }
    }

    @Test func namesAreGenerated() throws {
        let model = try Model.load(SharedData.bytes("data/models/xgboost/xgb3_no_feature_names.json"))
        #expect(model.featureNames.first == "f0" && model.featureNames.last == "f19")
    }
}

/// The decision rules of the two libraries, written out once more without any encoding.
enum PlainWalk {
    static func leaves(_ forest: Forest, _ row: [Double]) -> [UInt32] {
        forest.trees.map { tree in
            var node = forest.nodes[tree.firstNode]
            while !node.isLeaf {
                node = forest.nodes[Int(node.left) + (goesRight(forest, node, row[Int(node.feature)]) ? 1 : 0)]
            }
            return forest.leafIDs[Int(node.left)]
        }
    }

    private static func goesRight(_ forest: Forest, _ node: ForestNode, _ input: Double) -> Bool {
        var x = input
        if forest.flavor == .xgboost { x = Double(Float(x)) }
        if node.categorySet >= 0 {
            if x.isNaN { return node.rule == .right }
            let set = forest.categorySets[Int(node.categorySet)]
            switch forest.flavor {
            case .xgboost: return x >= 0 && x < 16_777_216 && set.contains(Int(x))
            case .lightgbm: return !(x > -1 && x < 2_147_483_648 && set.contains(Int(x)))
            }
        }
        switch node.rule {
        case .left where x.isNaN: return false
        case .right where x.isNaN: return true
        case .zero where x.isNaN: x = 0
        case .zeroOrMissingLeft where x.isNaN || abs(x) <= Double(Float(1e-35)): return false
        case .zeroOrMissingRight where x.isNaN || abs(x) <= Double(Float(1e-35)): return true
        default: break
        }
        // LightGBM's threshold is one step below the stored one.
        if forest.flavor == .xgboost { return x >= node.threshold }
        return !(x <= node.threshold.nextDown || node.threshold == .infinity)
    }
}
