/// Arithmetic, comparisons, reductions and matrix products.
extension OnnxPlanner {
    /// Plans the operator if it is one of these.
    mutating func planArithmetic(_ op: OnnxOperator) throws(ModelError) -> Bool {
        if let function = Self.unaryFunctions[op.node.op] {
            try planUnary(op, function)
            return true
        }
        if let function = OnnxBinary(rawValue: op.node.op) {
            try planBinary(op, function)
            return true
        }
        if let reduction = OnnxReduction(rawValue: op.node.op) {
            try planReduction(op, reduction)
            return true
        }
        switch op.node.op {
        case "Sum": try planBinary(op, .add)
        case "Cast":
            try op.allow("to", "saturate", "round_mode")
            let value = try input(op, 0)
            guard let target = OnnxType(code: Int64(try op.int("to"))) else {
                throw op.fail(.unsupported, "casting to type \(try op.int("to"))")
            }
            try set(try cast(value, to: target, op), op)
        case "Where": try planWhere(op)
        case "Softmax": try planSoftmax(op)
        case "MatMul":
            try op.allow()
            let left = try input(op, 0, \.isFloat)
            let right = try input(op, 1, \.isFloat)
            try set(try matrixProduct(left, right, op), op)
        case "Gemm": try planGemm(op)
        default: return false
        }
        return true
    }

    private static let unaryFunctions: [String: OnnxUnary] = [
        "Abs": .absolute, "Neg": .negate, "Exp": .exponential, "Log": .logarithm, "Sqrt": .squareRoot,
        "Sigmoid": .sigmoid, "Tanh": .tanh, "Floor": .floor, "Ceil": .ceil, "Sign": .sign, "Reciprocal": .reciprocal,
        "Relu": .relu, "Not": .not, "IsNaN": .isNaN,
    ]

    private mutating func planUnary(_ op: OnnxOperator, _ function: OnnxUnary) throws(ModelError) {
        try op.allow()
        let value: OnnxValue
        var type: OnnxType?
        switch function {
        case .not: value = try input(op, 0) { $0 == .bool }
        case .isNaN:
            value = try input(op, 0, \.isFloat)
            type = .bool
        case .absolute, .negate, .sign, .relu: value = try input(op, 0, \.isNumber)
        default: value = try input(op, 0, \.isFloat)
        }
        try set(try apply(function, to: value, giving: type ?? value.type, op), op)
    }

    /// A function of every element.
    mutating func apply(
        _ function: OnnxUnary, to value: OnnxValue, giving type: OnnxType, _ op: OnnxOperator
    ) throws(ModelError) -> OnnxValue {
        let result = try makeValue(type, value.dims, at: op.location)
        add(.unary(function, value.type, from: value.cells, to: start(result)), from: [value], filling: result)
        return result
    }

    /// The value in another type; itself where it is of that type.
    mutating func cast(
        _ value: OnnxValue, to type: OnnxType, _ op: OnnxOperator
    ) throws(ModelError) -> OnnxValue {
        if value.type == type { return value }
        guard value.type != .string, type != .string else {
            throw op.fail(.unsupported, "casting between \(value.type.rawValue) and \(type.rawValue)")
        }
        return try apply(.cast(type), to: value, giving: type, op)
    }

    private mutating func planBinary(_ op: OnnxOperator, _ function: OnnxBinary) throws(ModelError) {
        try op.allow()
        let values = try inputs(op)
        let isVariadic = op.node.op == "Sum" || function == .minimum || function == .maximum
        guard isVariadic || values.count == 2 else { throw op.fail(.countMismatch, "\(values.count) inputs") }
        var result = values[0]
        try check(function, result.type, op)
        for value in values.dropFirst() {
            guard value.type == result.type else { throw op.fail(.wrongType, "inputs of different types") }
            result = try combine(function, result, value, op)
        }
        try set(result, op)
    }

    private func check(_ function: OnnxBinary, _ type: OnnxType, _ op: OnnxOperator) throws(ModelError) {
        let isFit =
            switch function {
            case .and, .or, .xor: type == .bool
            case .equal: true
            case .power: type.isFloat
            default: type.isNumber
            }
        guard isFit else { throw op.fail(.unsupported, "inputs of type \(type.rawValue) are not supported") }
    }

