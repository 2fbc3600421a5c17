import JSON

/// The JSON bodies of MLflow's scoring server, read for one model.
///
/// Rows without names of columns are in the model's order. Columns that the model does not take are ignored, and inputs that
/// no column holds are missing, as long as one column has the name of an input.
struct InvocationReader {
    let model: ServedModel

    /// The forms of which a body has exactly one.
    private static let forms = ["dataframe_split", "dataframe_records", "instances", "inputs"]

    /// The rows of a body.
    func rows(_ body: JSONValue) throws(Problem) -> RowTable {
        guard body.kind == .object else { throw Self.problem("the body is an object") }
        var form: (name: String, value: JSONValue)?
        for member in body.members {
            let name = member.key
            if name == "params" {
                guard member.value.kind == .object || member.value.isNull else {
                    throw Self.problem("params is an object")
                }
            } else if Self.forms.contains(name), form == nil {
                form = (name, member.value)
            } else {
                throw Self.oneForm
            }
        }
        guard let form else { throw Self.oneForm }
        switch form.name {
        case "dataframe_split": return try split(form.value)
        case "dataframe_records": return try records(form.value, form.name)
        default:
            if form.value.kind == .object, form.name == "inputs" { return try columns(form.value) }
            guard form.value.kind == .array else { throw Self.problem("\(form.name) is an array") }
            return try list(form.value, form.name)
        }
    }

    private static let oneForm = problem(
        "exactly one of \(forms.joined(separator: ", ")) holds the rows, and params is all that may stand beside it")

    /// `{"columns": [...], "data": [[...]], "index": [...]}`, as pandas writes it.
    private func split(_ value: JSONValue) throws(Problem) -> RowTable {
        guard value.kind == .object, let data = value["data"], data.kind == .array else {
            throw Self.problem("dataframe_split is an object with columns and data")
        }
        for member in value.members where !["columns", "data", "index"].contains(member.key) {
            throw Self.problem("columns, data and index are all that dataframe_split has")
        }
        guard let columns = value["columns"], !columns.isNull else { return try matrix(data, "dataframe_split.data") }
        guard columns.kind == .array else { throw Self.problem("dataframe_split.columns is an array") }
        // pandas numbers columns that have no names.
        if columns.elements.enumerated().allSatisfy({ $1.int64 == Int64($0) }) {
            return try matrix(data, "dataframe_split.data")
        }
        var names: [String] = []
        for column in columns.elements {
            guard let name = column.string else { throw Self.problem("dataframe_split.columns are texts") }
            names.append(name)
        }
        try RowTable.check(rows: data.count, columns: names.count)
        var table = RowTable(columns: names)
        for (row, value) in data.elements.enumerated() {
            table.append(try cells(value, width: names.count, row, "dataframe_split.data"))
        }
        return table
    }

    /// `[{"age": 31, ...}, ...]`; what a row does not have is missing.
    private func records(_ value: JSONValue, _ form: String) throws(Problem) -> RowTable {
        guard value.kind == .array else { throw Self.problem("\(form) is an array") }
        let names = model.inputs.map(\.name)
        try RowTable.check(rows: value.count, columns: names.count)
        let places = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        var table = RowTable(columns: names)
        var isAnyKnown = false
        for (row, record) in value.elements.enumerated() {
            guard record.kind == .object else { throw Self.problem("\(form), row \(row): an object is expected") }
            var cells = [RowCell](repeating: .missing, count: names.count)
            for member in record.members {
                let name = member.key
                guard let place = places[name] else { continue }
                isAnyKnown = true
                guard let cell = Self.cell(member.value) else { throw Self.noCell(row, name) }
                cells[place] = cell
            }
            table.append(cells)
        }
        guard isAnyKnown || value.count == 0 || names.isEmpty else {
            throw Self.problem("no column has the name of an input of the model")
        }
        return table
    }

