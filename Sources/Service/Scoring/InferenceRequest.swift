import JSON

/// The body of an inference request of the Open Inference Protocol (version 2), read for one model.
///
/// Rows come in one of two forms: one tensor of shape `[rows, inputs]` (or `[inputs]`, one row) in the model's own order,
/// whatever its name; or one tensor a column, `[rows]` or `[rows, 1]`, each with the name of an input.
struct InferenceRequest: Sendable {
    /// The caller's own name for the request, which the answer repeats.
    let id: String?
    let table: RowTable
    /// What is asked for, in the order of the answer.
    let outputs: [InferenceOutput]

    init(_ body: JSONValue, for model: ServedModel) throws(Problem) {
        guard body.kind == .object else { throw Self.problem("the body is an object") }
        for member in body.members where !["id", "parameters", "inputs", "outputs"].contains(member.key) {
            guard member.value.isNull else {
                throw Self.problem("id, parameters, inputs and outputs are all that a request has")
            }
        }
        id = try Self.id(body["id"])
        if let parameters = body["parameters"] { try InferenceParameters.check(parameters, of: "the request") }
        outputs = try Self.outputs(body["outputs"], of: model)
        guard let inputs = body["inputs"], inputs.kind == .array, inputs.count > 0 else {
            throw Self.problem("inputs is an array of at least one tensor")
        }
        guard inputs.count <= model.inputs.count else {
            throw Self.problem("more tensors than the model has inputs")
        }
        var tensors: [InferenceTensor] = []
        for (index, value) in inputs.elements.enumerated() { tensors.append(try InferenceTensor(value, at: index)) }
        let form = body["parameters"]?["content_type"]?.string
        table =
            Self.isMatrix(tensors, form: form, model)
            ? try Self.rows(of: tensors[0], for: model) : try Self.rows(ofColumns: tensors, for: model)
    }

    private static func id(_ value: JSONValue?) throws(Problem) -> String? {
        guard let value, !value.isNull else { return nil }
        guard let id = value.string, id.utf8.count <= ServiceLimits.identityBytesMax else {
            throw problem("id is a text of at most \(ServiceLimits.identityBytesMax) bytes")
        }
        return id
    }

    private static func outputs(_ value: JSONValue?, of model: ServedModel) throws(Problem) -> [InferenceOutput] {
        guard let value, !value.isNull else { return [.predict] }
        guard value.kind == .array else { throw problem("outputs is an array") }
        let offered = InferenceOutput.offered(by: model)
        var outputs: [InferenceOutput] = []
        for (index, item) in value.elements.enumerated() {
            guard let name = item["name"]?.string else { throw problem("outputs[\(index)]: an object with a name") }
            guard let output = offered.first(where: { $0.rawValue == name }), !outputs.contains(output) else {
                let names = offered.map(\.rawValue).joined(separator: ", ")
                throw problem("output \(clipped(name)): the model offers \(names), each once")
            }
            outputs.append(output)
        }
        return outputs.isEmpty ? [.predict] : outputs
    }

    /// Whether the only tensor holds whole rows: it has another name than an input, or is wider than a column.
    private static func isMatrix(_ tensors: [InferenceTensor], form: String?, _ model: ServedModel) -> Bool {
        guard tensors.count == 1, form != "pd" else { return false }
        if form == "np" { return true }
        let (tensor, isWide) = (tensors[0], tensors[0].shape.count == 2 && tensors[0].shape[1] != 1)
        return isWide || !model.inputs.contains { $0.name == tensor.name }
    }

    private static func rows(of tensor: InferenceTensor, for model: ServedModel) throws(Problem) -> RowTable {
        let width = model.inputs.count
        // Of a model with one input `[n]` is n rows of one cell, else one row of n cells.
        let (rows, columns) =
            tensor.shape.count == 2
            ? (tensor.shape[0], tensor.shape[1]) : width == 1 ? (tensor.shape[0], 1) : (1, tensor.shape[0])
        guard columns == width else {
            throw InferenceTensor.problem(
                tensor.told,
                "no input of the model has this name, so it must hold whole rows: shape [rows, \(width)]")
        }
        try RowTable.check(rows: rows, columns: width)
        let cells = try tensor.cells()
        var table = RowTable(columnCount: width)
        for row in 0..<rows { table.append(cells[(row * width)..<((row + 1) * width)]) }
        return table
    }

    private static func rows(
        ofColumns tensors: [InferenceTensor], for model: ServedModel
    ) throws(Problem) -> RowTable {
        let known = Set(model.inputs.map(\.name))
        let rows = tensors[0].shape[0]
        try RowTable.check(rows: rows, columns: tensors.count)
        var names: Set<String> = []
        var columns: [[RowCell]] = []
        for tensor in tensors {
            guard known.contains(tensor.name) else {
                throw InferenceTensor.problem(tensor.told, "no input of the model has this name")
            }
            guard names.insert(tensor.name).inserted else {
                throw InferenceTensor.problem(tensor.told, "this input stands twice")
            }
            guard tensor.shape.count == 1 || tensor.shape[1] == 1 else {
                throw InferenceTensor.problem(tensor.told, "a column has shape [rows], or [rows, 1]")
            }
            guard tensor.shape[0] == rows else {
                throw InferenceTensor.problem(tensor.told, "every column has as many rows as the first one")
            }
            columns.append(try tensor.cells())
        }
        var table = RowTable(columns: tensors.map(\.name))
        for row in 0..<rows { table.append(columns.map { $0[row] }) }
        return table
    }

    /// A name that a caller sent, cut where it is too long to be told.
    static func clipped(_ name: String) -> String {
        name.utf8.count <= ServiceLimits.scoreNameBytesToldMax
            ? name : String(name.prefix(ServiceLimits.scoreNameBytesToldMax / 4)) + "..."
    }

    private static func problem(_ message: String) -> Problem {
        Problem(400, "invalid_request", "The request cannot be read: \(message).")
    }
}

extension RowTable {
    /// Refuses more than one request may hold.
    static func check(rows: Int, columns: Int) throws(Problem) {
        guard rows <= ServiceLimits.scoreRowsMax else {
            throw Problem(413, "too_many_rows", "At most \(ServiceLimits.scoreRowsMax) rows in one request.")
        }
        guard rows * columns <= ServiceLimits.scoreCellsMax else {
            throw Problem(413, "too_many_cells", "At most \(ServiceLimits.scoreCellsMax) cells in one request.")
        }
    }
}
