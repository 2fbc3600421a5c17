/// A value of the graph while it is planned: the cells that hold its elements, for a batch of one row.
struct OnnxValue {
    var type: OnnxType
    var dims: [Int]
    var cells: [Int32]
}

/// Turns an ONNX graph into an `OnnxProgram`: operators in file order, each refused by name where it or one of its
/// attributes is not supported. The batch dimension is 1, so that all shapes are known.
struct OnnxPlanner {
    let limits: ModelLimits
    let opsets: [String: Int64]
    var program = OnnxProgram()
    var values: [String: OnnxValue] = [:]
    /// Names that exist but cannot be used, and why.
    var unavailable: [String: String] = [:]
    /// Whether each cell holds a constant.
    var isConstant: [Bool] = []
    /// Labels of classifiers by the name of their scores, and of ZipMaps by that of their input.
    var labels: [String: [String]] = [:]
    /// The operator that the model is named after: the last ensemble or linear model.
    var mainOperator: String?
    var featureNames: [String] = []
    private var elements = 0
    /// Numbers of texts.
    private var texts: [String: Int] = [:]
    /// Texts by number.
    private(set) var textNames: [String] = []
    /// The feature a cell of text comes from.
    var origins: [Int32: Int] = [:]
    /// Per feature: the texts that encoders look for, in order; nil for numeric features.
    var categories: [[String]?] = []
    private var knownCategories: [Set<String>] = []

    init(limits: ModelLimits, opsets: [String: Int64]) {
        self.limits = limits
        self.opsets = opsets
    }

    // MARK: Cells

    /// Counts elements of a value before they are made.
    mutating func spend(_ count: Int, at location: String) throws(ModelError) {
        elements += count
        guard elements <= limits.onnxElementsMax else {
            throw ModelError(.limitExceeded, "more than \(limits.onnxElementsMax) elements", at: location)
        }
    }

    /// Number of elements of a shape, checked.
    func count(_ dims: [Int], at location: String) throws(ModelError) -> Int {
        guard dims.count <= limits.onnxRankMax else {
            throw ModelError(.limitExceeded, "more than \(limits.onnxRankMax) dimensions", at: location)
        }
        // Dimensions of 0 count as 1 here, so that the product of any of them is within the limit too.
        var count = 1
        for size in dims {
            let (product, overflow) = count.multipliedReportingOverflow(by: max(size, 1))
            guard size >= 0, !overflow, product <= limits.onnxElementsMax else {
                throw ModelError(.limitExceeded, "more than \(limits.onnxElementsMax) elements", at: location)
            }
            count = product
        }
        return dims.contains(0) ? 0 : count
    }

    /// New cells, which a step is about to fill.
    mutating func makeValue(_ type: OnnxType, _ dims: [Int], at location: String) throws(ModelError) -> OnnxValue {
        let count = try count(dims, at: location)
        try spend(count, at: location)
        let start = program.cells.count
        program.cells.append(contentsOf: repeatElement(0, count: count))
        isConstant.append(contentsOf: repeatElement(false, count: count))
        return OnnxValue(type: type, dims: dims, cells: (start..<(start + count)).map { Int32($0) })
    }

    /// A constant.
    mutating func makeConstant(
        _ type: OnnxType, _ dims: [Int], _ numbers: [Double], at location: String
    ) throws(ModelError) -> OnnxValue {
        let value = try makeValue(type, dims, at: location)
        guard numbers.count == value.cells.count else {
            throw ModelError(
                .countMismatch, "\(numbers.count) elements where \(value.cells.count) are needed", at: location)
        }
        for (cell, number) in zip(value.cells, numbers) {
            program.cells[Int(cell)] = number
            isConstant[Int(cell)] = true
        }
        return value
    }

    mutating func makeConstant(_ tensor: OnnxTensor, at location: String) throws(ModelError) -> OnnxValue {
        let numbers = tensor.type == .string ? tensor.texts.map { Double(textNumber($0)) } : tensor.numbers
        return try makeConstant(tensor.type, tensor.dims, numbers, at: location)
    }

    /// The numbers of a value that is known at load.
    func constant(_ value: OnnxValue) -> [Double]? {
        guard value.cells.allSatisfy({ isConstant[Int($0)] }) else { return nil }
        return value.cells.map { program.cells[Int($0)] }
    }

