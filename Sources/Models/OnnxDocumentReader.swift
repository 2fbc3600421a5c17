/// Reads `ModelProto` (onnx.proto) into an `OnnxDocument`. Field numbers are those of the specification; what prediction
/// does not need is skipped, what would change its meaning is refused.
struct OnnxDocumentReader {
    private let bytes: UnsafeRawBufferPointer
    private var budget: OnnxBudget
    private var document = OnnxDocument()
    private var hasGraph = false

    static func read(_ bytes: UnsafeRawBufferPointer, limits: ModelLimits) throws(ModelError) -> OnnxDocument {
        var reader = OnnxDocumentReader(bytes, limits: limits)
        try reader.readModel()
        guard reader.hasGraph else { throw ModelError(.missingField, "the file has no graph") }
        return reader.document
    }

    private init(_ bytes: UnsafeRawBufferPointer, limits: ModelLimits) {
        self.bytes = bytes
        budget = OnnxBudget(limits: limits)
    }

    private func refusal(_ what: String, _ field: ProtobufReader.Field) -> ModelError {
        ModelError(.unsupported, what, at: "byte \(field.offset)")
    }

    private mutating func readModel() throws(ModelError) {
        var reader = ProtobufReader(bytes, in: 0..<bytes.count)
        while let field = try reader.next() {
            switch field.number {
            case 7:
                guard !hasGraph else { throw refusal("two graphs", field) }
                hasGraph = true
                try readGraph(field)
            case 8: try readOpset(field)
            case 25: throw refusal("functions defined in the model", field)
            default: break
            }
        }
    }

    private mutating func readOpset(_ field: ProtobufReader.Field) throws(ModelError) {
        try budget.spend(1, at: field.offset)
        var reader = ProtobufReader(bytes, in: try field.range())
        var domain = ""
        var version: Int64 = 0
        while let field = try reader.next() {
            switch field.number {
            case 1: domain = try field.text(bytes)
            case 2: version = try field.integer()
            default: break
            }
        }
        if domain == "ai.onnx" { domain = "" }
        if let other = document.opsets[domain], other != version {
            throw refusal("two versions of the operators of '\(domain)'", field)
        }
        document.opsets[domain] = version
    }

    private mutating func readGraph(_ field: ProtobufReader.Field) throws(ModelError) {
        var reader = ProtobufReader(bytes, in: try field.range())
        while let field = try reader.next() {
            switch field.number {
            case 1:
                guard document.nodes.count < budget.limits.onnxNodesMax else {
                    throw ModelError(.limitExceeded, "more than \(budget.limits.onnxNodesMax) operators")
                }
                document.nodes.append(try readNode(field))
            case 5: document.initializers.append(try readTensor(field))
            case 11: document.inputs.append(try readValueInfo(field))
            case 12: document.outputs.append(try readValueInfo(field))
            case 15: throw refusal("sparse initializers", field)
            default: break
            }
        }
    }

    private mutating func readNode(_ field: ProtobufReader.Field) throws(ModelError) -> OnnxNode {
        try budget.spend(1, at: field.offset)
        var reader = ProtobufReader(bytes, in: try field.range())
        var node = OnnxNode()
        while let field = try reader.next() {
            switch field.number {
            case 1, 2:
                try budget.spend(1, at: field.offset)
                let name = try field.text(bytes)
                if field.number == 1 { node.inputs.append(name) } else { node.outputs.append(name) }
            case 3: node.name = try field.text(bytes)
            case 4: node.op = try field.text(bytes)
            case 5:
                let attribute = try readAttribute(field)
                guard node.attributes.updateValue(attribute.value, forKey: attribute.name) == nil else {
                    throw ModelError(.invalidValue, "attribute '\(attribute.name)' twice", at: "byte \(field.offset)")
                }
            case 7: node.domain = try field.text(bytes)
            default: break
            }
        }
        if node.domain == "ai.onnx" { node.domain = "" }
        return node
    }

    private mutating func readAttribute(_ field: ProtobufReader.Field) throws(ModelError) -> OnnxAttribute {
        try budget.spend(1, at: field.offset)
        var reader = ProtobufReader(bytes, in: try field.range())
        var name = ""
        var type: Int64 = 0
        var float: Float = 0
        var int: Int64 = 0
        var text = 0..<0
        var tensor: OnnxTensor?
        var floats: [Float] = []
        var ints: [Int64] = []
        var texts: [String] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: name = try field.text(bytes)
            case 2: float = try field.float()
            case 3: int = try field.integer()
            case 4: text = try field.range()
            case 5: tensor = try readTensor(field)
            case 7: try field.appendFloats(bytes, to: &floats, budget: &budget)
            case 8: try field.appendIntegers(bytes, to: &ints, budget: &budget)
            case 9:
                try budget.spend(1, at: field.offset)
                texts.append(try field.text(bytes))
            case 20: type = try field.integer()
            case 21: throw refusal("attributes of functions", field)
            default: break
            }
        }
        let value: OnnxAttribute.Value
        switch type {
        case 1: value = .float(float)
        case 2: value = .int(int)
        case 3:
            guard let string = String(validating: bytes[text], as: UTF8.self) else {
                throw ProtobufReader.fail("invalid UTF-8", at: field.offset)
            }
            value = .text(string)
        case 4:
            guard let tensor else { throw ModelError(.missingField, "'\(name)' has no tensor") }
            value = .tensor(tensor)
        case 6: value = .floats(floats)
        case 7: value = .ints(ints)
        case 8: value = .texts(texts)
        default: value = .other(type)
        }
        return OnnxAttribute(name: name, value: value)
    }

    private mutating func readValueInfo(_ field: ProtobufReader.Field) throws(ModelError) -> OnnxValueInfo {
        try budget.spend(1, at: field.offset)
        var reader = ProtobufReader(bytes, in: try field.range())
        var info = OnnxValueInfo()
        while let field = try reader.next() {
            switch field.number {
            case 1: info.name = try field.text(bytes)
            case 2: info.kind = try readType(field)
            default: break
            }
        }
        return info
    }

    private mutating func readType(_ field: ProtobufReader.Field) throws(ModelError) -> OnnxValueInfo.Kind {
        var reader = ProtobufReader(bytes, in: try field.range())
        var kind = OnnxValueInfo.Kind.unknown
        while let field = try reader.next() {
            switch field.number {
            case 1:
                var tensor = ProtobufReader(bytes, in: try field.range())
                var type: Int64 = 0
                var dims: [Int64?]?
                while let field = try tensor.next() {
                    if field.number == 1 { type = try field.integer() }
                    if field.number == 2 { dims = try readShape(field) }
                }
                kind = .tensor(type: type, dims: dims)
            case 4, 5: kind = .collection
            default: break
            }
        }
        return kind
    }

    private mutating func readShape(_ field: ProtobufReader.Field) throws(ModelError) -> [Int64?] {
        var reader = ProtobufReader(bytes, in: try field.range())
        var dims: [Int64?] = []
        while let field = try reader.next() {
            guard field.number == 1 else { continue }
            try budget.spend(1, at: field.offset)
            var dimension = ProtobufReader(bytes, in: try field.range())
            var value: Int64?
            while let field = try dimension.next() {
                if field.number == 1 { value = try field.integer() }
            }
            dims.append(value)
        }
        return dims
    }
}

