/// Operators that only move elements: no work at run time.
extension OnnxPlanner {
    /// Plans the operator if it is one of these.
    mutating func planMovement(_ op: OnnxOperator) throws(ModelError) -> Bool {
        switch op.node.op {
        case "Identity":
            try op.allow()
            try set(try input(op, 0), op)
        case "Constant": try set(try constantNode(op), op)
        case "Shape":
            try op.allow()
            let dims = try input(op, 0).dims
            try set(try makeConstant(.int64, [dims.count], dims.map(Double.init), at: op.location), op)
        case "ConstantOfShape": try planConstantOfShape(op)
        case "Reshape": try planReshape(op)
        case "Flatten":
            try op.allow("axis")
            let value = try input(op, 0)
            let axis = try op.int("axis", 1)
            let split = axis == value.dims.count ? axis : try op.axis(axis, rank: value.dims.count)
            let dims = [value.dims[..<split].reduce(1, *), value.dims[split...].reduce(1, *)]
            try set(try view(value, dims, value.cells, at: op.location), op)
        case "Squeeze", "Unsqueeze": try planSqueeze(op)
        case "Concat": try planConcat(op)
        case "Gather": try planGather(op)
        case "Slice": try planSlice(op)
        case "Split": try planSplit(op)
        case "Transpose": try planTranspose(op)
        default: return false
        }
        return true
    }

    private mutating func constantNode(_ op: OnnxOperator) throws(ModelError) -> OnnxValue {
        try op.allow("value", "value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings")
        guard op.node.attributes.count == 1, let value = op.node.attributes.values.first else {
            throw op.fail(.countMismatch, "a constant has one attribute")
        }
        switch value {
        case .tensor(let tensor): return try makeConstant(tensor, at: op.location)
        case .float(let x): return try makeConstant(.float32, [], [Double(x)], at: op.location)
        case .floats(let list):
            return try makeConstant(.float32, [list.count], list.map(Double.init), at: op.location)
        case .int(let x): return try makeConstant(.int64, [], [Double(x)], at: op.location)
        case .ints(let list): return try makeConstant(.int64, [list.count], list.map { Double($0) }, at: op.location)
        case .text(let text):
            return try makeConstant(.string, [], [Double(textNumber(text))], at: op.location)
        case .texts(let list):
            return try makeConstant(.string, [list.count], list.map { Double(textNumber($0)) }, at: op.location)
        case .other: throw op.fail(.unsupported, "a constant of this type")
        }
    }

    private mutating func planConstantOfShape(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("value")
        let dims = try integers(op, input: 0, attribute: "") ?? []
        var element = OnnxTensor(type: .float32, dims: [1], numbers: [0])
        if let value = try op.tensor("value") { element = value }
        guard element.type != .string, element.numbers.count == 1 else {
            throw op.fail(.countMismatch, "'value' is not one number")
        }
        let count = try count(dims, at: op.location)
        try spend(count, at: op.location)
        let numbers = [Double](repeating: element.numbers[0], count: count)
        try set(try makeConstant(element.type, dims, numbers, at: op.location), op)
    }

    private mutating func planReshape(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("shape", "allowzero")
        guard try op.int("allowzero", 0) == 0 else { throw op.fail(.unsupported, "'allowzero' is not supported") }
        let value = try input(op, 0)
        guard var dims = try integers(op, input: 1, attribute: "shape") else {
            throw op.fail(.missingField, "no shape")
        }
        for (axis, size) in dims.enumerated() where size == 0 {
            guard axis < value.dims.count else { throw op.fail(.indexOutOfRange, "dimension \(axis) to be kept") }
            dims[axis] = value.dims[axis]
        }
        if let free = dims.firstIndex(of: -1) {
            dims[free] = 1
            let known = try count(dims, at: op.location)
            guard known > 0, value.cells.count % known == 0 else {
                throw op.fail(.countMismatch, "\(value.cells.count) elements do not have this shape")
            }
            dims[free] = value.cells.count / known
        }
        try set(try view(value, dims, value.cells, at: op.location), op)
    }

    private mutating func planSqueeze(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("axes")
        let value = try input(op, 0)
        let axes = try integers(op, input: 1, attribute: "axes")
        var dims: [Int] = []
        if op.node.op == "Squeeze" {
            var removed = Set<Int>()
            for axis in axes ?? value.dims.indices.filter({ value.dims[$0] == 1 }) {
                removed.insert(try op.axis(axis, rank: value.dims.count))
            }
            dims = value.dims.indices.filter { !removed.contains($0) }.map { value.dims[$0] }
        } else {
            guard let axes else { throw op.fail(.missingField, "no axes") }
            let rank = value.dims.count + axes.count
            guard rank <= limits.onnxRankMax else { throw op.fail(.limitExceeded, "\(rank) dimensions") }
            var added = Set<Int>()
            for axis in axes { added.insert(try op.axis(axis, rank: rank)) }
            guard added.count == axes.count else { throw op.fail(.invalidValue, "an axis twice") }
            var kept = value.dims[...]
            for axis in 0..<rank { dims.append(added.contains(axis) ? 1 : kept.removeFirst()) }
        }
        try set(try view(value, dims, value.cells, at: op.location), op)
    }

    private mutating func planConcat(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("axis")
        let parts = try inputs(op)
        try set(try concatenate(parts, axis: try op.int("axis"), op), op)
    }

