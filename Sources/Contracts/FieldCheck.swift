import JSON

/// What is checked about one property of an event: compiled once, never changed, shared by all threads.
final class FieldCheck: Sendable {
    let name: String
    let key: [UInt8]
    let isRequired: Bool
    let type: TypeCheck
    let rules: [ValueRule]
    let quick: QuickCheck

    init(name: String, isRequired: Bool, type: TypeCheck, rules: [ValueRule]) {
        self.name = name
        self.key = Array(name.utf8)
        self.isRequired = isRequired
        self.type = type
        self.rules = rules
        self.quick = rules.isEmpty ? type.quick : .none
    }

    /// The first violation of a value that may be absent, with its pointer from the object that holds it.
    func check(_ value: JSONValue?) -> Violation? {
        guard let value else {
            guard isRequired else { return nil }
            return Violation.contract(.missingAttribute, "a required property is missing").inside(name)
        }
        if value.isNull {
            guard isRequired else { return nil }
            return Violation.contract(.nullValue, "a required property is null").inside(name)
        }
        return checkPresent(value)?.inside(name)
    }

    /// The first violation of a value that is there and not null.
    func checkPresent(_ value: JSONValue) -> Violation? {
        if let violation = type.check(value) { return violation }
        if rules.isEmpty { return nil }
        for rule in rules {
            if let violation = rule.check(value) { return violation }
        }
        return nil
    }
}

/// A check without options that most properties need: trivial to copy, so that the loop over an object's
/// properties counts no references. Whatever it does not accept goes through the full check.
enum QuickCheck: Sendable {
    case none, text, truth, integer, number
    case scaled(Int)

    @inline(__always)
    func accepts(_ value: JSONValue) -> Bool {
        switch self {
        case .none: false
        case .text: value.kind == .string
        case .truth: value.kind == .bool
        case .integer: value.int64 != nil
        case .number: value.isFiniteNumber
        case .scaled(let scale): value.scaledInt64(scale: scale) != nil
        }
    }
}

/// The type of a property with its options.
enum TypeCheck: Sendable {
    case string(StringCheck)
    case integer(NumberCheck)
    case number(NumberCheck)
    case boolean
    case object(ObjectCheck)
    case array(ArrayCheck)
    case date(TimeCheck)
    case time(TimeCheck)
    case timestamp(TimeCheck)

    var quick: QuickCheck {
        switch self {
        case .string(let check): check.isPlain ? .text : .none
        case .boolean: .truth
        case .integer(let check): check.isPlain ? .integer : .none
        case .number(let check):
            check.isPlain ? check.scale.map(QuickCheck.scaled) ?? .number : .none
        default: .none
        }
    }

    func check(_ value: JSONValue) -> Violation? {
        switch self {
        case .string(let check): check.check(value)
        case .integer(let check): check.checkInteger(value)
        case .number(let check): check.checkNumber(value)
        case .boolean: value.kind == .bool ? nil : .contract(.typeMismatch, "must be true or false")
        case .object(let check): check.check(value)
        case .array(let check): check.check(value)
        case .date(let check): check.check(value, "a date, yyyy-MM-dd", Timestamp.parseDate)
        case .time(let check): check.check(value, "a time of day, HH:mm:ss", Timestamp.parseTimeOfDay)
        case .timestamp(let check): check.check(value, "an RFC 3339 date-time with a zone", Timestamp.parse)
        }
    }
}

/// Elements and size of an array.
final class ArrayCheck: Sendable {
    let item: FieldCheck?
    let countMin: Int
    let countMax: Int
    let isUnique: Bool

    init(item: FieldCheck?, countMin: Int, countMax: Int, isUnique: Bool) {
        self.item = item
        self.countMin = countMin
        self.countMax = countMax
        self.isUnique = isUnique
    }

    func check(_ value: JSONValue) -> Violation? {
        guard value.kind == .array else { return .contract(.typeMismatch, "must be a list") }
        let count = value.count
        if count < countMin { return .contract(.tooFew, "must have at least \(countMin) elements") }
        if count > countMax { return .contract(.tooMany, "must have at most \(countMax) elements") }
        var seen: Set<[UInt8]> = []
        for (index, element) in value.elements.enumerated() {
            if isUnique, !seen.insert(element.tree().canonicalBytes).inserted {
                return Violation.contract(.duplicateItem, "must not hold an element twice").inside(String(index))
            }
            guard let item else { continue }
            if element.isNull {
                guard item.isRequired else { continue }
                return Violation.contract(.nullValue, "a required element is null").inside(String(index))
            }
            if let violation = item.checkPresent(element) { return violation.inside(String(index)) }
        }
        return nil
    }
}

