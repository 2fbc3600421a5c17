import Glibc

/// One operator on cells. Lists of cells are in element order; results lie one behind the other from `to`.
enum OnnxStep: Sendable {
    case unary(OnnxUnary, OnnxType, from: [Int32], to: Int)
    case binary(OnnxBinary, OnnxType, left: [Int32], right: [Int32], to: Int)
    case select(condition: [Int32], left: [Int32], right: [Int32], to: Int)
    /// Groups of `size` elements, each to one.
    case reduce(OnnxReduction, OnnxType, from: [Int32], size: Int, to: Int)
    case softmax(OnnxType, from: [Int32], size: Int, to: Int)
    /// `left` holds rows, `right` columns of `size` elements: all pairs are multiplied.
    case multiply(OnnxType, left: [Int32], right: [Int32], size: Int, to: Int)
    case scale(OnnxType, from: [Int32], offsets: [Float], factors: [Float], to: Int)
    case impute(from: [Int32], replaced: Double, values: [Double], to: Int)
    case normalize(OnnxNorm, OnnxType, from: [Int32], size: Int, to: Int)
    case oneHot(from: [Int32], isTruncated: Bool, positions: [Double: Int], width: Int, to: Int)
    case encode(from: [Int32], table: [Double: Double], nan: Double, other: Double, to: Int)
    case trees(OnnxTrees, from: [Int32], row: Int, to: Int)
    case scores(OnnxScores, from: [Int32], to: Int)

    /// Runs the operator. Only `trees` needs `scratch`.
    func run(_ cells: UnsafeMutablePointer<Double>, _ scratch: PredictionScratch?) {
        switch self {
        case .unary(let function, let type, let from, let to):
            for index in from.indices {
                cells[to + index] = OnnxArithmetic.unary(function, cells[Int(from[index])], type)
            }
        case .binary(let function, let type, let left, let right, let to):
            for index in left.indices {
                cells[to + index] = OnnxArithmetic.binary(
                    function, cells[Int(left[index])], cells[Int(right[index])], type)
            }
        case .select(let condition, let left, let right, let to):
            for index in condition.indices {
                cells[to + index] = cells[Int(cells[Int(condition[index])] != 0 ? left[index] : right[index])]
            }
        case .reduce(let reduction, let type, let from, let size, let to):
            for group in 0..<(from.count / size) {
                cells[to + group] = Self.reduceGroup(
                    reduction, type, from[(group * size)..<((group + 1) * size)], cells)
            }
        case .softmax(let type, let from, let size, let to):
            for group in 0..<(from.count / size) {
                Self.softmaxGroup(type, from[(group * size)..<((group + 1) * size)], cells, to + group * size)
            }
        case .multiply(let type, let left, let right, let size, let to):
            Self.multiplyMatrices(type, left, right, size, cells, to)
        case .scale(let type, let from, let offsets, let factors, let to):
            for index in from.indices {
                let x = cells[Int(from[index])]
                let (offset, factor) = (offsets[index % offsets.count], factors[index % factors.count])
                cells[to + index] =
                    type == .float64
                    ? Double(Float((x - Double(offset)) * Double(factor))) : Double((Float(x) - offset) * factor)
            }
        case .impute(let from, let replaced, let values, let to):
            for index in from.indices {
                let x = cells[Int(from[index])]
                let isReplaced = x == replaced || (x.isNaN && replaced.isNaN)
                cells[to + index] = isReplaced ? values[index % values.count] : x
            }
        case .normalize(let norm, let type, let from, let size, let to):
            for group in 0..<(from.count / size) {
                norm.apply(type, from[(group * size)..<((group + 1) * size)], cells, to + group * size)
            }
        case .oneHot(let from, let isTruncated, let positions, let width, let to):
            for index in 0..<(from.count * width) { cells[to + index] = 0 }
            for index in from.indices {
                let x = cells[Int(from[index])]
                let key = isTruncated ? OnnxArithmetic.truncated(x, to: .int64) : x
                if let position = positions[key] { cells[to + index * width + position] = 1 }
            }
        case .encode(let from, let table, let nan, let other, let to):
            for index in from.indices {
                let x = cells[Int(from[index])]
                cells[to + index] = x.isNaN ? nan : table[x] ?? other
            }
        case .trees(let trees, let from, let row, let to):
            for index in from.indices { cells[row + index] = cells[Int(from[index])] }
            if let scratch { trees.evaluate(cells + row, scratch, cells + to) }
        case .scores(let scores, let from, let to):
            scores.apply(from, cells, to)
        }
    }

