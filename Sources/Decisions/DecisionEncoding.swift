public import FEEL
public import Features
public import JSON

/// Writes a decision's parts as JSON. The same code writes the answer, the record and the replay, so that equal values
/// give equal bytes.
public enum DecisionEncoding {
    /// The key of `evidence`: fixed, so that the hash means the same on every machine.
    private static let evidenceKey = HashKey([
        0x64, 0x65, 0x63, 0x69, 0x73, 0x69, 0x6F, 0x6E, 0x2D, 0x65, 0x76, 0x69, 0x64, 0x65, 0x6E, 0x63,
    ])

    /// Writes the inputs as an object in the order declared.
    public static func inputs(_ decision: CompiledDecision, _ values: [Value]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (input, value) in zip(decision.spec.inputs, values) {
            writer.key(input.name)
            write(value, to: &writer)
        }
        writer.endObject()
        return writer.bytes
    }

    /// Writes the served features: one object a view, with the view's version and every value.
    public static func features(_ decision: CompiledDecision, _ values: [[FeatureValue]]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (use, view) in decision.views.enumerated() {
            writer.key(view.name)
            writer.beginObject()
            writer.key("version")
            writer.integer(Int64(view.interface.version))
            writer.key("values")
            writer.beginObject()
            for (index, value) in values[use].enumerated() {
                writer.key(view.interface.features[index].name)
                write(value, to: &writer)
            }
            writer.endObject()
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes
    }

    /// A hash over the inputs and features as recorded: any change of a stored value changes it, and so the result.
    public static func evidence(inputs: UnsafeRawBufferPointer, features: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hasher128(evidenceKey)
        hasher.add(inputs)
        hasher.add(features)
        let hash = hasher.finish()
        return hash.high ^ hash.low
    }

    /// Bytes of the last member with the closing brace. Answers leave it out: who may not see an input must not be able
    /// to guess it from a hash.
    public static let evidenceSuffixBytes = ",\"evidence\":\"0123456789abcdef\"}".utf8.count

    /// Writes the result: outputs, score, model, fallback, reasons, matched rules, warnings, evidence.
    ///
    /// - Parameter masking: table inputs, as written, whose values the reader may not see; they are written as null.
    public static func result(
        _ decision: CompiledDecision, _ result: DecisionResult, evidence: UInt64, masking: Set<String> = []
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.key("outputs")
        writer.beginObject()
        for (output, value) in zip(decision.spec.outputs, result.outputs) {
            writer.key(output.name)
            write(value, to: &writer)
        }
        writer.endObject()
        writer.key("score")
        if let score = result.score { write(.number(score), to: &writer) } else { writer.null() }
        writer.key("model")
        if let model = result.model {
            writer.beginObject()
            writer.key("name")
            writer.string(model.name)
            writer.key("version")
            writer.integer(Int64(model.version))
            writer.key("role")
            writer.string("champion")
            writer.endObject()
        } else {
            writer.null()
        }
        writer.key("fallback")
        if let fallback = result.fallback {
            writer.beginObject()
            writer.key("step")
            writer.integer(Int64(fallback.step))
            writer.key("used")
            writer.string(fallback.used)
            writer.key("cause")
            writer.string(fallback.cause)
            writer.endObject()
        } else {
            writer.null()
        }
        reasons(decision, result, &writer)
        matchedRules(decision, result, masking, &writer)
        warnings(result, &writer)
        writer.key("evidence")
        writer.string(hexadecimal(evidence))
        writer.endObject()
        return writer.bytes
    }

    private static func reasons(_ decision: CompiledDecision, _ result: DecisionResult, _ writer: inout JSONWriter) {
        writer.key("reasons")
        writer.beginArray()
        if decision.spec.givesReasons {
            for rule in result.matched {
                guard let code = rule.reason else { continue }
                writer.beginObject()
                writer.key("code")
                writer.string(code)
                writer.key("text")
                writer.string(decision.reasonTexts[code] ?? "")
                writer.key("table")
                writer.string(rule.table)
                writer.key("rule")
                writer.integer(Int64(rule.rule))
                writer.endObject()
            }
        }
        writer.endArray()
    }

    private static func matchedRules(
        _ decision: CompiledDecision, _ result: DecisionResult, _ masking: Set<String>, _ writer: inout JSONWriter
    ) {
        writer.key("matched_rules")
        writer.beginArray()
        for rule in result.matched {
            writer.beginObject()
            writer.key("table")
            writer.string(rule.table)
            writer.key("rule")
            writer.integer(Int64(rule.rule))
            writer.key("rule_id")
            writer.string(rule.ruleID)
            writer.key("inputs")
            writer.beginObject()
            if case .table(let table) = decision.nodes[rule.node].node, let values = result.tableInputs[rule.node] {
                for (name, value) in zip(table.inputNames, values) {
                    writer.key(name)
                    if masking.contains(name) { writer.null() } else { write(value, to: &writer) }
                }
            }
            writer.endObject()
            writer.endObject()
        }
        writer.endArray()
    }

    private static func warnings(_ result: DecisionResult, _ writer: inout JSONWriter) {
        writer.key("warnings")
        writer.beginArray()
        for warning in result.warnings {
            writer.beginObject()
            writer.key("code")
            writer.string(warning.code)
            writer.key("subject")
            writer.string(warning.subject)
            writer.endObject()
        }
        writer.endArray()
    }

    /// Writes the steps of all model nodes, as the record keeps them.
    public static func steps(_ result: DecisionResult) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for step in result.steps {
            writer.beginObject()
            writer.key("node")
            writer.string(step.node)
            writer.key("step")
            writer.integer(Int64(step.step))
            writer.key("used")
            writer.string(step.used)
            writer.key("cause")
            if let cause = step.cause { writer.string(cause) } else { writer.null() }
            writer.endObject()
        }
        writer.endArray()
        return writer.bytes
    }

