import JSON

/// A JSON or UBJSON value, with arrays of numbers kept flat: a model file is mostly those.
enum Document {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case numbers([Double])
    case array([Document])
    case object([String: Document])
}

/// A value and its place in the file, so that every refusal can say where.
struct DocumentNode {
    let value: Document
    let path: String

    func fail(_ code: ModelError.Code, _ message: String) -> ModelError {
        ModelError(code, message, at: path)
    }

    /// The member `key`, or nil when it is absent or null.
    func optional(_ key: String) throws(ModelError) -> DocumentNode? {
        guard case .object(let members) = value else { throw fail(.wrongType, "expected an object") }
        guard let member = members[key] else { return nil }
        if case .null = member { return nil }
        return DocumentNode(value: member, path: path + "/" + key)
    }

    func required(_ key: String) throws(ModelError) -> DocumentNode {
        guard case .object(let members) = value else { throw fail(.wrongType, "expected an object") }
        guard let member = members[key] else { throw fail(.missingField, "'\(key)' is missing") }
        return DocumentNode(value: member, path: path + "/" + key)
    }

    func string() throws(ModelError) -> String {
        guard case .string(let text) = value else { throw fail(.wrongType, "expected a string") }
        return text
    }

    /// A finite number.
    func number() throws(ModelError) -> Double {
        guard case .number(let number) = value else { throw fail(.wrongType, "expected a number") }
        guard number.isFinite else { throw fail(.notFinite, "number is not finite") }
        return number
    }

    /// An integer, as a number or, as XGBoost writes parameters, as text.
    func integer() throws(ModelError) -> Int {
        switch value {
        case .string(let text):
            guard let integer = Int(text) else { throw fail(.invalidValue, "expected an integer, found '\(text)'") }
            return integer
        case .number(let number):
            guard let integer = Int(exactly: number) else { throw fail(.invalidValue, "expected an integer") }
            return integer
        default:
            throw fail(.wrongType, "expected an integer")
        }
    }

    /// The integer within `range`.
    func integer(in range: ClosedRange<Int>) throws(ModelError) -> Int {
        let integer = try integer()
        guard integer >= range.lowerBound else {
            throw fail(.invalidValue, "\(integer) is below \(range.lowerBound)")
        }
        guard integer <= range.upperBound else {
            throw fail(.limitExceeded, "\(integer) is above \(range.upperBound)")
        }
        return integer
    }

    /// An array of numbers, which may hold NaN and infinities; booleans count as 0 and 1.
    func numbers() throws(ModelError) -> [Double] {
        switch value {
        case .numbers(let numbers):
            return numbers
        case .array(let elements):
            var numbers: [Double] = []
            numbers.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() {
                guard case .bool(let flag) = element else {
                    throw ModelError(.wrongType, "expected a number", at: "\(path)/\(index)")
                }
                numbers.append(flag ? 1 : 0)
            }
            return numbers
        default:
            throw fail(.wrongType, "expected an array of numbers")
        }
    }

    /// `count` numbers.
    func numbers(count: Int) throws(ModelError) -> [Double] {
        let numbers = try numbers()
        guard numbers.count == count else {
            throw fail(.countMismatch, "\(numbers.count) elements where \(count) are needed")
        }
        return numbers
    }

    /// `count` numbers, all finite.
    func finiteNumbers(count: Int) throws(ModelError) -> [Double] {
        let numbers = try numbers(count: count)
        if let index = numbers.firstIndex(where: { !$0.isFinite }) {
            throw ModelError(.notFinite, "number is not finite", at: "\(path)/\(index)")
        }
        return numbers
    }

    /// An array of integers that fit 32 bits.
    func integers(count: Int? = nil) throws(ModelError) -> [Int32] {
        let numbers = if let count { try numbers(count: count) } else { try numbers() }
        var integers: [Int32] = []
        integers.reserveCapacity(numbers.count)
        for (index, number) in numbers.enumerated() {
            guard let integer = Int32(exactly: number) else {
                throw ModelError(.invalidValue, "expected a 32-bit integer", at: "\(path)/\(index)")
            }
            integers.append(integer)
        }
        return integers
    }

    /// The elements of an array that does not hold numbers.
    func elements() throws(ModelError) -> [Document] {
        switch value {
        case .array(let elements): return elements
        case .numbers(let numbers) where numbers.isEmpty: return []
        case .numbers: throw fail(.wrongType, "expected no numbers here")
        default: throw fail(.wrongType, "expected an array")
        }
    }