    /// Values of one type side by side along `axis`.
    mutating func concatenate(_ parts: [OnnxValue], axis: Int, _ op: OnnxOperator) throws(ModelError) -> OnnxValue {
        let first = parts[0]
        let axis = try op.axis(axis, rank: first.dims.count)
        var dims = first.dims
        dims[axis] = 0
        for part in parts {
            guard part.type == first.type else { throw op.fail(.wrongType, "inputs of different types") }
            guard part.dims.count == dims.count,
                dims.indices.allSatisfy({ $0 == axis || part.dims[$0] == first.dims[$0] })
            else { throw op.fail(.countMismatch, "inputs of different shapes") }
            dims[axis] += part.dims[axis]
        }
        try spend(try count(dims, at: op.location), at: op.location)
        let outer = dims[..<axis].reduce(1, *)
        var cells: [Int32] = []
        for index in 0..<outer {
            for part in parts {
                let length = part.cells.count / max(outer, 1)
                cells += part.cells[(index * length)..<((index + 1) * length)]
            }
        }
        return try view(first, dims, cells, at: op.location)
    }

    /// The elements at `positions` of an axis; the axis becomes as long as the list.
    mutating func gather(
        _ value: OnnxValue, axis: Int, _ positions: [Int], _ op: OnnxOperator
    ) throws(ModelError) -> OnnxValue {
        let size = value.dims[axis]
        let outer = value.dims[..<axis].reduce(1, *)
        let inner = value.dims[(axis + 1)...].reduce(1, *)
        var dims = value.dims
        dims[axis] = positions.count
        try spend(try count(dims, at: op.location), at: op.location)
        var cells: [Int32] = []
        for index in 0..<outer {
            for position in positions {
                let place = position < 0 ? position + size : position
                guard place >= 0, place < size else {
                    throw op.fail(.indexOutOfRange, "index \(position) of \(size) elements")
                }
                let start = (index * size + place) * inner
                cells += value.cells[start..<(start + inner)]
            }
        }
        return try view(value, dims, cells, at: op.location)
    }

    private mutating func planGather(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("axis")
        let value = try input(op, 0)
        let axis = try op.axis(try op.int("axis", 0), rank: value.dims.count)
        guard let positions = try integers(op, input: 1, attribute: "") else {
            throw op.fail(.missingField, "no indices")
        }
        var result = try gather(value, axis: axis, positions, op)
        // The axis is replaced by the dimensions of the indices, of which a single number has none.
        result.dims.replaceSubrange(axis...axis, with: try input(op, 1).dims)
        _ = try count(result.dims, at: op.location)
        try set(result, op)
    }

    private mutating func planSlice(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("starts", "ends", "axes")
        var value = try input(op, 0)
        guard let starts = try integers(op, input: 1, attribute: "starts"),
            let ends = try integers(op, input: 2, attribute: "ends")
        else { throw op.fail(.missingField, "no starts or ends") }
        let axes = try integers(op, input: 3, attribute: "axes") ?? Array(starts.indices)
        let steps = try integers(op, input: 4, attribute: "") ?? starts.map { _ in 1 }
        guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count,
            starts.count <= limits.onnxRankMax
        else { throw op.fail(.countMismatch, "starts, ends, axes and steps differ in length") }
        for index in starts.indices {
            guard steps[index] == 1 else { throw op.fail(.unsupported, "steps other than 1") }
            let axis = try op.axis(axes[index], rank: value.dims.count)
            let size = value.dims[axis]
            let start = min(max(starts[index] < 0 ? starts[index] + size : starts[index], 0), size)
            let end = min(max(ends[index] < 0 ? ends[index] + size : ends[index], start), size)
            value = try gather(value, axis: axis, Array(start..<end), op)
        }
        try set(value, op)
    }

    private mutating func planSplit(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("axis", "split", "num_outputs")
        let value = try input(op, 0)
        let axis = try op.axis(try op.int("axis", 0), rank: value.dims.count)
        let parts = op.node.outputs.count
        guard parts > 0 else { throw op.fail(.missingField, "no outputs") }
        let size = value.dims[axis]
        let even = (size + parts - 1) / parts
        let lengths =
            try integers(op, input: 1, attribute: "split")
            ?? (0..<parts).map { max(0, min(even, size - $0 * even)) }
        guard lengths.count == parts, lengths.allSatisfy({ $0 >= 0 && $0 <= size }), lengths.reduce(0, +) == size else {
            throw op.fail(.countMismatch, "the parts do not make up \(size) elements")
        }
        var start = 0
        for (index, length) in lengths.enumerated() {
            let part = try gather(value, axis: axis, Array(start..<(start + length)), op)
            start += length
            try set(part, op, output: index)
        }
    }

    private mutating func planTranspose(_ op: OnnxOperator) throws(ModelError) {
        try op.allow("perm")
        let value = try input(op, 0)
        let rank = value.dims.count
        let order = op.has("perm") ? try op.ints("perm").map { Int($0) } : Array((0..<rank).reversed())
        guard order.sorted() == Array(0..<rank) else { throw op.fail(.invalidValue, "'perm' is not an order") }
        var strides = [Int](repeating: 1, count: rank)
        for axis in (0..<rank).reversed().dropFirst() { strides[axis] = strides[axis + 1] * value.dims[axis + 1] }
        let dims = order.map { value.dims[$0] }
        let cells = Self.strided(value.cells, dims, order.map { strides[$0] })
        try set(try view(value, dims, cells, at: op.location), op)
    }

    /// Cells of a shape whose axes advance by `strides` in `cells`.
    static func strided(_ cells: [Int32], _ dims: [Int], _ strides: [Int]) -> [Int32] {
        let count = dims.reduce(1, *)
        var result: [Int32] = []
        result.reserveCapacity(count)
        var position = [Int](repeating: 0, count: dims.count)
        var place = 0
        for _ in 0..<count {
            result.append(cells[place])
            for axis in dims.indices.reversed() {
                position[axis] += 1
                place += strides[axis]
                if position[axis] < dims[axis] { break }
                place -= strides[axis] * dims[axis]
                position[axis] = 0
            }
        }
        return result
    }
}
