import Decisions
import FEEL

/// The JSON Schema of values of a FEEL type, as members of a YAML flow mapping.
struct FEELSchema {
    /// Whether null is a value, too.
    let isNullable: Bool
    /// The only texts allowed; nil for any. Lists are not restricted by it, as the decision does not restrict them.
    let values: [String]?

    /// The members, each `key: value`.
    func fields(of type: FEELType) -> [String] {
        switch type {
        case .any: return ["$ref: \"#/components/schemas/JSONValue\""]
        case .null: return ["type: \"null\""]
        case .boolean: return [typed("boolean")]
        case .number: return [typed("number")]
        case .string:
            guard let values, !values.isEmpty else { return [typed("string")] }
            let texts = YAMLLines.unique(values).map(YAMLLines.quoted)
            return [typed("string"), "enum: [" + (texts + (isNullable ? ["null"] : [])).joined(separator: ", ") + "]"]
        case .date: return [typed("string"), "format: date"]
        case .dateTime: return [typed("string"), "format: date-time"]
        case .daysTimeDuration, .yearsMonthsDuration: return [typed("string"), "format: duration"]
        // A FEEL time need not have a zone, which the format `time` asks for.
        case .time, .range, .function: return [typed("string")]
        case .list(let element):
            let items = FEELSchema(isNullable: true, values: nil).fields(of: element).joined(separator: ", ")
            return [typed("array"), "items: {\(items)}"]
        case .context: return [typed("object"), "additionalProperties: " + YAMLLines.schema("JSONValue")]
        }
    }

    private func typed(_ name: String) -> String {
        isNullable ? "type: [\(name), \"null\"]" : "type: \(name)"
    }

    /// A number that readers of YAML 1.1 take for a number as well: its exponent needs a point before and a sign.
    static func number(_ value: Decimal) -> String {
        let text = value.jsonText
        guard let mark = text.firstIndex(where: { $0 == "e" || $0 == "E" }) else { return text }
        let mantissa = text[..<mark]
        let exponent = text[text.index(after: mark)...]
        let sign = exponent.hasPrefix("-") ? "-" : "+"
        let digits = exponent.drop { $0 == "-" || $0 == "+" }
        return "\(mantissa)\(mantissa.contains(".") ? "" : ".0")e\(sign)\(digits)"
    }
}
