import JSON
import Models

/// What moved the score of one row: contributions of the inputs to the margin, and the strongest as reasons.
struct ModelExplanation: Sendable {
    /// Per input, in the model's order; nil where the model has none.
    private let contributions: [Double]?
    private let bias: Double
    private let margin: Double
    private let row: [Double]
    /// The strongest towards the adverse side.
    private let reasons: [ReasonCode]
    /// Largest part by which contributions and margin are apart; nil without contributions.
    private let residual: Double?

    /// Explains one row.
    ///
    /// - Parameters:
    ///   - row: as the model took it.
    ///   - margins: one per output.
    ///   - values: of the prediction.
    ///   - reasonsMax: the most reasons; nil: what the definition says.
    init(_ served: ServedModel, row: [Double], margins: [Double], values: [Double], reasonsMax: Int?) {
        self.row = row
        let model = served.model
        // The margin that the score comes from: of a model that answers with a class, the margin of that class; of a binary
        // model with two values there is one.
        let isClass = model.predictionCount == 1 && model.outputCount > 1
        let wanted = isClass ? Int(exactly: values[0]) ?? 0 : served.outputIndex
        let output = max(0, min(wanted, model.outputCount - 1))
        margin = margins[output]
        let width = model.featureCount + 1
        let all = model.contributions(row)
        let own = all.map { Array($0[(output * width)..<((output + 1) * width)]) }
        let contributions = own.map { Array($0.dropLast()) }
        self.contributions = contributions
        bias = own?.last ?? 0
        residual = all.map { model.additivityResidual($0, margin: margins) }
        guard let codes = served.reasons, let plan = served.definition.reasons else {
            reasons = []
            return
        }
        // Of a scorecard in points, the unit of its card.
        let moved = model.pointContributions(row, adverse: plan.adverse) ?? contributions
        reasons = moved.map { codes.strongest($0, adverse: plan.adverse, limit: reasonsMax ?? plan.limit) } ?? []
    }

    /// Explains one row that was scored elsewhere: scores it again, to the same bits.
    init(_ served: ServedModel, row: [Double]) {
        var prediction = served.model.makePrediction()
        served.model.predict(row, into: &prediction)
        self.init(served, row: row, margins: prediction.margin, values: prediction.values, reasonsMax: nil)
    }

    /// Whether contributions and margin are apart by more than rounding: a fault of this service, which is counted and told.
    func isUnsound(_ model: Model) -> Bool {
        residual.map { !($0 <= model.additivityTolerance) && margin.isFinite } ?? false
    }

    /// Writes `reasons` and `explanation`.
    ///
    /// - Parameter isMasked: the caller may not see all that the row was made from: reasons only.
    func write(_ served: ServedModel, isMasked: Bool = false, _ writer: inout JSONWriter) {
        let contributions = isMasked ? nil : contributions
        writer.key("reasons")
        writer.beginArray()
        for reason in reasons { Self.write(reason, served, &writer) }
        writer.endArray()
        writer.key("explanation")
        writer.beginObject()
        writer.key("contributions")
        if let contributions {
            writer.beginArray()
            for (index, contribution) in contributions.enumerated() {
                writer.beginObject()
                writer.key("feature")
                writer.string(served.inputs[index].name)
                writer.key("value")
                writer.number(row[index])
                writer.key("contribution")
                writer.number(contribution)
                writer.endObject()
            }
            writer.endArray()
        } else {
            writer.null()
        }
        writer.key("bias")
        writer.number(contributions == nil ? nil : bias)
        writer.key("margin")
        writer.number(isMasked ? nil : margin)
        writer.key("residual")
        writer.number(contributions.map { margin - ($0.reduce(0, +) + bias) })
        writer.key("additive")
        if contributions == nil { writer.null() } else { writer.bool(!isUnsound(served.model)) }
        writer.key("unavailable")
        if contributions == nil {
            writer.string(isMasked ? "masked" : "not_told_by_the_model")
        } else {
            writer.null()
        }
        writer.endObject()
    }

    private static func write(_ reason: ReasonCode, _ served: ServedModel, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("code")
        writer.string(reason.code)
        writer.key("text")
        writer.string(reason.text)
        writer.key("features")
        writer.beginArray()
        for feature in reason.features { writer.string(served.inputs[feature].name) }
        writer.endArray()
        writer.key("contribution")
        writer.number(reason.contribution)
        writer.endObject()
    }
}
