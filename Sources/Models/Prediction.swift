/// The result of one prediction, with the working memory to make it. Make one per thread with `model.makePrediction()`
/// and reuse it: predicting into it again allocates nothing.
public struct Prediction {
    /// Raw scores before the objective's transform, one per output: log-odds, log of the mean, ...
    public internal(set) var margin: [Double]
    /// After the transform: probabilities, means, class index, ... (for `logistic_regression`: [1 - p, p]).
    /// ONNX: the probability per class or the value, the same as the margins.
    public internal(set) var values: [Double]
    /// Scorecards: the score in points; 0 for other models.
    public internal(set) var points: Double = 0
    /// Margins divided by the number of trees, where the transform wants those.
    var averages: [Double]
    let scratch: PredictionScratch

    init(marginCount: Int, valueCount: Int, scratch: PredictionScratch) {
        margin = [Double](repeating: 0, count: marginCount)
        averages = margin
        values = [Double](repeating: 0, count: valueCount)
        self.scratch = scratch
    }
}

/// Aligned working memory of one caller.
final class PredictionScratch {
    /// Float margins held at a time.
    static let floatCount = 4_096

    let base: UnsafeMutableRawPointer
    let floats: UnsafeMutablePointer<Float>
    let positions: UnsafeMutablePointer<UInt32>
    /// The values of an ONNX graph, constants in place.
    let cells: UnsafeMutablePointer<Double>
    private let buffers: [AlignedBuffer]

    init(kernelByteCount: Int, paddedTreeCount: Int, cells initial: [Double] = []) {
        let kernel = AlignedBuffer(byteCount: kernelByteCount)
        let float = AlignedBuffer(byteCount: Self.floatCount * MemoryLayout<Float>.stride)
        let position = AlignedBuffer(byteCount: paddedTreeCount * MemoryLayout<UInt32>.stride)
        base = kernel.base
        floats = float.base.assumingMemoryBound(to: Float.self)
        positions = position.base.assumingMemoryBound(to: UInt32.self)
        let cell = AlignedBuffer(initial)
        cells = cell.base.assumingMemoryBound(to: Double.self)
        buffers = [kernel, float, position, cell]
    }

    deinit {
        for buffer in buffers { buffer.base.deallocate() }
    }
}
