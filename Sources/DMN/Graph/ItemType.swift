import FEEL

/// A type of a model with its constraints (DMN 1.5, 7.3.2), ready to convert and check values.
final class ItemType: Sendable {
    /// The FEEL type.
    let type: FEELType
    /// The definition that this one is made of.
    private let base: ItemType?
    private let isCollection: Bool
    private let fields: [(name: String, type: ItemType)]
    private let allowed: UnaryTests?
    private let constraint: UnaryTests?
    /// Whether anything beyond the FEEL type is to be checked.
    let isConstrained: Bool

    static let any = ItemType(.any)

    /// A type without constraints.
    init(_ type: FEELType) {
        self.type = type
        base = nil
        isCollection = false
        fields = []
        allowed = nil
        constraint = nil
        isConstrained = false
    }

    /// A defined type.
    /// - Parameter type: the whole type, list included for a collection.
    init(
        _ type: FEELType, base: ItemType?, isCollection: Bool, fields: [(name: String, type: ItemType)],
        allowed: UnaryTests?, constraint: UnaryTests?
    ) {
        self.type = type
        self.base = base
        self.isCollection = isCollection
        self.fields = fields
        self.allowed = allowed
        self.constraint = constraint
        isConstrained =
            allowed != nil || constraint != nil || base?.isConstrained == true
            || fields.contains { $0.type.isConstrained }
    }

    /// FEEL source of the allowed values of one element; they give output columns their order.
    var allowedValues: String? { allowed?.source ?? base?.allowedValues }

    /// What a function of this type returns; this type itself when it is no function, as tools write it.
    var result: ItemType {
        if case .function(_, let result) = type { return ItemType(result) }
        return self
    }

    /// The value as this type: converted as DMN allows (singleton lists, dates), null with a reason when it neither
    /// conforms nor is allowed.
    func coerce(_ value: Value, _ call: inout Call, _ subject: @autoclosure () -> String) -> Value {
        if case .any = type, !isConstrained { return value }
        guard let coerced = Coercion.coerce(unwrapped(value), to: type) else {
            call.note(.typeMismatch, "\(subject()) must be a \(type.name), not a \(value.type.name)")
            return .null
        }
        if isConstrained && !admits(coerced, &call) {
            call.note(.notAllowed, "\(subject()): \(coerced.text) is not an allowed value")
            return .null
        }
        return coerced
    }

    /// A list that holds but one list, where no list is wanted: a singleton is its element however often it was wrapped,
    /// as it is when every box and variable on its way unwraps it once.
    private func unwrapped(_ value: Value) -> Value {
        if case .list = type { return value }
        var value = value
        while case .list(let outer) = value, outer.count == 1, case .list(let inner) = outer[0], inner.count == 1 {
            value = outer[0]
        }
        return value
    }

    /// Whether a value of the FEEL type passes the constraints; null always does.
    private func admits(_ value: Value, _ call: inout Call) -> Bool {
        if value.isNull || !isConstrained { return true }
        if isCollection {
            guard let elements = value.list else { return false }
            for element in elements where !admitsElement(element, &call) { return false }
        } else if !admitsElement(value, &call) {
            return false
        }
        return constraint.map { $0.matches(value, [], in: &call) == true } ?? true
    }

    private func admitsElement(_ value: Value, _ call: inout Call) -> Bool {
        if value.isNull { return true }
        if let base, !base.admits(value, &call) { return false }
        for field in fields {
            if let entry = value.context?[field.name], !field.type.admits(entry, &call) { return false }
        }
        return allowed.map { $0.matches(value, [], in: &call) == true } ?? true
    }
}
