import JSON
import Models

/// What moved the score of one row: contributions of the inputs to the margin, and the strongest as reasons.
struct ModelExplanation: Sendable {
    /// Per input, in the model's order; nil where the model has none.
    private let contributions: [Double]?
    private let bias: Double
    private let margin: Double
    private let row: [Double]

    /// Explains one row.
    ///
    /// - Parameters:
    ///   - row: as the model took it.
    ///   - margins: one per output.
    ///   - reasonsMax: the most reasons; nil: what the definition says.
    init(_ served: ServedModel, row: [Double], margins: [Double], reasonsMax: Int?) {
        self.row = row
        let model = served.model
        // The margin that the score comes from: of a binary model with two values there is one.
        let output = min(served.outputIndex, model.outputCount - 1)
        margin = margins[output]
        let width = model.featureCount + 1
        let all = model.contributions(row).map { Array($0[(output * width)..<((output + 1) * width)]) }
        contributions = all.map { Array($0.dropLast()) }
        bias = all?.last ?? 0
    }

    /// Writes `reasons` and `explanation`.
    func write(_ served: ServedModel, _ writer: inout JSONWriter) {
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
        writer.number(margin)
        writer.key("residual")
        writer.number(contributions.map { margin - $0.reduce(bias, +) })
        writer.key("unavailable")
        if contributions == nil {
            writer.string("the model, or its file, does not tell contributions")
        } else {
            writer.null()
        }
        writer.endObject()
    }
}