    /// Writes a FEEL value as JSON: temporal values as their FEEL text, contexts as objects, ranges and functions as text.
    public static func write(_ value: Value, to writer: inout JSONWriter) {
        switch value {
        case .null: writer.null()
        case .boolean(let flag): writer.bool(flag)
        case .number(let number): writer.raw(number.jsonText.utf8)
        case .string(let text): writer.string(text)
        case .list(let items):
            writer.beginArray()
            for item in items { write(item, to: &writer) }
            writer.endArray()
        case .context(let context):
            writer.beginObject()
            for entry in context.entries {
                writer.key(entry.key)
                write(entry.value, to: &writer)
            }
            writer.endObject()
        default: writer.string(value.text)
        }
    }

    /// Writes a served feature as JSON with its exact digits.
    public static func write(_ value: FeatureValue, to writer: inout JSONWriter) {
        switch value {
        case .null: writer.null()
        case .integer(let number): writer.integer(number)
        case .decimal(let significand, let scale): writer.decimal(significand, scale: scale)
        case .double(let number): writer.double(number)
        case .string(let text): writer.string(text)
        case .timestamp(let micros): writer.timestamp(micros)
        }
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension JSONWriter {
    /// Writes `significand / 10^scale` with its exact digits and no trailing zeros.
    public mutating func decimal(_ significand: Int128, scale: Int) {
        var significand = significand
        var scale = scale
        while scale > 0 && significand % 10 == 0 {
            significand /= 10
            scale -= 1
        }
        var digits = String(significand.magnitude)
        if scale > 0 {
            if digits.count <= scale { digits = String(repeating: "0", count: scale - digits.count + 1) + digits }
            let point = digits.index(digits.endIndex, offsetBy: -scale)
            digits.insert(".", at: point)
        }
        raw((significand < 0 ? "-" + digits : digits).utf8)
    }
}

extension Decimal {
    /// The number as JSON: plain digits, or with an exponent where plain digits would be very long.
    public var jsonText: String {
        let text = stripped.description
        if text.utf8.count <= 64 { return text }
        let parts = stripped
        return "\(parts.isNegative ? "-" : "")\(parts.coefficient)e\(parts.exponent)"
    }
}
