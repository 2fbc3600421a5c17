/// The state of a pass when a window ends, from which its features are read.
struct WindowEnd {
    /// Excluded start; Int64.min for all history.
    let start: Int64
    let isAllHistory: Bool
    /// Known events in the window.
    let rowCount: Int64
    /// Time of the latest known event up to as_of.
    let latest: Int64?
    /// Time of the earliest known event in the window.
    let oldest: Int64?
    let memory: MemoryCover

    var emptyReason: FeatureNullReason { isAllHistory ? .noEvent : .emptyWindow }
}

extension ViewTable {
    /// The value of one feature; nil when memory lacks history that PostgreSQL has.
    func emit(_ feature: CompiledFeature, _ end: WindowEnd, _ scratch: borrowing ReadScratch) -> FeatureValue? {
        switch feature.fold {
        case .lastTime, .timeSince:
            return emitLatest(feature, end)
        case .last:
            let state = scratch.columns[feature.column]
            // The latest value is right even in a cut window, as long as it is later than everything dropped.
            if state.newestTime > end.memory.floor { return stored(state.newest, feature.column) }
        case .lastValueTime:
            let state = scratch.columns[feature.column]
            if state.newestTime > end.memory.floor { return .timestamp(state.newestTime) }
        case .attribute:
            return emitAttribute(feature, end, scratch.columns[feature.column])
        default:
            break
        }
        if end.start < end.memory.retired { return nil }
        if end.start < end.memory.capped { return .null(.windowTruncated) }
        if feature.fold == .firstTime, feature.column < 0 {
            return end.oldest.map(FeatureValue.timestamp) ?? .null(end.emptyReason)
        }
        if feature.column < 0 { return .integer(end.rowCount) }
        return emitFolded(feature, end, scratch)
    }

    /// Retention keeps, of every attribute, the latest value at or before its cut, so that memory answers every as_of
    /// that it covers; only what was known earlier may have been dropped.
    private func emitAttribute(
        _ feature: CompiledFeature, _ end: WindowEnd, _ state: ColumnAccumulator
    ) -> FeatureValue? {
        let memory = end.memory
        if state.newestTime > memory.floor { return stored(state.newest, feature.column) }
        if memory.retired != .min, memory.isFiltered { return nil }
        if memory.capped != .min { return .null(.windowTruncated) }
        return state.newestTime == .min ? .null(.noEvent) : stored(state.newest, feature.column)
    }

    private func emitLatest(_ feature: CompiledFeature, _ end: WindowEnd) -> FeatureValue? {
        let memory = end.memory
        if let latest = end.latest, end.isAllHistory || latest > end.start {
            // Dropped events are older than the entity's newest row; an older row is the latest only if none was
            // dropped after it.
            if latest == memory.newest || latest > memory.floor { return age(latest, feature, memory.asOf) }
            return latest <= memory.retired ? nil : .null(.windowTruncated)
        }
        if end.isAllHistory {
            if memory.retired != .min, memory.newest != .min { return nil }
            return .null(memory.capped == .min ? .noEvent : .windowTruncated)
        }
        if end.start < memory.retired { return nil }
        return .null(end.start < memory.capped ? .windowTruncated : .emptyWindow)
    }

    private func age(_ latest: Int64, _ feature: CompiledFeature, _ asOf: Int64) -> FeatureValue {
        if feature.fold == .lastTime { return .timestamp(latest) }
        return .double(Rounding.quotient(Int128(asOf) - Int128(latest), UInt128(feature.unit)))
    }

    private func emitFolded(
        _ feature: CompiledFeature, _ end: WindowEnd, _ scratch: borrowing ReadScratch
    ) -> FeatureValue {
        let state = scratch.columns[feature.column]
        switch feature.fold {
        case .count: return .integer(state.count)
        case .distinct: return .integer(state.distinct)
        case .sum: return sum(feature.column, state, scratch)
        case .decayedSum: return scratch.decays[feature.decay].sum.map(FeatureValue.double) ?? .null(.overflow)
        default: break
        }
        if state.count == 0 { return .null(end.emptyReason) }
        switch feature.fold {
        case .min: return extreme(state.minimum, state.leastDouble, feature.column)
        case .max: return extreme(state.maximum, state.greatestDouble, feature.column)
        case .first: return stored(state.oldest, feature.column)
        case .last: return stored(state.newest, feature.column)
        case .mean:
            let sum = sum(feature.column, state, scratch)
            if case .null = sum { return sum }
            return .double(sum.double / Double(state.count))
        case .variance, .stddev: return spread(feature, state)
        case .ratio: return ratio(feature, state, scratch.columns[feature.denominator])
        case .firstTime: return .timestamp(state.oldestTime)
        case .lastValueTime: return .timestamp(state.newestTime)
        case .topK: return mostFrequent(feature, scratch.frequencies[feature.column])
        case .quantile: return quantile(feature, scratch.ranks[feature.column])
        case .decayedMean: return decayedMean(scratch.decays[feature.decay])
        case .count, .sum, .distinct, .lastTime, .timeSince, .decayedSum, .attribute:
            preconditionFailure("answered above")
        }
    }

