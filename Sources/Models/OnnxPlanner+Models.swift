/// Linear models and tree ensembles of `ai.onnx.ml`.
extension OnnxPlanner {
    /// Plans the operator if it is one of these.
    mutating func planModel(_ op: OnnxOperator) throws(ModelError) -> Bool {
        switch op.node.op {
        case "LinearRegressor": try planLinearRegressor(op)
        case "LinearClassifier": try planLinearClassifier(op)
        case "TreeEnsembleRegressor": try planTreeRegressor(op)
        case "TreeEnsembleClassifier": try planTreeClassifier(op)
        default: return false
        }
        mainOperator = op.node.op
        return true
    }

    private mutating func planLinearRegressor(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("coefficients", "intercepts", "targets", "post_transform")
        let transform = try op.text("post_transform", "NONE")
        guard transform == "NONE" else {
            throw op.fail(.unsupported, "post_transform '\(transform.prefix(64))' is not supported")
        }
        let value = try input(op, 0) { $0 == .float32 }
        try set(try linear(op, value, outputs: try op.int("targets", 1)), op)
    }

    /// Sums of products of a row and each row of coefficients, plus the intercepts.
    private mutating func linear(
        _ op: OnnxOperator, _ value: OnnxValue, outputs: Int
    ) throws(ModelError) -> OnnxValue {
        guard (1...limits.outputsMax).contains(outputs) else { throw op.fail(.limitExceeded, "\(outputs) outputs") }
        let width = try width(value, op)
        let coefficients = try op.finiteFloats("coefficients").map { Double($0) }
        let intercepts = try op.finiteFloats("intercepts").map { Double($0) }
        let matrix = try makeConstant(.float32, [outputs, width], coefficients, at: op.location)
        let product = try multiply(
            value, matrix, rows: value.cells, columns: matrix.cells, size: width, [1, outputs], op)
        if intercepts.isEmpty { return product }
        let bias = try makeConstant(.float32, [1, outputs], intercepts, at: op.location)
        return try combine(.add, product, bias, op)
    }

    private mutating func planLinearClassifier(_ op: OnnxOperator) throws(ModelError) {
        try op.allow(
            "coefficients", "intercepts", "multi_class", "post_transform", "classlabels_ints", "classlabels_strings")
        let value = try cast(try input(op, 0, \.isNumber), to: .float32, op)
        let names = try op.texts("classlabels_strings") + op.ints("classlabels_ints").map(String.init)
        let count = try op.floats("intercepts").count
        guard count >= 2, names.count == count else {
            throw op.fail(.unsupported, "\(names.count) labels with \(count) rows of coefficients")
        }
        let sums = try linear(op, value, outputs: count)
        let scores: OnnxScores
        let transform = try op.text("post_transform", "NONE")
        switch transform {
        case "NONE": scores = .none
        case "LOGISTIC": scores = .sigmoid
        case "SOFTMAX": scores = .softmax
        default: throw op.fail(.unsupported, "post_transform '\(transform.prefix(64))' is not supported")
        }
        try setScores(op, sums, scores, names)
    }

    /// The two outputs of a classifier: of the label only its name is kept.
    private mutating func setScores(
        _ op: OnnxOperator, _ sums: OnnxValue, _ scores: OnnxScores, _ names: [String]
    ) throws(ModelError) {
        if let label = op.node.outputs.first, !label.isEmpty {
            guard values[label] == nil, unavailable[label] == nil else {
                throw op.fail(.invalidValue, "name '\(label.prefix(64))' is used twice")
            }
            unavailable[label] = "the label that a classifier chooses is not supported as an input"
        }
        let result = try makeValue(.float32, [1, names.count], at: op.location)
        add(.scores(scores, from: sums.cells, to: start(result)), from: [sums], filling: result)
        try set(result, op, output: 1)
        labels[op.node.outputs[1]] = names
    }

    /// A row of numbers for the tree kernels, which take float32.
    private func treeInput(_ op: OnnxOperator) throws(ModelError) -> (value: OnnxValue, width: Int) {
        let value = try input(op, 0) { $0 == .float32 || $0.isInteger }
        let width = try width(value, op)
        guard width <= limits.featuresMax else { throw op.fail(.limitExceeded, "\(width) columns") }
        return (value, width)
    }

