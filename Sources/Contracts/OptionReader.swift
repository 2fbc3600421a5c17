import JSON

/// Reads `logicalTypeOptions` of one property; every key has to be known for its type.
struct OptionReader {
    let pointer: JSONPointer
    private let options: JSONTree
    private(set) var issues = IssueList()

    private static let keys: [LogicalType: [String]] = [
        .string: ["minLength", "maxLength", "pattern", "format"],
        .integer: ["multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"],
        .number: ["multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"],
        .date: ["format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
        .time: [
            "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "timezone", "defaultTimezone",
        ],
        .timestamp: [
            "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "timezone", "defaultTimezone",
        ],
        .object: ["minProperties", "maxProperties", "required"],
        .array: ["minItems", "maxItems", "uniqueItems"],
        .boolean: [],
    ]

    init(_ property: SchemaProperty, _ logicalType: LogicalType) {
        pointer = property.pointer.appending("logicalTypeOptions")
        options = property.options ?? .object([])
        guard let members = options.object else {
            issues.add(.wrongType, pointer, "must be an object")
            return
        }
        let known = Self.keys[logicalType] ?? []
        for member in members where !known.contains(member.key) {
            let message = "the type \(logicalType.rawValue) has no such option"
            issues.add(.unknownKey, pointer.appending(member.key), message)
        }
    }

    private func option(_ key: String) -> JSONTree? {
        options[key].flatMap { $0.isNull ? nil : $0 }
    }

    mutating func text(_ key: String) -> String? {
        guard let value = option(key) else { return nil }
        if value.string == nil { issues.add(.wrongType, pointer.appending(key), "must be a string") }
        return value.string
    }

    mutating func texts(_ key: String) -> [String] {
        guard let value = option(key) else { return [] }
        let texts = value.array?.compactMap(\.string) ?? []
        if texts.isEmpty || texts.count != value.array?.count {
            issues.add(.wrongType, pointer.appending(key), "must be a list of strings")
        }
        return texts
    }

    private mutating func number(_ key: String) -> JSONNumber? {
        guard let value = option(key) else { return nil }
        if value.number == nil { issues.add(.wrongType, pointer.appending(key), "must be a number") }
        return value.number
    }

    private mutating func count(_ key: String, or fallback: Int) -> Int {
        guard let value = option(key) else { return fallback }
        guard let count = value.int64, count >= 0 else {
            issues.add(.wrongType, pointer.appending(key), "must be an integer, not below zero")
            return fallback
        }
        return Int(count)
    }

    private mutating func range(_ low: String, _ high: String) -> (Int, Int) {
        let bounds = (count(low, or: 0), count(high, or: .max))
        if bounds.0 > bounds.1 { issues.add(.invalidValue, pointer, "'\(low)' is above '\(high)'") }
        return bounds
    }

    mutating func string() -> StringCheck {
        var check = StringCheck()
        (check.lengthMin, check.lengthMax) = range("minLength", "maxLength")
        if let name = text("format") {
            check.format = TextFormat(rawValue: name)
            if check.format == nil {
                let known = TextFormat.allCases.map(\.rawValue).joined(separator: ", ")
                issues.add(.unsupported, pointer.appending("format"), "must be one of: " + known)
            }
        }
        check.isPlain = check.lengthMin == 0 && check.lengthMax == .max && check.format == nil
        return check
    }

    mutating func number(isInteger: Bool) -> NumberCheck {
        var check = NumberCheck()
        check.minimum = bound("minimum", "exclusiveMinimum")
        check.maximum = bound("maximum", "exclusiveMaximum")
        if let low = check.minimum?.number, let high = check.maximum?.number, high < low {
            issues.add(.invalidValue, pointer, "the lower bound is above the upper bound")
        }
        readStep(&check)
        guard let format = text("format") else { return check }
        if isInteger, let range = Self.integerRanges[format] {
            check.range = range
        } else if isInteger || !["f32", "f64"].contains(format) {
            let known = isInteger ? Self.integerRanges.keys.sorted().joined(separator: ", ") : "f32, f64"
            issues.add(.unsupported, pointer.appending("format"), "must be one of: " + known)
        }
        return check
    }

    private mutating func readStep(_ check: inout NumberCheck) {
        guard let step = number("multipleOf") else { return }
        if let scale = ContractReader.decimalScale(step) {
            check.scale = scale
        } else if let step = NumberCheck.Step(step) {
            check.step = step
        } else {
            issues.add(.invalidValue, pointer.appending("multipleOf"), "must be above zero, with at most 19 digits")
        }
    }

    private static let integerRanges: [String: ClosedRange<Int64>] = [
        "i8": -128...127, "i16": -32_768...32_767, "i32": -2_147_483_648...2_147_483_647, "i64": .min ... .max,
        "u8": 0...255, "u16": 0...65_535, "u32": 0...4_294_967_295,
    ]

    private mutating func bound(_ key: String, _ exclusiveKey: String) -> NumberCheck.Bound? {
        let inclusive = number(key)
        let exclusive = number(exclusiveKey)
        if inclusive != nil, exclusive != nil {
            issues.add(.invalidValue, pointer.appending(exclusiveKey), "'\(key)' is there too")
        }
        if let exclusive { return NumberCheck.Bound(exclusive, isExclusive: true) }
        return inclusive.map { NumberCheck.Bound($0, isExclusive: false) }
    }

    mutating func time(
        formats: [String], _ parse: (UnsafeBufferPointer<UInt8>) -> Int64?
    ) -> TimeCheck {
        if let format = text("format"), !formats.contains(format) {
            issues.add(.unsupported, pointer.appending("format"), "must be: " + formats.joined(separator: " or "))
        }
        var check = TimeCheck()
        check.minimum = instant("minimum", parse) ?? instant("exclusiveMinimum", parse).map { $0 + 1 }
        check.maximum = instant("maximum", parse) ?? instant("exclusiveMaximum", parse).map { $0 - 1 }
        return check
    }

    mutating func timestamp() -> TimeCheck {
        if option("timezone")?.bool == false {
            issues.add(.unsupported, pointer.appending("timezone"), "a timestamp always names its zone")
        }
        let formats = ["yyyy-MM-dd'T'HH:mm:ssXXX", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "yyyy-MM-dd'T'HH:mm:ss'Z'"]
        return time(formats: formats, Timestamp.parse)
    }

    private mutating func instant(_ key: String, _ parse: (UnsafeBufferPointer<UInt8>) -> Int64?) -> Int64? {
        guard var value = text(key) else { return nil }
        let parsed = value.withUTF8(parse)
        if parsed == nil { issues.add(.invalidValue, pointer.appending(key), "is not written as the values are") }
        return parsed
    }

    mutating func array(item: FieldCheck?) -> ArrayCheck {
        let (low, high) = range("minItems", "maxItems")
        let unique = option("uniqueItems")
        if let unique, unique.bool == nil {
            issues.add(.wrongType, pointer.appending("uniqueItems"), "must be true or false")
        }
        return ArrayCheck(item: item, countMin: low, countMax: high, isUnique: unique?.bool ?? false)
    }

    mutating func object(fields: [FieldCheck]) -> ObjectCheck {
        let (low, high) = range("minProperties", "maxProperties")
        return ObjectCheck(fields: fields, countMin: low, countMax: high)
    }
}
