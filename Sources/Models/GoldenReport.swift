import JSON

/// Compares a model with recorded results of the library that trained it.
///
/// A golden document is an object with `rows`, a list of objects: `x` (one number per feature, null = missing), and what
/// the library gave: `margin` (one per output), `pred` (one per value), `score` (one of the values), `leaf` (one index per
/// tree, or null); a row without any of them is refused. `kind` is for people.
public struct GoldenReport: Sendable {
    /// How far a value may be off: |got - wanted| <= tolerance * max(1, |wanted|). Leaves must be equal.
    public struct Tolerance: Sendable {
        /// For margins.
        public var margin: Double
        /// For predictions.
        public var prediction: Double

        /// Makes a tolerance; 0 asks for equality in the model's output width.
        public init(margin: Double, prediction: Double) {
            self.margin = margin
            self.prediction = prediction
        }
    }

    /// One row that differs.
    public struct Disagreement: Sendable {
        /// Index in `rows`.
        public let row: Int
        /// What differs: `margin`, `pred`, `score` or `leaf`.
        public let field: String
        /// Index within the field.
        public let index: Int
        /// The recorded value; NaN stands for null.
        public let wanted: Double
        /// The value of this model.
        public let got: Double
    }

    /// Rows compared.
    public private(set) var rowsTotal = 0
    /// Rows within the tolerance in every field.
    public private(set) var rowsAgreeing = 0
    /// Rows equal in every bit of the model's output width.
    public private(set) var rowsExact = 0
    /// The first disagreements, at most the number asked for.
    public private(set) var disagreements: [Disagreement] = []

    private let model: Model
    private let tolerance: Tolerance
    private let disagreementsMax: Int

    /// Runs `model` over every row of `golden`. Throws when the document does not have the expected form.
    /// - Parameter scoreIndex: which of a prediction's values `score` is; nil for the last.
    public init(
        model: Model, golden: JSONTree, tolerance: Tolerance, disagreementsMax: Int = 10, scoreIndex: Int? = nil
    ) throws(ModelError) {
        self.model = model
        self.tolerance = tolerance
        self.disagreementsMax = disagreementsMax
        guard let rows = golden["rows"]?.array else {
            throw ModelError(.missingField, "a golden document has a list 'rows'", at: "/rows")
        }
        var prediction = model.makePrediction()
        for (index, row) in rows.enumerated() {
            let location = "/rows/\(index)"
            guard let x = try Self.numbers(row, "x", location, count: model.featureCount) else {
                throw ModelError(.missingField, "'x' is missing", at: location)
            }
            guard ["margin", "pred", "score", "leaf"].contains(where: { row[$0]?.isNull == false }) else {
                throw ModelError(.missingField, "a row has margin, pred, score or leaf to be met", at: location)
            }
            model.predict(x, into: &prediction)
            var (isExact, agrees) = (true, true)
            if let margin = try Self.numbers(row, "margin", location, count: model.outputCount) {
                agrees = compare(prediction.margin, margin, "margin", index, tolerance.margin, &isExact)
            }
            if let values = try Self.numbers(row, "pred", location, count: model.predictionCount) {
                agrees = compare(prediction.values, values, "pred", index, tolerance.prediction, &isExact) && agrees
            }
            if let score = row["score"], !score.isNull {
                guard let wanted = score.double else {
                    throw ModelError(.wrongType, "expected a number", at: "\(location)/score")
                }
                let got = prediction.values[scoreIndex ?? model.predictionCount - 1]
                agrees = compare([got], [wanted], "score", index, tolerance.prediction, &isExact) && agrees
            }
            if let leaf = row["leaf"], !leaf.isNull {
                let wanted = try Self.numbers(row, "leaf", location, count: model.treeCount) ?? []
                let got = model.leafIndices(x, using: &prediction) ?? []
                agrees = compare(got.map { Double($0) }, wanted, "leaf", index, 0, &isExact) && agrees
            }
            rowsTotal += 1
            rowsAgreeing += agrees ? 1 : 0
            rowsExact += isExact ? 1 : 0
        }
    }

    /// A list of so many numbers; nil when there is none.
    private static func numbers(
        _ row: JSONTree, _ key: String, _ location: String, count: Int
    ) throws(ModelError) -> [Double]? {
        guard let tree = row[key], !tree.isNull else { return nil }
        guard let array = tree.array else {
            throw ModelError(.wrongType, "expected a list", at: "\(location)/\(key)")
        }
        guard array.count == count else {
            throw ModelError(
                .countMismatch, "\(array.count) elements where the model has \(count)", at: "\(location)/\(key)")
        }
        var numbers: [Double] = []
        for element in array {
            guard let number = element.isNull ? Double.nan : element.double else {
                throw ModelError(.wrongType, "expected numbers or null", at: "\(location)/\(key)")
            }
            numbers.append(number)
        }
        return numbers
    }

    private mutating func compare(
        _ got: [Double], _ wanted: [Double], _ field: String, _ row: Int, _ tolerance: Double, _ isExact: inout Bool
    ) -> Bool {
        var agrees = true
        for index in wanted.indices {
            let isSame =
                (got[index].isNaN && wanted[index].isNaN)
                || (model.outputWidth == .float32
                    ? Float(got[index]) == Float(wanted[index]) : got[index] == wanted[index])
            if isSame { continue }
            isExact = false
            if abs(got[index] - wanted[index]) <= tolerance * max(1, abs(wanted[index])) { continue }
            if agrees, disagreements.count < disagreementsMax {
                disagreements.append(
                    Disagreement(row: row, field: field, index: index, wanted: wanted[index], got: got[index]))
            }
            agrees = false
        }
        return agrees
    }
}
