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

    /// Writes the members that name the decision and its version.
    public static func identity(_ decision: CompiledDecision, to writer: inout JSONWriter) {
        writer.members(decision.names.decision)
    }

    /// Writes the member of a record that names the time zone database that its expressions were evaluated with.
    public static func tzdata(_ decision: CompiledDecision, to writer: inout JSONWriter) {
        if let tzdata = decision.names.tzdata { writer.members(tzdata) }
    }

    /// Writes the inputs as an object in the order declared.
    public static func inputs(_ decision: CompiledDecision, _ values: [Value], to writer: inout JSONWriter) {
        writer.beginObject()
        for (key, value) in zip(decision.names.inputs, values) {
            writer.key(key)
            write(value, to: &writer)
        }
        writer.endObject()
    }

    /// Writes the served features: one object a view, with the view's version and every value.
    public static func features(
        _ decision: CompiledDecision, _ values: [[FeatureValue]], to writer: inout JSONWriter
    ) {
        writer.beginObject()
        for (names, values) in zip(decision.names.views, values) {
            writer.key(names.view)
            writer.beginObject()
            writer.members(names.version)
            writer.key("values")
            writer.beginObject()
            for (key, value) in zip(names.features, values) {
                writer.key(key)
                write(value, to: &writer)
            }
            writer.endObject()
            writer.endObject()
        }
        writer.endObject()
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
    /// - Parameter masking: decision inputs and table inputs, as written, whose values the reader may not see; table
    ///   inputs are written as null, and where there is any, no warning tells its reason.
    public static func result(
        _ decision: CompiledDecision, _ result: DecisionResult, evidence: UInt64, masking: Set<String> = [],
        to writer: inout JSONWriter
    ) {
        writer.beginObject()
        writer.key("outputs")
        writer.beginObject()
        for (key, value) in zip(decision.names.outputs, result.outputs) {
            writer.key(key)
            write(value, to: &writer)
        }
        writer.endObject()
        writer.key("score")
        if let score = result.score { write(.number(score), to: &writer) } else { writer.null() }
        writer.key("model")
        if let model = result.model { writer.raw(model.json) } else { writer.null() }
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
        warnings(result, masking, &writer)
        writer.key("evidence")
        writer.quoted(room: 16) { room in
            for place in 0..<16 {
                let digit = UInt8(truncatingIfNeeded: evidence >> UInt64(60 - 4 * place)) & 15
                room[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            }
            return 16
        }
        writer.endObject()
    }

    private static func reasons(_ decision: CompiledDecision, _ result: DecisionResult, _ writer: inout JSONWriter) {
        writer.key("reasons")
        writer.beginArray()
        if decision.spec.givesReasons {
            for rule in result.matched {
                if let reason = decision.names.reason(of: rule) { writer.raw(reason) }
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
            if let members = decision.names.rule(rule) {
                writer.members(members)
            } else {
                writer.key("table")
                writer.string(rule.table)
                writer.key("rule")
                writer.integer(Int64(rule.rule))
                writer.key("rule_id")
                writer.string(rule.ruleID)
            }
            writer.key("inputs")
            writer.beginObject()
            for (name, value) in rule.inputs {
                writer.key(name)
                if masking.contains(name) { writer.null() } else { write(value, to: &writer) }
            }
            if case .table(let table) = decision.nodes[rule.node].node,
                let values = result.tableInputs.first(where: { $0.node == rule.node })?.values
            {
                for (column, value) in values.enumerated() {
                    writer.key(decision.names.tableInputs[rule.node][column])
                    if !masking.isEmpty, masking.contains(table.inputNames[column]) {
                        writer.null()
                    } else {
                        write(value, to: &writer)
                    }
                }
            }
            writer.endObject()
            writer.endObject()
        }
        writer.endArray()
    }

    /// A reason may quote the value that it is about, so whoever may not see some input sees no reason.
    private static func warnings(_ result: DecisionResult, _ masking: Set<String>, _ writer: inout JSONWriter) {
        writer.key("warnings")
        writer.beginArray()
        for warning in result.warnings {
            writer.beginObject()
            writer.key("code")
            writer.string(warning.code)
            writer.key("subject")
            writer.string(warning.subject)
            if let reason = warning.reason, masking.isEmpty {
                writer.key("reason")
                writer.string(reason)
            }
            writer.endObject()
        }
        writer.endArray()
    }

    /// Writes the steps of all model nodes, as the record keeps them.
    public static func steps(_ result: DecisionResult, to writer: inout JSONWriter) {
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
    }

    /// Writes a FEEL value as JSON: temporal values as their FEEL text, contexts as objects, ranges and functions as text.
    public static func write(_ value: Value, to writer: inout JSONWriter) {
        switch value {
        case .null: writer.null()
        case .boolean(let flag): writer.bool(flag)
        case .number(let number): write(number, to: &writer)
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

    /// Writes a number with its exact digits, as ``Decimal/jsonText``.
    @inline(__always)
    private static func write(_ number: Decimal, to writer: inout JSONWriter) {
        // Everyday numbers have plain digits, which need no text in between.
        if let coefficient = UInt64(exactly: number.coefficient), isPlain(coefficient, number.exponent) {
            writer.decimal(isNegative: number.isNegative, coefficient: coefficient, exponent: number.exponent)
        } else {
            writer.raw(number.jsonText.utf8)
        }
    }

    /// Whether `coefficient * 10^exponent` is not zero, no whole number with an exponent, and not below 10^-7: then its
    /// plain digits are what ECMAScript writes, too.
    @inline(__always)
    fileprivate static func isPlain(_ coefficient: UInt64, _ exponent: Int) -> Bool {
        guard exponent <= 0, exponent >= -Self.plainDigitsMax, coefficient != 0 else { return false }
        return exponent >= -7 || coefficient >= powersOfTen[-exponent - 7]
    }

    private static let plainDigitsMax = 18
    private static let powersOfTen: [UInt64] = (0...plainDigitsMax).map { power in
        (0..<power).reduce(1) { product, _ in product * 10 }
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
        case .boolean(let flag): writer.bool(flag)
        case .date(let days): writer.string(Value.date(Date(daysSinceEpoch: days)).text)
        case .frequencies(let entries):
            writer.beginArray()
            for entry in entries {
                writer.beginObject()
                writer.key("value")
                write(entry.value, to: &writer)
                writer.key("count")
                writer.integer(entry.count)
                writer.endObject()
            }
            writer.endArray()
        }
    }
}

extension JSONWriter {
    /// Writes `significand / 10^scale` with its exact digits and no trailing zeros.
    public mutating func decimal(_ significand: Int128, scale: Int) {
        if let small = UInt64(exactly: significand.magnitude), DecisionEncoding.isPlain(small, -scale) {
            decimal(isNegative: significand < 0, coefficient: small, exponent: -scale)
            return
        }
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