    /// `instances`, or `inputs` as a list: rows, records, or a flat list.
    private func list(_ value: JSONValue, _ form: String) throws(Problem) -> RowTable {
        var elements = value.elements
        guard let first = elements.next() else { return RowTable(columnCount: model.inputs.count) }
        switch first.kind {
        case .object: return try records(value, form)
        case .array: return try matrix(value, form)
        default:
            // Of a model with one input a flat list is one row an element, else it is one row.
            let width = model.inputs.count
            try RowTable.check(rows: width == 1 ? value.count : 1, columns: width)
            var table = RowTable(columnCount: width)
            guard width == 1 else {
                table.append(try cells(value, width: width, 0, form))
                return table
            }
            for (row, element) in value.elements.enumerated() {
                guard let cell = Self.cell(element) else { throw Self.noCell(row, model.inputs[0].name) }
                table.append(CollectionOfOne(cell))
            }
            return table
        }
    }

    /// Rows in the model's order.
    private func matrix(_ value: JSONValue, _ form: String) throws(Problem) -> RowTable {
        let width = model.inputs.count
        try RowTable.check(rows: value.count, columns: width)
        var table = RowTable(columnCount: width)
        for (row, element) in value.elements.enumerated() {
            table.append(try cells(element, width: width, row, form))
        }
        return table
    }

    private func cells(_ value: JSONValue, width: Int, _ row: Int, _ form: String) throws(Problem) -> [RowCell] {
        guard value.kind == .array, value.count == width else {
            throw Self.problem("\(form), row \(row): an array of \(width) cells is expected")
        }
        var cells: [RowCell] = []
        cells.reserveCapacity(width)
        for (column, element) in value.elements.enumerated() {
            guard let cell = Self.cell(element) else {
                throw Self.problem(
                    "\(form), row \(row), column \(column): a number, a text, a boolean or null is expected")
            }
            cells.append(cell)
        }
        return cells
    }

    /// `{"age": [31, ...], ...}`: one list a column, each cell possibly in a list of its own.
    private func columns(_ value: JSONValue) throws(Problem) -> RowTable {
        let known = Set(model.inputs.map(\.name))
        var names: [String] = []
        var columns: [[RowCell]] = []
        var rows: Int?
        for member in value.members {
            let name = member.key
            let told = "inputs, column \(InferenceRequest.clipped(name))"
            guard member.value.kind == .array else { throw Self.problem("\(told): an array is expected") }
            guard rows == nil || rows == member.value.count else {
                throw Self.problem("\(told): every column has as many rows as the first one")
            }
            rows = member.value.count
            guard known.contains(name) else { continue }
            names.append(name)
            try RowTable.check(rows: member.value.count, columns: names.count)
            var cells: [RowCell] = []
            cells.reserveCapacity(member.value.count)
            for (row, element) in member.value.elements.enumerated() {
                var inner = element.elements
                guard let cell = Self.cell(element.count == 1 ? inner.next() ?? element : element) else {
                    throw Self.noCell(row, name)
                }
                cells.append(cell)
            }
            columns.append(cells)
        }
        guard !names.isEmpty else { throw Self.problem("no column has the name of an input of the model") }
        var table = RowTable(columns: names)
        for row in 0..<(rows ?? 0) { table.append(columns.map { $0[row] }) }
        return table
    }

    /// A scalar as a cell, NaN as a missing one; nil for what is none, and for a number beyond the largest double.
    private static func cell(_ value: JSONValue) -> RowCell? {
        switch value.kind {
        case .null: .missing
        case .bool: value.bool.map { .bool($0) }
        case .number: value.double.map { $0.isNaN ? .missing : .number($0) }
        case .string: value.string.map { .text($0) }
        case .array, .object: nil
        }
    }

    private static func noCell(_ row: Int, _ column: String) -> Problem {
        problem(
            "row \(row), column \(InferenceRequest.clipped(column)): a number, a text, a boolean or null is expected")
    }

    static func problem(_ message: String) -> Problem {
        Problem(400, "bad_request", "The request cannot be read: \(message).")
    }
}
