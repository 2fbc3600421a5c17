/// A checked feature view: immutable, shared by the store, its readers and the history path.
public final class FeatureView: Sendable {
    /// The definition it came from.
    public let spec: FeatureViewSpec
    let features: [CompiledFeature]
    /// Windows ascending, `Int64.max` for all history; features refer to them by index.
    let windows: [Int64]
    /// Microseconds that windows' starts are multiples of; 1 for exact windows.
    let tileMicros: Int64
    /// Columns of attributes: retention keeps the latest value of each.
    let attributeColumns: [Int]
    /// What is summed with decaying weights; features refer to it by index.
    let decays: [Decay]
    /// `first`, `last` or an attribute is served, so events of equal time need their source and id.
    let needsTieOrder: Bool
    /// A feature needs the latest event however old it is, so retention keeps it.
    let keepsLatest: Bool
    /// Sign of each row field, fixed ones first.
    let signedFields: [Bool]
    private let positions: [String: Int]

    init(spec: FeatureViewSpec, features: [CompiledFeature], windows: [Int64], decays: [Decay]) {
        self.spec = spec
        self.features = features
        self.windows = windows
        self.decays = decays
        tileMicros = spec.aggregationInterval.micros
        attributeColumns = Set(features.filter { $0.fold == .attribute }.map(\.column)).sorted()
        needsTieOrder = features.contains { $0.fold == .first || $0.fold == .last || $0.fold == .attribute }
        keepsLatest =
            spec.ttlMicros != nil || !attributeColumns.isEmpty
            || features.contains {
                windows[$0.window] == .max && ($0.fold == .lastTime || $0.fold == .timeSince)
            }
        signedFields =
            [true, true, true, false, false, false, true]
            + spec.columns.map { column in
                if case .string = column.kind { false } else { true }
            }
        var positions: [String: Int] = [:]
        for (index, feature) in spec.features.enumerated() { positions[feature.name] = index }
        self.positions = positions
    }

    /// Name of the view.
    public var name: String { spec.name }

    /// Names of the features, in serving order.
    public var featureNames: [String] { spec.features.map(\.name) }

    /// Number of features.
    public var featureCount: Int { features.count }

    /// Position of a feature in serving order.
    public func index(of feature: String) -> Int? { positions[feature] }

    /// Event time after which events matter as of `asOf`, besides the latest one before; Int64.min for all [microseconds].
    public func historyStart(asOf: Int64) -> Int64 {
        var longest: Int64 = 0
        for feature in features {
            let span = windows[feature.window]
            if span < .max {
                longest = max(longest, span)
            } else if feature.fold != .lastTime, feature.fold != .timeSince {
                return .min
            }
        }
        // A tiled window reaches back by almost one more tile.
        let (start, isOverflow) = asOf.subtractingReportingOverflow(longest + tileMicros - 1)
        return isOverflow ? .min : start
    }

    /// Position of a column in `FeatureEvent.values`.
    public func columnIndex(of column: String) -> Int? {
        spec.columns.firstIndex { $0.name == column }
    }
}

/// What a feature folds, without its operands.
enum Fold: Sendable {
    case count, sum, mean, min, max, first, last, distinct, variance, stddev, ratio, lastTime, timeSince
    case firstTime, lastValueTime, topK, quantile, decayedSum, decayedMean, attribute

    /// The accumulator work that a column must do for it.
    var needs: ColumnNeeds {
        switch self {
        case .count: .count
        case .sum, .mean, .ratio: .sum
        case .min, .max: .extremes
        case .first, .last, .firstTime, .lastValueTime, .attribute: .ends
        case .topK: .frequencies
        case .quantile: .ranks
        case .distinct: .distinct
        case .variance, .stddev: [.sum, .squares]
        case .decayedSum, .decayedMean: .count
        case .lastTime, .timeSince: []
        }
    }
}

/// Work done per value of a column.
struct ColumnNeeds: OptionSet, Sendable {
    let rawValue: UInt16
    static let count = ColumnNeeds(rawValue: 1)
    static let sum = ColumnNeeds(rawValue: 2)
    static let extremes = ColumnNeeds(rawValue: 4)
    static let ends = ColumnNeeds(rawValue: 8)
    static let distinct = ColumnNeeds(rawValue: 16)
    static let squares = ColumnNeeds(rawValue: 32)
    static let frequencies = ColumnNeeds(rawValue: 64)
    static let ranks = ColumnNeeds(rawValue: 128)
}

/// One column summed with weights that halve every `halfLifeMicros`.
struct Decay: Hashable, Sendable {
    let column: Int
    let halfLifeMicros: Int64
}

/// A feature with its operands resolved.
struct CompiledFeature: Sendable {
    let fold: Fold
    /// Column index; -1 for none.
    let column: Int
    /// Column of a ratio's denominator; -1 for none.
    let denominator: Int
    /// Index into the view's windows.
    let window: Int
    /// Microseconds per unit of `timeSince`; the k of `topK`.
    let unit: Int64
    /// The q of `quantile`.
    let quantile: Double
    /// Index into the view's decays; -1 for none.
    let decay: Int
}

extension ColumnKind {
    /// Decimal places of a fixed-point column; nil for doubles and text.
    var scale: Int? {
        switch self {
        case .decimal(let scale): scale
        case .integer: 0
        case .double, .string, .boolean, .timestamp, .date: nil
        }
    }
}