    func element(_ index: Int, of elements: [Document]) -> DocumentNode {
        DocumentNode(value: elements[index], path: "\(path)/\(index)")
    }

    func strings() throws(ModelError) -> [String] {
        var strings: [String] = []
        for (index, element) in try elements().enumerated() {
            guard case .string(let text) = element else {
                throw ModelError(.wrongType, "expected a string", at: "\(path)/\(index)")
            }
            strings.append(text)
        }
        return strings
    }
}

/// Turns a parsed JSON document into a `Document`, counting values against the limit.
struct JSONDocumentReader {
    private let limits: ModelLimits
    private var values = 0

    static func read(_ bytes: UnsafeRawBufferPointer, limits: ModelLimits) throws(ModelError) -> Document {
        let parser = JSONParser(
            limits: JSONLimits(bytesMax: limits.fileBytesMax, depthMax: limits.nestingMax, allowsNaN: true))
        switch Self.parse(bytes, parser) {
        case .success(let root):
            return try convert(root, parser, limits)
        case .failure(let error) where error.code == .nulInString:
            // Attributes may hold NUL; the parser refuses it since it cannot be stored. Nothing here stores it.
            let replaced = Self.replacingNUL(bytes)
            return try replaced.withUnsafeBufferPointer { (buffer) throws(ModelError) in
                switch Self.parse(UnsafeRawBufferPointer(buffer), parser) {
                case .success(let root): return try convert(root, parser, limits)
                case .failure(let error): throw refusal(error)
                }
            }
        case .failure(let error):
            throw refusal(error)
        }
    }

    private static func parse(
        _ bytes: UnsafeRawBufferPointer, _ parser: JSONParser
    ) -> Result<JSONValue, JSONError> {
        do throws(JSONError) { return .success(try parser.parse(bytes)) } catch { return .failure(error) }
    }

    private static func refusal(_ error: JSONError) -> ModelError {
        ModelError(.invalidJSON, error.message, at: "byte \(error.offset)")
    }

    private static func convert(
        _ root: JSONValue, _ parser: JSONParser, _ limits: ModelLimits
    ) throws(ModelError) -> Document {
        var reader = JSONDocumentReader(limits: limits)
        return try withExtendedLifetime(parser) { () throws(ModelError) in try reader.convert(root) }
    }

    /// The escapes of NUL replaced by those of U+E000 (private use), which feature names may not hold.
    private static func replacingNUL(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var copy = Array(bytes)
        var index = 0
        while index + 1 < copy.count {
            guard copy[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            if copy[(index + 1)...].starts(with: "u0000".utf8) {
                copy.replaceSubrange((index + 2)..<(index + 6), with: "e000".utf8)
            }
            index += 2
        }
        return copy
    }

    private init(limits: ModelLimits) {
        self.limits = limits
    }

    private mutating func count() throws(ModelError) {
        values += 1
        guard values <= limits.documentValuesMax else {
            throw ModelError(.limitExceeded, "more than \(limits.documentValuesMax) values")
        }
    }

    private mutating func convert(_ value: JSONValue) throws(ModelError) -> Document {
        try count()
        switch value.kind {
        case .null: return .null
        case .bool: return .bool(value.bool ?? false)
        case .number: return .number(Self.number(value))
        case .string: return .string(value.string ?? "")
        case .array: return try convertArray(value)
        case .object:
            var members: [String: Document] = [:]
            members.reserveCapacity(value.count)
            for member in value.members { members[member.key] = try convert(member.value) }
            return .object(members)
        }
    }

    private mutating func convertArray(_ value: JSONValue) throws(ModelError) -> Document {
        var numbers: [Double] = []
        numbers.reserveCapacity(value.count)
        for element in value.elements {
            guard element.kind == .number else { break }
            numbers.append(Self.number(element))
        }
        if numbers.count == value.count { return .numbers(numbers) }
        var elements: [Document] = []
        elements.reserveCapacity(value.count)
        for element in value.elements { elements.append(try convert(element)) }
        return .array(elements)
    }

    /// The number; infinite when it does not fit a Double. A value exactly between two floats is moved off the
    /// middle towards the written decimal, so that rounding it to Float later equals rounding the text once.
    private static func number(_ value: JSONValue) -> Double {
        guard let number = value.double else { return .infinity }
        let isMiddle = number.bitPattern & 0x1FFF_FFFF == 0x1000_0000
        guard isMiddle, let float = Float(String(decoding: value.raw, as: UTF8.self)), float.isFinite else {
            return number
        }
        if Double(float) == Double(Float(number)) { return number }
        return Double(float) > number ? number.nextUp : number.nextDown
    }
}
