extension Model {
    /// Working memory for this model, for one thread.
    public func makePrediction() -> Prediction {
        var kernelBytes = 0
        var trees = 0
        var cells: [Double] = []
        switch body {
        case .forest(let evaluator):
            kernelBytes = evaluator.kernel.scratchByteCount
            trees = evaluator.kernel.paddedTreeCount
        case .graph(let program):
            kernelBytes = program.kernelByteCount
            trees = program.paddedTreeCount
            cells = program.cells
        case .boostedLinear, .linear, .scorecard: break
        }
        return Prediction(
            marginCount: outputCount, valueCount: predictionCount,
            scratch: PredictionScratch(kernelByteCount: kernelBytes, paddedTreeCount: trees, cells: cells))
    }

    /// Predicts one row of `featureCount` values. `prediction` comes from this model's `makePrediction()`.
    public func predict(_ row: UnsafeBufferPointer<Double>, into prediction: inout Prediction) {
        precondition(row.count == featureCount, "a row has one value per feature")
        precondition(prediction.margin.count == outputCount, "the prediction belongs to another model")
        switch body {
        case .forest(let evaluator):
            guard let base = Self.base(row, prediction.scratch) else { return }
            evaluator.evaluate(base, prediction.scratch, &prediction.margin)
            if let count = evaluator.averageOver {
                for output in 0..<outputCount {
                    prediction.averages[output] = prediction.margin[output] / Double(count)
                }
                transform.apply(prediction.averages, into: &prediction.values)
                return
            }
        case .boostedLinear(let model):
            model.evaluate(row, &prediction.margin)
        case .linear(let model):
            model.evaluate(row, &prediction.margin)
        case .scorecard(let scorecard):
            prediction.points = scorecard.score(row)
            prediction.margin[0] = scorecard.margin(score: prediction.points)
        case .graph(let program):
            program.evaluate(row, prediction.scratch, &prediction.margin)
        }
        transform.apply(prediction.margin, into: &prediction.values)
    }

    /// Predicts one row held in an array.
    public func predict(_ row: [Double], into prediction: inout Prediction) {
        row.withUnsafeBufferPointer { predict($0, into: &prediction) }
    }

    /// A row of no features has no address; any valid one serves, since nothing is read.
    private static func base(
        _ row: UnsafeBufferPointer<Double>, _ scratch: PredictionScratch
    ) -> UnsafePointer<Double>? {
        row.baseAddress ?? UnsafePointer(scratch.base.assumingMemoryBound(to: Double.self))
    }

    /// Predicts rows stored one after the other (`rows.count` is a multiple of `featureCount`); bit for bit what single
    /// predictions give.
    /// - Parameters:
    ///   - margins: receives `outputCount` values per row.
    ///   - values: receives `predictionCount` values per row.
    ///   - prediction: working memory; afterwards it holds the last row's result.
    public func predictBatch(
        _ rows: UnsafeBufferPointer<Double>, using prediction: inout Prediction,
        margins: UnsafeMutableBufferPointer<Double>, values: UnsafeMutableBufferPointer<Double>
    ) {
        precondition(featureCount > 0 && rows.count % featureCount == 0, "rows are whole")
        precondition(prediction.margin.count == outputCount, "the prediction belongs to another model")
        let count = rows.count / featureCount
        precondition(margins.count == count * outputCount, "margins has outputCount values per row")
        precondition(values.count == count * predictionCount, "values has predictionCount values per row")
        guard case .forest(let evaluator) = body else {
            for index in 0..<count {
                let row = UnsafeBufferPointer(rebasing: rows[(index * featureCount)..<((index + 1) * featureCount)])
                predict(row, into: &prediction)
                for output in 0..<outputCount { margins[index * outputCount + output] = prediction.margin[output] }
                for value in 0..<predictionCount { values[index * predictionCount + value] = prediction.values[value] }
            }
            return
        }
        guard count > 0, let start = rows.baseAddress, let target = margins.baseAddress else { return }
        evaluator.evaluate(rows: start, count: count, prediction.scratch, target)
        let divisor = Double(evaluator.averageOver ?? 1)
        for index in 0..<count {
            for output in 0..<outputCount {
                prediction.margin[output] = margins[index * outputCount + output]
                prediction.averages[output] = prediction.margin[output] / divisor
            }
            transform.apply(prediction.averages, into: &prediction.values)
            for value in 0..<predictionCount { values[index * predictionCount + value] = prediction.values[value] }
        }
    }

    /// The leaf each tree sends the row to, in file order: XGBoost node id, LightGBM leaf index; nil for other
    /// formats.
    public func leafIndices(_ row: [Double], using prediction: inout Prediction) -> [UInt32]? {
        precondition(row.count == featureCount, "a row has one value per feature")
        guard case .forest(let evaluator) = body else { return nil }
        return row.withUnsafeBufferPointer { row in
            guard let base = Self.base(row, prediction.scratch) else { return [] }
            return evaluator.leafIDs(base, prediction.scratch)
        }
    }
}
