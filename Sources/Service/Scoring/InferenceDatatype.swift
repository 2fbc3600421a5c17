import JSON

/// The datatypes of the Open Inference Protocol.
enum InferenceDatatype: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case uint8 = "UINT8"
    case uint16 = "UINT16"
    case uint32 = "UINT32"
    case uint64 = "UINT64"
    case int8 = "INT8"
    case int16 = "INT16"
    case int32 = "INT32"
    case int64 = "INT64"
    case fp16 = "FP16"
    case fp32 = "FP32"
    case fp64 = "FP64"
    /// Texts, as JSON carries them.
    case bytes = "BYTES"

    /// The cell that an element of a tensor holds, rounded to the width of the type; nil when it is none of this type. Null
    /// is a missing value, whatever the type.
    func cell(_ element: JSONValue) -> RowCell? {
        if element.isNull { return .missing }
        switch self {
        case .bool: return element.bool.map { .bool($0) }
        case .bytes: return element.string.map { .text($0) }
        case .fp64: return element.double.map { .number($0) }
        case .fp32: return element.double.flatMap { Self.finite(Double(Float($0))) }
        case .fp16: return element.double.flatMap { Self.finite(Double(Float16($0))) }
        case .uint64: return Self.unsigned(element).map { .number($0) }
        default:
            guard let whole = element.int64, let range, range.contains(whole) else { return nil }
            return .number(Double(whole))
        }
    }

    private static func finite(_ number: Double) -> RowCell? { number.isFinite ? .number(number) : nil }

    /// A whole number of 64 bits without a sign; the larger half of them is written in plain digits.
    private static func unsigned(_ element: JSONValue) -> Double? {
        if let whole = element.int64 { return whole < 0 ? nil : Double(whole) }
        guard element.kind == .number else { return nil }
        return UInt64(String(decoding: element.raw, as: UTF8.self)).map { Double($0) }
    }

    /// What the type of whole numbers can hold; nil for the others.
    private var range: ClosedRange<Int64>? {
        switch self {
        case .uint8: 0...Int64(UInt8.max)
        case .uint16: 0...Int64(UInt16.max)
        case .uint32: 0...Int64(UInt32.max)
        case .int8: Int64(Int8.min)...Int64(Int8.max)
        case .int16: Int64(Int16.min)...Int64(Int16.max)
        case .int32: Int64(Int32.min)...Int64(Int32.max)
        case .int64: Int64.min...Int64.max
        case .bool, .uint64, .fp16, .fp32, .fp64, .bytes: nil
        }
    }

    /// What an element is, for who has to send another one.
    var expectation: String {
        switch self {
        case .bool: "true or false is expected"
        case .bytes: "a text is expected"
        case .fp16, .fp32, .fp64: "a number that \(rawValue) can hold is expected"
        default: "a whole number that \(rawValue) can hold is expected"
        }
    }
}

extension ModelInput {
    /// The type that an input of a model is described with: whoever sends it loses nothing. Wider ones are taken, too.
    func datatype(_ model: ServedModel) -> InferenceDatatype {
        switch kind {
        case .number: model.floatType
        case .integer: .int64
        case .boolean: .bool
        case .category: categories.isEmpty ? .int64 : .bytes
        }
    }
}

extension ServedModel {
    /// The width that the model computes in.
    var floatType: InferenceDatatype { model.outputWidth == .float32 ? .fp32 : .fp64 }
}
