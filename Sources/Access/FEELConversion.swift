import FEEL
import JSON

extension Context {
    /// The members of a JSON object as FEEL values; null members are left out, since absent and null are one here.
    init(_ object: JSONValue) {
        self.init(object, depth: 0)
    }

    fileprivate init(_ object: JSONValue, depth: Int) {
        var entries: [(String, Value)] = []
        entries.reserveCapacity(object.count)
        for member in object.members where !member.value.isNull {
            entries.append((member.key, Value(member.value, depth: depth + 1)))
        }
        self.init(entries)
    }

    /// The same from an owned tree, e.g. a row of a reference table; nil when it is no object.
    public init?(_ tree: JSONTree) {
        guard let members = tree.object else { return nil }
        self.init(members.filter { !$0.value.isNull }.map { ($0.key, Value($0.value, depth: 1)) })
    }
}

extension Value {
    /// JSON as FEEL: text stays text, and a number that a 34-digit decimal cannot hold exactly is null, as is what is
    /// nested too deeply.
    fileprivate init(_ json: JSONValue, depth: Int) {
        guard depth < AccessLimits.valueDepth else {
            self = .null
            return
        }
        switch json.kind {
        case .null: self = .null
        case .bool: self = .boolean(json.bool == true)
        case .number: self = Self.number(json.number)
        case .string: self = .string(json.string ?? "")
        case .array: self = .list(json.elements.map { Value($0, depth: depth + 1) })
        case .object: self = .context(Context(json, depth: depth))
        }
    }

    fileprivate init(_ tree: JSONTree, depth: Int) {
        guard depth < AccessLimits.valueDepth else {
            self = .null
            return
        }
        switch tree {
        case .null: self = .null
        case .bool(let value): self = .boolean(value)
        case .number(let number): self = Self.number(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .list(elements.map { Value($0, depth: depth + 1) })
        case .object(let members):
            let present = members.filter { !$0.value.isNull }
            self = .context(Context(present.map { ($0.key, Value($0.value, depth: depth + 1)) }))
        }
    }

    private static func number(_ number: JSONNumber?) -> Value {
        guard
            let number, number.isExact,
            let decimal = Decimal(
                significand: number.significand, exponent: Int(number.exponent), isNegative: number.isNegative)
        else { return .null }
        return .number(decimal)
    }
}
