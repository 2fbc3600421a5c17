import JSON

/// One tensor of a request of the Open Inference Protocol, checked but for its elements. A view into the request's body.
struct InferenceTensor {
    let name: String
    let shape: [Int]
    let datatype: InferenceDatatype
    /// Elements that the shape asks for.
    let count: Int
    private let data: JSONValue

    /// What messages call it.
    var told: String { Self.told(name, 0) }

    /// - Parameter index: place among the inputs, for one without a name.
    init(_ value: JSONValue, at index: Int) throws(Problem) {
        let name = value["name"]?.string
        let told = Self.told(name, index)
        guard value.kind == .object, let name, !name.isEmpty else {
            throw Self.problem(told, "an object with a name is expected")
        }
        var members = value.members
        while let member = members.next() {
            guard ["name", "shape", "datatype", "parameters", "data"].contains(member.key) || member.value.isNull else {
                throw Self.problem(told, "name, shape, datatype, parameters and data are all that a tensor has")
            }
        }
        if let parameters = value["parameters"] { try InferenceParameters.check(parameters, of: told) }
        guard let datatype = value["datatype"]?.string.flatMap(InferenceDatatype.init(rawValue:)) else {
            let names = InferenceDatatype.allCases.map(\.rawValue).joined(separator: ", ")
            throw Self.problem(told, "datatype is one of \(names)")
        }
        guard let data = value["data"], data.kind == .array else {
            throw Self.problem(told, "data is an array of the elements, flat or nested as the shape says")
        }
        self.name = name
        self.datatype = datatype
        self.data = data
        (shape, count) = try Self.shape(value["shape"], told)
    }

    private static func shape(_ value: JSONValue?, _ told: String) throws(Problem) -> (shape: [Int], count: Int) {
        guard let value, value.kind == .array, (1...2).contains(value.count) else {
            throw problem(told, "shape is [rows], or [rows, columns]")
        }
        var shape: [Int] = []
        var count = 1
        for element in value.elements {
            guard let size = element.int64, size >= 0 else { throw problem(told, "sizes in shape are whole numbers") }
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(size))
            guard !overflow, product <= ServiceLimits.scoreCellsMax else {
                throw Problem(413, "too_many_cells", "At most \(ServiceLimits.scoreCellsMax) elements in one request.")
            }
            shape.append(Int(size))
            count = product
        }
        return (shape, count)
    }

    /// The elements in row-major order.
    func cells() throws(Problem) -> [RowCell] {
        var cells: [RowCell] = []
        cells.reserveCapacity(min(count, data.count * max(1, shape.last ?? 1)))
        var rows = data.elements
        guard shape.count == 2, let first = rows.next(), first.kind == .array else {
            try append(data, asMany: count, to: &cells)
            return cells
        }
        guard data.count == shape[0] else { throw mismatch }
        for row in data.elements {
            guard row.kind == .array else { throw mismatch }
            try append(row, asMany: shape[1], to: &cells)
        }
        return cells
    }

    private func append(_ list: JSONValue, asMany wanted: Int, to cells: inout [RowCell]) throws(Problem) {
        guard list.count == wanted else { throw mismatch }
        for element in list.elements {
            guard let cell = datatype.cell(element) else {
                throw Self.problem("\(told), index \(cells.count)", datatype.expectation)
            }
            cells.append(cell)
        }
    }

    private var mismatch: Problem { Self.problem(told, "the data does not have the shape that is stated") }

    /// A name that a caller sent, cut where it is too long to be told.
    static func told(_ name: String?, _ index: Int) -> String {
        guard let name else { return "input \(index)" }
        return "input \(InferenceRequest.clipped(name))"
    }

    static func problem(_ place: String, _ message: String) -> Problem {
        Problem(400, "invalid_tensor", "\(place): \(message).")
    }
}

/// What a request of the Open Inference Protocol says beside its tensors.
enum InferenceParameters {
    /// Content types of MLServer that are taken; the type of the elements decides, whatever is stated.
    static let contentTypes = ["np", "pd", "str"]

    /// Refuses parameters that cannot be what the protocol says, and extensions that are not offered.
    static func check(_ parameters: JSONValue, of place: String) throws(Problem) {
        if parameters.isNull { return }
        guard parameters.kind == .object else { throw problem(place, "parameters is an object") }
        for member in parameters.members {
            if member.keyEquals("binary_data_size") {
                throw problem(place, "binary_data_size: the binary tensor extension is not offered; send data as JSON")
            }
            guard member.value.kind != .array, member.value.kind != .object else {
                throw problem(place, "a parameter is a text, a number or a boolean")
            }
        }
        if let type = parameters["content_type"], !type.isNull, !contentTypes.contains(type.string ?? "") {
            let names = contentTypes.joined(separator: ", ")
            throw problem(place, "content_type is one of \(names), or absent")
        }
    }

    private static func problem(_ place: String, _ message: String) -> Problem {
        Problem(400, "invalid_parameters", "\(place): \(message).")
    }
}
