import Decisions
import FEEL
import Features
import JSON

/// One field of a stream's items: how FEEL names it, where it lies in the item's JSON, what it is.
struct StreamField: Sendable {
    /// Name in expressions, such as `data.amount`.
    let name: String
    /// Where the value lies in the item's JSON.
    let pointer: JSONPointer
    let type: FEELType
    /// Digits after the point that the contract allows; nil when it does not say.
    let scale: Int?
    /// The contract's word for how private it is.
    let classification: String?
    let isRequired: Bool
}

/// The fields of a stream: from its contract, or built in for decisions.
struct StreamSchema: Sendable {
    let fields: [StreamField]

    /// The field of this FEEL name.
    func field(_ name: String) -> StreamField? {
        fields.first { $0.name == name }
    }

    /// The field at this pointer text.
    func field(at pointer: String) -> StreamField? {
        fields.first { $0.pointer.text == pointer }
    }

    /// Reads the first schema object of an ODCS document.
    init(contract document: JSONTree) {
        var fields: [StreamField] = []
        if let properties = document["schema"]?[0]?["properties"]?.array {
            Self.collect(properties, tokens: [], isRequired: true, &fields)
        }
        self.fields = fields
    }

    /// The fields of a contract where they lie in an event: the schema of a reference table describes the row, which an
    /// event carries as its data.
    init(events document: JSONTree) {
        let schema = StreamSchema(contract: document)
        guard ContractEntry.isReference(document) else {
            self = schema
            return
        }
        fields = schema.fields.map { field in
            StreamField(
                name: field.name, pointer: JSONPointer(tokens: ["data"] + field.pointer.tokens), type: field.type,
                scale: field.scale, classification: field.classification, isRequired: field.isRequired)
        }
    }

    /// The built-in stream of decisions; with a decision, its inputs and outputs are typed.
    init(
        decisions inputs: [InputSpec],
        outputs: [(name: String, type: FEELType)]
    ) {
        var fields = [
            Self.builtIn("decision", ["decision"], .string, isRequired: true),
            Self.builtIn("version", ["version"], .number, isRequired: true),
            Self.builtIn("principal", ["principal"], .string, isRequired: true),
            Self.builtIn("entity", ["entity"], .string), Self.builtIn("score", ["result", "score"], .number),
            Self.builtIn("model_name", ["result", "model", "name"], .string),
            Self.builtIn("model_version", ["result", "model", "version"], .number),
            Self.builtIn("fallback_step", ["result", "fallback", "step"], .number),
            Self.builtIn("fallback_cause", ["result", "fallback", "cause"], .string),
        ]
        for input in inputs {
            fields.append(
                StreamField(
                    name: "inputs.\(input.name)", pointer: JSONPointer(tokens: ["inputs", input.name]),
                    type: input.type, scale: nil, classification: input.classification,
                    isRequired: !input.isOptional))
        }
        for output in outputs {
            fields.append(Self.builtIn("outputs.\(output.name)", ["result", "outputs", output.name], output.type))
        }
        self.fields = fields
    }

    /// The built-in stream of outcomes. A value is there under its own type alone, so that an expression knows what it has.
    static let outcomes = StreamSchema(fields: [
        builtIn("name", ["name"], .string, isRequired: true), builtIn("value.number", ["value"], .number),
        builtIn("value.text", ["value"], .string), builtIn("value.boolean", ["value"], .boolean),
        builtIn("decision", ["decision"], .string, isRequired: true),
        builtIn("version", ["version"], .number, isRequired: true), builtIn("entity", ["entity"], .string),
        builtIn("principal", ["principal"], .string, isRequired: true),
    ])

    /// The built-in stream of decisions, of one or of all; nil when `spec` does not know the one.
    static func decisions(_ name: String?, _ spec: (String) -> DecisionSpec?) -> StreamSchema? {
        guard let name else { return StreamSchema(decisions: [], outputs: []) }
        return spec(name).map { spec in
            StreamSchema(
                decisions: spec.inputs,
                outputs: spec.outputs.map { ($0.name, $0.type) })
        }
    }

    private init(fields: [StreamField]) { self.fields = fields }

    /// A built-in stream other than that of decisions, whose fields follow from the decision; nil for any other.
    init?(builtIn stream: MeasureDefinition.Stream) {
        let common = [
            Self.builtIn("view", ["view"], .string, isRequired: true),
            Self.builtIn("version", ["version"], .number, isRequired: true),
            Self.builtIn("origin", ["origin"], .string, isRequired: true),
        ]
        switch stream {
        case .featureParity:
            fields =
                common + ["values", "limited", "mismatches"].map { Self.builtIn($0, [$0], .number, isRequired: true) }
        case .featureMismatches:
            fields = common + ["feature", "against"].map { Self.builtIn($0, [$0], .string, isRequired: true) }
        case .outcomes: fields = Self.outcomes.fields
        case .contract, .decisions: return nil
        }
    }

    private static func builtIn(
        _ name: String, _ tokens: [String], _ type: FEELType, isRequired: Bool = false
    ) -> StreamField {
        StreamField(
            name: name, pointer: JSONPointer(tokens: tokens), type: type, scale: nil, classification: nil,
            isRequired: isRequired)
    }

    /// - Parameter isRequired: whether the object that has the properties is always there.
    private static func collect(
        _ properties: [JSONTree], tokens: [String], isRequired: Bool, _ fields: inout [StreamField]
    ) {
        for property in properties {
            guard let name = property["name"]?.string else { continue }
            let path = tokens + [name]
            let isRequired = isRequired && property["required"]?.bool ?? false
            if let nested = property["properties"]?.array {
                collect(nested, tokens: path, isRequired: isRequired, &fields)
                continue
            }
            let multiple = property["logicalTypeOptions"]?["multipleOf"]?.number
            let logicalType = property["logicalType"]?.string ?? "string"
            let type: FEELType =
                switch logicalType {
                case "number", "integer": .number
                case "boolean": .boolean
                case "timestamp": .dateTime
                case "date": .date
                case "time": .time
                case "string": .string
                default: .any
                }
            fields.append(
                StreamField(
                    name: path.joined(separator: "."), pointer: JSONPointer(tokens: path), type: type,
                    scale: logicalType == "integer" ? 0 : multiple.map { max(0, -Int($0.exponent)) },
                    classification: property["classification"]?.string, isRequired: isRequired))
        }
    }

    /// The names that expressions over this stream may use; a field that is not required may be null.
    func environment(_ zones: ZoneOffsets) -> Environment {
        Environment(
            fields.map { TypedName(name: $0.name, type: $0.type, isNullable: !$0.isRequired) }, zones: zones)
    }

    /// The values of the fields that an expression uses, in a full row of slots.
    func slots(_ item: JSONValue, used: [Int], into slots: inout [Value]) {
        if slots.count != fields.count { slots = Array(repeating: .null, count: fields.count) }
        for index in used {
            let field = fields[index]
            guard let value = item.value(at: field.pointer) else {
                slots[index] = .null
                continue
            }
            switch (value.kind, field.type) {
            case (.string, .string): slots[index] = value.string.map(Value.string) ?? .null
            case (.number, .number): slots[index] = (Decimal(utf8: value.raw)?.stripped).map(Value.number) ?? .null
            case (.bool, .boolean): slots[index] = value.bool.map(Value.boolean) ?? .null
            default: slots[index] = Value(value.tree(), as: field.type) ?? .null
            }
        }
    }
}