    /// A function of all pairs of elements, with broadcasting.
    mutating func combine(
        _ function: OnnxBinary, _ left: OnnxValue, _ right: OnnxValue, _ op: OnnxOperator
    ) throws(ModelError) -> OnnxValue {
        var type = left.type
        switch function {
        case .less, .lessOrEqual, .greater, .greaterOrEqual, .equal: type = .bool
        default: break
        }
        if left.type == .string { try compareTexts(left, right, op) }
        let dims = try broadcast([left.dims, right.dims], op)
        let result = try makeValue(type, dims, at: op.location)
        add(
            .binary(
                function, left.type, left: expand(left, to: dims), right: expand(right, to: dims), to: start(result)),
            from: [left, right], filling: result)
        return result
    }

    /// Texts that no operator asks for share a number, so two texts of a row cannot be told apart: one side is constant.
    private mutating func compareTexts(
        _ left: OnnxValue, _ right: OnnxValue, _ op: OnnxOperator
    ) throws(ModelError) {
        for (one, other) in [(left, right), (right, left)] {
            if let numbers = constant(other) {
                try look(for: numbers.map { textNames[Int($0)] }, in: one, at: op.location)
                return
            }
        }
        throw op.fail(.unsupported, "comparing two texts of the row")
    }

    /// The shape that shapes are stretched to.
    func broadcast(_ shapes: [[Int]], _ op: OnnxOperator) throws(ModelError) -> [Int] {
        var dims = [Int](repeating: 1, count: shapes.map(\.count).max() ?? 0)
        for shape in shapes {
            let shift = dims.count - shape.count
            for (axis, size) in shape.enumerated() where size != 1 {
                guard dims[axis + shift] == 1 || dims[axis + shift] == size else {
                    throw op.fail(.countMismatch, "shapes \(shapes) do not fit together")
                }
                dims[axis + shift] = size
            }
        }
        _ = try count(dims, at: op.location)
        return dims
    }

    /// The cells of a value stretched to `dims`.
    func expand(_ value: OnnxValue, to dims: [Int]) -> [Int32] {
        if value.dims == dims { return value.cells }
        var strides = [Int](repeating: 0, count: dims.count)
        var stride = 1
        let shift = dims.count - value.dims.count
        for axis in value.dims.indices.reversed() {
            if value.dims[axis] != 1 { strides[axis + shift] = stride }
            stride *= value.dims[axis]
        }
        return Self.strided(value.cells, dims, strides)
    }

    private mutating func planWhere(_ op: OnnxOperator) throws(ModelError) {
        try op.allow()
        let condition = try input(op, 0) { $0 == .bool }
        let left = try input(op, 1)
        let right = try input(op, 2)
        guard left.type == right.type else { throw op.fail(.wrongType, "inputs of different types") }
        let dims = try broadcast([condition.dims, left.dims, right.dims], op)
        let result = try makeValue(left.type, dims, at: op.location)
        let (first, second) = (expand(left, to: dims), expand(right, to: dims))
        for (index, cell) in result.cells.enumerated() {
            // What encoders look for in the result becomes a category of the feature it comes from.
            let sources = Set([origins[first[index]], origins[second[index]]].compactMap { $0 })
            guard sources.count < 2 else { throw op.fail(.unsupported, "a text of two inputs") }
            origins[cell] = sources.first
        }
        add(
            .select(condition: expand(condition, to: dims), left: first, right: second, to: start(result)),
            from: [condition, left, right], filling: result)
        try set(result, op)
    }

    private mutating func planReduction(_ op: OnnxOperator, _ reduction: OnnxReduction) throws(ModelError) {
        let isIndex = reduction == .argMax || reduction == .argMin
        let value = try input(op, 0, \.isNumber)
        let rank = value.dims.count
        var axes: [Int]
        if isIndex {
            try op.allow("axis", "keepdims", "select_last_index")
            guard try op.int("select_last_index", 0) == 0 else {
                throw op.fail(.unsupported, "'select_last_index' is not supported")
            }
            axes = [try op.int("axis", 0)]
        } else {
            try op.allow("axes", "keepdims", "noop_with_empty_axes")
            guard try op.int("noop_with_empty_axes", 0) == 0 else {
                throw op.fail(.unsupported, "'noop_with_empty_axes' is not supported")
            }
            axes = try integers(op, input: 1, attribute: "axes") ?? []
            if axes.isEmpty { axes = Array(0..<rank) }
        }
        var reduced = Set<Int>()
        for axis in axes { reduced.insert(try op.axis(axis, rank: rank)) }
        // Reduced axes last: groups then lie one behind the other.
        let order = (0..<rank).filter { !reduced.contains($0) } + reduced.sorted()
        var strides = [Int](repeating: 1, count: rank)
        for axis in (0..<rank).reversed().dropFirst() { strides[axis] = strides[axis + 1] * value.dims[axis + 1] }
        let cells = Self.strided(value.cells, order.map { value.dims[$0] }, order.map { strides[$0] })
        try spend(cells.count, at: op.location)
        let size = reduced.reduce(1) { $0 * value.dims[$1] }
        guard size > 0 else { throw op.fail(.countMismatch, "nothing to reduce") }
        var dims: [Int] = []
        let keeps = try op.int("keepdims", 1) != 0
        for axis in 0..<rank where keeps || !reduced.contains(axis) {
            dims.append(reduced.contains(axis) ? 1 : value.dims[axis])
        }
        let result = try makeValue(isIndex ? .int64 : value.type, dims, at: op.location)
        add(
            .reduce(reduction, value.type, from: cells, size: size, to: start(result)), from: [value],
            filling: result)
        try set(result, op)
    }

