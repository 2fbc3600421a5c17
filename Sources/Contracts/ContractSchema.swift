import JSON

/// The logical types of ODCS.
public enum LogicalType: String, Sendable, CaseIterable {
    /// Text.
    case string
    /// A calendar date, `yyyy-MM-dd`.
    case date
    /// An instant, RFC 3339.
    case timestamp
    /// A time of day, `HH:mm:ss`.
    case time
    /// A decimal number.
    case number
    /// A whole number of at most 64 bits.
    case integer
    /// Named properties.
    case object
    /// A list.
    case array
    /// True or false.
    case boolean
}

/// One schema object of a contract: an event, or a table.
public struct SchemaObject: Sendable {
    /// Its name; of a reference table the table's name.
    public let name: String
    /// Its properties in the contract's order.
    public let properties: [SchemaProperty]
    /// Quality rules about the object as a whole.
    public let quality: [QualityRule]
    /// Where the object is in the contract.
    public let pointer: JSONPointer
}

/// One property, at any level.
public struct SchemaProperty: Sendable {
    /// Its name; empty for the items of an array.
    public let name: String
    /// The names from the schema object down to this property; array items add `[]`.
    public let path: [String]
    /// Its type; nil when the contract does not say.
    public let logicalType: LogicalType?
    /// Whether it must be present and not null.
    public let isRequired: Bool
    /// Whether no two rows may have the same value.
    public let isUnique: Bool
    /// Whether it is part of the key.
    public let isPrimaryKey: Bool
    /// How sensitive it is, in the contract's own words, for example `personal`; nil when not said.
    public let classification: String?
    /// For people.
    public let description: String?
    /// `logicalTypeOptions` as written.
    public let options: JSONTree?
    /// Digits after the point that `multipleOf` allows, when it is a power of ten from 1 to 1e-18.
    public let decimalScale: Int?
    /// Properties of an object.
    public let properties: [SchemaProperty]
    /// The element type of an array: no value, or one.
    public let items: [SchemaProperty]
    /// Tables whose rows this property names.
    public let references: [ReferenceTarget]
    /// Quality rules about this property.
    public let quality: [QualityRule]
    /// Where the property is in the contract.
    public let pointer: JSONPointer
}

/// The column that a relationship points to.
public struct ReferenceTarget: Hashable, Sendable {
    /// The table: the name of another contract's schema object.
    public let table: String
    /// The column of that table.
    public let property: String
}
