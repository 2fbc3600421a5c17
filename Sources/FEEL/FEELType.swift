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

    /// The same type, or one with `any` for its parts where they are more than `FEELLimits.typeParts`: parts may be
    /// shared, so that the type of a short source can be beyond all bounds.
    var bounded: FEELType {
        var room = FEELLimits.typeParts
        if count(&room) { return self }
        switch self {
        case .list: return .list(.any)
        case .context(let fields): return .context(fields.mapValues { $0.isSimple ? $0 : .any })
        default: return .any
        }
    }

    private var isSimple: Bool {
        switch self {
        case .list, .context, .function, .range: false
        default: true
        }
    }

    private func count(_ room: inout Int) -> Bool {
        room -= 1
        if room < 0 { return false }
        switch self {
        case .list(let element), .range(let element): return element.count(&room)
        case .context(let fields):
            for type in fields.values where !type.count(&room) { return false }
        case .function(let parameters, let result):
            for type in parameters where !type.count(&room) { return false }
            return result.count(&room)
        default: break
        }
        return true
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
    /// The most specific type of this value; what lies deeper or further than a glance sees counts as `any`.
    public var type: FEELType {
        var room = FEELLimits.typeParts
        return type(&room)
    }

    private func type(_ room: inout Int) -> FEELType {
        switch self {
        case .null: return .null
        case .boolean: return .boolean
        case .number: return .number
        case .string: return .string
        case .date: return .date
        case .time: return .time
        case .dateTime: return .dateTime
        case .yearsMonthsDuration: return .yearsMonthsDuration
        case .daysTimeDuration: return .daysTimeDuration
        case .list(let elements):
            var element = FEELType.null
            for value in elements {
                room -= 1
                if room < 0 { return .list(.any) }
                element = element.union(value.type(&room))
                if element == .any { break }
            }
            return .list(element)
        case .context(let context):
            var fields: [String: FEELType] = [:]
            for entry in context.entries {
                room -= 1
                fields[entry.key] = room < 0 ? .any : entry.value.type(&room)
            }
            return .context(fields)
        case .range(let interval): return .range(interval.low.isNull ? interval.high.type : interval.low.type)
        case .function(let function): return function.type
        }
    }

    /// Whether the value conforms to a type; null conforms to every type. false for a value too big to tell.
    public func conforms(to type: FEELType) -> Bool {
        var steps = 0
        return conforms(to: type, &steps) ?? false
    }

    /// The same, counting elements; nil past `FEELLimits.evaluationSteps`.
    func conforms(to type: FEELType, _ steps: inout Int) -> Bool? {
        switch (self, type) {
        case (_, .any), (.null, _): return true
        case (.boolean, .boolean), (.number, .number), (.string, .string), (.date, .date), (.time, .time),
            (.dateTime, .dateTime), (.yearsMonthsDuration, .yearsMonthsDuration),
            (.daysTimeDuration, .daysTimeDuration):
            return true
        case (.list(let elements), .list(let element)):
            for value in elements {
                steps += 1
                if steps > FEELLimits.evaluationSteps { return nil }
                guard let conforms = value.conforms(to: element, &steps) else { return nil }
                if !conforms { return false }
            }
            return true
        case (.context(let context), .context(let fields)):
            let lookup = context.lookup
            for (key, type) in fields {
                steps += 1
                if steps > FEELLimits.evaluationSteps { return nil }
                guard let value = lookup[key] else { return false }
                guard let conforms = value.conforms(to: type, &steps) else { return nil }
                if !conforms { return false }
            }
            return true
        case (.range(let interval), .range(let endpoint)):
            return interval.low.conforms(to: endpoint) && interval.high.conforms(to: endpoint)
        case (.function(let function), .function): return function.conforms(to: type)
        default: return false
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
