extension FeatureView {
    /// Checks a definition and resolves its names. Throws every finding with a pointer into `spec`.
    public static func compile(_ spec: FeatureViewSpec) throws(FeatureError) -> FeatureView {
        var compiler = FeatureViewCompiler(spec: spec)
        compiler.checkShape()
        compiler.checkColumns()
        compiler.compileFeatures()
        compiler.checkRetention()
        if !compiler.issues.isEmpty { throw FeatureError(compiler.issues) }
        return FeatureView(
            spec: spec, features: compiler.features, windows: compiler.windows, decays: compiler.decays)
    }
}

private struct FeatureViewCompiler {
    let spec: FeatureViewSpec
    var issues: [FeatureError.Issue] = []
    var columns: [String: Int] = [:]
    var windows: [Int64] = []
    var features: [CompiledFeature] = []
    var decays: [Decay] = []

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
        if case .tiles(let seconds) = spec.aggregationInterval, !(1...FeatureLimits.tileSecondsMax).contains(seconds) {
            report(
                .aggregationIntervalOutOfRange, "/aggregation_interval",
                "A tile must be 1 second to \(FeatureLimits.tileSecondsMax / 86_400) days.")
        }
        if !(1...FeatureLimits.entityPartsMax).contains(spec.entityParts.count) {
            report(.tooMany, "/entity/paths", "A key has 1 to \(FeatureLimits.entityPartsMax) parts.")
        }
        if let ttl = spec.ttlMicros, !(1...FeatureLimits.windowMicrosMax).contains(ttl) {
            report(.windowOutOfRange, "/ttl", "A time to live must be 1 microsecond to 100 years.")
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
            if feature.aggregate == .attribute, feature.window != .allHistory {
                report(.windowOutOfRange, pointer + "/window", "An attribute has no window.")
            }
            checkParameter(feature.aggregate, pointer)
            let column = resolve(feature.column, feature.aggregate, pointer)
            var denominator = -1
            if case .ratio(let name) = feature.aggregate {
                denominator = resolveNumeric(name, pointer + "/aggregate/denominator")
            }
            features.append(
                CompiledFeature(
                    fold: feature.aggregate.fold(hasColumn: column >= 0), column: column, denominator: denominator,
                    window: windows.firstIndex(of: feature.window.span) ?? 0, unit: feature.aggregate.unit,
                    quantile: feature.aggregate.quantile, decay: decay(feature.aggregate, column)))
        }
    }

    private mutating func checkParameter(_ aggregate: Aggregate, _ pointer: String) {
        switch aggregate {
        case .topK(let count) where !(1...FeatureLimits.topKMax).contains(count):
            report(.parameterOutOfRange, pointer + "/k", "k must be 1 to \(FeatureLimits.topKMax).")
        case .quantile(let quantile) where !(quantile > 0 && quantile < 1):
            report(.parameterOutOfRange, pointer + "/q", "q must lie between 0 and 1.")
        case .decayedSum(let halfLife), .decayedMean(let halfLife):
            if !(1...FeatureLimits.windowMicrosMax).contains(halfLife) {
                report(.parameterOutOfRange, pointer + "/half_life", "A half-life must be 1 microsecond to 100 years.")
            }
        default: break
        }
    }

    private mutating func decay(_ aggregate: Aggregate, _ column: Int) -> Int {
        switch aggregate {
        case .decayedSum(let halfLife), .decayedMean(let halfLife):
            let decay = Decay(column: column, halfLifeMicros: halfLife)
            if let known = decays.firstIndex(of: decay) { return known }
            decays.append(decay)
            return decays.count - 1
        default: return -1
        }
    }

    private mutating func resolve(_ name: String?, _ aggregate: Aggregate, _ pointer: String) -> Int {
        switch aggregate {
        case .timeSince:
            if name != nil { report(.columnNotAllowed, pointer + "/column", "This aggregate takes no column.") }
            return -1
        case .count where name == nil, .firstTime where name == nil, .lastTime where name == nil:
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
        // A tiled window may reach back by almost one more tile.
        let reach = retention - spec.aggregationInterval.micros + 1
        for (index, feature) in spec.features.enumerated() {
            switch feature.window {
            case .micros(let micros) where micros > reach:
                report(
                    .retentionTooShort, "/features/\(index)/window",
                    "The window, with its tile, is longer than the retention.")
            case .allHistory where !feature.aggregate.outlivesRetention(hasColumn: feature.column != nil):
                report(
                    .retentionTooShort, "/features/\(index)/window",
                    "With a retention, only attributes, the last time and time since may cover all history.")
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
    func fold(hasColumn: Bool) -> Fold {
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
        case .firstTime: .firstTime
        case .lastTime: hasColumn ? .lastValueTime : .lastTime
        case .timeSince: .timeSince
        case .topK: .topK
        case .quantile: .quantile
        case .decayedSum: .decayedSum
        case .decayedMean: .decayedMean
        case .attribute: .attribute
        }
    }

    var unit: Int64 {
        switch self {
        case .timeSince(let unit): unit.rawValue
        case .topK(let count): Int64(count)
        default: 1
        }
    }

    var quantile: Double {
        if case .quantile(let quantile) = self { quantile } else { 0 }
    }

    /// Whether all history is covered by what retention keeps.
    func outlivesRetention(hasColumn: Bool) -> Bool {
        switch self {
        case .attribute, .timeSince: true
        case .lastTime: !hasColumn
        default: false
        }
    }

    /// Whether a column of this kind can be folded this way.
    public func accepts(_ kind: ColumnKind) -> Bool {
        let isNumber = kind.scale != nil || kind == .double
        return switch self {
        case .count, .first, .last, .distinct, .attribute, .firstTime, .lastTime: true
        case .sum, .mean, .quantile, .decayedSum, .decayedMean: isNumber
        case .min, .max: kind != .string && kind != .boolean
        case .variance, .stddev, .ratio: kind.scale != nil
        case .topK: kind == .string || kind == .integer
        case .timeSince: false
        }
    }
}
