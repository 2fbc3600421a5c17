/// Which boosting iterations of a model predict.
public enum Iterations: Sendable, Hashable {
    /// All that the file holds (what XGBoost's `Booster.predict` does).
    case all
    /// Up to and including the file's `best_iteration`, or all when it names none (what the scikit-learn wrappers do).
    case best
    /// The given iterations, counted from 0.
    case range(Range<Int>)

    /// The range within `count` iterations.
    func resolve(count: Int, best: Int?) throws(ModelError) -> Range<Int> {
        switch self {
        case .all:
            return 0..<count
        case .best:
            guard let best else { return 0..<count }
            guard best >= 0, best < count else {
                throw ModelError(.indexOutOfRange, "best_iteration \(best) of \(count) iterations")
            }
            return 0..<(best + 1)
        case .range(let range):
            guard range.lowerBound >= 0, range.upperBound <= count else {
                throw ModelError(.indexOutOfRange, "iterations \(range) of \(count)")
            }
            return range
        }
    }
}
