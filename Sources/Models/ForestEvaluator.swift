import CTreeKernel

/// A checked forest, its kernel layout and the start values of its outputs.
struct ForestEvaluator: Sendable {
    /// The canonical form, kept for leaf ids and contributions.
    let forest: Forest
    let kernel: TreeKernel
    let featureCount: Int
    /// Start value per output, in margin space; float32 values for XGBoost.
    let base: [Double]
    /// LightGBM random forests: the transform sees the sum divided by this.
    let averageOver: Int?
    /// What contributions need.
    let contributionPlan = LazyContributionPlan()

    init(
        _ forest: Forest, featureCount: Int, base: [Double], averageOver: Int? = nil, layout: TreeLayout? = nil,
        instructionSet: TreeInstructionSet = .best
    ) {
        self.forest = forest
        self.featureCount = featureCount
        self.base = base
        self.averageOver = averageOver
        kernel = TreeKernel(
            TreeKernelArrays(forest, layout: layout, instructionSet: instructionSet), instructionSet: instructionSet)
    }

    /// Whether each leaf is one constant, which the kernel adds up itself.
    private var hasPlainLeaves: Bool { forest.leafWidth == 1 && forest.linearLeaves == nil }

    /// Margins of a row into `margin` (one element per output).
    func evaluate(_ row: UnsafePointer<Double>, _ scratch: PredictionScratch, _ margin: inout [Double]) {
        guard hasPlainLeaves else { return evaluateLeaves(row, scratch, &margin) }
        if forest.flavor == .lightgbm {
            for index in base.indices { margin[index] = base[index] }
            margin.withUnsafeMutableBufferPointer { outputs in
                guard let outputs = outputs.baseAddress else { return }
                kernel.add(row, scratch: scratch.base, outputs: outputs)
            }
        } else {
            let floats = scratch.floats
            for index in base.indices { floats[index] = Float(base[index]) }
            kernel.add(row, scratch: scratch.base, outputs: floats)
            for index in base.indices { margin[index] = Double(floats[index]) }
        }
    }

    /// Vector leaves and linear leaves: positions from the kernel, sums here.
    private func evaluateLeaves(
        _ row: UnsafePointer<Double>, _ scratch: PredictionScratch, _ margin: inout [Double]
    ) {
        kernel.positions(row, scratch: scratch.base, into: scratch.positions)
        for index in base.indices { margin[index] = base[index] }
        for tree in forest.trees.indices {
            let leaf = Int(kernel.positionLeaves[Int(scratch.positions[tree])])
            if let linear = forest.linearLeaves {
                margin[forest.trees[tree].group] += linear.value(leaf, row) ?? forest.leafValues[leaf]
            } else {
                for output in 0..<forest.leafWidth {
                    let value = Float(forest.leafValues[leaf * forest.leafWidth + output])
                    margin[output] = Double(Float(margin[output]) + value)
                }
            }
        }
    }

    /// Margins of `count` rows of `featureCount` values, row-major into `margins`.
    func evaluate(
        rows: UnsafePointer<Double>, count: Int, _ scratch: PredictionScratch,
        _ margins: UnsafeMutablePointer<Double>
    ) {
        guard hasPlainLeaves else {
            var margin = base
            for index in 0..<count {
                evaluateLeaves(rows + index * featureCount, scratch, &margin)
                for output in base.indices { margins[index * base.count + output] = margin[output] }
            }
            return
        }
        if forest.flavor == .lightgbm {
            for index in 0..<(count * base.count) { margins[index] = base[index % base.count] }
            kernel.add(rows: rows, count: count, stride: featureCount, scratch: scratch.base, outputs: margins)
            return
        }
        // Through float32 in blocks that fit the scratch memory.
        let block = max(1, PredictionScratch.floatCount / base.count)
        var start = 0
        while start < count {
            let size = min(block, count - start)
            let total = size * base.count
            for index in 0..<total { scratch.floats[index] = Float(base[index % base.count]) }
            kernel.add(
                rows: rows + start * featureCount, count: size, stride: featureCount, scratch: scratch.base,
                outputs: scratch.floats)
            for index in 0..<total { margins[start * base.count + index] = Double(scratch.floats[index]) }
            start += size
        }
    }

    /// The file's own leaf ids of a row, tree by tree.
    func leafIDs(_ row: UnsafePointer<Double>, _ scratch: PredictionScratch) -> [UInt32] {
        kernel.positions(row, scratch: scratch.base, into: scratch.positions)
        return forest.trees.indices.map {
            forest.leafIDs[Int(kernel.positionLeaves[Int(scratch.positions[$0])])]
        }
    }
}

extension LinearLeaves {
    /// The linear value of a leaf in listed order, or nil when one of its features is NaN.
    func value(_ leaf: Int, _ row: UnsafePointer<Double>) -> Double? {
        var sum = constants[leaf]
        for term in Int(offsets[leaf])..<Int(offsets[leaf + 1]) {
            let x = row[Int(features[term])]
            if x.isNaN { return nil }
            sum += coefficients[term] * x
        }
        return sum
    }
}
