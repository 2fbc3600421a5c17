/// A FEEL value (DMN 1.5, 10.3.2.2). `==` and hashing are structural, except that numbers compare by value; FEEL's own
/// `=`
/// (instants across zones, null for values of different types) is `FEELEquality`.
public enum Value: Hashable, Sendable {
    /// No value.
    case null
    /// true or false.
    case boolean(Bool)
    /// A 34-digit decimal.
    case number(Decimal)
    /// Unicode text.
    case string(String)
    /// A calendar day.
    case date(Date)
    /// A time of day, with or without zone.
    indirect case time(Time)
    /// A day and a time of day, with or without zone.
    indirect case dateTime(DateTime)
    /// A whole number of months.
    case yearsMonthsDuration(YearsMonthsDuration)
    /// An exact time span in nanoseconds.
    case daysTimeDuration(DaysTimeDuration)
    /// A list; elements may be of different types.
    case list([Value])
    /// Named entries in order.
    case context(Context)
    /// A range between two endpoints.
    indirect case range(Interval)
    /// A function, built in or defined in FEEL.
    case function(Function)

    /// A number from an Int.
    public static func number(_ value: Int) -> Value { .number(Decimal(value)) }

    /// Whether this is `.null`.
    @inlinable public var isNull: Bool {
        if case .null = self { return true }
        return false
    }
    /// The boolean, nil for any other type.
    @inlinable public var boolean: Bool? {
        if case .boolean(let value) = self { return value }
        return nil
    }
    /// The number, nil for any other type.
    @inlinable public var number: Decimal? {
        if case .number(let value) = self { return value }
        return nil
    }
    /// The text, nil for any other type.
    @inlinable public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }
    /// The elements, nil for any other type.
    @inlinable public var list: [Value]? {
        if case .list(let value) = self { return value }
        return nil
    }
    /// The context, nil for any other type.
    @inlinable public var context: Context? {
        if case .context(let value) = self { return value }
        return nil
    }
}

/// Named entries in the order they were defined. Two contexts are equal when they have equal entries, whatever the
/// order.
public struct Context: Hashable, Sendable {
    /// One entry.
    public struct Entry: Hashable, Sendable {
        /// The entry's name.
        public var key: String
        /// The entry's value.
        public var value: Value

        /// Makes an entry.
        public init(key: String, value: Value) {
            self.key = key
            self.value = value
        }
    }

    /// The entries in order of definition; keys are distinct.
    public private(set) var entries: [Entry]

    /// An empty context.
    public init() { entries = [] }

    /// A context from entries; a later entry of the same key replaces an earlier one.
    public init(_ entries: [(String, Value)]) {
        self.entries = []
        self.entries.reserveCapacity(entries.count)
        if entries.count <= Context.linearEntries {
            for (key, value) in entries { self[key] = value }
            return
        }
        var positions: [String: Int] = [:]
        for (key, value) in entries {
            if let position = positions[key] {
                self.entries[position].value = value
            } else {
                positions[key] = self.entries.count
                self.entries.append(Entry(key: key, value: value))
            }
        }
    }

    /// Entries up to which looking through them one by one is as good as a table.
    private static let linearEntries = 16

    /// Looks many keys up in one context.
    struct Lookup {
        private let context: Context
        private let table: [String: Value]?

        fileprivate init(_ context: Context) {
            self.context = context
            table =
                context.count > Context.linearEntries
                ? Dictionary(context.entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first }) : nil
        }

