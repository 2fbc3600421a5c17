/// Why a model file was refused.
public struct ModelError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Stable, machine-readable kinds of refusal; the raw value is the wire form.
    public enum Code: String, Sendable, CaseIterable {
        /// The file has no bytes.
        case empty
        /// The file is longer than `ModelLimits.fileBytesMax`.
        case tooLarge = "too_large"
        /// The bytes begin like none of the known formats, or the root names no known model.
        case unrecognizedFormat = "unrecognized_format"
        /// The bytes are not the JSON they begin like.
        case invalidJSON = "invalid_json"
        /// The bytes are not the UBJSON they begin like.
        case invalidUBJSON = "invalid_ubjson"
        /// The bytes are not the LightGBM text they begin like.
        case invalidText = "invalid_text"
        /// The bytes are not the protocol buffers (ONNX) they begin like.
        case invalidProtobuf = "invalid_protobuf"
        /// A field that prediction needs is absent.
        case missingField = "missing_field"
        /// A field holds another type of value.
        case wrongType = "wrong_type"
        /// A number is NaN or infinite, or does not fit its width.
        case notFinite = "not_finite"
        /// A number or text has a value the format does not allow.
        case invalidValue = "invalid_value"
        /// Two counts that must agree differ.
        case countMismatch = "count_mismatch"
        /// An index points outside of what it indexes.
        case indexOutOfRange = "index_out_of_range"
        /// A tree node is reached twice: a cycle or a shared child.
        case nodeReachedTwice = "node_reached_twice"
        /// A count is past a limit in `ModelLimits`.
        case limitExceeded = "limit_exceeded"
        /// The objective is not known, so its transform is not either.
        case unknownObjective = "unknown_objective"
        /// The file uses a feature of its format that is not supported.
        case unsupported
    }

    /// What kind of fault.
    public let code: Code
    /// What is wrong, for a person.
    public let message: String
    /// Where: a JSON pointer, a byte offset, or tree and key of a text model; empty for the file as a whole.
    public let location: String

    /// Code, place and message in one line.
    public var description: String {
        location.isEmpty ? "\(code.rawValue): \(message)" : "\(code.rawValue) at \(location): \(message)"
    }

    init(_ code: Code, _ message: String, at location: String = "") {
        self.code = code
        self.message = message
        self.location = location
    }
}