/// Length, pattern and format of a string.
struct StringCheck: Sendable {
    var lengthMin = 0
    var lengthMax = Int.max
    var pattern: Pattern?
    var format: TextFormat?
    /// Whether anything but the type is checked.
    var isPlain = true

    func check(_ value: JSONValue) -> Violation? {
        guard value.kind == .string else { return .contract(.typeMismatch, "must be a string") }
        if isPlain { return nil }
        let verdict: Violation?? = value.withUTF8 { checkText($0) }
        return verdict ?? nil
    }

    private func checkText(_ text: UnsafeBufferPointer<UInt8>) -> Violation? {
        // Characters are Unicode scalars: every byte but the continuations of UTF-8 starts one.
        if lengthMin > 0 || lengthMax < text.count {
            var length = 0
            for byte in text { length += byte & 0xC0 == 0x80 ? 0 : 1 }
            if length < lengthMin { return .contract(.tooShort, "must have at least \(lengthMin) characters") }
            if length > lengthMax { return .contract(.tooLong, "must have at most \(lengthMax) characters") }
        }
        if let format, !format.accepts(text) {
            return .contract(.formatMismatch, "must be of the format \(format.rawValue)")
        }
        return pattern.flatMap { $0.violation(of: text) }
    }
}

extension Pattern {
    func violation(of text: UnsafeBufferPointer<UInt8>) -> Violation? {
        switch search(text) {
        case .match: nil
        case .noMatch: .contract(.patternMismatch, "must match the contract's pattern")
        case .limit: .contract(.patternLimit, "takes too long to match with the contract's pattern")
        }
    }
}

/// Bounds of a date, a time or a timestamp, in the unit that its parser returns.
struct TimeCheck: Sendable {
    var minimum: Int64?
    var maximum: Int64?

    func check(
        _ value: JSONValue, _ what: String, _ parse: (UnsafeBufferPointer<UInt8>) -> Int64?
    ) -> Violation? {
        guard value.kind == .string else { return .contract(.typeMismatch, "must be \(what)") }
        guard let parsed = value.withUTF8(parse) ?? nil else {
            return .contract(.invalidTime, "must be \(what)")
        }
        return check(parsed)
    }

    func check(_ parsed: Int64) -> Violation? {
        if let minimum, parsed < minimum { return .contract(.belowMinimum, "is before the earliest allowed") }
        if let maximum, parsed > maximum { return .contract(.aboveMaximum, "is after the latest allowed") }
        return nil
    }
}

/// A row-level quality rule about one value.
enum ValueRule: Sendable {
    case valid(ValueSet)
    case missing(ValueSet)
    case pattern(Pattern)

    func check(_ value: JSONValue) -> Violation? {
        switch self {
        case .valid(let allowed):
            return allowed.contains(value) ? nil : .contract(.invalidValue, "must be one of the valid values")
        case .missing(let refused):
            return refused.contains(value) ? .contract(.missingValue, "holds a value that counts as missing") : nil
        case .pattern(let pattern):
            // Only text can match a pattern; other types are left to the type check.
            let verdict: Violation?? = value.withUTF8 { pattern.violation(of: $0) }
            return verdict ?? nil
        }
    }
}

/// A list of scalar values.
final class ValueSet: Sendable {
    private let texts: Set<[UInt8]>
    private let shortList: [[UInt8]]
    private let others: Set<JSONTree>

    /// Up to this many texts are compared one by one, which needs no copy of the value.
    private static let shortListMax = 32

    init(_ values: [JSONTree]) {
        texts = Set(values.compactMap { $0.string.map { Array($0.utf8) } })
        shortList = texts.count <= Self.shortListMax ? Array(texts) : []
        others = Set(values.filter { $0.kind != .string })
    }

    func contains(_ value: JSONValue) -> Bool {
        guard value.kind == .string else { return !others.isEmpty && others.contains(value.tree()) }
        if texts.count <= Self.shortListMax {
            return shortList.contains { text in text.withUnsafeBufferPointer { value.equals(utf8: $0) } }
        }
        return value.withUTF8 { texts.contains(Array($0)) } ?? false
    }
}