// MARK: - Tensors

extension OnnxDocumentReader {
    /// `TensorProto`: elements in the list of their type or in `raw_data`, as many as the dimensions say.
    private mutating func readTensor(_ field: ProtobufReader.Field) throws(ModelError) -> OnnxTensor {
        try budget.spend(1, at: field.offset)
        var reader = ProtobufReader(bytes, in: try field.range())
        var tensor = OnnxTensor()
        var dims: [Int64] = []
        var type: Int64 = 0
        var floats: [Float] = []
        var ints: [Int64] = []
        var doubles: [Double] = []
        var raw: Range<Int>?
        while let field = try reader.next() {
            switch field.number {
            case 1: try field.appendIntegers(bytes, to: &dims, budget: &budget)
            case 2: type = try field.integer()
            case 4: try field.appendFloats(bytes, to: &floats, budget: &budget)
            case 5, 7: try field.appendIntegers(bytes, to: &ints, budget: &budget)
            case 6:
                try budget.spend(1, at: field.offset)
                tensor.texts.append(try field.text(bytes))
            case 8: tensor.name = try field.text(bytes)
            case 9: raw = try field.range()
            case 10: try field.appendDoubles(bytes, to: &doubles, budget: &budget)
            case 3, 13, 14:
                // data_location 0 is the default and means: in this file.
                if field.number == 14, try field.integer() == 0 { break }
                throw refusal("tensors in other files or in segments", field)
            default: break
            }
        }
        guard let known = OnnxType(code: type) else {
            throw ModelError(.unsupported, "tensor type \(type) of '\(tensor.name)'", at: "byte \(field.offset)")
        }
        tensor.type = known
        var count = 1
        for size in dims {
            guard size >= 0, size <= Int64(budget.limits.onnxValuesMax) else {
                throw ModelError(.limitExceeded, "a dimension is \(size)", at: "byte \(field.offset)")
            }
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(size))
            guard !overflow else { throw ModelError(.limitExceeded, "too many elements", at: "byte \(field.offset)") }
            count = product
            tensor.dims.append(Int(size))
        }
        if let raw {
            tensor.numbers = try rawNumbers(raw, known, count: count)
        } else {
            switch known {
            case .float32: tensor.numbers = floats.map(Double.init)
            case .float64: tensor.numbers = doubles
            case .int32, .int64, .bool: tensor.numbers = try ints.map(exactly)
            case .string: break
            }
        }
        guard (known == .string ? tensor.texts.count : tensor.numbers.count) == count else {
            throw ModelError(.countMismatch, "'\(tensor.name)' has not \(count) elements", at: "byte \(field.offset)")
        }
        return tensor
    }

    private func exactly(_ integer: Int64) throws(ModelError) -> Double {
        guard let number = Double(exactly: integer) else {
            throw ModelError(.unsupported, "integer \(integer) is beyond 2^53")
        }
        return number
    }

    private mutating func rawNumbers(
        _ range: Range<Int>, _ type: OnnxType, count: Int
    ) throws(ModelError) -> [Double] {
        let width =
            switch type {
            case .bool: 1
            case .float32, .int32: 4
            case .float64, .int64: 8
            case .string: throw ModelError(.invalidValue, "texts in raw form", at: "byte \(range.lowerBound)")
            }
        guard range.count % width == 0, range.count / width == count else {
            throw ModelError(.countMismatch, "raw data has not \(count) elements", at: "byte \(range.lowerBound)")
        }
        try budget.spend(count, at: range.lowerBound)
        var reader = ProtobufReader(bytes, in: range)
        var numbers: [Double] = []
        numbers.reserveCapacity(count)
        for _ in 0..<count {
            switch type {
            case .float32: numbers.append(Double(Float(bitPattern: try reader.fixed(UInt32.self))))
            case .float64: numbers.append(Double(bitPattern: try reader.fixed(UInt64.self)))
            case .int32: numbers.append(Double(try reader.fixed(Int32.self)))
            case .int64: numbers.append(try exactly(try reader.fixed(Int64.self)))
            default: numbers.append(try reader.fixed(UInt8.self) == 0 ? 0 : 1)
            }
        }
        return numbers
    }
}