    /// Adds a step that fills `result` from `inputs`; it runs here and now when all of them are constant.
    mutating func add(_ step: OnnxStep, from inputs: [OnnxValue], filling result: OnnxValue) {
        guard inputs.allSatisfy({ $0.cells.allSatisfy { isConstant[Int($0)] } }) else {
            program.steps.append(step)
            return
        }
        program.cells.withUnsafeMutableBufferPointer { cells in
            if let base = cells.baseAddress { step.run(base, nil) }
        }
        for cell in result.cells { isConstant[Int(cell)] = true }
    }

    /// The same cells under another shape.
    mutating func view(
        _ value: OnnxValue, _ dims: [Int], _ cells: [Int32], at location: String
    ) throws(ModelError) -> OnnxValue {
        guard try count(dims, at: location) == cells.count else {
            throw ModelError(.countMismatch, "\(cells.count) elements do not have the shape \(dims)", at: location)
        }
        try spend(cells.count, at: location)
        return OnnxValue(type: value.type, dims: dims, cells: cells)
    }

    /// First cell of a value whose cells were made together.
    func start(_ value: OnnxValue) -> Int { value.cells.first.map { Int($0) } ?? 0 }

    // MARK: Texts

    /// The number of a text, equal texts sharing one.
    mutating func textNumber(_ text: String) -> Int {
        if let number = texts[text] { return number }
        texts[text] = textNames.count
        textNames.append(text)
        return textNames.count - 1
    }

    /// Makes `keys` categories of the features that cells of text come from.
    mutating func look(for keys: [String], in value: OnnxValue, at location: String) throws(ModelError) {
        for cell in value.cells {
            guard let feature = origins[cell] else { continue }
            try spend(keys.count, at: location)
            // The empty text is a missing value, not a category.
            for key in keys where !key.isEmpty && knownCategories[feature].insert(key).inserted {
                categories[feature]?.append(key)
            }
        }
    }

    // MARK: Inputs

    /// Makes features of the graph's inputs: one per column, named after the input where it has one column.
    mutating func addInputs(_ inputs: [OnnxValueInfo]) throws(ModelError) {
        for input in inputs {
            let location = "input '\(input.name)'"
            guard case .tensor(let code, let dims?) = input.kind, let type = OnnxType(code: code) else {
                throw ModelError(.unsupported, "only tensors of numbers and texts with a shape", at: location)
            }
            guard (1...2).contains(dims.count), dims[0] == nil || dims[0] == 1 || dims[0] == -1 else {
                throw ModelError(.unsupported, "only shapes [N] and [N, columns]", at: location)
            }
            var columns = 1
            if dims.count == 2 {
                guard let width = dims[1], width >= 1 else {
                    throw ModelError(.unsupported, "the number of columns is not fixed", at: location)
                }
                guard width <= Int64(limits.featuresMax), Int(width) + featureNames.count <= limits.featuresMax else {
                    throw ModelError(.limitExceeded, "more than \(limits.featuresMax) features", at: location)
                }
                columns = Int(width)
            }
            let value = try makeValue(type, dims.count == 1 ? [1] : [1, columns], at: location)
            for (column, cell) in value.cells.enumerated() {
                let prefix = inputs.count == 1 ? "f" : input.name + "_"
                featureNames.append(columns == 1 ? input.name : prefix + String(column))
                program.inputs.append(OnnxProgram.Input(type: type, cell: Int(cell)))
                if type == .string { origins[cell] = featureNames.count - 1 }
                categories.append(type == .string ? [] : nil)
                knownCategories.append([])
            }
            guard values.updateValue(value, forKey: input.name) == nil else {
                throw ModelError(.invalidValue, "name '\(input.name)' is used twice", at: location)
            }
        }
        guard !featureNames.isEmpty, featureNames.count <= limits.featuresMax else {
            throw ModelError(.limitExceeded, "\(featureNames.count) features")
        }
        try ModelParts.check(names: featureNames, at: "graph inputs")
    }

    /// Tells the inputs of text their numbers, once all operators are planned.
    mutating func settleTexts() {
        for feature in program.inputs.indices where program.inputs[feature].type == .string {
            let names = categories[feature] ?? []
            program.inputs[feature].texts = names.map { Double(texts[$0] ?? -1) }
            program.inputs[feature].missing = texts[""].map { Double($0) } ?? OnnxProgram.unknownText
        }
    }
}
