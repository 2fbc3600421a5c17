/// A model read from a file: immutable, shared between threads.
///
/// Inputs are rows of `featureCount` doubles in the order of `featureNames`; NaN is a missing value; categorical
/// features are codes (the index in `categories`). Sums run in the order and width of the library that trained the
/// model, so that its own predictions are met bit for bit.
public final class Model: Sendable {
    /// File formats.
    public enum Format: String, Sendable {
        /// XGBoost JSON, versions 1.x to 3.x.
        case xgboostJSON = "xgboost_json"
        /// The same in UBJSON.
        case xgboostUBJSON = "xgboost_ubjson"
        /// LightGBM text, versions v2 to v4.
        case lightgbmText = "lightgbm_text"
        /// Fitted coefficients in plain JSON (`linear_regression`, `logistic_regression`, ...).
        case coefficients
        /// Points per bin in plain JSON.
        case scorecard
        /// ONNX with the operators of `ai.onnx.ml` that scikit-learn models are exported to.
        case onnx
    }

    /// The width the library computes in: which shortest decimal spells an output exactly.
    public enum OutputWidth: Sendable {
        /// XGBoost, and ONNX graphs with float outputs.
        case float32
        /// Everything else.
        case float64
    }

    /// What the file is.
    public let format: Format
    /// The objective as the file names it: `binary:logistic`, `regression`, `scorecard`, ...
    public let objective: String
    /// Distinct names of the inputs, in order; `f0`, `f1`, ... when the file has none.
    public let featureNames: [String]
    /// Number of inputs.
    public let featureCount: Int
    /// Number of margins.
    public let outputCount: Int
    /// Number of values of a prediction: `outputCount`, but 1 for `multi:softmax` and 2 for `logistic_regression`.
    public let predictionCount: Int
    /// Category names per feature, by code; nil for numeric features and where the file does not settle them.
    public let categories: [[String]?]
    /// Boosting iterations in the file, used or not; 0 for models without.
    public let iterationCount: Int
    /// `best_iteration` of the file, counted from 0.
    public let bestIteration: Int?
    /// Labels of the classes that the values are probabilities of, in order; nil for regressions and where the file
    /// does not tell. Only ONNX files tell; integers are spelled in decimal.
    public let classLabels: [String]?
    let transform: Transform
    let body: ModelBody

    /// The width outputs are exact in.
    public var outputWidth: OutputWidth {
        switch format {
        case .xgboostJSON, .xgboostUBJSON: return .float32
        case .lightgbmText, .coefficients, .scorecard: return .float64
        case .onnx:
            if case .graph(let program) = body { return program.isFloat32 ? .float32 : .float64 }
            return .float32
        }
    }

    /// Whether a prediction has points: of a scorecard.
    public var hasPoints: Bool {
        if case .scorecard = body { true } else { false }
    }

    /// Trees that predict; 0 for models without trees.
    public var treeCount: Int {
        switch body {
        case .forest(let evaluator): evaluator.forest.trees.count
        case .graph(let program): program.treeCount
        case .boostedLinear, .linear, .scorecard: 0
        }
    }

    init(_ parts: ModelParts) {
        format = parts.format
        objective = parts.objective
        featureNames = parts.featureNames
        featureCount = parts.featureNames.count
        outputCount = parts.outputCount
        predictionCount = parts.transform.predictionCount(outputCount: parts.outputCount)
        categories = parts.categories
        iterationCount = parts.iterationCount
        bestIteration = parts.bestIteration
        classLabels = parts.classLabels
        transform = parts.transform
        body = parts.body
    }

    /// Reads a model file; the format is recognised by its content. The bytes are not trusted: every index, size and
    /// number is checked, and nothing is allocated from a declared size before it is.
    /// - Parameter iterations: which boosting iterations predict.
    public static func load(
        _ bytes: UnsafeRawBufferPointer, iterations: Iterations = .all, limits: ModelLimits = .standard
    ) throws(ModelError) -> Model {
        Model(try parts(bytes, iterations: iterations, limits: limits))
    }

    /// Reads a model file held in an array.
    public static func load(
        _ bytes: [UInt8], iterations: Iterations = .all, limits: ModelLimits = .standard
    ) throws(ModelError) -> Model {
        try bytes.withUnsafeBufferPointer { (buffer) throws(ModelError) in
            try load(UnsafeRawBufferPointer(buffer), iterations: iterations, limits: limits)
        }
    }

    private static func parts(
        _ bytes: UnsafeRawBufferPointer, iterations: Iterations, limits: ModelLimits
    ) throws(ModelError) -> ModelParts {
        guard !bytes.isEmpty else { throw ModelError(.empty, "the file is empty") }
        guard bytes.count <= limits.fileBytesMax else {
            throw ModelError(.tooLarge, "\(bytes.count) bytes, more than \(limits.fileBytesMax)")
        }
        let blanks: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
        guard let start = bytes.firstIndex(where: { !blanks.contains($0) }) else {
            throw ModelError(.empty, "the file is blank")
        }
        // An ONNX file begins with field 1, the version of its format.
        if bytes[0] == 0x08 {
            if case .range = iterations { throw Self.withoutIterations }
            return try OnnxReader(limits: limits).read(bytes)
        }
        if bytes[start] != UInt8(ascii: "{") {
            guard bytes.count - start >= 4, bytes[start..<(start + 4)].elementsEqual("tree".utf8) else {
                throw ModelError(.unrecognizedFormat, "neither an object nor a LightGBM text nor an ONNX model")
            }
            return try LightGBMReader(limits: limits, iterations: iterations).read(bytes)
        }
        // UBJSON keys begin with the marker of their length, JSON keys with a quotation mark.
        let isUBJSON = start + 1 < bytes.count && "LlIiU".utf8.contains(bytes[start + 1])
        let document =
            isUBJSON
            ? try UBJSONReader.read(bytes, limits: limits) : try JSONDocumentReader.read(bytes, limits: limits)
        guard case .object(let members) = document else {
            throw ModelError(.unrecognizedFormat, "the root is not an object")
        }
        if members["learner"] != nil {
            return try XGBoostReader(limits: limits, iterations: iterations, isUBJSON: isUBJSON).read(document)
        }
        guard members["type"] != nil else {
            throw ModelError(.unrecognizedFormat, "neither 'learner' nor 'type' at the root")
        }
        if case .range = iterations { throw Self.withoutIterations }
        return try CoefficientsReader(limits: limits).read(document)
    }

    private static var withoutIterations: ModelError {
        ModelError(.unsupported, "a model without iterations has none to choose from")
    }
}
