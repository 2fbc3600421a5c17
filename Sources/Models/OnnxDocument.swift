/// Counts what an ONNX file makes the reader keep, against the limits.
struct OnnxBudget {
    let limits: ModelLimits
    private var values = 0

    init(limits: ModelLimits) {
        self.limits = limits
    }

    /// Counts numbers, texts or records before they are kept.
    mutating func spend(_ count: Int, at offset: Int) throws(ModelError) {
        values += count
        guard values <= limits.onnxValuesMax else {
            throw ModelError(.limitExceeded, "more than \(limits.onnxValuesMax) values", at: "byte \(offset)")
        }
    }
}

/// Types of tensor elements that are supported. All are computed on as doubles that hold the type's own value: integers
/// are exact up to 2^53 and texts are indices into the graph's table of texts.
enum OnnxType: String, Sendable {
    case float32 = "float"
    case float64 = "double"
    case int64
    case int32
    case bool
    case string

    /// From `TensorProto.DataType`.
    init?(code: Int64) {
        switch code {
        case 1: self = .float32
        case 6: self = .int32
        case 7: self = .int64
        case 8: self = .string
        case 9: self = .bool
        case 11: self = .float64
        default: return nil
        }
    }

    var isFloat: Bool { self == .float32 || self == .float64 }
    var isInteger: Bool { self == .int32 || self == .int64 }
    var isNumber: Bool { isFloat || isInteger }
}

/// A constant tensor as the file has it.
struct OnnxTensor {
    var name = ""
    var type: OnnxType = .float32
    var dims: [Int] = []
    /// The elements; empty for texts.
    var numbers: [Double] = []
    /// The elements of a tensor of texts.
    var texts: [String] = []
}

/// One attribute of a node.
struct OnnxAttribute {
    enum Value {
        case float(Float)
        case int(Int64)
        case text(String)
        case tensor(OnnxTensor)
        case floats([Float])
        case ints([Int64])
        case texts([String])
        /// A type that no supported operator has, by its number: graphs, sparse tensors, ...
        case other(Int64)
    }

    var name: String
    var value: Value
}

/// One node of the graph.
struct OnnxNode {
    var name = ""
    var op = ""
    var domain = ""
    var inputs: [String] = []
    var outputs: [String] = []
    var attributes: [String: OnnxAttribute.Value] = [:]
}

/// The declared type of an input or output of the graph.
struct OnnxValueInfo {
    enum Kind {
        /// A tensor; a dimension is nil where it is not fixed, `dims` is nil where no shape is declared.
        case tensor(type: Int64, dims: [Int64?]?)
        /// A sequence or map, as ZipMap gives.
        case collection
        case unknown
    }

    var name = ""
    var kind = Kind.unknown
}

/// The parts of an ONNX file that prediction needs.
struct OnnxDocument {
    /// Versions of the operator sets by domain; `ai.onnx` is the empty domain.
    var opsets: [String: Int64] = [:]
    var nodes: [OnnxNode] = []
    var initializers: [OnnxTensor] = []
    var inputs: [OnnxValueInfo] = []
    var outputs: [OnnxValueInfo] = []
}
