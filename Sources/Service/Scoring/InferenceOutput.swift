import JSON

/// What a caller may ask a model for, by the names of the Open Inference Protocol's outputs.
enum InferenceOutput: String, Sendable, CaseIterable {
    /// What the library that trained the model predicts: a probability, a mean, one value a class, the index of a class.
    case predict
    /// The one value of `predict` that decisions use.
    case score
    /// The model's value before its transform, such as log-odds.
    case margin
    /// The points of a scorecard.
    case points

    /// The outputs that a model has.
    static func offered(by model: ServedModel) -> [InferenceOutput] {
        allCases.filter { $0 != .points || model.model.hasPoints }
    }

    /// Values of one row.
    func width(_ model: ServedModel) -> Int {
        switch self {
        case .predict: model.model.predictionCount
        case .margin: model.model.outputCount
        case .score, .points: 1
        }
    }

    /// Type of the values.
    func datatype(_ model: ServedModel) -> InferenceDatatype { self == .points ? .fp64 : model.floatType }

    /// The shape for a number of rows, or -1 for any.
    func shape(_ model: ServedModel, rows: Int) -> [Int] {
        let width = width(model)
        return width == 1 ? [rows] : [rows, width]
    }

    /// The values, row after row.
    func values(_ scores: RowScores, _ model: ServedModel) -> [Double] {
        switch self {
        case .predict: return scores.values
        case .margin: return scores.margins
        case .points: return scores.points
        case .score:
            let width = model.model.predictionCount
            return stride(from: model.outputIndex, to: scores.values.count, by: width).map { scores.values[$0] }
        }
    }
}

extension InferenceRequest {
    /// The answer to a request of the Open Inference Protocol.
    func answer(_ scores: RowScores, _ model: ServedModel) throws(Problem) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + 24 * scores.values.count)
        writer.beginObject()
        writer.key("model_name")
        writer.string(model.name)
        writer.key("model_version")
        writer.string(String(model.version))
        if let id {
            writer.key("id")
            writer.string(id)
        }
        writer.key("outputs")
        writer.beginArray()
        for output in outputs {
            let values = output.values(scores, model)
            writer.beginObject()
            writer.key("name")
            writer.string(output.rawValue)
            writer.key("datatype")
            writer.string(output.datatype(model).rawValue)
            writer.key("shape")
            writer.beginArray()
            for size in output.shape(model, rows: table.rowCount) { writer.integer(size) }
            writer.endArray()
            writer.key("data")
            writer.beginArray()
            for (index, value) in values.enumerated() {
                guard value.isFinite else { throw RowScores.notFinite(row: index / output.width(model)) }
                model.write(value, output.datatype(model), to: &writer)
            }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.finish()
    }
}

extension ServedModel {
    /// The shortest decimal that is the value in the width it was computed in.
    func write(_ value: Double, _ datatype: InferenceDatatype, to writer: inout JSONWriter) {
        if datatype == .fp32 { writer.float(Float(value)) } else { writer.double(value) }
    }
}

extension RowScores {
    /// JSON has no such number, and a client that reads null for one computes on.
    static func notFinite(row: Int) -> Problem {
        Problem(
            400, "prediction_not_finite", "Row \(row): what the model makes of this row is not a finite number.")
    }
}
