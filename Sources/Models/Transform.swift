import Glibc

/// From margins to predictions, in the width and order of operations of the library that trained the model.
enum Transform: Sendable {
    case identity
    /// XGBoost: 1 / (expf(min(-x, 88.7)) + 1 + 1e-16), float32.
    case sigmoid32
    case exp32
    /// XGBoost: float32 exponentials, their sum in float64.
    case softmax32
    /// Index of the first largest margin.
    case argmax
    /// 1 for a positive margin, else 0.
    case hinge
    /// 1 / (1 + exp(-scale * x)), float64.
    case sigmoid64(scale: Double)
    case exp64
    case softmax64
    /// log(1 + exp(x)).
    case log1pExp64
    /// sign(x) * x * x (LightGBM `regression sqrt`).
    case signedSquare64
    /// [1 - p, p] with p = 1 / (1 + exp(-x)).
    case bothClasses64

    /// Values of a prediction for `outputCount` margins.
    func predictionCount(outputCount: Int) -> Int {
        switch self {
        case .argmax: 1
        case .bothClasses64: 2
        default: outputCount
        }
    }

    /// Fills `prediction`, which has `predictionCount` elements, from `margin`.
    func apply(_ margin: borrowing [Double], into prediction: inout [Double]) {
        switch self {
        case .identity:
            for index in margin.indices { prediction[index] = margin[index] }
        case .sigmoid32:
            for index in margin.indices { prediction[index] = Double(Self.sigmoid(Float(margin[index]))) }
        case .exp32:
            for index in margin.indices { prediction[index] = Double(expf(Float(margin[index]))) }
        case .softmax32:
            Self.softmax32(margin, &prediction)
        case .argmax:
            var best = 0
            for index in margin.indices where margin[index] > margin[best] { best = index }
            prediction[0] = Double(best)
        case .hinge:
            for index in margin.indices { prediction[index] = margin[index] > 0 ? 1 : 0 }
        case .sigmoid64(let scale):
            for index in margin.indices { prediction[index] = 1 / (1 + exp(-scale * margin[index])) }
        case .exp64:
            for index in margin.indices { prediction[index] = exp(margin[index]) }
        case .softmax64:
            Self.softmax64(margin, &prediction)
        case .log1pExp64:
            for index in margin.indices { prediction[index] = log1p(exp(margin[index])) }
        case .signedSquare64:
            for index in margin.indices {
                let x = margin[index]
                prediction[index] = x == 0 ? 0 : (x < 0 ? -1 : 1) * x * x
            }
        case .bothClasses64:
            let p = 1 / (1 + exp(-margin[0]))
            prediction[0] = 1 - p
            prediction[1] = p
        }
    }

    private static func sigmoid(_ x: Float) -> Float {
        // The tiny term is below one ulp of 1, kept because the library adds it.
        1 / (expf(min(-x, 88.7)) + 1 + 1e-16)
    }

    private static func softmax32(_ margin: borrowing [Double], _ prediction: inout [Double]) {
        var largest = Float(margin[0])
        for index in margin.indices { largest = max(largest, Float(margin[index])) }
        var sum = 0.0
        for index in margin.indices {
            let exponential = expf(Float(margin[index]) - largest)
            prediction[index] = Double(exponential)
            sum += Double(exponential)
        }
        let divisor = Float(sum)
        for index in margin.indices { prediction[index] = Double(Float(prediction[index]) / divisor) }
    }

    private static func softmax64(_ margin: borrowing [Double], _ prediction: inout [Double]) {
        var largest = margin[0]
        for index in margin.indices { largest = max(largest, margin[index]) }
        var sum = 0.0
        for index in margin.indices {
            prediction[index] = exp(margin[index] - largest)
            sum += prediction[index]
        }
        for index in margin.indices { prediction[index] /= sum }
    }
}