    private static func reduceGroup(
        _ reduction: OnnxReduction, _ type: OnnxType, _ group: ArraySlice<Int32>,
        _ cells: UnsafeMutablePointer<Double>
    ) -> Double {
        var result = 0.0
        var best = 0
        for (position, cell) in group.enumerated() {
            let x = cells[Int(cell)]
            switch reduction {
            case .sum, .mean: result = OnnxArithmetic.binary(.add, result, x, type)
            case .product: result = position == 0 ? x : OnnxArithmetic.binary(.multiply, result, x, type)
            case .maximum: result = position == 0 ? x : OnnxArithmetic.binary(.maximum, result, x, type)
            case .minimum: result = position == 0 ? x : OnnxArithmetic.binary(.minimum, result, x, type)
            case .absoluteSum: result = OnnxArithmetic.binary(.add, result, abs(x), type)
            case .norm, .sumOfSquares:
                result = OnnxArithmetic.binary(.add, result, OnnxArithmetic.binary(.multiply, x, x, type), type)
            case .argMax, .argMin:
                if position == 0 || (reduction == .argMax ? x > result : x < result) { (result, best) = (x, position) }
            }
        }
        switch reduction {
        case .argMax, .argMin: return Double(best)
        case .mean: return OnnxArithmetic.binary(.divide, result, Double(group.count), type)
        case .norm: return OnnxArithmetic.unary(.squareRoot, result, type)
        default: return result
        }
    }

    static func softmaxGroup(
        _ type: OnnxType, _ group: ArraySlice<Int32>, _ cells: UnsafeMutablePointer<Double>, _ to: Int
    ) {
        var largest = -Double.infinity
        for cell in group { largest = max(largest, cells[Int(cell)]) }
        var sum = 0.0
        for (position, cell) in group.enumerated() {
            let difference = OnnxArithmetic.binary(.subtract, cells[Int(cell)], largest, type)
            cells[to + position] = OnnxArithmetic.unary(.exponential, difference, type)
            sum = OnnxArithmetic.binary(.add, sum, cells[to + position], type)
        }
        for position in 0..<group.count {
            cells[to + position] = OnnxArithmetic.binary(.divide, cells[to + position], sum, type)
        }
    }

    /// Fused multiply and add in the order of the elements, which is what ONNX Runtime's matrix kernels do.
    private static func multiplyMatrices(
        _ type: OnnxType, _ left: [Int32], _ right: [Int32], _ size: Int, _ cells: UnsafeMutablePointer<Double>,
        _ to: Int
    ) {
        let columns = right.count / size
        for row in 0..<(left.count / size) {
            for column in 0..<columns {
                var float: Float = 0
                var double = 0.0
                for index in 0..<size {
                    let x = cells[Int(left[row * size + index])]
                    let y = cells[Int(right[column * size + index])]
                    if type == .float32 {
                        float = fmaf(Float(x), Float(y), float)
                    } else {
                        double = fma(x, y, double)
                    }
                }
                cells[to + row * columns + column] = type == .float32 ? Double(float) : double
            }
        }
    }
}

/// The norms of `Normalizer`.
enum OnnxNorm: String, Sendable {
    case max = "MAX"
    case l1 = "L1"
    case l2 = "L2"

    /// Normalises one row into the cells from `to`, float32.
    func apply(
        _ type: OnnxType, _ row: ArraySlice<Int32>, _ cells: UnsafeMutablePointer<Double>, _ to: Int
    ) {
        var total: Float = self == .max ? -.greatestFiniteMagnitude : 0
        for cell in row {
            let x = cells[Int(cell)]
            switch self {
            case .max: total = Swift.max(total, Float(x))
            case .l1: total += Float(abs(x))
            case .l2: total += square(x, type)
            }
        }
        for (position, cell) in row.enumerated() {
            let x = cells[Int(cell)]
            guard total != 0 else {
                cells[to + position] = Double(Float(x))
                continue
            }
            if self == .l2 {
                let root = (square(x, type) / total).squareRoot()
                cells[to + position] = Double(x < 0 ? -root : root)
            } else {
                cells[to + position] = Double(Float(x) / total)
            }
        }
    }

    private func square(_ x: Double, _ type: OnnxType) -> Float {
        type == .float32 ? Float(x) * Float(x) : Float(x * x)
    }
}
