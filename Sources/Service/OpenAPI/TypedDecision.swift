import Decisions
import FEEL

/// One decision in the document: the names that it has there, its path and its schemas.
struct TypedDecision {
    let decision: CompiledDecision
    /// `decide_credit_limit`.
    let operationID: String
    /// What its schemas' names begin with: `DecideCreditLimit`.
    let prefix: String

    /// Gives every decision its names.
    static func naming(_ decisions: [CompiledDecision]) -> [TypedDecision] {
        TypedOperation.naming(decisions, verb: "Decide", name: \.name).map {
            TypedDecision(decision: $0.item, operationID: $0.operationID, prefix: $0.prefix)
        }
    }

    /// Writes the path, two spaces in.
    func writePath(_ lines: inout YAMLLines) {
        let name = decision.name
        TypedOperation(
            path: "/v1/decide/\(name)", tag: "decide", operationID: operationID,
            summary: "Ask for the decision \(name), version \(decision.version)",
            description: "The operation postDecision, with the types of this decision.", action: "decide",
            version: ("x-decision-version", decision.version), parameters: ["Traceparent", "IdempotencyKey", "Ack"],
            request: "\(prefix)Request", answer: "\(prefix)Answer", answerDescription: "The answer."
        ).write(&lines)
    }

    /// Writes the schemas, four spaces in.
    func writeSchemas(_ lines: inout YAMLLines) {
        writeRequest(&lines)
        writeInputs(&lines)
        writeAnswer(&lines)
        writeOutputs(&lines)
        if !reasonCodes.isEmpty { writeReason(&lines) }
    }

    /// Codes that an answer can give.
    private var reasonCodes: [String] {
        decision.spec.givesReasons ? YAMLLines.unique(decision.spec.reasonTexts.map(\.code)) : []
    }

    private func begin(_ name: String, required: [String], _ lines: inout YAMLLines) {
        lines.add(4, "\(name):")
        lines.add(6, "type: object")
        lines.add(6, "additionalProperties: false")
        if !required.isEmpty { lines.add(6, "required: " + YAMLLines.list(required)) }
        lines.add(6, "properties:")
    }

    private func writeRequest(_ lines: inout YAMLLines) {
        begin("\(prefix)Request", required: ["inputs"], &lines)
        lines.add(8, "inputs: " + YAMLLines.schema("\(prefix)Inputs"))
        lines.add(8, "as_of: " + YAMLLines.schema("Time"))
        lines.add(8, "known_at: " + YAMLLines.schema("KnownAt"))
        lines.add(8, "deadline_ms: " + YAMLLines.schema("DeadlineMilliseconds"))
    }

    private func writeInputs(_ lines: inout YAMLLines) {
        let inputs = decision.spec.inputs
        begin("\(prefix)Inputs", required: inputs.filter { !$0.isOptional }.map(\.name), &lines)
        for input in inputs {
            var fields = FEELSchema(isNullable: input.isOptional, values: input.values).fields(of: input.type)
            if case .string = input.type, input.values == nil {
                fields.append("maxLength: \(DecisionLimits.inputTextBytesMax)")
            }
            if case .number = input.type {
                if let minimum = input.minimum { fields.append("minimum: " + FEELSchema.number(minimum)) }
                if let maximum = input.maximum { fields.append("maximum: " + FEELSchema.number(maximum)) }
            }
            if let text = input.description { fields.append("description: " + YAMLLines.quoted(text)) }
            if let word = input.classification { fields.append("x-classification: " + YAMLLines.quoted(word)) }
            lines.add(8, YAMLLines.quoted(input.name) + ": {" + fields.joined(separator: ", ") + "}")
        }
        if inputs.isEmpty { lines.add(10, "{}") }
    }

    private func writeOutputs(_ lines: inout YAMLLines) {
        let outputs = decision.spec.outputs
        begin("\(prefix)Outputs", required: outputs.map(\.name), &lines)
        for output in outputs {
            // An output that cannot be computed is null, with a warning.
            let fields = FEELSchema(isNullable: true, values: output.values).fields(of: output.type)
            lines.add(8, YAMLLines.quoted(output.name) + ": {" + fields.joined(separator: ", ") + "}")
        }
        if outputs.isEmpty { lines.add(10, "{}") }
    }

    private func writeAnswer(_ lines: inout YAMLLines) {
        let codes = reasonCodes
        let reasons =
            codes.isEmpty
            ? "{type: array, maxItems: 0, items: \(YAMLLines.schema("Reason"))}"
            : "{type: array, items: \(YAMLLines.schema("\(prefix)Reason"))}"
        let score = decision.scoreSlot == nil ? "{type: \"null\"}" : YAMLLines.schema("Score")
        let properties: [(name: String, schema: String)] = [
            ("id", YAMLLines.schema("UUID")),
            ("decision", "{type: string, const: \(YAMLLines.quoted(decision.name))}"),
            ("version", YAMLLines.schema("Version")), ("outputs", YAMLLines.schema("\(prefix)Outputs")),
            ("score", score), ("model", YAMLLines.schema("AnsweringModel")),
            ("fallback", YAMLLines.schema("Fallback")), ("reasons", reasons),
            ("matched_rules", "{type: array, items: \(YAMLLines.schema("MatchedRule"))}"),
            ("warnings", "{type: array, items: \(YAMLLines.schema("Warning"))}"),
            ("experiment", YAMLLines.schema("ExperimentArm")), ("as_of", YAMLLines.schema("UTCTime")),
            ("features_seq", YAMLLines.schema("Position")),
            ("latency_ms", YAMLLines.schema("LatencyMilliseconds")), ("seq", YAMLLines.schema("Position")),
        ]
        begin("\(prefix)Answer", required: properties.map(\.name), &lines)
        for property in properties { lines.add(8, "\(property.name): \(property.schema)") }
    }

    private func writeReason(_ lines: inout YAMLLines) {
        begin("\(prefix)Reason", required: ["code", "text", "table", "rule"], &lines)
        lines.add(8, "code: {type: string, enum: \(YAMLLines.list(reasonCodes))}")
        lines.add(8, "text: {type: string}")
        lines.add(8, "table: {type: string}")
        lines.add(8, "rule: " + YAMLLines.schema("RuleNumber"))
    }
}
