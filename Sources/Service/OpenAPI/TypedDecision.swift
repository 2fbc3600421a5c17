import Decisions
import FEEL

/// One decision in the document: the names that it has there, its path and its schemas.
struct TypedDecision {
    let decision: CompiledDecision
    /// `decide_credit_limit`.
    let operationID: String
    /// What its schemas' names begin with: `DecideCreditLimit`.
    let prefix: String

    /// Gives every decision its names, by name in ascending order. Names that differ only in case or punctuation would
    /// get the same; the later ones then get a number.
    static func naming(_ decisions: [CompiledDecision]) -> [TypedDecision] {
        var taken: Set<String> = []
        return decisions.sorted { $0.name < $1.name }.map { decision in
            let words = decision.name.split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
            let prefix = "Decide" + words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            let operation = "decide_" + String(decision.name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
            var number = 1
            var suffix = ""
            while taken.contains((prefix + suffix).lowercased()) || taken.contains((operation + suffix).lowercased()) {
                number += 1
                suffix = "_\(number)"
            }
            taken.insert((prefix + suffix).lowercased())
            taken.insert((operation + suffix).lowercased())
            return TypedDecision(decision: decision, operationID: operation + suffix, prefix: prefix + suffix)
        }
    }

    /// What `postDecision` may answer besides 200: status and name of the response.
    static let refusals: [(status: Int, response: String)] = [
        (400, "BadRequest"), (401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (408, "RequestTimeout"),
        (413, "ContentTooLarge"), (414, "URITooLong"), (415, "UnsupportedMediaType"), (422, "UnprocessableContent"),
        (431, "HeaderFieldsTooLarge"), (503, "ServiceUnavailable"),
    ]

    /// Writes the path, two spaces in.
    func writePath(_ lines: inout YAMLLines) {
        let name = decision.name
        lines.add(2, YAMLLines.quoted("/v1/decide/\(name)") + ":")
        lines.add(4, "post:")
        lines.add(6, "tags: [decide]")
        lines.add(6, "operationId: \(operationID)")
        lines.add(6, "summary: " + YAMLLines.quoted("Ask for the decision \(name), version \(decision.version)"))
        lines.add(6, "description: The operation postDecision, with the types of this decision.")
        lines.add(6, "x-required-action: decide")
        lines.add(6, "x-decision-version: \(decision.version)")
        lines.add(6, "parameters:")
        lines.add(8, "- " + YAMLLines.reference("parameters", "Traceparent"))
        lines.add(8, "- " + YAMLLines.reference("parameters", "IdempotencyKey"))
        lines.add(8, "- " + YAMLLines.reference("parameters", "Ack"))
        lines.add(6, "requestBody:")
        lines.add(8, "required: true")
        writeContent(8, "\(prefix)Request", &lines)
        lines.add(6, "responses:")
        lines.add(8, "\"200\":")
        lines.add(10, "description: The answer.")
        writeContent(10, "\(prefix)Answer", &lines)
        for refusal in Self.refusals {
            lines.add(8, "\"\(refusal.status)\": " + YAMLLines.reference("responses", refusal.response))
        }
    }

    private func writeContent(_ indentation: Int, _ schema: String, _ lines: inout YAMLLines) {
        lines.add(indentation, "content:")
        lines.add(indentation + 2, "application/json:")
        lines.add(indentation + 4, "schema: " + YAMLLines.schema(schema))
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
