/// Upper bounds that hold before anything is allocated from a model file; a file past one is refused by name.
public struct ModelLimits: Sendable, Hashable {
    /// Largest model file [bytes].
    public var fileBytesMax = 134_217_728
    /// Deepest nesting of JSON or UBJSON values.
    public var nestingMax = 64
    /// Most single values (not elements of number arrays) in a JSON or UBJSON document.
    public var documentValuesMax = 4_000_000
    /// Most input features.
    public var featuresMax = 65_536
    /// Most outputs (classes or targets).
    public var outputsMax = 1_024
    /// Most trees.
    public var treesMax = 100_000
    /// Most nodes, leaves included, over all trees.
    public var nodesMax = 16_777_216
    /// Most leaf values over all trees (leaves times outputs for vector leaves).
    public var leafValuesMax = 33_554_432
    /// Largest category code.
    public var categoryCodeMax = 1_048_575
    /// Most 64-bit words over all distinct category sets.
    public var categoryWordsMax = 4_194_304
    /// Most bins over all characteristics of a scorecard.
    public var scorecardBinsMax = 100_000
    /// Most operators in an ONNX graph.
    public var onnxNodesMax = 16_384
    /// Most numbers, texts and records in an ONNX file, over all tensors and attributes.
    public var onnxValuesMax = 33_554_432
    /// Most elements over all intermediate values of an ONNX graph, for one row.
    public var onnxElementsMax = 4_194_304
    /// Most dimensions of a value in an ONNX graph.
    public var onnxRankMax = 8
    /// Deepest tree for which exact contributions are computed: their cost grows with the square of the depth.
    public var contributionDepthMax = 512
    /// Most contributions of one row, over all outputs: a small file may declare many inputs and many outputs.
    public var contributionValuesMax = 4_194_304

    /// Limits for everyday use.
    public static let standard = ModelLimits()

    /// Makes the standard limits, to be changed one by one.
    public init() {}
}
