import Glibc

/// Element functions of one argument.
enum OnnxUnary: Sendable {
    case absolute, negate, exponential, logarithm, squareRoot, sigmoid, tanh, floor, ceil, sign, reciprocal, relu
    case not, isNaN
    /// 1 above the threshold, else 0.
    case binarize(Float)
    /// To another type.
    case cast(OnnxType)
}

/// Element functions of two arguments.
enum OnnxBinary: String, Sendable {
    case add = "Add"
    case subtract = "Sub"
    case multiply = "Mul"
    case divide = "Div"
    case power = "Pow"
    case minimum = "Min"
    case maximum = "Max"
    case less = "Less"
    case lessOrEqual = "LessOrEqual"
    case greater = "Greater"
    case greaterOrEqual = "GreaterOrEqual"
    case equal = "Equal"
    case and = "And"
    case or = "Or"
    case xor = "Xor"
}

/// Reductions of a group of elements to one.
enum OnnxReduction: String, Sendable {
    case sum = "ReduceSum"
    case mean = "ReduceMean"
    case product = "ReduceProd"
    case maximum = "ReduceMax"
    case minimum = "ReduceMin"
    case absoluteSum = "ReduceL1"
    case norm = "ReduceL2"
    case sumOfSquares = "ReduceSumSquare"
    case argMax = "ArgMax"
    case argMin = "ArgMin"
}

/// The element functions, in the width of their type. A cell holds its type's own value, so that float32 results are
/// rounded once per operation.
enum OnnxArithmetic {
    static func unary(_ function: OnnxUnary, _ x: Double, _ type: OnnxType) -> Double {
        switch function {
        case .not: return x == 0 ? 1 : 0
        case .isNaN: return x.isNaN ? 1 : 0
        case .binarize(let threshold): return Float(x) > threshold ? 1 : 0
        case .cast(let target): return cast(x, to: target)
        case .absolute: return abs(x)
        case .negate: return -x
        case .sign: return x > 0 ? 1 : (x < 0 ? -1 : x)
        case .relu: return x < 0 ? 0 : x
        case .floor: return x.rounded(.down)
        case .ceil: return x.rounded(.up)
        default: return type == .float32 ? Double(float(function, Float(x))) : double(function, x)
        }
    }

    private static func float(_ function: OnnxUnary, _ x: Float) -> Float {
        switch function {
        case .exponential: expf(x)
        case .logarithm: logf(x)
        case .squareRoot: x.squareRoot()
        case .sigmoid: sigmoid(x)
        case .tanh: tanhf(x)
        case .reciprocal: 1 / x
        default: x
        }
    }

    private static func double(_ function: OnnxUnary, _ x: Double) -> Double {
        switch function {
        case .exponential: exp(x)
        case .logarithm: log(x)
        case .squareRoot: x.squareRoot()
        case .sigmoid: x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
        case .tanh: Glibc.tanh(x)
        case .reciprocal: 1 / x
        default: x
        }
    }

    /// The logistic function as ONNX Runtime's tree ensembles compute it.
    static func logistic(_ x: Float) -> Float {
        let v = 1 / (1 + expf(-abs(x)))
        return x < 0 ? 1 - v : v
    }

    /// The logistic function as ONNX Runtime's linear models and `Sigmoid` compute it: a quotient of polynomials, with
    /// an error of 2e-7. What it gives is met bit for bit.
    static func sigmoid(_ x: Float) -> Float {
        if x.isNaN { return x }
        let x = min(max(x, -18), 18)
        let square = x * x
        var above = fmaf(square, 4.370_310_125_798_01e-11, 1.156_273_244_599_42e-07)
        above = fmaf(above, square, 6.085_748_646_001_43e-05)
        above = fmaf(above, square, 8.513_771_333_047_01e-03)
        above = fmaf(above, square, 2.482_879_470_615_29e-01)
        var below = fmaf(square, 6.102_473_897_556_81e-13, 5.761_021_369_934_27e-09)
        below = fmaf(below, square, 6.291_067_850_170_40e-06)
        below = fmaf(below, square, 1.701_988_173_740_94e-03)
        below = fmaf(below, square, 1.168_176_569_044_53e-01)
        below = fmaf(below, square, 9.931_519_210_231_80e-01)
        return min(max(above * x / below + 0.5, 0), 1)
    }

    static func binary(_ function: OnnxBinary, _ x: Double, _ y: Double, _ type: OnnxType) -> Double {
        switch function {
        case .less: return x < y ? 1 : 0
        case .lessOrEqual: return x <= y ? 1 : 0
        case .greater: return x > y ? 1 : 0
        case .greaterOrEqual: return x >= y ? 1 : 0
        case .equal: return x == y ? 1 : 0
        case .and: return x != 0 && y != 0 ? 1 : 0
        case .or: return x != 0 || y != 0 ? 1 : 0
        case .xor: return (x != 0) != (y != 0) ? 1 : 0
        case .minimum: return x.isNaN || y.isNaN ? .nan : min(x, y)
        case .maximum: return x.isNaN || y.isNaN ? .nan : max(x, y)
        default: break
        }
        switch type {
        case .float32: return Double(float(function, Float(x), Float(y)))
        case .float64: return double(function, x, y)
        // A division by zero stops the processor there; here it gives the value of an impossible conversion.
        default: return truncated(double(function, x, y), to: type)
        }
    }

    private static func float(_ function: OnnxBinary, _ x: Float, _ y: Float) -> Float {
        switch function {
        case .add: x + y
        case .subtract: x - y
        case .multiply: x * y
        case .divide: x / y
        default: powf(x, y)
        }
    }

    private static func double(_ function: OnnxBinary, _ x: Double, _ y: Double) -> Double {
        switch function {
        case .add: x + y
        case .subtract: x - y
        case .multiply: x * y
        case .divide: x / y
        default: pow(x, y)
        }
    }

    static func cast(_ x: Double, to type: OnnxType) -> Double {
        switch type {
        case .float32: Double(Float(x))
        case .float64, .string: x
        case .int32, .int64: truncated(x, to: type)
        case .bool: x != 0 ? 1 : 0
        }
    }

    /// Towards zero; what does not fit becomes the smallest integer, as the processor's conversion does.
    static func truncated(_ x: Double, to type: OnnxType) -> Double {
        let bound: Double = type == .int32 ? 2_147_483_648 : 9_223_372_036_854_775_808
        let whole = x.rounded(.towardZero)
        return whole >= -bound && whole < bound ? whole : -bound
    }
}
