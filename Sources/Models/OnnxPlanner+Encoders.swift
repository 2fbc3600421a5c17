/// Preprocessing operators of `ai.onnx.ml`.
extension OnnxPlanner {
    /// Plans the operator if it is one of these.
    mutating func planEncoder(_ op: OnnxOperator) throws(ModelError) -> Bool {
        switch op.node.op {
        case "Scaler": try planScaler(op)
        case "Imputer": try planImputer(op)
        case "Normalizer": try planNormalizer(op)
        case "Binarizer":
            try op.allow("threshold")
            let value = try input(op, 0) { $0 == .float32 }
            let threshold = try op.float("threshold", 0)
            try set(try apply(.binarize(threshold), to: value, giving: .float32, op), op)
        case "OneHotEncoder": try planOneHot(op)
        case "LabelEncoder": try planLabelEncoder(op)
        case "ArrayFeatureExtractor": try planExtractor(op)
        case "FeatureVectorizer": try planVectorizer(op)
        case "ZipMap": try planZipMap(op)
        default: return false
        }
        return true
    }

    /// Numbers of columns of a value that is a row.
    func width(_ value: OnnxValue, _ op: OnnxOperator) throws(ModelError) -> Int {
        guard (1...2).contains(value.dims.count), value.dims.count == 1 || value.dims[0] == 1,
            let width = value.dims.last, width > 0
        else { throw op.fail(.unsupported, "an input of shape \(value.dims)") }
        return width
    }

    private mutating func planScaler(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("offset", "scale")
        let value = try input(op, 0, \.isNumber)
        let width = try width(value, op)
        let offsets = try op.finiteFloats("offset")
        let factors = try op.finiteFloats("scale")
        guard offsets.count == factors.count, offsets.count == width || offsets.count == 1 else {
            throw op.fail(.countMismatch, "\(offsets.count) offsets and \(factors.count) scales for \(width) columns")
        }
        let result = try makeValue(.float32, value.dims, at: op.location)
        add(
            .scale(value.type, from: value.cells, offsets: offsets, factors: factors, to: start(result)),
            from: [value], filling: result)
        try set(result, op)
    }

    private mutating func planImputer(_ op: OnnxOperator) throws(ModelError) {
        let value = try input(op, 0) { $0 == .float32 || $0 == .int64 }
        let width = try width(value, op)
        let replaced: Double
        let values: [Double]
        if value.type == .float32 {
            try op.allow("imputed_value_floats", "replaced_value_float")
            replaced = Double(try op.float("replaced_value_float"))
            values = try op.floats("imputed_value_floats").map { Double($0) }
        } else {
            try op.allow("imputed_value_int64s", "replaced_value_int64")
            replaced = Double(try op.int("replaced_value_int64"))
            values = try op.ints("imputed_value_int64s").map { Double($0) }
        }
        // More values than columns is what an imputer with indicators is exported as: it computes something else.
        guard values.count == width || values.count == 1 else {
            throw op.fail(.countMismatch, "\(values.count) values for \(width) columns")
        }
        let result = try makeValue(value.type, value.dims, at: op.location)
        add(
            .impute(from: value.cells, replaced: replaced, values: values, to: start(result)), from: [value],
            filling: result)
        try set(result, op)
    }

    private mutating func planNormalizer(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("norm")
        let value = try input(op, 0, \.isNumber)
        let name = try op.text("norm", "MAX")
        guard let norm = OnnxNorm(rawValue: name) else {
            throw op.fail(.unsupported, "norm '\(name.prefix(64))' is not supported")
        }
        let result = try makeValue(.float32, value.dims, at: op.location)
        add(
            .normalize(norm, value.type, from: value.cells, size: try width(value, op), to: start(result)),
            from: [value], filling: result)
        try set(result, op)
    }

    /// Unknown categories give zeros, also where `zeros` is 0 and ONNX Runtime stops: evaluation never fails.
    private mutating func planOneHot(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("cats_strings", "cats_int64s", "zeros")
        let value = try input(op, 0) { $0 == .string || $0.isFloat || $0 == .int64 }
        let names = try op.texts("cats_strings")
        let codes = try op.ints("cats_int64s")
        guard names.isEmpty != codes.isEmpty, names.isEmpty == (value.type != .string), value.dims.count <= 2 else {
            throw op.fail(.unsupported, "categories of another type than the input")
        }
        var positions: [Double: Int] = [:]
        for (position, name) in names.enumerated() { positions[Double(textNumber(name))] = position }
        for (position, code) in codes.enumerated() { positions[Double(code)] = position }
        if value.type == .string { try look(for: names, in: value, at: op.location) }
        let width = names.count + codes.count
        let result = try makeValue(.float32, value.dims + [width], at: op.location)
        add(
            .oneHot(
                from: value.cells, isTruncated: value.type != .string, positions: positions, width: width,
                to: start(result)),
            from: [value], filling: result)
        try set(result, op)
    }