    private mutating func planSoftmax(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("axis")
        let value = try input(op, 0, \.isFloat)
        let axis = try op.axis(try op.int("axis", op.version < 13 ? 1 : -1), rank: value.dims.count)
        guard axis == value.dims.count - 1, value.dims[axis] > 0 else {
            throw op.fail(.unsupported, "an axis other than the last")
        }
        let result = try makeValue(value.type, value.dims, at: op.location)
        add(
            .softmax(value.type, from: value.cells, size: value.dims[axis], to: start(result)), from: [value],
            filling: result)
        try set(result, op)
    }

    /// Product of matrices of one or two dimensions.
    private mutating func matrixProduct(
        _ left: OnnxValue, _ right: OnnxValue, _ op: OnnxOperator
    ) throws(ModelError) -> OnnxValue {
        guard left.type == right.type else { throw op.fail(.wrongType, "inputs of different types") }
        guard (1...2).contains(left.dims.count), (1...2).contains(right.dims.count) else {
            throw op.fail(.unsupported, "products of more than two dimensions")
        }
        let size = left.dims[left.dims.count - 1]
        guard size > 0, right.dims[0] == size else {
            throw op.fail(.countMismatch, "shapes \(left.dims) and \(right.dims) do not fit together")
        }
        let columns = right.dims.count == 2 ? right.dims[1] : 1
        let transposed = Self.strided(right.cells, [columns, size], [1, columns])
        try spend(transposed.count, at: op.location)
        let dims = left.dims.dropLast() + right.dims.dropFirst()
        return try multiply(left, right, rows: left.cells, columns: transposed, size: size, Array(dims), op)
    }

    /// All pairs of rows and columns of `size` elements.
    mutating func multiply(
        _ left: OnnxValue, _ right: OnnxValue, rows: [Int32], columns: [Int32], size: Int, _ dims: [Int],
        _ op: OnnxOperator
    ) throws(ModelError) -> OnnxValue {
        let result = try makeValue(left.type, dims, at: op.location)
        // The products cost time and not memory, but they are counted the same.
        try spend(try count([result.cells.count, size], at: op.location), at: op.location)
        add(
            .multiply(left.type, left: rows, right: columns, size: size, to: start(result)), from: [left, right],
            filling: result)
        return result
    }

    private mutating func planGemm(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("alpha", "beta", "transA", "transB")
        let left = try input(op, 0, \.isFloat)
        let right = try input(op, 1, \.isFloat)
        guard left.dims.count == 2, right.dims.count == 2, left.type == right.type else {
            throw op.fail(.unsupported, "matrices that are not of two dimensions and one type")
        }
        guard try op.float("alpha", 1) == 1, try op.float("beta", 1) == 1, try op.int("transA", 0) == 0 else {
            throw op.fail(.unsupported, "'alpha', 'beta' or 'transA' is not supported")
        }
        var matrix = right
        if try op.int("transB", 0) != 0 {
            let dims = [right.dims[1], right.dims[0]]
            matrix = try view(right, dims, Self.strided(right.cells, dims, [1, right.dims[1]]), at: op.location)
        }
        var result = try matrixProduct(left, matrix, op)
        if let bias = try optionalInput(op, 2) {
            guard bias.type == result.type else { throw op.fail(.wrongType, "inputs of different types") }
            result = try combine(.add, result, bias, op)
        }
        try set(result, op)
    }
}