    private func sum(
        _ column: Int, _ state: ColumnAccumulator, _ scratch: borrowing ReadScratch
    ) -> FeatureValue {
        switch view.spec.columns[column].kind {
        case .decimal(let scale): return .decimal(significand: state.sum, scale: scale)
        case .integer:
            if let value = Int64(exactly: state.sum) { return .integer(value) }
            return .decimal(significand: state.sum, scale: 0)
        case .double:
            guard let exact = scratch.exactSums[column] else { return .double(0) }
            guard let value = exact.rounded else { return .null(.overflow) }
            return .double(value)
        case .string, .boolean, .timestamp, .date: preconditionFailure("only numbers are summed")
        }
    }

    private func extreme(_ scaled: Int64, _ double: Double, _ column: Int) -> FeatureValue {
        if case .double = view.spec.columns[column].kind { return .double(double) }
        return stored(scaled, column)
    }

    /// A raw field value in its column's kind.
    private func stored(_ raw: Int64, _ column: Int) -> FeatureValue {
        switch view.spec.columns[column].kind {
        case .decimal(let scale): .decimal(significand: Int128(raw), scale: scale)
        case .integer: .integer(raw)
        case .double: .double(Double(bitPattern: UInt64(bitPattern: raw)))
        case .string: .string(texts[column].string(UInt32(truncatingIfNeeded: raw)))
        case .boolean: .boolean(raw != 0)
        case .timestamp: .timestamp(raw)
        case .date: .date(raw)
        }
    }

    /// By count descending, then by value ascending.
    private func mostFrequent(_ feature: CompiledFeature, _ counts: [Int64: Int64]) -> FeatureValue {
        let isText = view.spec.columns[feature.column].kind == .string
        let texts = texts[feature.column]
        let ordered = counts.sorted { left, right in
            if left.value != right.value { return left.value > right.value }
            if !isText { return left.key < right.key }
            return texts.isLess(UInt32(truncatingIfNeeded: left.key), UInt32(truncatingIfNeeded: right.key))
        }
        return .frequencies(
            ordered.prefix(Int(feature.unit)).map {
                ValueCount(value: stored($0.key, feature.column), count: $0.value)
            })
    }

    private func quantile(_ feature: CompiledFeature, _ ranks: RankCounter) -> FeatureValue {
        switch ranks.value(at: feature.quantile, view.spec.columns[feature.column].kind) {
        case .raw(let raw): stored(raw, feature.column)
        case .approximate(let value): .double(value)
        case nil: preconditionFailure("an empty window was answered before")
        }
    }

    private func decayedMean(_ sums: DecaySums) -> FeatureValue {
        guard let sum = sums.sum else { return .null(.overflow) }
        let weight = sums.weight
        // All weights are 0 when every event is more than a thousand half-lives old.
        return weight == 0 ? .null(.divisionByZero) : .double(sum / weight)
    }

    /// Sample variance (n Σx² - (Σx)²) / (n (n - 1) 10^2s) of exact moments, one division.
    private func spread(_ feature: CompiledFeature, _ state: ColumnAccumulator) -> FeatureValue {
        guard state.count > 1 else { return .null(.tooFewValues) }
        let count = UInt128(state.count)
        let (left, isLeftOver) = state.squares.multipliedReportingOverflow(by: count)
        let (right, isRightOver) = state.sum.magnitude.multipliedReportingOverflow(by: state.sum.magnitude)
        let scale = 2 * (view.spec.columns[feature.column].kind.scale ?? 0)
        guard !state.isSquareOverflow, !isLeftOver, !isRightOver, let numerator = Int128(exactly: left - right) else {
            return .null(.overflow)
        }
        let (denominator, isOver) = (count * (count - 1)).multipliedReportingOverflow(by: Rounding.powersOfTen[scale])
        if isOver { return .null(.overflow) }
        let variance = Rounding.quotient(numerator, denominator)
        return .double(feature.fold == .stddev ? variance.squareRoot() : variance)
    }

    /// Σa / Σb with their scales, one division.
    private func ratio(
        _ feature: CompiledFeature, _ top: ColumnAccumulator, _ bottom: ColumnAccumulator
    ) -> FeatureValue {
        if bottom.sum == 0 { return .null(.divisionByZero) }
        let topScale = view.spec.columns[feature.column].kind.scale ?? 0
        let bottomScale = view.spec.columns[feature.denominator].kind.scale ?? 0
        let shift = bottomScale - topScale
        let (numerator, isOver) = top.sum.multipliedReportingOverflow(
            by: Int128(Rounding.powersOfTen[Swift.max(0, shift)]))
        let (denominator, isUnder) = bottom.sum.magnitude.multipliedReportingOverflow(
            by: Rounding.powersOfTen[Swift.max(0, -shift)])
        if isOver || isUnder { return .null(.overflow) }
        return .double(Rounding.quotient(bottom.sum < 0 ? -numerator : numerator, denominator))
    }
}
