/// The static type of a value (DMN 1.5, 10.3.2.1). Nullability is kept beside the type, see `TypedName`.
public indirect enum FEELType: Hashable, Sendable {
    /// Anything; nothing is known.
    case any
    /// Only null.
    case null
    /// true or false.
    case boolean
    /// A decimal number.
    case number
    /// Text.
    case string
    /// A calendar day.
    case date
    /// A time of day.
    case time
    /// A day with a time of day.
    case dateTime
    /// A span of days and time.
    case daysTimeDuration
    /// A span of years and months.
    case yearsMonthsDuration
    /// A list of one element type.
    case list(FEELType)
    /// A context with at least these entries.
    case context([String: FEELType])
    /// A range of one endpoint type.
    case range(FEELType)
    /// A function from parameter types to a result type.
    case function([FEELType], FEELType)

    /// The name as FEEL spells it.
    public var name: String {
        switch self {
        case .any: "Any"
        case .null: "Null"
        case .boolean: "boolean"
        case .number: "number"
        case .string: "string"
        case .date: "date"
        case .time: "time"
        case .dateTime: "date and time"
        case .daysTimeDuration: "days and time duration"
        case .yearsMonthsDuration: "years and months duration"
        case .list(let element): "list<\(element.name)>"
        case .context(let fields):
            "context<" + fields.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.name)" }.joined(separator: ", ")
                + ">"
        case .range(let endpoint): "range<\(endpoint.name)>"
        case .function(let parameters, let result):
            "function<" + parameters.map(\.name).joined(separator: ", ") + "> -> \(result.name)"
        }
    }

    /// The simple types by their FEEL names, as DMN type references spell them; nil for any other name.
    public init?(name: String) {
        switch name {
        case "Any": self = .any
        case "Null": self = .null
        case "boolean": self = .boolean
        case "number": self = .number
        case "string": self = .string
        case "date": self = .date
        case "time": self = .time
        case "date and time", "dateTime": self = .dateTime
        case "days and time duration", "dayTimeDuration": self = .daysTimeDuration
        case "years and months duration", "yearMonthDuration": self = .yearsMonthsDuration
        default: return nil
        }
    }

    /// Whether a value of this type may stand where `other` is expected (DMN 1.5, 10.3.2.9.1); `any` on either side
    /// fits, its check is left to evaluation.
    public func fits(_ other: FEELType) -> Bool {
        switch (self, other) {
        case (.any, _), (_, .any), (.null, _): true
        case (.list(let a), .list(let b)), (.range(let a), .range(let b)): a.fits(b)
        case (.context(let a), .context(let b)): b.allSatisfy { key, type in a[key].map { $0.fits(type) } ?? false }
        case (.function(let a, let x), .function(let b, let y)):
            a.count == b.count && zip(a, b).allSatisfy { $1.fits($0) } && x.fits(y)
        default: self == other
        }
    }

    /// The narrowest type that holds values of both.
    public func union(_ other: FEELType) -> FEELType {
        if self == other || other == .null { return self }
        if self == .null { return other }
        if case .list(let a) = self, case .list(let b) = other { return .list(a.union(b)) }
        return .any
    }

    /// Whether values of this type have an order (`<`).
    public var isOrdered: Bool {
        switch self {
        case .number, .string, .date, .time, .dateTime, .daysTimeDuration, .yearsMonthsDuration, .any: true
        default: false
        }
    }
}

extension Value {
    /// The most specific type of this value.
    public var type: FEELType {
        switch self {
        case .null: .null
        case .boolean: .boolean
        case .number: .number
        case .string: .string
        case .date: .date
        case .time: .time
        case .dateTime: .dateTime
        case .yearsMonthsDuration: .yearsMonthsDuration
        case .daysTimeDuration: .daysTimeDuration
        case .list(let elements): .list(elements.reduce(FEELType.null) { $0.union($1.type) })
        case .context(let context):
            .context(Dictionary(context.entries.map { ($0.key, $0.value.type) }, uniquingKeysWith: { $1 }))
        case .range(let interval): .range(interval.low.isNull ? interval.high.type : interval.low.type)
        case .function(let function): function.type
        }
    }

    /// Whether the value conforms to a type; null conforms to every type.
    public func conforms(to type: FEELType) -> Bool {
        switch (self, type) {
        case (_, .any), (.null, _): true
        case (.boolean, .boolean), (.number, .number), (.string, .string), (.date, .date), (.time, .time),
            (.dateTime, .dateTime), (.yearsMonthsDuration, .yearsMonthsDuration),
            (.daysTimeDuration, .daysTimeDuration):
            true
        case (.list(let elements), .list(let element)): elements.allSatisfy { $0.conforms(to: element) }
        case (.context(let context), .context(let fields)):
            fields.allSatisfy { key, type in context[key].map { $0.conforms(to: type) } ?? false }
        case (.range(let interval), .range(let endpoint)):
            interval.low.conforms(to: endpoint) && interval.high.conforms(to: endpoint)
        case (.function(let function), .function): function.conforms(to: type)
        default: false
        }
    }
}

/// A name of the environment: what it is called, its type, and whether it may be null.
public struct TypedName: Hashable, Sendable {
    /// The name; may hold spaces and the characters `. / - ' + *`.
    public let name: String
    /// The type of its value when not null.
    public let type: FEELType
    /// Whether the value may be null. The strict profile then wants a guard before order and arithmetic.
    public let isNullable: Bool

    /// Makes a typed name.
    public init(name: String, type: FEELType, isNullable: Bool) {
        self.name = name
        self.type = type
        self.isNullable = isNullable
    }
}
