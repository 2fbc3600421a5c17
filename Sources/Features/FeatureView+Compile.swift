extension FeatureView {
    /// Checks a definition and resolves its names. Throws every finding with a pointer into `spec`.
    public static func compile(_ spec: FeatureViewSpec) throws(FeatureError) -> FeatureView {
        var compiler = FeatureViewCompiler(spec: spec)
        compiler.checkShape()
        compiler.checkColumns()
        compiler.compileFeatures()
        compiler.checkRetention()
        if !compiler.issues.isEmpty { throw FeatureError(compiler.issues) }
        return FeatureView(spec: spec, features: compiler.features, windows: compiler.windows)
    }
}

private struct FeatureViewCompiler {
    let spec: FeatureViewSpec
    var issues: [FeatureError.Issue] = []
    var columns: [String: Int] = [:]
    var windows: [Int64] = []
    var features: [CompiledFeature] = []

    init(spec: FeatureViewSpec) {
        self.spec = spec
        windows = Set(spec.features.map(\.window.span)).sorted()
    }

    mutating func report(_ code: FeatureError.Code, _ pointer: String, _ message: String) {
        issues.append(FeatureError.Issue(code, at: pointer, message))
    }

    mutating func checkShape() {
        if spec.name.isEmpty { report(.emptyName, "/name", "A feature view needs a name.") }
        if spec.entity.isEmpty { report(.emptyName, "/entity", "A feature view needs an entity type.") }
        if case .tiles = spec.aggregationInterval {
            report(
                .aggregationIntervalUnsupported, "/aggregation_interval",
                "Tiled windows are not available; use aggregation_interval: exact.")
        }
        if spec.features.isEmpty { report(.noFeatures, "/features", "A feature view needs at least one feature.") }
        if spec.features.count > FeatureLimits.featuresMax {
            report(.tooMany, "/features", "At most \(FeatureLimits.featuresMax) features fit one view.")
        }
        if windows.count > FeatureLimits.windowsMax {
            report(.tooMany, "/features", "At most \(FeatureLimits.windowsMax) different windows fit one view.")
        }
        if !(1...FeatureLimits.entityEventsMax).contains(spec.entityEventsMax) {
            report(
                .entityEventsOutOfRange, "/entity_events_max",
                "entity_events_max must be 1 to \(FeatureLimits.entityEventsMax).")
        }
    }

    mutating func checkColumns() {
        if spec.columns.count > FeatureLimits.columnsMax {
            report(.tooMany, "/columns", "At most \(FeatureLimits.columnsMax) columns fit one view.")
        }
        for (index, column) in spec.columns.enumerated() {
            let pointer = "/columns/\(index)"
            if column.name.isEmpty { report(.emptyName, pointer + "/name", "A column needs a name.") }
            if columns.updateValue(index, forKey: column.name) != nil {
                report(.duplicateName, pointer + "/name", "The column '\(column.name)' is defined twice.")
            }
            if case .decimal(let scale) = column.kind, !(0...FeatureLimits.scaleMax).contains(scale) {
                report(.scaleOutOfRange, pointer + "/kind", "A scale must be 0 to \(FeatureLimits.scaleMax).")
            }
        }
    }

    mutating func compileFeatures() {
        var names: Set<String> = []
        for (index, feature) in spec.features.enumerated() {
            let pointer = "/features/\(index)"
            if feature.name.isEmpty { report(.emptyName, pointer + "/name", "A feature needs a name.") }
            if !names.insert(feature.name).inserted {
                report(.duplicateName, pointer + "/name", "The feature '\(feature.name)' is defined twice.")
            }
            if case .micros(let micros) = feature.window, !(1...FeatureLimits.windowMicrosMax).contains(micros) {
                report(.windowOutOfRange, pointer + "/window", "A window must be 1 microsecond to 100 years.")
            }
            let column = resolve(feature.column, feature.aggregate, pointer)
            var denominator = -1
            if case .ratio(let name) = feature.aggregate {
                denominator = resolveNumeric(name, pointer + "/aggregate/denominator")
            }
            features.append(
                CompiledFeature(
                    fold: feature.aggregate.fold, column: column, denominator: denominator,
                    window: windows.firstIndex(of: feature.window.span) ?? 0, unitMicros: feature.aggregate.unitMicros))
        }
    }

    private mutating func resolve(_ name: String?, _ aggregate: Aggregate, _ pointer: String) -> Int {
        switch aggregate {
        case .lastTime, .timeSince:
            if name != nil { report(.columnNotAllowed, pointer + "/column", "This aggregate takes no column.") }
            return -1
        case .count where name == nil:
            return -1
        default:
            break
        }
        guard let name else {
            report(.columnRequired, pointer + "/column", "This aggregate needs a column.")
            return -1
        }
        guard let column = columns[name], column < spec.columns.count else {
            report(.unknownColumn, pointer + "/column", "The view has no column '\(name)'.")
            return -1
        }
        if !aggregate.accepts(spec.columns[column].kind) {
            report(.aggregateNotForKind, pointer + "/aggregate", "The column '\(name)' cannot be folded this way.")
        }
        return column
    }

    private mutating func resolveNumeric(_ name: String, _ pointer: String) -> Int {
        guard let column = columns[name], column < spec.columns.count else {
            report(.unknownColumn, pointer, "The view has no column '\(name)'.")
            return -1
        }
        if spec.columns[column].kind.scale == nil {
            report(.aggregateNotForKind, pointer, "The column '\(name)' is not a decimal or integer.")
        }
        return column
    }

    mutating func checkRetention() {
        guard let retention = spec.retentionMicros else { return }
        if !(1...FeatureLimits.windowMicrosMax).contains(retention) {
            report(.retentionTooShort, "/retention", "A retention must be 1 microsecond to 100 years.")
            return
        }
        for (index, feature) in spec.features.enumerated() {
            switch feature.window {
            case .micros(let micros) where micros > retention:
                report(.retentionTooShort, "/features/\(index)/window", "The window is longer than the retention.")
            case .allHistory where feature.aggregate.fold != .lastTime && feature.aggregate.fold != .timeSince:
                report(
                    .retentionTooShort, "/features/\(index)/window",
                    "With a retention, only the last time and time since may cover all history.")
            default:
                break
            }
        }
    }
}

extension FeatureWindow {
    /// Microseconds; Int64.max for all history.
    var span: Int64 {
        switch self {
        case .micros(let micros): micros
        case .allHistory: .max
        }
    }
}

extension Aggregate {
    var fold: Fold {
        switch self {
        case .count: .count
        case .sum: .sum
        case .mean: .mean
        case .min: .min
        case .max: .max
        case .first: .first
        case .last: .last
        case .distinct: .distinct
        case .variance: .variance
        case .stddev: .stddev
        case .ratio: .ratio
        case .lastTime: .lastTime
        case .timeSince: .timeSince
        }
    }

    var unitMicros: Int64 {
        if case .timeSince(let unit) = self { unit.rawValue } else { 1 }
    }

    func accepts(_ kind: ColumnKind) -> Bool {
        switch self {
        case .count, .first, .last, .distinct: true
        case .sum, .mean, .min, .max: kind != .string
        case .variance, .stddev, .ratio: kind.scale != nil
        case .lastTime, .timeSince: false
        }
    }
}
