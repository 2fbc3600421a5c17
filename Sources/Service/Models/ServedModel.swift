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
    let definition: ModelDefinition
    /// Business texts of its inputs; nil without any.
    let reasons: ReasonCodes?

    init(
        name: String, version: Int, model: Model, outputIndex: Int, inputs: [ModelInput], definition: ModelDefinition,
        reasons: ReasonCodes?
    ) {
        precondition(inputs.count == model.featureCount, "one input per feature of the artifact")
        self.name = name
        self.version = version
        self.model = model
        self.outputIndex = outputIndex
        self.inputs = inputs
        self.definition = definition
        self.reasons = reasons
    }

    /// Whether drift is measured.
    var hasReference: Bool { definition.card.reference != nil }

    /// Rows as the model takes them, and what was not as it should be.
    struct Coded: Sendable {
        /// `inputs.count` numbers a row; NaN is missing.
        var numbers: [Double] = []
        /// What each of them was.
        var marks: [CellMark] = []
        var rowCount = 0
        var quality = RowQuality()
    }

    /// Puts rows in the model's order and codes them.
    func code(_ table: RowTable) throws(RowRefusal) -> Coded {
        let places = try places(of: table)
        var coder = RowCoder(inputs)
        coder.reserve(table.rowCount)
        var cells = [RowCell](repeating: .missing, count: inputs.count)
        for row in 0..<table.rowCount {
            for index in inputs.indices {
                if let place = places[index] { cells[index] = table.cells[row * table.columnCount + place] }
            }
            try coder.append(cells)
        }
        var coded = coder.coded
        if let columns = table.columns {
            let known = Set(inputs.map(\.name))
            coded.quality.ignored = columns.filter { !known.contains($0) }
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
                row: nil, column: nil, code: "no_known_input", message: "no column has the name of an input"
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

/// Codes rows one after the other.
struct RowCoder {
    private let inputs: [ModelInput]
    /// What was coded so far.
    private(set) var coded = ServedModel.Coded()

    /// - Parameter inputs: of the model, in its order.
    init(_ inputs: [ModelInput]) {
        self.inputs = inputs
        coded.quality.missing = [Int](repeating: 0, count: inputs.count)
        coded.quality.unknown = coded.quality.missing
    }

    /// Makes room for so many rows.
    mutating func reserve(_ rows: Int) {
        coded.numbers.reserveCapacity(rows * inputs.count)
        coded.marks.reserveCapacity(rows * inputs.count)
    }

    /// Codes a row, which has one cell per input.
    mutating func append(_ cells: [RowCell]) throws(RowRefusal) {
        for (index, input) in inputs.enumerated() {
            switch input.code(cells[index]) {
            case .value(let number):
                coded.numbers.append(number)
                coded.marks.append(.value)
            case .missing(let number):
                coded.quality.missing[index] += 1
                coded.numbers.append(number)
                coded.marks.append(.missing)
            case .unknown(let number):
                coded.quality.unknown[index] += 1
                coded.numbers.append(number)
                coded.marks.append(.unknown)
            case .refused(let code, let message):
                throw RowRefusal(row: coded.rowCount, column: input.name, code: code, message: message)
            }
        }
        coded.rowCount += 1
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
