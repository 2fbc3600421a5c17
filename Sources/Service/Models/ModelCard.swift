import JSON
import Models

/// What a model is for, how it came to be, who answers for it: `spec.card` of a definition, as its author wrote it.
struct ModelCard: Sendable {
    /// Whom to ask; the definition's `owner` where the card names nobody.
    var owner: String?
    /// What decisions it is for.
    var purpose: String?
    /// What it must not be used for.
    var limitations: String?
    /// Where the rows came from, of which time, how many.
    var trainingData: JSONTree?
    /// Measured quality, by name.
    var metrics: [(name: String, value: JSONTree)] = []
    /// Who allowed its use: `{by, at, note}`.
    var approval: Approval?
    /// The day on which it is to be looked at again, `YYYY-MM-DD`.
    var reviewDate: String?
    /// Distributions that drift is measured against.
    var reference: ModelReference?

    /// Who allowed a model's use.
    struct Approval: Sendable {
        let by: String
        let at: String?
        let note: String?
    }

    /// A card that says nothing.
    static let empty = ModelCard()

    private init() {}

    /// Reads a card.
    init(_ reader: TreeReader) {
        owner = reader.string("owner")
        purpose = reader.string("purpose")
        limitations = reader.string("limitations")
        trainingData = reader.value("training_data")
        if let trainingData, trainingData.string == nil, trainingData.object == nil {
            reader.problems.add(reader.path("training_data"), "type_mismatch", "a text or an object is expected here")
        }
        metrics = reader.map("metrics").map { ($0.key, $0.value) }
        for metric in metrics where metric.value.number == nil && metric.value.string == nil {
            reader.problems.add(
                reader.path("metrics") + "/" + metric.name.pointerToken, "type_mismatch",
                "a number or a text is expected")
        }
        approval = reader.object("approval") { approval in
            Approval(
                by: approval.string("by", required: true) ?? "", at: approval.string("at"),
                note: approval.string("note"))
        }
        reviewDate = reader.string("review_date")
        if let reviewDate, !Self.isDate(reviewDate) {
            reader.problems.add(reader.path("review_date"), "type_mismatch", "a day is expected: YYYY-MM-DD")
        }
        reference = reader.object("reference") { ModelReference($0) }
    }

    private static func isDate(_ text: String) -> Bool {
        Timestamp.parse(text + "T00:00:00Z") != nil && text.utf8.count == 10
    }
}

/// Business texts of what moves a score: `spec.reasons`.
struct ModelReasons: Sendable {
    /// One input's text.
    struct Code: Sendable {
        let feature: String
        let code: String
        let text: String
        /// Told instead where the input speaks against somebody.
        let adverseText: String?
        /// Inputs of one group are one reason; nil: those of one code are.
        let group: String?
        /// Pointer of the entry.
        let pointer: String
    }

    /// Which scores are the adverse ones.
    let adverse: AdverseDirection
    /// The most reasons that are told.
    let limit: Int
    /// Texts by input.
    let codes: [Code]

    /// The most reasons that a caller can ask for.
    static let limitMax = 20
    /// Reasons told where nothing else is said: what adverse action notices name.
    static let limitDefault = 4

    /// Reads `{adverse: higher | lower, limit, codes: [{feature, code, text, adverse_text, group}]}`.
    init(_ reader: TreeReader) {
        let adverse = reader.string("adverse") ?? "higher"
        if adverse != "higher" && adverse != "lower" {
            reader.problems.add(reader.path("adverse"), "value_not_allowed", "higher, or lower")
        }
        self.adverse = adverse == "higher" ? .higherIsAdverse : .lowerIsAdverse
        limit = reader.integer("limit", in: 1...Int64(Self.limitMax)).map(Int.init) ?? Self.limitDefault
        codes = reader.objects("codes", required: true) { item in
            Code(
                feature: item.string("feature", required: true) ?? "", code: item.string("code", required: true) ?? "",
                text: item.string("text", required: true) ?? "", adverseText: item.string("adverse_text"),
                group: item.string("group"), pointer: item.pointer)
        }
        var seen: Set<String> = []
        for code in codes where !seen.insert(code.feature).inserted {
            reader.problems.add(code.pointer + "/feature", "duplicate_value", "each input once")
        }
    }

    /// The codes, bound to the inputs of an artifact.
    func bound(to model: Model) throws(ReasonCodeError) -> ReasonCodes {
        let entries = codes.map {
            ($0.feature, ReasonCodes.Entry(code: $0.code, text: $0.text, adverseText: $0.adverseText, group: $0.group))
        }
        return try ReasonCodes(
            Dictionary(entries, uniquingKeysWith: { first, _ in first }), featureNames: model.featureNames)
    }
}
