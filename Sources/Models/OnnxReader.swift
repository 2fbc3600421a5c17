/// Reads an ONNX file: what skl2onnx exports of scikit-learn, and what else keeps to the same operators.
///
/// Inputs: every column of every graph input is a feature. A column of texts is a categorical feature whose categories
/// are the texts that the graph's encoders look for; a missing value stands for the empty text, any other code for a text
/// that nothing looks for. Numbers are rounded to the input's type, towards zero for integers; a missing integer is the
/// smallest one. Outputs: the probabilities or the value, which are also the margins, ONNX having none apart from them.
///
/// Results are those of ONNX Runtime on one thread for a batch of rows, bit for bit, but for `Exp`, `Softmax`, `Tanh`,
/// reductions of more than a few elements and the logistic function of doubles, which its kernels compute in a way of
/// their own: these differ by 3e-7 at most in float32 and 2e-16 in float64, relative above 1. (The runtime itself
/// multiplies a row that is alone in another order than a batch, and sums trees in groups on several threads.)
struct OnnxReader {
    let limits: ModelLimits

    /// Newest operator sets whose semantics are known here.
    private static let versions: [String: ClosedRange<Int64>] = ["": 7...26, "ai.onnx.ml": 1...4]

    func read(_ bytes: UnsafeRawBufferPointer) throws(ModelError) -> ModelParts {
        let document = try OnnxDocumentReader.read(bytes, limits: limits)
        for (domain, version) in document.opsets {
            guard let known = Self.versions[domain] else { continue }
            guard known.contains(version) else {
                throw ModelError(.unsupported, "version \(version) of the operators of '\(domain)'", at: "opset_import")
            }
        }
        var planner = OnnxPlanner(limits: limits, opsets: document.opsets)
        let constants = Set(document.initializers.map(\.name))
        try planner.addInputs(document.inputs.filter { !constants.contains($0.name) })
        let outputs = try chooseOutputs(document.outputs)
        let needed = neededNodes(document.nodes, outputs)
        try addInitializers(document, needed, outputs, &planner)
        for index in needed {
            let node = document.nodes[index]
            let version = document.opsets[node.domain]
            guard version != nil || Self.versions[node.domain] == nil else {
                throw ModelError(
                    .missingField, "no version of the operators of '\(node.domain)' is declared", at: "opset_import")
            }
            try planner.plan(OnnxOperator(node: node, index: index, version: version ?? 0))
        }
        return try parts(&planner, outputs)
    }

    /// The outputs that are predictions: maps and floats; the labels of classifiers are left out. A graph without any has
    /// one output of integers.
    private func chooseOutputs(_ outputs: [OnnxValueInfo]) throws(ModelError) -> [String] {
        var names: [String] = []
        var integers: [String] = []
        for output in outputs {
            switch output.kind {
            case .collection: names.append(output.name)
            case .tensor(let code, _):
                guard let type = OnnxType(code: code) else {
                    throw ModelError(.unsupported, "tensor type \(code)", at: "output '\(output.name)'")
                }
                if type.isFloat { names.append(output.name) }
                if type.isInteger { integers.append(output.name) }
            case .unknown: throw ModelError(.unsupported, "no type is declared", at: "output '\(output.name)'")
            }
        }
        if names.isEmpty, integers.count == 1 { names = integers }
        guard !names.isEmpty else { throw ModelError(.unsupported, "no output of numbers", at: "graph outputs") }
        return names
    }

    /// Indices of the nodes that the outputs depend on, in file order.
    private func neededNodes(_ nodes: [OnnxNode], _ outputs: [String]) -> [Int] {
        var wanted = Set(outputs)
        var indices: [Int] = []
        for (index, node) in nodes.enumerated().reversed() where node.outputs.contains(where: wanted.contains) {
            indices.append(index)
            wanted.formUnion(node.inputs)
        }
        return indices.reversed()
    }

    private func addInitializers(
        _ document: OnnxDocument, _ needed: [Int], _ outputs: [String], _ planner: inout OnnxPlanner
    ) throws(ModelError) {
        var wanted = Set(outputs)
        for index in needed { wanted.formUnion(document.nodes[index].inputs) }
        for tensor in document.initializers where wanted.contains(tensor.name) {
            let location = "initializer '\(tensor.name.prefix(64))'"
            guard planner.values[tensor.name] == nil else {
                throw ModelError(.invalidValue, "the name is used twice", at: location)
            }
            planner.values[tensor.name] = try planner.makeConstant(tensor, at: location)
        }
    }

    private func parts(_ planner: inout OnnxPlanner, _ outputs: [String]) throws(ModelError) -> ModelParts {
        var labels: [String]? = nil
        var cells: [Int32] = []
        var isFloat32 = true
        for name in outputs {
            let location = "output '\(name.prefix(64))'"
            if let reason = planner.unavailable[name] { throw ModelError(.unsupported, reason, at: location) }
            guard let value = planner.values[name] else {
                throw ModelError(.missingField, "nothing makes this output", at: location)
            }
            guard value.type.isNumber, !value.cells.isEmpty else {
                throw ModelError(.unsupported, "an output of type \(value.type.rawValue)", at: location)
            }
            // Several outputs are the columns of one prediction, which ZipMap can be asked for.
            guard outputs.count == 1 || value.cells.count == 1 else {
                throw ModelError(.unsupported, "several outputs that are not one number each", at: location)
            }
            if value.type != .float32 { isFloat32 = false }
            cells += value.cells
            labels = outputs.count == 1 ? planner.labels[name] : nil
        }
        guard cells.count <= limits.outputsMax else {
            throw ModelError(.limitExceeded, "more than \(limits.outputsMax) outputs", at: "graph outputs")
        }
        if labels == nil, planner.labels.count == 1, let only = planner.labels.first?.value, only.count == cells.count {
            labels = only
        }
        planner.settleTexts()
        planner.program.outputs = cells
        planner.program.isFloat32 = isFloat32
        return ModelParts(
            format: .onnx, objective: planner.mainOperator ?? "graph", featureNames: planner.featureNames,
            outputCount: cells.count, transform: .identity, categories: planner.categories, iterationCount: 0,
            bestIteration: nil, body: .graph(planner.program), classLabels: labels)
    }
}
