import Glibc

/// The objectives XGBoost writes, and what follows from each: margin of the base score, transform of the margin.
struct XGBoostObjective {
    let name: String
    let transform: Transform
    private let link: Link

    private enum Link {
        case identity, logit, log
    }

    var isMulticlass: Bool { name.hasPrefix("multi:") }

    /// Nil for an unknown name: without the transform the score would be silently wrong.
    init?(name: String) {
        self.name = name
        switch name {
        case "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:absoluteerror", "reg:quantileerror",
            "reg:expectileerror", "reg:pseudohubererror", "binary:logitraw", "rank:pairwise", "rank:ndcg", "rank:map":
            (transform, link) = (.identity, .identity)
        case "reg:logistic", "binary:logistic":
            (transform, link) = (.sigmoid32, .logit)
        case "count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft":
            (transform, link) = (.exp32, .log)
        case "binary:hinge":
            (transform, link) = (.hinge, .identity)
        case "multi:softprob":
            (transform, link) = (.softmax32, .identity)
        case "multi:softmax":
            (transform, link) = (.argmax, .identity)
        default:
            return nil
        }
    }

    /// The margin that base score `b` stands for, in float32 as the library computes it (3.2 clamps probabilities).
    func margin(baseScore b: Float, clamps: Bool) -> Float {
        switch link {
        case .identity:
            return b
        case .logit:
            let p = clamps ? min(max(b, 1e-6), 1 - 1e-6) : b
            return -logf(1 / p - 1)
        case .log:
            return logf(b)
        }
    }
}
