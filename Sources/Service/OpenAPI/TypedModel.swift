import Models

/// One champion in the document: its score operation with the types of its inputs.
struct TypedModel {
    let served: ServedModel
    /// `score_credit_risk`.
    let operationID: String
    /// What its schemas' names begin with: `ScoreCreditRisk`.
    let prefix: String

    /// Gives every model its names.
    static func naming(_ models: [ServedModel]) -> [TypedModel] {
        TypedOperation.naming(models, verb: "Score", name: \.name).map {
            TypedModel(served: $0.item, operationID: $0.operationID, prefix: $0.prefix)
        }
    }

    /// Writes the path, two spaces in.
    func writePath(_ lines: inout YAMLLines) {
        let name = served.name
        TypedOperation(
            path: "/v1/models/\(name)/score", tag: "models", operationID: operationID,
            summary: "Score with the model \(name), version \(served.version)",
            description: "The operation scoreModel, with the inputs of this model's champion.",
            action: "models.score", version: ("x-model-version", served.version), parameters: ["Traceparent"],
            request: "\(prefix)Request", answer: "ScoreAnswer",
            answerDescription: "A result per record, in their order."
        ).write(&lines)
    }

    /// Writes the schemas, four spaces in.
    func writeSchemas(_ lines: inout YAMLLines) {
        lines.add(4, "\(prefix)Request:")
        lines.add(6, "type: object")
        lines.add(6, "additionalProperties: false")
        lines.add(6, "properties:")
        lines.add(8, "record: " + YAMLLines.schema("\(prefix)Record"))
        lines.add(
            8,
            "records: {type: array, minItems: 1, maxItems: \(ServiceLimits.scoredRowsMax), items: "
                + YAMLLines.schema("\(prefix)Record") + "}")
        lines.add(8, "columns: {type: array, items: {type: string}}")
        lines.add(
            8,
            "rows: {type: array, minItems: 1, maxItems: \(ServiceLimits.scoredRowsMax), items: "
                + YAMLLines.schema("ScoreRow") + "}")
        lines.add(8, "version: {type: integer, format: int32, minimum: 1}")
        lines.add(8, "explain: {type: boolean, default: false}")
        lines.add(8, "reasons: {type: integer, format: int32, minimum: 0, maximum: \(ModelReasons.limitMax)}")
        writeRecord(&lines)
    }

    private func writeRecord(_ lines: inout YAMLLines) {
        let required = served.inputs.filter { $0.rule.missing == .refuse }.map(\.name)
        lines.add(4, "\(prefix)Record:")
        lines.add(6, "description: Inputs by name; others are ignored.")
        lines.add(6, "type: object")
        lines.add(6, "additionalProperties: {type: [number, string, boolean, \"null\"]}")
        if !required.isEmpty { lines.add(6, "required: " + YAMLLines.list(required)) }
        lines.add(6, "properties:")
        for input in served.inputs {
            lines.add(8, YAMLLines.quoted(input.name) + ": {" + Self.fields(of: input).joined(separator: ", ") + "}")
        }
        if served.inputs.isEmpty { lines.add(10, "{}") }
    }

    private static func fields(of input: ModelInput) -> [String] {
        let null = input.rule.missing == .refuse ? "" : ", \"null\""
        switch input.kind {
        case .number: return ["type: [number\(input.isDeclared ? "" : ", boolean")\(null)]"]
        case .integer: return ["type: [integer\(null)]"]
        case .boolean: return ["type: [boolean, number\(null)]"]
        case .category where input.categories.isEmpty: return ["type: [integer\(null)]"]
        case .category:
            let names = input.categories.prefix(categoriesToldMax).joined(separator: ", ")
            let more = input.categories.count > categoriesToldMax ? ", ..." : ""
            return [
                "type: [string, integer\(null)]",
                "description: " + YAMLLines.quoted("A category, or its code: \(names)\(more)."),
            ]
        }
    }

    /// Names of categories in one description.
    private static let categoriesToldMax = 40
}