    private mutating func planLabelEncoder(_ op: OnnxOperator) throws(ModelError) {
        try op.allow(
            "keys_strings", "keys_int64s", "keys_floats", "keys_tensor", "values_strings", "values_int64s",
            "values_floats", "values_tensor", "default_string", "default_int64", "default_float", "default_tensor",
            "classes_strings")
        let value = try input(op, 0)
        var (keyType, keys) = try list(op, "keys")
        var (type, results) = try list(op, "values")
        if op.has("classes_strings") {
            // The first version of the operator: texts to their positions.
            let names = try op.texts("classes_strings")
            (keyType, keys) = (.string, names.map { Double(textNumber($0)) })
            (type, results) = (.int64, names.indices.map { Double($0) })
        }
        guard keys.count == results.count else {
            throw op.fail(.countMismatch, "\(keys.count) keys and \(results.count) values")
        }
        guard value.type == keyType else {
            throw op.fail(.unsupported, "keys of \(keyType.rawValue) for an input of \(value.type.rawValue)")
        }
        let other = try defaultValue(op, type)
        var table: [Double: Double] = [:]
        var nan = other
        for (key, result) in zip(keys, results).reversed() {
            // The first of equal keys counts.
            if key.isNaN { nan = result } else { table[key] = result }
        }
        if keyType == .string {
            try look(for: keys.map { textNames[Int($0)] }, in: value, at: op.location)
        }
        let result = try makeValue(type, value.dims, at: op.location)
        add(
            .encode(from: value.cells, table: table, nan: nan, other: other, to: start(result)), from: [value],
            filling: result)
        try set(result, op)
    }

    /// The list `prefix` of a LabelEncoder in whichever type it has; texts become their numbers.
    private mutating func list(
        _ op: OnnxOperator, _ prefix: String
    ) throws(ModelError) -> (type: OnnxType, numbers: [Double]) {
        if op.has(prefix + "_strings") {
            return (.string, try op.texts(prefix + "_strings").map { Double(textNumber($0)) })
        }
        if op.has(prefix + "_floats") { return (.float32, try op.floats(prefix + "_floats").map { Double($0) }) }
        if let tensor = try op.tensor(prefix + "_tensor") {
            let numbers = tensor.type == .string ? tensor.texts.map { Double(textNumber($0)) } : tensor.numbers
            return (tensor.type, numbers)
        }
        return (.int64, try op.ints(prefix + "_int64s").map { Double($0) })
    }

    private mutating func defaultValue(_ op: OnnxOperator, _ type: OnnxType) throws(ModelError) -> Double {
        if let tensor = try op.tensor("default_tensor") {
            guard tensor.type == type, tensor.numbers.count + tensor.texts.count == 1 else {
                throw op.fail(.wrongType, "'default_tensor' is not one value of the type of the values")
            }
            return tensor.numbers.first ?? Double(textNumber(tensor.texts[0]))
        }
        switch type {
        case .string: return Double(textNumber(try op.text("default_string", "_Unused")))
        case .float32: return Double(try op.float("default_float", -0.0))
        case .int64: return Double(try op.int("default_int64", -1))
        default: throw op.fail(.unsupported, "values of type \(type.rawValue) without a default")
        }
    }

    private mutating func planExtractor(_ op: OnnxOperator) throws(ModelError) {
        try op.allow()
        let value = try input(op, 0)
        guard let axis = value.dims.indices.last else { throw op.fail(.unsupported, "an input of no dimensions") }
        guard let positions = try integers(op, input: 1, attribute: ""), !positions.isEmpty else {
            throw op.fail(.missingField, "no indices")
        }
        var result = try gather(value, axis: axis, positions, op)
        if result.dims.count == 1 { result.dims = [1, result.dims[0]] }
        try set(result, op)
    }

    private mutating func planVectorizer(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("inputdimensions")
        let parts = try inputs(op)
        let widths = try op.ints("inputdimensions")
        guard widths.count == parts.count else { throw op.fail(.countMismatch, "not one dimension per input") }
        var rows: [OnnxValue] = []
        for (part, wanted) in zip(parts, widths) {
            let columns = try width(part, op)
            guard part.type.isNumber, Int64(columns) == wanted else {
                throw op.fail(.unsupported, "an input of \(columns) columns where \(wanted) are declared")
            }
            let row = try cast(part, to: .float32, op)
            rows.append(try view(row, [1, columns], row.cells, at: op.location))
        }
        try set(try concatenate(rows, axis: 1, op), op)
    }

    /// The map of labels to probabilities is the probabilities; the labels are kept by the side.
    private mutating func planZipMap(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("classlabels_strings", "classlabels_int64s")
        let value = try input(op, 0) { $0 == .float32 }
        let names = try op.texts("classlabels_strings") + op.ints("classlabels_int64s").map(String.init)
        guard names.count == (try width(value, op)) else {
            throw op.fail(.countMismatch, "\(names.count) labels for \(value.cells.count) probabilities")
        }
        if let name = op.node.outputs.first { labels[name] = names }
        try set(value, op)
    }
}