    /// Adds the step of an ensemble; the result has one sum per output.
    private mutating func addTrees(
        _ op: OnnxOperator, _ value: OnnxValue, _ trees: OnnxTrees
    ) throws(ModelError) -> OnnxValue {
        let row = try makeValue(.float32, [value.cells.count], at: op.location)
        let result = try makeValue(.float32, [1, trees.outputCount], at: op.location)
        let kernel = trees.evaluator.kernel
        program.kernelByteCount = max(program.kernelByteCount, kernel.scratchByteCount)
        program.paddedTreeCount = max(program.paddedTreeCount, kernel.paddedTreeCount)
        program.treeCount += trees.evaluator.forest.trees.count
        // Never at load: the kernels need memory of their own.
        program.steps.append(.trees(trees, from: value.cells, row: start(row), to: start(result)))
        return result
    }

    private mutating func planTreeRegressor(_ op: OnnxOperator) throws(ModelError) {
        let (value, width) = try treeInput(op)
        var reader = OnnxTreeReader(op: op, limits: limits, width: width, prefix: "target")
        try op.allow(
            OnnxTreeReader.nodeAttributes
                + [
                    "target_ids", "target_nodeids", "target_treeids", "target_weights", "n_targets",
                    "aggregate_function", "post_transform",
                ])
        let outputs = try op.int("n_targets")
        let transform = try op.text("post_transform", "NONE")
        guard transform == "NONE" else {
            throw op.fail(.unsupported, "post_transform '\(transform.prefix(64))' is not supported")
        }
        let aggregate = try op.text("aggregate_function", "SUM")
        guard aggregate == "SUM" || aggregate == "AVERAGE" else {
            throw op.fail(.unsupported, "aggregate_function '\(aggregate.prefix(64))' is not supported")
        }
        let forest = try reader.read(outputs: outputs)
        let bases = try op.finiteFloats("base_values")
        guard bases.isEmpty || bases.count == outputs else {
            throw op.fail(.countMismatch, "\(bases.count) base values for \(outputs) targets")
        }
        let trees = OnnxTrees(
            evaluator: ForestEvaluator(
                forest, featureCount: width, base: [Double](repeating: 0, count: outputs)),
            divisor: aggregate == "AVERAGE" ? Float(forest.trees.count) : 1, bases: bases)
        try set(try addTrees(op, value, trees), op)
    }

    private mutating func planTreeClassifier(_ op: OnnxOperator) throws(ModelError) {
        let (value, width) = try treeInput(op)
        var reader = OnnxTreeReader(op: op, limits: limits, width: width, prefix: "class")
        try op.allow(
            OnnxTreeReader.nodeAttributes
                + [
                    "class_ids", "class_nodeids", "class_treeids", "class_weights", "classlabels_int64s",
                    "classlabels_strings", "post_transform",
                ])
        let names = try op.texts("classlabels_strings") + op.ints("classlabels_int64s").map(String.init)
        guard (2...limits.outputsMax).contains(names.count) else {
            throw op.fail(.unsupported, "\(names.count) class labels")
        }
        let transform = try op.text("post_transform", "NONE")
        guard ["NONE", "LOGISTIC", "SOFTMAX"].contains(transform) else {
            throw op.fail(.unsupported, "post_transform '\(transform.prefix(64))' is not supported")
        }
        let bases = try op.finiteFloats("base_values")
        let classes = Set(try op.ints("class_ids"))
        let isSingle = names.count == 2 && classes == [0]
        let outputs = isSingle ? 1 : names.count
        guard bases.isEmpty || (bases.count == outputs && (isSingle || names.count > 2)) else {
            throw op.fail(.unsupported, "\(bases.count) base values for \(names.count) classes")
        }
        let forest = try reader.read(outputs: outputs)
        let trees = OnnxTrees(
            evaluator: ForestEvaluator(forest, featureCount: width, base: [Double](repeating: 0, count: outputs)),
            divisor: 1, bases: bases)
        var scores: OnnxScores = transform == "LOGISTIC" ? .logistic : transform == "SOFTMAX" ? .softmax : .none
        if isSingle {
            let isPositive = try op.floats("class_weights").allSatisfy { $0 >= 0 }
            scores = transform == "LOGISTIC" ? .bothLogistic : isPositive ? .complement : .bothSigns
        } else if names.count == 2, !reader.weighsEveryOutput {
            // Which of the two the runtime then takes for the probability depends on the row.
            throw op.fail(.unsupported, "leaves that do not weigh both of two classes")
        }
        try setScores(op, try addTrees(op, value, trees), scores, names)
    }
}
