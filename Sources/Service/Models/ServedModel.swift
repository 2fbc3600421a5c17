import Decisions
import Models

/// One version of a model as callers score with it: its artifact, and how rows become what it takes.
final class ServedModel: Sendable {
    let name: String
    let version: Int
    let model: Model
    /// Which of the model's values is the score.
    let outputIndex: Int
    /// One per input of the artifact, in its order.
    let inputs: [ModelInput]

    init(name: String, version: Int, model: Model, outputIndex: Int, inputs: [ModelInput]) {
        precondition(inputs.count == model.featureCount, "one input per feature of the artifact")
        self.name = name
        self.version = version
        self.model = model
        self.outputIndex = outputIndex
        self.inputs = inputs
    }

    /// Rows as the model takes them, and what was not as it should be.
    struct Coded: Sendable {
        /// `inputs.count` numbers a row; NaN is missing.
        var numbers: [Double] = []
        var rowCount = 0
        var quality = RowQuality()
    }

    /// Puts rows in the model's order and codes them.
    func code(_ table: RowTable) throws(RowRefusal) -> Coded {
        let places = try places(of: table)
        var coded = Coded(rowCount: table.rowCount)
        coded.numbers.reserveCapacity(table.rowCount * inputs.count)
        if let columns = table.columns {
            let known = Set(inputs.map(\.name))
            coded.quality.ignored = columns.filter { !known.contains($0) }
        }
        coded.quality.missing = [Int](repeating: 0, count: inputs.count)
        coded.quality.unknown = coded.quality.missing
        for row in 0..<table.rowCount {
            for (index, input) in inputs.enumerated() {
                let cell = places[index].map { table.cells[row * table.columnCount + $0] } ?? .missing
                switch input.code(cell) {
                case .value(let number): coded.numbers.append(number)
                case .missing(let number):
                    coded.quality.missing[index] += 1
                    coded.numbers.append(number)
                case .unknown(let number):
                    coded.quality.unknown[index] += 1
                    coded.numbers.append(number)
                case .refused(let code, let message):
                    throw RowRefusal(row: row, column: input.name, code: code, message: message)
                }
            }
        }
        return coded
    }

    /// Per input the column that holds it; nil for one that no column holds.
    private func places(of table: RowTable) throws(RowRefusal) -> [Int?] {
        guard let columns = table.columns else {
            guard table.columnCount == inputs.count else {
                throw RowRefusal(
                    row: nil, column: nil, code: "wrong_width",
                    message: "the model has \(inputs.count) inputs, a row has \(table.columnCount)")
            }
            return Array(inputs.indices)
        }
        var byName: [String: Int] = [:]
        for (index, column) in columns.enumerated() where byName.updateValue(index, forKey: column) != nil {
            throw RowRefusal(row: nil, column: column, code: "duplicate_column", message: "this column stands twice")
        }
        let places = inputs.map { byName[$0.name] }
        if !inputs.isEmpty, places.allSatisfy({ $0 == nil }) {
            throw RowRefusal(
                row: nil, column: nil, code: "no_known_input", message: "no column is named as an input of the model is"
            )
        }
        return places
    }

    /// Scores coded rows `range`, bit for bit what single rows give, and appends to `scores`.
    func score(
        _ coded: Coded, rows range: Range<Int>, using prediction: inout Prediction, into scores: inout RowScores
    ) {
        let width = inputs.count
        // A model without inputs has no rows to lay behind one another.
        guard width > 0, !model.hasPoints else {
            for row in range {
                model.predict(Array(coded.numbers[(row * width)..<((row + 1) * width)]), into: &prediction)
                scores.margins.append(contentsOf: prediction.margin)
                scores.values.append(contentsOf: prediction.values)
                scores.points.append(prediction.points)
            }
            return
        }
        let margins = [Double](unsafeUninitializedCapacity: range.count * model.outputCount) { margins, marginCount in
            let values = [Double](unsafeUninitializedCapacity: range.count * model.predictionCount) { values, count in
                coded.numbers.withUnsafeBufferPointer { numbers in
                    model.predictBatch(
                        UnsafeBufferPointer(rebasing: numbers[(range.lowerBound * width)..<(range.upperBound * width)]),
                        using: &prediction, margins: margins, values: values)
                }
                count = values.count
            }
            scores.values.append(contentsOf: values)
            marginCount = margins.count
        }
        scores.margins.append(contentsOf: margins)
    }
}

/// What was not as it should be in rows that were scored.
struct RowQuality: Sendable, Equatable {
    /// Columns that the model does not take.
    var ignored: [String] = []
    /// Rows in which each input was missing, in the model's order.
    var missing: [Int] = []
    /// Rows in which each input held a category that the model does not know.
    var unknown: [Int] = []
}

/// Scores of rows, row after row.
struct RowScores: Sendable {
    /// `model.outputCount` a row.
    var margins: [Double] = []
    /// `model.predictionCount` a row.
    var values: [Double] = []
    /// Of a scorecard one a row; else none.
    var points: [Double] = []
}
