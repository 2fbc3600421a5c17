/// A node as the planner reads it: attributes by type, and refusals that name the operator.
struct OnnxOperator {
    let node: OnnxNode
    let index: Int
    /// Version of the node's operator set.
    let version: Int64

    var location: String {
        "operator \(index) (\(node.op.prefix(64))\(node.name.isEmpty ? "" : " '\(node.name.prefix(64))'"))"
    }

    func fail(_ code: ModelError.Code, _ message: String) -> ModelError {
        ModelError(code, message, at: location)
    }

    /// Refuses attributes other than `names`: what is not read could change the meaning.
    func allow(_ names: String...) throws(ModelError) {
        try allow(names)
    }

    func allow(_ names: [String]) throws(ModelError) {
        for name in node.attributes.keys.sorted() where !names.contains(name) {
            throw fail(.unsupported, "attribute '\(name.prefix(64))' is not supported")
        }
    }

    func has(_ name: String) -> Bool { node.attributes[name] != nil }

    private func wrongType(_ name: String) -> ModelError {
        fail(.wrongType, "attribute '\(name)' has another type")
    }

    func int(_ name: String, _ standard: Int? = nil) throws(ModelError) -> Int {
        guard let value = node.attributes[name] else {
            if let standard { return standard }
            throw fail(.missingField, "attribute '\(name)' is missing")
        }
        guard case .int(let int) = value else { throw wrongType(name) }
        return Int(int)
    }

    func float(_ name: String, _ standard: Float? = nil) throws(ModelError) -> Float {
        guard let value = node.attributes[name] else {
            if let standard { return standard }
            throw fail(.missingField, "attribute '\(name)' is missing")
        }
        guard case .float(let float) = value else { throw wrongType(name) }
        return float
    }

    func text(_ name: String, _ standard: String) throws(ModelError) -> String {
        guard let value = node.attributes[name] else { return standard }
        guard case .text(let text) = value else { throw wrongType(name) }
        return text
    }

    /// A list, empty where the attribute is absent.
    func floats(_ name: String) throws(ModelError) -> [Float] {
        guard let value = node.attributes[name] else { return [] }
        guard case .floats(let floats) = value else { throw wrongType(name) }
        return floats
    }

    func ints(_ name: String) throws(ModelError) -> [Int64] {
        guard let value = node.attributes[name] else { return [] }
        guard case .ints(let ints) = value else { throw wrongType(name) }
        return ints
    }

    func texts(_ name: String) throws(ModelError) -> [String] {
        guard let value = node.attributes[name] else { return [] }
        guard case .texts(let texts) = value else { throw wrongType(name) }
        return texts
    }

    func tensor(_ name: String) throws(ModelError) -> OnnxTensor? {
        guard let value = node.attributes[name] else { return nil }
        guard case .tensor(let tensor) = value else { throw wrongType(name) }
        return tensor
    }

    /// Finite floats, as many as `counts` allows.
    func finiteFloats(_ name: String) throws(ModelError) -> [Float] {
        let floats = try floats(name)
        guard floats.allSatisfy(\.isFinite) else { throw fail(.notFinite, "'\(name)' has a number that is not finite") }
        return floats
    }

    /// An axis, counted from the end when negative, of a value of `rank` dimensions.
    func axis(_ axis: Int, rank: Int) throws(ModelError) -> Int {
        let position = axis < 0 ? axis + rank : axis
        guard position >= 0, position < rank else {
            throw fail(.indexOutOfRange, "axis \(axis) of \(rank) dimensions")
        }
        return position
    }
}

extension OnnxPlanner {
    /// Input number `position` of an operator, or nil when it is absent.
    func optionalInput(_ op: OnnxOperator, _ position: Int) throws(ModelError) -> OnnxValue? {
        guard position < op.node.inputs.count, !op.node.inputs[position].isEmpty else { return nil }
        let name = op.node.inputs[position]
        if let reason = unavailable[name] { throw op.fail(.unsupported, reason) }
        guard let value = values[name] else {
            throw op.fail(.missingField, "input '\(name.prefix(64))' is not made before it is used")
        }
        return value
    }

    func input(_ op: OnnxOperator, _ position: Int) throws(ModelError) -> OnnxValue {
        guard let value = try optionalInput(op, position) else {
            throw op.fail(.missingField, "input \(position) is missing")
        }
        return value
    }

    /// An input of a type that the operator takes.
    func input(_ op: OnnxOperator, _ position: Int, _ accepts: (OnnxType) -> Bool) throws(ModelError) -> OnnxValue {
        let value = try input(op, position)
        guard accepts(value.type) else {
            throw op.fail(.unsupported, "input \(position) of type \(value.type.rawValue) is not supported")
        }
        return value
    }

    func inputs(_ op: OnnxOperator) throws(ModelError) -> [OnnxValue] {
        var values: [OnnxValue] = []
        for position in op.node.inputs.indices { values.append(try input(op, position)) }
        guard !values.isEmpty else { throw op.fail(.missingField, "no inputs") }
        return values
    }

    /// Integers that must be known at load: shapes, axes, indices. From an input, or an attribute in older versions.
    func integers(_ op: OnnxOperator, input position: Int, attribute: String) throws(ModelError) -> [Int]? {
        if op.has(attribute) { return try op.ints(attribute).map { Int($0) } }
        guard let value = try optionalInput(op, position) else { return nil }
        guard value.type.isInteger else { throw op.fail(.wrongType, "input \(position) is not of integers") }
        guard let numbers = constant(value) else {
            throw op.fail(.unsupported, "input \(position) is known only at run time")
        }
        return numbers.map { Int(max(min($0, 9e18), -9e18)) }
    }

    mutating func set(_ value: OnnxValue, _ op: OnnxOperator, output position: Int = 0) throws(ModelError) {
        guard position < op.node.outputs.count else { throw op.fail(.missingField, "output \(position) is missing") }
        let name = op.node.outputs[position]
        guard unavailable[name] == nil, values.updateValue(value, forKey: name) == nil else {
            throw op.fail(.invalidValue, "name '\(name.prefix(64))' is used twice")
        }
    }

    /// Plans one operator, or refuses it by name.
    mutating func plan(_ op: OnnxOperator) throws(ModelError) {
        switch op.node.domain {
        case "":
            if try planMovement(op) { return }
            if try planArithmetic(op) { return }
        case "ai.onnx.ml":
            if try planEncoder(op) { return }
            if try planModel(op) { return }
        default:
            throw op.fail(.unsupported, "operators of domain '\(op.node.domain.prefix(64))' are not supported")
        }
        throw op.fail(.unsupported, "operator '\(op.node.op.prefix(64))' is not supported")
    }
}