        subscript(key: String) -> Value? {
            if let table { return table[key] }
            return context[key]
        }
    }

    var lookup: Lookup { Lookup(self) }

    /// The value of a key; nil when there is no such entry. Setting nil removes the entry.
    public subscript(key: String) -> Value? {
        get {
            for entry in entries where entry.key == key { return entry.value }
            return nil
        }
        set {
            let index = entries.firstIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): entries[index].value = value
            case (let index?, nil): entries.remove(at: index)
            case (nil, let value?): entries.append(Entry(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// Number of entries.
    public var count: Int { entries.count }

    /// Equality of entries, ignoring order.
    public static func == (a: Context, b: Context) -> Bool {
        guard a.entries.count == b.entries.count else { return false }
        let lookup = b.lookup
        return a.entries.allSatisfy { lookup[$0.key] == $0.value }
    }

    /// Hashes the entries, ignoring order.
    public func hash(into hasher: inout Hasher) {
        var combined = 0
        for entry in entries { combined ^= entry.hashValue }
        hasher.combine(combined)
    }
}

/// A range: two endpoints, each included or not. A null endpoint means unbounded on that side.
public struct Interval: Hashable, Sendable {
    /// How the range was written, which equality tells apart.
    public enum Kind: Hashable, Sendable {
        /// Between two endpoints, or open on one side.
        case between
        /// `(= x)`: the one value, which is both endpoints.
        case equal
        /// `(!= x)`: every other value of its type; `low` holds the value that is left out.
        case notEqual
    }

    /// The lower endpoint, `.null` when unbounded below.
    public let low: Value
    /// The upper endpoint, `.null` when unbounded above.
    public let high: Value
    /// Whether the lower endpoint belongs to the range.
    public let includesLow: Bool
    /// Whether the upper endpoint belongs to the range.
    public let includesHigh: Bool
    /// How the range was written.
    public let kind: Kind

    /// Makes a range; the endpoints are not checked against each other.
    public init(low: Value, high: Value, includesLow: Bool, includesHigh: Bool) {
        self.init(low: low, high: high, includesLow: includesLow, includesHigh: includesHigh, kind: .between)
    }

    /// `(= value)`, or `(!= value)` when negated.
    public init(point value: Value, isNegated: Bool) {
        self.init(
            low: value, high: value, includesLow: !isNegated, includesHigh: !isNegated,
            kind: isNegated ? .notEqual : .equal)
    }

    private init(low: Value, high: Value, includesLow: Bool, includesHigh: Bool, kind: Kind) {
        self.kind = kind
        self.low = low
        self.high = high
        self.includesLow = includesLow
        self.includesHigh = includesHigh
    }
}

/// A function value: a built-in, or a FEEL function definition with the values that it closed over.
public final class Function: Hashable, Sendable {
    enum Body: Sendable {
        case builtIn(BuiltIn)
        case defined(Program, entry: Int32, slots: [Value], locals: [Value])
        case native(@Sendable ([Value], inout Call) -> Value)
    }

    /// Parameter names in order; empty for a built-in.
    public let parameters: [String]
    /// The function type, used by `instance of`.
    public let type: FEELType
    let body: Body
    /// How deep the values that it closed over are nested, itself included.
    let nesting: Int

    init(parameters: [String], type: FEELType, body: Body, nesting: Int = 1) {
        self.nesting = nesting
        self.parameters = parameters
        self.type = type
        self.body = body
    }

    /// Whether the function can be called as this type says. A built-in has no one type: it conforms to each that its
    /// signature takes.
    func conforms(to expected: FEELType) -> Bool {
        guard case .builtIn(let builtIn) = body, case .function(let parameters, let result) = expected else {
            return type.fits(expected)
        }
        let signature = Signature[builtIn]
        let given = signature.result.type(parameters)
        return given.fits(result)
            && signature.overloads.contains { overload in
                let required = overload.count { !$0.isOptional }
                guard parameters.count >= required, signature.isVariadic || parameters.count <= overload.count else {
                    return false
                }
                return parameters.indices.allSatisfy { index in
                    index >= overload.count || parameters[index].fits(overload[index].type)
                }
            }
    }

    /// Functions are equal only when they are the same object.
    public static func == (a: Function, b: Function) -> Bool { a === b }

    /// Hashes the identity.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
