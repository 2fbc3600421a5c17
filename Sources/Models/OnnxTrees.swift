/// A tree ensemble of a graph: sums of leaf values per output, by the kernels.
struct OnnxTrees: Sendable {
    let evaluator: ForestEvaluator
    /// Number of trees where the mean is wanted, 1 for sums.
    let divisor: Float
    /// Added at the end; empty or one per output.
    let bases: [Float]

    var outputCount: Int { evaluator.base.count }

    /// Sums of a row of contiguous values into the cells from `target`. The order is that of ONNX Runtime on one thread:
    /// trees in file order from 0, then the division, then the base value.
    func evaluate(
        _ row: UnsafePointer<Double>, _ scratch: PredictionScratch, _ target: UnsafeMutablePointer<Double>
    ) {
        let forest = evaluator.forest
        let floats = scratch.floats
        for output in 0..<outputCount { floats[output] = 0 }
        if forest.leafWidth == 1 {
            evaluator.kernel.add(row, scratch: scratch.base, outputs: floats)
        } else {
            evaluator.kernel.positions(row, scratch: scratch.base, into: scratch.positions)
            for tree in forest.trees.indices {
                let leaf = Int(evaluator.kernel.positionLeaves[Int(scratch.positions[tree])])
                for output in 0..<outputCount {
                    floats[output] += Float(forest.leafValues[leaf * forest.leafWidth + output])
                }
            }
        }
        for output in 0..<outputCount {
            var sum = floats[output]
            if divisor != 1 { sum /= divisor }
            if !bases.isEmpty { sum += bases[output] }
            target[output] = Double(sum)
        }
    }
}

/// From sums to the scores of a classifier, as `write_scores` of ONNX Runtime.
enum OnnxScores: Sendable {
    case none
    case logistic
    /// The logistic function of linear models.
    case sigmoid
    case softmax
    /// One sum for two classes, all weights positive: the sum is the probability of the second class.
    case complement
    /// One sum for two classes: its logistic function and that of its negative.
    case bothLogistic
    /// One sum for two classes: the negative of the sum and the sum.
    case bothSigns

    func apply(_ from: [Int32], _ cells: UnsafeMutablePointer<Double>, _ to: Int) {
        func score(_ index: Int) -> Float { Float(cells[Int(from[index])]) }
        switch self {
        case .none:
            for index in from.indices { cells[to + index] = Double(score(index)) }
        case .logistic:
            for index in from.indices { cells[to + index] = Double(OnnxArithmetic.logistic(score(index))) }
        case .sigmoid:
            for index in from.indices { cells[to + index] = Double(OnnxArithmetic.sigmoid(score(index))) }
        case .softmax:
            OnnxStep.softmaxGroup(.float32, from[...], cells, to)
        case .complement:
            cells[to] = Double(1 - score(0))
            cells[to + 1] = Double(score(0))
        case .bothLogistic:
            cells[to] = Double(OnnxArithmetic.logistic(-score(0)))
            cells[to + 1] = Double(OnnxArithmetic.logistic(score(0)))
        case .bothSigns:
            cells[to] = Double(-score(0))
            cells[to + 1] = Double(score(0))
        }
    }
}
