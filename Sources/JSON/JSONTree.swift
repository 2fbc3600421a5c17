/// An owned JSON value, for everything that is not hot: definitions, configuration, files. Equality is by
/// value of numbers and by order of members; compare ``canonicalBytes`` where that order must not matter.
public indirect enum JSONTree: Hashable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// An exact number.
    case number(JSONNumber)
    /// Text.
    case string(String)
    /// A list.
    case array([JSONTree])
    /// Members in source order, with distinct keys.
    case object([Member])

    /// One member of an object.
    public struct Member: Hashable, Sendable {
        /// The decoded key.
        public var key: String
        /// What the key stands for.
        public var value: JSONTree

        /// A member of `key` and `value`.
        public init(key: String, value: JSONTree) {
            self.key = key
            self.value = value
        }
    }

    /// Parses one document into a tree.
    public init(parsing bytes: [UInt8], limits: JSONLimits = .standard) throws(JSONError) {
        let document = try JSONDocument(bytes, limits: limits)
        self = document.withRoot { $0.tree() }
    }

    /// Parses the UTF-8 of `text` into a tree.
    public init(parsing text: String, limits: JSONLimits = .standard) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    /// The value of the member `key`; nil when there is none or this is not an object.
    public subscript(_ key: String) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// The element at `index`; nil when there is none or this is not an array.
    public subscript(_ index: Int) -> JSONTree? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// What this value is.
    public var kind: JSONKind {
        switch self {
        case .null: .null
        case .bool: .bool
        case .number: .number
        case .string: .string
        case .array: .array
        case .object: .object
        }
    }

    /// Whether this is `null`.
    public var isNull: Bool { self == .null }

    /// The truth value; nil when this is not a boolean.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The text; nil when this is not a string.
    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The exact number; nil when this is not a number.
    public var number: JSONNumber? {
        if case .number(let value) = self { value } else { nil }
    }

    /// The nearest finite double; nil when this is not a number or when there is none.
    public var double: Double? {
        guard let value = number?.double, value.isFinite else { return nil }
        return value
    }

    /// The exact integer; nil when this is not a number, has a fraction, or does not fit.
    public var int64: Int64? { number?.scaledInt64(scale: 0) }

    /// The elements; nil when this is not an array.
    public var array: [JSONTree]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members; nil when this is not an object.
    public var object: [Member]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// An object of `members`, in the order given.
    public static func members(_ members: KeyValuePairs<String, JSONTree>) -> JSONTree {
        .object(members.map { Member(key: $0.key, value: $0.value) })
    }

    /// The integer `value`.
    public static func integer(_ value: Int64) -> JSONTree { .number(JSONNumber(value)) }
}

extension JSONValue {
    /// An owned copy. Bare `NaN` and infinities become `null`, since no JSON number stands for them.
    public func tree() -> JSONTree {
        switch kind {
        case .null: return .null
        case .bool: return .bool(bool == true)
        case .number: return number.map(JSONTree.number) ?? .null
        case .string: return .string(string ?? "")
        case .array:
            var copies: [JSONTree] = []
            copies.reserveCapacity(count)
            for element in elements { copies.append(element.tree()) }
            return .array(copies)
        case .object:
            var copies: [JSONTree.Member] = []
            copies.reserveCapacity(count)
            for member in members { copies.append(.init(key: member.key, value: member.value.tree())) }
            return .object(copies)
        }
    }
}
