/// An ONNX graph made ready for one row: every shape is fixed and every type checked when it is planned, so that
/// evaluation can neither fail nor allocate.
///
/// All elements of all values lie in one array of cells. Operators that only move elements (Reshape, Concat, Gather, ...)
/// are resolved to cell numbers at load and cost nothing; what depends on constants alone is computed at load.
struct OnnxProgram: Sendable {
    /// Where a feature of the row goes.
    struct Input: Sendable {
        let type: OnnxType
        let cell: Int
        /// For texts: the text's number by category code.
        var texts: [Double] = []
        /// For texts: the number of the empty text, which stands for a missing value.
        var missing = OnnxProgram.unknownText
    }

    /// The number of every text that no operator asks for.
    static let unknownText = -1.0

    /// All cells, with the constants in place.
    var cells: [Double] = []
    var steps: [OnnxStep] = []
    var inputs: [Input] = []
    var outputs: [Int32] = []
    /// Whether the outputs are exact in 32 bits.
    var isFloat32 = true
    /// What the tree kernels need, over all ensembles.
    var kernelByteCount = 0
    var paddedTreeCount = 0
    var treeCount = 0

    /// Outputs of a row of one value per input into `margin`.
    func evaluate(_ row: UnsafeBufferPointer<Double>, _ scratch: PredictionScratch, _ margin: inout [Double]) {
        let cells = scratch.cells
        for (feature, input) in inputs.enumerated() { cells[input.cell] = input.convert(row[feature]) }
        for step in steps { step.run(cells, scratch) }
        for (index, cell) in outputs.enumerated() { margin[index] = cells[Int(cell)] }
    }
}

extension OnnxProgram.Input {
    /// The cell's content for a value of the row.
    func convert(_ x: Double) -> Double {
        switch type {
        case .float32: return Double(Float(x))
        case .float64: return x
        case .int32, .int64: return OnnxArithmetic.truncated(x, to: type)
        case .bool: return x.isNaN || x == 0 ? 0 : 1
        case .string:
            if x.isNaN { return missing }
            guard let code = Int(exactly: x), texts.indices.contains(code) else { return OnnxProgram.unknownText }
            return texts[code]
        }
    }
}
